/* What a member tells by itself while time goes by, against a server; time is moved. */
#include "bus_server.h"

#include "base/mem.h"
#include "base/movable_clock.h"
#include "client/lane_kafka/outcome_log.h"
#include "client/reader/reader.h"

#include "../../unit.h"

static void no_line(void *context, enum lane_log_level level, const char *text)
{
    (void)context;
    (void)level;
    fail_msg("%s", text);
}

/* A member that tells, by its own clock, and somebody who reads what it told. */
struct telling {
    struct movable_clock clock;
    struct outcome_log *log;
    struct reader *reader;
    struct arena arena;
};

static void begin(struct telling *its, struct bus_server *bus)
{
    struct client_error error;
    struct topic_partitions partitions = {0};
    *its = (struct telling){0};
    movable_clock_init(&its->clock, clock_system());
    struct outcome_log_settings settings = {.connection = bus_server_settings(bus),
                                            .group = "email",
                                            .log = no_line,
                                            .clock = &its->clock.clock};
    its->log = outcome_log_new(&settings);
    bus_server_topic(bus, OUTCOME_TOPIC, 1);
    topic_partitions_add(&partitions, OUTCOME_TOPIC, 0, 0);
    struct reader_settings reading = {.connection = bus_server_settings(bus),
                                      .partitions = &partitions};
    assert_int_equal(reader_open(&reading, &its->reader, &error), CLIENT_OK);
    topic_partitions_deinit(&partitions);
}

static void end(struct telling *its, struct bus_server *bus)
{
    struct client_error error;
    outcome_log_free(its->log);
    assert_int_equal(reader_close(its->reader, &error), CLIENT_OK);
    arena_deinit(&its->arena);
    bus_server_delete_topic(bus, OUTCOME_TOPIC);
}

static void go_by(struct telling *its, int64_t ms)
{
    struct reason reason;
    assert_int_equal(movable_clock_advance(&its->clock, ms, false, &reason), ERR_NONE);
}

/* The next record of it, whatever that is. */
static struct outcome next(struct telling *its)
{
    struct received *received = NULL;
    struct client_error error;
    struct outcome outcome;
    while (received == NULL) {
        assert_int_equal(reader_take(its->reader, 100, &received, &error), CLIENT_OK);
    }
    assert_true(outcome_decode(received->event.value, &its->arena, &outcome));
    received_free(received);
    return outcome;
}

/* Something else is told, and read: so the thread has looked at its clock since. */
static void expect_down(struct telling *its)
{
    struct outcome outcome = outcome_log_blank(its->log, OUTCOME_DOWN);
    outcome_log_add(its->log, &outcome);
    assert_int_equal(next(its).kind, OUTCOME_DOWN);
}

static void expect_handles(struct telling *its, int64_t since_ms)
{
    struct outcome outcome = next(its);
    assert_int_equal(outcome.kind, OUTCOME_HANDLES);
    assert_string_equal(outcome.group, "email");
    assert_int_equal(outcome.time_ms, since_ms);
    assert_int_equal(outcome.filter_count, 2);
    assert_string_equal(outcome.filters[0].topic, "orders");
    assert_string_equal(outcome.filters[0].type, "placed");
    assert_string_equal(outcome.filters[1].topic, "^pay");
    assert_null(outcome.filters[1].type);
}

/* The topic forgets after days, and what a service takes is asked for as long as it is at work. */
static void test_what_a_member_takes_is_told_every_six_hours(void **state)
{
    enum { MINUTE_MS = 60000, SIX_HOURS_MS = 6 * 60 * MINUTE_MS, TIMES = 3 };
    static const struct outcome_filter filters[] = {{"orders", "placed"}, {"^pay", NULL}};
    struct telling its;
    begin(&its, *state);
    int64_t before_ms = clock_wall_ms(&its.clock.clock);
    outcome_log_handles(its.log, filters, 2);
    int64_t after_ms = clock_wall_ms(&its.clock.clock);
    go_by(&its, MINUTE_MS); /* a start has other things to do for a second */
    struct outcome first = next(&its);
    assert_int_equal(first.kind, OUTCOME_HANDLES);
    assert_true(first.time_ms >= before_ms && first.time_ms <= after_ms);
    for (int i = 0; i < TIMES; i++) {
        go_by(&its, SIX_HOURS_MS - 10 * MINUTE_MS);
        expect_down(&its); /* and nothing before it */
        expect_down(&its);
        go_by(&its, 10 * MINUTE_MS);
        expect_handles(&its, first.time_ms); /* it is as it was, since then */
    }
    end(&its, *state);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_member_takes_is_told_every_six_hours),
    };
    return unit_run(tests, bus_server_set_up, bus_server_tear_down, argc, argv);
}
