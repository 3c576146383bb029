#include "base/logger.h"
#include "base/mem.h"
#include "net/state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* What a connection is to all who work on it: where it is found, what it may do, its replies, its
 * end. */

size_t conn_bytes(const struct transport_kind *transport)
{
    return CONN_BYTES + transport->session_bytes;
}

void conn_give_back_counts(struct conn *conn)
{
    struct net *net = conn->reactor->net;
    atomic_fetch_sub(&conn->reactor->connection_count, 1);
    if (conn->is_own) {
        atomic_fetch_sub(&net->own_count, 1);
    } else {
        peer_table_give(&net->peers, &conn->peer_key);
        atomic_fetch_sub(&net->connection_bytes, conn_bytes(conn->transport.kind));
    }
}

struct conn *conn_find(struct reactor *reactor, uint32_t slot, uint64_t id)
{
    struct conn *conn = slot < reactor->slots.count ? reactor->slots.items[slot] : NULL;
    return conn != NULL && conn->id == id ? conn : NULL;
}

void conn_touch(struct conn *conn)
{
    if (!conn->touched) {
        conn->touched = true;
        DL_APPEND2(conn->reactor->touched, conn, touched_prev, touched_next);
    }
}

void conn_later(struct conn *conn)
{
    if (!conn->in_line) {
        turn_line_add(&conn->reactor->line, conn);
    }
}

bool conn_asks_little(const struct conn *conn)
{
    return conn->send_waits == 0 && conn->answer_peak <= LITTLE_ANSWER_BYTES;
}

/* The share for answers is used up: who takes his answers is read all the same; of those that do
 * when it is more than that, who asks for little; and then of these who comes from where hardly any
 * of it is held. */
static bool waits_for_answers(const struct conn *conn)
{
    const struct reactor *reactor = conn->reactor;
    if (!reactor->crowded) {
        return false;
    }
    bool is_known = conn->replies.first > 0;
    return conn->unsent_bytes > 0 || (reactor->packed && !(is_known && conn_asks_little(conn))) ||
           (reactor->full && !site_holds_little(conn));
}

bool conn_may_read(const struct conn *conn)
{
    const struct net_config *config = &conn->reactor->net->config;
    return !conn->dead && !conn->closing && !conn->lingering && !conn->held &&
           conn->rests_until_ms == 0 && conn->memory_wait == NULL &&
           conn->parked < config->max_parked_replies &&
           conn->unsent_bytes <= config->max_unsent_bytes && !waits_for_answers(conn) &&
           !atomic_load_explicit(&conn->reactor->draining, memory_order_relaxed);
}

bool conn_has_pending(const struct conn *conn)
{
    const struct transport *transport = &conn->transport;
    return transport->kind->has_pending != NULL && transport->kind->has_pending(transport);
}

void owed_add(struct reactor *reactor, int64_t change)
{
    uint64_t now = atomic_load_explicit(&reactor->owed_frames, memory_order_relaxed);
    atomic_store_explicit(&reactor->owed_frames, now + (uint64_t)change, memory_order_release);
}

static void leave_lists(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    if (conn->touched) {
        DL_DELETE2(reactor->touched, conn, touched_prev, touched_next);
    }
    if (conn->in_line) {
        turn_line_remove(&reactor->line, conn);
    }
    heap_remove(&reactor->timers, &conn->timer.node);
    reactor->slots.items[conn->slot] = NULL;
    if (conn->slot < reactor->slot_hint) {
        reactor->slot_hint = conn->slot;
    }
}

static void give_back_frame_memory(struct conn *conn)
{
    struct net *net = conn->reactor->net;
    if (conn->memory_wait != NULL && frame_memory_cancel(&net->memory, &conn->memory_wait->wait)) {
        free(conn->memory_wait);
    } /* else its task is in the mailbox, and gives back what was granted */
    conn->memory_wait = NULL;
    conn_release_frame(conn->reactor, &conn->frame);
}

void conn_release_frame(struct reactor *reactor, struct frame_state *frame)
{
    if (frame->buffer.data == NULL && !frame->taken) {
        return;
    }
    if (frame->taken) {
        frame->taken = false;
    } else if (frame->size >= LARGE_FRAME_BYTES) {
        frame_pool_give(&reactor->pool, frame->buffer);
        reactor_count_pool(reactor);
    } else {
        free(frame->buffer.data);
    }
    frame->buffer = (struct frame_buffer){0};
    if (frame->granted) {
        frame_memory_give(&reactor->net->memory, frame->size);
    } else {
        budget_purse_give(&reactor->frames, frame->size);
    }
}

uint8_t *conn_take_frame(struct conn *conn, const uint8_t *data)
{
    struct frame_state *frame = conn->delivered;
    if (frame == NULL || frame->buffer.data != data ||
        frame->buffer.capacity > frame->size + frame->size / 4) {
        return NULL;
    }
    frame->taken = true;
    frame->buffer.data = NULL;
    return (uint8_t *)(uintptr_t)data;
}

void conn_set_carry(struct conn *conn, struct buf carry, size_t taken)
{
    budget_purse_add(&conn->reactor->frames, carry.capacity);
    conn->carry = carry;
    conn->carry_taken = taken;
}

struct buf conn_take_carry(struct conn *conn)
{
    budget_purse_give(&conn->reactor->frames, conn->carry.capacity);
    return buf_take(&conn->carry);
}

void conn_count_replies(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    size_t held = conn->replies.held_bytes;
    conn->site->held_bytes += held - conn->replies_counted;
    if (held < conn->replies_counted) {
        budget_purse_give(&reactor->answers, conn->replies_counted - held);
    } else if (held > conn->replies_counted &&
               budget_purse_add(&reactor->answers, held - conn->replies_counted)) {
        pressure_look(reactor);
    }
    conn->replies_counted = held;
}

void conn_drop_all(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    struct buf carry = conn_take_carry(conn);
    buf_deinit(&carry);
    owed_add(reactor, -(int64_t)conn->replies.count);
    reply_queue_deinit(&conn->replies);
    conn_count_replies(conn);
    conn->parked = 0;
    conn->unsent_bytes = 0;
}

void conn_close(struct conn *conn, enum conn_end end)
{
    struct reactor *reactor = conn->reactor;
    if (conn->dead) {
        return;
    }
    conn->dead = true;
    reactor->worked = true;
    leave_lists(conn);
    conn->transport.kind->close(&conn->transport); /* epoll forgets it */
    give_back_frame_memory(conn);
    conn_drop_all(conn);
    site_leave(conn);
    budget_purse_give(&reactor->frames, conn_bytes(conn->transport.kind));
    counter_add(&reactor->counters.closed[end], 1);
    reactor->net->handler.on_close(reactor->net->handler.context, conn, end);
    conn_give_back_counts(conn);
    /* Freed at the end of the turn: events of this turn may still point at it. */
    conn->ready_next = reactor->dead;
    reactor->dead = conn;
}

void conn_close_why(struct conn *conn, enum conn_end end, const char *format, ...)
{
    struct reason reason;
    va_list args;
    va_start(args, format);
    vsnprintf(reason.text, sizeof reason.text, format, args);
    va_end(args);
    reactor_log_peer(conn->reactor, "connection closed", conn->peer, reason.text);
    conn_close(conn, end);
}

void conn_free_dead(struct reactor *reactor)
{
    while (reactor->dead != NULL) {
        struct conn *conn = reactor->dead;
        reactor->dead = conn->ready_next;
        free(conn);
    }
}

/* The most that its answers held lately: an eighth of an older one is forgotten with each. */
static void note_peak(struct conn *conn)
{
    size_t older = conn->answer_peak - conn->answer_peak / 8;
    size_t held = conn->replies.held_bytes;
    conn->answer_peak = held > older ? held : older;
}

void conn_complete(struct reactor *reactor, struct reply_token token, struct reply *reply)
{
    struct conn *conn = conn_find(reactor, token.conn_slot, token.conn_id);
    if (conn == NULL || conn->lingering) {
        reply_deinit(reply);
        return;
    }
    struct reply_slot *slot = reply_queue_at(&conn->replies, token.sequence);
    assert(slot != NULL && !slot->done); /* one reply a frame */
    if (!reply->dropped && pressure_refuses(reactor, reply)) {
        reply_drop(reply);
    }
    if (reply->dropped) {
        reactor_log_peer(reactor, "connection closed", conn->peer,
                         "the memory for answers is used up (memory.max): a large one is dropped");
    }
    uint64_t size = reply_size_bytes(reply);
    if (size > INT32_MAX) {
        LOG_ERROR("net", "reply too large to send", "peer=%s bytes=%" PRIu64, conn->peer, size);
        reply_deinit(reply);
        *reply = (struct reply){.nothing = true, .close_after = true};
    }
    reply_queue_put(&conn->replies, slot, reply);
    slot->done = true;
    store_be32(slot->size_prefix, (uint32_t)size);
    conn->parked--;
    /* The slot counts too, so that many empty replies behind a parked one are bounded. */
    conn->unsent_bytes += slot->reply.bytes.size + sizeof *slot;
    conn_count_replies(conn);
    note_peak(conn);
    conn->closing = conn->closing || slot->reply.close_after;
    if (conn->held && conn->held_sequence == token.sequence) {
        conn->held = false;
    }
    conn_touch(conn);
}

void conn_hurry(struct conn *conn)
{
    const struct net_handler *handler = &conn->reactor->net->handler;
    if (handler->on_hurry != NULL) {
        handler->on_hurry(handler->context, conn);
    }
}

void conn_hold(struct conn *conn, struct reply_token token)
{
    struct reply_slot *slot = reply_queue_at(&conn->replies, token.sequence);
    if (slot != NULL && !slot->done) {
        conn->held = true;
        conn->held_sequence = token.sequence;
    }
}

struct reactor *conn_reactor(struct conn *conn)
{
    return conn->reactor;
}

uint64_t conn_id(const struct conn *conn)
{
    return conn->id;
}

const char *conn_peer(const struct conn *conn)
{
    return conn->peer;
}

const char *conn_peer_name(const struct conn *conn)
{
    const struct transport *transport = &conn->transport;
    return transport->kind->peer_name != NULL ? transport->kind->peer_name(transport) : NULL;
}

struct peer_key conn_site(const struct conn *conn)
{
    return peer_site(&conn->peer_key);
}

bool conn_is_own(const struct conn *conn)
{
    return conn->is_own;
}

unsigned conn_listener(const struct conn *conn)
{
    return conn->listener_index;
}

void conn_local_address(const struct conn *conn, char *host, size_t host_size, uint16_t *port)
{
    struct sockaddr_storage address = {.ss_family = AF_INET};
    socklen_t size = sizeof address;
    getsockname(conn->transport.fd, (struct sockaddr *)&address, &size); /* else 0.0.0.0:0 */
    peer_split(&address, host, host_size, port);
}

void conn_limit_frames(struct conn *conn, const atomic_size_t *limit)
{
    conn->frame_limit = limit;
}

void conn_set_user(struct conn *conn, void *user)
{
    conn->user = user;
}

void *conn_user(const struct conn *conn)
{
    return conn->user;
}
