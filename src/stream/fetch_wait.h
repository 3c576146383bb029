#ifndef TIDINGS_STREAM_FETCH_WAIT_H
#define TIDINGS_STREAM_FETCH_WAIT_H

#include "stream/fetch.h"

/*
 * Fetches that wait, on their reactor: in the waiting room of each of their partitions.
 *
 * A fetch enters its rooms, waits, and leaves them; then fetch->left is called. One of few items
 * does each in one go. Larger ones stand in the reactor's line, for a few items a turn; rooms whose
 * partition has moved stand in another one, until all who wait in them were looked at. Both take of
 * one measure for a loop turn of the reactor.
 */
struct reactor_fetches;

struct fetch_service {
    struct workers *workers;
    struct net *net;
    struct budget *budget;
    unsigned reactor_count;
    struct reactor_fetches *reactors;
    _Atomic int64_t waiting_bytes; /* of all that wait */
};

/*
 * Begins to wait, with the fetch's memory reserved and nothing held of what was found: looks at
 * each item again when it is in its room, as the watermark may have moved before. Ends at once when
 * the fetch is not to wait (its list has ended or hurried, the service drains). left may be called
 * before it returns, for few items. Its reactor's thread.
 */
void fetch_wait_begin(struct fetch *fetch);

/* Takes memory for one that is going to wait: what all of them hold stays below its part of the
 * share, whatever else is in the share. The largest that waits on this reactor ends for it, if that
 * is larger. False, and nothing taken: there is none. On the reactor's thread. */
CHECKED bool fetch_take_room(struct fetch_service *service, struct reactor *reactor, size_t bytes);
/* The same on any thread: one that is refused does not wait until the larger one has ended. */
CHECKED bool fetch_try_room(struct fetch_service *service, struct reactor *reactor, size_t bytes);
/* Gives back what one of these took. Any thread. */
void fetch_give_room(struct fetch_service *service, size_t bytes);

/* The answer of a fetch that ends for want of memory, and might wait for so long: fetch.hold_ms. */
int32_t fetch_hold_ms(int64_t wait_ms);

#endif
