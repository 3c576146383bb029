#ifndef TIDINGS_NET_REPLY_QUEUE_H
#define TIDINGS_NET_REPLY_QUEUE_H

#include "net/net.h"

/*
 * The replies that one connection owes, in the order of its frames: a ring that grows, indexed by
 * the frame's sequence number. Zeroed is empty and valid. One thread at a time.
 */
struct reply_slot {
    struct reply reply;
    uint8_t size_prefix[4]; /* big-endian size of the reply, once done */
    bool done;              /* the reply was given */
};

struct reply_queue {
    struct reply_slot *slots;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
    uint64_t first;    /* sequence of the oldest */
    size_t held_bytes; /* the ring and the replies' bytes */
};

/* Frees every reply. */
void reply_queue_deinit(struct reply_queue *queue);

/* Adds a slot for the next frame and returns its sequence number. */
uint64_t reply_queue_push(struct reply_queue *queue);

/* Puts the reply into its slot and zeroes *reply. */
void reply_queue_put(struct reply_queue *queue, struct reply_slot *slot, struct reply *reply);

/* The slot of a sequence number, or NULL when it is not in the queue. */
struct reply_slot *reply_queue_at(const struct reply_queue *queue, uint64_t sequence);

/* Frees the oldest reply and its slot. count > 0. */
void reply_queue_pop(struct reply_queue *queue);

/* Frees what it holds, as there is no room for it: it closes its connection. */
void reply_drop(struct reply *reply);

/* Bytes of a reply on the wire, without the size in front. */
uint64_t reply_size_bytes(const struct reply *reply);

#endif
