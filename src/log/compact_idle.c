#include "log/compact.h"

#include "base/mem.h"
#include "log/log_internal.h"

#include <stdlib.h>
#include <sys/stat.h>

/*
 * What there is to clean of logs that are not loaded. Most have one segment, which the checkpoint
 * knows, or were cleaned up to it; of the others the directory tells the rest. Their files do not
 * change while they are idle, so one look is enough.
 */

/* Sums the closed segments, clean and dirty. What cannot be looked at counts as none: whoever uses
 * the log meets the error. */
static void measure(struct log *log, const struct log_state *known, int64_t cleaned)
{
    int64_t *bases;
    size_t count;
    struct reason ignored;
    if (log_segment_bases(log, &bases, &count, &ignored) != ERR_NONE) {
        return;
    }
    for (size_t i = 0; i + 1 < count && bases[i] < known->active_base; i++) {
        struct stat status;
        char *path = segment_path(log->dir, bases[i], ".log");
        if (stat(path, &status) == 0) {
            *(bases[i + 1] > cleaned ? &log->idle_dirty_bytes : &log->idle_clean_bytes) +=
                status.st_size;
        }
        free(path);
    }
    free(bases);
}

void log_compact_idle_need(struct log *log, struct compact_need *need)
{
    *need = (struct compact_need){.due = false};
    struct log_state known = log_last_checkpoint(log);
    if (log->offline != NULL || known.first_base == known.active_base) {
        return; /* the only segment is active */
    }
    if (!log->idle_measured) {
        int64_t cleaned = log_cleaned_offset(log);
        log->idle_measured = true;
        if (cleaned < known.active_base) {
            measure(log, &known, cleaned);
        }
    }
    if (log->idle_dirty_bytes == 0) {
        return;
    }
    struct log_config config = log_config_copy(log);
    need->clean_bytes = log->idle_clean_bytes;
    need->dirty_bytes = log->idle_dirty_bytes;
    need->dirty_ratio = (double)need->dirty_bytes / (double)(need->dirty_bytes + need->clean_bytes);
    bool young = config.min_compaction_lag_ms > 0 && need->clean_bytes == 0 &&
                 known.oldest_ms > clock_wall_ms(log->env.clock) - config.min_compaction_lag_ms;
    need->due = !young && (need->dirty_ratio > config.min_cleanable_ratio ||
                           config.max_compaction_lag_ms < INT64_MAX);
}

void log_compact_idle_forget(struct log *log)
{
    log->idle_measured = true;
    log->idle_dirty_bytes = 0;
}
