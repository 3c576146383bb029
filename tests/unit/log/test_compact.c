#include "../unit.h"
#include "compact_fixture.h"

#include "log/log_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The rules of compaction, one by one. */

static const struct kv_batch plain = {.producer_id = 0};

static struct fixture *open_log(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    return fixture;
}

/* From nothing but the .log files: no checkpoint, index or snapshot. */
static void reopen_bare(struct fixture *fixture)
{
    char command[200];
    fixture_kill(fixture);
    snprintf(command, sizeof command, "rm -f %s/*index %s/*.snapshot", fixture->log_dir,
             fixture->log_dir);
    assert_int_equal(system(command), 0);
    fixture_open(fixture, NULL);
    assert_int_equal(fixture->recovery.damaged_batches, 0);
    assert_int_equal(fixture->recovery.truncated_bytes, 0);
}

static void the_newest_of_each_key_survives(void **state)
{
    struct fixture *fixture = open_log(state);
    put(fixture, "a", "1");
    put(fixture, "b", "1");
    put(fixture, "a", "2");
    roll(fixture);
    put(fixture, "c", "1");
    put(fixture, "a", "3");
    roll(fixture);
    put(fixture, "b", "2"); /* active: not looked at, so b=1 stays */
    struct compact_result result = compact(fixture);
    assert_string_equal(log_text(fixture), "1:b=1 3:c=1 4:a=3 5:b=2 ");
    assert_int_equal(result.to, 5);
    assert_int_equal(result.segments_before, 2);
    assert_int_equal(result.segments_after, 1);
    assert_true(result.bytes_after < result.bytes_before);
    assert_int_equal(log_end_offset(fixture->log), 6);
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "3:c=1 4:a=3 5:b=2 ");
    reopen_bare(fixture);
    assert_string_equal(log_text(fixture), "3:c=1 4:a=3 5:b=2 ");
    assert_int_equal(log_end_offset(fixture->log), 6);
}

static void batches_keep_their_bounds(void **state)
{
    struct fixture *fixture = open_log(state);
    struct kv first[] = {{"a", "1"}, {"b", "1"}, {"c", "1"}};
    struct kv second[] = {{"a", "2"}, {"c", "2"}};
    struct kv_batch batch = {.producer_id = 7, .epoch = 2};
    append_kv(fixture, &batch, first, 3);
    batch.sequence = 3;
    append_kv(fixture, &batch, second, 2);
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "1:b=1 3:a=2 4:c=2 ");
    struct file_span span;
    uint8_t bytes[BATCH_HEADER_BYTES];
    struct batch header;
    assert_int_equal(log_read(fixture->log, 0, 5, 1, true, &span, NULL), ERR_NONE);
    assert_int_equal(pread(span.fd, bytes, sizeof bytes, span.position), sizeof bytes);
    assert_int_equal(batch_parse(slice_of(bytes, sizeof bytes), &header, NULL), ERR_TRUNCATED);
    store_be32(bytes + 8, sizeof bytes - BATCH_LENGTH_OVERHEAD);
    assert_int_equal(batch_parse(slice_of(bytes, sizeof bytes), &header, NULL), ERR_NONE);
    assert_int_equal(header.base_offset, 0);
    assert_int_equal(header.last_offset_delta, 2);
    assert_int_equal(header.record_count, 1);
    assert_int_equal(header.producer_id, 7);
    assert_int_equal(header.producer_epoch, 2);
    assert_int_equal(header.base_sequence, 0);
    assert_int_equal(header.max_timestamp, fixture->now_ms + 1);
    file_span_release(&span);
}

static void a_producers_sequence_survives(void **state)
{
    struct fixture *fixture = open_log(state);
    struct kv_batch batch = {.producer_id = 7};
    append_kv(fixture, &batch, (struct kv[]){{"a", "1"}, {"b", "1"}}, 2);
    put(fixture, "a", "2");
    put(fixture, "b", "2");
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "0-1:_ 2:a=2 3:b=2 ");
    reopen_bare(fixture);
    struct batch_spec again = {.producer_id = 7, .records = 2};
    struct log_append append;
    assert_int_equal(append_spec(fixture, &again, &append), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(append.base_offset, 0);
    again.sequence = 5;
    assert_int_equal(append_spec(fixture, &again, &append), ERR_OUT_OF_ORDER_SEQUENCE);
    again.sequence = 2;
    assert_int_equal(append_spec(fixture, &again, &append), ERR_NONE);
    /* A newer batch of the producer: the empty one goes. */
    roll(fixture);
    compact(fixture);
    assert_null(strstr(log_text(fixture), "_"));
}

static void the_last_batch_of_a_segment_stays(void **state)
{
    struct fixture *fixture = open_log(state);
    put(fixture, "a", "1");
    put(fixture, "b", "1");
    roll(fixture);
    fixture->config.segment_bytes = 14; /* each on its own */
    log_set_config(fixture->log, &fixture->config);
    put(fixture, "b", "2");
    put(fixture, "a", "2");
    put(fixture, "b", "3");
    roll(fixture);
    compact(fixture);
    /* Where a segment ends must be seen, or a start takes it for torn. */
    assert_string_equal(log_text(fixture), "1-1:_ 2-2:_ 3:a=2 4:b=3 ");
    reopen_bare(fixture);
    assert_string_equal(log_text(fixture), "1-1:_ 2-2:_ 3:a=2 4:b=3 ");
}

static void tombstones_go_after_their_time(void **state)
{
    struct fixture *fixture = open_log(state);
    fixture->config.delete_retention_ms = 1000;
    log_set_config(fixture->log, &fixture->config);
    put(fixture, "a", "1");
    put(fixture, "b", "1");
    append_kv(fixture, &plain, (struct kv[]){{"a", NULL}, {"c", "1"}}, 2);
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "1:b=1 2:a- 3:c=1 ");
    fixture->now_ms += 999;
    put(fixture, "d", "1");
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "1:b=1 2:a- 3:c=1 4:d=1 ");
    fixture->now_ms += 1;
    put(fixture, "e", "1");
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "1:b=1 3:c=1 4:d=1 5:e=1 ");
}

static void tombstones_may_be_kept_for_ever(void **state)
{
    struct fixture *fixture = open_log(state);
    fixture->config.delete_retention_ms = INT64_MAX;
    log_set_config(fixture->log, &fixture->config);
    put(fixture, "a", "1");
    append_kv(fixture, &plain, (struct kv[]){{"a", NULL}, {"c", "1"}}, 2);
    for (int i = 0; i < 3; i++) {
        roll(fixture);
        compact(fixture);
        assert_string_equal(log_text(fixture), "1:a- 2:c=1 ");
        fixture->now_ms += INT32_MAX;
    }
}

static void note_horizon(void *context, const struct batch *batch)
{
    int64_t *horizon = context;
    struct record_iterator iterator;
    struct record record;
    bool done;
    if (batch_delete_horizon(batch) >= 0) {
        horizon[0] = batch_delete_horizon(batch);
        assert_int_equal(record_iterator_init(&iterator, batch, 1000, NULL), ERR_NONE);
        assert_int_equal(record_iterator_next(&iterator, &record, &done, NULL), ERR_NONE);
        horizon[1] = record.timestamp;
        horizon[2] = batch->max_timestamp;
        record_iterator_deinit(&iterator);
    }
}

static void the_horizon_of_deletion_leaves_timestamps_alone(void **state)
{
    struct fixture *fixture = open_log(state);
    struct kv_batch batch = {.timestamp = 1234567, .codec = BATCH_COMPRESSION_ZSTD};
    append_kv(fixture, &batch, (struct kv[]){{"a", NULL}, {"b", "2"}}, 2);
    roll(fixture);
    compact(fixture);
    int64_t horizon[3] = {-1, -1, -1};
    each_batch(fixture, note_horizon, horizon);
    assert_int_equal(horizon[0], fixture->now_ms + 24 * 3600 * 1000);
    assert_int_equal(horizon[1], 1234567);
    assert_int_equal(horizon[2], 1234568);
    int64_t offset;
    int64_t timestamp;
    assert_int_equal(log_find_time(fixture->log, 1234568, 2, &offset, &timestamp, NULL), ERR_NONE);
    assert_int_equal(offset, 1);
}

/* All but those of the last two checkpoints. */
static void drop_snapshots(struct fixture *fixture)
{
    struct log_state state;
    assert_int_equal(log_checkpoint(fixture->log, &state, NULL), ERR_NONE);
    put(fixture, "again", "1");
    assert_int_equal(log_checkpoint(fixture->log, &state, NULL), ERR_NONE);
}

static void aborted_records_go(void **state)
{
    struct fixture *fixture = open_log(state);
    struct kv_batch txn = {.producer_id = 7, .transactional = true};
    fixture->config.delete_retention_ms = 1000;
    log_set_config(fixture->log, &fixture->config);
    put(fixture, "a", "1");
    append_kv(fixture, &txn, (struct kv[]){{"a", "x"}, {"b", "x"}}, 2);
    roll(fixture);
    put_marker(fixture, 7, 0, false); /* 3 */
    txn.sequence = 2;
    append_kv(fixture, &txn, (struct kv[]){{"b", "2"}}, 1);
    put_marker(fixture, 7, 0, true); /* 5 */
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "0:a=1 3:A 4:b=2 5:C ");
    struct aborted_txn *aborted;
    size_t count;
    assert_int_equal(log_aborted_txns(fixture->log, 0, 6, &aborted, &count, NULL), ERR_NONE);
    assert_int_equal(count, 1);
    assert_int_equal(aborted[0].last_offset, 3);
    free(aborted);
    put(fixture, "c", "1");
    roll(fixture);
    compact(fixture); /* its marker is alone from now on */
    fixture->now_ms += 1000;
    put(fixture, "d", "1");
    roll(fixture);
    compact(fixture);
    /* A start from the snapshot before it would see the transaction open. */
    assert_string_equal(log_text(fixture), "0:a=1 3:A 4:b=2 5:C 6:c=1 7:d=1 ");
    drop_snapshots(fixture);
    put(fixture, "e", "1");
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "0:a=1 4:b=2 5:C 6:c=1 7:d=1 8:again=1 9:e=1 ");
    assert_int_equal(log_aborted_txns(fixture->log, 0, 10, &aborted, &count, NULL), ERR_NONE);
    assert_int_equal(count, 0);
    free(aborted);
    reopen_bare(fixture);
    assert_int_equal(log_first_unstable_offset(fixture->log), INT64_MAX);
    assert_string_equal(log_text(fixture), "0:a=1 4:b=2 5:C 6:c=1 7:d=1 8:again=1 9:e=1 ");
}

static void a_marker_stays_while_its_batches_do(void **state)
{
    struct fixture *fixture = open_log(state);
    struct kv_batch txn = {.producer_id = 7, .transactional = true};
    fixture->config.delete_retention_ms = 0;
    log_set_config(fixture->log, &fixture->config);
    append_kv(fixture, &txn, (struct kv[]){{"a", "x"}}, 1);
    put_marker(fixture, 7, 0, false);
    for (int i = 0; i < 4; i++) {
        put(fixture, "k", "1");
        roll(fixture);
        compact(fixture);
        /* The producer's last batch stays empty, so its marker must stay: else the transaction
         * would look open when producers are read from the log. */
        assert_non_null(strstr(log_text(fixture), "0-0:_ 1:A "));
        reopen_bare(fixture);
        assert_int_equal(log_first_unstable_offset(fixture->log), INT64_MAX);
    }
}

/* A start that reads a segment again makes its aborted transactions anew; a crash right after it
 * must not find them gone. */
static void aborted_rows_survive_two_crashes(void **state)
{
    struct fixture *fixture = open_log(state);
    struct kv_batch txn = {.producer_id = 7, .transactional = true};
    struct log_state known;
    struct aborted_txn *aborted;
    size_t count;
    put(fixture, "a", "1");
    roll(fixture);
    compact(fixture);
    append_kv(fixture, &txn, (struct kv[]){{"b", "x"}}, 1); /* 1 */
    put_marker(fixture, 7, 0, false);
    assert_int_equal(log_checkpoint(fixture->log, &known, NULL), ERR_NONE);
    put(fixture, "lost", "1"); /* so that the next segment does not begin where this one ends */
    roll(fixture);
    put(fixture, "lost", "2");
    fixture_kill(fixture);
    cut_file(file_of(fixture, 1, ".log"), known.active_size);
    for (int i = 0; i < 3; i++) {
        fixture_open(fixture, &known);
        assert_int_equal(log_end_offset(fixture->log), 3);
        assert_int_equal(log_aborted_txns(fixture->log, 0, 3, &aborted, &count, NULL), ERR_NONE);
        assert_int_equal(count, 1);
        free(aborted);
        fixture_kill(fixture);
    }
}

static void open_transactions_are_left_alone(void **state)
{
    struct fixture *fixture = open_log(state);
    struct kv_batch txn = {.producer_id = 7, .transactional = true};
    put(fixture, "a", "1");
    put(fixture, "a", "2");
    roll(fixture);
    put(fixture, "a", "3");
    append_kv(fixture, &txn, (struct kv[]){{"a", "4"}}, 1); /* 3 */
    roll(fixture);
    put(fixture, "a", "5");
    roll(fixture);
    struct compact_result result = compact(fixture);
    assert_int_equal(result.to, 2); /* whole segments below the last stable offset */
    assert_string_equal(log_text(fixture), "1:a=2 2:a=3 3:a=4 4:a=5 ");
    put_marker(fixture, 7, 0, true);
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "3-3:_ 4:a=5 5:C ");
}

static void batches_keep_their_codec(void **state)
{
    struct fixture *fixture = open_log(state);
    for (int codec = BATCH_COMPRESSION_NONE; codec <= BATCH_COMPRESSION_ZSTD; codec++) {
        struct kv_batch batch = {.codec = (enum batch_compression)codec};
        char key[8];
        snprintf(key, sizeof key, "k%d", codec);
        append_kv(fixture, &batch, (struct kv[]){{"a", "1"}, {key, "2"}}, 2);
    }
    roll(fixture);
    compact(fixture);
    assert_string_equal(log_text(fixture), "1:k0=2 3:k1=2 5:k2=2 7:k3=2 8:a=1 9:k4=2 ");
}

static void a_small_map_takes_several_passes(void **state)
{
    struct fixture *fixture = open_log(state);
    char key[16];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            snprintf(key, sizeof key, "key-%d", i);
            put(fixture, key, round == 2 ? "new" : "old");
        }
        roll(fixture);
    }
    struct compact_limits limits = {
        .map_bytes = 10 * sizeof(int64_t) * 3, .load_factor = 0.8, .io_bytes = 100};
    struct compact_result result;
    assert_int_equal(try_compact(fixture, &limits, &result), ERR_NONE);
    assert_true(result.passes > 15);
    assert_true(result.map_bytes <= limits.map_bytes);
    assert_int_equal(result.map_keys, 8);
    assert_null(strstr(log_text(fixture), "old"));
    assert_int_equal(result.to, 150);
    assert_int_equal(result.records_removed, 100);
}

static void lags_are_kept(void **state)
{
    struct fixture *fixture = open_log(state);
    fixture->config.min_compaction_lag_ms = 1000;
    fixture->config.min_cleanable_ratio = 0.9;
    log_set_config(fixture->log, &fixture->config);
    struct compact_need need;
    put(fixture, "a", "1");
    put(fixture, "a", "2");
    roll(fixture);
    fixture->now_ms += 999;
    assert_int_equal(log_compact_need(fixture->log, 2, &need, NULL), ERR_NONE);
    assert_int_equal(need.dirty_bytes, 0);
    assert_false(need.due);
    fixture->now_ms += 1;
    assert_int_equal(log_compact_need(fixture->log, 2, &need, NULL), ERR_NONE);
    assert_true(need.due && need.dirty_bytes > 0 && need.clean_bytes == 0);
    compact(fixture);
    put(fixture, "a", "3");
    roll(fixture);
    fixture->now_ms += 1000;
    assert_int_equal(log_compact_need(fixture->log, 3, &need, NULL), ERR_NONE);
    assert_true(need.dirty_ratio == 0.5 && !need.due);
    fixture->config.max_compaction_lag_ms = 1000;
    log_set_config(fixture->log, &fixture->config);
    assert_int_equal(log_compact_need(fixture->log, 3, &need, NULL), ERR_NONE);
    assert_false(need.due);
    fixture->now_ms += 1;
    assert_int_equal(log_compact_need(fixture->log, 3, &need, NULL), ERR_NONE);
    assert_true(need.due);
}

static void the_cleaned_offset_outlives_a_restart(void **state)
{
    struct fixture *fixture = open_log(state);
    put(fixture, "a", "1");
    put(fixture, "a", "2");
    roll(fixture);
    assert_int_equal(log_cleaned_offset(fixture->log), 0);
    compact(fixture);
    reopen_bare(fixture);
    assert_int_equal(log_cleaned_offset(fixture->log), 2);
    struct compact_need need;
    assert_int_equal(log_compact_need(fixture->log, 2, &need, NULL), ERR_NONE);
    assert_int_equal(need.dirty_bytes, 0);
    char path[128];
    snprintf(path, sizeof path, "%s/cleaner-offset", fixture->log_dir);
    flip_byte(path, 27);
    reopen_bare(fixture);
    assert_int_equal(log_cleaned_offset(fixture->log), 0);
}

static void damage_is_left_alone(void **state)
{
    struct fixture *fixture = open_log(state);
    put(fixture, "a", "1");
    put(fixture, "b", "1");
    roll(fixture);
    put(fixture, "a", "2");
    put(fixture, "c", "1");
    put(fixture, "d", "1");
    roll(fixture);
    put(fixture, "b", "2");
    put(fixture, "d", "2");
    roll(fixture);
    int64_t batch_bytes = size_of(file_of(fixture, 0, ".log")) / 2;
    flip_byte(file_of(fixture, 2, ".log"), batch_bytes + 66); /* c=1 */
    int64_t size = size_of(file_of(fixture, 2, ".log"));
    struct compact_limits limits = roomy_limits();
    struct compact_result result;
    assert_int_equal(try_compact(fixture, &limits, &result), ERR_CORRUPT);
    assert_int_equal(try_compact(fixture, &limits, &result), ERR_NONE);
    assert_int_equal(result.damaged_segments, 1);
    /* Around it all is compacted, it stays byte for byte, and is reported where it is read. */
    assert_int_equal(size_of(file_of(fixture, 2, ".log")), size);
    struct file_span span;
    assert_int_equal(log_read(fixture->log, 3, 7, 1000, true, &span, NULL), ERR_CORRUPT);
    assert_int_equal(log_read(fixture->log, 0, 7, 1000, true, &span, NULL), ERR_NONE);
    file_span_release(&span);
    fixture_kill(fixture);
    fixture_open(fixture, NULL);
    assert_int_equal(fixture->recovery.damaged_batches, 1);
    assert_int_equal(log_end_offset(fixture->log), 7);
    assert_int_equal(log_read(fixture->log, 4, 7, 1000, true, &span, NULL), ERR_NONE);
    file_span_release(&span);
}

/* What is missing between two segments stays visible: merged, it would be a gap like any other. */
static void a_missing_segment_is_not_merged_away(void **state)
{
    struct fixture *fixture = open_log(state);
    put(fixture, "a", "1");
    put(fixture, "b", "1");
    roll(fixture);
    put(fixture, "c", "1");
    roll(fixture);
    put(fixture, "a", "2");
    put(fixture, "b", "2");
    roll(fixture);
    put(fixture, "d", "1");
    fixture_close(fixture);
    assert_int_equal(unlink(file_of(fixture, 2, ".log")), 0);
    fixture_open(fixture, &fixture->state);
    struct compact_limits limits = roomy_limits();
    struct compact_result result;
    struct file_span span;
    assert_int_equal(try_compact(fixture, &limits, &result), ERR_CORRUPT);
    assert_int_equal(try_compact(fixture, &limits, &result), ERR_NONE);
    assert_int_equal(result.damaged_segments, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(log_read(fixture->log, 2, 6, 1000, true, &span, NULL), ERR_CORRUPT);
        assert_int_equal(log_read(fixture->log, 3, 6, 1000, true, &span, NULL), ERR_NONE);
        file_span_release(&span);
        fixture_close(fixture);
        fixture_open(fixture, &fixture->state);
    }
}

static void closed_batches_are_kept(void **state)
{
    struct fixture *fixture = open_log(state);
    struct kv_batch batch = {.codec = BATCH_COMPRESSION_GZIP, .raw_bytes = true};
    put(fixture, "a", "1");
    append_kv(fixture, &batch, (struct kv[]){{"a", "2"}}, 1);
    put(fixture, "b", "1");
    put(fixture, "b", "2");
    append_kv(fixture, &plain, (struct kv[]){{NULL, "keyless"}, {"c", "1"}}, 2);
    roll(fixture);
    struct compact_result result = compact(fixture);
    assert_int_equal(result.closed_batches, 1);
    assert_int_equal(result.keyless_records, 1);
    assert_string_equal(log_text(fixture), "0:a=1 1-1:? 3:b=2 5:c=1 ");
}

static void readers_of_old_segments_go_on(void **state)
{
    struct fixture *fixture = open_log(state);
    put(fixture, "a", "1");
    put(fixture, "a", "2");
    put(fixture, "b", "1");
    roll(fixture);
    struct file_span span;
    assert_int_equal(log_read(fixture->log, 0, 3, 100000, true, &span, NULL), ERR_NONE);
    compact(fixture);
    uint8_t bytes[1000];
    struct batch first;
    assert_true(span.size < sizeof bytes);
    assert_int_equal(pread(span.fd, bytes, span.size, span.position), (ssize_t)span.size);
    assert_int_equal(batch_parse(slice_of(bytes, span.size), &first, NULL), ERR_NONE);
    assert_int_equal(first.base_offset, 0);
    file_span_release(&span);
    assert_string_equal(log_text(fixture), "1:a=2 2:b=1 ");
    /* In a gap: the next batch; never an empty span. */
    for (int64_t max_bytes = 1; max_bytes < 300; max_bytes += 50) {
        assert_int_equal(log_read(fixture->log, 0, 3, (size_t)max_bytes, true, &span, NULL),
                         ERR_NONE);
        assert_true(span.size > 0);
        file_span_release(&span);
    }
}

static void times_and_indexes_lead_to_what_is_left(void **state)
{
    struct fixture *fixture = open_log(state);
    fixture->config.index_interval_bytes = 100;
    log_set_config(fixture->log, &fixture->config);
    char key[16];
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "key-%d", i % 100);
        struct kv_batch batch = {.timestamp = 1000000 + i * 10};
        append_kv(fixture, &batch, (struct kv[]){{key, "value"}}, 1);
        if (i % 50 == 49) {
            roll(fixture);
        }
    }
    compact(fixture);
    assert_int_equal(fixture->log->segments.count, 2);
    struct segment *segment = fixture->log->segments.items[0];
    assert_true(segment->offsets.file_rows > 20 && segment->times.file_rows > 20);
    assert_int_equal(size_of(file_of(fixture, 0, ".index")), segment->offsets.file_rows * 8);
    int64_t offset;
    int64_t timestamp;
    assert_int_equal(log_find_time(fixture->log, 1000000, 300, &offset, &timestamp, NULL),
                     ERR_NONE);
    assert_int_equal(offset, 200);
    assert_int_equal(log_find_time(fixture->log, 1002500, 300, &offset, &timestamp, NULL),
                     ERR_NONE);
    assert_int_equal(offset, 250);
    assert_int_equal(log_find_max_time(fixture->log, 300, &offset, &timestamp, NULL), ERR_NONE);
    assert_int_equal(offset, 299);
    assert_false(segment->index_bad);
    assert_int_equal(read_all(fixture, 240, 300, 100), 60);
    assert_int_equal(fixture->log->segments.items[0]->index_bad, false);
}

static void deletion_meets_compaction(void **state)
{
    struct fixture *fixture = open_log(state);
    put(fixture, "a", "1");
    roll(fixture);
    put(fixture, "a", "2");
    put(fixture, "b", "2");
    roll(fixture);
    put(fixture, "b", "3");
    roll(fixture);
    assert_int_equal(log_set_start_offset(fixture->log, 2, NULL), ERR_NONE);
    compact(fixture);
    assert_int_equal(log_start_offset(fixture->log), 2);
    assert_string_equal(log_text(fixture), "3:b=3 ");
    assert_int_equal(log_delete(fixture->log, NULL), ERR_NONE);
    struct compact_limits limits = roomy_limits();
    struct compact_result result;
    assert_int_equal(try_compact(fixture, &limits, &result), ERR_CLOSED);
}

static bool count_step(void *context, int64_t bytes)
{
    int64_t *left = context;
    (void)bytes;
    return --*left > 0;
}

static void a_compaction_stops_when_told(void **state)
{
    struct fixture *fixture = open_log(state);
    char key[16];
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "key-%d", i % 20);
        put(fixture, key, i < 40 ? "old" : "new");
        if (i % 10 == 9) {
            roll(fixture);
        }
    }
    fixture->config.segment_bytes = 2000;
    log_set_config(fixture->log, &fixture->config);
    enum err err = ERR_AGAIN;
    for (int64_t steps = 1; err == ERR_AGAIN; steps++) {
        int64_t left = steps;
        struct compact_limits limits = roomy_limits();
        struct compact_result result;
        limits.io_bytes = 200;
        limits.step = count_step;
        limits.context = &left;
        err = try_compact(fixture, &limits, &result);
        char command[128];
        snprintf(command, sizeof command, "ls %s | grep -q cleaned", fixture->log_dir);
        assert_int_not_equal(system(command), 0);
    }
    assert_int_equal(err, ERR_NONE);
    assert_null(strstr(log_text(fixture), "old"));
    reopen_bare(fixture);
    assert_null(strstr(log_text(fixture), "old"));
}

/* A checkpoint of a segment that was compacted since says nothing of positions. */
static void a_checkpoint_from_before_is_not_believed(void **state)
{
    struct fixture *fixture = open_log(state);
    char key[16];
    put(fixture, "a", "1");
    put(fixture, "a", "2");
    struct log_state known;
    assert_int_equal(log_checkpoint(fixture->log, &known, NULL), ERR_NONE);
    int64_t two = size_of(file_of(fixture, 0, ".log"));
    assert_int_equal(known.active_size, two);
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "%d", i);
        put(fixture, "a", key);
    }
    put(fixture, "b", "1");
    roll(fixture);
    put(fixture, "c", "1");
    compact(fixture);
    assert_int_equal(size_of(file_of(fixture, 0, ".log")), two); /* as it happens */
    fixture_kill(fixture);
    fixture_open(fixture, &known);
    assert_int_equal(fixture->recovery.truncated_bytes, 0);
    assert_string_equal(log_text(fixture), "4:a=2 5:b=1 6:c=1 ");
}

/* What a log that was not loaded says of itself, and what it says once it is. */
static struct compact_need reopen_idle(struct fixture *fixture)
{
    struct compact_need need;
    fixture_close(fixture);
    fixture_open_only(fixture, &fixture->state);
    log_compact_idle_need(fixture->log, &need);
    assert_false(log_is_loaded(fixture->log));
    return need;
}

static void check_idle_need(struct fixture *fixture)
{
    struct compact_need need;
    struct compact_need idle = reopen_idle(fixture);
    fixture_load(fixture);
    assert_int_equal(log_compact_need(fixture->log, stable_offset(fixture), &need, NULL), ERR_NONE);
    assert_int_equal(idle.dirty_bytes, need.dirty_bytes);
    assert_int_equal(idle.clean_bytes, idle.dirty_bytes > 0 ? need.clean_bytes : 0);
    assert_int_equal(idle.due, need.due);
}

static void idle_logs_know_their_need(void **state)
{
    struct fixture *fixture = open_log(state);
    put(fixture, "a", "1");
    check_idle_need(fixture); /* all of it is active */
    roll(fixture);
    put(fixture, "a", "2");
    check_idle_need(fixture);
    compact(fixture);
    check_idle_need(fixture);
    roll(fixture);
    for (int i = 0; i < 3; i++) {
        put(fixture, "b", "1");
    }
    roll(fixture);
    check_idle_need(fixture);
    assert_true(reopen_idle(fixture).clean_bytes > 0);
    assert_true(reopen_idle(fixture).due);
    fixture->config.min_cleanable_ratio = 0.999;
    assert_false(reopen_idle(fixture).due);
    fixture->config.max_compaction_lag_ms = 1;
    assert_true(reopen_idle(fixture).due);
}

static void idle_logs_wait_for_the_lag(void **state)
{
    struct fixture *fixture = open_log(state);
    put(fixture, "a", "1");
    roll(fixture);
    put(fixture, "a", "2");
    fixture->config.min_compaction_lag_ms = 1000;
    assert_false(reopen_idle(fixture).due);
    fixture->now_ms += 2000;
    assert_true(reopen_idle(fixture).due);
}

static void an_idle_log_that_cannot_be_loaded_is_left_alone(void **state)
{
    struct fixture *fixture = open_log(state);
    struct compact_need need;
    put(fixture, "a", "1");
    roll(fixture);
    assert_true(reopen_idle(fixture).due);
    log_compact_idle_forget(fixture->log);
    log_compact_idle_need(fixture->log, &need);
    assert_false(need.due);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_of_each_key_survives),
        TEST(batches_keep_their_bounds),
        TEST(a_producers_sequence_survives),
        TEST(the_last_batch_of_a_segment_stays),
        TEST(tombstones_go_after_their_time),
        TEST(tombstones_may_be_kept_for_ever),
        TEST(the_horizon_of_deletion_leaves_timestamps_alone),
        TEST(aborted_records_go),
        TEST(aborted_rows_survive_two_crashes),
        TEST(a_marker_stays_while_its_batches_do),
        TEST(open_transactions_are_left_alone),
        TEST(batches_keep_their_codec),
        TEST(a_small_map_takes_several_passes),
        TEST(lags_are_kept),
        TEST(the_cleaned_offset_outlives_a_restart),
        TEST(damage_is_left_alone),
        TEST(a_missing_segment_is_not_merged_away),
        TEST(closed_batches_are_kept),
        TEST(readers_of_old_segments_go_on),
        TEST(times_and_indexes_lead_to_what_is_left),
        TEST(deletion_meets_compaction),
        TEST(a_compaction_stops_when_told),
        TEST(a_checkpoint_from_before_is_not_believed),
        TEST(idle_logs_know_their_need),
        TEST(idle_logs_wait_for_the_lag),
        TEST(an_idle_log_that_cannot_be_loaded_is_left_alone),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
