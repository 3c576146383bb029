#include "../unit.h"
#include "compact_fixture.h"

#include "base/random.h"
#include "log/log_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Compaction against a model: random keys, tombstones, transactions, codecs, limits, interrupted
 * cleanings and restarts. COMPACT_SEED=n replays one seed.
 */
enum {
    SEEDS = 25,
    STEPS = 160,
    KEYS = 9,
    MOST_RECORDS = STEPS * 6,
    PRODUCERS = 5, /* of which the last TXN_PRODUCERS write transactions */
    TXN_PRODUCERS = 3,
    RETENTION_MS = 3000,
};

enum fate { COMMITTED, OPEN, ABORTED };

struct model_record {
    int key;   /* -1: a marker */
    int value; /* -1: a tombstone */
    int64_t timestamp;
    int txn;        /* -1: none */
    int64_t met_ms; /* when a cleaning first came by; 0: never */
    bool seen;      /* by the last reading */
};

struct model_producer {
    int32_t sequence; /* the next */
    int32_t last_count;
    int64_t last_offset; /* base of its last batch; -1 */
    int txn;             /* its open one; -1 */
};

struct model {
    uint64_t seed;
    struct random random;
    struct fixture *fixture;
    struct model_record records[MOST_RECORDS]; /* by offset */
    int64_t end;
    enum fate fates[STEPS];
    int64_t firsts[STEPS]; /* first offset of each transaction */
    int txn_count;
    struct model_producer producers[PRODUCERS];
    int64_t cleaned;   /* superseded records below are gone */
    int64_t attempted; /* below may be gone */
    struct log_state known;
    bool has_known;
};

#define CHECK(model, condition, ...)                                                               \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "COMPACT_SEED=%llu: %s: ", (unsigned long long)(model)->seed,          \
                    #condition);                                                                   \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static uint64_t below(struct model *model, uint64_t bound)
{
    return random_below(&model->random, bound);
}

static enum fate fate_of(const struct model *model, const struct model_record *record)
{
    return record->txn < 0 ? COMMITTED : model->fates[record->txn];
}

/* ---- steps ---- */

static void note_records(struct model *model, int count, const struct model_record *records)
{
    for (int i = 0; i < count; i++) {
        assert_true(model->end < MOST_RECORDS);
        model->records[model->end++] = records[i];
    }
}

static void step_append(struct model *model)
{
    static char keys[4][8];
    static char values[4][16];
    struct kv kv[4];
    struct model_record records[4];
    int count = 1 + (int)below(model, 4);
    int producer = (int)below(model, 2 * PRODUCERS) - PRODUCERS;
    struct kv_batch batch = {.codec =
                                 (enum batch_compression)(below(model, 3) ? 0 : below(model, 5)),
                             .timestamp = model->fixture->now_ms};
    int txn = -1;
    if (producer >= 0) {
        struct model_producer *at = &model->producers[producer];
        batch.producer_id = 100 + producer;
        batch.sequence = at->sequence;
        batch.transactional = producer >= PRODUCERS - TXN_PRODUCERS;
        if (batch.transactional && at->txn < 0) {
            at->txn = model->txn_count++;
            model->fates[at->txn] = OPEN;
            model->firsts[at->txn] = model->end;
        }
        txn = at->txn;
        at->sequence += count;
        at->last_count = count;
        at->last_offset = model->end;
    }
    for (int i = 0; i < count; i++) {
        records[i] = (struct model_record){.key = (int)below(model, KEYS),
                                           .value = below(model, 5) ? (int)below(model, 1000) : -1,
                                           .timestamp = batch.timestamp + i,
                                           .txn = txn};
        snprintf(keys[i], sizeof keys[i], "k%d", records[i].key);
        snprintf(values[i], sizeof values[i], "%d", records[i].value);
        kv[i] = (struct kv){keys[i], records[i].value < 0 ? NULL : values[i]};
    }
    int64_t base = append_kv(model->fixture, &batch, kv, count);
    CHECK(model, base == model->end, "appended at %lld", (long long)base);
    note_records(model, count, records);
}

static void step_end_txn(struct model *model)
{
    int producer = PRODUCERS - 1 - (int)below(model, TXN_PRODUCERS);
    struct model_producer *at = &model->producers[producer];
    if (at->txn < 0) {
        return;
    }
    bool commit = below(model, 2) == 0;
    struct model_record marker = {.key = -1, .txn = at->txn, .timestamp = model->fixture->now_ms};
    put_marker(model->fixture, 100 + producer, 0, commit);
    model->fates[at->txn] = commit ? COMMITTED : ABORTED;
    at->txn = -1;
    note_records(model, 1, &marker);
}

static bool step_budget(void *context, int64_t bytes)
{
    int64_t *left = context;
    (void)bytes;
    return --*left != 0;
}

static void step_compact(struct model *model)
{
    struct fixture *fixture = model->fixture;
    int64_t budget = below(model, 4) ? -1 : 1 + (int64_t)below(model, 60);
    struct compact_limits limits = {.map_bytes = 48 + (int64_t)below(model, 600),
                                    .load_factor = 0.3 + (double)below(model, 8) / 10,
                                    .io_bytes = 100 + (int64_t)below(model, 3000),
                                    .step = step_budget,
                                    .context = &budget};
    struct compact_result result;
    int64_t stable = stable_offset(fixture);
    enum err err = try_compact(fixture, &limits, &result);
    CHECK(model, err == ERR_NONE || err == ERR_AGAIN, "%s", fixture->reason.text);
    CHECK(model, result.to <= stable && result.to >= model->cleaned, "to %lld",
          (long long)result.to);
    CHECK(model, result.map_bytes <= limits.map_bytes, "map of %lld bytes",
          (long long)result.map_bytes);
    model->cleaned = result.to;
    int64_t attempted = err == ERR_NONE ? result.to : stable;
    model->attempted = attempted > model->attempted ? attempted : model->attempted;
    for (int64_t i = 0; i < model->attempted; i++) {
        if (model->records[i].met_ms == 0) {
            model->records[i].met_ms = fixture->now_ms;
        }
    }
}

static void step_checkpoint(struct model *model)
{
    assert_int_equal(log_checkpoint(model->fixture->log, &model->known, NULL), ERR_NONE);
    log_decide_txns(model->fixture->log, log_flushed_offset(model->fixture->log));
    model->has_known = true;
}

static void step_restart(struct model *model)
{
    struct fixture *fixture = model->fixture;
    char command[200];
    bool forget = below(model, 4) == 0; /* a lost checkpoint does not come back */
    switch (below(model, 4)) {
    case 0:
        fixture_close(fixture);
        model->known = fixture->state;
        model->has_known = true;
        fixture_open(fixture, &fixture->state);
        break;
    case 1:
        fixture_kill(fixture);
        snprintf(command, sizeof command, "rm -f %s/*index %s/*.snapshot", fixture->log_dir,
                 fixture->log_dir);
        assert_int_equal(system(command), 0);
        fixture_open(fixture, NULL);
        model->has_known = false; /* it vouched for the index files, too */
        break;
    default:
        model->has_known = model->has_known && !forget;
        model->known.clean = false;
        fixture_kill(fixture);
        fixture_open(fixture, model->has_known ? &model->known : NULL);
    }
    CHECK(model, fixture->recovery.damaged_batches == 0 && fixture->recovery.truncated_bytes == 0,
          "damaged %d, truncated %lld", fixture->recovery.damaged_batches,
          (long long)fixture->recovery.truncated_bytes);
    CHECK(model, log_end_offset(fixture->log) == model->end, "the log ends at %lld",
          (long long)log_end_offset(fixture->log));
}

/* ---- checks ---- */

static void see_record(struct model *model, const struct record *record)
{
    struct model_record *at = &model->records[record->offset];
    char key[8];
    char value[16];
    snprintf(key, sizeof key, "k%d", at->key);
    snprintf(value, sizeof value, "%d", at->value);
    CHECK(
        model,
        !at->seen && slice_equal_str(record->key, key) && record->timestamp == at->timestamp &&
            (at->value < 0 ? slice_is_null(record->value) : slice_equal_str(record->value, value)),
        "offset %lld is another record", (long long)record->offset);
    at->seen = true;
}

static void see_batch(void *context, const struct batch *batch)
{
    struct model *model = context;
    struct record_iterator iterator;
    struct record record;
    bool done = batch->record_count == 0;
    if (batch_is_control(batch)) {
        struct batch_marker marker;
        if (done) {
            return;
        }
        struct model_record *at = &model->records[batch->base_offset];
        CHECK(model,
              batch_marker_read(batch, &marker) && at->key < 0 &&
                  marker.commit == (model->fates[at->txn] == COMMITTED),
              "offset %lld is no such marker", (long long)batch->base_offset);
        at->seen = true;
        return;
    }
    assert_int_equal(record_iterator_init(&iterator, batch, 1 << 20, NULL), ERR_NONE);
    int64_t last = -1;
    while (!done) {
        assert_int_equal(record_iterator_next(&iterator, &record, &done, NULL), ERR_NONE);
        if (!done) {
            CHECK(model, record.offset > last, "offsets fall");
            last = record.offset;
            see_record(model, &record);
        }
    }
    record_iterator_deinit(&iterator);
}

static bool superseded(const struct model *model, int64_t offset, int64_t limit)
{
    for (int64_t i = offset + 1; i < limit; i++) {
        if (model->records[i].key == model->records[offset].key &&
            fate_of(model, &model->records[i]) == COMMITTED) {
            return true;
        }
    }
    return false;
}

static bool txn_has_records(const struct model *model, int64_t marker)
{
    for (int64_t i = 0; i < marker; i++) {
        if (model->records[i].txn == model->records[marker].txn && model->records[i].seen) {
            return true;
        }
    }
    return false;
}

static void check_record(struct model *model, int64_t offset)
{
    const struct model_record *at = &model->records[offset];
    bool met = offset < model->attempted;
    bool time_passed = met && model->fixture->now_ms >= at->met_ms + RETENTION_MS;
    bool may_go;
    bool must_go = false;
    if (at->key < 0) {
        may_go = time_passed && !txn_has_records(model, offset);
    } else if (fate_of(model, at) == ABORTED) {
        may_go = met;
        must_go = offset < model->cleaned;
    } else {
        must_go = offset < model->cleaned && superseded(model, offset, model->cleaned);
        may_go =
            met && (superseded(model, offset, model->attempted) || (at->value < 0 && time_passed));
    }
    CHECK(
        model, at->seen || may_go,
        "offset %lld (key %d, value %d, transaction %d) is gone (cleaned %lld, attempted %lld, now "
        "%lld, met %lld)",
        (long long)offset, at->key, at->value, at->txn, (long long)model->cleaned,
        (long long)model->attempted, (long long)model->fixture->now_ms, (long long)at->met_ms);
    CHECK(model, !at->seen || !must_go, "offset %lld is still there (cleaned %lld)",
          (long long)offset, (long long)model->cleaned);
}

static void check_producers(struct model *model)
{
    int64_t unstable = INT64_MAX;
    for (int i = 0; i < PRODUCERS; i++) {
        const struct model_producer *at = &model->producers[i];
        struct batch_spec again = {.producer_id = 100 + i,
                                   .records = at->last_count,
                                   .sequence = at->sequence - at->last_count};
        struct log_append append;
        if (at->txn >= 0 && model->firsts[at->txn] < unstable) {
            unstable = model->firsts[at->txn];
        }
        if (at->last_offset >= 0) {
            enum err err = append_spec(model->fixture, &again, &append);
            CHECK(model, err == ERR_DUPLICATE_SEQUENCE && append.base_offset == at->last_offset,
                  "producer %d: %s at %lld", i, err_name(err), (long long)append.base_offset);
        }
    }
    CHECK(model,
          log_first_unstable_offset(model->fixture->log) >= unstable || unstable == INT64_MAX,
          "unstable");
    int64_t first = log_first_unstable_offset(model->fixture->log);
    CHECK(model, first <= unstable, "first unstable is %lld, not %lld", (long long)first,
          (long long)unstable);
}

static void check_all(struct model *model)
{
    for (int64_t i = 0; i < model->end; i++) {
        model->records[i].seen = false;
    }
    each_batch(model->fixture, see_batch, model);
    for (int64_t i = 0; i < model->end; i++) {
        check_record(model, i);
    }
    check_producers(model);
}

static void play(uint64_t seed)
{
    void *state;
    fixture_setup(&state);
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->seed = seed;
    model->random = (struct random){.state = seed};
    model->fixture = state;
    for (int i = 0; i < PRODUCERS; i++) {
        model->producers[i] = (struct model_producer){.last_offset = -1, .txn = -1};
    }
    model->fixture->config.segment_bytes = 200 + (int64_t)below(model, 2500);
    model->fixture->config.index_interval_bytes = (int64_t)below(model, 500);
    model->fixture->config.delete_retention_ms = RETENTION_MS;
    fixture_open(model->fixture, NULL);
    for (int step = 0; step < STEPS; step++) {
        uint64_t what = below(model, 20);
        model->fixture->now_ms += (int64_t)below(model, 300);
        if (what < 10) {
            step_append(model);
        } else if (what < 13) {
            step_end_txn(model);
        } else if (what < 15) {
            step_checkpoint(model);
        } else if (what < 18) {
            roll(model->fixture);
            step_compact(model);
            check_all(model);
        } else if (what < 19) {
            step_restart(model);
            check_all(model);
        }
    }
    roll(model->fixture);
    step_checkpoint(model);
    step_compact(model);
    check_all(model);
    free(model);
    fixture_teardown(&state);
}

static void any_history_is_compacted_as_the_model_says(void **state)
{
    (void)state;
    const char *one = getenv("COMPACT_SEED");
    const char *many = getenv("COMPACT_SEEDS");
    if (one != NULL) {
        play(strtoull(one, NULL, 10));
        return;
    }
    uint64_t seeds = many != NULL ? strtoull(many, NULL, 10) : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        play(seed);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_history_is_compacted_as_the_model_says)};
    return unit_run(tests, NULL, NULL, argc, argv);
}
