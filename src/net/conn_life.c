#include "base/mem.h"
#include "net/state.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

/* What a connection lives through: taken over by its reactor, woken, settled at the end of a turn.
 */

/* Told once, as epoll would go on telling. A peer that is gone resets what is sent to it now; one
 * that has only ended its side reads it. */
static void tell_peer_done(struct conn *conn)
{
    conn->peer_done = true;
    conn_touch(conn);
    conn_hurry(conn);
}

static void wake(struct conn *conn, uint32_t events)
{
    if (events & conn->send_waits) {
        conn->send_waits = 0;
        conn_touch(conn);
    }
    if (conn->lingering) {
        conn_drop_input(conn);
    } else if (conn_may_read(conn)) {
        if (events & (conn->receive_waits | EPOLLIN | EPOLLHUP | EPOLLERR)) {
            conn_read_on(conn, events);
        }
    } else if (events & (EPOLLHUP | EPOLLERR) || (events & EPOLLRDHUP && conn->closing)) {
        conn_close(conn, CONN_END_PEER);
    } else if (events & EPOLLRDHUP) {
        tell_peer_done(conn);
    }
}

static void on_ready(struct poll_source *source, uint32_t events)
{
    struct conn *conn = (struct conn *)source;
    if (conn->dead) {
        return; /* closed earlier in this turn */
    }
    if (conn->in_line || conn_is_busy(conn)) {
        conn->told = events;
        conn_later(conn);
        return;
    }
    conn_begin_small_slice(conn);
    wake(conn, events);
    conn_end_slice(conn);
}

static void leave_touched(struct conn *conn)
{
    if (conn->touched) {
        conn->touched = false;
        DL_DELETE2(conn->reactor->touched, conn, touched_prev, touched_next);
    }
}

void conn_serve(struct conn *conn)
{
    uint32_t told = conn->told;
    conn->told = 0;
    if (told != 0) {
        wake(conn, told);
    } else if (conn->carry.size > 0 || conn_has_pending(conn)) {
        conn_read(conn);
    }
    if (!conn->dead) {
        leave_touched(conn);
        conn_settle(conn);
    }
}

struct conn *conn_new(struct reactor *reactor, struct transport transport, unsigned listener_index,
                      const struct sockaddr_storage *peer, const struct peer_key *key)
{
    struct conn *conn = mem_new(struct conn);
    conn->source.ready = on_ready;
    conn->reactor = reactor;
    conn->adopt.run = conn_adopt;
    conn->transport = transport;
    conn->receive_waits = EPOLLIN;
    conn->listener_index = listener_index;
    conn->timer.fire = conn_on_timer;
    conn->mark_sequence = UINT64_MAX;
    conn->peer_key = *key;
    peer_text(peer, conn->peer);
    return conn;
}

static void take_slot(struct reactor *reactor, struct conn *conn)
{
    uint32_t slot = reactor->slot_hint;
    while (slot < reactor->slots.count && reactor->slots.items[slot] != NULL) {
        slot++;
    }
    if (slot == reactor->slots.count) {
        vec_push(&reactor->slots, NULL);
    }
    reactor->slots.items[slot] = conn;
    reactor->slot_hint = slot + 1;
    conn->slot = slot;
    conn->id = ++reactor->next_conn * 64 + reactor->index; /* 64: the most reactors there are */
}

/* Makes the transport ready and has epoll tell of it. */
static bool watch(struct conn *conn)
{
    struct transport *transport = &conn->transport;
    return reactor_watch(conn->reactor, transport->fd, &conn->source, conn->interest) &&
           (transport->kind->open == NULL || transport->kind->open(transport));
}

void conn_adopt(struct task *task)
{
    struct conn *conn = container_of(task, struct conn, adopt);
    struct reactor *reactor = conn->reactor;
    conn->interest = EPOLLIN;
    bool refuse = reactor->stopping || atomic_load(&reactor->draining);
    if (refuse || !watch(conn)) {
        if (!refuse) {
            reactor_log_peer(reactor, "connection refused", conn->peer,
                             "it cannot be watched or its transport cannot be opened");
        }
        counter_add(&reactor->counters.closed[refuse ? CONN_END_STOP : CONN_END_LIMIT], 1);
        conn_give_back_counts(conn);
        close(conn->transport.fd);
        free(conn);
        return;
    }
    take_slot(reactor, conn);
    site_enter(conn);
    budget_purse_add(&reactor->frames, conn_bytes(conn->transport.kind));
    counter_add(&reactor->counters.accepted, 1);
    conn->reading = true;
    conn->active_ms = reactor->now_ms;
    if (reactor->net->config.idle_timeout_ms > 0) {
        conn_arm(conn, reactor->now_ms + reactor->net->config.idle_timeout_ms);
    }
    if (conn->transport.shakes_hands) {
        conn_arm(conn, reactor->now_ms + reactor->net->config.stall_timeout_ms);
    }
    reactor->net->handler.on_open(reactor->net->handler.context, conn);
}

void conn_settle(struct conn *conn)
{
    if (!conn->lingering) {
        conn_flush(conn);
    }
    if (conn->dead) {
        return;
    }
    bool may_read = conn_may_read(conn);
    if (may_read && !conn->reading) {
        conn->mark_sequence = UINT64_MAX; /* the pause was ours: the stall clock begins anew */
        conn_mark_reading(conn);
    }
    conn->reading = may_read;
    if (may_read && (conn->carry.size > 0 || conn_has_pending(conn))) {
        conn_later(conn);
    }
    uint32_t interest = (may_read || conn->lingering ? conn->receive_waits : 0) | conn->send_waits;
    bool deaf = conn->awaits || (!may_read && !conn->peer_done) || conn->closing;
    if (deaf && !conn->lingering) {
        interest |= EPOLLRDHUP; /* no receive tells that the peer has gone */
    }
    if (interest != conn->interest) {
        struct epoll_event event = {.events = interest, .data.ptr = &conn->source};
        epoll_ctl(conn->reactor->epoll_fd, EPOLL_CTL_MOD, conn->transport.fd, &event);
        conn->interest = interest;
    }
}
