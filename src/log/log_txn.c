#include "log/log.h"

#include "base/mem.h"
#include "log/log_internal.h"
#include "log/txn_index.h"

#include <assert.h>
#include <stdlib.h>

/*
 * What transactions mean for readers: where committed records end, and which are to be skipped.
 *
 * A transaction holds readers back while it is open (first_open) and, once its marker is written,
 * until the marker is below the high watermark (undecided). Who ends one adds it to undecided
 * before first_open moves on, and both before the end offset does; readers look at first_open
 * first. So a reader never sees a transaction as neither.
 */

int64_t log_first_unstable_offset(const struct log *log)
{
    int64_t open = atomic_load(&log->first_open); /* first: see above */
    int64_t undecided = atomic_load(&log->first_undecided);
    int64_t first = open < undecided ? open : undecided;
    int64_t start = atomic_load(&log->start_offset);
    return first > start ? first : start; /* its beginning may have been deleted */
}

/* txn_lock. */
static void publish_undecided(struct log *log, int64_t first, int64_t last)
{
    atomic_store(&log->first_undecided, first);
    atomic_store(&log->next_decided, last);
}

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void add_undecided(struct log *log, const struct producer_txn *txn)
{
    pthread_mutex_lock(&log->txn_lock);
    vec_push(&log->undecided, *txn);
    publish_undecided(log, lesser(atomic_load(&log->first_undecided), txn->first_offset),
                      lesser(atomic_load(&log->next_decided), txn->last_offset));
    pthread_mutex_unlock(&log->txn_lock);
}

void log_decide_txns(struct log *log, int64_t high_watermark)
{
    if (atomic_load(&log->next_decided) >= high_watermark) {
        return;
    }
    pthread_mutex_lock(&log->txn_lock);
    size_t left = 0;
    int64_t first = INT64_MAX;
    int64_t last = INT64_MAX;
    for (size_t i = 0; i < log->undecided.count; i++) {
        const struct producer_txn *txn = &log->undecided.items[i];
        if (txn->last_offset >= high_watermark) {
            first = lesser(first, txn->first_offset);
            last = lesser(last, txn->last_offset);
            log->undecided.items[left++] = *txn;
        }
    }
    log->undecided.count = left;
    publish_undecided(log, first, last);
    pthread_mutex_unlock(&log->txn_lock);
}

void log_index_abort(struct log *log, struct segment *segment, const struct producer_txn *txn)
{
    if (!txn->aborted) {
        return;
    }
    struct aborted_txn row = {.producer_id = txn->producer_id,
                              .first_offset = txn->first_offset,
                              .last_offset = txn->last_offset,
                              .last_stable_offset = txn->last_stable_offset};
    txn_index_add(&segment->aborts, &row);
    atomic_store(&log->has_aborts, true);
}

void log_publish_txns(struct log *log, const struct producer_txn *ended)
{
    if (ended != NULL) {
        add_undecided(log, ended);
    }
    int64_t open = producer_first_open(&log->producers);
    if (atomic_load(&log->first_open) != open) { /* readers share the line: most appends keep it */
        atomic_store(&log->first_open, open);
    }
}

/* ---- aborted transactions of a range ---- */

/* A segment's rows at one moment. */
struct abort_rows {
    struct segment *segment;   /* referenced; NULL: no segment left to look at */
    int64_t file_rows;         /* in its file, before ... */
    struct aborted_list newer; /* ... those of its tail that overlap */
    bool complete;             /* no later row can overlap */
    int64_t end;               /* where the next segment begins */
};

/* The next segment from `offset` on that has rows. */
static struct abort_rows next_rows(struct log *log, int64_t offset, int64_t from, int64_t to)
{
    struct abort_rows rows = {.segment = NULL};
    pthread_mutex_lock(&log->segments_lock);
    for (size_t i = log_segment_number(log, offset); i < log->segments.count; i++) {
        struct segment *segment = log->segments.items[i];
        if (index_rows(&segment->aborts) > 0) {
            rows.segment = segment;
            rows.file_rows = segment->aborts.file_rows;
            rows.complete =
                txn_index_collect(buf_slice(&segment->aborts.tail), from, to, &rows.newer) ||
                i + 1 == log->segments.count;
            rows.end = log_segment_end(log, i);
            segment_ref(segment);
            break;
        }
    }
    pthread_mutex_unlock(&log->segments_lock);
    return rows;
}

static bool was_deleted(struct log *log, const struct segment *segment)
{
    pthread_mutex_lock(&log->segments_lock);
    bool gone = segment->base_offset < log->segments.items[0]->base_offset;
    pthread_mutex_unlock(&log->segments_lock);
    return gone;
}

/* Adds a segment's rows to the list; *complete: no later segment has more. */
static enum err collect(struct log *log, const struct abort_rows *rows, int64_t from, int64_t to,
                        struct aborted_list *list, bool *complete, struct reason *reason)
{
    enum err err = ERR_NONE;
    *complete = false;
    if (rows->file_rows > 0) {
        char *path = segment_path(log->dir, rows->segment->base_offset, index_suffix(INDEX_ABORTS));
        err = txn_index_collect_file(log->env.files, path, rows->file_rows, from, to, list,
                                     complete, reason);
        free(path);
    }
    for (size_t i = 0; i < rows->newer.count; i++) {
        vec_push(list, rows->newer.items[i]);
    }
    *complete = *complete || rows->complete;
    if (err != ERR_NONE && was_deleted(log, rows->segment)) {
        return ERR_NONE; /* together with what it was wanted for */
    }
    return err;
}

enum err log_aborted_txns(struct log *log, int64_t from, int64_t to, struct aborted_txn **out,
                          size_t *count, struct reason *reason)
{
    struct aborted_list list = {.count = 0};
    assert(log_is_loaded(log));
    enum err err = ERR_NONE;
    bool complete = !atomic_load(&log->has_aborts) || from >= to;
    int64_t at = from;
    while (err == ERR_NONE && !complete) {
        struct abort_rows rows = next_rows(log, at, from, to);
        if (rows.segment == NULL) {
            break;
        }
        size_t before = list.count;
        err = collect(log, &rows, from, to, &list, &complete, reason);
        if (atomic_load(&rows.segment->replaced)) {
            /* By a compacted one: the file at its path may be that one's. Or by none, and then it
             * stays in the list of the log, which is deleted. */
            list.count = before;
            complete = false;
            err = atomic_load(&log->deleted) ? ERR_CLOSED : ERR_NONE;
        } else {
            at = rows.end;
        }
        free(rows.newer.items);
        segment_unref(rows.segment);
    }
    if (err != ERR_NONE && atomic_load(&log->deleted)) {
        err = reason_fail(reason, ERR_CLOSED, "%s is deleted", log->dir);
    }
    if (err != ERR_NONE) {
        free(list.items);
        list = (struct aborted_list){.count = 0};
    }
    *out = list.items;
    *count = list.count;
    return err;
}
