/* What a service tells of events that do not simply go through, in __tidings_outcomes. */
#include "../unit.h"
#include "service_fixture.h"

#include "client/event/outcome.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* Records as "WHAT GROUP OFFSET ...", and sums of some. */
struct told {
    struct seen *seen;
    const char *group;
    atomic_llong failed, left_out;
};

static void add_filters(struct seen *seen, const struct outcome *outcome)
{
    struct buf text = {0};
    buf_append_str(&text, "handles:");
    for (size_t i = 0; i < outcome->filter_count; i++) {
        const struct outcome_filter *filter = &outcome->filters[i];
        buf_printf(&text, " %s %s;", filter->topic, filter->type != NULL ? filter->type : "-");
    }
    if (outcome->kind == OUTCOME_HANDLES) {
        seen_add(seen, buf_cstr(&text));
    }
    buf_deinit(&text);
}

static enum tidings_verdict note(struct tidings *service, const struct tidings_event *event,
                                 void *context)
{
    struct told *told = context;
    struct arena arena = {0};
    struct outcome is;
    char text[TEXT_MAX];
    (void)service;
    assert_true(outcome_decode(slice_of(event->data, event->data_size), &arena, &is));
    if (strcmp(is.group, told->group) == 0) {
        told->failed += is.kind == OUTCOME_FAILED;
        told->left_out += is.kind == OUTCOME_LEFT_OUT && is.of == OUTCOME_FAILED ? is.count : 0;
        snprintf(text, sizeof text,
                 "%s %lld %s behind=%lld %s|%s attempt=%d lane=%d redrive=%lld%s%s",
                 outcome_kind_name(is.kind), (long long)is.offset, is.id != NULL ? is.id : "-",
                 (long long)is.behind, is.error_class != NULL ? is.error_class : "-",
                 is.message != NULL ? is.message : "-", is.attempt, is.closes_lane,
                 (long long)is.redrive, is.next_ms > 0 ? " next" : "",
                 is.letter_offset >= 0 ? " letter" : "");
        seen_add(told->seen, text);
        add_filters(told->seen, &is);
        assert_true(is.time_ms > 0);
        assert_non_null(is.member);
        assert_true(is.topic == NULL || is.handler != NULL);
    }
    arena_deinit(&arena);
    return TIDINGS_DONE;
}

static void hear(struct runner *runner, const struct bus_server *bus, const char *group,
                 struct told *told)
{
    char name[100];
    *told = (struct told){.seen = seen_new(), .group = group};
    snprintf(name, sizeof name, "hears-%s", group);
    struct tidings_options options = options_of(bus, name);
    options.workers = 1;
    struct tidings *service = service_of(&options);
    assert_int_equal(tidings_on(service, OUTCOME_TOPIC, NULL, note, told, NULL), TIDINGS_OK);
    runner_start(runner, service);
}

static void publish_with_id(struct tidings *service, const char *topic, const char *key,
                            const char *id, const char *data)
{
    struct tidings_error error;
    struct tidings_message message = {
        .topic = topic, .type = "T", .key = key, .id = id, .data = data, .data_size = strlen(data)};
    if (tidings_publish_wait(service, &message, &error) != TIDINGS_OK) {
        fail_msg("publish: %s", error.text);
    }
}

/* "ok"; "reject"; "slow": takes longer than is told; "twice": fails twice; "never". */
static enum tidings_verdict as_told(struct tidings *service, const struct tidings_event *event,
                                    void *context)
{
    const char *told = event->data;
    (void)service;
    (void)context;
    if (strcmp(told, "reject") == 0) {
        return tidings_reject(event, "wrong", "it is no order");
    }
    if (strcmp(told, "slow") == 0) {
        struct seen *lines = context;
        seen_wait_part(lines, "the handler has been at");
    }
    return strcmp(told, "never") == 0 || (strcmp(told, "twice") == 0 && event->attempt <= 2)
               ? tidings_retry(event, 0, "smtp", "nobody answers")
               : TIDINGS_DONE;
}

static void test_what_becomes_of_events_is_told(void **state)
{
    struct bus_server *bus = *state;
    struct told told;
    bus_server_topic(bus, "told", 1);
    struct seen *lines = seen_new();
    struct tidings_options options = options_of(bus, "told");
    options.log_context = lines;
    options.handler_warn_ms = 50;
    struct tidings *service = service_of(&options);
    assert_int_equal(tidings_on(service, "told", NULL, as_told, lines, NULL), TIDINGS_OK);
    publish_with_id(service, "told", "a", "0.a", "ok");
    publish_with_id(service, "told", "b", "1.b", "twice");
    publish_with_id(service, "told", "b", "2.b", "ok");
    publish_with_id(service, "told", "c", "3.c", "reject");
    publish_with_id(service, "told", "c", "4.c", "ok");
    publish_with_id(service, "told", "d", "5.d", "slow");
    struct runner runner, hears;
    runner_start(&runner, service);
    seen_wait_part(lines, "is done, at attempt 3");
    hear(&hears, bus, "told", &told);
    seen_wait_part(told.seen, "failed 1 1.b behind=-1 smtp|nobody answers attempt=1");
    seen_wait_part(told.seen, "failed 1 1.b behind=-1 smtp|nobody answers attempt=2");
    seen_wait_part(told.seen, "done 1 1.b behind=-1 -|- attempt=3");
    seen_wait_part(told.seen, "waits 2 2.b behind=1 -|-");
    seen_wait_part(told.seen, "failed 3 3.c behind=-1 wrong|it is no order attempt=1");
    seen_wait_part(told.seen,
                   "dead 3 3.c behind=-1 wrong|it is no order attempt=1 lane=1 redrive=-1 letter");
    seen_wait_part(told.seen, "aside 4 4.c behind=3");
    seen_wait_part(told.seen, "slow 5 5.d");
    seen_wait_part(told.seen, "done 5 5.d");
    runner_stop(&runner);
    runner_stop(&hears);
    assert_false(has_part(told.seen, "0.a")); /* nothing is told of a success */
    free(told.seen);
    free(lines);
}

/* What it takes is told, so that what it passes over is known for that. */
static void test_what_a_service_takes_is_told(void **state)
{
    struct bus_server *bus = *state;
    struct told told;
    bus_server_topic(bus, "takes", 1);
    struct tidings_options options = options_of(bus, "takes");
    struct tidings *service = service_of(&options);
    assert_int_equal(tidings_on(service, "takes", "order.placed", as_told, NULL, NULL), TIDINGS_OK);
    assert_int_equal(tidings_on(service, "^takes", NULL, as_told, NULL, NULL), TIDINGS_OK);
    struct runner runner, hears;
    hear(&hears, bus, "takes", &told);
    runner_start(&runner, service);
    seen_wait_part(told.seen, "handles: takes order.placed; ^takes -;");
    runner_stop(&runner);
    runner_stop(&hears);
    free(told.seen);
}

/* In an outage of 3,000 events nobody is flooded, and what is left out is counted. */
static void test_an_outage_is_told_in_few_records(void **state)
{
    enum { EVENTS = 3000 };
    struct bus_server *bus = *state;
    struct told told;
    struct tidings_error error;
    struct seen *lines = seen_new();
    bus_server_topic(bus, "away", 1);
    struct tidings_options options = options_of(bus, "away");
    options.log_context = lines;
    options.outage_after = EVENTS / 2;
    options.retry_first_ms = options.retry_max_ms = 60000;
    struct tidings *service = service_of(&options);
    assert_int_equal(tidings_on(service, "away", NULL, as_told, lines, NULL), TIDINGS_OK);
    for (int i = 0; i < EVENTS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        struct tidings_message message = {
            .topic = "away", .type = "T", .key = key, .data = "never", .data_size = 5};
        assert_int_equal(tidings_publish(service, &message, NULL, NULL, &error), TIDINGS_OK);
    }
    assert_int_equal(tidings_flush(service, 20000, NULL), TIDINGS_OK);
    struct runner runner, hears;
    runner_start(&runner, service);
    seen_wait_part(lines, "is down: nothing of it succeeds");
    hear(&hears, bus, "away", &told);
    seen_wait_part(told.seen, "down -1");
    runner_stop(&runner); /* the rest is told at the end */
    while (told.failed + told.left_out < EVENTS / 2) {
        const struct timespec moment = {.tv_nsec = 20000000};
        nanosleep(&moment, NULL);
    }
    runner_stop(&hears);
    assert_true(told.failed < EVENTS / 2); /* 500 at once, then 50 a second */
    assert_true(told.left_out > 0);
    free(told.seen);
    free(lines);
}

/* It is told once, and the service goes on. Last: it spoils the topic. */
static void test_a_bus_that_does_not_want_them_is_told_once(void **state)
{
    struct bus_server *bus = *state;
    struct seen *lines = seen_new();
    bus_server_topic(bus, "unwanted", 1);
    bus_server_alter(bus, OUTCOME_TOPIC, "max.message.bytes", "64");
    struct tidings_options options = options_of(bus, "unwanted");
    options.log_context = lines;
    struct tidings *service = service_of(&options);
    assert_int_equal(tidings_on(service, "unwanted", NULL, as_told, lines, NULL), TIDINGS_OK);
    struct runner runner;
    runner_start(&runner, service);
    for (int i = 0; i < 5; i++) {
        publish(service, "unwanted", "a", "T", "twice");
    }
    publish(service, "unwanted", "a", "T", "ok");
    seen_wait_part(lines, OUTCOME_TOPIC ": ");
    runner_stop(&runner);
    int told = 0;
    for (int i = 0; i < lines->count; i++) {
        told += strstr(lines->texts[i], OUTCOME_TOPIC ": ") != NULL;
    }
    assert_int_equal(told, 1);
    assert_true(has_part(lines, "what becomes of events is not told there"));
    assert_int_equal(bus_server_committed(bus, "unwanted", "unwanted", 0), 6);
    free(lines);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_becomes_of_events_is_told),
        cmocka_unit_test(test_what_a_service_takes_is_told),
        cmocka_unit_test(test_an_outage_is_told_in_few_records),
        cmocka_unit_test(test_a_bus_that_does_not_want_them_is_told_once),
    };
    return unit_run(tests, service_bus_start, service_bus_stop, argc, argv);
}
