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

CHECKED enum err workers_new(unsigned thread_count, struct workers **out, struct reason *reason);

/* Any thread. Tasks posted after workers_stop began are still run before it returns. */
void workers_post(struct workers *workers, struct task *task);

/* Runs what is queued, joins the threads, frees the pool. Not from a worker. */
void workers_free(struct workers *workers);

#endif
