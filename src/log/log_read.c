#include "log/log.h"

#include "log/log_internal.h"
#include "log/scan.h"

#include <assert.h>

/* What a read found under the lock; the rest of the work needs none. */
struct read_plan {
    struct segment *segment; /* referenced */
    int64_t size;            /* of the segment */
    int64_t segment_end;     /* offset */
    int64_t offset;          /* wanted */
    int64_t max_offset;
    int64_t start; /* position of the batch that holds offset; -1: to be searched */
    int64_t end;   /* position of the first batch that reaches max_offset; -1: to be searched */
    int64_t end_offset; /* behind the last offset before `end` */
    bool damaged;       /* the segment has damages */
    bool recent;        /* start is among the newest batches */
    bool emptied;       /* batches without records are wanted too */
    bool passed;        /* such batches were passed over */
    int64_t reached; /* what was walked over to the segment's end goes up to here; -1: it was not */
};

/* Position of the batch that holds the offset, by the newest batches. segments_lock. */
static int64_t recent_holding(const struct log *log, int64_t base, int64_t offset)
{
    const struct batch_position *best = NULL;
    for (int i = 0; log->recent != NULL && i < LOG_RECENT_BATCHES; i++) {
        const struct batch_position *at = &log->recent[i];
        if (at->segment_base == base && at->offset <= offset &&
            (best == NULL || at->offset > best->offset)) {
            best = at;
        }
    }
    return best == NULL ? -1 : best->position; /* the ring has no gaps: it is in this one */
}

static int64_t exact_position(const struct batch_position *positions, int count, int64_t base,
                              int64_t offset)
{
    for (int i = 0; positions != NULL && i < count; i++) {
        if (positions[i].segment_base == base && positions[i].offset == offset) {
            return positions[i].position;
        }
    }
    return -1;
}

static int64_t boundary(const struct log *log, int64_t base, int64_t offset)
{
    int64_t position = exact_position(log->recent, LOG_RECENT_BATCHES, base, offset);
    return position >= 0 ? position : exact_position(log->hints, LOG_READ_HINTS, base, offset);
}

/* segments_lock. */
static void fill_plan(struct log *log, struct read_plan *plan)
{
    size_t number = log_segment_number(log, plan->offset);
    plan->segment = log->segments.items[number];
    plan->segment_end = log_segment_end(log, number);
    plan->size = plan->segment->size_bytes;
    plan->end_offset = plan->max_offset < plan->segment_end ? plan->max_offset : plan->segment_end;
    plan->damaged = plan->segment->damages.count > 0;
    int64_t base = plan->segment->base_offset;
    plan->start = recent_holding(log, base, plan->offset);
    plan->recent = plan->start >= 0;
    if (plan->start < 0) {
        plan->start = exact_position(log->hints, LOG_READ_HINTS, base, plan->offset);
        if (plan->start >= 0 && !segment_is_verified(plan->segment, plan->start, plan->start + 1)) {
            plan->start = -1; /* walk: the base offset there is checked by what lies before it */
        }
    }
    plan->end =
        plan->max_offset >= plan->segment_end ? plan->size : boundary(log, base, plan->max_offset);
    segment_ref(plan->segment);
}

/* Remembers where the reader of this span goes on. */
static void keep_hint(struct log *log, const struct read_plan *plan, int64_t offset,
                      int64_t position)
{
    pthread_mutex_lock(&log->segments_lock);
    int64_t base = plan->segment->base_offset;
    if (boundary(log, base, offset) < 0 && !atomic_load(&plan->segment->replaced)) {
        if (log->hints == NULL) {
            log->hints = log_positions_new(LOG_READ_HINTS);
        }
        log->hints[log->hint_next++ % LOG_READ_HINTS] =
            (struct batch_position){.segment_base = base, .offset = offset, .position = position};
    }
    pthread_mutex_unlock(&log->segments_lock);
}

/* Whether the bytes of the span that was found are known to be good. */
static bool is_verified(struct log *log, const struct read_plan *plan)
{
    if (plan->recent) {
        return true; /* written lately */
    }
    pthread_mutex_lock(&log->segments_lock);
    bool verified = segment_is_verified(plan->segment, plan->start, plan->end);
    pthread_mutex_unlock(&log->segments_lock);
    return verified;
}

/* The damage that begins in [from, to); false when there is none. */
static bool damage_between(struct log *log, const struct segment *segment, int64_t from, int64_t to,
                           struct damage *damage)
{
    bool found = false;
    pthread_mutex_lock(&log->segments_lock);
    for (size_t i = 0; i < segment->damages.count && !found; i++) {
        found =
            segment->damages.items[i].position >= from && segment->damages.items[i].position < to;
        if (found) {
            *damage = segment->damages.items[i];
        }
    }
    pthread_mutex_unlock(&log->segments_lock);
    return found;
}

/* The header at position, or the damage that begins there. */
static enum err header_or_damage(struct log *log, const struct read_plan *plan, struct scan *scan,
                                 int64_t position, int64_t expected, struct batch *header,
                                 struct damage *damage, bool *bad, struct reason *reason)
{
    *bad = plan->damaged && damage_between(log, plan->segment, position, position + 1, damage);
    if (*bad) {
        return ERR_NONE;
    }
    enum err err =
        scan_header_expected(scan, position, expected, plan->segment_end, header, reason);
    if (err == ERR_IO || err == ERR_NONE) {
        return err;
    }
    *bad = true;
    return log_note_damage(log, plan->segment, position, plan->size, expected, plan->segment_end,
                           damage, reason);
}

/*
 * Whether the span may begin with the batch. What compaction left of a batch whose records are all
 * gone may not, unless nothing else is there: many clients never get past an answer without
 * records.
 */
static bool may_begin(struct read_plan *plan, const struct batch *header)
{
    bool reached = batch_last_offset(header) >= plan->offset;
    bool empty = reached && header->record_count == 0 && !plan->emptied;
    plan->passed = plan->passed || empty;
    return reached && !empty;
}

/*
 * Walks from a batch boundary to the batch that holds plan->offset or the next behind a gap.
 * plan->start is its position, or plan->size when the segment has none below plan->max_offset.
 */
static enum err walk_to_start(struct log *log, struct read_plan *plan, int64_t position,
                              int64_t expected, struct reason *reason)
{
    struct scan scan;
    struct batch header;
    struct damage damage;
    enum err err = ERR_NONE;
    scan_init(&scan, plan->segment->files, plan->segment->fd, plan->size);
    while (position < plan->size) {
        bool bad;
        if (expected >= plan->max_offset) { /* only empty batches were there */
            position = plan->size;
            break;
        }
        err =
            header_or_damage(log, plan, &scan, position, expected, &header, &damage, &bad, reason);
        if (err != ERR_NONE || (!bad && may_begin(plan, &header))) {
            break;
        }
        if (bad && plan->offset < damage.next_offset) {
            err = reason_fail(reason, ERR_CORRUPT, "offsets %lld to %lld are damaged",
                              (long long)damage.first_offset, (long long)damage.next_offset - 1);
            break;
        }
        expected = bad ? damage.next_offset : batch_last_offset(&header) + 1;
        position = bad ? damage.end : position + (int64_t)header.bytes.size;
    }
    scan_deinit(&scan);
    plan->start = position;
    plan->reached = position < plan->size || expected >= plan->max_offset ? -1 : expected;
    return err;
}

/*
 * A segment reaches to where the next one begins, a compacted one too: its last batch stays. Where
 * it does not, another segment was between them that is gone, and nobody is led over what was in
 * it.
 */
static enum err check_reach(const struct read_plan *plan, struct reason *reason)
{
    if (plan->reached < 0 || plan->segment_end == INT64_MAX || plan->reached >= plan->segment_end) {
        return ERR_NONE;
    }
    return reason_fail(reason, ERR_CORRUPT, "offsets %lld to %lld are gone: a segment is missing",
                       (long long)plan->reached, (long long)plan->segment_end - 1);
}

/* A start that was remembered, not walked to: goes on from there when it is an empty batch. */
static enum err check_start(struct log *log, struct read_plan *plan, struct reason *reason)
{
    struct scan scan;
    struct batch header;
    if (plan->recent || plan->emptied) {
        return ERR_NONE; /* what was appended has records */
    }
    scan_init(&scan, plan->segment->files, plan->segment->fd, plan->size);
    enum err err = scan_header(&scan, plan->start, &header, reason);
    if (err == ERR_NONE && header.record_count == 0) {
        err = walk_to_start(log, plan, plan->start, plan->offset, reason);
    }
    return err == ERR_TRUNCATED ? ERR_CORRUPT : err;
}

static enum err find_start(struct log *log, struct read_plan *plan, struct reason *reason)
{
    int64_t position;
    int64_t expected;
    enum err err = log_walk_begin(log, plan->segment, plan->offset, &position, &expected, reason);
    return err == ERR_NONE ? walk_to_start(log, plan, position, expected, reason) : err;
}

/*
 * A boundary at or behind start, as near as the index gets to the end of the span: no batch before
 * it reaches max_offset or passes byte_limit.
 */
static enum err near_end(struct log *log, const struct read_plan *plan, int64_t byte_limit,
                         int64_t *position, struct reason *reason)
{
    *position = plan->start;
    struct index_row row;
    bool found;
    enum err err =
        log_index_floor(log, plan->segment, INDEX_BY_VALUE, byte_limit, &row, &found, reason);
    if (err != ERR_NONE || !found || row.value <= plan->start) {
        return err;
    }
    int64_t near = row.value;
    if (plan->end < 0 || near > plan->end) {
        int64_t last = plan->max_offset - 1 - plan->segment->base_offset;
        err = log_index_floor(log, plan->segment, INDEX_BY_KEY, last, &row, &found, reason);
        if (err != ERR_NONE || !found) {
            return err;
        }
        near = row.value < near ? row.value : near;
    }
    *position = near > plan->start ? near : plan->start;
    return ERR_NONE;
}

/* Walks on from a boundary to the end of the span. */
static enum err walk_to_end(struct read_plan *plan, int64_t position, int64_t byte_limit,
                            bool at_least_one, int64_t *next_offset, struct reason *reason)
{
    struct scan scan;
    struct batch header;
    scan_init(&scan, plan->segment->files, plan->segment->fd, plan->size);
    *next_offset = -1;
    while (position < plan->size) {
        enum err err = scan_header_within(&scan, position, plan->segment->base_offset,
                                          plan->segment_end, &header, reason);
        if (err == ERR_IO || (err != ERR_NONE && position == plan->start)) {
            return err == ERR_TRUNCATED ? ERR_CORRUPT : err;
        }
        if (err != ERR_NONE) {
            break; /* a damage is the next read's to report */
        }
        int64_t end = position + (int64_t)header.bytes.size;
        if (batch_last_offset(&header) >= plan->max_offset ||
            (end > byte_limit && !(at_least_one && position == plan->start))) {
            plan->end_offset = header.base_offset;
            break;
        }
        position = end;
        *next_offset = batch_last_offset(&header) + 1;
        plan->end_offset = *next_offset;
    }
    plan->end = position;
    return ERR_NONE;
}

static enum err find_end(struct log *log, struct read_plan *plan, size_t max_bytes,
                         bool at_least_one, struct reason *reason)
{
    int64_t room = plan->size - plan->start;
    int64_t byte_limit = max_bytes < (size_t)room ? plan->start + (int64_t)max_bytes : plan->size;
    if (plan->end >= 0 && plan->end <= byte_limit) {
        return ERR_NONE;
    }
    int64_t position;
    int64_t next_offset;
    enum err err = near_end(log, plan, byte_limit, &position, reason);
    if (err == ERR_NONE) {
        err = walk_to_end(plan, position, byte_limit, at_least_one, &next_offset, reason);
    }
    if (err == ERR_NONE && next_offset >= 0) {
        keep_hint(log, plan, next_offset, plan->end);
    }
    return err;
}

/* Fills plan->start and plan->end. */
static enum err find_span(struct log *log, struct read_plan *plan, size_t max_bytes,
                          bool at_least_one, struct reason *reason)
{
    enum err err;
    struct damage damage;
    if (plan->damaged || plan->start >= plan->size) {
        plan->start = -1; /* walk, so that damages are seen, and how far the batches reach */
    }
    err = plan->start < 0 ? find_start(log, plan, reason) : check_start(log, plan, reason);
    if (err != ERR_NONE || plan->start >= plan->size) {
        return err;
    }
    err = find_end(log, plan, max_bytes, at_least_one, reason);
    if (err == ERR_NONE && plan->damaged &&
        damage_between(log, plan->segment, plan->start, plan->end, &damage)) {
        plan->end = damage.position;
        plan->end_offset = damage.first_offset;
    }
    return err;
}

static enum err make_plan(struct log *log, struct read_plan *plan, struct reason *reason)
{
    enum err err = ERR_NONE;
    pthread_mutex_lock(&log->segments_lock);
    int64_t start = atomic_load(&log->start_offset);
    int64_t end = atomic_load(&log->end_offset);
    if (atomic_load(&log->deleted)) {
        err = reason_fail(reason, ERR_CLOSED, "%s is deleted", log->dir);
    } else if (plan->offset < start || plan->offset > end) {
        err = reason_fail(reason, ERR_OUT_OF_RANGE, "offset %lld is outside %lld to %lld",
                          (long long)plan->offset, (long long)start, (long long)end);
    } else {
        plan->max_offset = plan->max_offset < end ? plan->max_offset : end;
        if (plan->offset < plan->max_offset) {
            fill_plan(log, plan);
        }
    }
    pthread_mutex_unlock(&log->segments_lock);
    return err;
}

/* A first look at the segment that holds `offset`, with the segment held; none: nothing is there.
 */
static enum err hold_plan(struct log *log, struct read_plan *plan, struct reason *reason)
{
    int64_t offset = plan->offset;
    int64_t max_offset = plan->max_offset;
    for (;;) {
        enum err err = make_plan(log, plan, reason);
        if (err != ERR_NONE || plan->segment == NULL) {
            return err;
        }
        err = segment_hold(plan->segment, reason);
        if (err == ERR_NONE) {
            return err;
        }
        segment_unref(plan->segment);
        if (err != ERR_CLOSED || atomic_load(&log->deleted)) {
            return err;
        }
        /* the list has changed */
        *plan = (struct read_plan){
            .offset = offset, .max_offset = max_offset, .emptied = plan->emptied};
    }
}

/* The span of the first segment that has one; *passed when batches without records were seen. */
static enum err read_on(struct log *log, struct read_plan wanted, size_t max_bytes,
                        bool at_least_one, struct file_span *span, int64_t *end_offset,
                        bool *passed, struct reason *reason)
{
    for (;;) {
        struct read_plan plan = wanted;
        enum err err = hold_plan(log, &plan, reason);
        if (err != ERR_NONE || plan.segment == NULL) {
            return err;
        }
        plan.reached = -1;
        err = find_span(log, &plan, max_bytes, at_least_one, reason);
        if (err == ERR_NONE && plan.start >= plan.size) {
            err = check_reach(&plan, reason);
        }
        *passed = *passed || plan.passed;
        if (err == ERR_NONE && plan.start < plan.end) {
            *span = (struct file_span){.fd = plan.segment->fd,
                                       .position = plan.start,
                                       .size = (size_t)(plan.end - plan.start),
                                       .warm = plan.recent,
                                       .verified = is_verified(log, &plan),
                                       .owner = plan.segment,
                                       .release = segment_release};
            *end_offset = plan.end_offset;
            return ERR_NONE;
        }
        segment_release(plan.segment);
        if (err == ERR_NONE && plan.start < plan.size) {
            *passed =
                false; /* there are records: too many for max_bytes, or not below max_offset */
        }
        if (err != ERR_NONE || plan.start < plan.size || plan.segment_end <= wanted.offset) {
            return err;
        }
        wanted.offset = plan.segment_end; /* nothing to its end: go on in the next */
    }
}

enum err log_read(struct log *log, int64_t offset, int64_t max_offset, size_t max_bytes,
                  bool at_least_one, struct file_span *span, struct reason *reason)
{
    struct read_plan wanted = {.offset = offset, .max_offset = max_offset, .emptied = true};
    int64_t end_offset;
    bool passed = false;
    *span = (struct file_span){.fd = -1};
    assert(log_is_loaded(log));
    return read_on(log, wanted, max_bytes, at_least_one, span, &end_offset, &passed, reason);
}

enum err log_read_records(struct log *log, int64_t offset, int64_t max_offset, size_t max_bytes,
                          bool at_least_one, struct file_span *span, struct log_range *range,
                          struct reason *reason)
{
    struct read_plan wanted = {.offset = offset, .max_offset = max_offset};
    bool passed = false;
    *span = (struct file_span){.fd = -1};
    range->emptied = false;
    assert(log_is_loaded(log));
    enum err err =
        read_on(log, wanted, max_bytes, at_least_one, span, &range->end_offset, &passed, reason);
    if (err == ERR_NONE && span->size == 0 && passed) {
        wanted.emptied = range->emptied = true;
        err = read_on(log, wanted, max_bytes, at_least_one, span, &range->end_offset, &passed,
                      reason);
    }
    return err;
}
