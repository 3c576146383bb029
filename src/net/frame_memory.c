#include "net/frame_memory.h"

#include <assert.h>
#include <utlist.h>

void frame_memory_init(struct frame_memory *memory, size_t limit_bytes, struct budget *budget)
{
    *memory = (struct frame_memory){.limit_bytes = limit_bytes, .budget = budget};
    pthread_mutex_init(&memory->lock, NULL);
}

static bool has_line(const struct frame_memory *memory)
{
    return memory->lines[0] != NULL || memory->lines[1] != NULL;
}

static struct memory_wait **line_of(struct frame_memory *memory, const struct memory_wait *wait)
{
    return &memory->lines[wait->served ? 0 : 1];
}

void frame_memory_deinit(struct frame_memory *memory)
{
    assert(!has_line(memory) && memory->used_bytes == 0);
    pthread_mutex_destroy(&memory->lock);
}

/* Reserves what fits. */
static bool reserve(struct frame_memory *memory, size_t size)
{
    if (memory->used_bytes == 0) {
        if (memory->budget != NULL) {
            budget_add(memory->budget, BUDGET_FRAMES, size);
        }
    } else if (memory->used_bytes > memory->limit_bytes ||
               size > memory->limit_bytes - memory->used_bytes ||
               (memory->budget != NULL && !budget_take(memory->budget, BUDGET_FRAMES, size))) {
        return false;
    }
    memory->used_bytes += size;
    return true;
}

bool frame_memory_take(struct frame_memory *memory, size_t size)
{
    pthread_mutex_lock(&memory->lock);
    bool taken = !has_line(memory) && reserve(memory, size);
    pthread_mutex_unlock(&memory->lock);
    return taken;
}

/* Reserves for those in line that fit and takes them out; they are to be told without the lock. */
static struct memory_wait *grant_waiting(struct frame_memory *memory)
{
    struct memory_wait *granted = NULL;
    while (has_line(memory)) {
        struct memory_wait *wait = memory->lines[0] != NULL ? memory->lines[0] : memory->lines[1];
        if (!reserve(memory, wait->size)) {
            break;
        }
        DL_DELETE(*line_of(memory, wait), wait);
        wait->in_line = false;
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
    DL_APPEND(*line_of(memory, wait), wait);
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
        DL_DELETE(*line_of(memory, wait), wait);
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
    if (memory->budget != NULL) {
        budget_give(memory->budget, BUDGET_FRAMES, size);
    }
    struct memory_wait *granted = grant_waiting(memory);
    pthread_mutex_unlock(&memory->lock);
    tell_granted(granted);
}

bool frame_memory_retry(struct frame_memory *memory)
{
    pthread_mutex_lock(&memory->lock);
    struct memory_wait *granted = grant_waiting(memory);
    bool waits = has_line(memory);
    pthread_mutex_unlock(&memory->lock);
    tell_granted(granted);
    return waits;
}
