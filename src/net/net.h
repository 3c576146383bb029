#ifndef TIDINGS_NET_NET_H
#define TIDINGS_NET_NET_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/slice.h"
#include "net/peer_table.h"
#include "net/reactor.h"
#include "net/transport.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reactors, listeners and connections: size-prefixed frames in, ordered replies out.
 *
 * Each reactor is a thread with an epoll loop, its own connections, timers and a mailbox. A
 * connection stays with the reactor that accepted it. net knows nothing of Kafka but the four-byte
 * size in front of every request and response (protocol guide, "Common Request and Response
 * Structure").
 *
 * Every frame delivered is owed exactly one net_reply with its token, by any thread, at any time.
 * Replies leave in the order of their frames whatever the order of the net_reply calls. A token is
 * a plain value: when its connection is gone, net_reply frees what it was given and does nothing.
 *
 * Loop turn: events, posted tasks, timers, on_turn_end; then every reply that was completed in the
 * turn goes out, those of one connection in one system call; then some of the line: connections
 * that had much of the reactor's time lately, or have more to do than one slice of it
 * (conn_time.c). So none starves the others, and who asks for little does not wait for who asks for
 * much.
 *
 * Signals are blocked in the threads started here; SIGPIPE is never raised.
 */
struct net;
struct own_peers;
struct conn;

/* Names one frame of one connection. Copy freely. */
struct reply_token {
    uint32_t reactor_index;
    uint32_t conn_slot;
    uint64_t conn_id; /* never used again for another connection */
    uint64_t sequence;
};

/* A part of a file that goes out between the reply's bytes: in front of bytes.data[offset]. */
struct reply_span {
    size_t offset; /* 0..bytes.size; ascending within a reply */
    struct file_span span;
};

/* What is sent as one reply; net adds the size in front. */
struct reply {
    struct buf bytes;
    struct reply_span *spans; /* heap; NULL when span_count is 0 */
    size_t span_count;
    int32_t hold_ms;  /* complete it only after so long; at once when the net drains or stops.
                         Those behind it on the connection wait with it. When half of the share for
                         answers is used it leaves at once, and the connection is not read for so
                         long instead */
    bool nothing;     /* send nothing: the frame expects no answer (acks=0) */
    bool close_after; /* close the connection once this reply and those before it are sent; no
                         further frame is delivered from now on */
    bool dropped;     /* the net's own: there was no room for it */
};

/* Frees a reply that was not handed to net_reply: bytes, spans (released) and array. */
void reply_deinit(struct reply *reply);

/* Why a connection ended, for on_close and the log line. */
enum conn_end {
    CONN_END_PEER,      /* closed or reset by the peer */
    CONN_END_BAD_FRAME, /* a size that is negative, zero or over the limit */
    CONN_END_HANDLER,   /* close_after said so, or a reply could not be made whole */
    CONN_END_IDLE,      /* nothing sent or asked for idle_timeout_ms */
    CONN_END_SLOW,      /* a frame or a reply did not move for stall_timeout_ms */
    CONN_END_MEMORY,    /* it held memory that others waited for, and did not move */
    CONN_END_LIMIT,     /* over a limit on connections; only counted: refused before on_open */
    CONN_END_STOP       /* the server stops */
};

struct net_handler {
    void *context;

    /* Before the first frame, on the conn's reactor. */
    void (*on_open)(void *context, struct conn *conn);

    /*
     * One whole frame without its size (1..max_frame_bytes), on the conn's reactor. frame is
     * borrowed until return. net_reply may be called from within; it never calls back. A frame
     * that is no good is answered by a reply with close_after.
     */
    void (*on_frame)(void *context, struct conn *conn, struct reply_token token,
                     struct slice frame);

    /*
     * After the last frame, on the conn's reactor (or in net_stop's caller once that is joined);
     * the tokens of the connection are dead from here on. Called once for every on_open.
     */
    void (*on_close)(void *context, struct conn *conn, enum conn_end end);

    /*
     * What the connection is owed and can be had at once should come now, on the conn's reactor.
     * Its peer has ended its side, or is gone, while the connection is not read (bytes that it sent
     * before are still to be delivered); or memory is short and answers that are made stand behind
     * one that is not. net_reply may be called from within. May be NULL.
     */
    void (*on_hurry)(void *context, struct conn *conn);

    /* At the end of every loop turn that did anything, before the reactor sleeps. May be NULL. */
    void (*on_turn_end)(void *context, struct reactor *reactor);
};

/*
 * What connections may hold comes out of two shares of the budget (base/budget.h).
 *
 * Frames: each connection itself, the buffers of half-read frames, what was received and cannot be
 * delivered yet, and up to 16 MiB a reactor (a sixteenth of the share, if that is less) of freed
 * frame buffers, which go a few seconds after the last large frame. A frame of 64 KiB and more is
 * reserved as a whole before it is read, and waits in line for that; one that is alone is always
 * read. Beyond two fifths of the share a smaller frame is left to the kernel until it is whole
 * and is then delivered from where it was read: it takes no memory, and waits for nobody.
 * Connections may take three fifths, then they are refused. So the share is passed by one frame at
 * most, and by what one receive brings to each reactor (128 KiB).
 *
 * Answers: replies that are completed and not sent, and the queues of those that are owed. Beyond
 * the share a connection is read only when it has nothing unsent, and those whose peer has taken
 * nothing for a second are closed, those with most and longest first; beyond five quarters none is
 * read, and any that waits for its peer may be closed. So the share is passed by a quarter and one
 * answer a reactor.
 *
 * While connections stand in line for the memory of a frame, those that hold it and brought nothing
 * for half a second, or less than 64 KiB a second, are closed, the largest and oldest first.
 */
struct net_config {
    unsigned reactor_count;        /* 1..64 */
    size_t max_frame_bytes;        /* socket.request.max.bytes */
    size_t max_connections;        /* over it a new connection is closed at once */
    size_t max_connections_per_ip; /* max.connections.per.ip; SIZE_MAX: no limit */
    size_t request_memory_bytes;   /* sum of the read buffers of half-read frames over 64 KiB, also
                                      where the share for frames has room (queued.max.request.bytes)
                                      */
    /* Connections of this process itself count for no limit; outlives the net; NULL: none. */
    struct own_peers *own_peers;
    struct budget *budget;     /* outlives the net; NULL: nothing is bounded but the above */
    size_t max_parked_replies; /* frames of one connection without a reply; reading pauses there */
    size_t max_unsent_bytes;   /* completed but unsent reply bytes (file spans not counted) of one
                                  connection; over it reading pauses there */
    int64_t idle_timeout_ms;   /* connections.max.idle.ms; 0: never */
    int64_t stall_timeout_ms;  /* no progress (4 KiB or its end) inside a frame or a reply whose
                                  peer's socket is full; >= 1 */
};

/* How many processors this process may run on, at most 64: one reactor for each is the default. */
unsigned net_processor_count(void);

/* Sane values for everything; reactor_count = number of processors. */
void net_config_init(struct net_config *config);

/*
 * Creates the reactors' state; no thread runs yet. handler and config are copied. ERR_CONFIG for a
 * value out of its bounds. Tasks may be posted from here on; they run after net_start.
 */
CHECKED enum err net_new(const struct net_config *config, const struct net_handler *handler,
                         struct net **out, struct reason *reason);

/*
 * Binds and listens on host:port (IPv4, IPv6 in brackets, a name, or "" / "*" for any address;
 * port 0 picks one). A name is bound on every address it has. Writes the port bound into
 * *bound_port. The reason names the address and, for a port in use (ERR_EXISTS), says so. Before
 * net_start, main thread. listener_index is what conn_listener returns for its connections (0 for
 * the first call, 1 for the second...). transport: how bytes come and go on its connections
 * (net/transport.h); it stays until net_free.
 */
CHECKED enum err net_listen(struct net *net, const struct transport_kind *transport,
                            const char *host, uint16_t port, uint16_t *bound_port,
                            struct reason *reason);

/* Listens at a free port of 127.0.0.1 for connections of this process itself alone (own_peers), in
 * plain TCP; whoever else comes is closed. As net_listen otherwise. */
CHECKED enum err net_listen_own(struct net *net, uint16_t *bound_port, struct reason *reason);

/*
 * Starts the reactor threads and accepting. A new connection goes to the reactor that has the
 * fewest. After a failure net_free is all that is left to call.
 */
CHECKED enum err net_start(struct net *net, struct reason *reason);

/* Stops accepting and reading new frames; replies still owed go on. Any thread, returns at once. */
void net_drain(struct net *net);

/* True when no connection has a frame without a sent reply. Any thread. */
bool net_drained(struct net *net);

/*
 * Closes every connection (CONN_END_STOP), joins the threads, then runs what is still posted in the
 * calling thread. Main thread; a second call does nothing.
 */
void net_stop(struct net *net);

/* Stops if needed and frees. Nobody may post or reply from here on. NULL does nothing. */
void net_free(struct net *net);

/* The reactors, which are there from net_new to net_free. Any thread. */
unsigned net_reactor_count(const struct net *net);
struct reactor *net_reactor(struct net *net, unsigned index);
size_t net_connection_count(struct net *net); /* without our own; any thread */

/* Gives the answer to a frame; takes over everything in *reply and zeroes it. Any thread. */
void net_reply(struct net *net, struct reply_token token, struct reply *reply);

/*
 * Delivers no further frame of this connection until the frame `token` has its reply: for requests
 * whose effect the next one must see though they finish on another thread. Only in on_frame.
 */
void conn_hold(struct conn *conn, struct reply_token token);

/*
 * Gives the caller the buffer of the frame that is being delivered, which begins at `data`: to keep
 * and to free. NULL: it has none of its own, or a much larger one; then its bytes have to be
 * copied. Only in on_frame.
 */
uint8_t *conn_take_frame(struct conn *conn, const uint8_t *data);

/* Frames of this connection are at most so large, also where max_frame_bytes is more; NULL: that
 * alone counts. It is read before each frame and may be raised by any thread; it outlives the
 * connection, or is taken back in on_close. On its reactor. */
void conn_limit_frames(struct conn *conn, const atomic_size_t *limit);

/* On the connection's reactor only. */
struct reactor *conn_reactor(struct conn *conn);
uint64_t conn_id(const struct conn *conn);
const char *conn_peer(const struct conn *conn); /* "127.0.0.1:54321", "[::1]:54321" */
/* Who the peer has shown to be before its first frame (transport.h, peer_name); NULL: nobody. It
 * stays until on_close. */
const char *conn_peer_name(const struct conn *conn);
struct peer_key conn_site(const struct conn *conn); /* of its peer's address (peer_site) */
unsigned conn_listener(const struct conn *conn);
bool conn_is_own(const struct conn *conn); /* it comes from this process (net_config.own_peers) */
/* The address and port the peer connected to (advertised.listeners' default). */
void conn_local_address(const struct conn *conn, char *host, size_t host_size, uint16_t *port);
void conn_set_user(struct conn *conn, void *user);
void *conn_user(const struct conn *conn);

/* Numbers for metrics and tests; any thread. closed[CONN_END_LIMIT] counts those refused. */
struct net_stats {
    uint64_t accepted;
    uint64_t closed[CONN_END_STOP + 1];
    uint64_t frames;
    uint64_t bytes_in;
    uint64_t bytes_out;
};

/* The sums over all reactors, as of now. */
void net_stats(struct net *net, struct net_stats *out);

#endif
