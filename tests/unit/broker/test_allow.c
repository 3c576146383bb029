#include "../unit.h"

#include "../../crash/client.h"
#include "allow_cases.h"
#include "api/api.h"
#include "base/mem.h"
#include "broker/server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Each API asks about each resource that it touches, as its row in api_table says, and a refusal
 * has its error. A whole broker gets an authorizer that takes down what is asked and refuses what
 * the case at hand refuses.
 */

enum { MOST_ASKED = 256 };

struct asked {
    struct api_permission what;
    char name[32];
};

struct fixture {
    char dir[64];
    struct server *server;
    struct client client;
    struct api_authorizer authorizer;
    pthread_mutex_t lock; /* guards the rest */
    struct api_permission refused[2];
    bool refuses_all;
    struct asked asked[MOST_ASKED];
    unsigned asked_count;
    char principal[32];
};

static bool is_same(struct api_permission a, int operation, int kind)
{
    return a.operation == operation && a.kind == kind;
}

static bool allows(void *context, const struct api_connection *who, enum api_operation operation,
                   struct api_resource resource)
{
    struct fixture *fixture = context;
    pthread_mutex_lock(&fixture->lock);
    if (fixture->asked_count < MOST_ASKED) {
        struct asked *asked = &fixture->asked[fixture->asked_count++];
        asked->what = (struct api_permission){(uint8_t)operation, (uint8_t)resource.kind};
        snprintf(asked->name, sizeof asked->name, "%.*s",
                 SLICE_ARGS(slice_is_null(resource.name) ? slice_str("*any*") : resource.name));
    }
    snprintf(fixture->principal, sizeof fixture->principal, "%s", who->principal);
    bool refused = fixture->refuses_all || is_same(fixture->refused[0], operation, resource.kind) ||
                   is_same(fixture->refused[1], operation, resource.kind);
    pthread_mutex_unlock(&fixture->lock);
    return !refused;
}

/* The request of the API's first case. */
static void fill_first(int16_t key, union any_request *request)
{
    for (unsigned c = 0; c < ask_cases_count; c++) {
        if (ask_cases[c].key == key) {
            ask_cases[c].fill(request);
            return;
        }
    }
    fail_msg("no case of API %d", key);
}

static void refuse(struct fixture *fixture, struct api_permission what, struct api_permission also)
{
    pthread_mutex_lock(&fixture->lock);
    fixture->refused[0] = what;
    fixture->refused[1] = also;
    fixture->asked_count = 0;
    pthread_mutex_unlock(&fixture->lock);
}

/* Sends the case's request; its answer's bytes are in client.in. */
static void call_version(struct fixture *fixture, const struct ask_case *ask, int16_t version)
{
    static _Alignas(max_align_t) uint8_t response[4096];
    union any_request request;
    ask->fill(&request);
    if (!client_call(&fixture->client, ask->key, version, &request, response)) {
        fail_msg("%s %d was not answered", wire_api_find(ask->key)->name, version);
    }
}

static void call(struct fixture *fixture, const struct ask_case *ask)
{
    call_version(fixture, ask, ask->version);
}

/* Whether the answer has the code somewhere. No name, count or size of these requests makes the
 * same two bytes, as the answer without a refusal shows. */
static bool answer_has(const struct fixture *fixture, int16_t code)
{
    const struct buf *in = &fixture->client.in;
    for (size_t i = 4; i + 2 <= in->size; i++) {
        if (in->data[i] == 0 && in->data[i + 1] == code) {
            return true;
        }
    }
    return false;
}

static bool was_asked(struct fixture *fixture, const struct ask_case *ask)
{
    bool found = false;
    pthread_mutex_lock(&fixture->lock);
    assert_true(fixture->asked_count < MOST_ASKED);
    for (unsigned i = 0; i < fixture->asked_count && !found; i++) {
        const struct asked *asked = &fixture->asked[i];
        found = is_same(asked->what, ask->what.operation, ask->what.kind) &&
                strcmp(asked->name, ask->name) == 0;
    }
    pthread_mutex_unlock(&fixture->lock);
    return found;
}

static void test_every_row_has_a_case_for_each_thing_it_asks(void **state)
{
    (void)state;
    for (int i = 0; i < api_table_count; i++) {
        const struct api_entry *entry = &api_table[i];
        for (int p = 0; p < API_PERMISSIONS && entry->asks[p].operation != 0; p++) {
            bool found = false;
            for (unsigned c = 0; c < ask_cases_count && !found; c++) {
                found = ask_cases[c].key == entry->key &&
                        is_same(ask_cases[c].what, entry->asks[p].operation, entry->asks[p].kind);
            }
            if (!found) {
                fail_msg("%s: no case for operation %d on resource %d",
                         wire_api_find(entry->key)->name, entry->asks[p].operation,
                         entry->asks[p].kind);
            }
        }
    }
}

static void test_every_api_asks_about_what_it_touches_and_tells_a_refusal(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned c = 0; c < ask_cases_count; c++) {
        const struct ask_case *ask = &ask_cases[c];
        const char *name = wire_api_find(ask->key)->name;
        refuse(fixture, ask->what, ask->also);
        call(fixture, ask);
        if (!was_asked(fixture, ask)) {
            fail_msg("%s (case %u) does not ask for operation %d on resource %d '%s'", name, c,
                     ask->what.operation, ask->what.kind, ask->name);
        }
        if (ask->code != 0 && !answer_has(fixture, ask->code)) {
            fail_msg("%s (case %u) does not answer with %d", name, c, ask->code);
        }
    }
    assert_string_equal(fixture->principal, "User:ANONYMOUS");
}

static void test_without_a_refusal_no_answer_has_its_code(void **state)
{
    struct fixture *fixture = *state;
    static const struct api_permission none;
    for (unsigned c = 0; c < ask_cases_count; c++) {
        refuse(fixture, none, none);
        call(fixture, &ask_cases[c]);
        if (ask_cases[c].code != 0 && answer_has(fixture, ask_cases[c].code)) {
            fail_msg("%s (case %u) has %d", wire_api_find(ask_cases[c].key)->name, c,
                     ask_cases[c].code);
        }
    }
}

static const struct api_entry *entry_of(int16_t key)
{
    int i = 0;
    while (api_table[i].key != key) {
        i++;
    }
    return &api_table[i];
}

static int16_t first_version(const struct ask_case *ask)
{
    int16_t lowest = entry_of(ask->key)->lowest_version;
    return ask->first > lowest ? ask->first : lowest;
}

static int16_t last_version(const struct ask_case *ask)
{
    return ask->before != 0 ? (int16_t)(ask->before - 1) : entry_of(ask->key)->highest_version;
}

static void test_every_version_tells_a_refusal(void **state)
{
    struct fixture *fixture = *state;
    int wrong = 0;
    for (unsigned c = 0; c < ask_cases_count; c++) {
        const struct ask_case *ask = &ask_cases[c];
        for (int16_t v = first_version(ask); v <= last_version(ask); v++) {
            refuse(fixture, ask->what, ask->also);
            call_version(fixture, ask, v);
            if (!was_asked(fixture, ask) || (ask->code != 0 && !answer_has(fixture, ask->code))) {
                print_error("%s %d (case %u) does not ask, or not answer with %d\n",
                            wire_api_find(ask->key)->name, v, c, ask->code);
                wrong++;
            }
        }
    }
    assert_int_equal(wrong, 0);
}

/* Each API has a case for each of its versions. */
static void test_every_version_has_a_case(void **state)
{
    (void)state;
    for (int i = 0; i < api_table_count; i++) {
        const struct api_entry *entry = &api_table[i];
        for (int16_t v = entry->lowest_version;
             entry->asks[0].operation != 0 && v <= entry->highest_version; v++) {
            bool found = false;
            for (unsigned c = 0; c < ask_cases_count && !found; c++) {
                const struct ask_case *ask = &ask_cases[c];
                found = ask->key == entry->key && first_version(ask) <= v && v <= last_version(ask);
            }
            if (!found) {
                fail_msg("%s: no case for version %d", wire_api_find(entry->key)->name, v);
            }
        }
    }
}

/* Appends the answer, but for its number, with what the names say in it made one. */
static void take_answer(struct fixture *fixture, const struct ask_case *ask, int16_t version,
                        const char *const names[3], struct buf *to)
{
    static const char *const common[3] = {TOPIC, GROUP, ID};
    ask_cases_name(names[0], names[1], names[2]);
    call_version(fixture, ask, version);
    ask_cases_name(common[0], common[1], common[2]);
    struct slice rest = buf_slice(&fixture->client.in);
    assert_null(memmem(rest.data, rest.size, "secret-", 7));
    buf_append(to, rest.data + 4, rest.size - 4);
    for (int i = 0; i < 3; i++) {
        size_t size = strlen(names[i]);
        uint8_t *at = to->data;
        while ((at = memmem(at, to->size - (size_t)(at - to->data), names[i], size)) != NULL) {
            memcpy(at, common[i], size);
            at += size;
        }
    }
}

/* What is there and what is not are told alike. */
static void test_who_may_nothing_learns_nothing_of_what_there_is(void **state)
{
    static const char *const there[3] = {TOPIC, GROUP, ID};
    static const char *const not_there[3] = {"topic-q", "group-q", "id-q"};
    struct fixture *fixture = *state;
    struct topic_plan plan = {.name = "secret-topic", .partitions = 1};
    int16_t code;
    assert_int_equal(client_create_topic(&fixture->client, &plan), 0);
    assert_true(client_commit(&fixture->client, "secret-group", TOPIC, 0, 0, &code));
    pthread_mutex_lock(&fixture->lock);
    fixture->refuses_all = true;
    pthread_mutex_unlock(&fixture->lock);
    for (unsigned c = 0; c < ask_cases_count; c++) {
        const struct ask_case *ask = &ask_cases[c];
        for (int16_t v = first_version(ask); v <= last_version(ask); v++) {
            struct buf one = {0}, other = {0};
            refuse(fixture, ask->what, ask->also);
            take_answer(fixture, ask, v, there, &one);
            take_answer(fixture, ask, v, not_there, &other);
            if (!slice_equal(buf_slice(&one), buf_slice(&other))) {
                fail_msg("%s %d (case %u) tells what there is", wire_api_find(ask->key)->name, v,
                         c);
            }
            buf_deinit(&one);
            buf_deinit(&other);
        }
    }
}

/* What nobody may see is not in lists. */
static void test_lists_leave_out_what_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct api_permission none;
    static const struct api_permission cluster = P(DESCRIBE, CLUSTER);
    static const struct api_permission group = P(DESCRIBE, GROUP);
    static const struct api_permission topic = P(DESCRIBE, TOPIC);
    struct list_groups_request list;
    struct list_groups_response groups;
    struct metadata_request all;
    struct metadata_response topics;
    list_groups_request_init(&list);
    metadata_request_init(&all);
    all.topics_count = -1;
    refuse(fixture, cluster, none);
    assert_true(client_call(&fixture->client, API_KEY_LIST_GROUPS, 4, &list, &groups));
    assert_int_equal(groups.groups_count, 2);
    refuse(fixture, cluster, group);
    assert_true(client_call(&fixture->client, API_KEY_LIST_GROUPS, 4, &list, &groups));
    assert_int_equal(groups.groups_count, 0);
    refuse(fixture, none, none);
    assert_true(client_call(&fixture->client, API_KEY_METADATA, 9, &all, &topics));
    assert_true(topics.topics_count > 0);
    refuse(fixture, topic, none);
    assert_true(client_call(&fixture->client, API_KEY_METADATA, 9, &all, &topics));
    assert_int_equal(topics.topics_count, 0);
}

/* A topic is made for who may not see its settings, and they are left out. */
static void test_a_created_topic_hides_its_settings(void **state)
{
    struct fixture *fixture = *state;
    static const struct api_permission none;
    static const struct api_permission settings = P(DESCRIBE_CONFIGS, TOPIC);
    union any_request request;
    struct create_topics_response response;
    fill_first(API_KEY_CREATE_TOPICS, &request);
    refuse(fixture, none, none);
    assert_true(client_call(&fixture->client, API_KEY_CREATE_TOPICS, 7, &request, &response));
    assert_int_equal(response.topics[0].topic_config_error_code, 0);
    assert_true(response.topics[0].configs_count > 0);
    refuse(fixture, settings, none);
    assert_true(client_call(&fixture->client, API_KEY_CREATE_TOPICS, 7, &request, &response));
    assert_int_equal(response.topics[0].error_code, 0);
    assert_int_equal(response.topics[0].topic_config_error_code, TOPIC_CODE);
    assert_int_equal(response.topics[0].configs_count, 0);
}

/* ---- the broker ---- */

/* A topic, a group with an offset, one of the consumer protocol, a transaction. */
static void make_resources(struct fixture *fixture)
{
    struct client *client = &fixture->client;
    struct topic_plan plan = {.name = TOPIC, .partitions = 1};
    int16_t code;
    union any_request request;
    static _Alignas(max_align_t) uint8_t any[4096];
    struct init_producer_id_response init;
    struct metadata_response metadata;
    assert_int_equal(client_create_topic(client, &plan), 0);
    fill_first(API_KEY_METADATA, &request);
    assert_true(client_call(client, API_KEY_METADATA, 10, &request, &metadata));
    ask_cases_topic_id(metadata.topics[0].topic_id);
    assert_true(client_commit(client, GROUP, TOPIC, 0, 0, &code));
    assert_int_equal(code, 0);
    fill_first(API_KEY_CONSUMER_GROUP_HEARTBEAT, &request);
    assert_true(client_call(client, API_KEY_CONSUMER_GROUP_HEARTBEAT, 0, &request, any));
    fill_first(API_KEY_INIT_PRODUCER_ID, &request);
    assert_true(client_call(client, API_KEY_INIT_PRODUCER_ID, 4, &request, &init));
    assert_int_equal(init.error_code, 0);
    int64_t producer_id = init.producer_id;
    int16_t epoch = init.producer_epoch;
    fill_first(API_KEY_ADD_PARTITIONS_TO_TXN, &request);
    request.add_partitions_to_txn.v3_and_below_producer_id = producer_id;
    request.add_partitions_to_txn.v3_and_below_producer_epoch = epoch;
    assert_true(client_call(client, API_KEY_ADD_PARTITIONS_TO_TXN, 3, &request, any));
}

static int setup(void **state)
{
    struct fixture *fixture = mem_new(struct fixture);
    struct overrides settings = {0};
    struct reason reason;
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/tidings-allow-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    overrides_set(&settings, slice_str("log.dirs"), slice_str(fixture->dir));
    overrides_set(&settings, slice_str("listeners"), slice_str("127.0.0.1:0"));
    overrides_set(&settings, slice_str("num.network.threads"), slice_str("1"));
    overrides_set(&settings, slice_str("log.level"), slice_str("error"));
    pthread_mutex_init(&fixture->lock, NULL);
    fixture->authorizer = (struct api_authorizer){.context = fixture, .allows = allows};
    if (server_start(&settings, file_ops_system(), &fixture->server, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    overrides_deinit(&settings);
    server_set_authorizer(fixture->server, &fixture->authorizer);
    fixture->client.fd = -1;
    const char *port = strrchr(server_addresses(fixture->server), ':') + 1;
    assert_true(client_connect(&fixture->client, (uint16_t)atoi(port)));
    make_resources(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    struct reason reason;
    client_deinit(&fixture->client);
    assert_int_equal(server_stop(fixture->server, &reason), ERR_NONE);
    char *command = mem_sprintf("rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
    free(command);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_a_case_for_each_thing_it_asks),
        TEST(test_every_api_asks_about_what_it_touches_and_tells_a_refusal),
        TEST(test_without_a_refusal_no_answer_has_its_code),
        cmocka_unit_test(test_every_version_has_a_case),
        TEST(test_every_version_tells_a_refusal),
        TEST(test_who_may_nothing_learns_nothing_of_what_there_is),
        TEST(test_lists_leave_out_what_is_refused),
        TEST(test_a_created_topic_hides_its_settings),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
