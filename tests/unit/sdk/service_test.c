/* libtidings against a server: events, what they cause, and what goes wrong. */
#include "../unit.h"
#include "service_fixture.h"

static enum tidings_verdict note_event(struct tidings *service, const struct tidings_event *event,
                                       void *context)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%s key=%s data=%s subject=%s source=%s content=%s attempt=%d",
             event->type, event->key ? event->key : "-", (const char *)event->data, event->subject,
             event->source, event->content_type, event->attempt);
    seen_add(context, text);
    return TIDINGS_DONE;
}

static void test_a_published_event_reaches_its_handler(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "orders", 1);
    struct seen *seen = seen_new(), *others = seen_new();
    struct tidings *service = service_new(bus, "reader");
    assert_int_equal(tidings_on(service, "orders", "OrderPlaced", note_event, seen, NULL), 0);
    assert_int_equal(tidings_on(service, "orders", NULL, note_event, others, NULL), 0);
    assert_int_equal(tidings_on(service, "orders", NULL, note_event, others, NULL),
                     TIDINGS_INVALID);
    publish(service, "orders", "7", "OrderPlaced", "{\"n\":1}");
    publish(service, "orders", "7", "OrderCancelled", "{}");
    bus_server_put(bus, "orders", 0, "plain");
    struct runner runner;
    runner_start(&runner, service);
    seen_wait(seen, 1);
    seen_wait(others, 2);
    runner_stop(&runner);
    assert_string_equal(seen->texts[0], "OrderPlaced key=7 data={\"n\":1} subject= "
                                        "source=/reader content=application/json attempt=1");
    /* of different lanes: in any order */
    assert_true(index_of(others, "OrderCancelled key=7 data={} subject= source=/reader "
                                 "content=application/json attempt=1") >= 0);
    assert_true(index_of(others, " key=- data=plain subject= source= content= attempt=1") >= 0);
    assert_int_equal(seen->count, 1);
    assert_int_equal(others->count, 2);
    /* stop wrote down how far it came */
    assert_int_equal(bus_server_committed(bus, "reader", "orders", 0), 3);
    free(seen);
    free(others);
}

static void test_a_failed_event_is_tried_again_in_its_place(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "flaky", 2);
    for (int i = 0; i < 10; i++) {
        char text[16];
        snprintf(text, sizeof text, "a%d", i);
        bus_server_put(bus, "flaky", 0, text);
        snprintf(text, sizeof text, "b%d", i);
        bus_server_put(bus, "flaky", 1, text);
    }
    struct flaky flaky = {.seen = seen_new(), .fails_on = "a3", .failures = 3};
    struct tidings_options options = options_of(bus, "flaky");
    options.order = TIDINGS_BY_PARTITION;
    struct tidings *service = service_of(&options);
    assert_int_equal(tidings_on(service, "flaky", NULL, fail_sometimes, &flaky, NULL), 0);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait(flaky.seen, 23);
    runner_stop(&runner);
    assert_int_equal(flaky.seen->count, 23);
    int last_a = -1, last_b = -1, failures = 0;
    for (int i = 0; i < flaky.seen->count; i++) {
        const char *text = flaky.seen->texts[i];
        if (strcmp(text, "a3 failed") == 0) {
            failures++;
            assert_int_equal(last_a, 2);
            continue;
        }
        int number = atoi(text + 1);
        int *last = text[0] == 'a' ? &last_a : &last_b;
        assert_int_equal(number, *last + 1);
        *last = number;
    }
    assert_int_equal(failures, 3);
    assert_int_equal(bus_server_committed(bus, "flaky", "flaky", 0), 10);
    assert_int_equal(bus_server_committed(bus, "flaky", "flaky", 1), 10);
    free(flaky.seen);
}

static void test_a_blocked_partition_harms_no_other(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "blocked", 2);
    bus_server_put(bus, "blocked", 0, "a0");
    bus_server_put(bus, "blocked", 0, "a1");
    struct flaky flaky = {.seen = seen_new(), .fails_on = "a1", .failures = 1 << 30};
    struct tidings_options options = options_of(bus, "blocked");
    options.order = TIDINGS_BY_PARTITION;
    struct tidings *service = service_of(&options);
    assert_int_equal(tidings_on(service, "blocked", NULL, fail_sometimes, &flaky, NULL), 0);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait(flaky.seen, 3);
    bus_server_put(bus, "blocked", 0, "a2");
    bus_server_put(bus, "blocked", 1, "b0");
    seen_wait_for(flaky.seen, "b0");
    runner_stop(&runner);
    assert_int_equal(index_of(flaky.seen, "a2"), -1);
    assert_int_equal(index_of(flaky.seen, "a1"), -1);
    /* the failed event is the next one after a restart */
    assert_int_equal(bus_server_committed(bus, "blocked", "blocked", 0), 1);
    assert_int_equal(bus_server_committed(bus, "blocked", "blocked", 1), 1);
    free(flaky.seen);
}

static enum tidings_verdict publish_next(struct tidings *service, const struct tidings_event *event,
                                         void *context)
{
    struct tidings_message message = {.topic = context,
                                      .type = "Next",
                                      .key = event->key,
                                      .cause = event,
                                      .data = "{}",
                                      .data_size = 2};
    return tidings_publish(service, &message, NULL, NULL, NULL) == TIDINGS_OK ? TIDINGS_DONE
                                                                              : TIDINGS_RETRY;
}

static enum tidings_verdict note_cause(struct tidings *service, const struct tidings_event *event,
                                       void *context)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%s %s", event->correlation_id, event->causation_id);
    seen_add(context, text);
    snprintf(text, sizeof text, "%s", event->id);
    seen_add(context, text);
    return TIDINGS_DONE;
}

static void test_causes_are_filled_in(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "first", 1);
    bus_server_topic(bus, "second", 1);
    bus_server_topic(bus, "third", 1);
    struct seen *second = seen_new(), *third = seen_new();
    struct tidings *chain = service_new(bus, "chain"), *watch = service_new(bus, "watch");
    char to_second[] = "second", to_third[] = "third";
    tidings_on(chain, "first", NULL, publish_next, to_second, NULL);
    tidings_on(chain, "second", NULL, publish_next, to_third, NULL);
    tidings_on(watch, "second", NULL, note_cause, second, NULL);
    tidings_on(watch, "third", NULL, note_cause, third, NULL);
    publish(chain, "first", "k", "Begin", "start-id");
    struct runner chain_runner, watch_runner;
    runner_start(&chain_runner, chain);
    runner_start(&watch_runner, watch);
    seen_wait(second, 2);
    seen_wait(third, 2);
    runner_stop(&chain_runner);
    runner_stop(&watch_runner);
    assert_string_equal(second->texts[0], "start-id start-id");
    char expected[2 * TEXT_MAX];
    snprintf(expected, sizeof expected, "start-id %s", second->texts[1]);
    assert_string_equal(third->texts[0], expected);
    assert_string_not_equal(second->texts[1], third->texts[1]);
    free(second);
    free(third);
}

/* A follow-up that the bus refuses: its cause is tried again, and nothing is lost. */
static void test_a_cause_whose_follow_up_is_not_kept_is_handled_again(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "cause", 1);
    bus_server_topic(bus, "effect", 1);
    bus_server_alter(bus, "effect", "max.message.bytes", "1");
    bus_server_put(bus, "cause", 0, "x");
    struct seen *seen = seen_new(), *lines = seen_new();
    struct tidings *service = service_new_telling(bus, "effects", lines);
    struct tidings *watch = service_new(bus, "watch2");
    char to[] = "effect";
    tidings_on(service, "cause", NULL, publish_next, to, NULL);
    tidings_on(watch, "effect", NULL, note_cause, seen, NULL);
    struct runner runner, watch_runner;
    runner_start(&runner, service);
    runner_start(&watch_runner, watch);
    seen_wait_part(lines, "what it published for effect was not kept");
    bus_server_alter(bus, "effect", "max.message.bytes", "1000000");
    seen_wait(seen, 2);
    runner_stop(&runner);
    runner_stop(&watch_runner);
    assert_string_equal(seen->texts[0], "cause/0/0 cause/0/0");
    assert_int_equal(bus_server_committed(bus, "effects", "cause", 0), 1);
    seen_wait_part(lines, "is done, at attempt ");
    free(seen);
    free(lines);
}

struct refused {
    struct seen *attempts; /* of the event whose follow-up is refused */
    struct seen *others;
};

static enum tidings_verdict publish_refused(struct tidings *service,
                                            const struct tidings_event *event, void *context)
{
    struct refused *refused = context;
    bool is_it = strcmp(event->data, "10") == 0;
    struct tidings_message message = {.topic = is_it ? "tiny" : "roomy",
                                      .type = "Next",
                                      .cause = event,
                                      .data = "{}",
                                      .data_size = 2};
    char text[TEXT_MAX];
    snprintf(text, sizeof text, is_it ? "%s attempt=%d" : "%s", (const char *)event->data,
             event->attempt);
    enum tidings_status status = tidings_publish(service, &message, NULL, NULL, NULL);
    seen_add(is_it ? refused->attempts : refused->others, text);
    return status == TIDINGS_OK ? TIDINGS_DONE : TIDINGS_RETRY;
}

/* One that is refused for good is an attempt each time, and in the end a dead letter with the
 * reason; nothing else is repeated. */
static void test_a_refused_follow_up_uses_up_the_attempts_of_its_cause(void **state)
{
    enum { COUNT = 200, ATTEMPTS = 4 };
    struct bus_server *bus = *state;
    bus_server_topic(bus, "busy", 1);
    bus_server_topic(bus, "tiny", 1);
    bus_server_topic(bus, "roomy", 1);
    bus_server_alter(bus, "tiny", "max.message.bytes", "1");
    bus_server_put_numbers(bus, "busy", 0, 0, COUNT);
    struct refused refused = {.attempts = seen_new(), .others = seen_new()};
    struct seen *lines = seen_new();
    struct tidings_options options = options_of(bus, "refused");
    options.attempts = ATTEMPTS;
    options.log_context = lines;
    struct tidings *service = service_of(&options);
    tidings_on(service, "busy", NULL, publish_refused, &refused, NULL);
    struct runner runner;
    runner_start(&runner, service);
    int put = COUNT;
    while (!has_part(lines, "given up: 0 events that closed their lane, 1 other")) {
        bus_server_put_numbers(bus, "busy", 0, put++, 1); /* others succeed meanwhile */
        seen_wait(refused.others, put - 1);
    }
    runner_stop(&runner);
    struct seen *letters = letters_of(bus, "dlq.refused", 1);
    assert_in_range(refused.attempts->count, ATTEMPTS, put);
    assert_string_equal(refused.attempts->texts[0], "10 attempt=1");
    assert_string_equal(refused.attempts->texts[1], "10 attempt=2");
    assert_int_equal(refused.others->count, put - 1);
    assert_int_equal(bus_server_committed(bus, "refused", "busy", 0), put);
    const char *parts[] = {
        "10|publish MSG_SIZE_TOO_LARGE|what it published for tiny was not kept: ", "|open"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_non_null(strstr(letters->texts[0], parts[i]));
    }
    free(letters);
    free(refused.attempts);
    free(refused.others);
    free(lines);
}

static void test_gone_events_are_told(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "expires", 1);
    bus_server_put_numbers(bus, "expires", 0, 0, 3);
    struct flaky flaky = {.seen = seen_new(), .fails_on = ""};
    struct seen *lines = seen_new();
    struct tidings *service = service_new(bus, "late");
    tidings_on(service, "expires", NULL, fail_sometimes, &flaky, NULL);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait(flaky.seen, 3);
    runner_stop(&runner);
    bus_server_put_numbers(bus, "expires", 0, 3, 5);
    bus_server_delete_records(bus, "expires", 6);
    service = service_new_telling(bus, "late", lines);
    tidings_on(service, "expires", NULL, fail_sometimes, &flaky, NULL);
    runner_start(&runner, service);
    seen_wait_for(flaky.seen, "7");
    runner_stop(&runner);
    assert_int_equal(flaky.seen->count, 5);
    seen_wait_part(lines, "expires/0: the events from offset 3 to 5 are gone");
    free(flaky.seen);
    free(lines);
}

static void test_structured_events_are_taken_apart(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "structured", 1);
    struct event_header headers[] = {
        {"content-type", slice_str("application/cloudevents+json; charset=utf-8")}};
    struct event event = event_blank();
    event.topic = "structured";
    event.key = slice_str("k");
    event.headers = headers;
    event.header_count = 1;
    event.value = slice_str("{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/far\",\"type\":"
                            "\"Placed\",\"subject\":\"s\",\"data\":{\"n\": 1.10}}");
    bus_server_put_event(bus, &event);
    event.value = slice_str("no envelope");
    bus_server_put_event(bus, &event);
    struct seen *placed = seen_new(), *others = seen_new();
    struct tidings *service = service_new(bus, "apart");
    tidings_on(service, "structured", "Placed", note_event, placed, NULL);
    tidings_on(service, "structured", NULL, note_event, others, NULL);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait(placed, 1);
    seen_wait(others, 1);
    runner_stop(&runner);
    assert_string_equal(placed->texts[0], "Placed key=k data={\"n\": 1.10} subject=s source=/far "
                                          "content=application/json attempt=1");
    assert_string_equal(others->texts[0],
                        " key=k data=no envelope subject= source= "
                        "content=application/cloudevents+json; charset=utf-8 attempt=1");
    free(placed);
    free(others);
}

/* An event that a handler kept gives its ids, and nothing waits for what it caused. */
static void test_a_kept_cause_gives_its_ids(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "kept", 1);
    struct seen *seen = seen_new();
    struct tidings *service = service_new(bus, "keeper");
    struct tidings_event cause = {.id = "old", .correlation_id = "story"};
    struct tidings_message message = {.topic = "kept", .type = "T", .cause = &cause};
    assert_int_equal(tidings_publish_wait(service, &message, NULL), TIDINGS_OK);
    message.causation_id = "given";
    assert_int_equal(tidings_publish(service, &message, NULL, NULL, NULL), TIDINGS_OK);
    tidings_on(service, "kept", NULL, note_cause, seen, NULL);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait(seen, 4);
    runner_stop(&runner);
    assert_true(index_of(seen, "story old") >= 0); /* in any order: they have no key */
    assert_true(index_of(seen, "story given") >= 0);
    free(seen);
}

static void test_a_stop_before_the_run_ends_it(void **state)
{
    struct tidings *service = service_new(*state, "stopped");
    struct tidings_error error;
    assert_int_equal(tidings_run(service, &error), TIDINGS_INVALID); /* no handler */
    tidings_on(service, "orders", NULL, note_event, NULL, NULL);
    tidings_stop(service);
    assert_int_equal(tidings_run(service, &error), TIDINGS_OK);
    assert_int_equal(tidings_run(service, &error), TIDINGS_INVALID);
    tidings_free(service);
}

static void test_bad_options_are_refused_by_name(void **state)
{
    struct tidings *service;
    struct tidings_error error;
    struct tidings_options no_name = {0};
    assert_int_equal(tidings_new(&no_name, &service, &error), TIDINGS_INVALID);
    assert_null(service);
    const char *settings[] = {"no.such.setting=1", NULL};
    struct tidings_options wrong = {.name = "x", .client_settings = settings};
    assert_int_equal(tidings_new(&wrong, &service, &error), TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "no.such.setting"));
    struct tidings_options negative = {.name = "x", .retry_max_ms = -1};
    assert_int_equal(tidings_new(&negative, &service, &error), TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "retry_max_ms"));
}

/* As the command finds it: what is said, else the environment, else the default. */
static void test_the_environment_says_where_the_bus_is(void **state)
{
    struct bus_server *bus = *state;
    struct tidings_options options = options_of(bus, "found");
    bus_server_topic(bus, "found", 1);
    setenv("TIDINGS_BOOTSTRAP_SERVER", "127.0.0.1:1", 1);
    struct tidings *said = service_of(&options);
    publish(said, "found", NULL, "T", "said");
    tidings_free(said);
    setenv("TIDINGS_BOOTSTRAP_SERVER", bus->address, 1);
    options.bootstrap_servers = NULL;
    struct tidings *found = service_of(&options);
    unsetenv("TIDINGS_BOOTSTRAP_SERVER");
    publish(found, "found", NULL, "T", "found");
    tidings_free(found);
}

static void test_a_publish_without_a_bus_fails_in_time(void **state)
{
    struct tidings_error error;
    struct tidings_options options = {.name = "alone",
                                      .bootstrap_servers = "127.0.0.1:1",
                                      .publish_timeout_ms = 300,
                                      .log = quiet_log};
    struct tidings *service;
    assert_int_equal(tidings_new(&options, &service, &error), TIDINGS_OK);
    struct tidings_message message = {.topic = "orders", .type = "T", .data = "x", .data_size = 1};
    assert_int_equal(tidings_publish_wait(service, &message, &error), TIDINGS_UNREACHABLE);
    assert_true(error.text[0] != '\0');
    message.type = NULL;
    assert_int_equal(tidings_publish(service, &message, NULL, NULL, &error), TIDINGS_INVALID);
    tidings_free(service);
}

static void note_delivery(void *context, const struct tidings_delivery *delivery)
{
    *(enum tidings_status *)context = delivery->status;
}

static void test_freeing_a_service_gives_up_what_waits(void **state)
{
    struct tidings_options options = {
        .name = "alone", .bootstrap_servers = "127.0.0.1:1", .log = quiet_log};
    struct tidings *service;
    assert_int_equal(tidings_new(&options, &service, NULL), TIDINGS_OK);
    struct tidings_message message = {.topic = "orders", .type = "T"};
    enum tidings_status status = TIDINGS_OK;
    assert_int_equal(tidings_publish(service, &message, note_delivery, &status, NULL), TIDINGS_OK);
    assert_int_equal(tidings_flush(service, 10, NULL), TIDINGS_UNREACHABLE);
    tidings_free(service);
    assert_int_equal(status, TIDINGS_CLOSED);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_published_event_reaches_its_handler),
        cmocka_unit_test(test_a_failed_event_is_tried_again_in_its_place),
        cmocka_unit_test(test_a_blocked_partition_harms_no_other),
        cmocka_unit_test(test_causes_are_filled_in),
        cmocka_unit_test(test_a_cause_whose_follow_up_is_not_kept_is_handled_again),
        cmocka_unit_test(test_a_refused_follow_up_uses_up_the_attempts_of_its_cause),
        cmocka_unit_test(test_gone_events_are_told),
        cmocka_unit_test(test_structured_events_are_taken_apart),
        cmocka_unit_test(test_a_kept_cause_gives_its_ids),
        cmocka_unit_test(test_a_stop_before_the_run_ends_it),
        cmocka_unit_test(test_bad_options_are_refused_by_name),
        cmocka_unit_test(test_the_environment_says_where_the_bus_is),
        cmocka_unit_test(test_a_publish_without_a_bus_fails_in_time),
        cmocka_unit_test(test_freeing_a_service_gives_up_what_waits),
    };
    return unit_run(tests, service_bus_start, service_bus_stop, argc, argv);
}
