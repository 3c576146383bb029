#ifndef TIDINGS_NET_WORKERS_H
#define TIDINGS_NET_WORKERS_H

#include "base/err.h"
#include "base/task.h"

#include <stddef.h>

/*
 * A small pool of threads for work that waits for the disk: catalogue writes, recovery, read-ahead,
 * retention. Tasks start in the order they were posted.
 */
struct workers;

/* Starts thread_count (>= 1) threads with signals blocked. */
CHECKED enum err workers_new(unsigned thread_count, struct workers **out, struct reason *reason);

/* Any thread. Tasks that queued tasks post while workers_free runs are still run. */
void workers_post(struct workers *workers, struct task *task);

/* Runs what is queued, joins the threads, frees the pool. Not from a worker. NULL does nothing. */
void workers_free(struct workers *workers);

#endif
