#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECEIVE_BYTES = 64 << 10, FRAME_MAX_BYTES = 256 << 20, DISCARD_BYTES = 1 << 20 };

enum err load_conn_open(const struct sockaddr_in *address, struct load_conn *conn,
                        struct reason *reason)
{
    *conn = (struct load_conn){.receive_bytes = RECEIVE_BYTES};
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        enum err err = reason_errno(reason, "cannot connect to the server");
        load_conn_close(conn);
        return err;
    }
    int on = 1;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return ERR_NONE;
}

void load_conn_close(struct load_conn *conn)
{
    if (conn->fd >= 0) {
        close(conn->fd);
    }
    buf_deinit(&conn->input);
    conn->fd = -1;
}

enum err load_conn_send(struct load_conn *conn, struct iovec *iov, size_t count,
                        struct reason *reason)
{
    while (count > 0) {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
        ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            return reason_errno(reason, "cannot send to the server");
        }
        size_t left = (size_t)sent;
        while (count > 0 && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            count--;
        }
        if (count > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
    return ERR_NONE;
}

static size_t available(const struct load_conn *conn)
{
    return conn->input.size - conn->taken;
}

/* Receives at least one byte, or with MSG_DONTWAIT perhaps none. */
static enum err receive(struct load_conn *conn, size_t more, int flags, struct reason *reason)
{
    if (conn->taken > 0) {
        buf_consume(&conn->input, conn->taken);
        conn->taken = 0;
    }
    size_t size = more > conn->receive_bytes ? more : conn->receive_bytes;
    buf_reserve(&conn->input, size);
    ssize_t got = recv(conn->fd, conn->input.data + conn->input.size, size, flags);
    if (got < 0 && errno == EAGAIN) {
        return ERR_NONE;
    }
    if (got < 0) {
        return reason_errno(reason, "cannot receive from the server");
    }
    if (got == 0) {
        return reason_fail(reason, ERR_CLOSED, "the server closed the connection");
    }
    conn->input.size += (size_t)got;
    return ERR_NONE;
}

enum err load_conn_peek(struct load_conn *conn, size_t size, const uint8_t **bytes,
                        struct reason *reason)
{
    while (available(conn) < size) {
        enum err err = receive(conn, size - available(conn), 0, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    *bytes = conn->input.data + conn->taken;
    return ERR_NONE;
}

bool load_conn_has_frame(const struct load_conn *conn)
{
    return available(conn) >= 4 && available(conn) - 4 >= load_be32(conn->input.data + conn->taken);
}

enum err load_conn_fill(struct load_conn *conn, struct reason *reason)
{
    return receive(conn, 1, MSG_DONTWAIT, reason);
}

enum err load_conn_frame(struct load_conn *conn, struct slice *frame, struct reason *reason)
{
    const uint8_t *bytes;
    enum err err = load_conn_peek(conn, 4, &bytes, reason);
    if (err != ERR_NONE) {
        return err;
    }
    uint32_t size = load_be32(bytes);
    if (size > FRAME_MAX_BYTES) {
        return reason_fail(reason, ERR_TOO_LARGE, "a response of %u bytes", size);
    }
    err = load_conn_peek(conn, 4 + (size_t)size, &bytes, reason);
    if (err == ERR_NONE) {
        *frame = slice_of(bytes + 4, size);
        conn->taken += 4 + (size_t)size;
    }
    return err;
}

enum err load_conn_discard(struct load_conn *conn, uint64_t size, struct reason *reason)
{
    size_t here = available(conn) < size ? available(conn) : (size_t)size;
    conn->taken += here;
    for (size -= here; size > 0;) {
        size_t piece = size < DISCARD_BYTES ? (size_t)size : DISCARD_BYTES;
        ssize_t got = recv(conn->fd, NULL, piece, MSG_TRUNC | MSG_WAITALL);
        if (got < 0) {
            return reason_errno(reason, "cannot receive from the server");
        }
        if (got == 0) {
            return reason_fail(reason, ERR_CLOSED, "the server closed the connection");
        }
        size -= (uint64_t)got;
    }
    return ERR_NONE;
}
