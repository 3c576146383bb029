/* What a service shows of itself by HTTP. */
#include "../unit.h"
#include "http_get.h"

#include <unistd.h>

static struct tidings *shown_service(const struct bus_server *bus, const char *name,
                                     struct seen *lines)
{
    struct tidings_options options = options_of(bus, name);
    options.http_listen = "127.0.0.1:0";
    options.log_context = lines;
    options.attempts = 2;
    return service_of(&options);
}

/* "ok"; "reject"; "next" and "large": publish; what else: fails once. */
static enum tidings_verdict as_told(struct tidings *service, const struct tidings_event *event,
                                    void *context)
{
    const char *told = event->data;
    (void)context;
    if (strcmp(told, "reject") == 0) {
        return tidings_reject(event, "wrong", "it is %s", told);
    }
    if (strcmp(told, "next") == 0) {
        struct tidings_message next = {.topic = "shown-next", .type = "Next", .cause = event};
        assert_int_equal(tidings_publish(service, &next, NULL, NULL, NULL), TIDINGS_OK);
    }
    if (strcmp(told, "large") == 0) {
        static const char data[3000];
        struct tidings_message large = {.topic = "shown-small",
                                        .type = "Large",
                                        .cause = event,
                                        .data = data,
                                        .data_size = sizeof data};
        assert_int_equal(tidings_publish(service, &large, NULL, NULL, NULL), TIDINGS_OK);
        return TIDINGS_DONE;
    }
    return strcmp(told, "ok") == 0 || strcmp(told, "next") == 0 || event->attempt > 1
               ? TIDINGS_DONE
               : tidings_retry(event, 0, "first", "not yet");
}

/* Each sample has its type before it, and each type stands once. */
static void check_format(const char *text)
{
    char type[200] = "", seen[8192] = "";
    char *copy = strdup(text), *rest = copy;
    for (const char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (strncmp(line, "# TYPE ", 7) == 0) {
            snprintf(type, sizeof type, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            char whole[210];
            snprintf(whole, sizeof whole, "|%s|", type);
            assert_null(strstr(seen, whole));
            strncat(seen, whole, sizeof seen - strlen(seen) - 1);
        } else if (line[0] != '#' && line[0] != '\0') {
            assert_int_equal(strncmp(line, type, strlen(type)), 0);
            assert_int_equal(strncmp(line, "tidings_service_", 16), 0);
            const char *value = strrchr(line, ' ');
            char *end;
            assert_non_null(value);
            (void)strtod(value + 1, &end);
            assert_true(end > value + 1 && *end == '\0');
        }
    }
    free(copy);
    if (system("command -v promtool >/dev/null") == 0) {
        FILE *promtool = popen("promtool check metrics", "w");
        fputs(text, promtool);
        assert_int_equal(pclose(promtool), 0);
    }
}

static void test_metrics_tell_what_became_of_events(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "shown", 1);
    bus_server_topic(bus, "shown-next", 1);
    struct seen *lines = seen_new();
    struct tidings *service = shown_service(bus, "shown", lines);
    assert_int_equal(tidings_on(service, "shown", "A \"type\"\\", as_told, NULL, NULL), 0);
    int port = shown_port(lines);
    publish(service, "shown", "a", "A \"type\"\\", "ok");
    publish(service, "shown", "b", "A \"type\"\\", "fails");
    publish(service, "shown", "c", "A \"type\"\\", "reject");
    publish(service, "shown", "c", "A \"type\"\\", "ok");
    publish(service, "shown", "d", "A \"type\"\\", "next");
    struct runner runner;
    runner_start(&runner, service);
    metric_wait(port, "tidings_service_dead_letters_total{lane=\"closed\"}", 1);
    metric_wait(port, "tidings_service_lag_committed{topic=\"shown\",partition=\"0\"}", 0);
#define VERDICT(word)                                                                              \
    metric(port,                                                                                   \
           "tidings_service_events_total{handler=\"shown A \\\"type\\\"\\\\\",verdict=\"" word     \
           "\"}")
    assert_true(VERDICT("done") == 3);
    assert_true(VERDICT("retry") == 1);
    assert_true(VERDICT("reject") == 1);
    assert_true(metric(port, "tidings_service_lag_unhandled{topic=\"shown\",partition=\"0\"}") ==
                1);
    assert_true(metric(port, "tidings_service_lanes{state=\"parked\"}") == 1);
    assert_true(metric(port, "tidings_service_aside_events") == 1);
    assert_true(metric(port, "tidings_service_partitions") == 1);
    assert_true(metric(port, "tidings_service_events_in_hand") == 0);
    assert_true(metric(port, "tidings_service_commits_total") > 0);
    assert_true(metric(port, "tidings_service_publishes_total{result=\"acknowledged\"}") == 6);
    assert_true(metric(port, "tidings_service_publishes_total{result=\"failed\"}") == 0);
    assert_true(metric(port, "tidings_service_last_success_timestamp_seconds") > 1e9);
    assert_true(metric(port, "tidings_service_handler_duration_seconds_count{handler="
                             "\"shown A \\\"type\\\"\\\\\"}") == 5);
    char *text;
    assert_int_equal(http_ask(port, "GET", "/metrics", &text), 200);
    check_format(text);
    free(text);
    runner_stop(&runner);
    free(lines);
}

static void test_metrics_count_what_is_published_in_transactions(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "shown-once", 1);
    bus_server_topic(bus, "shown-small", 1);
    bus_server_alter(bus, "shown-small", "max.message.bytes", "1500");
    struct seen *lines = seen_new();
    struct tidings_options options = options_of(bus, "shown-once");
    options.http_listen = "127.0.0.1:0";
    options.log_context = lines;
    options.exactly_once = true;
    struct tidings *service = service_of(&options), *other = service_new(bus, "other");
    assert_int_equal(tidings_on(service, "shown-once", NULL, as_told, NULL, NULL), 0);
    int port = shown_port(lines);
    for (int i = 0; i < 5; i++) {
        publish(other, "shown-once", i % 2 == 0 ? "a" : "b", "T", "next");
    }
    publish(other, "shown-once", "c", "T", "large");
    struct runner runner;
    runner_start(&runner, service);
    metric_wait(port, "tidings_service_publishes_total{result=\"acknowledged\"}", 5);
    while (metric(port, "tidings_service_publishes_total{result=\"failed\"}") < 2) {
        usleep(1000); /* each attempt is one */
    }
    runner_stop(&runner);
    tidings_free(other);
    free(lines);
}

static void test_it_is_ready_while_it_is_in_its_group_and_the_bus_answers(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "ready", 1);
    struct seen *lines = seen_new(), *others = seen_new();
    struct tidings *service = shown_service(bus, "ready", lines);
    int port = shown_port(lines);
    assert_int_equal(tidings_on(service, "ready", NULL, as_told, NULL, NULL), 0);
    http_wait(port, "/readyz", 503, "tidings_run was not called yet");
    http_wait(port, "/healthz", 200, "it works");
    struct runner runner, second;
    runner_start(&runner, service);
    http_wait(port, "/readyz", 200, "it is in its group");
    /* one that gets no partition is in it as well */
    service = shown_service(bus, "ready", others);
    assert_int_equal(tidings_on(service, "ready", NULL, as_told, NULL, NULL), 0);
    runner_start(&second, service);
    http_wait(shown_port(others), "/readyz", 200, "it is in its group");
    bus_server_kill(bus);
    http_wait(port, "/readyz", 503, "cannot reach the bus");
    http_wait(port, "/healthz", 200, "it works");
    bus_server_start_again(bus);
    http_wait(port, "/readyz", 200, "it is in its group");
    runner_stop(&second);
    runner_stop(&runner);
    free(others);
    free(lines);
}

static void test_a_service_without_handlers_is_ready_when_the_bus_answers(void **state)
{
    struct bus_server *bus = *state;
    struct seen *lines = seen_new();
    struct tidings *service = shown_service(bus, "publishes", lines);
    int port = shown_port(lines);
    http_wait(port, "/readyz", 200, "it has no handlers");
    bus_server_kill(bus);
    http_wait(port, "/readyz", 503, "cannot reach the bus");
    bus_server_start_again(bus);
    http_wait(port, "/readyz", 200, "it has no handlers");
    tidings_free(service);
    free(lines);
}

static void test_what_is_not_there_is_told(void **state)
{
    struct bus_server *bus = *state;
    struct seen *lines = seen_new();
    struct tidings *service = shown_service(bus, "paths", lines);
    int port = shown_port(lines);
    char *body;
    assert_int_equal(http_ask(port, "GET", "/", &body), 404);
    assert_non_null(strstr(body, "/metrics"));
    free(body);
    assert_int_equal(http_ask(port, "POST", "/metrics", &body), 405);
    free(body);
    assert_int_equal(http_ask(port, "HEAD", "/healthz", &body), 200);
    assert_string_equal(body, "");
    free(body);
    tidings_free(service);
    free(lines);
}

static void test_a_place_that_cannot_be_had_names_itself(void **state)
{
    struct bus_server *bus = *state;
    struct seen *lines = seen_new();
    struct tidings *service = shown_service(bus, "first", lines), *other = NULL;
    struct tidings_options options = options_of(bus, "second");
    struct tidings_error error;
    char taken[40];
    static const char *const wrong[] = {"9100", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:x"};
    snprintf(taken, sizeof taken, "127.0.0.1:%d", shown_port(lines));
    options.http_listen = taken;
    assert_int_equal(tidings_new(&options, &other, &error), TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "options.http_listen, 127.0.0.1:"));
    assert_non_null(strstr(error.text, "Address already in use"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.http_listen = wrong[i];
        assert_int_equal(tidings_new(&options, &other, &error), TIDINGS_INVALID);
        assert_non_null(strstr(error.text, "it is no HOST:PORT"));
    }
    /* an operator's wish does not keep a service from its work */
    options.http_listen = NULL;
    options.log_context = lines;
    setenv("TIDINGS_HTTP_LISTEN", taken, 1);
    assert_int_equal(tidings_new(&options, &other, &error), TIDINGS_OK);
    seen_wait_part(lines, "going on without metrics and health");
    tidings_free(other);
    setenv("TIDINGS_HTTP_LISTEN", "127.0.0.1:0", 1);
    lines->count = 0;
    assert_int_equal(tidings_new(&options, &other, &error), TIDINGS_OK);
    http_wait(shown_port(lines), "/healthz", 200, "it works");
    unsetenv("TIDINGS_HTTP_LISTEN");
    tidings_free(other);
    tidings_free(service);
    free(lines);
}

/* tests/spans has what is in them. */
static void test_spans_for_nobody_are_dropped_and_hold_up_nothing(void **state)
{
    enum { EVENTS = 1500 };
    struct bus_server *bus = *state;
    struct seen *lines = seen_new();
    struct tidings *service;
    struct tidings_error error;
    struct tidings_options options = options_of(bus, "traced");
    bus_server_topic(bus, "traced", 2);
    options.otlp_endpoint = "collector:4318";
    assert_int_equal(tidings_new(&options, &service, &error), TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "options.otlp_endpoint, collector:4318: it is no URL"));
    options.otlp_endpoint = "http://127.0.0.1:1";
    options.http_listen = "127.0.0.1:0";
    options.log_context = lines;
    service = service_of(&options);
    int port = shown_port(lines);
    assert_int_equal(tidings_on(service, "traced", NULL, as_told, NULL, NULL), TIDINGS_OK);
    struct runner runner;
    runner_start(&runner, service);
    for (int i = 0; i < EVENTS; i++) {
        struct tidings_message message = {
            .topic = "traced", .type = "T", .data = "ok", .data_size = 2};
        assert_int_equal(tidings_publish(service, &message, NULL, NULL, NULL), TIDINGS_OK);
    }
    metric_wait(port, "tidings_service_events_total{handler=\"traced\",verdict=\"done\"}", EVENTS);
    while (metric(port, "tidings_service_spans_total{result=\"dropped\"}") <= 0) {
    }
    assert_true(metric(port, "tidings_service_spans_total{result=\"sent\"}") == 0);
    runner_stop(&runner);
    free(lines);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_tell_what_became_of_events),
        cmocka_unit_test(test_metrics_count_what_is_published_in_transactions),
        cmocka_unit_test(test_it_is_ready_while_it_is_in_its_group_and_the_bus_answers),
        cmocka_unit_test(test_a_service_without_handlers_is_ready_when_the_bus_answers),
        cmocka_unit_test(test_what_is_not_there_is_told),
        cmocka_unit_test(test_a_place_that_cannot_be_had_names_itself),
        cmocka_unit_test(test_spans_for_nobody_are_dropped_and_hold_up_nothing),
    };
    return unit_run(tests, service_bus_start, service_bus_stop, argc, argv);
}
