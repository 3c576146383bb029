#include "base/clock.h"
#include "base/mem.h"
#include "net/state.h"

#include <stdlib.h>

/*
 * What a reactor does when a share of the budget is used up: connections that hold much of it and
 * do not move are closed, worst first, until there is room; then those that paused go on. Each
 * reactor looks after its own connections, and is told when another one finds the share used up.
 */

enum {
    LOOK_MS = 20,
    ROOM_PERCENT = 90,         /* of answers: so far connections are closed, once it has begun */
    GRACE_MS = 1000,           /* for whoever does not move; when packed, LOOK_MS; when full, 0 */
    FRAME_IDLE_MS = 500,       /* the same, for a frame that others wait for */
    SLOWEST_BYTES_PER_MS = 64, /* of a frame that others wait for */
};

/* Since when its answers do not move, as far as was seen: the peer takes none, or they are behind
 * one that is not made. Of the latter, what can be had at once is asked for first. INT64_MAX: they
 * do move. */
static int64_t stalled_since_ms(struct conn *conn)
{
    if (conn->send_waits != 0) {
        return conn->write_mark_ms;
    }
    const struct reply_slot *oldest = reply_queue_at(&conn->replies, conn->replies.first);
    if (conn->unsent_bytes == 0 || oldest == NULL || oldest->done) {
        conn->hurried_ms = 0;
        return INT64_MAX;
    }
    if (conn->hurried_ms == 0) {
        conn->hurried_ms = conn->reactor->now_ms;
        conn_hurry(conn);
        return INT64_MAX;
    }
    return conn->hurried_ms;
}

static int64_t grace_ms(const struct reactor *reactor)
{
    return reactor->full ? 0 : reactor->packed ? LOOK_MS : GRACE_MS;
}

/* Bytes and milliseconds in one figure: the largest that has not moved for longest, of the address
 * for which the most is held. */
static double answers_weight(struct conn *conn)
{
    int64_t since_ms = conn->lingering ? INT64_MAX : stalled_since_ms(conn);
    if (since_ms == INT64_MAX) {
        return 0;
    }
    int64_t stalled_ms = conn->reactor->now_ms - since_ms;
    if (stalled_ms < grace_ms(conn->reactor)) {
        return 0;
    }
    return (double)conn->replies_counted * (double)conn->site->held_bytes *
           (double)(stalled_ms + 1);
}

/* Asks the kernel, which takes as long as all else of this, only about who is about to be closed.
 */
static bool has_moved(struct conn *conn)
{
    if (conn->send_waits != 0) {
        conn_see_writing(conn);
    }
    return answers_weight(conn) == 0;
}

static double frame_weight(struct conn *conn)
{
    int64_t age_ms = conn->reactor->now_ms - conn->frame.since_ms;
    bool slow = age_ms >= GRACE_MS && (int64_t)conn->frame.have < age_ms * SLOWEST_BYTES_PER_MS;
    bool idle = conn->reactor->now_ms - conn->frame.moved_ms >= FRAME_IDLE_MS;
    if (conn->frame.buffer.data == NULL || (!slow && !idle)) {
        return 0;
    }
    return (double)conn->frame.size * (double)age_ms;
}

struct candidate {
    double weight;
    struct conn *conn;
};

static int heaviest_first(const void *a, const void *b)
{
    double left = ((const struct candidate *)a)->weight;
    double right = ((const struct candidate *)b)->weight;
    return (left < right) - (left > right);
}

typedef VEC(struct candidate) candidates;

static void find(struct reactor *reactor, double (*weigh)(struct conn *conn), candidates *out)
{
    for (size_t i = 0; i < reactor->slots.count; i++) {
        struct conn *conn = reactor->slots.items[i];
        double weight = conn != NULL ? weigh(conn) : 0;
        if (weight > 0) {
            vec_push(out, ((struct candidate){weight, conn}));
        }
    }
    if (out->count > 1) {
        qsort(out->items, out->count, sizeof *out->items, heaviest_first);
    }
}

/* True: there are more to close at once. */
static bool relieve_answers(struct reactor *reactor)
{
    candidates found = {.count = 0};
    pressure_look(reactor);
    if (reactor->crowded) {
        find(reactor, answers_weight, &found);
    }
    size_t closed = 0;
    int percent = reactor->packed && reactor->full ? PACKED_PERCENT : ROOM_PERCENT;
    int64_t end_ns = clock_now_ns() + reactor_slice_ns(reactor);
    while (closed < found.count && pressure_on_answers(reactor, percent) &&
           (closed == 0 || clock_now_ns() < end_ns)) {
        struct conn *conn = found.items[closed++].conn;
        if (has_moved(conn)) {
            continue;
        }
        conn_close_why(
            conn, CONN_END_MEMORY,
            "%zu bytes of answers were not taken for %lld ms, and the memory for answers "
            "is used up (memory.max)",
            conn->replies_counted, (long long)(reactor->now_ms - stalled_since_ms(conn)));
    }
    pressure_look(reactor);
    bool more = reactor->crowded && closed < found.count;
    vec_deinit(&found);
    return more;
}

/* True: connections still wait for memory. */
static bool relieve_frames(struct reactor *reactor)
{
    struct frame_memory *memory = &reactor->net->memory;
    candidates found = {.count = 0};
    bool waits = frame_memory_retry(memory);
    if (waits) {
        find(reactor, frame_weight, &found);
    }
    for (size_t i = 0; i < found.count && waits; i++) {
        struct conn *conn = found.items[i].conn;
        conn_close_why(
            conn, CONN_END_MEMORY,
            "%zu of %zu bytes of a request came in %lld ms, and others wait for the memory "
            "(memory.max, queued.max.request.bytes)",
            conn->frame.have, conn->frame.size,
            (long long)(reactor->now_ms - conn->frame.since_ms));
        waits = frame_memory_retry(memory);
    }
    vec_deinit(&found);
    return waits;
}

static void on_pressure_timer(struct reactor_timer *timer)
{
    struct reactor *reactor = container_of(timer, struct reactor, pressure_timer);
    bool more = relieve_answers(reactor);
    reactor->pressed = relieve_frames(reactor) || reactor->crowded;
    if (reactor->pressed) {
        reactor_timer_set(reactor, timer, reactor->now_ms + (more ? 1 : LOOK_MS));
    }
    for (size_t i = 0; i < reactor->slots.count; i++) {
        struct conn *conn = reactor->slots.items[i];
        if (conn != NULL && !conn->reading && conn_may_read(conn)) {
            conn_later(conn);
        }
    }
}

static void on_told(struct task *task)
{
    struct reactor *reactor = container_of(task, struct reactor, pressure_task);
    atomic_store(&reactor->pressure_posted, false);
    if (!reactor->pressed && !reactor->stopping) {
        reactor->pressed = true;
        reactor_timer_set(reactor, &reactor->pressure_timer, reactor->now_ms);
    }
}

void relief_init(struct reactor *reactor)
{
    struct budget *budget = reactor->net->config.budget;
    reactor->frames = (struct budget_purse){.budget = budget, .share = BUDGET_FRAMES};
    reactor->answers = (struct budget_purse){.budget = budget, .share = BUDGET_ANSWERS};
    reactor->pressure_timer.fire = on_pressure_timer;
    reactor->pressure_task.run = on_told;
}
