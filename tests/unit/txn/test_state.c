#include "txn/txn.h"

#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>

/* Every state and every request, with the errors and changes of Kafka 4.1's coordinator. */

enum { PRODUCER = 7000, NEXT_PRODUCER = 8000, TIMEOUT_MS = 60000 };

static const struct txn_config config = {.max_timeout_ms = 900000, .expiration_ms = 604800000};
static const struct clock_time now = {.mono_ms = 500, .wall_ms = 1700000000500};

static struct txn_partition partition_of(const char *topic, int32_t index)
{
    return (struct txn_partition){slice_str(topic), index};
}

/* A transaction in this state, at epoch 5, with partition in-0 where the state has any. */
static struct txn *make(enum txn_state state, int16_t epoch)
{
    struct txn *txn = txn_new(slice_str("pay"), PRODUCER, &config, now);
    txn->fields.state = state;
    txn->fields.producer_epoch = epoch;
    txn->fields.timeout_ms = TIMEOUT_MS;
    txn->fields.started_wall_ms = state == TXN_EMPTY ? -1 : now.wall_ms;
    if (state == TXN_ONGOING || txn_is_prepared(txn)) {
        (void)txn_partitions_add(&txn->partitions, slice_str("in"), 0);
    }
    return txn;
}

static enum err init(const struct txn *txn, int64_t producer, int16_t epoch, int64_t fresh,
                     struct txn_change *change)
{
    struct txn_init_request request = {.timeout_ms = 1000,
                                       .producer_id = producer,
                                       .producer_epoch = epoch,
                                       .new_producer_id = fresh};
    struct reason reason;
    return txn_init(txn, &request, now, change, &reason);
}

static enum err add(const struct txn *txn, int64_t producer, int16_t epoch, const char *topic,
                    struct txn_change *change)
{
    static struct txn_partition partition;
    struct reason reason;
    partition = partition_of(topic, 0);
    return txn_add(txn, (struct txn_producer){producer, epoch}, TXN_VERSION_2, &partition, 1, now,
                   change, &reason);
}

static enum err end(const struct txn *txn, int64_t producer, int16_t epoch, bool commit,
                    int16_t version, int64_t fresh, struct txn_change *change)
{
    struct txn_end_request request = {.producer = {producer, epoch},
                                      .commit = commit,
                                      .version = version,
                                      .new_producer_id = fresh};
    struct reason reason;
    return txn_end(txn, &request, now, change, &reason);
}

/* ---- InitProducerId ---- */

static void test_init_aborts_what_is_open_and_waits_for_an_end_under_way(void **state)
{
    static const struct {
        enum txn_state from;
        enum err err;
        enum err answer;
        enum txn_state to;
        int16_t epoch;
    } rows[] = {
        {TXN_EMPTY, ERR_NONE, ERR_NONE, TXN_EMPTY, 6},
        {TXN_ONGOING, ERR_NONE, ERR_CONCURRENT_TXNS, TXN_PREPARE_ABORT, 6},
        {TXN_PREPARE_COMMIT, ERR_CONCURRENT_TXNS, ERR_NONE, TXN_EMPTY, 0},
        {TXN_PREPARE_ABORT, ERR_CONCURRENT_TXNS, ERR_NONE, TXN_EMPTY, 0},
        {TXN_COMPLETE_COMMIT, ERR_NONE, ERR_NONE, TXN_EMPTY, 6},
        {TXN_COMPLETE_ABORT, ERR_NONE, ERR_NONE, TXN_EMPTY, 6},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct txn *txn = make(rows[i].from, 5);
        struct txn_change change;
        assert_int_equal(init(txn, -1, -1, -1, &change), rows[i].err);
        assert_int_equal(change.store, rows[i].err == ERR_NONE);
        if (rows[i].err == ERR_NONE) {
            assert_int_equal(change.answer, rows[i].answer);
            assert_int_equal(change.fields.state, rows[i].to);
            assert_int_equal(change.fields.producer_epoch, rows[i].epoch);
            assert_int_equal(change.fields.producer_id, PRODUCER);
            txn_apply(txn, &change, &config, now);
            assert_int_equal(txn->partitions.count, rows[i].from == TXN_ONGOING ? 1 : 0);
        }
        txn_free(txn);
    }
}

static void test_the_first_init_begins_at_epoch_0(void **state)
{
    (void)state;
    struct txn *txn = make(TXN_EMPTY, -1);
    struct txn_change change;
    assert_int_equal(init(txn, -1, -1, -1, &change), ERR_NONE);
    assert_int_equal(change.producer_id, PRODUCER);
    assert_int_equal(change.producer_epoch, 0);
    assert_int_equal(change.fields.timeout_ms, 1000);
    txn_free(txn);
}

/* KIP-360: a producer that comes back with what it had. */
static void test_a_producer_that_comes_back_with_what_it_had_goes_on(void **state)
{
    (void)state;
    struct txn *txn = make(TXN_COMPLETE_ABORT, 5);
    struct txn_change change;
    assert_int_equal(init(txn, PRODUCER, 5, -1, &change), ERR_NONE);
    assert_int_equal(change.producer_epoch, 6);
    txn_apply(txn, &change, &config, now);
    /* The answer was lost: the same again gives the same. */
    assert_int_equal(init(txn, PRODUCER, 5, -1, &change), ERR_NONE);
    assert_int_equal(change.producer_epoch, 6);
    /* An older one is fenced, and so is a stranger. */
    assert_int_equal(init(txn, PRODUCER, 4, -1, &change), ERR_TXN_PRODUCER_FENCED);
    assert_int_equal(init(txn, PRODUCER + 1, 5, -1, &change), ERR_TXN_PRODUCER_FENCED);
    assert_false(change.store);
    /* After a new producer, the retry is fenced too. */
    assert_int_equal(init(txn, -1, -1, -1, &change), ERR_NONE);
    txn_apply(txn, &change, &config, now);
    assert_int_equal(init(txn, PRODUCER, 5, -1, &change), ERR_TXN_PRODUCER_FENCED);
    txn_free(txn);
}

static void test_used_up_epochs_give_a_new_producer_id(void **state)
{
    (void)state;
    struct txn *txn = make(TXN_COMPLETE_COMMIT, TXN_LAST_EPOCH);
    struct txn_change change;
    assert_int_equal(init(txn, -1, -1, -1, &change), ERR_AGAIN);
    assert_false(change.store);
    assert_int_equal(init(txn, PRODUCER, TXN_LAST_EPOCH - 1, NEXT_PRODUCER, &change),
                     ERR_TXN_PRODUCER_FENCED);
    assert_int_equal(init(txn, PRODUCER, TXN_LAST_EPOCH, NEXT_PRODUCER, &change), ERR_NONE);
    assert_int_equal(change.producer_id, NEXT_PRODUCER);
    assert_int_equal(change.producer_epoch, 0);
    txn_apply(txn, &change, &config, now);
    /* A retry with the old id gets the same answer. */
    assert_int_equal(init(txn, PRODUCER, TXN_LAST_EPOCH, -1, &change), ERR_NONE);
    assert_int_equal(change.producer_id, NEXT_PRODUCER);
    assert_int_equal(change.producer_epoch, 0);
    txn_free(txn);
}

static void test_fencing_reaches_the_last_epoch(void **state)
{
    (void)state;
    struct txn *txn = make(TXN_ONGOING, TXN_LAST_EPOCH);
    struct txn_change change;
    assert_int_equal(init(txn, -1, -1, -1, &change), ERR_NONE);
    assert_int_equal(change.fields.producer_epoch, INT16_MAX);
    txn_apply(txn, &change, &config, now);
    txn_complete(txn, now, &change);
    txn_apply(txn, &change, &config, now);
    /* That epoch is nobody's, also of whoever guesses it or tries the old one again. */
    assert_int_equal(add(txn, PRODUCER, INT16_MAX, "in", &change), ERR_TXN_PRODUCER_FENCED);
    assert_int_equal(end(txn, PRODUCER, INT16_MAX, false, TXN_VERSION_2, -1, &change),
                     ERR_TXN_PRODUCER_FENCED);
    assert_int_equal(end(txn, PRODUCER, TXN_LAST_EPOCH, false, TXN_VERSION_2, -1, &change),
                     ERR_TXN_PRODUCER_FENCED);
    assert_int_equal(init(txn, PRODUCER, TXN_LAST_EPOCH, -1, &change), ERR_AGAIN);
    assert_int_equal(init(txn, -1, -1, NEXT_PRODUCER, &change), ERR_NONE);
    assert_int_equal(change.producer_id, NEXT_PRODUCER);
    txn_free(txn);
}

static void test_a_time_out_is_positive_and_within_the_servers(void **state)
{
    (void)state;
    struct reason reason;
    assert_int_equal(txn_check_timeout(&config, 1, &reason), ERR_NONE);
    assert_int_equal(txn_check_timeout(&config, 900000, &reason), ERR_NONE);
    assert_int_equal(txn_check_timeout(&config, 900001, &reason), ERR_INVALID_TXN_TIMEOUT);
    assert_int_equal(txn_check_timeout(&config, 0, &reason), ERR_INVALID_TXN_TIMEOUT);
    assert_int_equal(txn_check_timeout(&config, -1, &reason), ERR_INVALID_TXN_TIMEOUT);
}

/* ---- adding ---- */

static void test_partitions_are_added_unless_an_end_is_under_way(void **state)
{
    static const struct {
        enum txn_state from;
        enum err err;
    } rows[] = {
        {TXN_EMPTY, ERR_NONE},
        {TXN_ONGOING, ERR_NONE},
        {TXN_PREPARE_COMMIT, ERR_CONCURRENT_TXNS},
        {TXN_PREPARE_ABORT, ERR_CONCURRENT_TXNS},
        {TXN_COMPLETE_COMMIT, ERR_NONE},
        {TXN_COMPLETE_ABORT, ERR_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct txn *txn = make(rows[i].from, 5);
        struct txn_change change;
        bool prepared = txn_is_prepared(txn);
        enum err mapping = prepared ? ERR_CONCURRENT_TXNS : ERR_PRODUCER_ID_MAPPING;
        enum err fenced = prepared ? ERR_CONCURRENT_TXNS : ERR_TXN_PRODUCER_FENCED;
        assert_int_equal(add(txn, PRODUCER + 1, 5, "out", &change), mapping);
        assert_int_equal(add(txn, PRODUCER, 4, "out", &change), fenced);
        assert_int_equal(add(txn, PRODUCER, 6, "out", &change), fenced);
        assert_false(change.store);
        assert_int_equal(add(txn, PRODUCER, 5, "out", &change), rows[i].err);
        if (rows[i].err == ERR_NONE) {
            assert_int_equal(change.fields.state, TXN_ONGOING);
            txn_apply(txn, &change, &config, now);
            assert_true(txn_partitions_has(&txn->partitions, slice_str("out"), 0));
            assert_int_equal(txn->partitions.count, rows[i].from == TXN_ONGOING ? 2 : 1);
            assert_int_equal(txn->deadline_ms, rows[i].from == TXN_ONGOING
                                                   ? now.mono_ms + config.expiration_ms
                                                   : now.mono_ms + TIMEOUT_MS);
        }
        txn_free(txn);
    }
}

static void test_adding_what_is_there_stores_nothing(void **state)
{
    (void)state;
    struct txn *txn = make(TXN_ONGOING, 5);
    struct txn_change change;
    assert_int_equal(add(txn, PRODUCER, 5, "in", &change), ERR_NONE);
    assert_false(change.store);
    txn_free(txn);
}

static void test_a_write_needs_the_current_producer_and_epoch(void **state)
{
    (void)state;
    for (int s = TXN_EMPTY; s <= TXN_COMPLETE_ABORT; s++) {
        struct txn *txn = make((enum txn_state)s, 5);
        struct reason reason;
        assert_int_equal(txn_verify(txn, (struct txn_producer){PRODUCER, 4}, &reason),
                         ERR_TXN_PRODUCER_FENCED);
        assert_non_null(strstr(reason.text, "'pay'"));
        assert_non_null(strstr(reason.text, "epoch 5"));
        assert_non_null(strstr(reason.text, "epoch 4"));
        assert_int_equal(txn_verify(txn, (struct txn_producer){PRODUCER + 1, 5}, &reason),
                         ERR_PRODUCER_ID_MAPPING);
        assert_int_equal(txn_verify(txn, (struct txn_producer){PRODUCER, 5}, &reason),
                         txn_is_prepared(txn) ? ERR_CONCURRENT_TXNS : ERR_NONE);
        txn_free(txn);
    }
}

/* ---- EndTxn ---- */

static void test_an_end_of_version_1_keeps_the_epoch(void **state)
{
    static const struct {
        enum txn_state from;
        bool commit;
        enum err err;
        bool store;
    } rows[] = {
        {TXN_EMPTY, true, ERR_INVALID_TXN_STATE, false},
        {TXN_EMPTY, false, ERR_INVALID_TXN_STATE, false},
        {TXN_ONGOING, true, ERR_NONE, true},
        {TXN_ONGOING, false, ERR_NONE, true},
        {TXN_PREPARE_COMMIT, true, ERR_CONCURRENT_TXNS, false},
        {TXN_PREPARE_COMMIT, false, ERR_CONCURRENT_TXNS, false},
        {TXN_PREPARE_ABORT, true, ERR_CONCURRENT_TXNS, false},
        {TXN_PREPARE_ABORT, false, ERR_CONCURRENT_TXNS, false},
        {TXN_COMPLETE_COMMIT, true, ERR_NONE, false},
        {TXN_COMPLETE_COMMIT, false, ERR_INVALID_TXN_STATE, false},
        {TXN_COMPLETE_ABORT, true, ERR_INVALID_TXN_STATE, false},
        {TXN_COMPLETE_ABORT, false, ERR_NONE, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct txn *txn = make(rows[i].from, 5);
        struct txn_change change;
        assert_int_equal(end(txn, PRODUCER, 4, rows[i].commit, TXN_VERSION_1, -1, &change),
                         ERR_TXN_PRODUCER_FENCED);
        assert_int_equal(end(txn, PRODUCER + 1, 5, rows[i].commit, TXN_VERSION_1, -1, &change),
                         ERR_PRODUCER_ID_MAPPING);
        assert_int_equal(end(txn, PRODUCER, 5, rows[i].commit, TXN_VERSION_1, -1, &change),
                         rows[i].err);
        assert_int_equal(change.store, rows[i].store);
        if (rows[i].store) {
            assert_int_equal(change.fields.state,
                             rows[i].commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
            assert_int_equal(change.fields.producer_epoch, 5);
        }
        txn_free(txn);
    }
}

static void test_an_end_of_version_2_raises_the_epoch(void **state)
{
    static const struct {
        enum txn_state from;
        bool retry;
        bool commit;
        enum err err;
        bool store;
    } rows[] = {
        {TXN_EMPTY, false, false, ERR_NONE, true},
        {TXN_EMPTY, false, true, ERR_INVALID_TXN_STATE, false},
        {TXN_EMPTY, true, false, ERR_TXN_PRODUCER_FENCED, false},
        {TXN_EMPTY, true, true, ERR_TXN_PRODUCER_FENCED, false},
        {TXN_ONGOING, false, true, ERR_NONE, true},
        {TXN_ONGOING, false, false, ERR_NONE, true},
        {TXN_ONGOING, true, true, ERR_TXN_PRODUCER_FENCED, false},
        {TXN_PREPARE_COMMIT, true, true, ERR_CONCURRENT_TXNS, false},
        {TXN_PREPARE_COMMIT, false, false, ERR_CONCURRENT_TXNS, false},
        {TXN_PREPARE_ABORT, true, false, ERR_CONCURRENT_TXNS, false},
        {TXN_COMPLETE_ABORT, true, false, ERR_NONE, false},
        {TXN_COMPLETE_ABORT, true, true, ERR_INVALID_TXN_STATE, false},
        {TXN_COMPLETE_ABORT, false, false, ERR_NONE, true},
        {TXN_COMPLETE_ABORT, false, true, ERR_INVALID_TXN_STATE, false},
        {TXN_COMPLETE_COMMIT, true, true, ERR_NONE, false},
        {TXN_COMPLETE_COMMIT, true, false, ERR_INVALID_TXN_STATE, false},
        {TXN_COMPLETE_COMMIT, false, false, ERR_NONE, true},
        {TXN_COMPLETE_COMMIT, false, true, ERR_INVALID_TXN_STATE, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct txn *txn = make(rows[i].from, 5);
        struct txn_change change;
        int16_t epoch = rows[i].retry ? 4 : 5;
        assert_int_equal(end(txn, PRODUCER, epoch, rows[i].commit, TXN_VERSION_2, -1, &change),
                         rows[i].err);
        assert_int_equal(change.store, rows[i].store);
        if (rows[i].store) {
            assert_int_equal(change.fields.state,
                             rows[i].commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
            assert_int_equal(change.fields.producer_epoch, 6);
            assert_int_equal(change.fields.last_producer_epoch, 5);
            assert_true(change.fields.started_wall_ms >= 0);
            assert_int_equal(change.producer_epoch, 6);
        } else if (rows[i].err == ERR_NONE) {
            assert_int_equal(change.producer_epoch, 5); /* what the lost answer said */
        }
        txn_free(txn);
    }
}

static void test_an_end_of_version_2_at_the_last_epoch_changes_the_id(void **state)
{
    (void)state;
    struct txn *txn = make(TXN_ONGOING, TXN_LAST_EPOCH);
    struct txn_change change;
    assert_int_equal(end(txn, PRODUCER, TXN_LAST_EPOCH, true, TXN_VERSION_2, -1, &change),
                     ERR_AGAIN);
    assert_int_equal(
        end(txn, PRODUCER, TXN_LAST_EPOCH, true, TXN_VERSION_2, NEXT_PRODUCER, &change), ERR_NONE);
    assert_int_equal(change.producer_id, NEXT_PRODUCER);
    assert_int_equal(change.producer_epoch, 0);
    assert_int_equal(change.fields.producer_id, PRODUCER); /* the markers' */
    assert_int_equal(change.fields.producer_epoch, INT16_MAX);
    txn_apply(txn, &change, &config, now);
    /* The client may begin with the new id, before it is in force. */
    assert_int_equal(add(txn, NEXT_PRODUCER, 0, "in", &change), ERR_CONCURRENT_TXNS);
    txn_complete(txn, now, &change);
    txn_apply(txn, &change, &config, now);
    assert_int_equal(txn->fields.producer_id, NEXT_PRODUCER);
    assert_int_equal(txn->fields.producer_epoch, 0);
    assert_int_equal(txn->fields.next_producer_id, -1);
    /* The answer was lost: the retry with the old id is told the new one. */
    assert_int_equal(end(txn, PRODUCER, TXN_LAST_EPOCH, true, TXN_VERSION_2, -1, &change),
                     ERR_NONE);
    assert_false(change.store);
    assert_int_equal(change.producer_id, NEXT_PRODUCER);
    assert_int_equal(add(txn, NEXT_PRODUCER, 0, "in", &change), ERR_NONE);
    txn_free(txn);
}

static void test_a_complete_transaction_has_no_partitions(void **state)
{
    (void)state;
    for (int commit = 0; commit <= 1; commit++) {
        struct txn *txn = make(commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT, 5);
        struct txn_change change;
        txn_complete(txn, now, &change);
        txn_apply(txn, &change, &config, now);
        assert_int_equal(txn->fields.state, commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
        assert_int_equal(txn->partitions.count, 0);
        assert_int_equal(txn->deadline_ms, now.mono_ms + config.expiration_ms);
        txn_free(txn);
    }
}

/* ---- time ---- */

static void test_time_out_fences_the_zombie(void **state)
{
    (void)state;
    struct txn *txn = make(TXN_ONGOING, 5);
    struct txn_change change;
    txn_fence(txn, now, &change);
    txn_apply(txn, &change, &config, now);
    assert_int_equal(txn->fields.state, TXN_PREPARE_ABORT);
    assert_int_equal(txn->fields.producer_epoch, 6);
    assert_int_equal(txn->deadline_ms, INT64_MAX);
    txn_complete(txn, now, &change);
    txn_apply(txn, &change, &config, now);
    assert_int_equal(end(txn, PRODUCER, 5, true, TXN_VERSION_1, -1, &change),
                     ERR_TXN_PRODUCER_FENCED);
    assert_int_equal(add(txn, PRODUCER, 5, "in", &change), ERR_TXN_PRODUCER_FENCED);
    txn_free(txn);
}

/* However the wall clock jumps, a restart leaves no more than a whole time-out and no less than
 * none. */
static void test_clock_jumps_over_a_restart_keep_the_time_out_within_bounds(void **state)
{
    static const struct {
        int64_t later_ms;
        int64_t left_ms;
    } rows[] = {{0, TIMEOUT_MS},
                {20000, TIMEOUT_MS - 20000},
                {TIMEOUT_MS, 0},
                {INT64_C(86400000) * 365, 0},
                {-INT64_C(86400000) * 365, TIMEOUT_MS}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct txn *txn = make(TXN_COMPLETE_ABORT, 5);
        struct txn_change change;
        struct buf key = {0};
        struct buf value = {0};
        assert_int_equal(add(txn, PRODUCER, 5, "in", &change), ERR_NONE);
        txn_record_write(txn, &change, &key, &value);
        struct txn *again = txn_new(slice_str("pay"), 0, &config, now);
        struct clock_time later = {.mono_ms = 9000, .wall_ms = now.wall_ms + rows[i].later_ms};
        assert_int_equal(txn_record_apply(again, buf_slice(&value), &config, later), ERR_NONE);
        assert_int_equal(again->fields.state, TXN_ONGOING);
        assert_int_equal(again->deadline_ms, 9000 + rows[i].left_ms);
        buf_deinit(&key);
        buf_deinit(&value);
        txn_free(again);
        txn_free(txn);
    }
}

/* A damaged record may say that it began at any time at all. */
static void test_times_that_cannot_be_are_survived(void **state)
{
    static const int64_t starts[][2] = {{INT64_MIN, 0}, {INT64_MAX, TIMEOUT_MS}};
    struct clock_time later = {.mono_ms = 9000, .wall_ms = INT64_C(1700000000000)};
    struct clock_time before = {.mono_ms = 9000, .wall_ms = -2};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct txn *txn = make(TXN_COMPLETE_ABORT, 5);
        struct txn_change change;
        struct buf key = {0};
        struct buf value = {0};
        assert_int_equal(add(txn, PRODUCER, 5, "in", &change), ERR_NONE);
        change.fields.started_wall_ms = starts[i][0];
        txn_record_write(txn, &change, &key, &value);
        struct txn *again = txn_new(slice_str("pay"), 0, &config, now);
        assert_int_equal(
            txn_record_apply(again, buf_slice(&value), &config, i == 0 ? later : before), ERR_NONE);
        assert_int_equal(again->deadline_ms, 9000 + starts[i][1]);
        buf_deinit(&key);
        buf_deinit(&value);
        txn_free(again);
        txn_free(txn);
    }
}

static void test_more_partitions_give_no_more_time(void **state)
{
    (void)state;
    struct txn *txn = make(TXN_EMPTY, 5);
    struct txn_change change;
    assert_int_equal(add(txn, PRODUCER, 5, "in", &change), ERR_NONE);
    txn_apply(txn, &change, &config, now);
    assert_int_equal(add(txn, PRODUCER, 5, "out", &change), ERR_NONE);
    txn_apply(txn, &change, &config, (struct clock_time){now.mono_ms + 50000, now.wall_ms - 50000});
    assert_int_equal(txn->deadline_ms, now.mono_ms + TIMEOUT_MS);
    txn_free(txn);
}

/* ---- what logs show ---- */

static void test_what_logs_show_is_known_adopted_or_an_orphan(void **state)
{
    (void)state;
    static const struct {
        enum txn_state from;
        const char *topic;
        int64_t producer;
        int16_t epoch;
        enum txn_claim claim;
        int raises; /* the change's epoch; 0: no change */
    } rows[] = {
        {TXN_ONGOING, "in", PRODUCER, 5, TXN_CLAIM_KNOWN, 0},
        {TXN_ONGOING, "out", PRODUCER, 5, TXN_CLAIM_ADOPT, 5},
        {TXN_EMPTY, "out", PRODUCER, 5, TXN_CLAIM_ADOPT, 5},
        {TXN_COMPLETE_COMMIT, "out", PRODUCER, 5, TXN_CLAIM_ADOPT, 5},
        {TXN_COMPLETE_ABORT, "out", PRODUCER, 5, TXN_CLAIM_ADOPT, 5},
        {TXN_PREPARE_COMMIT, "in", PRODUCER, 5, TXN_CLAIM_KNOWN, 0},
        {TXN_PREPARE_COMMIT, "out", PRODUCER, 5, TXN_CLAIM_ORPHAN, 0},
        {TXN_PREPARE_ABORT, "in", PRODUCER, 4, TXN_CLAIM_KNOWN, 0},
        {TXN_ONGOING, "in", PRODUCER, 4, TXN_CLAIM_ORPHAN, 0},
        {TXN_EMPTY, "in", PRODUCER, 4, TXN_CLAIM_ORPHAN, 0},
        {TXN_COMPLETE_COMMIT, "in", PRODUCER, 6, TXN_CLAIM_ORPHAN, 6},
        {TXN_ONGOING, "in", PRODUCER + 1, 5, TXN_CLAIM_ORPHAN, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct txn *txn = make(rows[i].from, 5);
        struct txn_partition partition = partition_of(rows[i].topic, 0);
        struct txn_change change;
        assert_int_equal(txn_claim(txn, (struct txn_producer){rows[i].producer, rows[i].epoch},
                                   &partition, now, &change),
                         rows[i].claim);
        assert_int_equal(change.store, rows[i].raises != 0);
        if (change.store) {
            assert_int_equal(change.fields.producer_epoch, rows[i].raises);
            txn_apply(txn, &change, &config, now);
            assert_int_equal(txn_partitions_has(&txn->partitions, slice_str("out"), 0),
                             rows[i].claim == TXN_CLAIM_ADOPT);
        }
        txn_free(txn);
    }
}

/* ---- records ---- */

static void test_bad_records_change_nothing(void **state)
{
    (void)state;
    struct txn *txn = make(TXN_EMPTY, 5);
    struct slice id;
    assert_int_equal(txn_record_key_read(slice_str(""), &id), ERR_CORRUPT);
    assert_int_equal(txn_record_key_read(slice_of("\0\0\0\5ab", 6), &id), ERR_CORRUPT);
    assert_int_equal(txn_record_key_read(slice_of("\0\7xx", 4), &id), ERR_NONE);
    assert_true(slice_is_null(id)); /* another kind */
    assert_int_equal(txn_record_key_read(slice_of("\0\0\0\2ab", 6), &id), ERR_NONE);
    assert_true(slice_equal_str(id, "ab"));
    assert_int_not_equal(txn_record_apply(txn, slice_of("\0\0\1", 3), &config, now), ERR_NONE);
    assert_int_not_equal(txn_record_apply(txn, slice_of("\0\7\1", 3), &config, now), ERR_NONE);
    assert_int_equal(txn->fields.producer_epoch, 5);
    txn_free(txn);
}

static void test_names_of_states_are_kafkas(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TXN_STATE_COUNT; i++) {
        enum txn_state parsed;
        assert_true(txn_state_parse(slice_str(txn_state_name((enum txn_state)i)), &parsed));
        assert_int_equal(parsed, i);
    }
    enum txn_state parsed;
    assert_false(txn_state_parse(slice_str("ongoing"), &parsed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_aborts_what_is_open_and_waits_for_an_end_under_way),
        cmocka_unit_test(test_the_first_init_begins_at_epoch_0),
        cmocka_unit_test(test_a_producer_that_comes_back_with_what_it_had_goes_on),
        cmocka_unit_test(test_used_up_epochs_give_a_new_producer_id),
        cmocka_unit_test(test_fencing_reaches_the_last_epoch),
        cmocka_unit_test(test_a_time_out_is_positive_and_within_the_servers),
        cmocka_unit_test(test_partitions_are_added_unless_an_end_is_under_way),
        cmocka_unit_test(test_adding_what_is_there_stores_nothing),
        cmocka_unit_test(test_a_write_needs_the_current_producer_and_epoch),
        cmocka_unit_test(test_an_end_of_version_1_keeps_the_epoch),
        cmocka_unit_test(test_an_end_of_version_2_raises_the_epoch),
        cmocka_unit_test(test_an_end_of_version_2_at_the_last_epoch_changes_the_id),
        cmocka_unit_test(test_a_complete_transaction_has_no_partitions),
        cmocka_unit_test(test_time_out_fences_the_zombie),
        cmocka_unit_test(test_clock_jumps_over_a_restart_keep_the_time_out_within_bounds),
        cmocka_unit_test(test_times_that_cannot_be_are_survived),
        cmocka_unit_test(test_more_partitions_give_no_more_time),
        cmocka_unit_test(test_what_logs_show_is_known_adopted_or_an_orphan),
        cmocka_unit_test(test_bad_records_change_nothing),
        cmocka_unit_test(test_names_of_states_are_kafkas),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
