#ifndef TIDINGS_NET_FRAME_MEMORY_H
#define TIDINGS_NET_FRAME_MEMORY_H

#include "base/budget.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The limit on the sum of the large frame buffers of all connections, and their place in the
 * budget's share for frames. Who does not fit waits in line: nobody passes a waiter, so a big frame
 * is not starved by small ones; but who was served before stands in front of all who were not, so
 * that a crowd which only opens connections and begins frames holds up no client at work. A frame's
 * whole size is reserved before its first byte is kept, so half-read frames cannot block each other
 * for ever; and one alone is always granted, whatever its size and whatever else the share holds.
 */
struct memory_wait {
    struct memory_wait *prev, *next; /* of the line */
    size_t size;
    bool served; /* before, on this connection */
    bool in_line;
    void (*granted)(struct memory_wait *wait); /* on any thread, with no lock held */
};

struct frame_memory {
    struct budget *budget; /* NULL: none */
    pthread_mutex_t lock;  /* guards what follows and the in_line of every wait */
    size_t limit_bytes;
    size_t used_bytes;
    struct memory_wait *lines[2]; /* of those who were served before, and the others */
};

/* Nothing is reserved; deinit when nobody waits. budget may be NULL. */
void frame_memory_init(struct frame_memory *memory, size_t limit_bytes, struct budget *budget);
void frame_memory_deinit(struct frame_memory *memory);

/* Reserves size bytes; false when they do not fit now or others wait. Any thread. */
bool frame_memory_take(struct frame_memory *memory, size_t size);

/* Waits in line for wait->size bytes; granted is called once, perhaps before this returns. */
void frame_memory_wait(struct frame_memory *memory, struct memory_wait *wait);

/* Leaves the line. False when the grant was already made: granted is or will be called. */
bool frame_memory_cancel(struct frame_memory *memory, struct memory_wait *wait);

/* Gives back what was reserved, which may grant others. Any thread. */
void frame_memory_give(struct frame_memory *memory, size_t size);

/* Grants what fits by now, as others use the share too. True: somebody still waits. Any thread. */
bool frame_memory_retry(struct frame_memory *memory);

#endif
