#ifndef TIDINGS_BUS_HTTP_HTTP_WORKER_H
#define TIDINGS_BUS_HTTP_HTTP_WORKER_H

/* The inside of http.h: a bounded pool of threads that run tasks in order. */

#include "base/err.h"
#include "base/task.h"

#include <stdbool.h>
#include <stdint.h>

struct http_workers;

/* A pool of at most so many threads, each started when there is work and none is idle. waiting_max:
 * tasks that may wait for one. */
struct http_workers *http_workers_new(unsigned most, unsigned waiting_max);

/* Has a worker run the task. False: too many wait, or there is no thread at all. Any thread. */
bool http_workers_post(struct http_workers *workers, struct task *task);

/* Tasks that run and that wait, now. Any thread. */
void http_workers_counts(struct http_workers *workers, unsigned *busy, unsigned *waiting);

/* No more is taken: what waits is run, what comes is refused. */
void http_workers_close(struct http_workers *workers);

/* Waits until nothing runs and nothing waits. False: deadline_ms passed. */
bool http_workers_drain(struct http_workers *workers, int64_t deadline_ms);

/* Waits for all that was posted, ends the threads and frees. NULL is fine. */
void http_workers_free(struct http_workers *workers);

#endif
