#ifndef TIDINGS_LOG_FLUSH_H
#define TIDINGS_LOG_FLUSH_H

#include "base/err.h"
#include "log/log.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Group flush: one sync serves everyone who waited.
 *
 * Appends mark their log dirty (a lock-free push; a log is on the list once). A thread takes all
 * dirty logs as one round: notes each end offset, syncs the files (fdatasync for a few, one syncfs
 * for many, so that the cost stays flat as partitions grow), then publishes each log's flushed
 * offset, calls on_flushed for each, and completes the waiters that are satisfied. While a round
 * syncs, the next one gathers.
 *
 * A waiter is satisfied when for each of its targets log_flushed_offset >= offset or the log has
 * failed or is deleted. It is completed exactly once.
 */
struct flusher;

struct flush_target {
    struct log *log;
    int64_t end_offset;
};

struct flush_waiter {
    struct flush_waiter *next; /* the flusher's */
    struct flush_target *targets;
    size_t target_count;
    /* On the flusher's thread (or in flush_wait when nothing is left to wait for). The waiter is
     * the caller's again. Short: posts to a reactor. */
    void (*done)(struct flush_waiter *waiter);
};

struct flush_handler {
    void *context;
    /* On the flusher's thread, for each log whose flushed offset moved or that failed. */
    void (*on_flushed)(void *context, struct log *log);
    /* After all on_flushed and before the waiters of a round. May be NULL. */
    void (*on_round)(void *context);
};

struct flush_stats {
    uint64_t rounds;
    uint64_t files_synced;
    uint64_t whole_syncs; /* rounds that used syncfs */
    uint64_t failures;
    uint64_t bytes_synced; /* of segments */
};

/* Starts the thread. data_dir_fd: a descriptor on the file system of the logs, for syncfs. space:
 * told what each round wrote; NULL: nobody is. */
CHECKED enum err flusher_new(const struct file_ops *files, int data_dir_fd, struct space *space,
                             const struct flush_handler *handler, struct flusher **out,
                             struct reason *reason);

/* Called by log_append after its write, with a reference taken for the list. Any thread. */
void flusher_mark(struct flusher *flusher, struct log *log);

/*
 * Completes the waiter when its targets are flushed; call after the appends. The waiter and its
 * targets (the logs are referenced by the caller) stay until done. Any thread.
 */
void flush_wait(struct flusher *flusher, struct flush_waiter *waiter);

/* flush_wait that blocks until then. Not on the flusher's thread. */
void flush_wait_blocking(struct flusher *flusher, struct flush_target *targets,
                         size_t target_count);

/* The numbers of this moment. Any thread. */
void flusher_stats(struct flusher *flusher, struct flush_stats *out);

/* Runs the last rounds until nothing is dirty and no waiter is left, joins, frees. */
void flusher_free(struct flusher *flusher);

#endif
