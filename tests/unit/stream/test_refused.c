#include "../unit.h"
#include "stream_fixture.h"

#include "batch/batch.h"
#include "topic/topic.h"

#include <string.h>

/* What is not appended, or not acknowledged, though it is well formed. */

static struct produce_item produce(struct fixture *fixture, struct buf *batch)
{
    struct produce_item item = {.partition = topic_partition(fixture->topic, 0)};
    produce_take(&item, buf_slice(batch));
    produce_append(&item, 1700000000000);
    return item;
}

static void test_a_transactional_batch_outside_of_a_transaction_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct buf bytes = make_batch(7, 0, 10);
    struct batch batch;
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, &fixture->reason), ERR_NONE);
    batch.attributes |= BATCH_ATTRIBUTE_TRANSACTIONAL;
    batch_renew_crc(&batch);
    batch_header_store(&batch, bytes.data);
    struct produce_item item = produce(fixture, &bytes);
    assert_int_equal(item.err, ERR_INVALID_TXN_STATE);
    assert_non_null(strstr(item.reason.text, "transaction"));
    assert_int_equal(log_end_offset(item.partition->log), 0);
    buf_deinit(&bytes);
}

static void test_an_event_for_a_deleted_topic_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct buf bytes = make_batch(-1, 0, 10);
    pthread_mutex_lock(&fixture->sync_lock); /* the first event does not reach the disk in time */
    struct produce_item first = produce(fixture, &bytes);
    assert_int_equal(first.err, ERR_NONE);
    assert_int_equal(catalogue_delete(fixture->catalogue, fixture->topic, &fixture->reason),
                     ERR_NONE);
    produce_settle(&first);
    assert_int_equal(first.err, ERR_NOT_FOUND);
    assert_non_null(strstr(first.reason.text, "deleted"));
    assert_int_equal(produce(fixture, &bytes).err, ERR_NOT_FOUND);
    pthread_mutex_unlock(&fixture->sync_lock);
    buf_deinit(&bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_transactional_batch_outside_of_a_transaction_is_refused, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_event_for_a_deleted_topic_is_refused, fixture_setup,
                                        fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
