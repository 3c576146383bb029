#ifndef TIDINGS_NET_STATE_H
#define TIDINGS_NET_STATE_H

#include "base/vec.h"
#include "net/frame_memory.h"
#include "net/frame_pool.h"
#include "net/mailbox.h"
#include "net/net.h"
#include "net/peer_table.h"
#include "net/reply_queue.h"
#include "net/site.h"
#include "net/transport.h"
#include "net/turn_line.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

/*
 * The structs behind net.h and what works on them, private to this folder; each file calls those
 * above it in the list below. A reactor's fields and those of its connections
 * belong to its thread, but for the atomics and the mailbox.
 */

enum {
    EVENTS_PER_TURN = 1024,         /* many: connections in the line are told of again each turn */
    SCRATCH_BYTES = 64 << 10,       /* read at once when no frame is half read */
    LARGE_FRAME_BYTES = 64 << 10,   /* from here on a frame is received straight into its buffer */
    TURN_BYTES = 1 << 20,           /* per connection, direction and loop turn */
    STALL_PROGRESS_BYTES = 4 << 10, /* less than this in stall_timeout_ms is no progress */
    LITTLE_ANSWER_BYTES = 16 << 10, /* whose answers hold no more asks for little */
    PACKED_PERCENT = 125,           /* of answers: from here on only who asks for little is read */
    LINGER_MS = 1000                /* for the peer to take the last reply of close_after */
};

/* What epoll points at. */
struct poll_source {
    void (*ready)(struct poll_source *source, uint32_t events);
};

/* Where the oldest reply stands: how much of each of its parts is sent. */
struct send_cursor {
    unsigned prefix_sent; /* of the four size bytes */
    size_t bytes_sent;
    size_t span_index; /* the span that is next or being sent */
    size_t span_sent;
};

/* The frame being read. */
struct frame_state {
    uint8_t prefix[4];
    unsigned prefix_have;
    size_t size; /* known once prefix_have is 4 */
    size_t have; /* bytes in buffer */
    struct frame_buffer buffer;
    bool granted;     /* the buffer's memory is of frame_memory; else of the reactor's purse */
    bool taken;       /* the buffer is somebody else's now (conn_take_frame) */
    int64_t since_ms; /* the buffer is there */
    int64_t moved_ms; /* last time that bytes came */
};

/* A connection waiting for frame memory; outlives it when the grant is already on its way. */
struct conn_memory_wait {
    struct memory_wait wait;
    struct task task;
    struct reactor *reactor;
    uint32_t slot;
    uint64_t id;
};

struct conn {
    struct poll_source source; /* first: epoll's pointer */
    struct reactor *reactor;
    struct task adopt;
    uint64_t id;
    uint32_t slot;
    struct transport transport;
    unsigned listener_index;
    uint32_t interest; /* what epoll watches for */
    void *user;

    /* Reading. */
    uint32_t receive_waits; /* the event that tells of input: EPOLLIN but in a TLS handshake */
    struct frame_state frame;
    struct frame_state *delivered; /* the frame of its own buffer that is being delivered */
    struct buf carry;              /* received but not taken in, when delivery paused */
    size_t carry_taken;            /* of carry */
    bool awaits;                   /* the transport tells when the frame is whole */
    bool cannot_await;
    bool peer_done; /* told by epoll while it is not read */
    struct conn_memory_wait *memory_wait;
    const atomic_size_t *frame_limit; /* of conn_limit_frames; NULL: none of its own */
    uint64_t held_sequence;
    bool held;          /* until held_sequence is done */
    bool expects_large; /* the last frame was large: read the next size alone */
    bool reading;       /* as of the last settling */

    /* Writing. */
    struct reply_queue replies;
    size_t replies_counted; /* of what they hold, in the reactor's purse */
    size_t answer_peak;     /* the most they held lately */
    struct send_cursor cursor;
    size_t parked;          /* frames without a reply */
    int64_t rests_until_ms; /* it is not read before; 0: it is */
    size_t unsent_bytes;    /* of done replies, spans not counted */
    uint64_t sent_bytes;
    int64_t hurried_ms;  /* answers stand behind one that is not made; 0: they do not, or not yet */
    uint32_t send_waits; /* 0, or the event that a send waits for: EPOLLOUT, the socket is full */

    /* Life. */
    bool closing;   /* a close_after reply is in the queue: no further frame */
    bool lingering; /* it was sent; waiting for the peer to close */
    bool dead;
    struct reactor_timer timer; /* at or before the earliest deadline */
    int64_t active_ms;          /* last frame, or last reply sent */
    int64_t linger_until_ms;
    int64_t read_mark_ms; /* last progress inside the frame mark_sequence */
    size_t read_mark_have;
    uint64_t mark_sequence;
    int64_t write_mark_ms; /* last time the peer was seen to take bytes */
    uint64_t write_mark_taken;

    /* The reactor's time. */
    int64_t used_ns;       /* lately */
    int64_t used_since_ns; /* used_ns is as of then */
    int64_t debt_ns;       /* had beyond its slices, while others stood in the line */
    uint32_t told;         /* by epoll, since it stands in the line */
    bool was_served;       /* very many that are new at once wait behind those that are not */

    /* Lists of the reactor. */
    struct conn *touched_prev, *touched_next;
    struct conn *ready_prev, *ready_next; /* also links the dead */
    bool in_line;
    bool touched;

    bool is_own;       /* of this process: it counts for no limit */
    struct site *site; /* NULL once it is dead */
    struct peer_key peer_key;
    char peer[PEER_TEXT_BYTES];
};

/* With its queue at rest, and what the handler keeps of it. */
enum { CONN_BYTES = sizeof(struct conn) + 512 };

/* Written by one thread, read by any. */
struct reactor_counters {
    atomic_uint_fast64_t accepted;
    atomic_uint_fast64_t closed[CONN_END_STOP + 1];
    atomic_uint_fast64_t frames;
    atomic_uint_fast64_t bytes_in;
    atomic_uint_fast64_t bytes_out;
};

/* On the one thread that writes this counter. */
static inline void counter_add(atomic_uint_fast64_t *counter, uint64_t more)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + more, memory_order_relaxed);
}

struct reactor {
    struct net *net;
    unsigned index;
    int epoll_fd;
    int wake_fd;
    struct poll_source wake_source;
    pthread_t thread;
    bool has_thread;
    _Atomic(pthread_t) owner; /* whose calls are direct; 0 before the start */

    struct mailbox mailbox;
    atomic_bool asleep; /* a poster must write to wake_fd */

    bool stopping;
    bool worked;       /* something happened since the last on_turn_end */
    int64_t now_ms;    /* as of this turn */
    int64_t now_ns;    /* as of the last look */
    int64_t little_ns; /* when one was last served a little while another address stood in line */
    int64_t slice_began_ns, slice_end_ns; /* of the connection that is served */
    struct heap timers;
    struct held_reply *held; /* replies that wait for their time */

    VEC(struct conn *) slots; /* NULL where free */
    uint32_t slot_hint;       /* no slot below is free */
    uint64_t next_conn;
    struct conn *touched;  /* to settle at the end of this turn */
    struct turn_line line; /* those that go on in later turns */
    struct site *sites;    /* of all connections */
    uint64_t turn_count;
    struct conn *dead; /* to free at the end of this turn */

    uint8_t *read_scratch;
    uint8_t *write_scratch; /* small spans on their way out */
    struct budget_purse frames, answers;
    bool crowded; /* the share for answers is used up, as of the last look */
    bool packed;  /* by a quarter more than there is */
    bool full;    /* by as much again as there is */
    bool pressed; /* pressure_timer goes on until there is room again */
    struct reactor_timer pressure_timer;
    struct task pressure_task;
    atomic_bool pressure_posted;
    struct frame_pool pool;
    size_t pool_counted; /* in frames */
    bool pool_used;      /* since pool_timer was set */
    struct reactor_timer pool_timer;
    struct task drain_task;
    struct task stop_task;

    struct reactor_counters counters;
    atomic_size_t connection_count;   /* its own and those on their way to it */
    atomic_uint_fast64_t owed_frames; /* delivered, reply not yet sent */
    atomic_bool draining;
};

/* A bound socket; several may belong to one net_listen. Reactor 0's thread once started. */
struct listener {
    struct poll_source source; /* first */
    struct listener *next;
    struct net *net;
    const struct transport_kind *transport; /* of its connections */
    bool is_own;                            /* of this process's own connections alone */
    int fd;
    unsigned index;
    struct reactor_timer pause; /* accept failed for want of descriptors */
};

struct net {
    struct net_config config;
    struct net_handler handler;
    struct frame_memory memory;
    struct peer_table peers;
    struct listener *listeners;
    size_t most_connection_bytes;   /* of clients */
    atomic_size_t own_count;        /* connections that are our own, and count for no limit */
    atomic_size_t connection_bytes; /* of the others (conn_bytes) */
    unsigned listen_count;
    unsigned last_choice; /* of the acceptor */
    bool started, stopped;
    atomic_bool draining;
    struct reactor *reactors;
};

/* reactor.c */
CHECKED enum err reactor_init(struct reactor *reactor, struct net *net, unsigned index,
                              struct reason *reason);
void reactor_deinit(struct reactor *reactor);
bool reactor_is_own(struct reactor *reactor);
/* Waits until something happens or a timer is due; returns how many events there are. */
int reactor_wait(struct reactor *reactor, struct epoll_event events[EVENTS_PER_TURN]);
/* The pool has changed: counts what it keeps. */
void reactor_count_pool(struct reactor *reactor);
void reactor_run_mailbox(struct reactor *reactor);
void reactor_run_timers(struct reactor *reactor);
/* What one in the line gets at a time, and the whole line in a turn; of all else that may be put
 * off, no more is done in one either. */
int64_t reactor_slice_ns(const struct reactor *reactor);
/* Others are there who ask for little: what is done for one at a time is to be short. */
bool reactor_is_short(const struct reactor *reactor);
bool reactor_watch(struct reactor *reactor, int fd, struct poll_source *source, uint32_t events);

/* One log line about a peer, unless there are too many. Reason is put in quotes. */
void reactor_log_peer(struct reactor *reactor, const char *message, const char *peer,
                      const char *reason);

/* pressure.c */
/* Looks whether the share for answers is used up, and has all reactors told when it is. */
void pressure_look(struct reactor *reactor);
/* Has all reactors see to it that there is room. Any of their threads. */
void pressure_tell(struct net *net);
/* Small frames are left to the kernel until they are whole. */
bool pressure_on_frames(const struct reactor *reactor);
bool pressure_on_answers(const struct reactor *reactor, int percent);
/* There is no room for one more reply, unless it is little. Any thread. */
bool pressure_refuses(const struct reactor *reactor, const struct reply *reply);

/* conn.c */
/* What a connection takes by itself, with its session. */
size_t conn_bytes(const struct transport_kind *transport);
void conn_release_frame(struct reactor *reactor, struct frame_state *frame);
void conn_set_carry(struct conn *conn, struct buf carry, size_t taken);
struct buf conn_take_carry(struct conn *conn);
/* The replies have changed: counts what they hold. */
void conn_count_replies(struct conn *conn);
/* Frees what the connection has received and what it owes. */
void conn_drop_all(struct conn *conn);
void conn_hurry(struct conn *conn); /* handler.on_hurry */
void conn_close(struct conn *conn, enum conn_end end);
void conn_close_why(struct conn *conn, enum conn_end end, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void conn_free_dead(struct reactor *reactor);
struct conn *conn_find(struct reactor *reactor, uint32_t slot, uint64_t id);
void conn_touch(struct conn *conn);
void conn_later(struct conn *conn);
bool conn_has_pending(const struct conn *conn);
/* Its answers were small lately, and it takes them. */
bool conn_asks_little(const struct conn *conn);
bool conn_may_read(const struct conn *conn);
void conn_complete(struct reactor *reactor, struct reply_token token, struct reply *reply);
void owed_add(struct reactor *reactor, int64_t change);
/* What the acceptor counted for this connection. */
void conn_give_back_counts(struct conn *conn);

/* conn_time.c */
/* It had much of the reactor's time lately, asked for much, or is new. */
bool conn_is_busy(struct conn *conn);
/* Of one in the line, and of one that is not. */
void conn_begin_slice(struct conn *conn);
void conn_begin_small_slice(struct conn *conn);
/* Looks at the clock. */
bool conn_is_slice_over(const struct conn *conn);
/* Counts what was used; the connection may be dead. */
void conn_end_slice(struct conn *conn);
/* It was taken out of the line, but had more than its slice: another round of the others comes
 * first. */
bool conn_waits_for_others(struct conn *conn);
/* So far the line may be served in this turn. */
int64_t reactor_line_end_ns(const struct reactor *reactor);

/* conn_timeout.c */
/* It is not read for so long. */
void conn_rest(struct conn *conn, int64_t rest_ms);
void conn_arm(struct conn *conn, int64_t at_ms);
void conn_on_timer(struct reactor_timer *timer);
void conn_mark_reading(struct conn *conn);
void conn_mark_writing(struct conn *conn);
/* Marks that a peer whose socket is full has taken something meanwhile, if so. */
void conn_see_writing(struct conn *conn);

/* conn_write.c */
void conn_flush(struct conn *conn);

/* conn_read.c */
void conn_read(struct conn *conn);
/* The same, with what epoll told. */
void conn_read_on(struct conn *conn, uint32_t events);
void conn_drop_input(struct conn *conn);

/* conn_life.c */
struct conn *conn_new(struct reactor *reactor, struct transport transport, unsigned listener_index,
                      const struct sockaddr_storage *peer, const struct peer_key *key);
void conn_adopt(struct task *task);
/* Does what it waited for in the line; then settles it. */
void conn_serve(struct conn *conn);
void conn_settle(struct conn *conn);

/* relief.c */
void relief_init(struct reactor *reactor);

/* loop.c */
CHECKED enum err loop_start(struct reactor *reactor, struct reason *reason);

/* listener.c */
void listeners_start(struct net *net);
void listeners_close(struct net *net);

#endif
