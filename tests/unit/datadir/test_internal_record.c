/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datadir/internal_record.h"

#include <stdlib.h>

/* What the server's own records say, byte for byte as Kafka lays them out. */

#define BYTES(text) slice_of(text, sizeof(text) - 1)

static void expect(json_t *json, const char *text)
{
    char *found = json_dumps(json, JSON_COMPACT);
    assert_string_equal(found, text);
    free(found);
    json_decref(json);
}

static void test_offset_commit(void **state)
{
    (void)state;
    struct slice key = BYTES("\0\1\0\1g\0\2in\0\0\0\3");
    expect(internal_record("__consumer_offsets", key,
                           BYTES("\0\3\0\0\0\0\0\0\1\0\xff\xff\xff\xff\0\4note\0\0\0\0\0\0\0\7")),
           "{\"kind\":\"offset-commit\",\"group\":\"g\",\"topic\":\"in\",\"partition\":3,"
           "\"offset\":256,\"leader_epoch\":-1,\"metadata\":\"note\",\"commit_timestamp\":7}");
    expect(internal_record("__consumer_offsets", key, (struct slice){0}),
           "{\"kind\":\"offset-commit\",\"group\":\"g\",\"topic\":\"in\",\"partition\":3,"
           "\"deleted\":true}");
    expect(internal_record("__consumer_offsets", key, BYTES("\0\3\0\0")),
           "{\"kind\":\"offset-commit\",\"group\":\"g\",\"topic\":\"in\",\"partition\":3,"
           "\"error\":\"the value cannot be read\"}");
}

static void test_groups(void **state)
{
    (void)state;
    expect(internal_group_record(BYTES("\0\2\0\1g"), (struct slice){0}),
           "{\"kind\":\"group-metadata\",\"group\":\"g\",\"deleted\":true}");
    expect(internal_group_record(BYTES("\0\5\0\1g\0\1m"), (struct slice){0}),
           "{\"kind\":\"consumer-group-member\",\"group\":\"g\",\"member\":\"m\","
           "\"deleted\":true}");
    expect(internal_group_record(BYTES("\0\5\0\1g\0\2m"), (struct slice){0}),
           "{\"kind\":\"consumer-group-member\",\"group\":\"g\","
           "\"error\":\"the key cannot be read\",\"deleted\":true}");
    expect(internal_group_record(BYTES("\0\x63"), (struct slice){0}),
           "{\"kind\":\"unknown\",\"key_version\":99}");
    expect(internal_group_record((struct slice){0}, (struct slice){0}),
           "{\"kind\":\"unknown\",\"key_version\":-1}");
}

static void test_transaction(void **state)
{
    (void)state;
    expect(internal_record("__transaction_state", BYTES("\0\0\0\3txn"),
                           BYTES("\0\0"             /* version */
                                 "\0\0\0\0\0\0\0\7" /* producer id */
                                 "\0\2"             /* epoch */
                                 "\0\0\x03\xe8"     /* time-out */
                                 "\1"               /* Ongoing */
                                 "\0\0\0\1\0\1t\0\0\0\2\0\0\0\0\0\0\0\3"
                                 "\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x09")),
           "{\"kind\":\"transaction\",\"transactional_id\":\"txn\",\"producer_id\":7,"
           "\"producer_epoch\":2,\"state\":\"Ongoing\",\"timeout_ms\":1000,"
           "\"start_timestamp\":9,\"update_timestamp\":10,\"transaction_version\":0,"
           "\"partitions\":[{\"topic\":\"t\",\"partitions\":[0,3]}]}");
}

static void test_marker(void **state)
{
    (void)state;
    expect(internal_control_record(BYTES("\0\0\0\1"), BYTES("\0\0\0\0\0\3")),
           "{\"kind\":\"marker\",\"type\":\"commit\",\"coordinator_epoch\":3}");
    expect(internal_control_record(BYTES("\0\0\0\0"), BYTES("\0\0\0\0\0\3")),
           "{\"kind\":\"marker\",\"type\":\"abort\",\"coordinator_epoch\":3}");
    expect(internal_control_record(BYTES("\0\0"), (struct slice){0}),
           "{\"kind\":\"marker\",\"error\":\"the key cannot be read\"}");
    assert_null(internal_record("orders", BYTES("\0\1"), BYTES("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offset_commit),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_transaction),
        cmocka_unit_test(test_marker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
