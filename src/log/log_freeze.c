#include "log/log_freeze.h"

#include "base/mem.h"
#include "log/log_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

bool log_freeze(struct log *log, int64_t until_ms)
{
    assert(log_is_loaded(log));
    if (until_ms == 0) {
        return pthread_mutex_lock(&log->append_lock) == 0;
    }
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    return pthread_mutex_timedlock(&log->append_lock, &until) == 0;
}

void log_note_instant(struct log *log, struct log_instant *instant)
{
    pthread_mutex_lock(&log->segments_lock);
    *instant = (struct log_instant){
        .start_offset = atomic_load(&log->start_offset),
        .end_offset = atomic_load(&log->end_offset),
        .segments = mem_new_array(struct log_instant_segment, log->segments.count),
        .segment_count = log->segments.count,
    };
    for (size_t i = 0; i < log->segments.count; i++) {
        instant->segments[i] = (struct log_instant_segment){
            .base_offset = log->segments.items[i]->base_offset,
            .size_bytes = log->segments.items[i]->size_bytes,
        };
    }
    pthread_mutex_unlock(&log->segments_lock);
}

void log_thaw(struct log *log)
{
    pthread_mutex_unlock(&log->append_lock);
}

void log_instant_deinit(struct log_instant *instant)
{
    free(instant->segments);
    *instant = (struct log_instant){.segments = NULL};
}
