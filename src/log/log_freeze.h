#ifndef TIDINGS_LOG_LOG_FREEZE_H
#define TIDINGS_LOG_LOG_FREEZE_H

#include "log/log.h"

/*
 * One instant over many logs, for a backup: freeze every log, note each, thaw them all. Between the
 * last freeze and the first thaw nothing is appended anywhere, so what is noted is one state of the
 * whole: each append is in it or behind it, and whatever an append followed upon is in it too.
 *
 * The files stay as they were noted while the caller holds log_env's names_lock for writing: the
 * bytes up to the noted sizes for ever, as segments only grow, and the names, which retention,
 * compaction and deletion change only under that lock.
 */
struct log_instant_segment {
    int64_t base_offset;
    int64_t size_bytes;
};

struct log_instant {
    int64_t start_offset;
    int64_t end_offset;
    struct log_instant_segment *segments; /* by base offset */
    size_t segment_count;
};

/*
 * Takes append_lock of a loaded log; false when it is not free by until_ms (wall clock, whose jumps
 * only change how long it waits; 0: for ever). The only code that holds it of more than one log:
 * whoever freezes several does so alone, under the names_lock.
 */
CHECKED bool log_freeze(struct log *log, int64_t until_ms);

/* Of a frozen log. No disk is touched. */
void log_note_instant(struct log *log, struct log_instant *instant);

/* Gives append_lock up again. */
void log_thaw(struct log *log);

/* Frees what log_note_instant noted. */
void log_instant_deinit(struct log_instant *instant);

#endif
