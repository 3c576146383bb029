/* libtidings against a server: a service is stopped while the bus is away, or a handler is slow. */
#include "../unit.h"
#include "service_fixture.h"

/*
 * Each of the waits of a stop would take ten minutes here (publish_timeout_ms, or what the bus is
 * asked for in vain), and the stop has a second: tests that end have shown that it is one for all.
 */
enum { FOR_EVER_MS = 600000, STOP_MS = 1000, SESSION_MS = 120000 };

/* A handler that publishes when it may; and what became of that. */
struct echo {
    struct seen *seen, *deliveries;
    struct seen *may_publish; /* when something is in it */
};

static void note_delivery(void *context, const struct tidings_delivery *delivery)
{
    static const char *const names[] = {[TIDINGS_OK] = "ok",
                                        [TIDINGS_UNREACHABLE] = "unreachable",
                                        [TIDINGS_REFUSED] = "refused",
                                        [TIDINGS_CLOSED] = "closed"};
    seen_add(context, names[delivery->status]);
}

static enum tidings_verdict echo_event(struct tidings *service, const struct tidings_event *event,
                                       void *context)
{
    struct echo *echo = context;
    struct tidings_message message = {
        .topic = "echoes", .type = "Echo", .data = "{}", .data_size = 2, .cause = event};
    struct tidings_error error;
    seen_add(echo->seen, event->data);
    seen_wait(echo->may_publish, 1);
    enum tidings_status status =
        tidings_publish(service, &message, note_delivery, echo->deliveries, &error);
    seen_add(echo->seen, status == TIDINGS_OK ? "published" : error.text);
    return TIDINGS_DONE;
}

static enum tidings_verdict echo_batch(struct tidings *service,
                                       const struct tidings_event *const *events, size_t count,
                                       void *context)
{
    enum tidings_verdict verdict = TIDINGS_DONE;
    for (size_t i = 0; i < count; i++) {
        verdict = echo_event(service, events[i], context);
    }
    return verdict;
}

struct stopping {
    struct echo echo;
    struct seen *lines;
    struct tidings_options options;
    struct tidings *service;
    struct runner runner;
};

static void begin(struct stopping *its, struct bus_server *bus, const char *name)
{
    *its = (struct stopping){.echo = {seen_new(), seen_new(), seen_new()},
                             .lines = seen_new(),
                             .options = options_of(bus, name)};
    its->options.publish_timeout_ms = FOR_EVER_MS;
    its->options.stop_timeout_ms = STOP_MS;
    its->options.session_timeout_ms = SESSION_MS; /* a machine that stands still loses nothing */
    its->options.log_context = its->lines;
}

static void end(struct stopping *its)
{
    free(its->lines);
    free(its->echo.seen);
    free(its->echo.deliveries);
    free(its->echo.may_publish);
}

/* The bus goes while an event is in its handler's hand, which publishes in vain. */
static void lose_bus_and_stop(struct stopping *its, struct bus_server *bus, const char *topic)
{
    runner_start(&its->runner, its->service);
    bus_server_put(bus, topic, 0, "event");
    seen_wait_for(its->echo.seen, "event");
    bus_server_kill(bus);
    seen_add(its->echo.may_publish, "now");
    seen_wait_for(its->echo.seen, "published");
    runner_stop(&its->runner); /* TIDINGS_OK: that events may come again is no failure */
    seen_wait_part(its->lines, "the time to stop is over (1.0 s): 1 of 1 partition is given "
                               "back before all was done and written");
    seen_wait_part(its->lines, "comes again where it is read next");
    bus_server_start_again(bus);
}

static void make_topics(struct bus_server *bus, const char *topic)
{
    if (bus_server_is_foreign()) {
        print_message("skip: nodes of a cluster come back slowly\n");
        skip();
    }
    bus_server_topic(bus, topic, 1);
}

static void test_a_stop_without_a_bus_ends(void **state)
{
    struct stopping its;
    make_topics(*state, "plain");
    begin(&its, *state, "plains");
    its.service = service_of(&its.options);
    tidings_on(its.service, "plain", NULL, echo_event, &its.echo, NULL);
    lose_bus_and_stop(&its, *state, "plain");
    assert_int_equal(its.echo.deliveries->count, 1);
    assert_string_equal(its.echo.deliveries->texts[0], "closed");
    assert_int_equal(bus_server_committed(*state, "plains", "plain", 0), 0);
    end(&its);
}

static void test_a_stop_of_batches_without_a_bus_ends(void **state)
{
    struct stopping its;
    make_topics(*state, "batched");
    begin(&its, *state, "batches");
    its.service = service_of(&its.options);
    tidings_on_batch(its.service, "batched", NULL, 10, echo_batch, &its.echo, NULL);
    lose_bus_and_stop(&its, *state, "batched");
    assert_string_equal(its.echo.deliveries->texts[0], "closed");
    end(&its);
}

static void test_a_stop_in_a_transaction_without_a_bus_ends(void **state)
{
    struct stopping its;
    make_topics(*state, "once");
    begin(&its, *state, "onces");
    its.options.exactly_once = true;
    its.service = service_of(&its.options);
    tidings_on(its.service, "once", NULL, echo_event, &its.echo, NULL);
    lose_bus_and_stop(&its, *state, "once");
    assert_int_equal(its.echo.deliveries->count, 1);
    end(&its);
}

static void test_a_stop_with_patterns_without_a_bus_ends(void **state)
{
    struct stopping its;
    make_topics(*state, "like.this");
    begin(&its, *state, "patterns");
    its.service = service_of(&its.options);
    tidings_on(its.service, "^like\\.", NULL, echo_event, &its.echo, NULL);
    lose_bus_and_stop(&its, *state, "like.this");
    end(&its);
}

/* The bus takes what it is asked, and answers nothing. */
static void hang_bus_and_stop(struct stopping *its, struct bus_server *bus, const char *topic)
{
    runner_start(&its->runner, its->service);
    bus_server_put(bus, topic, 0, "event");
    seen_wait_for(its->echo.seen, "event");
    bus_server_hang(bus);
    seen_add(its->echo.may_publish, "now");
    seen_wait_for(its->echo.seen, "published");
    runner_stop(&its->runner);
    bus_server_go_on(bus);
}

/* librdkafka would wait for the last answers as long as it may. */
static void test_a_stop_ends_when_the_bus_hangs(void **state)
{
    static const char *const names[] = {"hung", "hung-once"};
    for (size_t i = 0; i < 2; i++) {
        struct stopping its;
        make_topics(*state, names[i]);
        begin(&its, *state, names[i]);
        its.options.exactly_once = i == 1;
        its.service = service_of(&its.options);
        tidings_on(its.service, names[i], NULL, echo_event, &its.echo, NULL);
        hang_bus_and_stop(&its, *state, names[i]);
        seen_wait_part(its.lines, "the time to stop is over (1.0 s): 1 of 1 partition");
        assert_int_equal(its.echo.deliveries->count, 1);
        end(&its);
    }
}

/* It never had one: it looks for topics, and for its group, in vain. */
static void test_a_stop_that_never_saw_a_bus_ends(void **state)
{
    static const char *const topics[] = {"named", "^patterned"};
    for (size_t i = 0; i < 2; i++) {
        struct stopping its;
        begin(&its, *state, "hermits");
        its.options.bootstrap_servers = "127.0.0.1:1";
        its.service = service_of(&its.options);
        tidings_on(its.service, topics[i], NULL, echo_event, &its.echo, NULL);
        runner_start(&its.runner, its.service);
        if (i == 0) { /* with patterns alone it has half a minute before it says so */
            seen_wait_part(its.lines, "127.0.0.1:1");
        }
        runner_stop(&its.runner);
        end(&its);
    }
}

/* The handler returns behind the time: it was waited for, and the group is left. */
static void test_a_stop_waits_for_a_slow_handler(void **state)
{
    struct bus_server *bus = *state;
    struct stopping its;
    make_topics(bus, "slow");
    begin(&its, bus, "slows");
    its.options.stop_timeout_ms = 1;
    its.service = service_of(&its.options);
    tidings_on(its.service, "slow", NULL, echo_event, &its.echo, NULL);
    runner_start(&its.runner, its.service);
    bus_server_put(bus, "slow", 0, "event");
    seen_wait_for(its.echo.seen, "event");
    tidings_stop(its.service);
    seen_wait_part(its.lines, "handlers have not returned, and are waited for");
    assert_int_equal(its.echo.deliveries->count, 0);
    seen_add(its.echo.may_publish, "now");
    runner_stop(&its.runner);
    assert_int_equal(its.echo.deliveries->count, 1);
    end(&its);
}

static int start_with_echoes(void **state)
{
    service_bus_start(state);
    bus_server_topic(*state, "echoes", 1);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stop_without_a_bus_ends),
        cmocka_unit_test(test_a_stop_of_batches_without_a_bus_ends),
        cmocka_unit_test(test_a_stop_in_a_transaction_without_a_bus_ends),
        cmocka_unit_test(test_a_stop_with_patterns_without_a_bus_ends),
        cmocka_unit_test(test_a_stop_ends_when_the_bus_hangs),
        cmocka_unit_test(test_a_stop_that_never_saw_a_bus_ends),
        cmocka_unit_test(test_a_stop_waits_for_a_slow_handler),
    };
    return unit_run(tests, start_with_echoes, service_bus_stop, argc, argv);
}
