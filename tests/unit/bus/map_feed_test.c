#include "../unit.h"

#include "bus/map/flow_history.h"
#include "bus/map/map_feed.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

/* What the flow map learns of events, and keeps. */
enum { NOW_MS = 1800000000 };
static const int64_t now_ms = (int64_t)NOW_MS * 1000;

struct bench {
    struct map_facts facts;
    struct map_feed *feed;
    int asked;
};

static bool find_shop(void *context, int64_t producer_id, struct slice names[MAP_NAMES])
{
    struct bench *bench = context;
    bench->asked++;
    names[MAP_CLIENT] = slice_str("shop-app");
    return producer_id == 7;
}

static int setup(void **state)
{
    struct bench *bench = mem_new(struct bench);
    map_facts_init(&bench->facts, now_ms);
    bench->feed = map_feed_new(&bench->facts, find_shop, bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    map_feed_free(bench->feed);
    map_facts_deinit(&bench->facts);
    free(bench);
    return 0;
}

/* Name, value, name, value, ..., NULL. */
static struct feed_event event_with(struct event_header *headers, int64_t offset, int64_t time_ms,
                                    const char *const *pairs)
{
    struct feed_event event = {.event = event_blank(), .producer_id = -1};
    event.event.offset = offset;
    event.event.timestamp_ms = time_ms;
    event.event.value = slice_str("0123456789");
    event.event.headers = headers;
    for (; pairs[0] != NULL; pairs += 2) {
        headers[event.event.header_count++] = (struct event_header){pairs[0], slice_str(pairs[1])};
    }
    return event;
}

static struct feed_piece piece_of(const char *topic, const struct feed_event *events, size_t count)
{
    int64_t first = count > 0 ? events[0].event.offset : 0;
    return (struct feed_piece){.kind = FEED_EVENTS,
                               .source = {.topic = topic, .topic_id = {1}},
                               .events = events,
                               .count = count,
                               .next_offset = first + (int64_t)count,
                               .end_offset = first + (int64_t)count,
                               .damaged_from = -1};
}

static void take_one(struct bench *bench, const char *topic, int64_t offset, int64_t time_ms,
                     const char *const *pairs)
{
    struct event_header headers[8];
    struct feed_event event = event_with(headers, offset, time_ms, pairs);
    struct feed_piece piece = piece_of(topic, &event, 1);
    map_feed_take(bench->feed, &piece, now_ms);
}

static struct map_fact *find(struct bench *bench, enum map_fact_kind kind, const char *source,
                             const char *client, const char *topic, const char *type,
                             const char *other)
{
    struct map_fact_key key = {.kind = kind,
                               .topic = slice_str(topic),
                               .type = slice_str(type),
                               .other = slice_str(other)};
    key.names[MAP_SOURCE] = slice_str(source);
    key.names[MAP_CLIENT] = slice_str(client);
    return map_facts_find(&bench->facts, &key);
}

static void test_types_sources_and_producers_are_learned(void **state)
{
    struct bench *bench = *state;
    struct event_header headers[2];
    static const char *const pairs[] = {"ce_type", "OrderPlaced", "ce_source", "/shop", NULL};
    struct feed_event event = event_with(headers, 5, now_ms + 5000, pairs);
    event.producer_id = 7;
    struct feed_piece piece = piece_of("orders", &event, 1);
    map_feed_take(bench->feed, &piece, now_ms);
    map_feed_take(bench->feed, &piece, now_ms);
    struct map_fact *fact =
        find(bench, MAP_PUBLISHES, "/shop", "shop-app", "orders", "OrderPlaced", NULL);
    assert_non_null(fact);
    assert_int_equal(fact->events, 2);
    assert_int_equal(fact->bytes, 20);
    assert_int_equal(fact->last_ms, now_ms); /* the producer's clock is ahead */
    assert_int_equal(bench->asked, 1);
    assert_non_null(find(bench, MAP_CARRIES, NULL, NULL, "orders", "OrderPlaced", NULL));
    take_one(bench, "plain", 0, now_ms, &pairs[4]);
    assert_int_equal(find(bench, MAP_CARRIES, NULL, NULL, "plain", NULL, NULL)->events, 1);
    take_one(bench, "__consumer_offsets", 0, now_ms, pairs);
    assert_null(find(bench, MAP_CARRIES, NULL, NULL, "__consumer_offsets", "OrderPlaced", NULL));
}

static void test_causes_are_found_in_their_correlation_and_by_trace(void **state)
{
    struct bench *bench = *state;
    take_one(bench, "orders", 0, now_ms - 1000,
             (const char *[]){"ce_type", "OrderPlaced", "ce_id", "1", NULL});
    take_one(bench, "orders", 1, now_ms - 900,
             (const char *[]){"ce_type", "Other", "ce_id", "1", "ce_correlationid", "9", NULL});
    take_one(bench, "invoices", 0, now_ms - 700,
             (const char *[]){"ce_type", "InvoiceSent", "ce_id", "2", "ce_causationid", "1",
                              "ce_correlationid", "1", NULL});
    struct map_fact *fact = find(bench, MAP_CAUSES, NULL, NULL, NULL, "OrderPlaced", "InvoiceSent");
    assert_non_null(fact);
    assert_int_equal((int)fact->took_ms, 300);
    assert_false(fact->is_inferred);
    assert_int_equal(find(bench, MAP_CAUSES, NULL, NULL, NULL, "OrderPlaced", NULL)->events, 1);
    take_one(bench, "invoices", 1, now_ms - 600,
             (const char *[]){"ce_type", "InvoiceSent", "ce_id", "3", "ce_causationid", "1",
                              "ce_correlationid", "9", NULL});
    assert_non_null(find(bench, MAP_CAUSES, NULL, NULL, NULL, "Other", "InvoiceSent"));
    assert_int_equal(fact->events, 1);
    /* partitions are read one after the other: an effect may come first */
    take_one(bench, "shipments", 0, now_ms - 500,
             (const char *[]){"ce_type", "Shipped", "ce_id", "5", "ce_causationid", "4",
                              "ce_correlationid", "1", NULL});
    take_one(
        bench, "invoices", 2, now_ms - 600,
        (const char *[]){"ce_type", "InvoiceSent", "ce_id", "4", "ce_correlationid", "1", NULL});
    struct map_fact *early = find(bench, MAP_CAUSES, NULL, NULL, NULL, "InvoiceSent", "Shipped");
    assert_int_equal(early->events, 1);
    assert_int_equal((int)early->took_ms, 100);
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    take_one(bench, "a", 0, now_ms - 50,
             (const char *[]){"ce_type", "A", "traceparent", trace, NULL});
    take_one(bench, "b", 0, now_ms, (const char *[]){"ce_type", "B", "traceparent", trace, NULL});
    assert_true(find(bench, MAP_CAUSES, NULL, NULL, NULL, "A", "B")->is_inferred);
}

static void test_of_a_busy_bus_some_events_stand_for_all(void **state)
{
    struct bench *bench = *state;
    enum { EACH = 1000, PIECES = 20 };
    struct event_header headers[1];
    static const char *const pairs[] = {"ce_type", "Tick", NULL};
    struct feed_event *events = mem_new_array(struct feed_event, EACH);
    for (int i = 0; i < EACH; i++) {
        events[i] = event_with(headers, i, now_ms, pairs);
    }
    for (int i = 0; i < PIECES; i++) {
        struct feed_piece piece = piece_of("ticks", events, EACH);
        map_feed_take(bench->feed, &piece, now_ms);
    }
    struct map_fact *fact = find(bench, MAP_CARRIES, NULL, NULL, "ticks", "Tick", NULL);
    assert_int_equal(fact->events, EACH * PIECES);
    assert_int_equal(fact->bytes, EACH * PIECES * 10);
    free(events);
}

static void test_lags_and_the_age_of_what_waits(void **state)
{
    struct bench *bench = *state;
    static const char *const pairs[] = {NULL};
    int64_t oldest_ms;
    for (int i = 0; i < 100; i++) {
        take_one(bench, "orders", i, now_ms - 100000 + i * 1000, pairs);
    }
    assert_int_equal(map_feed_lag(bench->feed, slice_str("orders"), 0, 100, &oldest_ms), 0);
    assert_int_equal(oldest_ms, 0);
    assert_int_equal(map_feed_lag(bench->feed, slice_str("orders"), 0, 90, &oldest_ms), 10);
    assert_in_range(now_ms - oldest_ms, 10000, 26000); /* in steps: some are left out */
    assert_int_equal(map_feed_lag(bench->feed, slice_str("none"), 0, 90, &oldest_ms), -1);
    struct feed_piece gone = {.kind = FEED_GONE, .source = {.topic = "orders", .topic_id = {1}}};
    map_feed_take(bench->feed, &gone, now_ms);
    assert_int_equal(map_feed_next(bench->feed, &gone.source), -1);
}

static void test_dead_letters_count_for_their_group(void **state)
{
    struct bench *bench = *state;
    take_one(bench, "dlq.mail", 0, now_ms - 5,
             (const char *[]){"__dlq.errors.topic", "orders", "__dlq.errors.group", "mail", NULL});
    struct map_fact_key key = {.kind = MAP_CONSUMES, .topic = slice_str("orders")};
    key.names[MAP_GROUP] = slice_str("mail");
    struct map_fact *fact = map_facts_find(&bench->facts, &key);
    assert_int_equal(fact->errors, 1);
    assert_int_equal(fact->error_ms, now_ms - 5);
}

/* --- history --- */

static char *make_dir(void)
{
    char *dir = mem_strdup("/tmp/tidings-flows-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void remove_dir(char *dir, char *path)
{
    flow_history_remove(path);
    assert_int_equal(rmdir(dir), 0);
    free(dir);
    free(path);
}

static struct flow_history *open_it(const char *path)
{
    struct flow_history *history;
    struct reason reason;
    assert_int_equal(flow_history_open(path, &history, &reason), ERR_NONE);
    return history;
}

static void flush(struct flow_history *history, struct bench *bench, int64_t at_ms)
{
    struct reason reason;
    struct flow_place place = {.topic = slice_str("orders"), .next = 5, .end = 6};
    assert_int_equal(flow_history_flush(history, &bench->facts, &place, 1, at_ms, &reason),
                     ERR_NONE);
}

static void note_place(void *context, const struct flow_place *place)
{
    assert_int_equal(place->next, 5);
    assert_int_equal(place->end, 6);
    assert_true(slice_equal_str(place->topic, "orders"));
    ++*(int *)context;
}

static const char *const placed[] = {"ce_type", "OrderPlaced", "ce_source", "/shop", NULL};

static void test_what_was_kept_is_there_again_and_at_each_time(void **state)
{
    struct bench *bench = *state;
    char *dir = make_dir(), *path = mem_sprintf("%s/flows.db", dir);
    struct flow_history *history = open_it(path);
    struct map_facts facts;
    struct reason reason;
    int places = 0;
    take_one(bench, "orders", 0, now_ms, placed);
    flush(history, bench, now_ms);
    for (int i = 0; i < 600; i++) {
        take_one(bench, "orders", 1 + i, now_ms, placed);
    }
    flush(history, bench, now_ms + 3600000);
    flow_history_close(history);

    history = open_it(path);
    map_facts_init(&facts, now_ms + 9000000);
    assert_int_equal(flow_history_load(history, &facts, &reason), ERR_NONE);
    assert_int_equal(facts.began_ms, now_ms);
    assert_int_equal(HASH_COUNT(facts.by_key), HASH_COUNT(bench->facts.by_key));
    assert_int_equal(flow_history_places(history, note_place, &places, &reason), ERR_NONE);
    assert_int_equal(places, 1);
    struct map_fact_key key = {
        .kind = MAP_CARRIES, .topic = slice_str("orders"), .type = slice_str("OrderPlaced")};
    assert_int_equal(map_facts_find(&facts, &key)->events, 601);
    map_facts_deinit(&facts);

    map_facts_init(&facts, now_ms);
    assert_int_equal(flow_history_at(history, now_ms + 3660000, &facts, &reason), ERR_NONE);
    assert_true(map_facts_find(&facts, &key)->rate > 1.9);
    map_facts_deinit(&facts);
    map_facts_init(&facts, now_ms);
    assert_int_equal(flow_history_at(history, now_ms - 1000, &facts, &reason), ERR_NONE);
    assert_null(map_facts_find(&facts, &key));
    map_facts_deinit(&facts);

    assert_int_equal(flow_history_thin(history, now_ms + 5LL * 365 * 86400000, &reason), ERR_NONE);
    map_facts_init(&facts, now_ms);
    assert_int_equal(flow_history_at(history, now_ms + 3660000, &facts, &reason), ERR_NONE);
    assert_true(map_facts_find(&facts, &key)->rate == 0);
    map_facts_deinit(&facts);
    flow_history_close(history);
    remove_dir(dir, path);
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void test_a_damaged_database_is_told_and_can_be_begun_anew(void **state)
{
    struct bench *bench = *state;
    char *dir = make_dir(), *path = mem_sprintf("%s/flows.db", dir);
    struct flow_history *history;
    struct reason reason;
    write_text(path, "this is no database, and long enough that nobody takes it for an empty one; "
                     "SQLite looks at the first hundred bytes");
    assert_int_equal(flow_history_open(path, &history, &reason), ERR_CORRUPT);
    assert_null(history);
    flow_history_remove(path);
    history = open_it(path);
    take_one(bench, "orders", 0, now_ms, placed);
    flush(history, bench, now_ms);
    flow_history_close(history);
    remove_dir(dir, path);
}

static void note_id(void *context, const struct flow_place *place)
{
    static const uint8_t none[sizeof place->topic_id];
    assert_memory_equal(place->topic_id, none, sizeof none);
    ++*(int *)context;
}

static void test_a_place_whose_topic_id_is_damaged_has_none(void **state)
{
    static const char *const ids[] = {"NULL", "x''", "x'01'", "'0123456789abcdefg'", "17"};
    struct bench *bench = *state;
    char *dir = make_dir(), *path = mem_sprintf("%s/flows.db", dir);
    struct reason reason;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char *spoil = mem_sprintf("UPDATE place SET id = %s", ids[i]);
        int places = 0;
        sqlite3 *sqlite;
        struct flow_history *history = open_it(path);
        flush(history, bench, now_ms);
        flow_history_close(history);
        assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
        (void)sqlite3_exec(sqlite, spoil, NULL, NULL, NULL);
        sqlite3_close(sqlite);
        free(spoil);
        history = open_it(path);
        assert_int_equal(flow_history_places(history, note_id, &places, &reason), ERR_NONE);
        assert_int_equal(places, 1);
        flow_history_close(history);
    }
    remove_dir(dir, path);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_types_sources_and_producers_are_learned, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_causes_are_found_in_their_correlation_and_by_trace,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_a_busy_bus_some_events_stand_for_all, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lags_and_the_age_of_what_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dead_letters_count_for_their_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_kept_is_there_again_and_at_each_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_place_whose_topic_id_is_damaged_has_none, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_database_is_told_and_can_be_begun_anew,
                                        setup, teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
