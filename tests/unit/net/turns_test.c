#include "../unit.h"
#include "fixture.h"

#include "base/buf.h"
#include "base/clock.h"
#include "net/state.h"

#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * How connections share a reactor. Each test holds the only reactor while it sends, so that all
 * frames are there when it goes on, and then looks in which order they were handled.
 */

enum { WORK = 400 /* frames of half a millisecond: far more than anybody's share */ };

static int set_up(void **state)
{
    int failed = server_set_up(state);
    struct server *server = *state;
    server->config.reactor_count = 1;
    return failed;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, server_tear_down)

/* From here on the reactor does nothing until it is let go; returns who holds it. */
static int hold_reactor(struct server *server)
{
    int fd = client_connect(server);
    unsigned frames = atomic_load(&server->frames);
    client_send_text(fd, "G");
    wait_until(atomic_load(&server->frames) == frames + 1);
    return fd;
}

static void let_go(struct server *server, int fd)
{
    sem_post(&server->gate);
    client_expect(fd, "G");
    close(fd);
}

static void send_work(int fd, int count)
{
    struct buf all = {0};
    for (int n = 0; n < count; n++) {
        append_frame(&all, "W", 1);
    }
    client_send(fd, all.data, all.size);
    buf_deinit(&all);
}

static void expect_work(int fd, int count)
{
    for (int n = 0; n < count; n++) {
        client_expect(fd, "W");
    }
}

/* How many frames had been handled when this one of the connection was. */
static unsigned read_order(int fd)
{
    struct buf frame = {0};
    assert_true(client_read_frame(fd, &frame));
    assert_int_equal(frame.size, 4);
    unsigned order = load_be32(frame.data);
    buf_deinit(&frame);
    return order;
}

static void test_who_asks_for_little_does_not_wait_for_who_asks_for_much(void **state)
{
    struct server *server = *state;
    server_start(server);
    int greedy = client_connect(server);
    int quiet = client_connect(server);
    client_expect_echo(greedy);
    client_expect_echo(quiet);
    int holder = hold_reactor(server);
    unsigned before = atomic_load(&server->frames);
    send_work(greedy, WORK);
    client_send_text(quiet, "O");
    let_go(server, holder);
    assert_in_range(read_order(quiet) - before, 1, 10);
    expect_work(greedy, WORK);
    close(greedy);
    close(quiet);
}

static void test_those_who_ask_for_much_have_turns(void **state)
{
    struct server *server = *state;
    server_start(server);
    enum { COUNT = 4 };
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = client_connect(server);
        client_expect_echo(fds[i]);
    }
    int holder = hold_reactor(server);
    unsigned before = atomic_load(&server->frames);
    for (int i = 0; i < COUNT; i++) {
        send_work(fds[i], WORK / COUNT);
        client_send_text(fds[i], "O");
    }
    let_go(server, holder);
    for (int i = 0; i < COUNT; i++) {
        expect_work(fds[i], WORK / COUNT);
        /* The first to end does so when the others are far, too. */
        assert_in_range(read_order(fds[i]) - before, WORK / 2, WORK + COUNT);
        close(fds[i]);
    }
}

/* Whoever opens many connections has no more of the reactor than whoever opens one. */
static void test_turns_go_round_addresses_first(void **state)
{
    struct server *server = *state;
    server_start(server);
    enum { COUNT = 8, OWN = 40 };
    int many[COUNT];
    int one = client_connect(server);
    client_expect_echo(one);
    for (int i = 0; i < COUNT; i++) {
        many[i] = client_connect_from(server, INADDR_LOOPBACK + 1);
        client_expect_echo(many[i]);
    }
    int holder = hold_reactor(server);
    unsigned before = atomic_load(&server->frames);
    for (int i = 0; i < COUNT; i++) {
        send_work(many[i], WORK / COUNT);
    }
    send_work(one, OWN);
    client_send_text(one, "O");
    let_go(server, holder);
    expect_work(one, OWN);
    /* By turns of connections it would be (COUNT + 1) * OWN; a slice is of time, so on a busy
     * machine it is more than the 2 * OWN of a quiet one. */
    assert_in_range(read_order(one) - before, OWN + 1, 6 * OWN);
    for (int i = 0; i < COUNT; i++) {
        expect_work(many[i], WORK / COUNT);
        close(many[i]);
    }
    close(one);
}

/* How many frames had been handled when the one of an address was, beside many of another one. */
static unsigned try_one_beside_many(struct server *server)
{
    enum { COUNT = 40 };
    int many[COUNT];
    int one = client_connect(server);
    client_expect_echo(one);
    for (int i = 0; i < COUNT; i++) {
        many[i] = client_connect_from(server, INADDR_LOOPBACK + 1);
        client_expect_echo(many[i]);
    }
    int holder = hold_reactor(server);
    unsigned before = atomic_load(&server->frames);
    for (int i = 0; i < COUNT; i++) {
        client_send_text(many[i], "W");
    }
    client_send_text(one, "O");
    let_go(server, holder);
    unsigned order = read_order(one) - before;
    for (int i = 0; i < COUNT; i++) {
        client_expect(many[i], "W");
        close(many[i]);
    }
    close(one);
    return order;
}

/* Each of them asks for little, and would be served as soon as something happens on it. Tried
 * again, as one for whom the clock went on while others had the processor counts as busy. */
static void test_many_small_ones_of_one_address_stand_in_line(void **state)
{
    struct server *server = *state;
    server_start(server);
    unsigned order = UINT_MAX;
    for (int tries = 20; tries > 0 && order > 20; tries--) {
        order = try_one_beside_many(server);
    }
    assert_in_range(order, 1, 20);
}

/* How many frames had been handled when the 40 of the shorter were, beside 40 of the longer. */
static unsigned try_long_beside_short(struct server *server)
{
    int longer = client_connect(server);
    int shorter = client_connect(server);
    client_expect_echo(longer);
    client_expect_echo(shorter);
    int holder = hold_reactor(server);
    unsigned before = atomic_load(&server->frames);
    struct buf many = {0};
    for (int n = 0; n < 40; n++) {
        append_frame(&many, "L", 1);
    }
    client_send(longer, many.data, many.size);
    buf_deinit(&many);
    send_work(shorter, 40);
    client_send_text(shorter, "O");
    let_go(server, holder);
    expect_work(shorter, 40);
    unsigned order = read_order(shorter) - before;
    for (int n = 0; n < 40; n++) {
        client_expect(longer, "L");
    }
    close(longer);
    close(shorter);
    return order;
}

/* One request is never cut, so whoever sends long ones sits out the turns that he had too much.
 * Time is that of the clock: where others had the processor during short ones, these count as long,
 * so it is tried again. By turns of requests it would be 80 each time. */
static void test_long_requests_give_no_larger_share(void **state)
{
    struct server *server = *state;
    server_start(server);
    unsigned order = 0;
    for (int tries = 20; tries > 0 && (order < 41 || order > 70); tries--) {
        order = try_long_beside_short(server);
    }
    assert_in_range(order, 41, 70);
}

/* What is left of a row when a slice is over is not forgotten, though nothing is answered. */
static void test_a_row_goes_on_when_nothing_is_answered(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    client_expect_echo(fd);
    int holder = hold_reactor(server);
    client_send_texts(fd, "S", "S", "p", "p");
    let_go(server, holder);
    server_complete(server, server_parked(server, 3), "4");
    for (unsigned i = 0; i < 3; i++) {
        server_complete(server, server_parked(server, i), "1");
    }
    for (unsigned i = 0; i < 4; i++) {
        client_expect(fd, i < 3 ? "1" : "4");
    }
    close(fd);
}

/* Those who were there come before very many who have just come. */
static void test_new_connections_wait_for_old_ones(void **state)
{
    struct server *server = *state;
    server_start(server);
    enum { COUNT = 100 };
    int quiet = client_connect(server);
    client_expect_echo(quiet);
    int fresh[COUNT];
    int holder = hold_reactor(server);
    unsigned before = atomic_load(&server->frames);
    for (int i = 0; i < COUNT; i++) {
        fresh[i] = client_connect(server);
        client_send_text(fresh[i], i == 0 ? "G" : "W");
    }
    let_go(server, holder);
    wait_until(atomic_load(&server->frames) > before); /* the first of them holds it now */
    client_send_text(quiet, "O");
    sem_post(&server->gate);
    assert_in_range(read_order(quiet) - before, 1, COUNT / 2);
    for (int i = 0; i < COUNT; i++) {
        client_expect(fresh[i], i == 0 ? "G" : "W");
        close(fresh[i]);
    }
    close(quiet);
}

/* Ends a small slice of one at `site`; how long a slice in the line is from then on. */
static int64_t slice_behind_one_of(struct reactor *reactor, struct site *site)
{
    struct conn conn = {.reactor = reactor, .site = site};
    reactor->now_ns = clock_now_ns();
    conn_begin_small_slice(&conn);
    conn_end_slice(&conn);
    return reactor_slice_ns(reactor);
}

static void test_turns_are_short_while_others_ask_for_little(void **state)
{
    (void)state;
    enum { SECOND_NS = 1000000000 };
    struct site busy = {.conn_count = 1};
    struct site quiet = {.conn_count = 1};
    struct reactor reactor = {.little_ns = -SECOND_NS};
    int64_t alone_ns = slice_behind_one_of(&reactor, &quiet); /* nobody is in the line */
    reactor.line.first = &busy;
    assert_int_equal(slice_behind_one_of(&reactor, &busy), alone_ns);
    int64_t beside_ns = slice_behind_one_of(&reactor, &quiet);
    assert_true(beside_ns > 0 && beside_ns < alone_ns);
    reactor.now_ns += SECOND_NS;
    assert_int_equal(reactor_slice_ns(&reactor), alone_ns);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_asks_for_little_does_not_wait_for_who_asks_for_much),
        TEST(test_those_who_ask_for_much_have_turns),
        TEST(test_turns_go_round_addresses_first),
        TEST(test_many_small_ones_of_one_address_stand_in_line),
        TEST(test_long_requests_give_no_larger_share),
        TEST(test_a_row_goes_on_when_nothing_is_answered),
        TEST(test_new_connections_wait_for_old_ones),
        cmocka_unit_test(test_turns_are_short_while_others_ask_for_little),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
