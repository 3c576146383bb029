#include "base/mem.h"
#include "net/state.h"

/*
 * One timer a connection, set at or before its earliest deadline. Activity only writes down a time;
 * when the timer fires early it is set anew. So a busy connection touches the heap once a timeout.
 */

void conn_arm(struct conn *conn, int64_t at_ms)
{
    if (!heap_has(&conn->timer.node) || conn->timer.node.key > at_ms) {
        reactor_timer_set(conn->reactor, &conn->timer, at_ms);
    }
}

void conn_rest(struct conn *conn, int64_t rest_ms)
{
    int64_t until_ms = conn->reactor->now_ms + rest_ms;
    conn->rests_until_ms = until_ms > conn->rests_until_ms ? until_ms : conn->rests_until_ms;
    conn_arm(conn, conn->rests_until_ms);
    conn_touch(conn);
}

static bool inside_frame(const struct conn *conn)
{
    return conn->frame.prefix_have > 0;
}

/* Of the frame, here or in the kernel. */
static size_t bytes_here(struct conn *conn)
{
    ssize_t kept =
        conn->awaits ? conn->transport.kind->await(&conn->transport, conn->frame.size) : 0;
    return conn->frame.have + (size_t)(kept > 0 ? kept : 0);
}

void conn_mark_reading(struct conn *conn)
{
    if (!inside_frame(conn)) {
        return;
    }
    size_t have = bytes_here(conn);
    uint64_t sequence = conn->replies.first + conn->replies.count;
    if (conn->mark_sequence == sequence && have - conn->read_mark_have < STALL_PROGRESS_BYTES) {
        return;
    }
    conn->mark_sequence = sequence;
    conn->read_mark_have = have;
    conn->read_mark_ms = conn->reactor->now_ms;
    conn_arm(conn, conn->read_mark_ms + conn->reactor->net->config.stall_timeout_ms);
}

/* Bytes that the peer's machine took so far. */
static uint64_t bytes_taken(const struct conn *conn)
{
    uint64_t queued = transport_queued_bytes(&conn->transport);
    return queued < conn->sent_bytes ? conn->sent_bytes - queued : 0;
}

void conn_mark_writing(struct conn *conn)
{
    conn->write_mark_ms = conn->reactor->now_ms;
    conn->write_mark_taken = bytes_taken(conn);
    conn_arm(conn, conn->write_mark_ms + conn->reactor->net->config.stall_timeout_ms);
}

void conn_see_writing(struct conn *conn)
{
    if (bytes_taken(conn) >= conn->write_mark_taken + STALL_PROGRESS_BYTES) {
        conn_mark_writing(conn); /* slow, but the kernel's queue shrinks */
    }
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_idle(const struct conn *conn)
{
    return conn->reactor->net->config.idle_timeout_ms > 0 && conn->replies.count == 0 &&
           !inside_frame(conn);
}

/* When there is something to look at; INT64_MAX: never. */
static int64_t deadline_ms(const struct conn *conn)
{
    const struct net_config *config = &conn->reactor->net->config;
    if (conn->lingering) {
        return conn->linger_until_ms;
    }
    int64_t at_ms = INT64_MAX;
    if (is_idle(conn)) {
        at_ms = conn->active_ms + config->idle_timeout_ms;
    } else if (config->idle_timeout_ms > 0) {
        at_ms = conn->reactor->now_ms + config->idle_timeout_ms; /* busy: look again then */
    }
    if (conn->transport.shakes_hands) {
        at_ms = least(at_ms, conn->active_ms + config->stall_timeout_ms);
    }
    if (conn->rests_until_ms > 0) {
        at_ms = least(at_ms, conn->rests_until_ms);
    }
    if (inside_frame(conn) && conn->reading) {
        at_ms = least(at_ms, conn->read_mark_ms + config->stall_timeout_ms);
    }
    if (conn->send_waits != 0) {
        at_ms = least(at_ms, conn->write_mark_ms + config->stall_timeout_ms);
    }
    return at_ms;
}

static void close_overdue(struct conn *conn)
{
    const struct net_config *config = &conn->reactor->net->config;
    int64_t now_ms = conn->reactor->now_ms;
    if (conn->lingering) {
        conn_close(conn, CONN_END_HANDLER);
    } else if (conn->transport.shakes_hands) {
        conn_close_why(conn, CONN_END_SLOW, "the TLS handshake was not done in %lld ms",
                       (long long)config->stall_timeout_ms);
    } else if (conn->send_waits != 0 && now_ms >= conn->write_mark_ms + config->stall_timeout_ms) {
        conn_close_why(conn, CONN_END_SLOW,
                       "the peer took less than %d bytes of a reply in %lld ms",
                       STALL_PROGRESS_BYTES, (long long)config->stall_timeout_ms);
    } else if (inside_frame(conn) && conn->reading) {
        conn_close_why(conn, CONN_END_SLOW,
                       "less than %d bytes of a request came in %lld ms (%zu of %zu bytes)",
                       STALL_PROGRESS_BYTES, (long long)config->stall_timeout_ms, bytes_here(conn),
                       conn->frame.size);
    } else {
        conn_close(conn, CONN_END_IDLE);
    }
}

void conn_on_timer(struct reactor_timer *timer)
{
    struct conn *conn = container_of(timer, struct conn, timer);
    int64_t stall_ms = conn->reactor->net->config.stall_timeout_ms;
    if (conn->rests_until_ms > 0 && conn->reactor->now_ms >= conn->rests_until_ms) {
        conn->rests_until_ms = 0;
        conn_touch(conn);
    }
    if (conn->send_waits != 0 && conn->reactor->now_ms >= conn->write_mark_ms + stall_ms) {
        conn_see_writing(conn);
    }
    if (conn->awaits) {
        conn_mark_reading(conn); /* the kernel may have got more of it */
    }
    int64_t at_ms = deadline_ms(conn);
    if (at_ms == INT64_MAX) {
        return;
    }
    if (at_ms > conn->reactor->now_ms) {
        conn_arm(conn, at_ms);
    } else {
        close_overdue(conn);
    }
}
