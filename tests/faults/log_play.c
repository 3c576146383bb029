#include "log_play.h"

#include "compact_play.h"
#include "txn_play.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The model and the steps of one life: each does something to the log and checks what it sees. */

void play_failed(const struct play *play, const char *condition, const char *file, int line,
                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "FAULT_SEED=%llu life %d: %s:%d: %s: ", (unsigned long long)play->seed,
            play->life, file, line, condition);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nfiles are in %s; replay: FAULT_SEED=%llu FAULT_VERBOSE=1 %s\n", play->root,
            (unsigned long long)play->seed, "log-faults");
    va_end(args);
    abort();
}

uint64_t play_below(struct play *play, uint64_t bound)
{
    return random_below(&play->random, bound);
}

void play_set_faults(struct play *play, bool on)
{
    play->files->chances = (struct fault_chances){0};
    if (on) {
        play->files->chances = (struct fault_chances){
            .short_write = 50,
            .write_error = 15,
            .write_full = 15,
            .sync_error = 3,
            .truncate_error = 50,
            .create_error = 30,
            .rename_error = 20,
            .dir_sync_error = 5,
        };
    }
}

/* ---- the model ---- */

void model_cut(struct model *model, int count)
{
    while (model->count > count) {
        free(model->batches[--model->count].bytes);
    }
}

struct model_batch *model_add(struct play *play, const struct batch *batch, bool maybe)
{
    struct model *model = play->model;
    assert(model->count < MODEL_BATCHES);
    uint8_t *bytes = mem_dup(batch->bytes.data, batch->bytes.size);
    batch_header_store(batch, bytes);
    struct model_batch *added = &model->batches[model->count++];
    *added = (struct model_batch){
        .kind = batch_is_transactional(batch) ? MODEL_TXN : MODEL_PLAIN,
        .base_offset = batch->base_offset,
        .last_offset = batch_last_offset(batch),
        .bytes = bytes,
        .size = batch->bytes.size,
        .producer_id = batch->producer_id,
        .base_sequence = batch->base_sequence,
        .last_sequence = producer_sequence_add(batch->base_sequence, batch->last_offset_delta),
        .maybe = maybe,
        .horizon_ms = -1,
    };
    model_note_records(added);
    return added;
}

struct model_batch *model_find(struct model *model, int64_t offset)
{
    for (int i = 0; i < model->count; i++) {
        if (model->batches[i].base_offset <= offset && offset <= model->batches[i].last_offset) {
            return &model->batches[i];
        }
    }
    return NULL;
}

/* ---- steps ---- */

static void build(struct play *play, struct buf *out, int32_t records, int producer, bool txn)
{
    struct batch_builder builder;
    uint8_t value[1500];
    bool compact = play->config.compact;
    size_t size = play_below(play, 8) == 0 && !compact ? play_below(play, sizeof value)
                                                       : play_below(play, 120);
    batch_builder_init(&builder);
    if (compact && play_below(play, 4) == 0) {
        builder.compression = BATCH_COMPRESSION_LZ4;
    }
    if (producer >= 0) {
        builder.producer_id = 100 + producer;
        builder.producer_epoch = play->model->epoch[producer];
        builder.base_sequence = play->model->next_sequence[producer];
        builder.extra_attributes = txn ? BATCH_ATTRIBUTE_TRANSACTIONAL : 0;
    }
    for (int32_t i = 0; i < records; i++) {
        for (size_t k = 0; k < size; k++) {
            value[k] = (uint8_t)random_next(&play->random);
        }
        char key = (char)('0' + (compact ? play_below(play, KEYS) : 0));
        bool tombstone = compact && play_below(play, 5) == 0;
        batch_builder_add(&builder, play->now_ms + i, slice_of(&key, 1),
                          tombstone ? slice_of(NULL, 0) : slice_of(value, size), NULL, 0);
    }
    enum err err = batch_builder_finish(&builder, out, NULL);
    CHECK(play, err == ERR_NONE, "builder");
    batch_builder_deinit(&builder);
}

static void take_appended(struct play *play, const struct batch *batches, int32_t count,
                          int producer, bool maybe)
{
    struct model *model = play->model;
    for (int32_t i = 0; i < count; i++) {
        model_add(play, &batches[i], maybe);
    }
    if (!maybe) {
        model->end = batch_last_offset(&batches[count - 1]) + 1;
        if (producer >= 0) {
            model->next_sequence[producer] =
                producer_sequence_add(batches[0].base_sequence, batches[0].last_offset_delta + 1);
        }
    }
}

void play_append(struct play *play)
{
    struct buf bytes[3] = {{0}};
    struct batch batches[3];
    int32_t count = play_below(play, 5) == 0 ? 2 + (int32_t)play_below(play, 2) : 1;
    int producer = count == 1 && play_below(play, 2) == 0 ? (int)play_below(play, PRODUCERS) : -1;
    if (producer >= 0 && play_below(play, 20) == 0) {
        play->model->epoch[producer]++;
        play->model->next_sequence[producer] = 0;
    }
    bool open = producer >= 0 && model_producer(play->model, producer).txn_first >= 0;
    bool txn = producer >= 0 && play_below(play, open ? 10 : 2) != 0;
    for (int32_t i = 0; i < count; i++) {
        build(play, &bytes[i], 1 + (int32_t)play_below(play, BATCH_RECORDS), producer, txn);
        enum err err = batch_parse(buf_slice(&bytes[i]), &batches[i], NULL);
        CHECK(play, err == ERR_NONE, "parse");
    }
    struct log_append append = {.batches = batches, .batch_count = count, .check_producer = true};
    bool was_failed = log_failed(play->log);
    int64_t end = log_end_offset(play->log);
    enum err err = log_append(play->log, &append, &play->reason);
    if (err == ERR_NONE) {
        CHECK(play, append.base_offset == end, "base offset %lld, end was %lld",
              (long long)append.base_offset, (long long)end);
        take_appended(play, batches, count, producer, false);
        CHECK(play, !open || txn, "a batch outside of its open transaction was taken");
    } else {
        bool mixed = open && !txn && err == ERR_INVALID_TXN_STATE;
        CHECK(play,
              err == ERR_IO || err == ERR_NO_SPACE || (err == ERR_CLOSED && was_failed) || mixed,
              "append: %s: %s", err_name(err), play->reason.text);
        CHECK(play, log_end_offset(play->log) == end, "a failed append moved the end");
        if (!was_failed && log_failed(play->log)) {
            take_appended(play, batches, count, producer, true);
        }
    }
    for (int i = 0; i < 3; i++) {
        buf_deinit(&bytes[i]);
    }
    play_check_unstable(play);
}

void play_note_flushed(struct play *play)
{
    int64_t flushed = log_flushed_offset(play->log);
    CHECK(play, flushed >= play->model->flushed, "flushed went back");
    play->model->flushed = flushed;
}

void play_flush(struct play *play)
{
    bool was_failed = log_failed(play->log);
    enum err err = log_flush(play->log, &play->reason);
    CHECK(play, (err == ERR_NONE) == !log_failed(play->log), "flush");
    CHECK(play, !was_failed || err != ERR_NONE, "a failed log flushed");
    CHECK(play, err != ERR_NONE || log_flushed_offset(play->log) == log_end_offset(play->log),
          "a flush did not reach the end");
    play_note_flushed(play);
    if (play_below(play, 3) != 0) {
        play->model->decided = play->model->flushed;
        log_decide_txns(play->log, play->model->decided);
        play_check_unstable(play);
    }
    if (play_below(play, 2) == 0) {
        log_finish_rolled(play->log);
    }
}

static void step_checkpoint(struct play *play)
{
    struct log_state state;
    if (log_checkpoint(play->log, &state, &play->reason) == ERR_NONE) {
        play->known = state;
        play->has_known = true;
    }
    play_note_flushed(play);
}

static void step_delete(struct play *play)
{
    struct model *model = play->model;
    if (!play->has_known || model->flushed <= model->start) {
        return;
    }
    int64_t start =
        model->start + (int64_t)play_below(play, (uint64_t)(model->flushed - model->start) + 1);
    if (play->known.end_offset < start) {
        return; /* a checkpoint comes first in such a server */
    }
    play->known.start_offset = start; /* durable first */
    enum err err = log_set_start_offset(play->log, start, &play->reason);
    CHECK(play, err == ERR_NONE || err == ERR_IO, "set start: %s", play->reason.text);
    model->start = log_start_offset(play->log);
    play_check_unstable(play);
}

/* The batch that stands where one with the offset is looked for: compaction leaves gaps. NULL. */
static const struct model_batch *find_left(struct model *model, int64_t offset)
{
    const struct model_batch *at = model_find(model, offset);
    while (at != NULL && at->gone) {
        at = at + 1 < model->batches + model->count ? at + 1 : NULL;
    }
    return at;
}

/* Compares a span with the model; returns the offset behind it. */
static int64_t check_span(struct play *play, const struct file_span *span, int64_t offset)
{
    uint8_t *bytes = mem_alloc(span->size);
    ssize_t got = pread(span->fd, bytes, span->size, span->position);
    CHECK(play, got == (ssize_t)span->size, "a span of %zu bytes holds %zd", span->size, got);
    struct slice rest = slice_of(bytes, span->size);
    while (rest.size > 0) {
        struct batch batch;
        enum err err = batch_parse(rest, &batch, &play->reason);
        const struct model_batch *at = find_left(play->model, offset);
        if (at != NULL && at->flipped &&
            (err != ERR_NONE || batch_check_crc(&batch, NULL) != ERR_NONE ||
             batch.base_offset != at->base_offset)) {
            offset = at->last_offset + 1; /* the client sees it */
            break;
        }
        CHECK(play, err == ERR_NONE, "a span holds no whole batch at offset %lld: %s",
              (long long)offset, play->reason.text);
        struct model_batch *expected = model_find(play->model, batch.base_offset);
        bool crc_fits = batch_check_crc(&batch, NULL) == ERR_NONE;
        CHECK(play, crc_fits || (expected != NULL && expected->damaged), "CRC at offset %lld",
              (long long)batch.base_offset);
        if (crc_fits) {
            if (play->taking && expected != NULL) {
                play_take_form(play, expected, &batch);
            }
            CHECK(play,
                  expected != NULL && expected->base_offset == batch.base_offset &&
                      expected->size == batch.bytes.size && !expected->gone &&
                      (expected->damaged ||
                       memcmp(expected->bytes, batch.bytes.data, batch.bytes.size) == 0),
                  "the batch at offset %lld is not what was appended",
                  (long long)batch.base_offset);
        }
        offset = batch_last_offset(&batch) + 1;
        rest = slice_of(rest.data + batch.bytes.size, rest.size - batch.bytes.size);
    }
    free(bytes);
    return offset;
}

void model_doubt(struct model *model, struct model_batch *batch)
{
    batch->damaged = true;
    if (batch->producer_id >= 0) {
        model->doubtful[batch->producer_id - 100] = true;
    }
}

/*
 * A flipped bit in the offsets of a header that was not scanned again hides the next batch too. In
 * a compacted log a damage reaches from the last batch that is there to the next one: what
 * compaction took on either side cannot be told from what is damaged. While all is read it is not
 * known yet what that is: whatever is not seen then must have been free to go.
 */
static bool beside_flipped(const struct play *play, const struct model_batch *batch)
{
    const struct model_batch *first = play->model->batches;
    const struct model_batch *end = first + play->model->count;
    if (batch > first && (batch - 1)->flipped) {
        return true;
    }
    for (int step = -1; step <= 1 && play->config.compact; step += 2) {
        const struct model_batch *at = batch;
        while (at >= first && at < end && !at->damaged &&
               (at->gone || play->taking || at->last_offset < play->model->start)) {
            at += step;
        }
        if (at >= first && at < end && at->damaged) {
            return true;
        }
    }
    return false;
}

/* Whether compaction may have left nothing of [from, to). */
static bool may_be_gap(const struct play *play, int64_t from, int64_t to)
{
    const struct model *model = play->model;
    bool gone = play->config.compact;
    for (int i = 0; i < model->count && gone && !play->taking; i++) {
        const struct model_batch *batch = &model->batches[i];
        /* A crash may bring back what a flip took: the batch is as it was, and goes like others. */
        gone =
            batch->gone || batch->damaged || batch->last_offset < from || batch->base_offset >= to;
    }
    return gone;
}

/* Reads [from, to); skips what the model calls damaged. */
void play_check_range(struct play *play, int64_t from, int64_t to, size_t max_bytes)
{
    while (from < to) {
        struct file_span span;
        enum err err = log_read(play->log, from, to, max_bytes, true, &span, &play->reason);
        struct model_batch *at = model_find(play->model, from);
        if (err == ERR_CORRUPT) {
            if (at != NULL && at->last_offset >= play->model->torn) {
                model_doubt(play->model, at);
            }
            CHECK(play, at != NULL && (at->damaged || beside_flipped(play, at)),
                  "offset %lld is unreadable: %s", (long long)from, play->reason.text);
            from = at->last_offset + 1;
            continue;
        }
        CHECK(play, err == ERR_NONE, "read at %lld: %s", (long long)from, play->reason.text);
        if (span.size == 0) {
            CHECK(play, at != NULL && at->damaged, "nothing to read at %lld of %lld",
                  (long long)from, (long long)to);
            from = at->last_offset + 1;
            continue;
        }
        uint8_t head[8];
        ssize_t got = pread(span.fd, head, 8, span.position);
        CHECK(play, got == 8, "short");
        int64_t base = (int64_t)load_be64(head);
        const struct model_batch *first = base > from ? model_find(play->model, base) : at;
        CHECK(play,
              span.size <= max_bytes || first == NULL || span.size <= first->size || play->taking,
              "%zu bytes are more than %zu", span.size, max_bytes);
        bool flipped = at != NULL && at->flipped;
        while (!flipped && at != NULL && at->damaged && base > at->last_offset && from < base) {
            from = at->last_offset + 1; /* stepped over */
            at = model_find(play->model, from);
        }
        CHECK(play, base <= from || flipped || may_be_gap(play, from, base),
              "offsets %lld to %lld are missing", (long long)from, (long long)base);
        from = check_span(play, &span, from);
        file_span_release(&span);
    }
    CHECK(play, from == to, "read past the end");
}

static void step_read(struct play *play)
{
    struct model *model = play->model;
    int64_t start = log_start_offset(play->log);
    if (model->end > start) {
        int64_t from = start + (int64_t)play_below(play, (uint64_t)(model->end - start));
        int64_t to = model->end;
        play_check_range(play, from, to, 1 + play_below(play, 5000));
    }
}

void play_step(struct play *play)
{
    play->now_ms += (int64_t)play_below(play, 1000);
    if (play->config.compact && play_below(play, 8) == 0) {
        play_step_compact(play);
        return;
    }
    switch (play_below(play, 30)) {
    case 0:
    case 1:
    case 2:
    case 3:
        play_flush(play);
        break;
    case 4:
    case 5:
        step_checkpoint(play);
        break;
    case 6:
    case 7:
        step_read(play);
        break;
    case 8:
        step_delete(play);
        break;
    case 9:
        CHECK(play, log_maintain(play->log, &play->reason) != ERR_CORRUPT, "maintain");
        break;
    case 10:
    case 11:
    case 12:
    case 13:
        play_step_marker(play);
        break;
    case 14:
        play_step_aborted(play);
        break;
    default:
        play_append(play);
        break;
    }
}
