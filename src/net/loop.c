#include "base/clock.h"
#include "base/priority.h"
#include "base/thread.h"
#include "net/state.h"

#include <sys/epoll.h>
#include <utlist.h>

/* The thread of a reactor: turn after turn, what its connections have to do. */

/* Takes who is next out of the line; NULL: all of it is to wait, or nobody is there. */
static struct conn *take_next(struct reactor *reactor)
{
    for (;;) {
        struct conn *conn = turn_line_take(&reactor->line);
        if (conn == NULL || !conn_waits_for_others(conn)) {
            return conn;
        }
        conn_later(conn);
    }
}

/* Connections that had more to do than one turn allows, or are busy: each once at most. */
static void run_line(struct reactor *reactor)
{
    int64_t end_ns = reactor_line_end_ns(reactor);
    struct conn *conn;
    for (size_t left = reactor->line.count; left > 0 && reactor->now_ns < end_ns; left--) {
        if ((conn = take_next(reactor)) == NULL) {
            break;
        }
        reactor->worked = true;
        conn_begin_slice(conn);
        conn_serve(conn);
        conn_end_slice(conn);
    }
}

static void settle_touched(struct reactor *reactor)
{
    while (reactor->touched != NULL) {
        struct conn *conn = reactor->touched;
        DL_DELETE2(reactor->touched, conn, touched_prev, touched_next);
        conn->touched = false;
        if (conn_is_busy(conn)) {
            conn_later(conn);
        } else {
            conn_begin_small_slice(conn);
            conn_settle(conn);
            conn_end_slice(conn);
        }
    }
}

/* Those who ask for little are through with this turn, but for what the flusher does for them: it
 * comes before the line, and so does the reactor that answers then. */
static void give_way(struct reactor *reactor)
{
    if (reactor->line.count > 0 && priority_is_awaited(reactor->now_ns)) {
        priority_give_way();
        reactor->now_ns = clock_now_ns();
    }
}

static void turn(struct reactor *reactor)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = reactor_wait(reactor, events);
    reactor->turn_count++;
    for (int i = 0; i < count; i++) {
        struct poll_source *source = events[i].data.ptr;
        reactor->worked = true;
        source->ready(source, events[i].events);
    }
    reactor_run_mailbox(reactor);
    reactor_run_timers(reactor);
    if (reactor->worked) {
        reactor->worked = false; /* what on_turn_end and settling do counts for the next turn */
        if (reactor->net->handler.on_turn_end != NULL) {
            reactor->net->handler.on_turn_end(reactor->net->handler.context, reactor);
        }
    }
    reactor->now_ns = clock_now_ns();
    settle_touched(reactor);
    give_way(reactor);
    run_line(reactor);
    if (reactor->crowded) {
        pressure_look(reactor);
    }
    conn_free_dead(reactor);
}

static void close_all(struct reactor *reactor)
{
    for (size_t i = 0; i < reactor->slots.count; i++) {
        if (reactor->slots.items[i] != NULL) {
            conn_close(reactor->slots.items[i], CONN_END_STOP);
        }
    }
    conn_free_dead(reactor);
}

static void *run(void *context)
{
    struct reactor *reactor = context;
    atomic_store(&reactor->owner, pthread_self());
    priority_set_turn(PRIORITY_QUICK_NS);
    while (!reactor->stopping) {
        turn(reactor);
    }
    close_all(reactor);
    return NULL;
}

enum err loop_start(struct reactor *reactor, struct reason *reason)
{
    enum err err = thread_start(&reactor->thread, "reactor", reactor->index, run, reactor, reason);
    reactor->has_thread = err == ERR_NONE;
    return err;
}
