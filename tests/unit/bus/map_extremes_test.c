#include "../unit.h"

#include "base/utf8.h"
#include "bus/map/map_alert.h"
#include "bus/map/map_feed.h"
#include "bus/map/map_layout.h"
#include "bus/map/map_write.h"

#include <jansson.h>
#include <string.h>

/*
 * What any client may bring about: names of nothing, of 64 KiB, with NULs and of no UTF-8, times
 * from one end to the other, and 100,000 of everything. The map keeps its bounds, says what it
 * leaves out, and all that it writes can be shown.
 */
enum { MANY = 100000, LONG_BYTES = 64 << 10 };
static const int64_t now_ms = INT64_C(1800000000000);
static uint8_t long_name[LONG_BYTES];

static struct slice name_at(size_t number)
{
    static const struct {
        const char *bytes;
        size_t size;
    } names[] = {
        {"", 0},
        {"plain", 5},
        {"a\0b", 3},
        {"\0", 1},
        {"\xff\xfe\x80\xc0\xaf", 5},
        {"\xed\xa0\x80", 3},
        {"\xEF\xBF\xBE\xEF\xBF\xBF", 6},
        {"\x1b[2J\x07\r\n\t", 8},
        {"\xe2\x80\xae"
         "evil",
         7},
        {"</text><script>x</script>\"'`]];--&", 34},
        {"\xf0\x9f\x98\x80", 4},
    };
    enum { COUNT = sizeof names / sizeof names[0] };
    return number % (COUNT + 1) == COUNT
               ? slice_of(long_name, LONG_BYTES - number % 3)
               : slice_of(names[number % (COUNT + 1)].bytes, names[number % (COUNT + 1)].size);
}
enum { NAMES = 12 };

static void check_shown(const struct buf *text)
{
    for (size_t at = 0; at < text->size;) {
        struct slice rest = slice_of(text->data + at, text->size - at);
        size_t size = rest.data[0] == '\n' ? 1 : utf8_printable(rest);
        if (size == 0) {
            fail_msg("byte %zu is 0x%02x, behind '%.40s'", at, rest.data[0],
                     (const char *)text->data + (at > 40 ? at - 40 : 0));
        }
        at += size;
    }
}

static void check_json(json_t *json)
{
    struct buf text = {0};
    char *dump = json_dumps(json, JSON_COMPACT);
    assert_non_null(dump);
    assert_true(utf8_length(dump) > 0);
    free(dump);
    json_decref(json);
    buf_deinit(&text);
}

/* All that can be written of it. */
static void check_written(const struct map_facts *facts, int64_t at_ms)
{
    static void (*const writers[])(const struct map_graph *, struct buf *) = {
        map_write_text, map_write_dot, map_write_mermaid, map_write_svg};
    struct map_view view = {.now_ms = at_ms};
    struct map_graph graph;
    struct map_alerts *alerts = map_alerts_new();
    map_graph_build(facts, &view, &graph);
    assert_in_range(graph.nodes.count, 1, MAP_NODES_MAX);
    assert_in_range(graph.edges.count, 1, MAP_EDGES_MAX);
    map_layout(&graph);
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        struct buf text = {0};
        writers[i](&graph, &text);
        check_shown(&text);
        buf_deinit(&text);
    }
    check_json(map_json(&graph));
    check_json(map_diff_json(&graph, &graph));
    for (size_t i = 0, shown = 0; i < graph.nodes.count && shown < 20; i++) {
        struct buf text = {0};
        if (!graph.nodes.items[i].is_service) {
            map_write_who(&graph, &graph.nodes.items[i], &text);
            check_shown(&text);
            check_json(map_who_json(&graph, &graph.nodes.items[i]));
            shown++;
        }
        buf_deinit(&text);
    }
    map_alerts_look(alerts, &graph, NULL, NULL);
    map_alerts_look(alerts, &graph, NULL, NULL);
    check_json(map_alerts_json(alerts));
    map_alerts_free(alerts);
    map_graph_deinit(&graph);
}

static bool find_odd(void *context, int64_t producer_id, struct slice names[MAP_NAMES])
{
    (void)context;
    names[MAP_CLIENT] = name_at((size_t)producer_id);
    names[MAP_PRINCIPAL] = name_at((size_t)producer_id / NAMES);
    return producer_id >= 0;
}

static void test_odd_names_and_times_of_events(void **state)
{
    static const int64_t times[] = {INT64_MIN,     -1,       0, 1, INT64_C(1800000000000),
                                    INT64_MAX - 1, INT64_MAX};
    static const char *const keys[] = {"ce_type",
                                       "ce_source",
                                       "ce_id",
                                       "ce_causationid",
                                       "traceparent",
                                       "ce_correlationid",
                                       "__dlq.errors.topic",
                                       "__dlq.errors.group"};
    enum { KEYS = sizeof keys / sizeof keys[0], TIMES = sizeof times / sizeof times[0] };
    struct map_facts facts;
    (void)state;
    memset(long_name, 'x', sizeof long_name);
    map_facts_init(&facts, now_ms - 1000000);
    facts.has_observer = true;
    struct map_feed *feed = map_feed_new(&facts, find_odd, NULL);
    for (size_t i = 0; i < (size_t)NAMES * NAMES * TIMES; i++) {
        struct event_header headers[KEYS];
        struct feed_event event = {.event = event_blank(),
                                   .producer_id = i % 3 == 0 ? (int64_t)i : -1};
        struct feed_piece piece = {.kind = FEED_EVENTS,
                                   .source = {.topic = i % 7 == 0 ? "dlq.x" : "orders",
                                              .topic_id = {1},
                                              .partition = i % 5 == 0 ? INT32_MAX : (int32_t)i % 3},
                                   .events = &event,
                                   .count = 1,
                                   .damaged_from = -1};
        for (size_t k = 0; k < KEYS; k++) {
            headers[k] = (struct event_header){keys[k], name_at(i / (k + 1) + k)};
        }
        event.event.headers = headers;
        event.event.header_count = KEYS;
        event.event.timestamp_ms = times[i % TIMES];
        event.event.offset = i % 11 == 0 ? INT64_MAX - 1 : (int64_t)i;
        piece.next_offset = event.event.offset + 1;
        piece.end_offset = i % 13 == 0 ? INT64_MAX : i % 17 == 0 ? INT64_MIN : piece.next_offset;
        map_feed_take(feed, &piece, now_ms + (int64_t)i);
        int64_t oldest_ms;
        assert_true(map_feed_lag(feed, slice_str("orders"), 0, i % 2 == 0 ? 0 : INT64_MAX,
                                 &oldest_ms) >= -1);
    }
    map_facts_tick(&facts, now_ms + 10000, 500);
    check_written(&facts, now_ms + 10000);
    map_facts_tick(&facts, INT64_MAX, INT64_MAX);
    map_feed_free(feed);
    map_facts_deinit(&facts);
}

/* Where the clock of the machine itself is at an end. */
static void test_odd_times_of_the_map(void **state)
{
    static const int64_t times[] = {0, 1, INT64_C(1800000000000), INT64_C(253402300799999)};
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct map_facts facts;
        map_facts_init(&facts, times[i]);
        for (size_t j = 0; j < (size_t)4 * NAMES; j++) {
            struct map_fact_key key = {.kind = j % 2 == 0 ? MAP_PUBLISHES : MAP_CONSUMES,
                                       .topic = name_at(j / 2)};
            key.names[j % MAP_NAMES] = name_at(j);
            struct map_fact *fact = map_facts_reach(&facts, &key, times[i]);
            map_fact_add(fact, UINT64_MAX, UINT64_MAX, times[j % 4]);
            map_fact_took(fact, INT64_MIN);
            map_fact_took(fact, INT64_MAX);
            fact->lag = INT64_MAX;
            fact->oldest_ms = times[(j + 1) % 4];
            fact->members = j % 3 == 0 ? 0 : INT32_MAX;
            fact->connections = j % 4 == 0 ? 0 : INT32_MAX;
            fact->session_timeout_ms = INT32_MAX;
            fact->errors = UINT64_MAX;
        }
        map_facts_tick(&facts, times[i], 1);
        check_written(&facts, times[i]);
        map_facts_deinit(&facts);
    }
}

static struct map_fact *reach(struct map_facts *facts, enum map_fact_kind kind, enum map_name name,
                              char letter, int number)
{
    char who[16], what[16];
    struct map_fact_key key = {.kind = kind};
    snprintf(who, sizeof who, "%c%d", letter, number);
    snprintf(what, sizeof what, "t%d", number);
    key.names[name] = slice_str(who);
    if (kind != MAP_JOINED) {
        key.topic = slice_str("events");
    }
    if (kind == MAP_PUBLISHES) {
        key.type = slice_str(what);
    }
    return map_facts_reach(facts, &key, now_ms);
}

static void test_a_hundred_thousand_of_everything(void **state)
{
    struct map_facts facts;
    size_t taken = 0;
    (void)state;
    map_facts_init(&facts, now_ms - 1000000);
    for (int turn = 0; turn < 3; turn++) { /* those without a place come again and again */
        for (int i = 0; i < MANY; i++) {
            char type[16];
            snprintf(type, sizeof type, "t%d", i);
            struct map_fact_key carries = {
                .kind = MAP_CARRIES, .topic = slice_str("events"), .type = slice_str(type)};
            struct map_fact *made[] = {
                map_facts_reach(&facts, &carries, now_ms),
                reach(&facts, MAP_PUBLISHES, MAP_SOURCE, 's', i),
                reach(&facts, MAP_CONSUMES, MAP_GROUP, 'g', i),
                reach(&facts, MAP_JOINED, MAP_CLIENT, 'c', i),
            };
            for (size_t j = 0; j < 4; j++) {
                taken += made[j] != NULL && turn == 0;
                if (made[j] != NULL) {
                    map_fact_add(made[j], 1, 1, now_ms);
                }
            }
        }
    }
    assert_int_equal(taken, MAP_FACTS_MAX);
    assert_int_equal(HASH_COUNT(facts.by_key), MAP_FACTS_MAX);
    assert_in_range(map_left_out_count(&facts.left_out), (4 * MANY - MAP_FACTS_MAX) * 0.97,
                    (4 * MANY - MAP_FACTS_MAX) * 1.03);
    check_written(&facts, now_ms);
    map_facts_deinit(&facts);
}

/* A circle of causes through all types, and each type causes several: loops are looked for. */
static void test_very_many_causes(void **state)
{
    enum { CAUSES = 1900 };
    struct map_facts facts;
    (void)state;
    map_facts_init(&facts, now_ms - 1000000);
    for (int i = 0; i < CAUSES; i++) {
        for (int j = 1; j <= 4; j++) {
            char type[16], other[16];
            struct map_fact_key key = {.kind = MAP_CAUSES};
            snprintf(type, sizeof type, "t%d", i);
            snprintf(other, sizeof other, "t%d", (i + j) % CAUSES);
            key.type = slice_str(type);
            key.other = slice_str(i + j < CAUSES ? other : "end");
            map_fact_add(map_facts_reach(&facts, &key, now_ms), 1, 1, now_ms);
        }
    }
    check_written(&facts, now_ms);
    map_facts_deinit(&facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odd_names_and_times_of_events),
        cmocka_unit_test(test_odd_times_of_the_map),
        cmocka_unit_test(test_a_hundred_thousand_of_everything),
        cmocka_unit_test(test_very_many_causes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
