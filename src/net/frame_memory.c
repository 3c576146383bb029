#include "net/frame_memory.h"

#include <assert.h>
#include <utlist.h>

void frame_memory_init(struct frame_memory *memory, size_t limit_bytes)
{
    *memory = (struct frame_memory){.limit_bytes = limit_bytes};
    pthread_mutex_init(&memory->lock, NULL);
}

void frame_memory_deinit(struct frame_memory *memory)
{
    assert(memory->line == NULL && memory->used_bytes == 0);
    pthread_mutex_destroy(&memory->lock);
}

static bool fits(const struct frame_memory *memory, size_t size)
{
    return memory->used_bytes == 0 || (memory->used_bytes <= memory->limit_bytes &&
                                       size <= memory->limit_bytes - memory->used_bytes);
}

bool frame_memory_take(struct frame_memory *memory, size_t size)
{
    pthread_mutex_lock(&memory->lock);
    bool taken = memory->line == NULL && fits(memory, size);
    if (taken) {
        memory->used_bytes += size;
    }
    pthread_mutex_unlock(&memory->lock);
    return taken;
}

/* Takes from the head of the line who fits now. The lock is held. */
static struct memory_wait *grant_waiting(struct frame_memory *memory)
{
    struct memory_wait *granted = NULL;
    while (memory->line != NULL && fits(memory, memory->line->size)) {
        struct memory_wait *wait = memory->line;
        DL_DELETE(memory->line, wait);
        wait->in_line = false;
        memory->used_bytes += wait->size;
        DL_APPEND(granted, wait);
    }
    return granted;
}

static void tell_granted(struct memory_wait *granted)
{
    while (granted != NULL) {
        struct memory_wait *wait = granted;
        DL_DELETE(granted, wait);
        wait->granted(wait);
    }
}

void frame_memory_wait(struct frame_memory *memory, struct memory_wait *wait)
{
    pthread_mutex_lock(&memory->lock);
    wait->in_line = true;
    DL_APPEND(memory->line, wait);
    struct memory_wait *granted = grant_waiting(memory);
    pthread_mutex_unlock(&memory->lock);
    tell_granted(granted);
}

bool frame_memory_cancel(struct frame_memory *memory, struct memory_wait *wait)
{
    pthread_mutex_lock(&memory->lock);
    bool in_line = wait->in_line;
    struct memory_wait *granted = NULL;
    if (in_line) {
        DL_DELETE(memory->line, wait);
        wait->in_line = false;
        granted = grant_waiting(memory);
    }
    pthread_mutex_unlock(&memory->lock);
    tell_granted(granted);
    return in_line;
}

void frame_memory_give(struct frame_memory *memory, size_t size)
{
    pthread_mutex_lock(&memory->lock);
    assert(memory->used_bytes >= size);
    memory->used_bytes -= size;
    struct memory_wait *granted = grant_waiting(memory);
    pthread_mutex_unlock(&memory->lock);
    tell_granted(granted);
}
