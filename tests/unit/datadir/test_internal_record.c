#include "../unit.h"

#include "datadir/internal_record.h"

#include <stdio.h>
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

static void test_an_offset_commit_is_told(void **state)
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

static void test_deleted_and_broken_group_records_are_told(void **state)
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

#define ID      "\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xff"
#define ID_TEXT "AAECAwQFBgcICQoLDA0O_w"

/* Their values, and whatever is cut off or too long is not read in part. */
static void expect_consumer(struct slice key, struct slice value, const char *head,
                            const char *fields)
{
    char text[512];
    (void)snprintf(text, sizeof text, "{%s,%s}", head, fields);
    expect(internal_group_record(key, value), text);
    (void)snprintf(text, sizeof text, "{%s,\"error\":\"the value cannot be read\"}", head);
    for (size_t size = 0; size < value.size; size++) {
        expect(internal_group_record(key, slice_of(value.data, size)), text);
    }
}

static void test_pieces_of_a_consumer_group_are_told(void **state)
{
    (void)state;
    expect_consumer(BYTES("\0\3\0\1g"), BYTES("\0\0\0\0\0\7\0"),
                    "\"kind\":\"consumer-group-metadata\",\"group\":\"g\"", "\"epoch\":7");
    expect_consumer(BYTES("\0\4\0\1g"), BYTES("\0\0\2" ID "\3in\0\0\0\4\1\0\0"),
                    "\"kind\":\"consumer-group-partition-metadata\",\"group\":\"g\"",
                    "\"topics\":[{\"topic_id\":\"" ID_TEXT
                    "\",\"topic\":\"in\",\"partitions\":4}]");
    expect_consumer(BYTES("\0\6\0\1g"), BYTES("\0\0\0\0\0\x8\0"),
                    "\"kind\":\"consumer-group-target-assignment\",\"group\":\"g\"",
                    "\"assignment_epoch\":8");
    expect_consumer(BYTES("\0\x10\0\1g\0\2i."),
                    BYTES("\0\0\2\3in\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6\0"),
                    "\"kind\":\"consumer-group-regular-expression\",\"group\":\"g\","
                    "\"pattern\":\"i.\"",
                    "\"topics\":[\"in\"],\"version\":5,\"timestamp\":6");
}

static void test_a_member_of_a_consumer_group_is_told(void **state)
{
    (void)state;
    struct slice key = BYTES("\0\5\0\1g\0\1m");
    const char *head = "\"kind\":\"consumer-group-member\",\"group\":\"g\",\"member\":\"m\"";
    expect_consumer(key, BYTES("\0\0\0\0\2c\2h\2\3in\0\0\0\x03\xe8\0\0"), head,
                    "\"client_id\":\"c\",\"client_host\":\"h\",\"topics\":[\"in\"],"
                    "\"rebalance_timeout_ms\":1000");
    expect_consumer(key,
                    BYTES("\0\0\2i\2r\2c\2h\1\3i.\0\0\x03\xe8\x8uniform"
                          "\1\0\x0f\1\0\0\x07\xd0\2\6range\1\0\0"),
                    head,
                    "\"group_instance_id\":\"i\",\"rack_id\":\"r\",\"client_id\":\"c\","
                    "\"client_host\":\"h\",\"topics\":[],\"pattern\":\"i.\","
                    "\"rebalance_timeout_ms\":1000,\"assignor\":\"uniform\","
                    "\"classic\":{\"session_timeout_ms\":2000,\"protocols\":[\"range\"]}");
}

static void test_assignments_are_told(void **state)
{
    (void)state;
    expect_consumer(BYTES("\0\7\0\1g\0\1m"), BYTES("\0\0\2" ID "\3\0\0\0\0\0\0\0\3\0\0"),
                    "\"kind\":\"consumer-group-target-assignment-member\",\"group\":\"g\","
                    "\"member\":\"m\"",
                    "\"partitions\":[{\"topic_id\":\"" ID_TEXT "\",\"partitions\":[0,3]}]");
    expect_consumer(BYTES("\0\x8\0\1g\0\1m"),
                    BYTES("\0\0\0\0\0\5\0\0\0\4\1\2" ID "\2\0\0\0\1\0\2" ID "\2\0\0\0\2\0\0"),
                    "\"kind\":\"consumer-group-current-assignment\",\"group\":\"g\","
                    "\"member\":\"m\"",
                    "\"member_epoch\":5,\"previous_member_epoch\":4,"
                    "\"state\":\"UnrevokedPartitions\","
                    "\"assigned\":[{\"topic_id\":\"" ID_TEXT "\",\"partitions\":[1]}],"
                    "\"revoking\":[{\"topic_id\":\"" ID_TEXT "\",\"partitions\":[2]}]");
}

static void test_a_transaction_is_told(void **state)
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

static void test_a_marker_is_told(void **state)
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_offset_commit_is_told),
        cmocka_unit_test(test_deleted_and_broken_group_records_are_told),
        cmocka_unit_test(test_pieces_of_a_consumer_group_are_told),
        cmocka_unit_test(test_a_member_of_a_consumer_group_is_told),
        cmocka_unit_test(test_assignments_are_told),
        cmocka_unit_test(test_a_transaction_is_told),
        cmocka_unit_test(test_a_marker_is_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
