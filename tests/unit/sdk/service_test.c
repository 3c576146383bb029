/* libtidings against librdkafka's mock cluster. */
#include "bus_mock.h"
#include "tidings.h"

#include "../unit.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_MAX = 4096, TEXT_MAX = 128 };

/* What handlers saw, in order; any number of services may write to it. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
    char texts[SEEN_MAX][TEXT_MAX];
};

static void seen_add(struct seen *seen, const char *text)
{
    pthread_mutex_lock(&seen->lock);
    assert_true(seen->count < SEEN_MAX);
    snprintf(seen->texts[seen->count++], TEXT_MAX, "%s", text);
    pthread_cond_broadcast(&seen->changed);
    pthread_mutex_unlock(&seen->lock);
}

static void seen_wait(struct seen *seen, int count)
{
    pthread_mutex_lock(&seen->lock);
    while (seen->count < count) {
        pthread_cond_wait(&seen->changed, &seen->lock);
    }
    pthread_mutex_unlock(&seen->lock);
}

static int index_of(const struct seen *seen, const char *text)
{
    for (int i = 0; i < seen->count; i++) {
        if (strcmp(seen->texts[i], text) == 0) {
            return i;
        }
    }
    return -1;
}

/* Until the text is there. */
static void seen_wait_for(struct seen *seen, const char *text)
{
    pthread_mutex_lock(&seen->lock);
    while (index_of(seen, text) < 0) {
        pthread_cond_wait(&seen->changed, &seen->lock);
    }
    pthread_mutex_unlock(&seen->lock);
}

static struct seen *seen_new(void)
{
    struct seen *seen = calloc(1, sizeof *seen);
    pthread_mutex_init(&seen->lock, NULL);
    pthread_cond_init(&seen->changed, NULL);
    return seen;
}

static void quiet_log(void *context, enum tidings_log_level level, const char *message)
{
    if (context != NULL && strstr(message, "may come again") != NULL) {
        atomic_fetch_add((atomic_int *)context, 1);
    }
    if (getenv("SDK_TEST_LOG") != NULL) {
        fprintf(stderr, "%s\n", message);
    }
}

/* refusals, if not NULL: counts warnings that events may come again. */
static struct tidings *service_new_counting(const struct bus_mock *bus, const char *name,
                                            atomic_int *refusals)
{
    struct tidings *service;
    struct tidings_error error;
    struct tidings_options options = {.name = name,
                                      .bootstrap_servers = bus->address,
                                      .retry_first_ms = 10,
                                      .retry_max_ms = 20,
                                      .commit_interval_ms = 50,
                                      .publish_timeout_ms = 20000,
                                      .session_timeout_ms = 4000,
                                      .log = quiet_log,
                                      .log_context = refusals};
    if (tidings_new(&options, &service, &error) != TIDINGS_OK) {
        fail_msg("%s", error.text);
    }
    return service;
}

static struct tidings *service_new(const struct bus_mock *bus, const char *name)
{
    return service_new_counting(bus, name, NULL);
}

static void publish(struct tidings *service, const char *topic, const char *key, const char *type,
                    const char *data)
{
    struct tidings_error error;
    struct tidings_message message = {.topic = topic,
                                      .type = type,
                                      .key = key,
                                      .id = data,
                                      .data = data,
                                      .data_size = strlen(data)};
    if (tidings_publish_wait(service, &message, &error) != TIDINGS_OK) {
        fail_msg("publish: %s", error.text);
    }
}

struct runner {
    pthread_t thread;
    struct tidings *service;
    enum tidings_status status;
};

static void *runner_main(void *argument)
{
    struct runner *runner = argument;
    runner->status = tidings_run(runner->service, NULL);
    return NULL;
}

static void runner_start(struct runner *runner, struct tidings *service)
{
    runner->service = service;
    assert_int_equal(pthread_create(&runner->thread, NULL, runner_main, runner), 0);
}

static void runner_stop(struct runner *runner)
{
    tidings_stop(runner->service);
    pthread_join(runner->thread, NULL);
    assert_int_equal(runner->status, TIDINGS_OK);
    tidings_free(runner->service);
}

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

static void test_publish_reaches_handler(void **state)
{
    struct bus_mock *bus = *state;
    bus_mock_topic(bus, "orders", 1);
    struct seen *seen = seen_new(), *others = seen_new();
    struct tidings *service = service_new(bus, "reader");
    assert_int_equal(tidings_on(service, "orders", "OrderPlaced", note_event, seen, NULL), 0);
    assert_int_equal(tidings_on(service, "orders", NULL, note_event, others, NULL), 0);
    assert_int_equal(tidings_on(service, "orders", NULL, note_event, others, NULL),
                     TIDINGS_INVALID);
    publish(service, "orders", "7", "OrderPlaced", "{\"n\":1}");
    publish(service, "orders", "7", "OrderCancelled", "{}");
    bus_mock_put(bus, "orders", 0, "plain");
    struct runner runner;
    runner_start(&runner, service);
    seen_wait(seen, 1);
    seen_wait(others, 2);
    runner_stop(&runner);
    assert_string_equal(seen->texts[0], "OrderPlaced key=7 data={\"n\":1} subject= "
                                        "source=/reader content=application/json attempt=1");
    assert_string_equal(others->texts[0], "OrderCancelled key=7 data={} subject= source=/reader "
                                          "content=application/json attempt=1");
    assert_string_equal(others->texts[1], " key=- data=plain subject= source= content= attempt=1");
    assert_int_equal(seen->count, 1);
    assert_int_equal(others->count, 2);
    /* stop wrote down how far it came */
    assert_int_equal(bus_mock_committed(bus, "reader", "orders", 0), 3);
    free(seen);
    free(others);
}

struct flaky {
    struct seen *seen;
    const char *fails_on;
    int failures;
};

static enum tidings_verdict fail_sometimes(struct tidings *service,
                                           const struct tidings_event *event, void *context)
{
    struct flaky *flaky = context;
    char text[TEXT_MAX];
    bool fails = strcmp(event->data, flaky->fails_on) == 0 && event->attempt <= flaky->failures;
    snprintf(text, sizeof text, "%s%s", (const char *)event->data, fails ? " failed" : "");
    seen_add(flaky->seen, text);
    return fails ? TIDINGS_RETRY : TIDINGS_DONE;
}

static void test_retry_keeps_order(void **state)
{
    struct bus_mock *bus = *state;
    bus_mock_topic(bus, "flaky", 2);
    for (int i = 0; i < 10; i++) {
        char text[16];
        snprintf(text, sizeof text, "a%d", i);
        bus_mock_put(bus, "flaky", 0, text);
        snprintf(text, sizeof text, "b%d", i);
        bus_mock_put(bus, "flaky", 1, text);
    }
    struct flaky flaky = {.seen = seen_new(), .fails_on = "a3", .failures = 3};
    struct tidings *service = service_new(bus, "flaky");
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
    assert_int_equal(bus_mock_committed(bus, "flaky", "flaky", 0), 10);
    assert_int_equal(bus_mock_committed(bus, "flaky", "flaky", 1), 10);
    free(flaky.seen);
}

static void test_blocked_partition_harms_no_other(void **state)
{
    struct bus_mock *bus = *state;
    bus_mock_topic(bus, "blocked", 2);
    bus_mock_put(bus, "blocked", 0, "a0");
    bus_mock_put(bus, "blocked", 0, "a1");
    struct flaky flaky = {.seen = seen_new(), .fails_on = "a1", .failures = 1 << 30};
    struct tidings *service = service_new(bus, "blocked");
    assert_int_equal(tidings_on(service, "blocked", NULL, fail_sometimes, &flaky, NULL), 0);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait(flaky.seen, 3);
    bus_mock_put(bus, "blocked", 0, "a2");
    bus_mock_put(bus, "blocked", 1, "b0");
    seen_wait_for(flaky.seen, "b0");
    runner_stop(&runner);
    assert_int_equal(index_of(flaky.seen, "a2"), -1);
    assert_int_equal(index_of(flaky.seen, "a1"), -1);
    /* the failed event is the next one after a restart */
    assert_int_equal(bus_mock_committed(bus, "blocked", "blocked", 0), 1);
    assert_int_equal(bus_mock_committed(bus, "blocked", "blocked", 1), 1);
    free(flaky.seen);
}

static enum tidings_verdict publish_next(struct tidings *service, const struct tidings_event *event,
                                         void *context)
{
    struct tidings_message message = {
        .topic = context, .type = "Next", .key = event->key, .data = "{}", .data_size = 2};
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
    struct bus_mock *bus = *state;
    bus_mock_topic(bus, "first", 1);
    bus_mock_topic(bus, "second", 1);
    bus_mock_topic(bus, "third", 1);
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

static void test_unkept_publish_handles_again(void **state)
{
    struct bus_mock *bus = *state;
    bus_mock_topic(bus, "cause", 1);
    bus_mock_topic(bus, "effect", 1);
    bus_mock_put(bus, "cause", 0, "x");
    struct seen *seen = seen_new();
    struct tidings *service = service_new(bus, "effects"), *watch = service_new(bus, "watch2");
    /* an answer that makes the first record fail for good */
    rd_kafka_mock_push_request_errors(bus->cluster, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    char to[] = "effect";
    tidings_on(service, "cause", NULL, publish_next, to, NULL);
    tidings_on(watch, "effect", NULL, note_cause, seen, NULL);
    struct runner runner, watch_runner;
    runner_start(&runner, service);
    runner_start(&watch_runner, watch);
    seen_wait(seen, 2);
    runner_stop(&runner);
    runner_stop(&watch_runner);
    assert_string_equal(seen->texts[0], "cause/0/0 cause/0/0");
    assert_int_equal(bus_mock_committed(bus, "effects", "cause", 0), 1);
    free(seen);
}

static void test_instances_share(void **state)
{
    struct bus_mock *bus = *state;
    bus_mock_topic(bus, "shared", 4);
    struct seen *one = seen_new(), *two = seen_new();
    atomic_int refusals = 0;
    struct tidings *first = service_new_counting(bus, "sharers", &refusals);
    struct tidings *second = service_new_counting(bus, "sharers", &refusals);
    struct flaky to_one = {.seen = one, .fails_on = ""}, to_two = {.seen = two, .fails_on = ""};
    tidings_on(first, "shared", NULL, fail_sometimes, &to_one, NULL);
    tidings_on(second, "shared", NULL, fail_sometimes, &to_two, NULL);
    bus_mock_put(bus, "shared", 0, "warm-up");
    struct runner runner_one, runner_two;
    runner_start(&runner_one, first);
    seen_wait(one, 1);
    runner_start(&runner_two, second);
    int put = 1;
    while (true) { /* until the second one has got its share */
        for (int32_t p = 0; p < 4; p++, put++) {
            char text[16];
            snprintf(text, sizeof text, "e%d", put);
            bus_mock_put(bus, "shared", p, text);
        }
        pthread_mutex_lock(&two->lock);
        bool shared = two->count > 0;
        pthread_mutex_unlock(&two->lock);
        if (shared) {
            break;
        }
    }
    while (true) {
        pthread_mutex_lock(&one->lock);
        pthread_mutex_lock(&two->lock);
        bool all = true;
        for (int i = 1; i < put && all; i++) {
            char text[16];
            snprintf(text, sizeof text, "e%d", i);
            all = index_of(one, text) >= 0 || index_of(two, text) >= 0;
        }
        pthread_mutex_unlock(&two->lock);
        pthread_mutex_unlock(&one->lock);
        if (all) {
            break;
        }
        bus_mock_put(bus, "elsewhere", 0, "time passes"); /* a round trip, not a sleep */
    }
    runner_stop(&runner_two);
    runner_stop(&runner_one);
    /* Cooperative: nothing is handled twice when partitions move orderly. The mock refuses commits
     * at times when the protocol allows them; then there is a warning and a repetition. */
    assert_true(one->count + two->count >= put);
    if (atomic_load(&refusals) == 0) {
        assert_int_equal(one->count + two->count, put);
    }
    free(one);
    free(two);
}

static void test_stop_before_run(void **state)
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

static void test_bad_options(void **state)
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

static void test_publish_without_bus(void **state)
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

static void test_free_gives_up(void **state)
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

static int bus_start(void **state)
{
    struct bus_mock *bus = calloc(1, sizeof *bus);
    bus_mock_start(bus);
    *state = bus;
    return 0;
}

static int bus_stop(void **state)
{
    bus_mock_stop(*state);
    free(*state);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish_reaches_handler),
        cmocka_unit_test(test_retry_keeps_order),
        cmocka_unit_test(test_blocked_partition_harms_no_other),
        cmocka_unit_test(test_causes_are_filled_in),
        cmocka_unit_test(test_unkept_publish_handles_again),
        cmocka_unit_test(test_instances_share),
        cmocka_unit_test(test_stop_before_run),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_publish_without_bus),
        cmocka_unit_test(test_free_gives_up),
    };
    return unit_run(tests, bus_start, bus_stop, argc, argv);
}
