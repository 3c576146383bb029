#include "../unit.h"

#include "fixture.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * What TLS may do to a connection, done by a transport over plain TCP: a receive hands out little
 * of what it took from the socket, which epoll does not see, and wants to write before that; a send
 * takes part of the bytes, and not at once; files cannot be sent from where they are. Each byte is
 * changed on the wire.
 */
enum { INSIDE_BYTES = 16 << 10, RECEIVE_BYTES = 777, SEND_BYTES = 100000 };

struct session {
    uint8_t inside[INSIDE_BYTES]; /* received, not handed out */
    size_t have, taken;
    bool waiting; /* received, and a receive wanted to write */
    unsigned sends;
};

static atomic_uint sessions, odd_waits, ended;

static void change(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        data[i] ^= 0x5a;
    }
}

static bool open_session(struct transport *transport)
{
    transport->session = mem_new(struct session);
    atomic_fetch_add(&sessions, 1);
    return true;
}

/* Fills the inside from the socket; 0 and below as the plain transport says. */
static ssize_t fill(struct transport *transport, struct session *session)
{
    struct iovec iov = {session->inside, INSIDE_BYTES};
    ssize_t got = transport_plain.receive(transport, &iov, 1);
    change(session->inside, got > 0 ? (size_t)got : 0);
    session->have = got > 0 ? (size_t)got : 0;
    session->taken = 0;
    return got;
}

static ssize_t receive_little(struct transport *transport, const struct iovec *iov, int count)
{
    struct session *session = transport->session;
    assert_true(count >= 1 && iov[0].iov_len > 0);
    if (session->taken == session->have) {
        ssize_t got = fill(transport, session);
        if (got <= 0) {
            return got;
        }
        session->waiting = true;
        atomic_fetch_add(&odd_waits, 1);
        return TRANSPORT_WANT_WRITE; /* the socket takes output: called again at once */
    }
    session->waiting = false;
    size_t left = session->have - session->taken;
    size_t part = left < iov[0].iov_len ? left : iov[0].iov_len;
    part = part < RECEIVE_BYTES ? part : RECEIVE_BYTES;
    memcpy(iov[0].iov_base, session->inside + session->taken, part);
    session->taken += part;
    return (ssize_t)part;
}

static ssize_t send_little(struct transport *transport, const struct iovec *iov, int count,
                           bool more)
{
    struct session *session = transport->session;
    if (session->sends++ % 2 == 0) {
        atomic_fetch_add(&odd_waits, 1);
        return TRANSPORT_WANT_WRITE;
    }
    struct buf changed = {0};
    for (int i = 0; i < count && changed.size < SEND_BYTES; i++) {
        size_t left = SEND_BYTES - changed.size;
        assert_true(iov[i].iov_len > 0);
        buf_append(&changed, iov[i].iov_base, iov[i].iov_len < left ? iov[i].iov_len : left);
    }
    change(changed.data, changed.size);
    struct iovec one = {changed.data, changed.size};
    ssize_t sent = transport_plain.send(transport, &one, 1, more);
    buf_deinit(&changed);
    return sent;
}

static bool has_pending(const struct transport *transport)
{
    const struct session *session = transport->session;
    return session->taken < session->have && !session->waiting;
}

static void end_session(struct transport *transport)
{
    atomic_fetch_add(&ended, 1);
    transport_plain.end(transport);
}

static void close_session(struct transport *transport)
{
    free(transport->session);
    atomic_fetch_sub(&sessions, 1);
    transport_plain.close(transport);
}

static const struct transport_kind changing = {
    .open = open_session,
    .receive = receive_little,
    .send = send_little,
    .has_pending = has_pending,
    .end = end_session,
    .close = close_session,
};

static int set_up(void **state)
{
    int failed = server_set_up(state);
    struct server *server = *state;
    server->transport = &changing;
    atomic_store(&sessions, 0);
    atomic_store(&odd_waits, 0);
    atomic_store(&ended, 0);
    return failed;
}

static int tear_down(void **state)
{
    int failed = server_tear_down(state);
    assert_int_equal(atomic_load(&sessions), 0); /* each that was opened was closed */
    return failed;
}

static void send_changed(int fd, const struct buf *plain)
{
    struct buf wire = {0};
    buf_append_slice(&wire, buf_slice(plain));
    change(wire.data, wire.size);
    client_send(fd, wire.data, wire.size);
    buf_deinit(&wire);
}

static void receive_changed(int fd, uint8_t *data, size_t size)
{
    for (size_t have = 0; have < size;) {
        ssize_t got = recv(fd, data + have, size - have, 0);
        assert_true(got > 0);
        have += (size_t)got;
    }
    change(data, size);
}

static void expect_frame(int fd, const void *data, size_t size)
{
    uint8_t *seen = mem_alloc(size + 4);
    receive_changed(fd, seen, size + 4);
    assert_int_equal(load_be32(seen), size);
    assert_memory_equal(seen + 4, data, size);
    free(seen);
}

/* Frames of all sizes that net treats differently, in one row: whole in the scratch, in a buffer of
 * their own, received straight into it. The last bytes wait inside when the socket is empty. */
static void test_every_frame_comes_through_a_transport_that_does_little_at_a_time(void **state)
{
    static const size_t sizes[] = {1, 700, 777, 778, 20000, 65535, 65536, 200000, 3, 70000, 1};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    struct server *server = *state;
    struct buf row = {0};
    struct buf frames[COUNT] = {{0}};
    server_start(server);
    int fd = client_connect(server);
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t *bytes = buf_extend(&frames[i], sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            bytes[k] = (uint8_t)(k * 7 + i);
        }
        bytes[0] = 'e';
        append_frame(&row, frames[i].data, frames[i].size);
    }
    send_changed(fd, &row);
    for (unsigned i = 0; i < COUNT; i++) {
        expect_frame(fd, frames[i].data, frames[i].size);
        buf_deinit(&frames[i]);
    }
    assert_true(atomic_load(&odd_waits) > 0);
    buf_deinit(&row);
    close(fd);
}

static void add_be32(struct buf *to, uint32_t value)
{
    store_be32(buf_extend(to, 4), value);
}

/* Spans above and below what is copied at once, and an answer's end behind them. */
static void test_spans_of_files_are_read_where_they_cannot_be_sent(void **state)
{
    enum { FILE_BYTES = 300000 };
    struct server *server = *state;
    server->file_fd = memfd_create("spans", MFD_CLOEXEC);
    assert_true(server->file_fd >= 0);
    uint8_t *content = mem_alloc(FILE_BYTES + 1);
    for (size_t i = 0; i < FILE_BYTES; i++) {
        content[i] = (uint8_t)(i * 31 >> 3);
    }
    assert_int_equal(pwrite(server->file_fd, content, FILE_BYTES, 0), FILE_BYTES);
    server_start(server);
    int fd = client_connect(server);
    struct buf asked = {0};
    struct buf frame = {0};
    struct buf wanted = {0};
    buf_append_str(&asked, "f");
    buf_append_str(&wanted, "<");
    static const uint32_t spans[][2] = {{0, 200000}, {5, 100}, {200000, 100000}, {1, 70000}};
    for (unsigned i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        add_be32(&asked, spans[i][0]);
        add_be32(&asked, spans[i][1]);
        buf_append(&wanted, content + spans[i][0], spans[i][1]);
    }
    buf_append_str(&wanted, ">");
    append_frame(&frame, asked.data, asked.size);
    send_changed(fd, &frame);
    expect_frame(fd, wanted.data, wanted.size);
    buf_deinit(&asked);
    buf_deinit(&frame);
    buf_deinit(&wanted);
    free(content);
    close(fd);
}

/* More than one turn's bytes wait inside and nothing comes after them: epoll is silent. */
static void test_what_waits_inside_is_delivered_though_epoll_is_silent(void **state)
{
    struct server *server = *state;
    struct buf row = {0};
    server_start(server);
    int fd = client_connect(server);
    for (unsigned i = 0; i < 2000; i++) {
        append_frame(&row, "n......", 7);
    }
    append_frame(&row, "over", 4);
    send_changed(fd, &row);
    expect_frame(fd, "over", 4);
    assert_int_equal(atomic_load(&server->frames), 2001);
    buf_deinit(&row);
    close(fd);
}

/* Delivery pauses with bytes inside, and goes on when the reply is given. */
static void test_a_held_connection_goes_on_with_what_waits_inside(void **state)
{
    struct server *server = *state;
    struct buf row = {0};
    server_start(server);
    int fd = client_connect(server);
    uint8_t large[4000] = "e";
    uint8_t held[RECEIVE_BYTES - 4] = "h"; /* one receive gives it, and nothing behind it */
    append_frame(&row, held, sizeof held);
    append_frame(&row, large, sizeof large);
    send_changed(fd, &row);
    server_complete(server, server_parked(server, 0), "first");
    expect_frame(fd, "first", 5);
    expect_frame(fd, large, sizeof large);
    buf_deinit(&row);
    close(fd);
}

static void test_the_last_reply_ends_the_transport_before_it_is_closed(void **state)
{
    struct server *server = *state;
    struct buf row = {0};
    uint8_t byte;
    server_start(server);
    int fd = client_connect(server);
    append_frame(&row, "c", 1);
    send_changed(fd, &row);
    expect_frame(fd, "c", 1);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    assert_int_equal(atomic_load(&ended), 1);
    buf_deinit(&row);
    close(fd);
    wait_until(atomic_load(&server->closed) == 1);
}

static ssize_t send_after_input(struct transport *transport, const struct iovec *iov, int count,
                                bool more)
{
    struct session *session = transport->session;
    if (session->sends++ == 0) {
        atomic_fetch_add(&odd_waits, 1);
        return TRANSPORT_WANT_READ;
    }
    return transport_plain.send(transport, iov, count, more);
}

/* As in a TLS handshake that the server's answer has to wait for. */
static void test_a_send_that_wants_input_goes_on_when_there_is_some(void **state)
{
    static struct transport_kind kind;
    struct server *server = *state;
    kind = changing;
    kind.receive = transport_plain.receive;
    kind.has_pending = NULL;
    kind.send = send_after_input;
    server->transport = &kind;
    server->config.max_parked_replies = 1; /* it is not read for its own sake */
    server_start(server);
    int fd = client_connect(server);
    client_send_text(fd, "early");
    wait_until(atomic_load(&odd_waits) == 1);
    client_send_text(fd, "second");
    client_expect(fd, "early");
    client_expect(fd, "second");
    close(fd);
}

static bool refuse_session(struct transport *transport)
{
    (void)transport;
    return false;
}

static void test_a_transport_that_cannot_open_refuses_the_connection(void **state)
{
    static const struct transport_kind refusing = {.open = refuse_session};
    struct server *server = *state;
    server->transport = &refusing;
    server_start(server);
    int fd = client_connect(server);
    assert_true(client_is_closed(fd));
    assert_int_equal(atomic_load(&server->opened), 0);
    close(fd);
}

static ssize_t fail_to_receive(struct transport *transport, const struct iovec *iov, int count)
{
    (void)iov, (void)count;
    transport->failure = "the handshake says no";
    return TRANSPORT_FAILED;
}

static void test_the_log_says_why_a_transport_failed(void **state)
{
    static const struct transport_kind failing = {
        .receive = fail_to_receive, .end = end_session, .close = close_session};
    struct server *server = *state;
    server->transport = &failing;
    log_catch();
    server_start(server);
    int fd = client_connect(server);
    atomic_store(&sessions, 1); /* close_session counts it down */
    client_send(fd, "x", 1);
    assert_true(client_is_closed(fd));
    wait_until(atomic_load(&server->closed) == 1);
    char *text = log_release();
    assert_int_equal(count_text(text, "cannot receive: the handshake says no"), 1);
    free(text);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_frame_comes_through_a_transport_that_does_little_at_a_time),
        TEST(test_spans_of_files_are_read_where_they_cannot_be_sent),
        TEST(test_what_waits_inside_is_delivered_though_epoll_is_silent),
        TEST(test_a_held_connection_goes_on_with_what_waits_inside),
        TEST(test_the_last_reply_ends_the_transport_before_it_is_closed),
        TEST(test_a_send_that_wants_input_goes_on_when_there_is_some),
        TEST(test_a_transport_that_cannot_open_refuses_the_connection),
        TEST(test_the_log_says_why_a_transport_failed),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
