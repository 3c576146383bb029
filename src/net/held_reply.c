#include "net/held_reply.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/state.h"

#include <stdlib.h>
#include <utlist.h>

/* Of the share for answers: when so much of it is used no more are kept here. */
enum { HELD_PERCENT = 50 };

struct held_reply {
    struct held_reply *prev, *next;
    struct reactor_timer timer;
    struct reactor *reactor;
    struct reply_token token;
    struct reply reply;
};

static void give(struct held_reply *held)
{
    DL_DELETE(held->reactor->held, held);
    budget_purse_give(&held->reactor->answers, held->reply.bytes.capacity);
    conn_complete(held->reactor, held->token, &held->reply);
    free(held);
}

static void on_time(struct reactor_timer *timer)
{
    give(container_of(timer, struct held_reply, timer));
}

/* The loop's own time is of its turn's beginning, and cut to milliseconds: with that a reply would
 * leave before its time is over. */
static int64_t now_ms_above(void)
{
    return (clock_now_ns() + 999999) / 1000000;
}

void held_reply_add(struct reactor *reactor, struct reply_token token, struct reply *reply)
{
    if (reactor->stopping || atomic_load(&reactor->draining)) {
        conn_complete(reactor, token, reply);
        return;
    }
    struct conn *conn = conn_find(reactor, token.conn_slot, token.conn_id);
    if (conn != NULL && pressure_on_answers(reactor, HELD_PERCENT)) {
        conn_rest(conn, reply->hold_ms);
        conn_complete(reactor, token, reply);
        return;
    }
    struct held_reply *held = mem_new(struct held_reply);
    *held = (struct held_reply){
        .timer.fire = on_time, .reactor = reactor, .token = token, .reply = *reply};
    *reply = (struct reply){0};
    DL_APPEND(reactor->held, held);
    if (budget_purse_add(&reactor->answers, held->reply.bytes.capacity)) {
        pressure_look(reactor);
    }
    reactor_timer_set(reactor, &held->timer, now_ms_above() + held->reply.hold_ms);
}

void held_reply_release(struct reactor *reactor)
{
    while (reactor->held != NULL) {
        reactor_timer_cancel(reactor, &reactor->held->timer);
        give(reactor->held);
    }
}
