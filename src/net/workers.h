#ifndef TIDINGS_NET_WORKERS_H
#define TIDINGS_NET_WORKERS_H

#include "base/err.h"
#include "base/task.h"
#include "net/peer_table.h"

#include <stddef.h>

/*
 * A small pool of threads for work that waits for the disk or takes long: catalogue writes,
 * look-ups, read-ahead, opening what is compressed.
 *
 * It is shared fairly. Each task has an owner, the one whose work it is (a connection, say), at a
 * site (the address it came from). Turns go round the sites with tasks, and for each site round its
 * owners, one task a turn; an owner's tasks run one at a time, in the order they were posted. So
 * one site with many owners, or one owner with many tasks, delays others by one task, and long work
 * is to be posted in pieces, each of which posts the next. Work that may take long is said to be
 * slow: it has turns of its own, on all threads but one, which stays free for the rest (one thread:
 * it takes both by turns).
 */
struct workers;

/* Whose work it is. */
struct worker_owner {
    const void *who;      /* only compared; may be gone before the task runs; NULL is one, too */
    struct peer_key site; /* as of peer_site; zero: the server's own */
};

enum worker_speed { WORKER_QUICK, WORKER_SLOW };

/* Starts thread_count (>= 1) threads of this name with signals blocked. */
CHECKED enum err workers_new(const char *name, unsigned thread_count, struct workers **out,
                             struct reason *reason);

/*
 * Any thread. Quick and slow tasks of one owner are not ordered between each other; an owner stays
 * at one site while it has tasks. Tasks that queued tasks post while workers_free runs are still
 * run.
 */
void workers_post(struct workers *workers, struct worker_owner owner, enum worker_speed speed,
                  struct task *task);

/* Runs what is queued, joins the threads, frees the pool. Not from a worker. NULL does nothing. */
void workers_free(struct workers *workers);

#endif
