#include "net/mailbox.h"

#include <stddef.h>

void mailbox_put(struct mailbox *mailbox, struct task *task)
{
    struct task *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        task->next = newest;
    } while (!atomic_compare_exchange_weak(&mailbox->newest, &newest, task));
}

bool mailbox_is_empty(struct mailbox *mailbox)
{
    return atomic_load(&mailbox->newest) == NULL;
}

struct task *mailbox_take(struct mailbox *mailbox)
{
    if (mailbox_is_empty(mailbox)) {
        return NULL;
    }
    struct task *newest = atomic_exchange(&mailbox->newest, NULL);
    struct task *oldest = NULL;
    while (newest != NULL) {
        struct task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
