/* What is found of a story on a server, by an index that says what a test wants. */
#include "../client/bus_server.h"
#include "../unit.h"

#include "bus/story/story_ask.h"

static const uint8_t no_id[16];

/* What the index says of one name. */
struct entry {
    enum event_term_kind kind;
    const char *value, *topic;
    int64_t offset;
};

struct world {
    struct bus_server server;
    struct connection_settings settings;
    const struct entry *entries;
    size_t entry_count;
    struct story story;
};

static void world_init(struct world *world, const struct entry *entries, size_t count)
{
    *world = (struct world){.entries = entries, .entry_count = count};
    bus_server_start(&world->server);
    bus_server_topic(&world->server, "orders", 1);
    bus_server_topic(&world->server, "mails", 1);
    world->settings = bus_server_settings(&world->server);
}

static void world_deinit(struct world *world)
{
    story_deinit(&world->story);
    bus_server_stop(&world->server);
}

static void publish(struct world *world, const char *topic, const char *id, const char *cause)
{
    struct event_header headers[] = {{"ce_specversion", slice_str("1.0")},
                                     {"ce_id", slice_str(id)},
                                     {"ce_source", slice_str("/test")},
                                     {"ce_type", slice_str("test.made")},
                                     {"ce_causationid", slice_str(cause)}};
    struct event event = event_blank();
    event.topic = topic;
    event.partition = 0;
    event.headers = headers;
    event.header_count = cause != NULL ? 5 : 4;
    bus_server_put_event(&world->server, &event);
}

static enum client_status find(void *context, const struct story_term *terms, size_t count,
                               size_t most, int64_t deadline_ms,
                               bool (*found)(void *, const struct index_place *),
                               void *found_context, bool *is_cut, struct client_error *error)
{
    const struct world *world = context;
    (void)deadline_ms;
    (void)error;
    for (size_t i = 0; i < count; i++) {
        size_t given = 0;
        for (size_t k = 0; k < world->entry_count; k++) {
            const struct entry *entry = &world->entries[k];
            struct index_place place = {entry->topic, no_id, 0, entry->offset};
            if (terms[i].topic == NULL && terms[i].term.kind == entry->kind &&
                slice_equal(terms[i].term.value, slice_str(entry->value))) {
                *is_cut |= given == most;
                if (given++ >= most || !found(found_context, &place)) {
                    break;
                }
            }
        }
    }
    return CLIENT_OK;
}

static int64_t until(void *context, bool *is_whole)
{
    (void)context;
    *is_whole = true;
    return 1;
}

static void ask_question(struct world *world, const struct story_question *question)
{
    struct client_error error = {0};
    struct story_sources sources = {.connection = &world->settings,
                                    .finder = {.find = find, .until = until, .context = world}};
    enum client_status status = story_ask(&sources, question, &world->story, &error);
    if (status != CLIENT_OK) {
        fail_msg("%s", error.text);
    }
}

static void ask(struct world *world, const char *id)
{
    ask_question(world, &(struct story_question){.id = id, .offset = -1, .timeout_ms = 10000});
}

static size_t count_of(const struct world *world, const char *id)
{
    size_t count = 0;
    for (size_t i = 0; i < world->story.events.count; i++) {
        count += strcmp(world->story.events.items[i].attributes.id, id) == 0;
    }
    return count;
}

/* Where a topic was made again and the bus tells no ids, the index still has places of before. By
 * chance another event of the same story stands there now, which is found by a name of its own,
 * only later. */
static void test_a_place_of_before_hides_no_event_of_now(void **state)
{
    static const struct entry entries[] = {
        {EVENT_TERM_ID, "a", "orders", 0},        {EVENT_TERM_CAUSATION, "a", "mails", 0},
        {EVENT_TERM_CAUSATION, "a", "orders", 1}, {EVENT_TERM_ID, "b", "orders", 1},
        {EVENT_TERM_CAUSATION, "b", "mails", 0},  {EVENT_TERM_ID, "c", "mails", 0}};
    struct world world;
    (void)state;
    world_init(&world, entries, sizeof entries / sizeof entries[0]);
    publish(&world, "orders", "a", NULL);
    publish(&world, "orders", "b", "a");
    publish(&world, "mails", "c", "b"); /* an effect of "a" stood there before */
    ask(&world, "a");
    assert_int_equal(world.story.events.count, 3);
    assert_int_equal(count_of(&world, "c"), 1);
    assert_false(world.story.is_cut);
    world_deinit(&world);
}

/* Two names of one round that stand for one place give one event, and so do those of two rounds. */
static void test_an_event_with_many_names_is_told_once(void **state)
{
    static const struct entry entries[] = {
        {EVENT_TERM_ID, "a", "orders", 0}, {EVENT_TERM_CAUSATION, "a", "orders", 1},
        {EVENT_TERM_ID, "b", "orders", 1}, {EVENT_TERM_ID, "b", "orders", 0} /* a wrong one */,
        {EVENT_TERM_ID, "b", "mails", 0},  {EVENT_TERM_CAUSATION, "b", "mails", 0}};
    struct world world;
    (void)state;
    world_init(&world, entries, sizeof entries / sizeof entries[0]);
    publish(&world, "orders", "a", NULL);
    publish(&world, "orders", "b", "a");
    publish(&world, "mails", "b", "a");
    ask(&world, "a");
    assert_int_equal(world.story.events.count, 3);
    assert_int_equal(count_of(&world, "a"), 1);
    assert_int_equal(count_of(&world, "b"), 2);
    world_deinit(&world);
}

static bool says(const struct world *world, const char *what)
{
    for (size_t i = 0; i < world->story.horizon.count; i++) {
        if (strstr(world->story.horizon.items[i], what) != NULL) {
            return true;
        }
    }
    return false;
}

static void publish_key(struct world *world)
{
    struct event event = event_blank();
    event.topic = "orders";
    event.partition = 0;
    event.key = slice_str("k");
    event.value = slice_str("v");
    bus_server_put_event(&world->server, &event);
}

/* More places of before than are asked for at once, and than an answer has events. */
static void test_places_of_before_take_no_room_from_what_is_there(void **state)
{
    enum { BEFORE = 450 };
    struct entry entries[BEFORE + 2];
    struct world world;
    (void)state;
    for (int i = 0; i < BEFORE; i++) {
        entries[i] = (struct entry){EVENT_TERM_KEY, "k", "mails", i};
    }
    entries[BEFORE] = (struct entry){EVENT_TERM_KEY, "k", "orders", 0};
    entries[BEFORE + 1] = (struct entry){EVENT_TERM_KEY, "k", "orders", 1};
    world_init(&world, entries, BEFORE + 2);
    bus_server_put_numbers(&world.server, "mails", 0, 0, BEFORE);
    publish_key(&world);
    publish_key(&world);
    ask_question(
        &world, &(struct story_question){.key = slice_str("k"), .offset = -1, .timeout_ms = 60000});
    assert_int_equal(world.story.events.count, 2);
    assert_false(world.story.is_cut);
    world_deinit(&world);
}

/* The newest of its key are gone, more of them than are asked for at once. */
static void test_what_is_gone_takes_no_room_from_what_is_there(void **state)
{
    enum { GONE = 250 };
    struct entry entries[GONE + 1];
    struct world world;
    (void)state;
    for (int i = 0; i < GONE; i++) {
        entries[i] = (struct entry){EVENT_TERM_KEY, "k", "mails", i};
    }
    entries[GONE] = (struct entry){EVENT_TERM_KEY, "k", "orders", 0};
    world_init(&world, entries, GONE + 1);
    bus_server_put_numbers(&world.server, "mails", 0, 0, GONE);
    bus_server_delete_records(&world.server, "mails", GONE);
    publish_key(&world);
    ask_question(
        &world, &(struct story_question){.key = slice_str("k"), .offset = -1, .timeout_ms = 60000});
    assert_int_equal(world.story.events.count, 1);
    assert_true(says(&world, "250 events of it are gone from the log"));
    world_deinit(&world);
}

static void test_events_of_it_that_are_gone_are_told(void **state)
{
    static const struct entry entries[] = {{EVENT_TERM_ID, "a", "orders", 0},
                                           {EVENT_TERM_CAUSATION, "a", "mails", 0},
                                           {EVENT_TERM_CAUSATION, "a", "mails", 1},
                                           {EVENT_TERM_CAUSATION, "a", "mails", 2}};
    struct world world;
    (void)state;
    world_init(&world, entries, sizeof entries / sizeof entries[0]);
    publish(&world, "orders", "a", NULL);
    for (int i = 0; i < 3; i++) {
        publish(&world, "mails", "b", "a");
    }
    ask(&world, "a");
    assert_int_equal(world.story.events.count, 4);
    assert_false(says(&world, "gone from the log"));
    story_deinit(&world.story);
    bus_server_delete_records(&world.server, "mails", 2);
    ask(&world, "a");
    assert_int_equal(world.story.events.count, 2);
    assert_true(says(&world, "2 events of it are gone from the log"));
    world_deinit(&world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_place_of_before_hides_no_event_of_now),
        cmocka_unit_test(test_an_event_with_many_names_is_told_once),
        cmocka_unit_test(test_places_of_before_take_no_room_from_what_is_there),
        cmocka_unit_test(test_what_is_gone_takes_no_room_from_what_is_there),
        cmocka_unit_test(test_events_of_it_that_are_gone_are_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
