/* libtidings against a server: order per key, verdicts, giving up, threads. */
#include "../unit.h"
#include "service_fixture.h"

/* What "play" does is what the event's data says; it notes "KEY DATA attempt=N" when it begins, and
 * "done KEY DATA" when it is done. */
struct play {
    struct seen *begun, *done;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;
    int running, most_running;
};

static struct play *play_new(void)
{
    struct play *play = calloc(1, sizeof *play);
    play->begun = seen_new();
    play->done = seen_new();
    pthread_mutex_init(&play->lock, NULL);
    pthread_cond_init(&play->changed, NULL);
    return play;
}

static void play_free(struct play *play)
{
    free(play->begun);
    free(play->done);
    free(play);
}

static void open_gate(struct play *play)
{
    pthread_mutex_lock(&play->lock);
    play->is_open = true;
    pthread_cond_broadcast(&play->changed);
    pthread_mutex_unlock(&play->lock);
}

static void count_running(struct play *play, int by)
{
    pthread_mutex_lock(&play->lock);
    play->running += by;
    play->most_running = play->running > play->most_running ? play->running : play->most_running;
    pthread_cond_broadcast(&play->changed);
    pthread_mutex_unlock(&play->lock);
}

/* Until so many handlers were at work at once, or somebody opens the gate. */
static void meet(struct play *play, int count)
{
    pthread_mutex_lock(&play->lock);
    while (play->most_running < count && !play->is_open) {
        pthread_cond_wait(&play->changed, &play->lock);
    }
    pthread_mutex_unlock(&play->lock);
}

static enum tidings_verdict say(struct play *play, const struct tidings_event *event)
{
    int fails = 0, after_ms = 0, together = 0;
    const char *data = event->data;
    if (strcmp(data, "reject") == 0) {
        return tidings_reject(event, "test", "%s can never work", data);
    }
    if (sscanf(data, "after %d", &after_ms) == 1 && event->attempt == 1) {
        return tidings_retry(event, after_ms, "test", "not before");
    }
    if (strcmp(data, "wait") == 0) {
        meet(play, 1 << 30);
    } else if (sscanf(data, "meet %d", &together) == 1) {
        meet(play, together);
    }
    if (sscanf(data, "fail %d", &fails) == 1 && event->attempt <= fails) {
        return tidings_retry(event, 0, "test", "attempt %d of %d", event->attempt, fails);
    }
    return TIDINGS_DONE;
}

static enum tidings_verdict play(struct tidings *service, const struct tidings_event *event,
                                 void *context)
{
    struct play *play = context;
    char text[TEXT_MAX];
    const char *key = event->key != NULL ? event->key : "-";
    assert_true(event->fence > 0);
    assert_int_equal(event->redrive, 0);
    assert_true((event->attempt == 1) == (event->first_failed_ms == 0));
    count_running(play, 1);
    snprintf(text, sizeof text, "%s %s attempt=%d", key, (const char *)event->data, event->attempt);
    seen_add(play->begun, text);
    enum tidings_verdict verdict = say(play, event);
    count_running(play, -1);
    if (verdict == TIDINGS_DONE) {
        snprintf(text, sizeof text, "%s %s", key, (const char *)event->data);
        seen_add(play->done, text);
    }
    return verdict;
}

static void put(struct bus_server *bus, const char *topic, const char *key, const char *data)
{
    struct event event = event_blank();
    event.topic = topic;
    event.partition = 0;
    event.key = slice_str(key);
    event.value = slice_str(data);
    bus_server_put_event(bus, &event);
}

static struct tidings *play_service(struct play *context, const char *topic,
                                    const struct tidings_options *options)
{
    struct tidings *service = service_of(options);
    assert_int_equal(tidings_on(service, topic, NULL, play, context, NULL), TIDINGS_OK);
    return service;
}

/* Others succeed until the log has the line. */
static void put_until(struct bus_server *bus, const char *topic, struct play *play,
                      struct seen *lines, const char *line)
{
    int count = seen_count(play->done);
    while (!has_part(lines, line)) {
        put(bus, topic, "other", "ok");
        seen_wait(play->done, ++count);
    }
}

/* A poison event holds back its own key, through its end as a dead letter, and nothing else. */
static void test_a_poison_event_holds_back_its_own_key_only(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "poison", 1);
    struct play *play = play_new();
    struct seen *lines = seen_new();
    struct tidings_options options = options_of(bus, "poisoned");
    options.attempts = 3;
    options.log_context = lines;
    put(bus, "poison", "bad", "fail 1000");
    put(bus, "poison", "bad", "behind");
    put(bus, "poison", "good", "a");
    put(bus, "poison", "good", "b");
    struct runner runner;
    runner_start(&runner, play_service(play, "poison", &options));
    seen_wait(play->done, 2);
    put_until(bus, "poison", play, lines, "given up: 1 event that closed its lane");
    /* what stands behind it is kept elsewhere: the group goes on */
    int64_t end = 2 + play->done->count;
    while (bus_server_committed(bus, "poisoned", "poison", 0) < end) {
    }
    runner_stop(&runner);
    assert_int_equal(index_of(play->done, "good b"), index_of(play->done, "good a") + 1);
    assert_int_equal(index_of(play->begun, "bad behind attempt=1"), -1);
    assert_true(index_of(play->begun, "bad fail 1000 attempt=3") >= 0);
    assert_true(has_part(lines, "(poison/0 offset 0, key bad) failed (test: attempt 1 of 1000)"));
    struct seen *letters = letters_of(bus, "dlq.poisoned", 1);
    assert_non_null(strstr(letters->texts[0], "fail 1000|test|attempt "));
    assert_non_null(strstr(letters->texts[0], "|closed"));
    free(letters);
    free(lines);
    play_free(play);
}

static void test_a_rejected_event_is_a_dead_letter_at_once(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "rejects", 1);
    struct play *play = play_new();
    struct seen *lines = seen_new();
    struct tidings_options options = options_of(bus, "rejecting");
    options.give_up_with_key = TIDINGS_SKIP;
    options.log_context = lines;
    put(bus, "rejects", "k", "reject");
    put(bus, "rejects", "k", "next");
    struct runner runner;
    runner_start(&runner, play_service(play, "rejects", &options));
    seen_wait_for(play->done, "k next");
    runner_stop(&runner);
    struct seen *letters = letters_of(bus, "dlq.rejecting", 1);
    assert_string_equal(letters->texts[0], "reject|test|reject can never work|1|open");
    assert_int_equal(play->begun->count, 2);
    assert_true(
        has_part(lines, "rejects/0/0 (rejects/0 offset 0, key k) is rejected (test: reject"));
    free(letters);
    free(lines);
    play_free(play);
}

static void test_an_event_may_end_the_service(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "ending", 1);
    struct play *play = play_new();
    struct tidings_options options = options_of(bus, "ended");
    options.give_up_with_key = TIDINGS_END;
    put(bus, "ending", "k", "reject");
    struct tidings *service = play_service(play, "ending", &options);
    struct tidings_error error;
    assert_int_equal(tidings_run(service, &error), TIDINGS_FATAL);
    assert_non_null(strstr(error.text, "can never work"));
    assert_true(bus_server_committed(bus, "ended", "ending", 0) <= 0);
    tidings_free(service);
    play_free(play);
}

/* A failed event goes on counting where the process before left off. */
static void test_attempts_survive_a_restart(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "counted", 1);
    struct play *play = play_new();
    struct tidings_options options = options_of(bus, "counting");
    put(bus, "counted", "bad", "fail 1000");
    struct runner runner;
    runner_start(&runner, play_service(play, "counted", &options));
    for (int attempt = 1; !has_part(play->begun, "bad fail 1000 attempt=5"); attempt++) {
        put(bus, "counted", "other", "ok");
        seen_wait(play->done, attempt);
    }
    runner_stop(&runner);
    struct play *again = play_new();
    runner_start(&runner, play_service(again, "counted", &options));
    seen_wait(again->begun, 1);
    runner_stop(&runner);
    int attempt = 0;
    assert_int_equal(sscanf(again->begun->texts[0], "bad fail 1000 attempt=%d", &attempt), 1);
    assert_in_range(attempt, 2, 1000);
    play_free(again);
    play_free(play);
}

/* The handler's own time counts, not the back-off: with this one, the test would never end. */
static void test_a_handler_may_say_when_to_try_again(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "timed", 1);
    struct play *play = play_new();
    struct tidings_options options = options_of(bus, "timing");
    options.retry_first_ms = options.retry_max_ms = 1000000000;
    put(bus, "timed", "k", "after 1");
    put(bus, "timed", "k", "next");
    struct runner runner;
    runner_start(&runner, play_service(play, "timed", &options));
    seen_wait_for(play->done, "k next");
    runner_stop(&runner);
    assert_string_equal(play->begun->texts[1], "k after 1 attempt=2");
    play_free(play);
}

/* Each waits until the other one is at work, too. */
static void test_handlers_of_different_keys_run_at_once(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "parallel", 1);
    struct play *play = play_new();
    struct tidings_options options = options_of(bus, "paralleling");
    put(bus, "parallel", "a", "meet 2");
    put(bus, "parallel", "a", "alone");
    put(bus, "parallel", "b", "meet 2");
    struct runner runner;
    runner_start(&runner, play_service(play, "parallel", &options));
    seen_wait(play->done, 3);
    runner_stop(&runner);
    assert_int_equal(play->most_running, 2);
    play_free(play);
}

static void test_one_worker_is_one_handler_at_a_time(void **state)
{
    enum { COUNT = 300 };
    struct bus_server *bus = *state;
    bus_server_topic(bus, "serial", 1);
    struct play *play = play_new();
    struct tidings_options options = options_of(bus, "serially");
    options.workers = 1;
    bus_server_put_numbers(bus, "serial", 0, 0, COUNT);
    struct runner runner;
    runner_start(&runner, play_service(play, "serial", &options));
    seen_wait(play->done, COUNT);
    runner_stop(&runner);
    assert_int_equal(play->most_running, 1);
    assert_int_equal(play->done->count, COUNT);
    play_free(play);
}

/* A stop waits for what is in hand, starts nothing more, and the next start loses and repeats
 * nothing. */
static void test_a_stop_in_the_middle_loses_and_repeats_nothing(void **state)
{
    enum { COUNT = 50 };
    struct bus_server *bus = *state;
    bus_server_topic(bus, "middle", 1);
    struct play *play = play_new(), *rest = play_new();
    struct seen *lines = seen_new();
    struct tidings_options options = options_of(bus, "midway");
    options.handler_warn_ms = 1;
    options.log_context = lines;
    for (int i = 0; i < COUNT; i++) {
        char data[16];
        snprintf(data, sizeof data, i == 0 ? "wait" : "%d", i);
        put(bus, "middle", i % 2 == 0 ? "even" : "odd", data);
    }
    struct runner runner;
    struct tidings *service = play_service(play, "middle", &options);
    runner_start(&runner, service);
    seen_wait_for(play->done, "odd 49");
    tidings_stop(service);
    seen_wait_part(lines, "the handler has been at middle/0/0 (middle/0 offset 0, key even) for ");
    open_gate(play);
    runner_stop(&runner);
    seen_wait_part(lines, "the handler is back from middle/0/0 (middle/0 offset 0, key even)");
    options.log_context = NULL;
    runner_start(&runner, play_service(rest, "middle", &options));
    seen_wait_for(rest->done, "even 48");
    runner_stop(&runner);
    assert_int_equal(play->done->count + rest->done->count, COUNT);
    for (int i = 2; i < COUNT; i += 2) {
        char text[32];
        snprintf(text, sizeof text, "even %d", i);
        assert_true((index_of(play->done, text) >= 0) != (index_of(rest->done, text) >= 0));
    }
    assert_int_equal(bus_server_committed(bus, "midway", "middle", 0), COUNT);
    free(lines);
    play_free(play);
    play_free(rest);
}

static enum tidings_verdict pass_on(struct tidings *service, const struct tidings_event *event,
                                    void *context)
{
    struct tidings_message message = {
        .topic = context, .type = "Next", .key = event->key, .cause = event};
    return tidings_publish(service, &message, NULL, NULL, NULL) == TIDINGS_OK ? TIDINGS_DONE
                                                                              : TIDINGS_RETRY;
}

static enum tidings_verdict note_trace(struct tidings *service, const struct tidings_event *event,
                                       void *context)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%s %s %s", event->key, event->traceparent, event->tracestate);
    seen_add(context, text);
    return TIDINGS_DONE;
}

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"

static void put_traced(struct bus_server *bus, const char *key, const char *parent)
{
    struct event_header headers[] = {{"traceparent", slice_str(parent)},
                                     {"tracestate", slice_str("rojo=1,congo=2")}};
    struct event event = event_blank();
    event.topic = "traced";
    event.partition = 0;
    event.key = slice_str(key);
    event.headers = headers;
    event.header_count = 2;
    bus_server_put_event(bus, &event);
}

/* W3C trace context goes from a cause to what it causes; what is none does not. */
static void test_a_trace_goes_on_through_a_handler(void **state)
{
    static const char *const invalid[] = {
        "",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-01-more",
        "00-" TRACE "-0000000000000000-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "ff-" TRACE "-" SPAN "-01",
    };
    enum { INVALID = sizeof invalid / sizeof invalid[0] };
    struct bus_server *bus = *state;
    bus_server_topic(bus, "traced", 1);
    bus_server_topic(bus, "traces", 1);
    put_traced(bus, "now", "00-" TRACE "-" SPAN "-01");
    put_traced(bus, "later", "cc-" TRACE "-" SPAN "-00-what comes later");
    for (int i = 0; i < INVALID; i++) {
        put_traced(bus, "none", invalid[i]);
    }
    struct seen *seen = seen_new();
    char to[] = "traces";
    struct tidings *service = service_new(bus, "tracing");
    tidings_on(service, "traced", NULL, pass_on, to, NULL);
    tidings_on(service, "traces", NULL, note_trace, seen, NULL);
    struct runner runner;
    runner_start(&runner, service);
    seen_wait(seen, 2 + INVALID);
    runner_stop(&runner);
    for (int i = 0; i < seen->count; i++) {
        const char *text = seen->texts[i];
        if (strncmp(text, "none", 4) == 0) {
            assert_string_equal(text, "none  ");
            continue;
        }
        char span[17] = "", flags[3] = "";
        const char *parent = strchr(text, ' ') + 1;
        assert_int_equal(sscanf(parent, "00-" TRACE "-%16[0-9a-f]-%2s rojo=1,congo=2", span, flags),
                         2);
        assert_int_equal(strlen(span), 16);
        assert_string_not_equal(span, SPAN);
        assert_string_equal(flags, strncmp(text, "now", 3) == 0 ? "01" : "00");
    }
    free(seen);
}

static void test_a_wrong_setting_names_itself(void **state)
{
    const struct {
        const char *name;
        struct tidings_options options;
    } wrong[] = {
        {"options.workers", {.workers = -1}},
        {"options.workers", {.workers = 10001}},
        {"options.order", {.order = (enum tidings_order)3}},
        {"options.give_up_with_key", {.give_up_with_key = (enum tidings_give_up)9}},
        {"options.give_up_without_key", {.give_up_without_key = (enum tidings_give_up)4}},
        {"options.retry_first_ms", {.retry_first_ms = 60001}},
        {"options.retry_max_ms", {.retry_first_ms = 100, .retry_max_ms = 99}},
        {"options.probe_first_ms", {.probe_first_ms = 4001}},
        {"options.probe_max_ms", {.probe_max_ms = 999}},
        {"options.attempts_alone", {.attempts_alone = -1}},
        {"options.memory_bytes", {.memory_bytes = SIZE_MAX}},
        {"options.aside_bytes", {.aside_bytes = -5}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tidings *service;
        struct tidings_error error = {0};
        struct tidings_options options = wrong[i].options;
        options.name = "wrong";
        assert_int_equal(tidings_new(&options, &service, &error), TIDINGS_INVALID);
        assert_null(service);
        assert_ptr_equal(strstr(error.text, wrong[i].name), error.text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_poison_event_holds_back_its_own_key_only),
        cmocka_unit_test(test_a_rejected_event_is_a_dead_letter_at_once),
        cmocka_unit_test(test_an_event_may_end_the_service),
        cmocka_unit_test(test_attempts_survive_a_restart),
        cmocka_unit_test(test_a_handler_may_say_when_to_try_again),
        cmocka_unit_test(test_handlers_of_different_keys_run_at_once),
        cmocka_unit_test(test_one_worker_is_one_handler_at_a_time),
        cmocka_unit_test(test_a_stop_in_the_middle_loses_and_repeats_nothing),
        cmocka_unit_test(test_a_trace_goes_on_through_a_handler),
        cmocka_unit_test(test_a_wrong_setting_names_itself),
    };
    return unit_run(tests, service_bus_start, service_bus_stop, argc, argv);
}
