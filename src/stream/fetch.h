#ifndef TIDINGS_STREAM_FETCH_H
#define TIDINGS_STREAM_FETCH_H

#include "base/budget.h"
#include "base/err.h"
#include "base/file.h"
#include "base/heap.h"
#include "net/net.h"
#include "net/workers.h"
#include "topic/partition.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/*
 * Fetch: find what there is for a row of partitions, within byte budgets, and wait for more when
 * there is not enough (long polling by min bytes and max wait, KIP-74 for the budgets).
 *
 * A waiting fetch belongs to the reactor of its connection; only that thread touches it. It ends
 * exactly once: by data, by time, by an error in a partition, or by fetch_cancel. When one of its
 * partitions moves, that one is looked at and nothing else: the others are as they were.
 */
struct fetch_service;
struct fetch;

enum { FETCH_WAIT_MAX_MS = 300000 };
struct waiting_room;

struct fetch_item {
    /* in */
    struct partition *partition; /* held by the fetch; NULL: err says why */
    int64_t offset;
    int32_t max_bytes;
    /* out */
    enum err err;
    int64_t high_watermark;
    int64_t last_stable_offset;
    int64_t log_start_offset;
    struct file_span span;       /* size 0: nothing */
    int64_t end_offset;          /* up to where the span goes, when there is one */
    bool emptied;                /* its batches have no records, and no others are there yet */
    struct aborted_txn *aborted; /* of a read_committed fetch: those that overlap the span, by last
                                    offset; fetch_release frees it */
    size_t aborted_count;
    /* the service's */
    struct fetch *fetch;
    int64_t found_bytes; /* of what answers, when it was last looked at */
    bool dropped;        /* what was found was given back as too little: to be read again */
    struct waiting_room *room;
    struct fetch_item *next_waiting; /* on the same partition and reactor */
    struct fetch_item *prev_waiting;
};

struct fetch {
    /* in */
    struct fetch_item *items;
    size_t item_count;
    int64_t max_bytes;
    int64_t min_bytes;
    int64_t max_wait_ms;
    bool read_committed;
    size_t held_bytes; /* memory that its request keeps while it waits */
    const void *owner; /* whose work it is (net/workers.h) */
    /* On the reactor: the items' results are there. The fetch is the caller's again. */
    void (*done)(struct fetch *fetch);
    /* the service's */
    struct fetch_service *service;
    struct reactor *reactor;
    int64_t found_bytes; /* the sum of the items' */
    struct reactor_timer timer;
    struct task task; /* to a worker and back */
    bool parked;
    bool reading;     /* a worker reads its cold spans */
    size_t next_cold; /* items before it are read */
    struct fetch *next_parked;
    struct fetch *prev_parked;
};

/* One service for all reactors. Fetches that wait take their memory from the budget's share for
 * requests, half of it at most. */
struct fetch_service *fetch_service_new(struct net *net, struct workers *workers,
                                        struct budget *budget);
/* After the reactors have stopped and their connections, with all that waits, are gone. */
void fetch_service_free(struct fetch_service *service);

/* Answers every waiting fetch with what there is, for a stop. Any thread; happens on the reactors.
 */
void fetch_service_drain(struct fetch_service *service);

/* The callback for partitions; context is the service. */
void fetch_on_advanced(void *context, struct partition *partition, uint64_t reactors);

/*
 * Fills the results at once when there is enough, an error, or max_wait_ms is 0, and calls done
 * before it returns; otherwise waits and calls done later, at most FETCH_WAIT_MAX_MS. When the
 * memory of all that wait passes its part, the largest that waits on this reactor, or this one, is
 * answered with what there is: its client asks again, and smaller ones go on waiting. Events that
 * are not in memory, or whose CRCs nobody has checked since the start, are read by a worker first.
 * On the reactor's thread.
 */
void fetch_start(struct fetch_service *service, struct reactor *reactor, struct fetch *fetch);

/*
 * Takes a fetch out whose done was not called yet. True: done will not be called. False: a worker
 * reads for it, and done will be called when that is over. Its reactor's thread.
 */
CHECKED bool fetch_cancel(struct fetch *fetch);

/* Answers a fetch that waits with what there is; else does nothing. Its reactor's thread. */
void fetch_answer(struct fetch *fetch);

/* Gives back spans, and frees the lists of aborted transactions. */
void fetch_release(struct fetch *fetch);

/* Frees the lists only: the spans were handed on. */
void fetch_free_aborted(struct fetch *fetch);

#endif
