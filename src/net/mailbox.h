#ifndef TIDINGS_NET_MAILBOX_H
#define TIDINGS_NET_MAILBOX_H

#include "base/task.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Tasks on their way to one thread: any number of threads put, one takes. Lock-free; zeroed is
 * empty and valid. What one thread puts is taken in the order it put it.
 */
struct mailbox {
    _Atomic(struct task *) newest;
};

/* Any thread. What the caller wrote before is visible to the taker. */
void mailbox_put(struct mailbox *mailbox, struct task *task);

/* Any thread. */
bool mailbox_is_empty(struct mailbox *mailbox);

/* All tasks, oldest first, linked by next; NULL when there are none. The one taker's thread. */
struct task *mailbox_take(struct mailbox *mailbox);

#endif
