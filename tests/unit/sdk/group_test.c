/* libtidings against a server: services as members of their groups. */
#include "../unit.h"
#include "service_fixture.h"

struct gate {
    struct seen *seen;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_open;
};

static enum tidings_verdict wait_at_gate(struct tidings *service, const struct tidings_event *event,
                                         void *context)
{
    struct gate *gate = context;
    seen_add(gate->seen, event->data);
    pthread_mutex_lock(&gate->lock);
    while (!gate->is_open) {
        pthread_cond_wait(&gate->opened, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
    return TIDINGS_DONE;
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

/* A handler that hangs is told, keeps its place, and others of the group come and go meanwhile. */
static void test_a_hanging_handler_harms_only_itself(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "hangs", 2);
    struct seen *lines = seen_new(), *other = seen_new();
    struct gate gate = {
        .seen = seen_new(), .lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct flaky to_other = {.seen = other, .fails_on = ""};
    struct tidings_options options = options_of(bus, "hangers");
    options.log_context = lines;
    options.handler_warn_ms = 30;
    struct tidings *hanging = service_of(&options), *fine = service_new(bus, "hangers");
    tidings_on(hanging, "hangs", NULL, wait_at_gate, &gate, NULL);
    tidings_on(fine, "hangs", NULL, fail_sometimes, &to_other, NULL);
    bus_server_put(bus, "hangs", 0, "stuck");
    bus_server_put(bus, "hangs", 1, "waits");
    struct runner hanging_runner, fine_runner;
    runner_start(&hanging_runner, hanging);
    seen_wait(gate.seen, 1);
    seen_wait_part(lines, "the handler has been at");
    seen_wait_part(lines, " offset 0) for "); /* of either partition: which comes first is open */
    runner_start(&fine_runner, fine);
    seen_wait(other, 1); /* it got its share though the other one does not return */
    gate_open(&gate);
    runner_stop(&fine_runner);
    runner_stop(&hanging_runner);
    assert_true(bus_server_committed(bus, "hangers", "hangs", 0) +
                    bus_server_committed(bus, "hangers", "hangs", 1) >=
                1);
    free(lines);
    free(other);
    free(gate.seen);
}

/* "From the end" is for the first start: what is added later is handled from its first event. */
static void test_a_service_from_the_end_skips_nothing_later(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "ends", 1);
    bus_server_put(bus, "ends", 0, "before");
    struct seen *lines = seen_new();
    struct flaky flaky = {.seen = seen_new(), .fails_on = ""};
    struct tidings_options options = options_of(bus, "enders");
    options.from_end = true;
    options.log_context = lines;
    struct tidings *service = service_of(&options);
    tidings_on(service, "ends", NULL, fail_sometimes, &flaky, NULL);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait_part(lines, "holds 1 partition:");
    assert_int_equal(bus_server_committed(bus, "enders", "ends", 0), 1); /* before any event */
    assert_int_equal(admin_add_partitions(bus->connection, "ends", 2, NULL), CLIENT_OK);
    size_t known = 0; /* by whoever the publisher asks */
    while (known < 2) {
        struct admin_topics grown;
        assert_int_equal(
            admin_topic(publisher_connection(bus->publisher), "ends", false, &grown, NULL),
            CLIENT_OK);
        known = grown.items[0].partitions.count;
        admin_topics_deinit(&grown);
    }
    bus_server_put(bus, "ends", 1, "added"); /* before the service knows of the partition */
    seen_wait(flaky.seen, 1);
    runner_stop(&runner);
    assert_string_equal(flaky.seen->texts[0], "added");
    free(flaky.seen);
    free(lines);
}

static int seen_both(struct seen *one, struct seen *two)
{
    pthread_mutex_lock(&one->lock);
    pthread_mutex_lock(&two->lock);
    int count = one->count + two->count;
    pthread_mutex_unlock(&two->lock);
    pthread_mutex_unlock(&one->lock);
    return count;
}

/*
 * Cooperative: nothing is lost, and nothing handled twice when partitions move orderly. A machine
 * that stands still at the wrong moment may have a commit refused: then a line says that events may
 * come again, and they may.
 */
static void test_instances_share_partitions_without_loss_or_repeat(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "shared", 4);
    bus_server_topic(bus, "elsewhere", 1);
    struct seen *one = seen_new(), *two = seen_new(), *lines = seen_new();
    struct seen *first_lines = seen_new();
    struct tidings *first = service_new_telling(bus, "sharers", first_lines);
    struct tidings *second = service_new_telling(bus, "sharers", lines);
    struct flaky to_one = {.seen = one, .fails_on = ""}, to_two = {.seen = two, .fails_on = ""};
    tidings_on(first, "shared", NULL, fail_sometimes, &to_one, NULL);
    tidings_on(second, "shared", NULL, fail_sometimes, &to_two, NULL);
    struct runner runner_one, runner_two;
    runner_start(&runner_one, first);
    runner_start(&runner_two, second);
    int put = 0;
    bool is_last = false;
    while (!is_last) { /* one round more when the second one has got its share */
        is_last = has_part(lines, "holds 2 partitions");
        for (int32_t p = 0; p < 4; p++, put++) {
            char text[16];
            snprintf(text, sizeof text, "e%d", put);
            bus_server_put(bus, "shared", p, text);
        }
        for (int i = 0; i < 20 || seen_both(one, two) < put; i++) {
            bus_server_put(bus, "elsewhere", 0, "time passes"); /* a round trip, not a sleep */
        }
    }
    runner_stop(&runner_two);
    runner_stop(&runner_one);
    assert_true(two->count > 0);
    if (has_part(lines, "may come again") || has_part(first_lines, "may come again")) {
        assert_true(one->count + two->count >= put);
    } else {
        assert_int_equal(one->count + two->count, put);
    }
    for (int i = 0; i < put; i++) {
        char text[16];
        snprintf(text, sizeof text, "e%d", i);
        assert_true(index_of(one, text) >= 0 || index_of(two, text) >= 0);
    }
    free(one);
    free(two);
    free(lines);
    free(first_lines);
}

/* Two gates, and "second" waits at the second one. */
static enum tidings_verdict wait_at_gates(struct tidings *service,
                                          const struct tidings_event *event, void *context)
{
    struct gate *gates = context;
    return wait_at_gate(service, event, &gates[strcmp(event->data, "second") == 0]);
}

static int times_seen(const struct seen *seen, const char *text)
{
    int times = 0;
    for (int i = 0; i < seen->count; i++) {
        times += strcmp(seen->texts[i], text) == 0;
    }
    return times;
}

/*
 * The bus is away for longer than a static member's session. An event of before is in hand all the
 * while. Both are in hand before the bus goes, so that nothing is waited for that only the bus
 * could bring; a machine that stands still for a session before that has them come once more.
 */
static void test_a_static_member_that_was_away_too_long_goes_on(void **state)
{
    enum { SESSION_MS = 4000 };
    struct bus_server *bus = *state;
    if (bus_server_is_foreign()) {
        print_message("skip: sessions begin anew when all nodes of a cluster come back\n");
        skip();
    }
    bus_server_topic(bus, "away", 1);
    bus_server_put(bus, "away", 0, "first");
    bus_server_put(bus, "away", 0, "second");
    struct seen *lines = seen_new(), *seen = seen_new();
    struct gate gates[] = {
        {.seen = seen, .lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER},
        {.seen = seen, .lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER}};
    struct tidings_options options = options_of(bus, "stayers");
    options.instance = "one";
    options.session_timeout_ms = SESSION_MS;
    options.order = TIDINGS_UNORDERED;
    options.log_context = lines;
    struct tidings *service = service_of(&options);
    tidings_on(service, "away", NULL, wait_at_gates, gates, NULL);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait_for(seen, "first");
    seen_wait_for(seen, "second");
    bus_server_kill(bus);
    int before = seen_count(seen);
    gate_open(&gates[0]); /* what is done now is committed in vain */
    seen_wait_part(lines, "holds 0 partitions");
    bus_server_start_again(bus);
    seen_wait(seen, before + 2); /* from what was committed on */
    gate_open(&gates[1]);
    bus_server_put(bus, "away", 0, "third");
    seen_wait_for(seen, "third");
    runner_stop(&runner);
    assert_int_equal(bus_server_committed(bus, "stayers", "away", 0), 3);
    assert_true(times_seen(seen, "first") >= 2); /* the two were not committed: at least once */
    assert_true(times_seen(seen, "second") >= 2);
    assert_int_equal(times_seen(seen, "third"), 1);
    free(lines);
    free(seen);
}

/* Nothing is published meanwhile: the answers of the bus alone tell that it is there. */
static void test_a_bus_that_is_back_is_told_without_an_event(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "idle", 1);
    struct seen *lines = seen_new(), *seen = seen_new();
    struct flaky never = {.seen = seen, .fails_on = ""};
    struct tidings *service = service_new_telling(bus, "idlers", lines);
    tidings_on(service, "idle", NULL, fail_sometimes, &never, NULL);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait_part(lines, "holds 1 partition:");
    bus_server_kill(bus);
    seen_wait_part(lines, "no bus answers");
    assert_false(has_part(lines, "answers again"));
    bus_server_start_again(bus);
    seen_wait_part(lines, "answers again");
    runner_stop(&runner);
    free(lines);
    free(seen);
}

/* Two processes with one instance name: the later one has it, and the other one says so and ends.
 */
static void test_a_member_whose_place_was_taken_ends(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "place", 1);
    struct seen *lines = seen_new();
    struct flaky to_first = {.seen = seen_new(), .fails_on = ""};
    struct flaky to_second = {.seen = seen_new(), .fails_on = ""};
    struct tidings_options options = options_of(bus, "placed");
    options.instance = "one";
    options.session_timeout_ms = 60000; /* who stood still for longer would take it back */
    options.log_context = lines;
    struct tidings *first = service_of(&options);
    options.log_context = NULL;
    struct tidings *second = service_of(&options);
    tidings_on(first, "place", NULL, fail_sometimes, &to_first, NULL);
    tidings_on(second, "place", NULL, fail_sometimes, &to_second, NULL);
    struct runner first_runner, second_runner;
    runner_start(&first_runner, first);
    bus_server_put(bus, "place", 0, "a");
    seen_wait_for(to_first.seen, "a");
    runner_start(&second_runner, second);
    pthread_join(first_runner.thread, NULL);
    assert_int_equal(first_runner.status, TIDINGS_FATAL);
    tidings_free(first);
    bus_server_put(bus, "place", 0, "b");
    seen_wait_for(to_second.seen, "b");
    runner_stop(&second_runner);
    assert_true(has_part(lines, "cannot go on: instance 'one' of group 'placed' is another"));
    assert_false(has_part(lines, "joins again"));
    assert_int_equal(bus_server_committed(bus, "placed", "place", 0), 2);
    free(lines);
    free(to_first.seen);
    free(to_second.seen);
}

/* Topics by a pattern, also those that are made later; the handler that names most is asked. */
static void test_a_pattern_takes_topics_that_come_later(void **state)
{
    struct bus_server *bus = *state;
    struct tidings_error error;
    struct seen *lines = seen_new();
    struct flaky by_pattern = {.seen = seen_new(), .fails_on = ""};
    struct flaky by_name = {.seen = seen_new(), .fails_on = ""};
    struct tidings *service = service_new_telling(bus, "patterns", lines);
    tidings_on(service, "^many\\.", NULL, fail_sometimes, &by_pattern, NULL);
    tidings_on(service, "many.named", NULL, fail_sometimes, &by_name, NULL);
    assert_int_equal(tidings_on(service, "^many(", NULL, fail_sometimes, &by_pattern, &error),
                     TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "'^many(' is no pattern"));
    bus_server_topic(bus, "many.first", 1);
    bus_server_topic(bus, "many.named", 1);
    bus_server_topic(bus, "notmany.x", 1);
    bus_server_put(bus, "notmany.x", 0, "no");
    bus_server_put(bus, "many.first", 0, "a");
    bus_server_put(bus, "many.named", 0, "b");
    struct runner runner;
    runner_start(&runner, service);
    seen_wait_for(by_pattern.seen, "a");
    seen_wait_for(by_name.seen, "b");
    bus_server_topic(bus, "many.second", 1);
    bus_server_put(bus, "many.second", 0, "c");
    bus_server_put(bus, "many.first", 0, "d");
    seen_wait_for(by_pattern.seen, "c");
    seen_wait_for(by_pattern.seen, "d");
    runner_stop(&runner);
    assert_int_equal(by_pattern.seen->count, 3);
    assert_int_equal(by_name.seen->count, 1);
    assert_int_equal(bus_server_committed(bus, "patterns", "many.second", 0), 1);
    free(lines);
    free(by_pattern.seen);
    free(by_name.seen);
}

/* A pattern that fits nothing yet waits for a topic, and may be stopped while it does. */
static void test_a_pattern_waits_for_its_first_topic(void **state)
{
    struct seen *lines = seen_new();
    struct flaky flaky = {.seen = seen_new(), .fails_on = ""};
    struct tidings *service = service_new_telling(*state, "waiters", lines);
    tidings_on(service, "^nothing-yet", NULL, fail_sometimes, &flaky, NULL);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait_part(lines, "no topic's name matches; waiting for it");
    runner_stop(&runner);
    free(lines);
    free(flaky.seen);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hanging_handler_harms_only_itself),
        cmocka_unit_test(test_a_service_from_the_end_skips_nothing_later),
        cmocka_unit_test(test_instances_share_partitions_without_loss_or_repeat),
        cmocka_unit_test(test_a_pattern_takes_topics_that_come_later),
        cmocka_unit_test(test_a_pattern_waits_for_its_first_topic),
        cmocka_unit_test(test_a_static_member_that_was_away_too_long_goes_on),
        cmocka_unit_test(test_a_bus_that_is_back_is_told_without_an_event),
        cmocka_unit_test(test_a_member_whose_place_was_taken_ends),
    };
    return unit_run(tests, service_bus_start, service_bus_stop, argc, argv);
}
