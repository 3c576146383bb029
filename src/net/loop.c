#include "net/state.h"
#include "net/thread.h"

#include <sys/epoll.h>
#include <utlist.h>

/* The thread of a reactor: turn after turn, what its connections have to do. */

/* Connections that had more to do than one turn allows, or may read again. */
static void run_ready(struct reactor *reactor)
{
    struct conn *ready = reactor->ready;
    size_t left = 0;
    for (struct conn *conn = ready; conn != NULL; conn = conn->ready_next) {
        left++;
    }
    for (; left > 0 && reactor->ready != NULL; left--) {
        struct conn *conn = reactor->ready;
        DL_DELETE2(reactor->ready, conn, ready_prev, ready_next);
        conn->ready = false;
        reactor->worked = true;
        conn_read(conn);
        if (!conn->dead) {
            conn_touch(conn);
        }
    }
}

static void settle_touched(struct reactor *reactor)
{
    while (reactor->touched != NULL) {
        struct conn *conn = reactor->touched;
        DL_DELETE2(reactor->touched, conn, touched_prev, touched_next);
        conn->touched = false;
        conn_settle(conn);
    }
}

static void turn(struct reactor *reactor)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = reactor_wait(reactor, events);
    for (int i = 0; i < count; i++) {
        struct poll_source *source = events[i].data.ptr;
        reactor->worked = true;
        source->ready(source, events[i].events);
    }
    run_ready(reactor);
    reactor_run_mailbox(reactor);
    reactor_run_timers(reactor);
    if (reactor->worked) {
        reactor->worked = false; /* what on_turn_end and settling do counts for the next turn */
        if (reactor->net->handler.on_turn_end != NULL) {
            reactor->net->handler.on_turn_end(reactor->net->handler.context, reactor);
        }
    }
    settle_touched(reactor);
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
