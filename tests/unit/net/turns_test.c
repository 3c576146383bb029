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

/* Turns are of the clock, which goes on while others have the processor: so what counts is that the
 * order of frames is within these bounds in one of some tries. */
static void expect_order(struct server *server, unsigned (*try)(struct server *server),
                         unsigned least, unsigned most)
{
    unsigned order = try(server);
    for (int tries = 20; tries > 0 && (order < least || order > most); tries--) {
        order = try(server);
    }
    assert_in_range(order, least, most);
}

static unsigned try_little_beside_much(struct server *server)
{
    int greedy = client_connect(server);
    int quiet = client_connect(server);
    client_expect_echo(greedy);
    client_expect_echo(quiet);
    int holder = hold_reactor(server);
    unsigned before = atomic_load(&server->frames);
    send_work(greedy, WORK);
    client_send_text(quiet, "O");
    let_go(server, holder);
    unsigned order = read_order(quiet) - before;
    expect_work(greedy, WORK);
    close(greedy);
    close(quiet);
    return order;
}

static void test_who_asks_for_little_does_not_wait_for_who_asks_for_much(void **state)
{
    server_start(*state);
    expect_order(*state, try_little_beside_much, 1, 10);
}

/* When the first of some was done who ask for the same. */
static unsigned try_some_with_much(struct server *server)
{
    enum { COUNT = 4 };
    int fds[COUNT];
    unsigned first = UINT_MAX;
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
        unsigned order = read_order(fds[i]) - before;
        first = order < first ? order : first;
        close(fds[i]);
    }
    return first;
}

static void test_those_who_ask_for_much_have_turns(void **state)
{
    server_start(*state);
    expect_order(*state, try_some_with_much, WORK / 2, WORK + 1); /* the others are far, too */
}

enum { OWN = 40 /* of one beside many */ };

static unsigned try_one_with_much_beside_many(struct server *server)
{
    enum { COUNT = 8 };
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
    unsigned order = read_order(one) - before;
    for (int i = 0; i < COUNT; i++) {
        expect_work(many[i], WORK / COUNT);
        close(many[i]);
    }
    close(one);
    return order;
}

/* Whoever opens many connections has no more of the reactor than whoever opens one. By turns of
 * connections it would be nine times his own. */
static void test_turns_go_round_addresses_first(void **state)
{
    server_start(*state);
    expect_order(*state, try_one_with_much_beside_many, OWN + 1, 6 * OWN);
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

/* Each of them asks for little, and would be served as soon as something happens on it. */
static void test_many_small_ones_of_one_address_stand_in_line(void **state)
{
    server_start(*state);
    expect_order(*state, try_one_beside_many, 1, 20);
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

/* One request is never cut, so whoever sends long ones sits out the turns that he had too much. By
 * turns of requests it would be 80 each time. */
static void test_long_requests_give_no_larger_share(void **state)
{
    server_start(*state);
    expect_order(*state, try_long_beside_short, 41, 70);
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

enum { FRESH = 100 };

static unsigned try_old_beside_new(struct server *server)
{
    int quiet = client_connect(server);
    client_expect_echo(quiet);
    int fresh[FRESH];
    int holder = hold_reactor(server);
    unsigned before = atomic_load(&server->frames);
    for (int i = 0; i < FRESH; i++) {
        fresh[i] = client_connect(server);
        client_send_text(fresh[i], i == 0 ? "G" : "W");
    }
    let_go(server, holder);
    wait_until(atomic_load(&server->frames) > before); /* the first of them holds it now */
    client_send_text(quiet, "O");
    sem_post(&server->gate);
    unsigned order = read_order(quiet) - before;
    for (int i = 0; i < FRESH; i++) {
        client_expect(fresh[i], i == 0 ? "G" : "W");
        close(fresh[i]);
    }
    close(quiet);
    return order;
}

/* Those who were there come before very many who have just come. */
static void test_new_connections_wait_for_old_ones(void **state)
{
    server_start(*state);
    expect_order(*state, try_old_beside_new, 1, FRESH / 2);
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

/* A transport that is never ready, and sees how much it is asked for. */
static size_t asked_bytes;

static size_t sum_of(const struct iovec *iov, int count)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        sum += iov[i].iov_len;
    }
    return sum;
}

static ssize_t ask_receive(struct transport *transport, const struct iovec *iov, int count)
{
    (void)transport;
    asked_bytes = sum_of(iov, count);
    return TRANSPORT_WANT_READ;
}

static ssize_t ask_send(struct transport *transport, const struct iovec *iov, int count, bool more)
{
    (void)transport;
    (void)more;
    asked_bytes = sum_of(iov, count);
    return TRANSPORT_WANT_WRITE;
}

static const struct transport_kind asking = {.receive = ask_receive, .send = ask_send};

enum { MUCH_BYTES = 4 << 20 };

/* How much is received at once of a frame of so many bytes. */
static size_t received_at_once(struct reactor *reactor)
{
    struct conn conn = {.reactor = reactor, .transport = {.kind = &asking, .fd = -1}};
    uint8_t byte; /* nothing is written to it */
    conn.frame = (struct frame_state){.prefix_have = 4, .size = MUCH_BYTES};
    conn.frame.buffer = (struct frame_buffer){&byte, MUCH_BYTES};
    conn_read(&conn);
    heap_remove(&reactor->timers, &conn.timer.node);
    reactor->touched = NULL;
    return asked_bytes;
}

/* How much is sent at once of two replies of so many bytes together. */
static size_t sent_at_once(struct reactor *reactor)
{
    struct conn conn = {.reactor = reactor, .transport = {.kind = &asking, .fd = -1}};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t sequence = reply_queue_push(&conn.replies);
        struct reply reply = {.nothing = false};
        buf_extend(&reply.bytes, i == 0 ? 1000 : MUCH_BYTES - 1000);
        struct reply_slot *slot = reply_queue_at(&conn.replies, sequence);
        reply_queue_put(&conn.replies, slot, &reply);
        slot->done = true;
    }
    struct site site = {.conn_count = 1};
    conn.site = &site;
    conn_flush(&conn);
    heap_remove(&reactor->timers, &conn.timer.node);
    reactor->touched = NULL;
    reply_queue_deinit(&conn.replies);
    return asked_bytes;
}

/* A copy of 128 KiB takes longer than a short turn. */
static void test_what_is_moved_at_once_is_short_while_others_ask_for_little(void **state)
{
    (void)state;
    enum { SECOND_NS = 1000000000, SHORT_BYTES = 64 << 10 };
    struct net net = {.config.max_parked_replies = 1};
    struct reactor reactor = {.net = &net, .little_ns = -SECOND_NS};
    reactor.now_ns = clock_now_ns();
    size_t received = received_at_once(&reactor);
    size_t sent = sent_at_once(&reactor);
    assert_in_range(received, SHORT_BYTES + 1, MUCH_BYTES);
    assert_in_range(sent, MUCH_BYTES, MUCH_BYTES + 8); /* and the sizes in front */
    reactor.little_ns = INT64_MAX / 2;                 /* for as long as this test may take */
    assert_in_range(received_at_once(&reactor), 1, SHORT_BYTES);
    assert_in_range(sent_at_once(&reactor), 1004 + 4, SHORT_BYTES);
    heap_deinit(&reactor.timers);
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
        cmocka_unit_test(test_what_is_moved_at_once_is_short_while_others_ask_for_little),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
