#include "api_fixture.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "wire/generated/api_versions.h"
#include "wire/generated/fetch.h"
#include "wire/generated/init_producer_id.h"
#include "wire/generated/join_group.h"
#include "wire/generated/produce.h"

#include <stdlib.h>
#include <string.h>

/* Who is seen, and what he did: as text, a line a client and a line for each of its flows, sorted.
 */
static const char *const did_words[] = {"produced", "fetched", "committed", "joined"};

static void show_client(void *context, const struct client_shown *client)
{
    const struct client_identity *who = &client->identity;
    buf_printf(context, "%.*s %.*s %.*s/%.*s %.*s x%d\n", SLICE_ARGS(who->principal),
               SLICE_ARGS(who->client_id), SLICE_ARGS(who->software_name),
               SLICE_ARGS(who->software_version), SLICE_ARGS(who->host), client->connections);
}

static void show_flow(void *context, const struct client_flow_shown *flow)
{
    buf_printf(context, "  %s %.*s %.*s %llu %llu\n", did_words[flow->did], SLICE_ARGS(flow->topic),
               SLICE_ARGS(flow->group), (unsigned long long)flow->events,
               (unsigned long long)flow->bytes);
}

/* Free it. */
static char *shown(struct client_table *table)
{
    struct buf text = {0};
    struct client_visitor visitor = {&text, show_client, show_flow};
    client_table_show(table, &visitor);
    char *copy = mem_strndup(buf_cstr(&text), text.size);
    buf_deinit(&text);
    return copy;
}

static void expect(struct client_table *table, const char *expected)
{
    char *text = shown(table);
    assert_string_equal(text, expected);
    free(text);
}

static struct client_identity named(const char *client_id)
{
    return (struct client_identity){.principal = slice_str("User:ANONYMOUS"),
                                    .client_id = slice_str(client_id),
                                    .software_name = slice_str("x"),
                                    .software_version = slice_str("1"),
                                    .host = slice_str("::1")};
}

static void add(struct client_table *table, struct client_entry *entry, enum client_did did,
                const char *topic, const char *group, uint64_t events)
{
    client_flow_add(client_table_flow(table, entry, did, slice_str(topic), slice_str(group), 1000),
                    events, events * 10, 2000);
}

static void test_what_clients_do_is_counted_for_each(void **state)
{
    struct client_table *table = client_table_new(1 << 20);
    struct client_identity shop = named("shop");
    struct client_identity nameless = named(NULL);
    (void)state;
    struct client_entry *first = client_table_enter(table, &shop, 1000);
    struct client_entry *again = client_table_enter(table, &shop, 1000);
    assert_ptr_equal(first, again);
    add(table, first, CLIENT_PRODUCED, "orders", NULL, 2);
    add(table, again, CLIENT_PRODUCED, "orders", NULL, 3);
    add(table, first, CLIENT_COMMITTED, "orders", "email", 1);
    struct client_entry *other = client_table_enter(table, &nameless, 1000);
    assert_ptr_not_equal(first, other);
    add(table, other, CLIENT_FETCHED, "orders", NULL, 7);
    expect(table, "User:ANONYMOUS shop x/1 ::1 x2\n"
                  "  produced orders  5 50\n"
                  "  committed orders email 1 10\n"
                  "User:ANONYMOUS  x/1 ::1 x1\n"
                  "  fetched orders  7 70\n");
    client_table_leave(table, first, 3000);
    client_table_leave(table, again, 3000);
    client_table_leave(table, other, 3000);
    client_table_free(table);
}

static void test_a_client_that_comes_back_is_the_same(void **state)
{
    struct client_table *table = client_table_new(1 << 20);
    struct client_identity shop = named("shop");
    (void)state;
    struct client_entry *entry = client_table_enter(table, &shop, 1000);
    add(table, entry, CLIENT_PRODUCED, "orders", NULL, 2);
    client_table_leave(table, entry, 2000);
    expect(table, "User:ANONYMOUS shop x/1 ::1 x0\n  produced orders  2 20\n");
    assert_ptr_equal(client_table_enter(table, &shop, 3000), entry);
    add(table, entry, CLIENT_PRODUCED, "orders", NULL, 2);
    expect(table, "User:ANONYMOUS shop x/1 ::1 x1\n  produced orders  4 40\n");
    client_table_leave(table, entry, 4000);
    client_table_free(table);
}

/* Of each of many names, also such as differ in one letter, share their ends, or have to be cut: by
 * turns, so that what was found lately is mostly another. */
static void test_what_was_done_lately_is_told_from_what_is_like_it(void **state)
{
    enum { NAMES = 40, TURNS = 5 };
    struct client_table *table = client_table_new(1 << 20);
    struct client_identity shop = named("shop");
    struct client_entry *entry = client_table_enter(table, &shop, 1000);
    struct buf expected = {0};
    char *names[NAMES];
    (void)state;
    buf_printf(&expected, "User:ANONYMOUS shop x/1 ::1 x1\n");
    for (int i = 0; i < NAMES; i++) {
        names[i] = mem_sprintf("%c%c-s", 'a' + i % 2, 'a' + i / 2);
    }
    for (int turn = 0; turn < TURNS; turn++) {
        for (int i = 0; i < NAMES; i++) {
            add(table, entry, CLIENT_PRODUCED, names[i], NULL, 1);
            add(table, entry, CLIENT_FETCHED, names[i], NULL, 2);
            add(table, entry, CLIENT_COMMITTED, names[i], "ab-s", 3);
        }
    }
    for (int i = 0; i < NAMES; i++) {
        buf_printf(&expected, "  produced %s  5 50\n  fetched %s  10 100\n", names[i], names[i]);
        buf_printf(&expected, "  committed %s ab-s 15 150\n", names[i]);
        free(names[i]);
    }
    expect(table, buf_cstr(&expected));
    buf_deinit(&expected);
    client_table_leave(table, entry, 3000);
    client_table_free(table);
}

static void test_names_that_are_cut_are_one(void **state)
{
    struct client_table *table = client_table_new(1 << 20);
    struct client_identity shop = named("shop");
    struct client_entry *entry = client_table_enter(table, &shop, 1000);
    char name[CLIENT_TABLE_NAME_BYTES + 3];
    struct buf expected = {0};
    (void)state;
    memset(name, 'x', sizeof name);
    for (int turn = 0; turn < 3; turn++) {
        for (size_t more = 0; more < 3; more++) {
            struct slice topic = slice_of(name, CLIENT_TABLE_NAME_BYTES + more);
            client_flow_add(
                client_table_flow(table, entry, CLIENT_PRODUCED, topic, slice_of(NULL, 0), 1000), 1,
                10, 2000);
        }
    }
    buf_printf(&expected, "User:ANONYMOUS shop x/1 ::1 x1\n  produced %.*s  9 90\n",
               CLIENT_TABLE_NAME_BYTES, name);
    expect(table, buf_cstr(&expected));
    buf_deinit(&expected);
    client_table_leave(table, entry, 3000);
    client_table_free(table);
}

static void enter_and_leave(struct client_table *table, int number);

static void name_producer(void *context, const struct client_shown *client, int64_t since_ms)
{
    struct buf *text = context;
    buf_clear(text);
    buf_printf(text, "%.*s since %lld", SLICE_ARGS(client->identity.client_id),
               (long long)since_ms);
}

static void expect_producer(struct client_table *table, int64_t id, const char *expected)
{
    struct buf text = {0};
    bool found = client_table_find_producer(table, id, name_producer, &text);
    assert_int_equal(found, expected != NULL);
    if (found) {
        assert_string_equal(buf_cstr(&text), expected);
    }
    buf_deinit(&text);
}

static void test_who_got_a_producer_id_is_known_until_another_gets_it(void **state)
{
    struct client_table *table = client_table_new(1 << 20);
    struct client_identity shop = named("shop"), mail = named("mail");
    (void)state;
    struct client_entry *first = client_table_enter(table, &shop, 1000);
    struct client_entry *second = client_table_enter(table, &mail, 1000);
    client_table_producer(table, first, 7, 1000);
    client_table_producer(table, second, 8, 1100);
    expect_producer(table, 7, "shop since 1000");
    expect_producer(table, 9, NULL);
    client_table_leave(table, first, 2000); /* what it left behind still has its name */
    expect_producer(table, 7, "shop since 1000");
    client_table_producer(table, second, 7, 3000);
    expect_producer(table, 7, "mail since 3000");
    client_table_leave(table, second, 4000);
    client_table_free(table);
}

static void test_producer_ids_without_end_push_out_the_clients_own_oldest(void **state)
{
    struct client_table *table = client_table_new(CLIENT_TABLE_LEAST_BYTES);
    struct client_identity greedy = named("greedy"), shop = named("shop");
    (void)state;
    struct client_entry *entry = client_table_enter(table, &greedy, 1000);
    struct client_entry *other = client_table_enter(table, &shop, 1000);
    client_table_producer(table, other, 1000000, 1);
    for (int id = 0; id < 10000; id++) {
        client_table_producer(table, entry, id, id);
    }
    expect_producer(table, 9999, "greedy since 9999");
    expect_producer(table, 9999 - CLIENT_TABLE_PRODUCERS + 1, "greedy since 9936");
    expect_producer(table, 9999 - CLIENT_TABLE_PRODUCERS, NULL);
    expect_producer(table, 1000000, "shop since 1");
    for (int i = 0; i < 30000; i++) { /* the gone ones go, and what they were given */
        enter_and_leave(table, i);
    }
    client_table_leave(table, entry, 2000);
    client_table_leave(table, other, 2000);
    client_table_free(table);
}

struct count {
    int clients, nameless;
};

static void count_client(void *context, const struct client_shown *client)
{
    struct count *count = context;
    count->clients++;
    count->nameless += slice_is_null(client->identity.principal);
}

static void count_no_flow(void *context, const struct client_flow_shown *flow)
{
    (void)context, (void)flow;
}

static struct count count_all(struct client_table *table)
{
    struct count count = {0};
    struct client_visitor visitor = {&count, count_client, count_no_flow};
    client_table_show(table, &visitor);
    return count;
}

static void enter_and_leave(struct client_table *table, int number)
{
    char name[32];
    snprintf(name, sizeof name, "passing-%d", number);
    struct client_identity identity = named(name);
    client_table_leave(table, client_table_enter(table, &identity, number), number);
}

static void test_who_went_first_makes_room_and_who_is_there_stays(void **state)
{
    struct client_table *table = client_table_new(1 << 20);
    struct client_identity shop = named("shop");
    (void)state;
    struct client_entry *entry = client_table_enter(table, &shop, 1000);
    add(table, entry, CLIENT_PRODUCED, "orders", NULL, 2);
    for (int i = 0; i < 30000; i++) {
        enter_and_leave(table, i);
    }
    assert_in_range(count_all(table).clients, 500, 5000);
    assert_int_equal(count_all(table).nameless, 0);
    assert_ptr_equal(client_table_enter(table, &shop, 2000), entry);
    char *text = shown(table);
    assert_non_null(strstr(text, "shop x/1 ::1 x2\n  produced orders  2 20\n"));
    assert_null(strstr(text, "passing-0 "));
    assert_non_null(strstr(text, "passing-29999 "));
    free(text);
    client_table_leave(table, entry, 3000);
    client_table_leave(table, entry, 3000);
    client_table_free(table);
}

static void test_more_clients_than_there_are_places_for_are_counted_together(void **state)
{
    struct client_table *table = client_table_new(1 << 20);
    enum { MANY = 10000 };
    struct client_entry **entries = mem_new_array(struct client_entry *, MANY);
    (void)state;
    for (int i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "staying-%d", i);
        struct client_identity identity = named(name);
        entries[i] = client_table_enter(table, &identity, i);
    }
    assert_ptr_equal(entries[MANY - 2], entries[MANY - 1]);
    assert_in_range(count_all(table).clients, 500, 5000);
    assert_int_equal(count_all(table).nameless, 1);
    for (int i = 0; i < MANY; i++) {
        client_table_leave(table, entries[i], 20000);
    }
    free(entries);
    client_table_free(table);
}

static void test_one_client_cannot_use_up_the_flows(void **state)
{
    struct client_table *table = client_table_new(1 << 20);
    struct client_identity greedy = named("greedy");
    struct client_identity shop = named("shop");
    (void)state;
    struct client_entry *entry = client_table_enter(table, &greedy, 1000);
    for (int i = 0; i < 10000; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "topic-%d", i);
        add(table, entry, CLIENT_FETCHED, topic, NULL, 1);
    }
    char *text = shown(table);
    assert_non_null(strstr(text, "  fetched topic-50  1 10\n"));
    assert_null(strstr(text, "  fetched topic-9999 "));
    assert_non_null(strstr(text, "  fetched   9")); /* the others together */
    free(text);
    struct client_entry *other = client_table_enter(table, &shop, 1000);
    add(table, other, CLIENT_PRODUCED, "orders", NULL, 2);
    text = shown(table);
    assert_non_null(strstr(text, "  produced orders  2 20\n"));
    free(text);
    client_table_leave(table, entry, 2000);
    client_table_leave(table, other, 2000);
    client_table_free(table);
}

/* --- over a connection --- */

static void produce(struct client *client, int32_t count)
{
    struct batch_plan plan = {.producer_id = -1, .count = count, .value_bytes = 100};
    struct buf batch = {0};
    batch_build(&plan, &batch);
    struct produce_request_partition data = {.index = 0, .records.bytes = buf_slice(&batch)};
    struct produce_request_topic topic = {slice_str("orders"), &data, 1};
    struct produce_request request = {
        .acks = -1, .timeout_ms = 1000, .topic_data = &topic, .topic_data_count = 1};
    struct produce_response response;
    assert_true(client_call(client, API_KEY_PRODUCE, 9, &request, &response));
    assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
    buf_deinit(&batch);
}

static void fetch(struct client *client, int64_t offset)
{
    struct fetch_request_partition partition;
    fetch_request_partition_init(&partition);
    partition.fetch_offset = offset;
    partition.partition_max_bytes = 1 << 20;
    struct fetch_request_topic topic = {
        .topic = slice_str("orders"), .partitions = &partition, .partitions_count = 1};
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_init(&request);
    request.max_bytes = 1 << 20;
    request.topics = &topic;
    request.topics_count = 1;
    assert_true(client_call(client, API_KEY_FETCH, 11, &request, &response));
    assert_int_equal(response.responses[0].partitions[0].error_code, 0);
}

static void test_what_goes_over_a_connection_is_counted(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    struct topic_plan plan = {.name = "orders", .partitions = 1};
    struct api_versions_request versions = {.client_software_name = slice_str("librdkafka"),
                                            .client_software_version = slice_str("2.0.2")};
    struct api_versions_response answer;
    int16_t code;
    assert_true(client_call(client, API_KEY_API_VERSIONS, 3, &versions, &answer));
    assert_int_equal(client_create_topic(client, &plan), 0);
    produce(client, 3);
    produce(client, 2);
    fetch(client, 1);
    (void)client_commit(client, "email", "orders", 0, 5, &code);
    (void)client_commit(client, "email", "no-such-topic", 0, 5, &code);
    char *text = shown(fixture->api.clients);
    assert_non_null(strstr(text, " librdkafka/2.0.2 127.0.0.1 x1\n  produced orders  5 "));
    assert_non_null(strstr(text, "\n  fetched orders  4 "));
    assert_non_null(strstr(text, "\n  committed orders email 1 0\n"));
    assert_null(strstr(text, "no-such-topic"));
    free(text);
}

static void test_producer_ids_and_joins_are_known_of_a_connection(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    struct init_producer_id_request init;
    struct init_producer_id_response given;
    init_producer_id_request_init(&init);
    init.transactional_id = (struct slice){0};
    init.producer_id = -1;
    init.producer_epoch = -1;
    assert_true(client_call(client, API_KEY_INIT_PRODUCER_ID, 4, &init, &given));
    assert_int_equal(given.error_code, 0);
    struct buf text = {0};
    assert_true(
        client_table_find_producer(fixture->api.clients, given.producer_id, name_producer, &text));
    buf_deinit(&text);
    struct join_group_request join;
    struct join_group_response joined;
    join_group_request_init(&join);
    join.group_id = slice_str("email");
    join.session_timeout_ms = 12000;
    join.protocol_type = slice_str("consumer");
    assert_true(client_call(client, API_KEY_JOIN_GROUP, 5, &join, &joined));
    char *all = shown(fixture->api.clients);
    assert_non_null(strstr(all, "\n  joined  email 1 0\n"));
    free(all);
}

static void test_a_connection_that_ends_leaves_its_client_known(void **state)
{
    struct fixture *fixture = *state;
    struct topic_plan plan = {.name = "orders", .partitions = 1};
    assert_int_equal(client_create_topic(&fixture->client, &plan), 0);
    client_close(&fixture->client);
    bool is_gone = false;
    for (int i = 0; i < 30000 && !is_gone; i++) {
        char *text = shown(fixture->api.clients);
        is_gone = strstr(text, "127.0.0.1 x0\n") != NULL;
        free(text);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_true(is_gone);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_clients_do_is_counted_for_each),
        cmocka_unit_test(test_what_was_done_lately_is_told_from_what_is_like_it),
        cmocka_unit_test(test_names_that_are_cut_are_one),
        cmocka_unit_test(test_a_client_that_comes_back_is_the_same),
        cmocka_unit_test(test_who_went_first_makes_room_and_who_is_there_stays),
        cmocka_unit_test(test_more_clients_than_there_are_places_for_are_counted_together),
        cmocka_unit_test(test_one_client_cannot_use_up_the_flows),
        cmocka_unit_test(test_who_got_a_producer_id_is_known_until_another_gets_it),
        cmocka_unit_test(test_producer_ids_without_end_push_out_the_clients_own_oldest),
        TEST(test_what_goes_over_a_connection_is_counted),
        TEST(test_producer_ids_and_joins_are_known_of_a_connection),
        TEST(test_a_connection_that_ends_leaves_its_client_known),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
