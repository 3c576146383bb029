#include "net/transport.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t receive(struct transport *transport, const struct iovec *iov, int count)
{
    ssize_t got;
    do {
        got = readv(transport->fd, iov, count);
    } while (got < 0 && errno == EINTR);
    if (got >= 0) {
        return got;
    }
    return errno == EAGAIN ? TRANSPORT_WANT_READ : TRANSPORT_GONE;
}

/* The result for what a sending call has set errno to. */
static ssize_t send_failed(struct transport *transport)
{
    if (errno == EAGAIN) {
        return TRANSPORT_WANT_WRITE;
    }
    if (errno == EPIPE || errno == ECONNRESET || errno == ETIMEDOUT) {
        return TRANSPORT_GONE;
    }
    transport->failure = strerrordesc_np(errno);
    return TRANSPORT_FAILED;
}

static ssize_t send_bytes(struct transport *transport, const struct iovec *iov, int count,
                          bool more)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                             .msg_iovlen = (size_t)count};
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
    ssize_t sent;
    do {
        sent = sendmsg(transport->fd, &message, flags);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? send_failed(transport) : sent;
}

static ssize_t send_file(struct transport *transport, int fd, int64_t position, size_t size)
{
    off_t at = position;
    ssize_t sent;
    do {
        sent = sendfile(transport->fd, fd, &at, size);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? send_failed(transport) : sent;
}

/* The kernel keeps the bytes meanwhile, as far as the socket's buffer goes; socket(7). */
static ssize_t await(struct transport *transport, size_t bytes)
{
    int here = 0;
    int least = (int)bytes;
    if (ioctl(transport->fd, SIOCINQ, &here) != 0 || here < 0) {
        return -1;
    }
    if ((size_t)here >= bytes && bytes > 1) {
        return (ssize_t)bytes;
    }
    return setsockopt(transport->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least) == 0 ? here
                                                                                         : -1;
}

static void end(struct transport *transport)
{
    shutdown(transport->fd, SHUT_WR);
}

static void close_socket(struct transport *transport)
{
    close(transport->fd);
}

const struct transport_kind transport_plain = {
    .receive = receive,
    .send = send_bytes,
    .send_file = send_file,
    .await = await,
    .end = end,
    .close = close_socket,
};

uint64_t transport_queued_bytes(const struct transport *transport)
{
    int queued = 0;
    bool known = ioctl(transport->fd, SIOCOUTQ, &queued) == 0 && queued > 0;
    return known ? (uint64_t)queued : 0;
}
