#ifndef TIDINGS_BROKER_CONTROL_H
#define TIDINGS_BROKER_CONTROL_H

#include "base/budget.h"
#include "base/err.h"
#include "broker/clock_mover.h"
#include "broker/control_users.h"
#include "broker/control_words.h"
#include "topic/catalogue.h"
#include "topic/cleaner.h"

/*
 * The control socket, DATA/control: a Unix socket (mode 0600) for the commands of whoever owns the
 * data directory, served by a thread of its own, so that no reactor waits for it. A request is one
 * line, an answer is one line of JSON (docs/formats.md):
 *
 *   snapshot   makes DATA/snapshots/<id>, see catalogue_snapshot
 *   release    removes the snapshot of this connection
 *   status     what this process is and what it is at
 *   users      lists users and changes them
 *   clock      reads the clock, or moves it: a server for tests only
 *   chaos      lists faults on request, makes and ends them: a server for tests only
 *
 * A snapshot belongs to its connection and is removed when that ends, however it ends; what a
 * killed server leaves is removed at the next start.
 */
struct control;

/* What it tells of and acts on. All outlive the control. */
struct control_parts {
    const struct budget *budget;
    struct catalogue *catalogue;
    struct cleaner *cleaner;   /* NULL: there is none */
    struct clock_mover *mover; /* NULL: the clock cannot be moved */
    struct control_users users;
    struct control_chaos chaos;
};

/* Removes leftovers, binds, starts the thread. dir_fd: a descriptor on data_dir, which outlives the
 * control. The parts are copied. ERR_IO. */
CHECKED enum err control_new(const char *data_dir, int dir_fd, const struct control_parts *parts,
                             struct control **out, struct reason *reason);

/* Ends the thread, removes the snapshots and the socket. NULL is fine. */
void control_free(struct control *control);

#endif
