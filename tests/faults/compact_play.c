#include "compact_play.h"
#include "txn_play.h"

#include "base/mem.h"
#include "batch/batch_filter.h"
#include "log/compact.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    DELETE_RETENTION_MS = 4000,
    MOST_OPERATIONS = 120, /* file operations of a compaction that dies */
    ROOMY_MAP_BYTES = 4096,
};

void play_set_compact(struct play *play)
{
    play->config.compact = true;
    play->config.retain = play_below(play, 2) == 0;
    play->config.delete_retention_ms = DELETE_RETENTION_MS;
    play->config.segment_bytes = 300 + (int64_t)play_below(play, 2500);
}

static enum err open_records(struct record_iterator *iterator, const struct batch *batch)
{
    return record_iterator_init(iterator, batch, BATCH_DECOMPRESSED_MAX_BYTES, NULL);
}

/* The next record; false at the end. */
static bool next_record(struct record_iterator *iterator, struct record *record)
{
    bool done;
    enum err err = record_iterator_next(iterator, record, &done, NULL);
    assert(err == ERR_NONE);
    return !done;
}

void model_note_records(struct model_batch *batch)
{
    struct batch parsed;
    struct record_iterator iterator;
    struct record record;
    enum err err = batch_parse(slice_of(batch->bytes, batch->size), &parsed, NULL);
    assert(err == ERR_NONE);
    err = open_records(&iterator, &parsed);
    assert(err == ERR_NONE);
    while (next_record(&iterator, &record)) {
        bool marker = batch_is_control(&parsed);
        batch->records[batch->record_count++] = (struct model_record){
            .key = marker ? -1 : record.key.data[0] - '0',
            .tombstone = slice_is_null(record.value),
        };
    }
    record_iterator_deinit(&iterator);
}

/* ---- what a batch became ---- */

static bool is_same_record(const struct record *a, const struct record *b)
{
    return a->timestamp == b->timestamp && a->header_count == b->header_count &&
           slice_equal(a->key, b->key) && slice_is_null(a->value) == slice_is_null(b->value) &&
           slice_equal(a->value, b->value);
}

/* Each record of the new form is one of the old form, unchanged; notes them as seen. */
static void see_records(struct play *play, struct model_batch *at, const struct batch *now)
{
    struct batch before;
    struct record_iterator old;
    struct record_iterator new;
    struct record was;
    struct record is;
    bool more = true;
    enum err err = batch_parse(slice_of(at->bytes, at->size), &before, NULL);
    CHECK(play, err == ERR_NONE, "parse");
    err = open_records(&old, &before);
    CHECK(play, err == ERR_NONE, "open");
    err = open_records(&new, now);
    CHECK(play, err == ERR_NONE, "the batch at offset %lld cannot be opened",
          (long long)at->base_offset);
    while (next_record(&new, &is)) {
        do {
            more = next_record(&old, &was);
        } while (more && was.offset < is.offset);
        CHECK(play, more && was.offset == is.offset && is_same_record(&was, &is),
              "offset %lld is another record, or was gone before", (long long)is.offset);
        at->records[is.offset - at->base_offset].seen = true;
    }
    record_iterator_deinit(&old);
    record_iterator_deinit(&new);
}

/* Whether a compaction may have set the horizon. */
static bool is_horizon(const struct model *model, int64_t horizon_ms)
{
    bool is = horizon_ms == model->compacted_ms + DELETE_RETENTION_MS;
    for (int i = 0; i < model->failed_count && !is; i++) {
        is = horizon_ms == model->failed_ms[i] + DELETE_RETENTION_MS;
    }
    return is;
}

static void check_header(struct play *play, const struct model_batch *at, const struct batch *now)
{
    enum { KEPT = BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL };
    const struct model *model = play->model;
    struct batch was;
    int64_t horizon_ms = batch_delete_horizon(now);
    enum err err = batch_parse(slice_of(at->bytes, at->size), &was, NULL);
    CHECK(play, err == ERR_NONE, "parse");
    CHECK(play,
          now->base_offset == was.base_offset && now->last_offset_delta == was.last_offset_delta &&
              now->leader_epoch == was.leader_epoch && now->producer_id == was.producer_id &&
              now->producer_epoch == was.producer_epoch &&
              now->base_sequence == was.base_sequence &&
              (now->attributes & KEPT) == (was.attributes & KEPT),
          "the header of the batch at offset %lld was changed", (long long)at->base_offset);
    CHECK(play, at->last_offset < model->attempted,
          "the batch at offset %lld was changed; compaction was to stop at %lld",
          (long long)at->base_offset, (long long)model->attempted);
    CHECK(play,
          horizon_ms == at->horizon_ms || now->record_count == 0 ||
              (at->horizon_ms < 0 && is_horizon(model, horizon_ms)),
          "the delete horizon of the batch at offset %lld is %lld, and was %lld",
          (long long)at->base_offset, (long long)horizon_ms, (long long)at->horizon_ms);
}

void play_take_form(struct play *play, struct model_batch *at, const struct batch *batch)
{
    at->seen = true;
    CHECK(play, !at->gone, "the batch at offset %lld came back", (long long)at->base_offset);
    if (at->size == batch->bytes.size && memcmp(at->bytes, batch->bytes.data, at->size) == 0) {
        see_records(play, at, batch);
        return;
    }
    if (!at->damaged) { /* else a crash brought it back, and it may have been compacted since */
        check_header(play, at, batch);
        see_records(play, at, batch);
    }
    at->horizon_ms = batch_delete_horizon(batch);
    at->bytes = mem_realloc(at->bytes, batch->bytes.size);
    memcpy(at->bytes, batch->bytes.data, batch->bytes.size);
    at->size = batch->bytes.size;
}

/* ---- what may be gone ---- */

/* The newest committed offset of each key, from the log's end to the place that is looked at. */
struct newest {
    int64_t attempted[KEYS]; /* of those below model->attempted */
    int64_t cleaned[KEYS];
    enum model_kind ending[PRODUCERS]; /* how the transaction ends; MODEL_TXN: it is open */
};

static void judge_record(struct play *play, const struct newest *newest, bool aborted,
                         struct model_batch *batch, int i)
{
    const struct model *model = play->model;
    struct model_record *record = &batch->records[i];
    int64_t offset = batch->base_offset + i;
    bool outdated = aborted || newest->attempted[record->key] > offset;
    bool expired =
        record->tombstone && batch->horizon_was_ms >= 0 && batch->horizon_was_ms <= play->now_ms;
    bool may_go = offset < model->attempted && (outdated || expired);
    bool must_go = offset >= model->start && offset < model->cleaned &&
                   (aborted || newest->cleaned[record->key] > offset);
    CHECK(play, record->seen || record->gone || may_go,
          "offset %lld (key %d, %s) is gone (compacted up to %lld, horizon %lld, now %lld)",
          (long long)offset, record->key,
          aborted             ? "aborted"
          : record->tombstone ? "tombstone"
                              : "newest of its key",
          (long long)model->attempted, (long long)batch->horizon_was_ms, (long long)play->now_ms);
    CHECK(play, !record->seen || !must_go || model_txns_doubtful(model),
          "offset %lld (key %d) is still there (compacted up to %lld)", (long long)offset,
          record->key, (long long)model->cleaned);
    record->gone = !record->seen;
}

static void judge_batch(struct play *play, struct newest *newest, struct model_batch *batch)
{
    const struct model *model = play->model;
    if (batch->kind == MODEL_COMMIT || batch->kind == MODEL_ABORT) {
        newest->ending[batch->producer_id - 100] = batch->kind;
        return;
    }
    enum model_kind ending =
        batch->kind == MODEL_TXN ? newest->ending[batch->producer_id - 100] : MODEL_COMMIT;
    for (int i = batch->record_count - 1; i >= 0; i--) {
        int key = batch->records[i].key;
        int64_t offset = batch->base_offset + i;
        if (!batch->damaged) {
            judge_record(play, newest, ending == MODEL_ABORT, batch, i);
        }
        if (ending != MODEL_COMMIT) {
            continue;
        }
        if (offset < model->attempted && offset > newest->attempted[key]) {
            newest->attempted[key] = offset;
        }
        if (offset < model->cleaned && offset > newest->cleaned[key]) {
            newest->cleaned[key] = offset;
        }
    }
    batch->gone = !batch->seen && !batch->damaged;
}

static bool is_judged(const struct model *model, const struct model_batch *batch)
{
    return batch->last_offset >= model->start && batch->last_offset < model->end && !batch->maybe;
}

/* A marker goes last of its transaction, and not before its time. */
static void judge_markers(struct play *play)
{
    struct model *model = play->model;
    int64_t since[PRODUCERS] = {0}; /* the producer's last marker */
    for (int i = 0; i < model->count; i++) {
        struct model_batch *batch = &model->batches[i];
        bool marker = batch->kind == MODEL_COMMIT || batch->kind == MODEL_ABORT;
        if (!marker || !is_judged(model, batch)) {
            continue;
        }
        struct model_record *record = &batch->records[0];
        int producer = (int)batch->producer_id - 100;
        CHECK(play,
              record->seen || record->gone || batch->damaged ||
                  (batch->base_offset < model->attempted && batch->horizon_was_ms >= 0 &&
                   batch->horizon_was_ms <= play->now_ms),
              "the marker at offset %lld is gone (compacted up to %lld, horizon %lld, now %lld)",
              (long long)batch->base_offset, (long long)model->attempted,
              (long long)batch->horizon_was_ms, (long long)play->now_ms);
        record->gone = !record->seen && !batch->damaged;
        batch->gone = !batch->seen && !batch->damaged;
        CHECK(play,
              !record->gone || model_txns_doubtful(model) ||
                  !model_has_left(model, batch->producer_id, since[producer], batch->base_offset),
              "the marker at offset %lld is gone, and records of its transaction are not",
              (long long)batch->base_offset);
        since[producer] = batch->last_offset + 1;
    }
}

/* Their sequences go on behind these. */
static void judge_producers(struct play *play)
{
    for (int i = 0; i < PRODUCERS; i++) {
        const struct model_batch *last = model_producer(play->model, i).last;
        CHECK(play, last == NULL || !last->gone,
              "the newest batch of producer %d, at offset %lld, is gone", i,
              (long long)last->base_offset);
    }
}

static void judge(struct play *play)
{
    struct model *model = play->model;
    struct newest newest;
    for (int i = 0; i < KEYS; i++) {
        newest.attempted[i] = -1;
        newest.cleaned[i] = -1;
    }
    for (int i = 0; i < PRODUCERS; i++) {
        newest.ending[i] = MODEL_TXN;
    }
    for (int i = model->count - 1; i >= 0; i--) {
        if (is_judged(model, &model->batches[i])) {
            judge_batch(play, &newest, &model->batches[i]);
        }
    }
    judge_markers(play);
    judge_producers(play);
}

bool model_has_left(const struct model *model, int64_t producer_id, int64_t from, int64_t to)
{
    for (int i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        for (int k = 0; k < batch->record_count && batch->producer_id == producer_id; k++) {
            int64_t offset = batch->base_offset + k;
            if (offset >= from && offset < to && offset >= model->start &&
                batch->kind == MODEL_TXN && !batch->records[k].gone) {
                return true;
            }
        }
    }
    return false;
}

void play_check_compacted(struct play *play)
{
    struct model *model = play->model;
    for (int i = 0; i < model->count; i++) {
        struct model_batch *batch = &model->batches[i];
        batch->seen = false;
        batch->horizon_was_ms = batch->horizon_ms;
        for (int k = 0; k < batch->record_count; k++) {
            batch->records[k].seen = false;
        }
    }
    play->taking = true;
    play_check_range(play, model->start, model->end, 1 + play_below(play, 5000));
    play->taking = false;
    judge(play);
}

/* ---- the step ---- */

static bool take_step(void *context, int64_t bytes)
{
    int64_t *left = context;
    (void)bytes;
    return --*left != 0;
}

/* Where compaction has to stop. */
static int64_t compact_limit(struct play *play, int64_t *stable)
{
    int64_t flushed = log_flushed_offset(play->log);
    int64_t unstable = log_first_unstable_offset(play->log);
    int64_t active = log_active(play->log)->base_offset;
    *stable = unstable < flushed ? unstable : flushed;
    return active < *stable ? active : *stable;
}

static void check_compact_error(struct play *play, enum err err, bool budget)
{
    bool stopped = log_failed(play->log) || play->log->compact_blocked;
    CHECK(play,
          err == ERR_NONE || err == ERR_IO || err == ERR_NO_SPACE || (err == ERR_AGAIN && budget) ||
              (err == ERR_CLOSED && stopped) ||
              (err == ERR_CORRUPT && model_txns_doubtful(play->model)),
          "compact: %s: %s", err_name(err), play->reason.text);
}

void play_step_compact(struct play *play)
{
    struct model *model = play->model;
    int64_t budget = play_below(play, 4) == 0 ? 1 + (int64_t)play_below(play, 60) : -1;
    bool roomy = play_below(play, 2) == 0;
    struct compact_limits limits = {
        .map_bytes = roomy ? ROOMY_MAP_BYTES : 48 + (int64_t)play_below(play, 300),
        .load_factor = 0.3 + (double)play_below(play, 7) / 10,
        .io_bytes = 100 + (int64_t)play_below(play, 3000),
        .step = take_step,
        .context = &budget,
    };
    struct compact_result result;
    int64_t stable;
    if (play_below(play, 3) != 0) {
        play_flush(play);
    }
    int64_t limit = compact_limit(play, &stable);
    bool limited = budget >= 0;
    if (!log_failed(play->log) && play_below(play, 4) == 0) {
        play->files->left = (long)play_below(play, MOST_OPERATIONS);
    }
    model->attempted = limit > model->attempted ? limit : model->attempted;
    model->compacted_ms = play->now_ms;
    enum err err = log_compact(play->log, stable, &limits, &result, &play->reason);
    check_compact_error(play, err, limited);
    if (err != ERR_NONE || play->log->compact_blocked) {
        model->failed_ms[model->failed_count++] = play->now_ms;
    }
    play_note_flushed(play);
    if (err == ERR_NONE) {
        CHECK(play, result.to <= limit || result.to == result.from, "compacted up to %lld of %lld",
              (long long)result.to, (long long)limit);
        model->cleaned = result.to > model->cleaned ? result.to : model->cleaned;
    }
    if (play->files->left != 0) {
        play->files->left = -1;
    }
    play_check_compacted(play);
    play_check_aborted(play, model->start, model->end);
}
