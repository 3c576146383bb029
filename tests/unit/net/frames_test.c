#include "../unit.h"
#include "fixture.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Frames in, replies out, in order. */

static void test_a_frame_is_answered_on_its_connection(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    for (int i = 0; i < 100; i++) {
        client_send_text(fd, "echo this");
        client_expect(fd, "echo this");
    }
    close(fd);
    wait_until(atomic_load(&server->closed) == 1);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_PEER);
    struct net_stats stats;
    net_stats(server->net, &stats);
    assert_int_equal(stats.frames, 100);
    assert_int_equal(stats.bytes_in, 1300);
    assert_int_equal(stats.bytes_out, 1300);
    assert_int_equal(stats.accepted, 1);
    assert_int_equal(stats.closed[CONN_END_PEER], 1);
    assert_true(atomic_load(&server->turns) > 0);
}

static void test_frames_may_be_split_at_every_byte(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    struct buf bytes = {0};
    append_frame(&bytes, "e-first", 7);
    append_frame(&bytes, "e", 1);
    append_frame(&bytes, "e-third-one", 11);
    for (size_t cut = 1; cut < bytes.size; cut++) {
        client_send(fd, bytes.data, cut);
        client_send(fd, bytes.data + cut, bytes.size - cut);
        client_expect(fd, "e-first");
        client_expect(fd, "e");
        client_expect(fd, "e-third-one");
    }
    for (size_t i = 0; i < bytes.size; i++) {
        client_send(fd, bytes.data + i, 1);
    }
    client_expect(fd, "e-first");
    client_expect(fd, "e");
    client_expect(fd, "e-third-one");
    buf_deinit(&bytes);
    close(fd);
}

/* So many that they cross the scratch buffer's end in many places. */
static void test_many_frames_may_come_in_one_write(void **state)
{
    enum { FRAMES = 5000 };
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    struct buf bytes = {0};
    char text[64];
    for (int i = 0; i < FRAMES; i++) {
        int size = snprintf(text, sizeof text, "e%0*d", 1 + i % 40, i);
        append_frame(&bytes, text, (size_t)size);
    }
    client_send(fd, bytes.data, bytes.size);
    for (int i = 0; i < FRAMES; i++) {
        snprintf(text, sizeof text, "e%0*d", 1 + i % 40, i);
        client_expect(fd, text);
    }
    buf_deinit(&bytes);
    close(fd);
}

struct stream {
    int fd;
    struct buf *bytes;
};

static void *send_stream(void *context)
{
    struct stream *stream = context;
    client_send(stream->fd, stream->bytes->data, stream->bytes->size);
    return NULL;
}

static size_t odd_size(unsigned index)
{
    static const size_t sizes[] = {1,     5,      65531,   65532, 65533, 65535,  65536,  65537,
                                   70000, 131072, 1048576, 2,     99999, 300000, 2000001};
    return sizes[index % (sizeof sizes / sizeof sizes[0])];
}

/* Every way of receiving: in place, copied, straight into a large buffer, and from one to another.
 */
static void test_frames_of_all_sizes_come_whole(void **state)
{
    enum { FRAMES = 90 };
    struct server *server = *state;
    server->config.max_unsent_bytes = 8 << 20;
    server_start(server);
    int fd = client_connect(server);
    struct buf bytes = {0};
    for (unsigned i = 0; i < FRAMES; i++) {
        size_t size = odd_size(i * 7 + i / 15);
        buf_append_be32(&bytes, (uint32_t)size);
        uint8_t *to = buf_extend(&bytes, size);
        for (size_t at = 0; at < size; at++) {
            to[at] = (uint8_t)(at * 31 + i);
        }
        to[0] = 'e';
    }
    struct stream stream = {fd, &bytes};
    pthread_t thread;
    pthread_create(&thread, NULL, send_stream, &stream);
    struct buf frame = {0};
    size_t at = 0;
    for (unsigned i = 0; i < FRAMES; i++) {
        size_t size = odd_size(i * 7 + i / 15);
        assert_true(client_read_frame(fd, &frame));
        assert_int_equal(frame.size, size);
        assert_memory_equal(frame.data, bytes.data + at + 4, size);
        at += 4 + size;
    }
    pthread_join(thread, NULL);
    buf_deinit(&frame);
    buf_deinit(&bytes);
    close(fd);
}

static void test_out_of_order_replies_leave_in_order(void **state)
{
    enum { FRAMES = 200 };
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    for (int i = 0; i < FRAMES; i++) {
        client_send_text(fd, "p");
    }
    client_send_text(fd, "n");
    client_send_text(fd, "echo last");
    char text[16];
    for (unsigned i = 0; i < FRAMES; i++) {
        unsigned index = (i * 77 + 3) % FRAMES; /* 77 and 200 share no factor: each once */
        snprintf(text, sizeof text, "reply %u", index);
        server_complete(server, server_parked(server, index), text);
    }
    for (unsigned i = 0; i < FRAMES; i++) {
        snprintf(text, sizeof text, "reply %u", i);
        client_expect(fd, text);
    }
    client_expect(fd, "echo last");
    close(fd);
}

static void test_a_reply_after_the_close_is_freed(void **state)
{
    struct server *server = *state;
    server->config.reactor_count = 1; /* so that the next connection takes the same slot */
    server_start(server);
    int fd = client_connect(server);
    client_send_text(fd, "p");
    struct reply_token dead = server_parked(server, 0);
    close(fd);
    wait_until(atomic_load(&server->closed) == 1);
    fd = client_connect(server);
    client_send_text(fd, "p");
    struct reply_token token = server_parked(server, 1);
    assert_int_equal(token.conn_slot, dead.conn_slot);
    assert_int_equal(token.sequence, dead.sequence);
    server_complete(server, dead, "for another");
    server_complete(server, token, "for me");
    client_expect(fd, "for me");
    close(fd);
}

static void reply_later(struct server *server, struct reply_token token, const char *text,
                        int32_t hold_ms)
{
    struct reply reply = {.hold_ms = hold_ms};
    buf_append_str(&reply.bytes, text);
    net_reply(server->net, token, &reply);
}

static bool has_nothing_to_read(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

static void test_a_held_reply_leaves_when_the_net_drains(void **state)
{
    struct server *server = *state;
    server->config.reactor_count = 1;
    server_start(server);
    int fd = client_connect(server);
    client_send_texts(fd, "p", "echo behind it");
    reply_later(server, server_parked(server, 0), "held", INT32_MAX);
    int other = client_connect(server);
    client_expect_echo(other); /* nobody else waits */
    client_expect_echo(other); /* and the turn that took the held one is over */
    assert_true(has_nothing_to_read(fd));
    net_drain(server->net);
    client_expect(fd, "held");
    client_expect(fd, "echo behind it");
    wait_until(net_drained(server->net));
    close(fd);
    close(other);
}

static void test_a_held_reply_leaves_after_its_time(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    client_send_texts(fd, "p", "p", "echo");
    reply_later(server, server_parked(server, 0), "one", 2);
    reply_later(server, server_parked(server, 1), "two", 1);
    client_expect(fd, "one");
    client_expect(fd, "two");
    client_expect(fd, "echo");
    close(fd);
}

/* Another one sees to it that the loop turns all the time. */
static void test_no_held_reply_leaves_before_its_time(void **state)
{
    enum { REPLIES = 50, HOLD_MS = 2 };
    struct server *server = *state;
    server->config.reactor_count = 1;
    server_start(server);
    int fd = client_connect(server), other = client_connect(server);
    for (unsigned i = 0; i < REPLIES; i++) {
        client_send_text(fd, "p");
        struct reply_token token = server_parked(server, i);
        int64_t began_ns = clock_now_ns();
        reply_later(server, token, "held", HOLD_MS);
        while (has_nothing_to_read(fd)) {
            client_expect_echo(other);
        }
        assert_true(clock_now_ns() - began_ns >= HOLD_MS * 1000000);
        client_expect(fd, "held");
    }
    close(fd);
    close(other);
}

static void test_a_held_reply_of_a_closed_connection_is_freed_at_stop(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    client_send_text(fd, "p");
    reply_later(server, server_parked(server, 0), "for nobody", INT32_MAX);
    close(fd);
    wait_until(atomic_load(&server->closed) == 1);
}

static void test_a_held_connection_delivers_no_further_frame(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    client_send_texts(fd, "h", "e behind", "h", "e last");
    struct reply_token first = server_parked(server, 0);
    int other = client_connect(server); /* another connection goes on */
    client_expect_echo(other);
    assert_int_equal(atomic_load(&server->frames), 2); /* the held one, and the other's echo */
    server_complete(server, first, "one");
    client_expect(fd, "one");
    client_expect(fd, "e behind");
    struct reply_token second = server_parked(server, 1);
    assert_int_equal(atomic_load(&server->frames), 4);
    server_complete(server, second, "two");
    client_expect(fd, "two");
    client_expect(fd, "e last");
    close(fd);
    close(other);
}

static void test_too_many_owed_replies_pause_reading(void **state)
{
    struct server *server = *state;
    server->config.max_parked_replies = 3;
    server_start(server);
    int fd = client_connect(server);
    for (int i = 0; i < 10; i++) {
        client_send_text(fd, "p");
    }
    server_parked(server, 2);
    int other = client_connect(server);
    client_expect_echo(other);
    assert_int_equal(atomic_load(&server->frames), 4);
    for (unsigned i = 0; i < 10; i++) {
        server_complete(server, server_parked(server, i), "done");
        client_expect(fd, "done");
    }
    close(fd);
    close(other);
}

static void test_close_after_closes_behind_its_reply(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    client_send_texts(fd, "e first", "c last", "e never");
    client_expect(fd, "e first");
    client_expect(fd, "c last");
    assert_true(client_is_closed(fd));
    close(fd);
    wait_until(atomic_load(&server->closed) == 1);
    assert_int_equal(atomic_load(&server->frames), 2);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_HANDLER);
}

static void write_file(struct server *server, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    server->file_fd = dup(fileno(file));
    fclose(file);
    struct buf content = {0};
    uint8_t *to = buf_extend(&content, size);
    for (size_t at = 0; at < size; at++) {
        to[at] = (uint8_t)(at * 7 + at / 251);
    }
    assert_int_equal(pwrite(server->file_fd, content.data, size, 0), size);
    buf_deinit(&content);
}

static void test_spans_of_files_stand_where_they_belong(void **state)
{
    static const uint32_t parts[][2] = {{0, 10},     {5000, 8191},    {100, 8192}, {0, 0},
                                        {77, 20000}, {1000, 3000000}, {3, 1},      {9, 8000}};
    enum { PARTS = sizeof parts / sizeof parts[0] };
    struct server *server = *state;
    write_file(server, 4 << 20);
    server_start(server);
    int fd = client_connect(server);
    struct buf request = {0}, expected = {0}, got = {0};
    for (unsigned count = 0; count <= PARTS; count++) {
        buf_clear(&request);
        buf_clear(&expected);
        buf_append_str(&request, "f");
        buf_append_str(&expected, "<");
        for (unsigned i = 0; i < count; i++) {
            buf_append_be32(&request, parts[i][0]);
            buf_append_be32(&request, parts[i][1]);
            assert_int_equal(pread(server->file_fd, buf_extend(&expected, parts[i][1]), parts[i][1],
                                   parts[i][0]),
                             parts[i][1]);
        }
        buf_append_str(&expected, ">");
        client_send_frame(fd, request.data, request.size);
        client_send_frame(fd, request.data, request.size);
        for (int twice = 0; twice < 2; twice++) {
            assert_true(client_read_frame(fd, &got));
            assert_int_equal(got.size, expected.size);
            assert_memory_equal(got.data, expected.data, got.size);
        }
    }
    buf_deinit(&request);
    buf_deinit(&expected);
    buf_deinit(&got);
    close(fd);
    wait_until(atomic_load(&server->spans_out) == 0);
}

static void test_a_file_that_is_too_short_closes_the_connection(void **state)
{
    struct server *server = *state;
    write_file(server, 100000);
    server_start(server);
    static const uint32_t sizes[] = {100, 50000};
    for (int i = 0; i < 2; i++) {
        int fd = client_connect(server);
        struct buf request = {0}, got = {0};
        buf_append_str(&request, "f");
        buf_append_be32(&request, 99999);
        buf_append_be32(&request, sizes[i]);
        client_send_frame(fd, request.data, request.size);
        assert_false(client_read_frame(fd, &got));
        wait_until(atomic_load(&server->closed) == (unsigned)i + 1);
        assert_int_equal(atomic_load(&server->last_end), CONN_END_HANDLER);
        buf_deinit(&request);
        buf_deinit(&got);
        close(fd);
    }
}

static void test_a_refused_frame_closes_behind_the_answers_before_it(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    client_send_texts(fd, "p first", "x", "e never");
    wait_until(atomic_load(&server->frames) == 2);
    server_complete(server, server_parked(server, 0), "first");
    client_expect(fd, "first");
    assert_true(client_is_closed(fd));
    wait_until(atomic_load(&server->closed) == 1);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_HANDLER);
    assert_int_equal(atomic_load(&server->frames), 2);
    close(fd);
}

static void test_a_refused_peer_that_goes_is_not_kept_for_an_answer_it_is_owed(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    client_send_texts(fd, "p never answered", "x");
    wait_until(atomic_load(&server->frames) == 2);
    close(fd);
    wait_until(atomic_load(&server->closed) == 1);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_PEER);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_a_frame_is_answered_on_its_connection),
        SERVER_TEST(test_frames_may_be_split_at_every_byte),
        SERVER_TEST(test_many_frames_may_come_in_one_write),
        SERVER_TEST(test_frames_of_all_sizes_come_whole),
        SERVER_TEST(test_out_of_order_replies_leave_in_order),
        SERVER_TEST(test_a_reply_after_the_close_is_freed),
        SERVER_TEST(test_a_held_reply_leaves_when_the_net_drains),
        SERVER_TEST(test_a_held_reply_leaves_after_its_time),
        SERVER_TEST(test_no_held_reply_leaves_before_its_time),
        SERVER_TEST(test_a_held_reply_of_a_closed_connection_is_freed_at_stop),
        SERVER_TEST(test_a_held_connection_delivers_no_further_frame),
        SERVER_TEST(test_too_many_owed_replies_pause_reading),
        SERVER_TEST(test_close_after_closes_behind_its_reply),
        SERVER_TEST(test_spans_of_files_stand_where_they_belong),
        SERVER_TEST(test_a_file_that_is_too_short_closes_the_connection),
        SERVER_TEST(test_a_refused_frame_closes_behind_the_answers_before_it),
        SERVER_TEST(test_a_refused_peer_that_goes_is_not_kept_for_an_answer_it_is_owed),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
