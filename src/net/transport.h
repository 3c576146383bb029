#ifndef TIDINGS_NET_TRANSPORT_H
#define TIDINGS_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * How a connection's bytes come and go: the few calls on its socket, behind a table, so that TLS
 * can stand where plain TCP stands. Nothing else in net reads from or writes to a connection's
 * descriptor.
 *
 * A call never waits. It moves some bytes and gives their number, or one of the results below. What
 * it wants need not be its own direction: a TLS handshake makes a receive wait for room to write,
 * and a send wait for input. The connection then watches for that and makes the same call again; a
 * send is repeated with the same bytes, maybe more of them, maybe at another address.
 *
 * A transport belongs to its connection and is used on its reactor only.
 */
enum {
    TRANSPORT_END = 0,         /* receive: the peer sends no more; send_file: the file ends here */
    TRANSPORT_WANT_READ = -1,  /* again when the socket has input */
    TRANSPORT_WANT_WRITE = -2, /* again when the socket takes output */
    TRANSPORT_GONE = -3,       /* the peer closed or reset it */
    TRANSPORT_FAILED = -4      /* transport->failure says why */
};

struct transport {
    const struct transport_kind *kind;
    int fd;
    bool shakes_hands;   /* bytes of a client's come behind the handshake, which is not over yet */
    void *session;       /* the kind's own */
    const char *failure; /* text that stays, of the last TRANSPORT_FAILED */
};

struct transport_kind {
    size_t session_bytes; /* that a session takes, about, beside the connection itself */

    /* Makes the session. False: the connection is refused, and close is not called. NULL: none. */
    bool (*open)(struct transport *transport);

    ssize_t (*receive)(struct transport *transport, const struct iovec *iov, int count);

    /* more: further bytes follow at once, so that small packets can be put together. */
    ssize_t (*send)(struct transport *transport, const struct iovec *iov, int count, bool more);

    /* At most size (> 0) bytes of a file, from position on. NULL: net reads the file and sends the
     * bytes, as a transport must that changes each of them; one with TLS in the kernel need not. */
    ssize_t (*send_file)(struct transport *transport, int fd, int64_t position, size_t size);

    /* Whether bytes wait inside that epoll does not tell of, as the socket gave them up before.
     * NULL: never. */
    bool (*has_pending)(const struct transport *transport);

    /*
     * How many bytes wait to be received, at most as many as asked for (bytes, up to 64 KiB). When
     * there are fewer, epoll tells of input again once so many are there or the peer has ended, and
     * not before; await(1) ends that. -1: this cannot be told. NULL: it never can.
     */
    ssize_t (*await)(struct transport *transport, size_t bytes);

    /* Who the peer has shown to be, by the handshake: the subject of its certificate (RFC 2253),
     * until the session is closed. NULL, or no such call: nobody. */
    const char *(*peer_name)(const struct transport *transport);

    /* Ends this side, as far as that goes without waiting; the peer may still send. */
    void (*end)(struct transport *transport);

    /* Frees the session and closes the descriptor. */
    void (*close)(struct transport *transport);
};

/* TCP as it is: readv, sendmsg, sendfile. No session. */
extern const struct transport_kind transport_plain;

/* Bytes that were sent and that the peer's machine has not taken yet, as far as the kernel knows;
 * 0 when it does not. */
uint64_t transport_queued_bytes(const struct transport *transport);

#endif
