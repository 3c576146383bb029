#include "../unit.h"
#include "log_fixture.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "log/producer_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Transactions in the log: what may be appended, where committed records end, what was aborted. */

/* A transactional batch; returns its base offset. */
static int64_t txn(struct fixture *fixture, int64_t producer_id, int32_t sequence)
{
    struct log_append append;
    struct batch_spec spec = {.records = 2,
                              .timestamp = fixture->now_ms,
                              .producer_id = producer_id,
                              .sequence = sequence,
                              .transactional = true};
    if (append_spec(fixture, &spec, &append) != ERR_NONE) {
        fail_msg("log_append: %s", fixture->reason.text);
    }
    return append.base_offset;
}

static void end(struct fixture *fixture, int64_t producer_id, bool commit)
{
    assert_int_equal(append_marker(fixture, producer_id, 0, 0, commit), ERR_NONE);
}

static enum err plain(struct fixture *fixture, int64_t producer_id, int16_t epoch, int32_t sequence,
                      bool transactional, bool own)
{
    struct log_append append;
    struct batch_spec spec = {.timestamp = 1000,
                              .producer_id = producer_id,
                              .epoch = epoch,
                              .sequence = sequence,
                              .transactional = transactional,
                              .own = own};
    return append_spec(fixture, &spec, &append);
}

static int64_t unstable(struct fixture *fixture)
{
    return log_first_unstable_offset(fixture->log);
}

/* The list of a range as text: "producer:first-last/lso ...". */
static const char *aborted(struct fixture *fixture, int64_t from, int64_t to)
{
    static char text[512];
    struct aborted_txn *list;
    size_t count;
    int used = 0;
    text[0] = 0;
    if (log_aborted_txns(fixture->log, from, to, &list, &count, &fixture->reason) != ERR_NONE) {
        fail_msg("log_aborted_txns: %s", fixture->reason.text);
    }
    for (size_t i = 0; i < count; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%lld:%lld-%lld/%lld",
                         i > 0 ? " " : "", (long long)list[i].producer_id,
                         (long long)list[i].first_offset, (long long)list[i].last_offset,
                         (long long)list[i].last_stable_offset);
    }
    free(list);
    return text;
}

static void test_no_mix_within_a_transaction(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    assert_int_equal(plain(fixture, 7, 0, 0, false, false), ERR_NONE);
    assert_int_equal(plain(fixture, 7, 0, 1, true, false), ERR_NONE);
    assert_int_equal(plain(fixture, 7, 0, 2, false, false), ERR_INVALID_TXN_STATE);
    assert_int_equal(plain(fixture, 7, 0, 0, false, true), ERR_INVALID_TXN_STATE);
    assert_int_equal(plain(fixture, 7, 0, 3, false, false), ERR_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(plain(fixture, 7, 0, 2, true, false), ERR_NONE);
    assert_int_equal(plain(fixture, 7, 0, 0, true, true), ERR_NONE);
    end(fixture, 7, true);
    assert_int_equal(plain(fixture, 7, 0, 3, false, false), ERR_NONE);
    /* A producer of its own is not concerned, and the mix is refused within one append too. */
    assert_int_equal(plain(fixture, 8, 0, 0, false, false), ERR_NONE);
    struct buf bytes[2] = {{0}};
    struct batch batches[2];
    struct batch_spec specs[2] = {{.producer_id = 9, .transactional = true, .own = true},
                                  {.producer_id = 9, .own = true}};
    build_batch(&specs[0], &bytes[0], &batches[0]);
    build_batch(&specs[1], &bytes[1], &batches[1]);
    struct log_append append = {.batches = batches, .batch_count = 2};
    int64_t before = log_end_offset(fixture->log);
    assert_int_equal(log_append(fixture->log, &append, &fixture->reason), ERR_INVALID_TXN_STATE);
    assert_int_equal(log_end_offset(fixture->log), before);
    batches[1].attributes = BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL;
    assert_int_equal(log_append(fixture->log, &append, &fixture->reason), ERR_INVALID);
    buf_deinit(&bytes[0]);
    buf_deinit(&bytes[1]);
}

static void test_a_marker_of_an_older_epoch_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    assert_int_equal(plain(fixture, 7, 5, 0, true, false), ERR_NONE);
    assert_int_equal(append_marker(fixture, 7, 4, 9, true), ERR_PRODUCER_FENCED);
    assert_int_equal(append_marker(fixture, 7, 5, 9, true), ERR_NONE);
    assert_int_equal(append_marker(fixture, 7, 5, 8, true), ERR_COORDINATOR_FENCED);
    assert_int_equal(append_marker(fixture, 7, 5, 9, false), ERR_NONE); /* without records */
    assert_int_equal(plain(fixture, 7, 5, 1, true, false), ERR_NONE);   /* the sequence goes on */
    /* Transactions v2: the marker bears the next epoch, whose sequence begins at 0 (KIP-890). */
    assert_int_equal(append_marker(fixture, 7, 6, 9, true), ERR_NONE);
    assert_int_equal(plain(fixture, 7, 5, 2, true, false), ERR_PRODUCER_FENCED);
    assert_int_equal(plain(fixture, 7, 5, 2, true, true), ERR_PRODUCER_FENCED);
    assert_int_equal(append_marker(fixture, 7, 5, 9, true), ERR_PRODUCER_FENCED);
    assert_int_equal(plain(fixture, 7, 6, 2, true, false), ERR_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(plain(fixture, 7, 6, 0, true, false), ERR_NONE);
    assert_int_equal(plain(fixture, 7, 6, 1, false, false), ERR_INVALID_TXN_STATE);
    /* A marker of a producer that is not known fences its older epochs. */
    assert_int_equal(append_marker(fixture, 8, 3, 0, false), ERR_NONE);
    assert_int_equal(plain(fixture, 8, 2, 0, true, false), ERR_PRODUCER_FENCED);
    assert_int_equal(plain(fixture, 8, 3, 1, true, false), ERR_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(plain(fixture, 8, 3, 0, true, false), ERR_NONE);
}

static void test_the_first_unstable_offset_is_that_of_the_oldest_open_one(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 3, 10);
    assert_true(unstable(fixture) == INT64_MAX);
    assert_int_equal(txn(fixture, 1, 0), 3);
    assert_int_equal(txn(fixture, 2, 0), 5);
    assert_int_equal(txn(fixture, 1, 2), 7);
    assert_int_equal(unstable(fixture), 3);
    end(fixture, 1, true); /* at 9; counts once the watermark is behind it */
    assert_int_equal(unstable(fixture), 3);
    log_decide_txns(fixture->log, 9);
    assert_int_equal(unstable(fixture), 3);
    log_decide_txns(fixture->log, 10);
    assert_int_equal(unstable(fixture), 5);
    assert_int_equal(txn(fixture, 1, 4), 10);
    end(fixture, 2, false); /* at 12 */
    end(fixture, 1, false); /* at 13 */
    assert_int_equal(unstable(fixture), 5);
    log_decide_txns(fixture->log, 13);
    assert_int_equal(unstable(fixture), 10);
    log_decide_txns(fixture->log, 14);
    assert_true(unstable(fixture) == INT64_MAX);
    end(fixture, 2, false); /* nothing was open */
    assert_true(unstable(fixture) == INT64_MAX);
}

/* Offsets: 1: 0-1, plain 2, 2: 3-4, abort of 1 at 5, commit of 2 at 6, 1: 7-8, abort at 9. */
static void fill(struct fixture *fixture)
{
    txn(fixture, 1, 0);
    append_many(fixture, 1, 10);
    txn(fixture, 2, 0);
    end(fixture, 1, false);
    end(fixture, 2, true);
    txn(fixture, 1, 2);
    end(fixture, 1, false);
}

static void check_filled(struct fixture *fixture)
{
    assert_string_equal(aborted(fixture, 0, 10), "1:0-5/3 1:7-9/10");
    assert_string_equal(aborted(fixture, 0, 1), "1:0-5/3");
    assert_string_equal(aborted(fixture, 0, 7), "1:0-5/3");
    assert_string_equal(aborted(fixture, 5, 8), "1:0-5/3 1:7-9/10");
    assert_string_equal(aborted(fixture, 6, 7), "");
    assert_string_equal(aborted(fixture, 6, 8), "1:7-9/10");
    assert_string_equal(aborted(fixture, 9, 10), "1:7-9/10");
    assert_string_equal(aborted(fixture, 10, 10), "");
}

static void test_aborted_transactions_are_told_by_range(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    fill(fixture);
    check_filled(fixture);
}

/* A fetch may have begun to read: it ends. */
static void test_a_deleted_log_tells_none(void **state)
{
    struct fixture *fixture = *state;
    struct aborted_txn *list;
    size_t count;
    fixture_open(fixture, NULL);
    fill(fixture);
    assert_int_equal(log_delete(fixture->log, &fixture->reason), ERR_NONE);
    assert_int_equal(log_aborted_txns(fixture->log, 0, 10, &list, &count, &fixture->reason),
                     ERR_CLOSED);
    assert_int_equal(count, 0);
}

/* Each batch in a segment of its own: transactions reach over segments. */
static void test_transactions_reach_over_segments(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 1;
    fixture_open(fixture, NULL);
    fill(fixture);
    check_filled(fixture);
    assert_int_equal(log_checkpoint(fixture->log, &fixture->state, &fixture->reason), ERR_NONE);
    assert_int_equal(size_of(file_of(fixture, 5, ".txnindex")), 38);
    assert_int_equal(size_of(file_of(fixture, 6, ".txnindex")), -1);
    check_filled(fixture);
    fixture_kill(fixture);
    fixture_open(fixture, &fixture->state);
    check_filled(fixture);
    /* A deleted segment takes its rows along. */
    assert_int_equal(log_set_start_offset(fixture->log, 6, &fixture->reason), ERR_NONE);
    assert_int_equal(size_of(file_of(fixture, 5, ".txnindex")), -1);
    assert_string_equal(aborted(fixture, 6, 10), "1:7-9/10");
}

static void test_rows_of_the_transaction_index_have_kafkas_layout_and_a_checksum(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    fill(fixture);
    fixture_close(fixture);
    const char *path = file_of(fixture, 0, ".txnindex");
    assert_int_equal(size_of(path), 76);
    FILE *file = fopen(path, "rb");
    uint8_t row[38];
    assert_int_equal(fread(row, 1, sizeof row, file), sizeof row);
    fclose(file);
    assert_int_equal(load_be16(row), 1);
    assert_int_equal(load_be64(row + 2), 1);
    assert_int_equal(load_be64(row + 10), 0);
    assert_int_equal(load_be64(row + 18), 5);
    assert_int_equal(load_be64(row + 26), 3);
    assert_int_equal(load_be32(row + 34), crc32c(0, row, 34));
}

static void test_transactions_outlive_restarts(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    fill(fixture);
    txn(fixture, 3, 0); /* 10-11, open */
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(fixture->recovery.scanned_bytes, 0);
    check_filled(fixture);
    assert_int_equal(unstable(fixture), 10);
    assert_int_equal(plain(fixture, 3, 0, 2, false, false), ERR_INVALID_TXN_STATE);
    end(fixture, 3, false); /* 12 */
    assert_int_equal(unstable(fixture), 10);
    assert_int_equal(txn(fixture, 4, 0), 13);
    fixture_kill(fixture);
    fixture->state.clean = false;
    fixture_open(fixture, &fixture->state); /* scans from the checkpoint */
    assert_true(fixture->recovery.scanned_bytes > 0);
    assert_string_equal(aborted(fixture, 6, 15), "1:7-9/10 3:10-12/13");
    assert_int_equal(unstable(fixture), 13); /* what was ended is on disk */
    fixture_kill(fixture);
    fixture_open(fixture, NULL); /* scans all */
    check_filled(fixture);
    assert_string_equal(aborted(fixture, 10, 15), "3:10-12/13");
    assert_int_equal(unstable(fixture), 13);
}

/* The segment that a clean start goes on in is finished like any other once it is rolled. */
static void test_a_segment_that_grew_after_a_clean_start_is_finished(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 1, 10);
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    txn(fixture, 1, 0);
    end(fixture, 1, false); /* 3 */
    fixture->config.segment_bytes = 1;
    log_set_config(fixture->log, &fixture->config);
    append_many(fixture, 2, 10);
    assert_int_equal(log_checkpoint(fixture->log, &fixture->state, &fixture->reason), ERR_NONE);
    assert_int_equal(size_of(file_of(fixture, 0, ".txnindex")), 38);
    fixture_kill(fixture);
    fixture_open(fixture, &fixture->state);
    assert_string_equal(aborted(fixture, 0, 5), "1:1-3/4");
}

/* Rows of what the crash took are not kept for what comes in its place. */
static void test_rows_of_a_torn_marker_are_not_kept(void **state)
{
    struct fixture *fixture = *state;
    struct log_state later;
    fixture_open(fixture, NULL);
    txn(fixture, 1, 0);
    assert_int_equal(log_checkpoint(fixture->log, &fixture->state, &fixture->reason), ERR_NONE);
    int64_t size = size_of(file_of(fixture, 0, ".log"));
    end(fixture, 1, false); /* 2 */
    assert_int_equal(log_checkpoint(fixture->log, &later, &fixture->reason), ERR_NONE);
    assert_int_equal(size_of(file_of(fixture, 0, ".txnindex")), 38);
    fixture_kill(fixture);
    cut_file(file_of(fixture, 0, ".log"), size); /* a disk that lied */
    fixture_open(fixture, &fixture->state);
    assert_string_equal(aborted(fixture, 0, 2), "");
    assert_int_equal(unstable(fixture), 0);
    end(fixture, 1, true);
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    assert_string_equal(aborted(fixture, 0, 3), "");
}

static void test_a_bad_transaction_index_is_made_anew(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 1;
    fixture_open(fixture, NULL);
    fill(fixture);
    fixture_close(fixture);
    fixture->state.idle_known = false; /* recover at once, so that the report says what was done */
    cut_file(file_of(fixture, 5, ".txnindex"), 30);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(fixture->recovery.rebuilt_indexes, 1);
    check_filled(fixture);
    assert_int_equal(size_of(file_of(fixture, 5, ".txnindex")), 38);
    fixture_kill(fixture);
    fixture->state.clean = false;
    for (int clean = 0; clean < 2; clean++) { /* whichever bit it is, and also after a clean stop */
        fixture->state.clean = clean != 0;
        for (int at = 0; at < 38; at++) {
            flip_byte(file_of(fixture, 5, ".txnindex"), at);
            fixture_open(fixture, &fixture->state);
            assert_int_equal(fixture->recovery.rebuilt_indexes, 1);
            check_filled(fixture);
            fixture_kill(fixture);
        }
    }
    fixture->state.clean = false;
    /* A leftover of a segment that is gone, where a segment may begin one day. */
    FILE *file = fopen(file_of(fixture, 10, ".txnindex"), "wb");
    assert_int_equal(fwrite("rubbish", 1, 7, file), 7);
    fclose(file);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(size_of(file_of(fixture, 10, ".txnindex")), -1);
    check_filled(fixture);
    fixture_kill(fixture);
    for (int64_t base = 0; base < 10; base++) {
        unlink(file_of(fixture, base, ".log"));
    }
    assert_int_equal(size_of(file_of(fixture, 5, ".txnindex")), 38);
    fixture_open(fixture, NULL); /* nothing is left but index files */
    assert_int_equal(size_of(file_of(fixture, 5, ".txnindex")), -1);
    append_many(fixture, 8, 10);
    assert_string_equal(aborted(fixture, 0, 8), "");
}

/* The rows of a file without checksums count, and get them. */
static void test_files_of_older_programs_are_taken_over(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    fill(fixture);
    fixture_close(fixture);
    uint8_t rows[2][38];
    FILE *file = fopen(file_of(fixture, 0, ".txnindex"), "r+b");
    assert_int_equal(fread(rows, 1, sizeof rows, file), sizeof rows);
    rewind(file);
    for (size_t i = 0; i < 2; i++) {
        rows[i][1] = 0;
        assert_int_equal(fwrite(rows[i], 1, 34, file), 34);
    }
    fclose(file);
    cut_file(file_of(fixture, 0, ".txnindex"), 68);
    fixture->state.idle_known = false;
    fixture_open(fixture, &fixture->state);
    check_filled(fixture);
    assert_int_equal(fixture->recovery.rebuilt_indexes, 0);
    assert_int_equal(size_of(file_of(fixture, 0, ".txnindex")), 76);
}

/* Rows that rot while the log is open are an error to who asks, not a transaction fewer. */
static void test_a_row_that_rots_while_it_is_served_is_told(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    fill(fixture);
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    check_filled(fixture);
    for (int at = 0; at < 38; at++) {
        struct aborted_txn *found;
        size_t count;
        flip_byte(file_of(fixture, 0, ".txnindex"), at);
        assert_int_equal(log_aborted_txns(fixture->log, 0, 10, &found, &count, &fixture->reason),
                         ERR_CORRUPT);
        flip_byte(file_of(fixture, 0, ".txnindex"), at);
    }
    check_filled(fixture);
}

/* Who deletes the index files of a log to have them made anew gets all of them. */
static void test_deleted_indexes_are_all_made_anew(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.index_interval_bytes = 100;
    fixture_open(fixture, NULL);
    fill(fixture);
    append_many(fixture, 20, 10);
    fixture_close(fixture);
    assert_int_equal(unlink(file_of(fixture, 0, ".index")), 0);
    assert_int_equal(unlink(file_of(fixture, 0, ".txnindex")), 0);
    fixture_open(fixture, &fixture->state);
    check_filled(fixture);
    assert_int_equal(size_of(file_of(fixture, 0, ".txnindex")), 76);
    fixture_kill(fixture);
    fixture->state.clean = false; /* after a crash too */
    assert_int_equal(unlink(file_of(fixture, 0, ".index")), 0);
    assert_int_equal(unlink(file_of(fixture, 0, ".txnindex")), 0);
    fixture_open(fixture, &fixture->state);
    check_filled(fixture);
}

/* What is open holds nothing back below the log's start, and ends as others do. */
static void test_the_start_may_pass_an_open_transaction(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 1;
    fixture_open(fixture, NULL);
    txn(fixture, 1, 0);
    append_many(fixture, 4, 10);
    assert_int_equal(log_flush(fixture->log, &fixture->reason), ERR_NONE);
    assert_int_equal(log_set_start_offset(fixture->log, 4, &fixture->reason), ERR_NONE);
    assert_int_equal(unstable(fixture), 4);
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(unstable(fixture), 4);
    end(fixture, 1, false);
    log_decide_txns(fixture->log, log_end_offset(fixture->log));
    assert_true(unstable(fixture) == INT64_MAX);
    assert_string_equal(aborted(fixture, 4, 7), "1:0-6/7");
}

static void test_open_transactions_do_not_expire(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    txn(fixture, 1, 0);
    fixture->now_ms += 2 * fixture->config.producer_expiration_ms;
    assert_int_equal(log_maintain(fixture->log, NULL), ERR_NONE);
    assert_int_equal(unstable(fixture), 0);
    assert_int_equal(plain(fixture, 1, 0, 2, false, false), ERR_INVALID_TXN_STATE);
}

/* Behind the last offset of the span's batches. */
static int64_t span_end(const struct file_span *span)
{
    uint8_t *bytes = mem_alloc(span->size);
    assert_int_equal(pread(span->fd, bytes, span->size, span->position), (ssize_t)span->size);
    struct slice rest = slice_of(bytes, span->size);
    int64_t end_offset = -1;
    while (rest.size > 0) {
        struct batch batch;
        assert_int_equal(batch_parse(rest, &batch, NULL), ERR_NONE);
        end_offset = batch_last_offset(&batch) + 1;
        rest = slice_of(rest.data + batch.bytes.size, rest.size - batch.bytes.size);
    }
    free(bytes);
    return end_offset;
}

static void test_a_read_gives_exactly_the_range(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.index_interval_bytes = 300;
    fixture->config.segment_bytes = 4000;
    fixture_open(fixture, NULL);
    append_many(fixture, 100, 10);
    for (int restarted = 0; restarted < 2; restarted++) {
        for (int64_t from = 0; from < 90; from++) {
            for (size_t most = 1; most < 3000; most += 170) {
                struct file_span span;
                struct log_range range = {.end_offset = -1};
                assert_int_equal(log_read_records(fixture->log, from, 90, most, true, &span, &range,
                                                  &fixture->reason),
                                 ERR_NONE);
                assert_int_equal(range.end_offset, span_end(&span));
                file_span_release(&span);
            }
        }
        fixture_close(fixture); /* positions are looked up in the index from here on */
        fixture_open(fixture, &fixture->state);
    }
}

/* Many rows, in the file and in memory, against the plain answer. */
static void test_many_rows_are_found_as_by_the_plain_way(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 40000;
    fixture_open(fixture, NULL);
    enum { TXNS = 700 };
    for (int32_t i = 0; i < TXNS; i++) {
        txn(fixture, 1, i * 2);
        end(fixture, 1, i % 2 != 0); /* the even ones are aborted: 3i to 3i+2 */
        if (i == TXNS / 2) {
            assert_int_equal(log_checkpoint(fixture->log, &fixture->state, NULL), ERR_NONE);
        }
    }
    for (int64_t from = 0; from < 3 * TXNS; from += 97) {
        for (int64_t to = from + 1; to < 3 * TXNS; to += 131) {
            struct aborted_txn *list;
            size_t count;
            size_t wanted = 0;
            assert_int_equal(log_aborted_txns(fixture->log, from, to, &list, &count, NULL),
                             ERR_NONE);
            for (int64_t i = 0; i < TXNS; i += 2) {
                if (3 * i < to && 3 * i + 2 >= from) {
                    assert_true(wanted < count);
                    assert_int_equal(list[wanted].first_offset, 3 * i);
                    wanted++;
                }
            }
            assert_int_equal(wanted, count);
            free(list);
        }
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

/* The marker of what is open in the only snapshot left may be deleted. */
static void test_the_marker_of_what_an_old_snapshot_has_open_may_be_deleted(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    fixture->config.segment_bytes = 1;
    fixture_open(fixture, NULL);
    txn(fixture, 1, 0); /* two records */
    assert_int_equal(log_checkpoint(fixture->log, &known, NULL), ERR_NONE);
    end(fixture, 1, false);
    append_many(fixture, 4, 10);
    assert_int_equal(log_checkpoint(fixture->log, &known, NULL), ERR_NONE);
    assert_int_equal(log_set_start_offset(fixture->log, 5, &fixture->reason), ERR_NONE);
    fixture_kill(fixture);
    for (int64_t at = 3; at <= 7; at++) {
        unlink(file_of(fixture, at, ".snapshot"));
    }
    assert_true(size_of(file_of(fixture, 2, ".snapshot")) > 0);
    fixture_open(fixture, &known);
    assert_int_equal(log_start_offset(fixture->log), 5);
    assert_true(unstable(fixture) == INT64_MAX);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_mix_within_a_transaction),
        TEST(test_a_marker_of_an_older_epoch_is_refused),
        TEST(test_the_first_unstable_offset_is_that_of_the_oldest_open_one),
        TEST(test_aborted_transactions_are_told_by_range),
        TEST(test_a_deleted_log_tells_none),
        TEST(test_transactions_reach_over_segments),
        TEST(test_rows_of_the_transaction_index_have_kafkas_layout_and_a_checksum),
        TEST(test_transactions_outlive_restarts),
        TEST(test_a_segment_that_grew_after_a_clean_start_is_finished),
        TEST(test_rows_of_a_torn_marker_are_not_kept),
        TEST(test_a_bad_transaction_index_is_made_anew),
        TEST(test_files_of_older_programs_are_taken_over),
        TEST(test_a_row_that_rots_while_it_is_served_is_told),
        TEST(test_deleted_indexes_are_all_made_anew),
        TEST(test_the_start_may_pass_an_open_transaction),
        TEST(test_the_marker_of_what_an_old_snapshot_has_open_may_be_deleted),
        TEST(test_open_transactions_do_not_expire),
        TEST(test_a_read_gives_exactly_the_range),
        TEST(test_many_rows_are_found_as_by_the_plain_way),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
