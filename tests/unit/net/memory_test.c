#include "../unit.h"

#include "fixture.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What connections may hold together: 600 KiB of frames, and as much of answers. */
enum {
    MEMORY_BYTES = 4 << 20,
    SHARE_BYTES = MEMORY_BYTES / 1000 * 150,
    FRAMES_MOST_BYTES = SHARE_BYTES / 5 * 2 + 2 * (128 << 10), /* and what a reactor receives */
    HALF_BYTES = 60000,
    SMALL_BYTES = 60010,
    LARGE_BYTES = 400000,
};

static struct budget budget;

static int set_up(void **state)
{
    int failed = server_set_up(state);
    struct server *server = *state;
    budget_init(&budget, MEMORY_BYTES);
    server->config.budget = &budget;
    return failed;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, server_tear_down)

static int64_t held(enum budget_share share)
{
    return atomic_load(&budget.shares[share].bytes);
}

static int64_t most(enum budget_share share)
{
    return atomic_load(&budget.shares[share].most_bytes);
}

/* A frame's size and its first bytes. */
static void send_part(int fd, uint32_t size, size_t part)
{
    struct buf bytes = {0};
    buf_append_be32(&bytes, size);
    memset(buf_extend(&bytes, part), 'e', part);
    client_send(fd, bytes.data, bytes.size);
    buf_deinit(&bytes);
}

static void send_rest(int fd, size_t rest)
{
    struct buf bytes = {0};
    memset(buf_extend(&bytes, rest), 'e', rest);
    client_send(fd, bytes.data, bytes.size);
    buf_deinit(&bytes);
}

static void expect_frame(int fd, size_t size)
{
    struct buf frame = {0};
    assert_true(client_read_frame(fd, &frame));
    assert_int_equal(frame.size, size);
    assert_int_equal(frame.data[size - 1], 'e');
    buf_deinit(&frame);
}

enum { HALVES = 100 };

/* 6 MB of them: those beyond the share stay in the kernel, and each goes on when it is whole. */
static void test_half_frames_take_no_more_than_their_share(void **state)
{
    struct server *server = *state;
    server_start(server);
    int good = client_connect(server);
    int halves[HALVES];
    for (int i = 0; i < HALVES; i++) {
        halves[i] = client_connect(server);
        send_part(halves[i], SMALL_BYTES, HALF_BYTES);
        client_expect_echo(good);
    }
    assert_in_range(most(BUDGET_FRAMES), SHARE_BYTES / 3, FRAMES_MOST_BYTES);
    int late = client_connect(server); /* in pieces, while nothing is free */
    send_part(late, SMALL_BYTES, 1000);
    client_expect_echo(good);
    send_rest(late, SMALL_BYTES - 1000);
    expect_frame(late, SMALL_BYTES);
    for (int i = 0; i < HALVES; i++) {
        if (i % 3 == 0) {
            shutdown(halves[i], SHUT_WR);
            assert_true(client_is_closed(halves[i]));
        } else {
            send_rest(halves[i], SMALL_BYTES - HALF_BYTES);
            expect_frame(halves[i], SMALL_BYTES);
            client_expect_echo(halves[i]);
        }
        close(halves[i]);
    }
    assert_in_range(most(BUDGET_FRAMES), SHARE_BYTES / 3, FRAMES_MOST_BYTES);
    close(late);
    close(good);
    wait_until(net_connection_count(server->net) == 0);
    wait_until(held(BUDGET_FRAMES) <= 4 * BUDGET_PIECE_BYTES); /* what two reactors keep at hand */
}

static void test_a_half_frame_in_the_kernel_must_move_too(void **state)
{
    struct server *server = *state;
    server->config.stall_timeout_ms = 300;
    server_start(server);
    budget_add(&budget, BUDGET_FRAMES, SHARE_BYTES); /* by others */
    log_catch();
    int fd = client_connect(server);
    send_part(fd, SMALL_BYTES, HALF_BYTES);
    assert_true(client_is_closed(fd));
    char *text = log_release();
    assert_int_equal(count_text(text, "of a request came in 300 ms (60000 of 60010 bytes)"), 1);
    free(text);
    budget_give(&budget, BUDGET_FRAMES, SHARE_BYTES);
    close(fd);
}

static void test_frames_that_hold_up_others_are_closed(void **state)
{
    struct server *server = *state;
    server_start(server);
    log_catch();
    int idle = client_connect(server);
    client_expect_echo(idle);
    send_part(idle, LARGE_BYTES, 100);
    wait_until(held(BUDGET_FRAMES) >= LARGE_BYTES);
    int good = client_connect(server);
    send_part(good, LARGE_BYTES, LARGE_BYTES);
    expect_frame(good, LARGE_BYTES);
    assert_true(client_is_closed(idle));
    assert_int_equal(atomic_load(&server->last_end), CONN_END_MEMORY);
    char *text = log_release();
    assert_int_equal(count_text(text, "of 400000 bytes of a request came in"), 1);
    assert_int_equal(count_text(text, "others wait for the memory"), 1);
    free(text);
    close(idle);
    close(good);
}

/* Nobody waits for its memory: it takes the time it needs. */
static void test_a_slow_frame_alone_is_read(void **state)
{
    struct server *server = *state;
    server_start(server);
    budget_add(&budget, BUDGET_FRAMES, SHARE_BYTES);
    int fd = client_connect(server);
    send_part(fd, LARGE_BYTES, 100);
    wait_until(held(BUDGET_FRAMES) >= SHARE_BYTES + LARGE_BYTES);
    send_rest(fd, LARGE_BYTES - 100);
    expect_frame(fd, LARGE_BYTES);
    budget_give(&budget, BUDGET_FRAMES, SHARE_BYTES);
    close(fd);
}

static void test_connections_leave_room_for_frames(void **state)
{
    struct server *server = *state;
    server_start(server);
    log_catch();
    int fds[1000];
    unsigned count = 0;
    while (count < 1000 && atomic_load(&server->opened) == count) {
        fds[count] = client_connect(server);
        count++;
        for (unsigned tries = 0; atomic_load(&server->opened) < count && tries < 1000; tries++) {
            struct net_stats stats;
            net_stats(server->net, &stats);
            if (stats.closed[CONN_END_LIMIT] > 0) {
                break;
            }
            wait_a_bit(tries, "the connection is there or refused");
        }
    }
    assert_in_range(count, 100, 999);
    assert_true(client_is_closed(fds[count - 1]));
    assert_in_range(held(BUDGET_FRAMES), SHARE_BYTES / 2, SHARE_BYTES);
    char *text = log_release();
    assert_int_equal(count_text(text, "the memory for connections is used up (memory.max)"), 1);
    free(text);
    client_expect_echo(fds[0]);
    for (unsigned i = 0; i < count; i++) {
        close(fds[i]);
    }
}

enum { GREEDY = 60 };

/* 128 KiB an answer, twenty a connection, and none of them reads: 150 MB, would they be made. */
static void test_answers_that_nobody_takes_are_bounded(void **state)
{
    struct server *server = *state;
    server_start(server);
    log_catch();
    int good = client_connect(server);
    int greedy[GREEDY];
    for (int i = 0; i < GREEDY; i++) {
        int small = 4096;
        greedy[i] = client_connect(server);
        setsockopt(greedy[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        for (int n = 0; n < 200; n++) {
            client_send_frame(greedy[i], "b\0\x02\0\0", 5);
        }
        client_expect_echo(good);
    }
    wait_until(held(BUDGET_ANSWERS) <= SHARE_BYTES);
    client_expect_echo(good);
    /* As much again, and what one turn of each reactor adds. */
    assert_in_range(most(BUDGET_ANSWERS), SHARE_BYTES, SHARE_BYTES * 2 + (1 << 20));
    char *text = log_release();
    assert_true(count_text(text, "the memory for answers is used up (memory.max)") > 0);
    free(text);
    for (int i = 0; i < GREEDY; i++) {
        close(greedy[i]);
    }
    close(good);
    wait_until(net_connection_count(server->net) == 0);
    wait_until(held(BUDGET_ANSWERS) <= 4 * BUDGET_PIECE_BYTES);
}

/* The answers go on as they are taken, though they are more than the share. Each is so small that
 * the share is never overdrawn by much: else who takes none for some ms is closed. */
static void test_who_takes_his_answers_gets_them_all(void **state)
{
    enum { ANSWERS = 400 };
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    struct buf frame = {0};
    for (int n = 0; n < ANSWERS; n++) {
        client_send_frame(fd, "b\0\x01\0\0", 5);
    }
    for (int n = 0; n < ANSWERS; n++) {
        assert_true(client_read_frame(fd, &frame));
        assert_int_equal(frame.size, 1 << 16);
    }
    client_expect_echo(fd);
    buf_deinit(&frame);
    close(fd);
}

/* Behind a request that is not answered, so that nothing can be sent. */
static void test_answers_behind_one_that_is_not_made_are_bounded(void **state)
{
    struct server *server = *state;
    server_start(server);
    log_catch();
    int good = client_connect(server);
    int greedy[4];
    for (int i = 0; i < 4; i++) {
        greedy[i] = client_connect(server);
        client_send_text(greedy[i], "p");
        for (int n = 0; n < 100; n++) {
            client_send_frame(greedy[i], "b\0\x02\0\0", 5);
        }
    }
    wait_until(atomic_load(&server->hurried) > 0); /* asked first, and it does not help here */
    wait_until(atomic_load(&server->closed) > 0);
    client_expect_echo(good);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_MEMORY);
    assert_in_range(most(BUDGET_ANSWERS), SHARE_BYTES, SHARE_BYTES * 2 + (1 << 20));
    free(log_release());
    for (int i = 0; i < 4; i++) {
        close(greedy[i]);
    }
    close(good);
}

static void ask(int fd)
{
    client_send_text(fd, "e");
}

/* A large answer makes the reactor look at the share. */
static void make_it_look(int fd)
{
    struct buf frame = {0};
    client_send_frame(fd, "b\0\x02\0\0", 5);
    assert_true(client_read_frame(fd, &frame));
    buf_deinit(&frame);
}

/* Others hold more than all of the share. */
static void test_who_asks_for_little_is_read_when_answers_are_packed(void **state)
{
    struct server *server = *state;
    server->config.reactor_count = 1;
    server_start(server);
    int little = client_connect(server);
    int large = client_connect(server);
    int stranger = client_connect(server);
    client_expect_echo(little);
    budget_add(&budget, BUDGET_ANSWERS, SHARE_BYTES + SHARE_BYTES / 2);
    make_it_look(large);
    unsigned frames = atomic_load(&server->frames);
    ask(large);
    ask(stranger);
    for (int i = 0; i < 20; i++) {
        client_expect_echo(little);
    }
    budget_add(&budget, BUDGET_ANSWERS, SHARE_BYTES); /* however much others hold */
    for (int i = 0; i < 20; i++) {
        client_expect_echo(little);
    }
    assert_int_equal(atomic_load(&server->frames), frames + 40);
    budget_give(&budget, BUDGET_ANSWERS, 2 * SHARE_BYTES);
    client_expect(large, "e");
    client_expect(stranger, "e");
    budget_give(&budget, BUDGET_ANSWERS, SHARE_BYTES / 2);
    close(little);
    close(large);
    close(stranger);
}

/* An answer of so many bytes, all 'e'. */
static void answer(struct server *server, struct reply_token token, size_t size, int32_t hold_ms)
{
    struct reply reply = {.hold_ms = hold_ms};
    memset(buf_extend(&reply.bytes, size), 'e', size);
    net_reply(server->net, token, &reply);
}

enum { HELD = 60, HELD_BYTES = 60000, ONE_MORE_BYTES = 2 * HELD_BYTES };

/* 3.6 MB of them. Those beyond half of the share leave at once, and their connections wait. */
static void test_held_answers_take_no_more_than_half_of_their_share(void **state)
{
    struct server *server = *state;
    server->config.reactor_count = 1;
    server_start(server);
    int fds[HELD];
    int good = client_connect(server);
    for (unsigned i = 0; i < HELD; i++) {
        fds[i] = client_connect(server);
        client_send_texts(fds[i], "h", "echo behind it");
        answer(server, server_parked(server, i), HELD_BYTES, INT32_MAX);
        client_expect_echo(good);
        client_expect_echo(good);
    }
    expect_frame(fds[HELD - 1], HELD_BYTES);
    assert_int_equal(atomic_load(&server->frames), 3 * HELD); /* none of those behind it */
    assert_in_range(most(BUDGET_ANSWERS), SHARE_BYTES / 4, SHARE_BYTES / 2 + 3 * ONE_MORE_BYTES);
    net_drain(server->net);
    expect_frame(fds[0], HELD_BYTES);
    for (unsigned i = 0; i < HELD; i++) {
        close(fds[i]);
    }
    close(good);
}

static void test_who_waits_for_its_time_goes_on_after_it(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    budget_add(&budget, BUDGET_ANSWERS, SHARE_BYTES / 4 * 3);
    for (unsigned i = 0; i < 3; i++) {
        client_send_texts(fd, "p", "e behind it");
        answer(server, server_parked(server, i), HELD_BYTES, (int32_t)i + 1);
        expect_frame(fd, HELD_BYTES);
        client_expect(fd, "e behind it");
    }
    budget_give(&budget, BUDGET_ANSWERS, SHARE_BYTES / 4 * 3);
    close(fd);
}

/* Made by others while the reactor has no processor: 6 MB of them. */
static void test_answers_on_their_way_to_a_reactor_are_bounded(void **state)
{
    enum { ANSWERS = 100 };
    struct server *server = *state;
    server->config.reactor_count = 1;
    server_start(server);
    log_catch();
    int fds[ANSWERS];
    for (unsigned i = 0; i < ANSWERS; i++) {
        fds[i] = client_connect(server);
        client_send_text(fds[i], "p");
        server_parked(server, i);
    }
    int holder = client_connect(server);
    client_expect_echo(holder);
    unsigned frames = atomic_load(&server->frames);
    client_send_text(holder, "G");
    wait_until(atomic_load(&server->frames) == frames + 1);
    for (unsigned i = 0; i < ANSWERS; i++) {
        answer(server, server_parked(server, i), HELD_BYTES, 0);
    }
    assert_in_range(held(BUDGET_ANSWERS), SHARE_BYTES, SHARE_BYTES / 4 * 9 + ONE_MORE_BYTES);
    sem_post(&server->gate);
    client_expect(holder, "G");
    assert_true(client_is_closed(fds[ANSWERS - 1]));
    assert_in_range(most(BUDGET_ANSWERS), SHARE_BYTES, SHARE_BYTES / 4 * 9 + 3 * ONE_MORE_BYTES);
    char *text = log_release();
    assert_true(count_text(text, "a large one is dropped") > 0);
    free(text);
    for (unsigned i = 0; i < ANSWERS; i++) {
        close(fds[i]);
    }
    close(holder);
    wait_until(net_connection_count(server->net) == 0);
    wait_until(held(BUDGET_ANSWERS) <= 4 * BUDGET_PIECE_BYTES);
}

static void test_a_peer_that_ends_while_it_is_not_read_is_told(void **state)
{
    struct server *server = *state;
    server->config.max_parked_replies = 2;
    server_start(server);
    int half = client_connect(server);
    client_send_texts(half, "h", "e second");
    struct reply_token tokens[2] = {server_parked(server, 0)};
    shutdown(half, SHUT_WR);
    wait_until(atomic_load(&server->hurried) == 1);
    server_complete(server, tokens[0], "first"); /* it still reads */
    client_expect(half, "first");
    client_expect(half, "e second");
    assert_true(client_is_closed(half));
    close(half);

    int gone = client_connect(server);
    client_send_texts(gone, "p", "p");
    tokens[0] = server_parked(server, 1);
    tokens[1] = server_parked(server, 2);
    close(gone);
    wait_until(atomic_load(&server->hurried) == 2);
    server_complete(server, tokens[0], "nobody reads it");
    wait_until(atomic_load(&server->closed) == 2);
    server_complete(server, tokens[1], "neither this");
    assert_int_equal(atomic_load(&server->hurried), 2); /* once for each */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_half_frames_take_no_more_than_their_share),
        TEST(test_a_half_frame_in_the_kernel_must_move_too),
        TEST(test_frames_that_hold_up_others_are_closed),
        TEST(test_a_slow_frame_alone_is_read),
        TEST(test_connections_leave_room_for_frames),
        TEST(test_answers_that_nobody_takes_are_bounded),
        TEST(test_answers_behind_one_that_is_not_made_are_bounded),
        TEST(test_who_takes_his_answers_gets_them_all),
        TEST(test_who_asks_for_little_is_read_when_answers_are_packed),
        TEST(test_held_answers_take_no_more_than_half_of_their_share),
        TEST(test_who_waits_for_its_time_goes_on_after_it),
        TEST(test_answers_on_their_way_to_a_reactor_are_bounded),
        TEST(test_a_peer_that_ends_while_it_is_not_read_is_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
