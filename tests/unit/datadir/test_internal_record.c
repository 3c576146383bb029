#include "../unit.h"

#include "datadir/internal_record.h"
#include "wire/codec.h"
#include "wire/record.h"

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
    expect(internal_record("__consumer_offsets", BYTES("\0\2\0\1g"), (struct slice){0}),
           "{\"kind\":\"group-metadata\",\"group\":\"g\",\"deleted\":true}");
    expect(internal_record("__consumer_offsets", BYTES("\0\5\0\1g\0\1m"), (struct slice){0}),
           "{\"kind\":\"consumer-group-member\",\"group\":\"g\",\"member\":\"m\","
           "\"deleted\":true}");
    expect(internal_record("__consumer_offsets", BYTES("\0\5\0\1g\0\2m"), (struct slice){0}),
           "{\"kind\":\"consumer-group-member\",\"group\":\"g\","
           "\"error\":\"the key cannot be read\",\"deleted\":true}");
    expect(internal_record("__consumer_offsets", BYTES("\0\x63"), (struct slice){0}),
           "{\"kind\":\"unknown\",\"key_version\":99}");
    expect(internal_record("__consumer_offsets", (struct slice){0}, (struct slice){0}),
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
    expect(internal_record("__consumer_offsets", key, value), text);
    (void)snprintf(text, sizeof text, "{%s,\"error\":\"the value cannot be read\"}", head);
    for (size_t size = 0; size < value.size; size++) {
        expect(internal_record("__consumer_offsets", key, slice_of(value.data, size)), text);
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
           "\"producer_epoch\":2,\"timeout_ms\":1000,\"state\":\"Ongoing\","
           "\"partitions\":[{\"topic\":\"t\",\"partitions\":[0,3]}],"
           "\"update_timestamp\":10,\"start_timestamp\":9,\"transaction_version\":0}");
}

static void test_a_version_that_is_not_known_is_told(void **state)
{
    (void)state;
    expect(internal_record("__consumer_offsets", BYTES("\0\3\0\1g"), BYTES("\0\1\0\0\0\7\0")),
           "{\"kind\":\"consumer-group-metadata\",\"group\":\"g\","
           "\"error\":\"version 1 of the value is not known\"}");
    expect(internal_record("__consumer_offsets", BYTES("\0\3\0\1g"), BYTES("\xff\xff")),
           "{\"kind\":\"consumer-group-metadata\",\"group\":\"g\","
           "\"error\":\"version -1 of the value is not known\"}");
    expect(internal_record("__transaction_state", BYTES("\0\1\0\1t"), BYTES("\0\0")),
           "{\"kind\":\"unknown\",\"key_version\":1}");
    expect(internal_record("__consumer_offsets", BYTES("\0\x8\0\1g\0\1m"),
                           BYTES("\0\0\0\0\0\5\0\0\0\4\7\1\1\0")),
           "{\"kind\":\"consumer-group-current-assignment\",\"group\":\"g\",\"member\":\"m\","
           "\"member_epoch\":5,\"previous_member_epoch\":4,\"state\":\"unknown (7)\","
           "\"assigned\":[],\"revoking\":[]}");
}

static const struct wire_codec *codec_of(const struct wire_record_part *part)
{
    for (int i = 0; i < wire_codecs_count; i++) {
        if (strcmp(wire_codecs[i].name, part->name) == 0) {
            return &wire_codecs[i];
        }
    }
    fail_msg("no codec of %s", part->name);
    return NULL;
}

/* The part with its defaults, in the version. */
static struct buf encoded(const struct wire_record_part *part, int16_t version)
{
    const struct wire_codec *codec = codec_of(part);
    void *fields = calloc(1, codec->struct_bytes);
    struct buf bytes = {0};
    struct wire_writer writer;
    codec->init(fields);
    wire_writer_init(&writer, &bytes);
    wire_write_int16(&writer, version);
    codec->encode(&writer, version, fields);
    assert_int_equal(writer.err, ERR_NONE);
    free(fields);
    return bytes;
}

static void expect_fields(const json_t *json, const struct wire_shape *shape)
{
    for (int i = 0; i < shape->count; i++) {
        const struct wire_field *field = &shape->fields[i];
        if (!field->left_out && json_object_get(json, field->shown) == NULL) {
            fail_msg("there is no %s", field->shown);
        }
    }
}

static void test_each_kind_is_told_with_its_fields_in_each_version(void **state)
{
    (void)state;
    assert_true(wire_record_kinds_count >= 10);
    for (int i = 0; i < wire_record_kinds_count; i++) {
        const struct wire_record_kind *kind = &wire_record_kinds[i];
        struct buf key = encoded(&kind->key, kind->key.highest_version);
        for (int version = 0; version <= kind->value.highest_version; version++) {
            struct buf value = encoded(&kind->value, (int16_t)version);
            json_t *json = internal_record(kind->topic, buf_slice(&key), buf_slice(&value));
            assert_string_equal(json_string_value(json_object_get(json, "kind")), kind->kind);
            assert_null(json_object_get(json, "error"));
            expect_fields(json, kind->key.shape);
            expect_fields(json, kind->value.shape);
            json_decref(json);
            buf_deinit(&value);
        }
        buf_deinit(&key);
    }
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
        cmocka_unit_test(test_a_version_that_is_not_known_is_told),
        cmocka_unit_test(test_each_kind_is_told_with_its_fields_in_each_version),
        cmocka_unit_test(test_a_marker_is_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
