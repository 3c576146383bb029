#include "net/reply_queue.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_AT_REST = 4 };

void reply_deinit(struct reply *reply)
{
    for (size_t i = 0; i < reply->span_count; i++) {
        file_span_release(&reply->spans[i].span);
    }
    free(reply->spans);
    buf_deinit(&reply->bytes);
    *reply = (struct reply){0};
}

void reply_drop(struct reply *reply)
{
    reply_deinit(reply);
    *reply = (struct reply){.nothing = true, .close_after = true, .dropped = true};
}

uint64_t reply_size_bytes(const struct reply *reply)
{
    uint64_t size = reply->bytes.size;
    for (size_t i = 0; i < reply->span_count; i++) {
        size += reply->spans[i].span.size;
    }
    return size;
}

static struct reply_slot *slot_of(const struct reply_queue *queue, uint64_t sequence)
{
    return &queue->slots[sequence & (queue->capacity - 1)];
}

void reply_queue_deinit(struct reply_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++) {
        reply_deinit(&slot_of(queue, queue->first + i)->reply);
    }
    free(queue->slots);
    queue->slots = NULL;
    queue->first += queue->count;
    queue->count = 0;
    queue->capacity = 0;
    queue->held_bytes = 0;
}

static void grow(struct reply_queue *queue)
{
    struct reply_queue old = *queue;
    queue->capacity = old.capacity ? old.capacity * 2 : SLOTS_AT_REST;
    queue->slots = mem_new_array(struct reply_slot, queue->capacity);
    for (uint32_t i = 0; i < old.count; i++) {
        *slot_of(queue, old.first + i) = *slot_of(&old, old.first + i);
    }
    free(old.slots);
    queue->held_bytes += (queue->capacity - old.capacity) * sizeof *queue->slots;
}

uint64_t reply_queue_push(struct reply_queue *queue)
{
    if (queue->count == queue->capacity) {
        grow(queue);
    }
    uint64_t sequence = queue->first + queue->count++;
    *slot_of(queue, sequence) = (struct reply_slot){0};
    return sequence;
}

void reply_queue_put(struct reply_queue *queue, struct reply_slot *slot, struct reply *reply)
{
    slot->reply = *reply;
    *reply = (struct reply){0};
    queue->held_bytes += slot->reply.bytes.capacity;
}

struct reply_slot *reply_queue_at(const struct reply_queue *queue, uint64_t sequence)
{
    if (sequence < queue->first || sequence - queue->first >= queue->count) {
        return NULL;
    }
    return slot_of(queue, sequence);
}

void reply_queue_pop(struct reply_queue *queue)
{
    assert(queue->count > 0);
    queue->held_bytes -= slot_of(queue, queue->first)->reply.bytes.capacity;
    reply_deinit(&slot_of(queue, queue->first)->reply);
    queue->first++;
    queue->count--;
    if (queue->count == 0 && queue->capacity > SLOTS_AT_REST) {
        reply_queue_deinit(queue); /* a burst is over: a resting connection stays small */
    }
}
