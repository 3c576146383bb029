#include "base/mem.h"
#include "net/state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum {
    POOL_LOOK_MS = 2000,
    PART_BYTES = 128 << 10,     /* of a large frame, received at once: others wait meanwhile */
    SHORT_PART_BYTES = 32 << 10 /* the same while others are there who ask for little */
};

/*
 * Frames out of bytes. A connection holds no read buffer: bytes come into the reactor's scratch and
 * whole frames are delivered from there. Only a frame that is not whole gets a buffer, of its own
 * size; a large one is then received straight into it.
 */

/* What a wrong size in front of a frame tells about the peer. */
static const char *mistake(const uint8_t prefix[4])
{
    static const char *const http[] = {"GET ", "POST", "PUT ", "HEAD", "DELE", "OPTI", "PATC"};
    for (unsigned i = 0; i < sizeof http / sizeof http[0]; i++) {
        if (memcmp(prefix, http[i], 4) == 0) {
            return ": this looks like HTTP, but the port speaks the Kafka protocol";
        }
    }
    if (prefix[0] == 0x16 && prefix[1] == 0x03) {
        return ": this looks like TLS, but the listener is plain text";
    }
    return "";
}

/* The most bytes of its next frame. */
static size_t frame_limit(const struct conn *conn)
{
    size_t most = conn->reactor->net->config.max_frame_bytes;
    size_t own = conn->frame_limit != NULL
                     ? atomic_load_explicit(conn->frame_limit, memory_order_acquire)
                     : SIZE_MAX;
    return own < most ? own : most;
}

/* Takes the size from the prefix; false when it is wrong and the connection is closed. */
static bool begin_frame(struct conn *conn)
{
    size_t max_bytes = frame_limit(conn);
    int32_t size = (int32_t)load_be32(conn->frame.prefix);
    if (size <= 0 || (size_t)size > max_bytes) {
        conn_close_why(conn, CONN_END_BAD_FRAME,
                       "request size %" PRId32 " is %s%s (bytes %02x %02x %02x %02x)", size,
                       size < 0    ? "negative"
                       : size == 0 ? "zero"
                       : max_bytes < conn->reactor->net->config.max_frame_bytes
                           ? "over the limit before a login (sasl.server.max.receive.size)"
                           : "over the limit (socket.request.max.bytes, memory.max)",
                       mistake(conn->frame.prefix), conn->frame.prefix[0], conn->frame.prefix[1],
                       conn->frame.prefix[2], conn->frame.prefix[3]);
        return false;
    }
    conn->frame.size = (size_t)size;
    conn->frame.have = 0;
    conn->expects_large = size >= LARGE_FRAME_BYTES;
    return true;
}

static void deliver(struct conn *conn, const uint8_t *data, size_t size)
{
    struct reactor *reactor = conn->reactor;
    struct reply_token token = {
        .reactor_index = reactor->index,
        .conn_slot = conn->slot,
        .conn_id = conn->id,
        .sequence = reply_queue_push(&conn->replies),
    };
    owed_add(reactor, 1);
    counter_add(&reactor->counters.frames, 1);
    conn->parked++;
    conn->active_ms = reactor->now_ms;
    const struct net_handler *handler = &reactor->net->handler;
    handler->on_frame(handler->context, conn, token, slice_of(data, size));
}

/* A connection that pauses inside a burst of frames: what else was received. */
static void keep_rest(struct conn *conn, const uint8_t *data, size_t size)
{
    struct buf carry = {0};
    buf_append(&carry, data, size);
    conn_set_carry(conn, carry, 0);
}

static void allocate_small(struct conn *conn)
{
    conn->frame.buffer.data = mem_alloc(conn->frame.size);
    conn->frame.buffer.capacity = conn->frame.size;
}

static void allocate_large(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    conn->frame.buffer = frame_pool_take(&reactor->pool, conn->frame.size);
    reactor_count_pool(reactor);
    reactor->pool_used = true;
    if (!heap_has(&reactor->pool_timer.node)) {
        reactor_timer_set(reactor, &reactor->pool_timer, reactor->now_ms + POOL_LOOK_MS);
    }
}

/* The frame's memory is reserved. */
static void allocate_granted(struct conn *conn)
{
    conn->frame.granted = true;
    conn->frame.since_ms = conn->frame.moved_ms = conn->reactor->now_ms;
    if (conn->frame.size >= LARGE_FRAME_BYTES) {
        allocate_large(conn);
    } else {
        allocate_small(conn);
    }
}

static void on_memory(struct task *task)
{
    struct conn_memory_wait *wait = container_of(task, struct conn_memory_wait, task);
    struct conn *conn = conn_find(wait->reactor, wait->slot, wait->id);
    if (conn != NULL && conn->memory_wait == wait) {
        conn->memory_wait = NULL;
        allocate_granted(conn);
        conn_touch(conn);
    } else {
        frame_memory_give(&wait->reactor->net->memory, wait->wait.size);
    }
    free(wait);
}

static void on_granted(struct memory_wait *granted)
{
    struct conn_memory_wait *wait = container_of(granted, struct conn_memory_wait, wait);
    reactor_post(wait->reactor, &wait->task);
}

/* Gets the buffer of a frame whose size is known; false: the connection waits for memory. */
static bool allocate_frame(struct conn *conn)
{
    struct frame_memory *memory = &conn->reactor->net->memory;
    if (conn->frame.size < LARGE_FRAME_BYTES && !pressure_on_frames(conn->reactor)) {
        budget_purse_add(&conn->reactor->frames, conn->frame.size);
        conn->frame.since_ms = conn->frame.moved_ms = conn->reactor->now_ms;
        allocate_small(conn);
        return true;
    }
    if (frame_memory_take(memory, conn->frame.size)) {
        allocate_granted(conn);
        return true;
    }
    struct conn_memory_wait *wait = mem_new(struct conn_memory_wait);
    wait->wait.size = conn->frame.size;
    wait->wait.served = conn->replies.first > 0;
    wait->wait.granted = on_granted;
    wait->task.run = on_memory;
    wait->reactor = conn->reactor;
    wait->slot = conn->slot;
    wait->id = conn->id;
    conn->memory_wait = wait;
    frame_memory_wait(memory, &wait->wait);
    pressure_tell(conn->reactor->net);
    return false;
}

/* Delivers the frame from its own buffer when it is whole. */
static void finish_frame(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    struct frame_state frame = conn->frame;
    if (frame.have < frame.size) {
        return;
    }
    conn->frame = (struct frame_state){0};
    conn->delivered = &frame;
    deliver(conn, frame.buffer.data, frame.size);
    conn->delivered = NULL;
    conn_release_frame(reactor, &frame);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes in the size in front of a frame; returns how many bytes of data it took. */
static size_t take_prefix(struct conn *conn, const uint8_t *data, size_t size)
{
    size_t part = least(size, sizeof conn->frame.prefix - conn->frame.prefix_have);
    memcpy(conn->frame.prefix + conn->frame.prefix_have, data, part);
    conn->frame.prefix_have += (unsigned)part;
    if (conn->frame.prefix_have == sizeof conn->frame.prefix) {
        begin_frame(conn);
    }
    return part;
}

/* Takes in bytes and delivers frames until delivery pauses; returns how many it took. */
static size_t take_bytes(struct conn *conn, const uint8_t *data, size_t size)
{
    size_t used = 0;
    bool goes_on = true;
    while (goes_on && used < size && conn_may_read(conn)) {
        struct frame_state *frame = &conn->frame;
        if (frame->prefix_have < sizeof frame->prefix) {
            used += take_prefix(conn, data + used, size - used);
        } else if (frame->buffer.data != NULL) {
            size_t part = least(size - used, frame->size - frame->have);
            memcpy(frame->buffer.data + frame->have, data + used, part);
            frame->have += part;
            frame->moved_ms = conn->reactor->now_ms;
            used += part;
            finish_frame(conn);
        } else if (size - used >= frame->size) {
            const uint8_t *whole = data + used;
            size_t frame_size = frame->size;
            used += frame_size;
            conn->frame = (struct frame_state){0};
            deliver(conn, whole, frame_size);
            goes_on = !conn_is_slice_over(conn);
        } else {
            goes_on = allocate_frame(conn);
        }
    }
    return used;
}

/* Goes on with what was received before delivery paused. */
static void take_carry(struct conn *conn)
{
    /* Owned here while in use, as the connection may close in between. */
    struct buf carry = conn_take_carry(conn);
    size_t taken = conn->carry_taken;
    taken += take_bytes(conn, carry.data + taken, carry.size - taken);
    if (conn->dead || taken == carry.size) {
        buf_deinit(&carry);
        return;
    }
    conn_set_carry(conn, carry, taken);
}

/* Sets what tells of input from now on. */
static void wait_for(struct conn *conn, uint32_t event)
{
    if (conn->receive_waits != event) {
        conn->receive_waits = event;
        conn_touch(conn); /* epoll is to know */
    }
}

/* Bytes received (> 0); else there are none for now, or the connection is closed. */
static ssize_t receive(struct conn *conn, struct iovec *iov, int count)
{
    ssize_t got = conn->transport.kind->receive(&conn->transport, iov, count);
    if (got > 0) {
        counter_add(&conn->reactor->counters.bytes_in, (uint64_t)got);
        wait_for(conn, EPOLLIN);
    } else if (got == TRANSPORT_WANT_READ) {
        wait_for(conn, EPOLLIN);
    } else if (got == TRANSPORT_WANT_WRITE) {
        wait_for(conn, EPOLLOUT);
    } else if (got == TRANSPORT_FAILED) {
        conn_close_why(conn, CONN_END_PEER, "cannot receive: %s", conn->transport.failure);
    } else {
        conn_flush(conn); /* it may have ended its side only: what is ready goes out */
        conn_close(conn, CONN_END_PEER);
    }
    return got;
}

/*
 * Straight into the frame's buffer, and in the same call the size of the next frame, so that a row
 * of large frames is never copied.
 */
static ssize_t receive_into_frame(struct conn *conn, size_t *asked)
{
    struct frame_state *frame = &conn->frame;
    uint8_t next_prefix[sizeof frame->prefix];
    size_t left = frame->size - frame->have;
    size_t most = reactor_is_short(conn->reactor) ? SHORT_PART_BYTES : PART_BYTES;
    struct iovec iov[2] = {{frame->buffer.data + frame->have, least(left, most)},
                           {next_prefix, sizeof next_prefix}};
    *asked = iov[0].iov_len;
    ssize_t got = receive(conn, iov, left > most ? 1 : 2);
    if (got <= 0) {
        return got;
    }
    size_t part = least((size_t)got, iov[0].iov_len);
    frame->have += part;
    frame->moved_ms = conn->reactor->now_ms;
    finish_frame(conn);
    size_t extra = (size_t)got - part;
    if (extra > 0 && !conn->dead) {
        size_t taken = take_bytes(conn, next_prefix, extra);
        if (taken < extra && !conn->dead) {
            keep_rest(conn, next_prefix + taken, extra - taken);
        }
    }
    return got;
}

/* The size of the next frame alone: a large one is expected. */
static ssize_t receive_prefix(struct conn *conn, size_t *asked)
{
    uint8_t prefix[sizeof conn->frame.prefix];
    struct iovec iov = {prefix, sizeof prefix - conn->frame.prefix_have};
    *asked = iov.iov_len;
    ssize_t got = receive(conn, &iov, 1);
    if (got > 0) {
        take_prefix(conn, prefix, (size_t)got);
    }
    return got;
}

static ssize_t receive_into_scratch(struct conn *conn, size_t *asked)
{
    uint8_t *scratch = conn->reactor->read_scratch;
    struct iovec iov = {scratch, SCRATCH_BYTES};
    *asked = SCRATCH_BYTES;
    ssize_t got = receive(conn, &iov, 1);
    if (got > 0) {
        size_t taken = take_bytes(conn, scratch, (size_t)got);
        if (taken < (size_t)got && !conn->dead) {
            keep_rest(conn, scratch + taken, (size_t)got - taken);
        }
    }
    return got;
}

static void stop_awaiting(struct conn *conn)
{
    if (conn->awaits) {
        conn->awaits = false;
        conn->cannot_await = conn->transport.kind->await(&conn->transport, 1) < 0;
        conn_touch(conn);
    }
}

/* Receives a small frame only when it is whole, so that half of it takes no memory. False: not yet,
 * or the transport cannot tell; then it gets its buffer in line. */
static bool receive_whole(struct conn *conn, size_t *asked, ssize_t *got)
{
    size_t size = conn->frame.size;
    ssize_t here = conn->transport.kind->await(&conn->transport, size);
    if (here < (ssize_t)size) {
        conn->cannot_await = here < 0;
        conn->awaits = here >= 0;
        conn_touch(conn);
        return false;
    }
    stop_awaiting(conn);
    struct iovec iov = {conn->reactor->read_scratch, size};
    *asked = size;
    *got = receive(conn, &iov, 1);
    if (*got == (ssize_t)size) {
        conn->frame = (struct frame_state){0};
        deliver(conn, conn->reactor->read_scratch, size);
    } else if (*got > 0) { /* cannot be, of what was there; no byte is lost all the same */
        keep_rest(conn, conn->reactor->read_scratch, (size_t)*got);
    }
    return true;
}

/* One receive, in the way that fits where the connection stands. False: no more for now. */
static bool receive_some(struct conn *conn, size_t *budget)
{
    struct frame_state *frame = &conn->frame;
    bool size_known = frame->prefix_have == sizeof frame->prefix;
    bool tight = pressure_on_frames(conn->reactor);
    bool whole = tight && conn->transport.kind->await != NULL && !conn->cannot_await;
    bool reserves = frame->size >= LARGE_FRAME_BYTES || (tight && !whole);
    if (size_known && frame->buffer.data == NULL && reserves && !allocate_frame(conn)) {
        return false;
    }
    if (!whole) {
        stop_awaiting(conn);
    }
    size_t asked;
    ssize_t got;
    if (frame->buffer.data != NULL && (tight || frame->size >= LARGE_FRAME_BYTES)) {
        got = receive_into_frame(conn, &asked);
    } else if (size_known && whole) {
        if (!receive_whole(conn, &asked, &got)) {
            return false;
        }
    } else if ((conn->expects_large || tight) && !size_known) {
        got = receive_prefix(conn, &asked);
    } else {
        got = receive_into_scratch(conn, &asked);
    }
    if (got > 0) {
        *budget -= least(*budget, (size_t)got);
    }
    /* Less than asked for: the socket is empty, epoll will tell. */
    return got > 0 && !conn->dead && ((size_t)got >= asked || conn_has_pending(conn));
}

/* An awaited frame: is it whole, has its sender gone, or does the kernel keep no more of it? */
static void end_await(struct conn *conn, uint32_t events)
{
    size_t size = conn->frame.size;
    ssize_t here = conn->transport.kind->await(&conn->transport, size);
    stop_awaiting(conn);
    if (here >= (ssize_t)size) {
        return;
    }
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        conn_close(conn, CONN_END_PEER);
    } else {
        conn->cannot_await = true;
    }
}

void conn_read_on(struct conn *conn, uint32_t events)
{
    if (conn->awaits) {
        end_await(conn, events);
    }
    if (!conn->dead) {
        conn_read(conn);
    }
}

void conn_read(struct conn *conn)
{
    size_t budget = TURN_BYTES;
    bool goes_on = true;
    while (goes_on && conn_may_read(conn)) {
        if (conn->carry.size > 0) {
            take_carry(conn);
        } else if (budget == 0 || !receive_some(conn, &budget)) {
            break;
        }
        goes_on = !conn_is_slice_over(conn);
    }
    if (conn->dead) {
        return;
    }
    conn_mark_reading(conn);
    if (!conn_may_read(conn) || conn->carry.size > 0 || conn_has_pending(conn)) {
        conn_touch(conn); /* epoll must stop telling of input, or cannot tell of it */
    }
}

void conn_drop_input(struct conn *conn)
{
    struct iovec iov = {conn->reactor->read_scratch, SCRATCH_BYTES};
    ssize_t got;
    size_t budget = TURN_BYTES;
    do {
        got = conn->transport.kind->receive(&conn->transport, &iov, 1);
        budget -= got > 0 ? least(budget, (size_t)got) : 0;
    } while (got > 0 && budget > 0);
    if (got <= 0 && got != TRANSPORT_WANT_READ && got != TRANSPORT_WANT_WRITE) {
        conn_close(conn, CONN_END_HANDLER);
    }
}
