#include "base/mem.h"
#include "net/state.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/*
 * Replies onto the wire: all that is ready goes out in one gathered send; file spans straight from
 * the file, where the transport can, small ones through a scratch buffer in the same send.
 */

enum {
    PIECES = 64,                 /* of one send */
    SHORT_SEND_BYTES = 64 << 10, /* the same, while others are there who ask for little */
    SMALL_SPAN_BYTES = 8 << 10   /* below: a copy costs less than a system call of its own */
};

struct gather {
    struct iovec *iov; /* room for PIECES */
    unsigned count;
    size_t bytes;
    size_t scratch_used;
    const struct file_span *span; /* where gathering stopped at a large span */
    size_t span_sent;
    bool more;   /* further bytes follow these */
    bool failed; /* a file is shorter than its span */
};

static bool full(const struct gather *gather)
{
    return gather->count == PIECES || gather->bytes >= TURN_BYTES;
}

static void add(struct gather *gather, const uint8_t *data, size_t size)
{
    if (size > 0) {
        gather->iov[gather->count++] = (struct iovec){(void *)(uintptr_t)data, size};
        gather->bytes += size;
    }
}

/* Adds a span by reading it; false when gathering must stop in front of it. */
static bool add_span(struct conn *conn, struct gather *gather, const struct file_span *span,
                     size_t sent)
{
    bool by_file = conn->transport.kind->send_file != NULL;
    size_t left = span->size - sent;
    if (left >= SMALL_SPAN_BYTES && by_file) {
        gather->span = span;
        gather->span_sent = sent;
        return false;
    }
    size_t room = SCRATCH_BYTES - gather->scratch_used;
    size_t size = left < room ? left : room;
    if (size < left && (by_file || size == 0)) {
        gather->more = true;
        return false;
    }
    uint8_t *to = conn->reactor->write_scratch + gather->scratch_used;
    ssize_t got;
    do {
        got = size > 0 ? pread(span->fd, to, size, span->position + (int64_t)sent) : 0;
    } while (got < 0 && errno == EINTR);
    if (got < 0 || (size_t)got != size) {
        gather->failed = true;
        return false;
    }
    gather->scratch_used += size;
    add(gather, to, size);
    gather->more = size < left;
    return size == left;
}

/* The bytes of a reply up to the next span. */
static size_t bytes_until(const struct reply *reply, size_t span_index)
{
    return span_index < reply->span_count ? reply->spans[span_index].offset : reply->bytes.size;
}

/* Adds what is left of one reply; false when gathering must stop inside it. */
static bool gather_reply(struct conn *conn, struct gather *gather, const struct reply_slot *slot,
                         struct send_cursor at)
{
    const struct reply *reply = &slot->reply;
    add(gather, slot->size_prefix + at.prefix_sent, sizeof slot->size_prefix - at.prefix_sent);
    for (;;) {
        size_t until = bytes_until(reply, at.span_index);
        bool through = at.bytes_sent == until && at.span_index == reply->span_count;
        if (through) {
            return true; /* before full: else nothing would follow a MSG_MORE, and TCP would wait */
        }
        if (full(gather)) {
            gather->more = true;
            return false;
        }
        if (at.bytes_sent < until) {
            add(gather, reply->bytes.data + at.bytes_sent, until - at.bytes_sent);
            at.bytes_sent = until;
        } else {
            if (!add_span(conn, gather, &reply->spans[at.span_index].span, at.span_sent)) {
                return false;
            }
            at.span_index++;
            at.span_sent = 0;
        }
    }
}

static void gather_replies(struct conn *conn, struct gather *gather)
{
    struct send_cursor at = conn->cursor;
    for (uint64_t i = 0; i < conn->replies.count; i++) {
        struct reply_slot *slot = reply_queue_at(&conn->replies, conn->replies.first + i);
        if (!slot->done) {
            return;
        }
        if (!slot->reply.nothing) {
            if (full(gather)) {
                gather->more = true;
                return;
            }
            if (!gather_reply(conn, gather, slot, at)) {
                return;
            }
        }
        if (slot->reply.close_after) {
            return;
        }
        at = (struct send_cursor){0};
    }
}

/* Moves the cursor over up to *sent bytes of the oldest reply; true when the reply is through. */
static bool advance_reply(struct conn *conn, const struct reply_slot *slot, size_t *sent)
{
    struct send_cursor *at = &conn->cursor;
    const struct reply *reply = &slot->reply;
    for (;;) {
        size_t left;
        size_t until = bytes_until(reply, at->span_index);
        if (at->prefix_sent < sizeof slot->size_prefix) {
            left = sizeof slot->size_prefix - at->prefix_sent;
        } else if (at->bytes_sent < until) {
            left = until - at->bytes_sent;
        } else if (at->span_index < reply->span_count) {
            left = reply->spans[at->span_index].span.size - at->span_sent;
        } else {
            return true;
        }
        size_t part = *sent < left ? *sent : left;
        *sent -= part;
        if (at->prefix_sent < sizeof slot->size_prefix) {
            at->prefix_sent += (unsigned)part;
        } else if (at->bytes_sent < until) {
            at->bytes_sent += part;
        } else {
            at->span_sent += part;
            if (part == left) {
                at->span_index++;
                at->span_sent = 0;
            }
        }
        if (part < left) {
            return false;
        }
    }
}

/* Takes note of sent bytes and drops the replies that are through. True: close after the last. */
static bool advance(struct conn *conn, size_t sent)
{
    conn->sent_bytes += sent;
    counter_add(&conn->reactor->counters.bytes_out, sent);
    while (conn->replies.count > 0) {
        struct reply_slot *slot = reply_queue_at(&conn->replies, conn->replies.first);
        if (!slot->done || (!slot->reply.nothing && !advance_reply(conn, slot, &sent))) {
            break;
        }
        bool close_after = slot->reply.close_after;
        conn->unsent_bytes -= slot->reply.bytes.size + sizeof *slot;
        conn->cursor = (struct send_cursor){0};
        conn->active_ms = conn->reactor->now_ms;
        reply_queue_pop(&conn->replies);
        owed_add(conn->reactor, -1);
        if (close_after) {
            conn_count_replies(conn);
            return true;
        }
    }
    conn_count_replies(conn);
    return false;
}

/* Leaves no more than so many bytes of what was gathered. */
static void cut(struct gather *gather, size_t most)
{
    while (gather->bytes > most) {
        struct iovec *last = &gather->iov[gather->count - 1];
        size_t over = gather->bytes - most;
        size_t less = over < last->iov_len ? over : last->iov_len;
        last->iov_len -= less;
        gather->bytes -= less;
        gather->count -= last->iov_len == 0;
        gather->more = true;
    }
}

static ssize_t send_gathered(struct conn *conn, const struct gather *gather)
{
    return conn->transport.kind->send(&conn->transport, gather->iov, (int)gather->count,
                                      gather->span != NULL || gather->more);
}

static ssize_t send_span(struct conn *conn, const struct gather *gather)
{
    size_t size = gather->span->size - gather->span_sent;
    return conn->transport.kind->send_file(&conn->transport, gather->span->fd,
                                           gather->span->position + (int64_t)gather->span_sent,
                                           size < TURN_BYTES ? size : TURN_BYTES);
}

/* Nothing was sent: waits for what the transport wants, or closes. */
static void take_refusal(struct conn *conn, ssize_t result)
{
    switch (result) {
    case TRANSPORT_WANT_READ:
    case TRANSPORT_WANT_WRITE:
        conn->send_waits = result == TRANSPORT_WANT_READ ? EPOLLIN : EPOLLOUT;
        conn_mark_writing(conn);
        return;
    case TRANSPORT_END:
        conn_close_why(conn, CONN_END_HANDLER, "a file ends before the part to be sent");
        return;
    case TRANSPORT_GONE:
        conn_close(conn, CONN_END_PEER);
        return;
    default:
        conn_close_why(conn, CONN_END_PEER, "cannot send a reply: %s", conn->transport.failure);
    }
}

/* Sends once; false when nothing more can go out now. */
static bool send_some(struct conn *conn, size_t *budget, bool *close_after)
{
    struct iovec iov[PIECES];
    struct gather gather = {.iov = iov};
    gather_replies(conn, &gather);
    bool by_file = gather.count == 0 && gather.span != NULL;
    if (gather.count == 0 && !by_file && !gather.failed) {
        return false;
    }
    ssize_t sent = TRANSPORT_END; /* when gathering failed in front of anything to be sent */
    if (by_file) {
        sent = send_span(conn, &gather);
    } else if (gather.count > 0) {
        cut(&gather, reactor_is_short(conn->reactor) ? SHORT_SEND_BYTES : SIZE_MAX);
        sent = send_gathered(conn, &gather);
    }
    if (sent <= 0) {
        take_refusal(conn, sent);
        return false;
    }
    *budget -= (size_t)sent < *budget ? (size_t)sent : *budget;
    *close_after = advance(conn, (size_t)sent);
    return !*close_after;
}

/* The last reply is out: ends our side and lets the peer read it before the socket goes. */
static void linger(struct conn *conn)
{
    conn->lingering = true;
    conn_drop_all(conn);
    conn->send_waits = 0;
    conn->transport.kind->end(&conn->transport);
    conn->linger_until_ms = conn->reactor->now_ms + LINGER_MS;
    conn_arm(conn, conn->linger_until_ms);
}

void conn_flush(struct conn *conn)
{
    size_t budget = TURN_BYTES;
    bool close_after = advance(conn, 0); /* replies that send nothing */
    while (!close_after && conn->send_waits == 0 && conn->replies.count > 0) {
        if (!send_some(conn, &budget, &close_after)) {
            break;
        }
        if (conn->replies.count > 0 && (budget == 0 || conn_is_slice_over(conn))) {
            conn_later(conn);
            return;
        }
    }
    if (close_after && !conn->dead) {
        linger(conn);
    }
}
