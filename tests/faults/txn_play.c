#include "txn_play.h"

#include "compact_play.h"

#include "base/bytes.h"
#include "batch/marker.h"
#include "log/producer_state.h"

#include <stdlib.h>

/* The model's transactions, worked out anew from its batches whenever something is compared. */

static int16_t epoch_of(const struct model_batch *batch)
{
    return (int16_t)load_be16(batch->bytes + 51);
}

struct model_producer model_producer(const struct model *model, int producer)
{
    struct model_producer out = {.epoch = -1, .txn_first = -1};
    for (int i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        if (batch->producer_id != 100 + producer || batch->maybe) {
            continue;
        }
        out.known = true;
        if (epoch_of(batch) != out.epoch) {
            out.epoch = epoch_of(batch);
            out.last = NULL;
            out.newest = batch;
        }
        if (batch->kind == MODEL_COMMIT || batch->kind == MODEL_ABORT) {
            out.txn_first = -1;
            continue;
        }
        out.last = batch;
        out.newest = batch;
        if (batch->kind == MODEL_TXN && out.txn_first < 0) {
            out.txn_first = batch->base_offset;
        }
    }
    return out;
}

bool model_txns_doubtful(const struct model *model)
{
    bool doubt = false;
    for (int i = 0; i < PRODUCERS; i++) {
        doubt = doubt || model->doubtful[i];
    }
    for (int i = 0; i < model->count && !doubt; i++) {
        doubt = model->batches[i].damaged;
    }
    return doubt;
}

struct ended_txn {
    int producer;
    int64_t first;
    int64_t last;
    int64_t stable;
    int64_t newest; /* last offset of its last data batch */
    bool aborted;
};

/* All that ended, by last offset; open[p] is where producer p's open one begins, or -1. */
static int list_ended(const struct model *model, struct ended_txn *ended, int64_t *open)
{
    int count = 0;
    int64_t newest[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++) {
        open[i] = -1;
    }
    for (int i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        int producer = (int)batch->producer_id - 100;
        if (batch->producer_id < 0 || batch->maybe) {
            continue;
        }
        if (batch->kind == MODEL_TXN) {
            open[producer] = open[producer] < 0 ? batch->base_offset : open[producer];
            newest[producer] = batch->last_offset;
        }
        if ((batch->kind == MODEL_COMMIT || batch->kind == MODEL_ABORT) && open[producer] >= 0) {
            struct ended_txn *txn = &ended[count++];
            *txn = (struct ended_txn){.producer = producer,
                                      .first = open[producer],
                                      .last = batch->last_offset,
                                      .stable = batch->last_offset + 1,
                                      .newest = newest[producer],
                                      .aborted = batch->kind == MODEL_ABORT};
            open[producer] = -1;
            for (int k = 0; k < PRODUCERS; k++) {
                txn->stable = open[k] >= 0 && open[k] < txn->stable ? open[k] : txn->stable;
            }
        }
    }
    return count;
}

/* The first offset of what is left of a transaction in [from, to); INT64_MAX: nothing is. */
static int64_t first_left(const struct model *model, int producer, int64_t from, int64_t to)
{
    for (int i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        if (batch->producer_id == 100 + producer && batch->base_offset >= from &&
            batch->base_offset < to && batch->last_offset >= model->start && !batch->gone) {
            return batch->base_offset > model->start ? batch->base_offset : model->start;
        }
    }
    return INT64_MAX;
}

/* Takes in a transaction that is not decided. When its beginning was deleted, the log may know of
 * no more than is left of it. */
static void take_unstable(const struct model *model, int producer, int64_t from, int64_t to,
                          int64_t *first, int64_t *latest)
{
    int64_t known = from < model->start ? model->start : from;
    int64_t left = from < model->start ? first_left(model, producer, from, to) : from;
    *first = known < *first ? known : *first;
    *latest = left < *latest ? left : *latest;
}

void play_check_unstable(struct play *play)
{
    static struct ended_txn ended[MODEL_BATCHES];
    const struct model *model = play->model;
    int64_t open[PRODUCERS];
    int64_t first = INT64_MAX;
    int64_t latest = INT64_MAX;
    if (model_txns_doubtful(model)) {
        return;
    }
    int count = list_ended(model, ended, open);
    for (int i = 0; i < PRODUCERS; i++) {
        if (open[i] >= 0) {
            take_unstable(model, i, open[i], INT64_MAX, &first, &latest);
        }
    }
    for (int i = 0; i < count; i++) {
        if (ended[i].last >= model->decided) {
            take_unstable(model, ended[i].producer, ended[i].first, ended[i].last, &first, &latest);
        }
    }
    int64_t seen = log_first_unstable_offset(play->log);
    CHECK(play, seen >= first && seen <= latest,
          "first unstable offset %lld, not %lld to %lld (watermark %lld)", (long long)seen,
          (long long)first, (long long)latest, (long long)model->decided);
}

/* A row of the log beside the model's. When it was made anew, what was deleted or compacted away
 * may have hidden where the transaction began, and which others were open. */
static void compare(struct play *play, const struct aborted_txn *row, const struct ended_txn *txn)
{
    const struct model *model = play->model;
    bool hidden = row->first_offset > txn->first &&
                  (txn->first < model->start || play->config.compact) &&
                  !model_has_left(model, row->producer_id, txn->first, row->first_offset);
    CHECK(play,
          row->producer_id == 100 + txn->producer && row->last_offset == txn->last &&
              (row->first_offset == txn->first || hidden) &&
              (row->last_stable_offset == txn->stable || model->start > 0 ||
               (play->config.compact && row->last_stable_offset > txn->stable)),
          "aborted %lld: %lld-%lld/%lld in the log, %d: %lld-%lld/%lld in the model",
          (long long)row->producer_id, (long long)row->first_offset, (long long)row->last_offset,
          (long long)row->last_stable_offset, 100 + txn->producer, (long long)txn->first,
          (long long)txn->last, (long long)txn->stable);
}

void play_check_aborted(struct play *play, int64_t from, int64_t to)
{
    static struct ended_txn ended[MODEL_BATCHES];
    const struct model *model = play->model;
    int64_t open[PRODUCERS];
    struct aborted_txn *rows;
    size_t row_count;
    size_t next = 0;
    if (model_txns_doubtful(model)) {
        return;
    }
    int count = list_ended(model, ended, open);
    enum err err = log_aborted_txns(play->log, from, to, &rows, &row_count, &play->reason);
    CHECK(play, err == ERR_NONE, "aborted of %lld-%lld: %s", (long long)from, (long long)to,
          play->reason.text);
    for (int i = 0; i < count; i++) {
        const struct ended_txn *txn = &ended[i];
        if (!txn->aborted || txn->last < from || txn->first >= to) {
            continue;
        }
        bool there = next < row_count && rows[next].last_offset == txn->last;
        CHECK(
            play,
            there || txn->newest < model->start ||
                ((play->config.compact || txn->first < model->start) &&
                 !model_has_left(model, 100 + txn->producer, txn->first > from ? txn->first : from,
                                 txn->last < to ? txn->last : to)),
            "%d: %lld-%lld was aborted and is not listed for %lld-%lld", 100 + txn->producer,
            (long long)txn->first, (long long)txn->last, (long long)from, (long long)to);
        if (there) {
            compare(play, &rows[next++], txn);
        }
    }
    CHECK(play, next == row_count, "%lld: %lld-%lld is listed for %lld-%lld and was not aborted",
          (long long)rows[next].producer_id, (long long)rows[next].first_offset,
          (long long)rows[next].last_offset, (long long)from, (long long)to);
    free(rows);
}

void play_step_aborted(struct play *play)
{
    const struct model *model = play->model;
    if (model->end > model->start) {
        uint64_t size = (uint64_t)(model->end - model->start);
        int64_t from = model->start + (int64_t)play_below(play, size);
        int64_t to = from + (int64_t)play_below(play, (uint64_t)(model->end - from)) + 1;
        play_check_aborted(play, from, to);
    }
}

enum err play_marker(struct play *play, int producer, int16_t epoch, bool commit)
{
    struct batch_marker marker = {.producer_id = 100 + producer,
                                  .producer_epoch = epoch,
                                  .coordinator_epoch = play->life,
                                  .commit = commit};
    struct buf bytes = {0};
    struct batch batch;
    batch_marker_build(&marker, play->now_ms, &bytes);
    enum err err = batch_parse(buf_slice(&bytes), &batch, NULL);
    CHECK(play, err == ERR_NONE, "parse");
    struct log_append append = {.batches = &batch, .batch_count = 1};
    bool was_failed = log_failed(play->log);
    err = log_append(play->log, &append, &play->reason);
    if (err == ERR_NONE || (!was_failed && log_failed(play->log))) {
        struct model_batch *added = model_add(play, &batch, err != ERR_NONE);
        added->kind = commit ? MODEL_COMMIT : MODEL_ABORT;
    }
    if (err == ERR_NONE) {
        play->model->end = append.end_offset;
        if (epoch != play->model->epoch[producer]) {
            play->model->epoch[producer] = epoch;
            play->model->next_sequence[producer] = 0;
        }
    }
    buf_deinit(&bytes);
    return err;
}

void play_step_marker(struct play *play)
{
    int producer = (int)play_below(play, PRODUCERS);
    int16_t epoch = play->model->epoch[producer];
    struct model_producer known = model_producer(play->model, producer);
    if (play_below(play, 8) == 0 && known.epoch > 0 && !log_failed(play->log)) {
        enum err err = play_marker(play, producer, (int16_t)(known.epoch - 1), true);
        CHECK(play, err == ERR_PRODUCER_FENCED, "a marker of an older epoch gave %s",
              err_name(err));
        return;
    }
    bool bump = play_below(play, 4) == 0;
    enum err err = play_marker(play, producer, (int16_t)(epoch + bump), play_below(play, 2) == 0);
    CHECK(play, err == ERR_NONE || err == ERR_IO || err == ERR_NO_SPACE || err == ERR_CLOSED,
          "marker: %s: %s", err_name(err), play->reason.text);
    play_check_unstable(play);
}
