#ifndef TIDINGS_STREAM_FETCH_LOOK_H
#define TIDINGS_STREAM_FETCH_LOOK_H

#include "stream/fetch.h"

/* What there is for a fetch, now: the part that knows of logs and of nobody who waits. A fetch is
 * in the hands of one thread at a time. */

/* What looks cost, so that a loop turn can bound them: a look at the offsets of a partition is one,
 * and one that reads in its log so many more. */
enum { FETCH_READ_COST = 8 };

/*
 * Reads every item within the budgets. True when the fetch is to be answered now. Batches without
 * records are no answer to wait for, as a client that cannot get past them would ask again at once.
 */
bool fetch_look_at_all(struct fetch *fetch);

/* Looks again at an item that may have moved, beside what the others were seen to have. True when
 * the fetch is to be answered now. Takes the cost from *units. */
bool fetch_look_at(struct fetch *fetch, struct fetch_item *item, int *units);

/* Gives back what was found, as it is too little: a segment is not held for a fetch that waits. */
void fetch_drop(struct fetch *fetch, struct fetch_item *item);
void fetch_drop_all(struct fetch *fetch);

/* Reads and checks a span that is_ready does not hold of. Waits for the disk. */
void fetch_verify(struct fetch_item *item);

/* The aborted transactions in what was read. Without them a reader would take their records for
 * committed ones, so what they belong to is not given either when they cannot be read. */
void fetch_find_aborted(struct fetch *fetch);

#endif
