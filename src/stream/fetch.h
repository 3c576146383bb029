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
 * exactly once: by data, by time, by an error in a partition, for want of memory, or by
 * fetch_cancel. When one of its partitions moves, that one is looked at and nothing else: the
 * others are as they were.
 *
 * No fetch keeps a reactor for long. One of more than FETCH_QUICK_ITEMS is looked at and answered
 * on a worker; on the reactor it begins and ends to wait in pieces, and so are those looked at that
 * wait for one partition when it moves: a bounded number of partitions a loop turn, all together.
 */
struct fetch_service;
struct fetch;
struct waiting_room;

enum {
    FETCH_WAIT_MAX_MS = 300000,
    FETCH_HOLD_MAX_MS = 500, /* fetch.hold_ms */
    FETCH_QUICK_ITEMS = 256,
};

struct fetch_item {
    /* in */
    struct partition *partition; /* the caller holds it; NULL: err says why */
    int64_t offset;
    int32_t max_bytes;
    bool paused; /* nothing is to be found, as a test asked for */
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

/* The fetches of one connection that wait. Zero it; the connection's reactor's. */
struct fetch_list {
    struct fetch *first;
    unsigned hurries; /* how often fetch_answer_all was called */
    bool ended;       /* by fetch_cancel_all */
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
    struct worker_owner owner;
    struct fetch_list *list; /* outlives it; or NULL */
    unsigned hurries;        /* those of the list when it was asked for: none more may have come */
    /* The items' results are there, and the fetch is the caller's again. On its reactor, or on a
     * worker. */
    void (*done)(struct fetch *fetch);
    /* out */
    bool cancelled;  /* nobody wants the results, and there are none */
    int32_t hold_ms; /* It ends early for want of memory: the answer is to be held back for so long,
                        as the client would come again at once. Never longer than it may wait. */
    /* the service's */
    struct fetch_service *service;
    struct reactor *reactor;
    int64_t found_bytes;  /* the sum of the items' */
    size_t dropped_count; /* of items */
    size_t reserved_bytes;
    size_t next_cold; /* items before it are read */
    struct task task; /* to a worker and back */
    enum { FETCH_AWAY, FETCH_ENTERS, FETCH_WAITS, FETCH_LEAVES } stage;
    size_t entered; /* so many of its items are in their waiting rooms */
    bool queued;    /* to enter or leave */
    bool evicted;   /* others need its memory */
    struct reactor_timer timer;
    struct heap_node by_size;
    void (*left)(struct fetch *fetch);
    struct fetch *next_listed, *prev_listed;
    struct fetch *next_queued, *prev_queued;
};

/* One service for all reactors. Fetches that wait take their memory from the budget's share for
 * requests, half of it at most. */
struct fetch_service *fetch_service_new(struct net *net, struct workers *workers,
                                        struct budget *budget);
/* After the reactors have stopped and their connections, with all that waits, are gone. */
void fetch_service_free(struct fetch_service *service);

/* Answers every waiting fetch with what there is, for a stop; from then on none waits. Any thread;
 * happens on the reactors. */
void fetch_service_drain(struct fetch_service *service);

/* The callback for partitions; context is the service. */
void fetch_on_advanced(void *context, struct partition *partition, uint64_t reactors);

/*
 * Fills the results at once when there is enough, an error, or max_wait_ms is 0, and calls done
 * before it returns; otherwise waits and calls done later, at most FETCH_WAIT_MAX_MS. When the
 * memory of all that wait passes its part, the largest that waits on this reactor, or this one, is
 * answered with what there is, and smaller ones go on waiting. Events that are not in memory, or
 * whose CRCs nobody has checked since the start, are read by a worker first. On the reactor's
 * thread; for at most FETCH_QUICK_ITEMS.
 */
void fetch_start(struct fetch_service *service, struct reactor *reactor, struct fetch *fetch);

/* The same on a worker, for any number of items; reactor is where it waits. */
void fetch_start_slowly(struct fetch_service *service, struct reactor *reactor,
                        struct fetch *fetch);

/*
 * Takes memory for a fetch that is not planned yet: the largest that waits on this reactor ends for
 * it, if that is larger. False, and nothing taken: there is none. Whoever took it gives it back to
 * the budget. On the reactor's thread.
 */
CHECKED bool fetch_make_room(struct fetch_service *service, struct reactor *reactor, size_t bytes);

/* Ends a fetch that waits, as nobody wants its results: done is called with `cancelled` set, at
 * once or when it is out of all waiting rooms. Its reactor's thread. */
void fetch_cancel(struct fetch *fetch);

/* Answers a fetch that waits with what there is; else does nothing. Its reactor's thread. */
void fetch_answer(struct fetch *fetch);

/* fetch_answer for all of the list, and those that are on their way to it. Their reactor's thread.
 */
void fetch_answer_all(struct fetch_list *list);

/* fetch_cancel for all of the list, and those that are on their way to it. Their reactor's thread,
 * once. */
void fetch_cancel_all(struct fetch_list *list);

/* Gives back spans, and frees the lists of aborted transactions. */
void fetch_release(struct fetch *fetch);

/* Frees the lists only: the spans were handed on. */
void fetch_free_aborted(struct fetch *fetch);

#endif
