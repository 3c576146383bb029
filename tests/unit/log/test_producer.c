#include "../unit.h"
#include "log_fixture.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "log/producer_state.h"

#include <stdlib.h>

/* Idempotent producers: sequence rules, duplicates, epochs, snapshots. */

static enum err send(struct fixture *fixture, int32_t sequence, int32_t records,
                     struct log_append *append)
{
    struct batch_spec spec = {
        .records = records, .timestamp = 1000, .producer_id = 7, .epoch = 2, .sequence = sequence};
    return append_spec(fixture, &spec, append);
}

static enum err send_epoch(struct fixture *fixture, int16_t epoch, int32_t sequence)
{
    struct log_append append;
    struct batch_spec spec = {
        .timestamp = 1000, .producer_id = 7, .epoch = epoch, .sequence = sequence};
    return append_spec(fixture, &spec, &append);
}

static void test_the_last_five_batches_are_known_as_duplicates(void **state)
{
    struct fixture *fixture = *state;
    struct log_append append;
    fixture_open(fixture, NULL);
    for (int32_t i = 0; i < 6; i++) {
        assert_int_equal(send(fixture, i * 3, 3, &append), ERR_NONE);
    }
    for (int32_t i = 1; i < 6; i++) { /* the last five are known */
        assert_int_equal(send(fixture, i * 3, 3, &append), ERR_DUPLICATE_SEQUENCE);
        assert_int_equal(append.base_offset, i * 3);
        assert_int_equal(append.end_offset, i * 3 + 3);
    }
    assert_int_equal(send(fixture, 0, 3, &append), ERR_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(send(fixture, 3, 2, &append), ERR_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(send(fixture, 19, 1, &append), ERR_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(log_end_offset(fixture->log), 18);
}

static void test_an_older_epoch_is_fenced_and_a_newer_one_begins_at_0(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    assert_int_equal(send_epoch(fixture, 2, 40), ERR_NONE); /* unknown: any sequence */
    assert_int_equal(send_epoch(fixture, 1, 41), ERR_PRODUCER_FENCED);
    assert_int_equal(send_epoch(fixture, 3, 41), ERR_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(send_epoch(fixture, 3, 0), ERR_NONE);
    assert_int_equal(send_epoch(fixture, 3, 1), ERR_NONE);
    assert_int_equal(send_epoch(fixture, 2, 41), ERR_PRODUCER_FENCED);
}

static void test_the_sequence_wraps_to_0(void **state)
{
    struct fixture *fixture = *state;
    struct log_append append;
    fixture_open(fixture, NULL);
    assert_int_equal(send(fixture, INT32_MAX - 1, 3, &append), ERR_NONE); /* MAX-1, MAX, 0 */
    assert_int_equal(send(fixture, INT32_MAX - 1, 3, &append), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(append.base_offset, 0);
    assert_int_equal(send(fixture, 1, 1, &append), ERR_NONE);
    assert_int_equal(producer_sequence_add(INT32_MAX, 1), 0);
}

static void test_producers_are_known_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    struct log_append append;
    fixture_open(fixture, NULL);
    for (int32_t i = 0; i < 5; i++) {
        assert_int_equal(send(fixture, i, 1, &append), ERR_NONE);
    }
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state); /* from the snapshot: all five are known */
    assert_int_equal(fixture->recovery.scanned_bytes, 0);
    for (int32_t i = 0; i < 5; i++) {
        assert_int_equal(send(fixture, i, 1, &append), ERR_DUPLICATE_SEQUENCE);
        assert_int_equal(append.base_offset, i);
    }
    fixture_kill(fixture);
    fixture_open(fixture, NULL); /* from the batches */
    assert_int_equal(send(fixture, 4, 1, &append), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(send(fixture, 5, 1, &append), ERR_NONE);
    fixture_kill(fixture);
    fixture->state.clean = false;
    flip_byte(file_of(fixture, 5, ".snapshot"), 20); /* a bad snapshot is not believed */
    fixture_open(fixture, &fixture->state);
    assert_int_equal(send(fixture, 5, 1, &append), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(send(fixture, 2, 1, &append), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(send(fixture, 6, 1, &append), ERR_NONE);
}

static void test_a_silent_producer_expires(void **state)
{
    struct fixture *fixture = *state;
    struct log_append append;
    fixture_open(fixture, NULL);
    assert_int_equal(send(fixture, 0, 1, &append), ERR_NONE);
    fixture->now_ms += fixture->config.producer_expiration_ms - 1;
    assert_int_equal(log_maintain(fixture->log, NULL), ERR_NONE);
    assert_int_equal(send(fixture, 9, 1, &append), ERR_OUT_OF_ORDER_SEQUENCE);
    fixture->now_ms += 1;
    assert_int_equal(log_maintain(fixture->log, NULL), ERR_NONE);
    assert_int_equal(send(fixture, 9, 1, &append), ERR_NONE);
}

/* ---- memory ---- */

static enum err send_as(struct fixture *fixture, int64_t producer_id, int32_t sequence,
                        bool transactional)
{
    struct log_append append;
    struct batch_spec spec = {.timestamp = 1000,
                              .producer_id = producer_id,
                              .sequence = sequence,
                              .transactional = transactional};
    return append_spec(fixture, &spec, &append);
}

/* A share in which one log may have four producers; the first of them has a transaction open. */
static void fill(struct fixture *fixture)
{
    fixture->budget.shares[BUDGET_PRODUCERS].limit_bytes =
        PRODUCER_LOG_PART * (int64_t)(PRODUCER_COST + 3 * mem_cost(sizeof(struct producer_entry)));
    fixture_open(fixture, NULL);
    for (int64_t id = 1; id <= 4; id++) {
        assert_int_equal(send_as(fixture, id, 0, id == 1), ERR_NONE);
        fixture->now_ms++;
    }
}

static void test_a_producer_too_many_is_refused_and_the_others_go_on(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    int64_t used = fixture->budget.shares[BUDGET_PRODUCERS].bytes;
    int64_t end = log_end_offset(fixture->log);
    assert_int_equal(send_as(fixture, 5, 0, false), ERR_LIMIT);
    assert_int_equal(log_end_offset(fixture->log), end);
    assert_int_equal(fixture->budget.shares[BUDGET_PRODUCERS].bytes, used);
    assert_int_equal(send_as(fixture, 4, 1, false), ERR_NONE);
    assert_int_equal(send_as(fixture, 4, 1, false), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(send_as(fixture, 0, 0, false), ERR_NONE); /* no producer id: as ever */
}

static void test_the_producer_that_is_idle_for_longest_makes_room(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    int64_t used = fixture->budget.shares[BUDGET_PRODUCERS].bytes;
    assert_int_equal(send_as(fixture, 2, 1, false), ERR_NONE); /* 3 is the oldest without one */
    fixture->now_ms += PRODUCER_SPARED_MS - 3;
    assert_int_equal(send_as(fixture, 5, 0, false), ERR_LIMIT);
    fixture->now_ms++;
    assert_int_equal(send_as(fixture, 5, 0, false), ERR_NONE);
    assert_int_equal(send_as(fixture, 2, 1, false), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(send_as(fixture, 6, 0, false), ERR_LIMIT);
    assert_int_equal(send_as(fixture, 1, 1, true), ERR_NONE); /* its transaction goes on */
    assert_int_equal(fixture->budget.shares[BUDGET_PRODUCERS].bytes, used);
}

static void test_upkeep_forgets_idle_producers_early_when_the_share_is_nearly_full(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    int64_t used = fixture->budget.shares[BUDGET_PRODUCERS].bytes;
    fixture->now_ms += PRODUCER_SPARED_MS;
    assert_int_equal(log_maintain(fixture->log, NULL), ERR_NONE);
    assert_int_equal(fixture->budget.shares[BUDGET_PRODUCERS].bytes, used);
    fixture->budget.shares[BUDGET_PRODUCERS].limit_bytes = used;
    assert_int_equal(log_maintain(fixture->log, NULL), ERR_NONE);
    assert_int_equal(fixture->budget.shares[BUDGET_PRODUCERS].bytes, PRODUCER_COST);
    assert_int_equal(send_as(fixture, 1, 1, true), ERR_NONE);
}

static void test_producers_of_a_start_are_kept_though_they_are_too_many(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    int64_t used = fixture->budget.shares[BUDGET_PRODUCERS].bytes;
    fixture_close(fixture);
    fixture->budget.shares[BUDGET_PRODUCERS].limit_bytes = 1;
    fixture_open(fixture, &fixture->state);
    assert_int_equal(fixture->budget.shares[BUDGET_PRODUCERS].bytes, used);
    assert_int_equal(send_as(fixture, 4, 0, false), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(send_as(fixture, 5, 0, false), ERR_LIMIT);
}

/* The file as Kafka's ProducerSnapshot.json lays it out. */
static void test_a_snapshot_has_kafkas_layout(void **state)
{
    (void)state;
    struct producer_state producers = {.changes = 0};
    struct batch batch = {.producer_id = 77,
                          .producer_epoch = 3,
                          .base_sequence = 10,
                          .last_offset_delta = 4,
                          .base_offset = 1000,
                          .max_timestamp = 5555};
    producer_update(&producers, &batch, 1);
    batch.attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    batch.base_sequence = 15;
    batch.base_offset = 1005;
    producer_update(&producers, &batch, 1);
    struct buf file = {0};
    producer_snapshot_encode(&producers, &file);
    const uint8_t *at = file.data;
    assert_int_equal(load_be16(at), 1);
    assert_int_equal(load_be32(at + 2), crc32c(0, at + 6, file.size - 6));
    assert_int_equal(load_be32(at + 6), 1);
    assert_int_equal(load_be64(at + 10), 77);
    assert_int_equal(load_be16(at + 18), 3);
    assert_int_equal(load_be32(at + 20), 19);   /* last sequence */
    assert_int_equal(load_be64(at + 24), 1009); /* last offset */
    assert_int_equal(load_be32(at + 32), 4);    /* offset delta */
    assert_int_equal(load_be64(at + 36), 5555);
    assert_int_equal(load_be32(at + 44), UINT32_MAX); /* coordinator epoch */
    assert_int_equal(load_be64(at + 48), 1005);       /* the open transaction's first offset */
    struct producer_state again = {.changes = 0};
    assert_int_equal(producer_snapshot_decode(&again, buf_slice(&file), 1, NULL), ERR_NONE);
    const struct producer_entry *entry = producer_find(&again, 77);
    assert_non_null(entry);
    assert_int_equal(entry->batch_count, 2);
    assert_int_equal(entry->batches[0].last_offset, 1004);
    assert_int_equal(entry->txn_first_offset, 1005);
    for (size_t cut = 0; cut < file.size; cut++) {
        assert_int_not_equal(producer_snapshot_decode(&again, slice_of(file.data, cut), 1, NULL),
                             ERR_NONE);
    }
    producer_state_deinit(&again);
    producer_state_deinit(&producers);
    buf_deinit(&file);
}

/* A COMMIT marker of a newer epoch ends the transaction and fences the older one. */
static void test_a_marker_of_a_newer_epoch_fences_the_older(void **state)
{
    (void)state;
    struct producer_state producers = {.changes = 0};
    struct batch batch = {.producer_id = 5,
                          .producer_epoch = 1,
                          .attributes = BATCH_ATTRIBUTE_TRANSACTIONAL,
                          .base_offset = 10};
    producer_update(&producers, &batch, 1);
    assert_int_equal(producer_find(&producers, 5)->txn_first_offset, 10);
    static const uint8_t key[] = {0, 0, 0, 1};
    static const uint8_t value[] = {0, 0, 0, 0, 0, 9};
    struct batch_builder builder;
    struct buf bytes = {0};
    batch_builder_init(&builder);
    builder.producer_id = 5;
    builder.producer_epoch = 2;
    builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL;
    batch_builder_add(&builder, 1, slice_of(key, 4), slice_of(value, 6), NULL, 0);
    assert_int_equal(batch_builder_finish(&builder, &bytes, NULL), ERR_NONE);
    batch_builder_deinit(&builder);
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    struct producer_txn ended;
    assert_true(producer_apply(&producers, &batch, 2, &ended));
    const struct producer_entry *entry = producer_find(&producers, 5);
    assert_int_equal(entry->txn_first_offset, -1);
    assert_int_equal(entry->epoch, 2);
    assert_int_equal(entry->coordinator_epoch, 9);
    assert_int_equal(entry->batch_count, 0);
    buf_deinit(&bytes);
    producer_state_deinit(&producers);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_producer_too_many_is_refused_and_the_others_go_on,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_producer_that_is_idle_for_longest_makes_room,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_upkeep_forgets_idle_producers_early_when_the_share_is_nearly_full, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(test_producers_of_a_start_are_kept_though_they_are_too_many,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_last_five_batches_are_known_as_duplicates,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_older_epoch_is_fenced_and_a_newer_one_begins_at_0,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_sequence_wraps_to_0, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_producers_are_known_after_a_restart, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_silent_producer_expires, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test(test_a_snapshot_has_kafkas_layout),
        cmocka_unit_test(test_a_marker_of_a_newer_epoch_fences_the_older),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
