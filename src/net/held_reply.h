#ifndef TIDINGS_NET_HELD_REPLY_H
#define TIDINGS_NET_HELD_REPLY_H

#include "net/net.h"

/*
 * Replies that wait for their time (reply.hold_ms): a client that tries again at once what cannot
 * succeed yet goes round so much slower. No thread waits; the reactor's timers do. What a
 * connection may have of them is bounded as all replies it is owed are (max_parked_replies), all of
 * them together by half of the share for answers: then the connection waits instead, with its
 * answer sent (conn_rest).
 */
struct held_reply;

/* Takes the reply over and gives it to its connection when its time is over and not before, or at
 * once when the reactor drains or stops. Its reactor's thread. */
void held_reply_add(struct reactor *reactor, struct reply_token token, struct reply *reply);

/* Gives all of them now. Its reactor's thread, or after it. */
void held_reply_release(struct reactor *reactor);

#endif
