#include "base/mem.h"
#include "batch/batch.h"
#include "datadir/manifest.h"
#include "fuzz.h"
#include "wire/generated/group_metadata_key.h"
#include "wire/generated/group_metadata_value.h"
#include "wire/generated/offset_commit_key.h"
#include "wire/generated/offset_commit_value.h"
#include "wire/generated/transaction_log_key.h"
#include "wire/generated/transaction_log_value.h"

#include <stdio.h>
#include <stdlib.h>

/* How a seed is told. */
struct teller {
    void (*each)(void *context, struct slice seed);
    void *context;
};

static void tell(const struct teller *teller, uint8_t kind, struct slice bytes)
{
    struct buf seed = {0};
    buf_append_u8(&seed, kind);
    buf_append_slice(&seed, bytes);
    teller->each(teller->context, buf_slice(&seed));
    buf_deinit(&seed);
}

static void tell_record(const struct teller *teller, uint8_t kind, struct slice key,
                        struct slice value)
{
    struct buf seed = {0};
    buf_append_be16(&seed, (uint16_t)key.size);
    buf_append_slice(&seed, key);
    buf_append_slice(&seed, value);
    tell(teller, kind, buf_slice(&seed));
    buf_deinit(&seed);
}

static void tell_manifests(const struct teller *teller)
{
    for (int count = 0; count < 4; count++) {
        struct manifest manifest = {.cut_ms = 1700000000000};
        struct buf text = {0};
        struct buf lines = {0};
        snprintf(manifest.cluster_id, sizeof manifest.cluster_id, "abcdefghijklmnopqrstuv");
        for (int i = 0; i < count; i++) {
            struct manifest_file file = {
                .path = mem_sprintf("topics/t.x-%d/00000000000000000000.log", i),
                .size = 1000 * i,
                .crc = 0x1234abcd,
                .version = i,
                .inode = 77,
                .mtime_ns = 1700000000123456789,
                .damaged = i == 2,
            };
            manifest_add(&manifest, &file);
            manifest_encode_file(&file, &lines);
        }
        manifest_encode(&manifest, &text);
        tell(teller, 0, buf_slice(&text));
        tell(teller, 1, buf_slice(&lines));
        manifest_deinit(&manifest);
        buf_deinit(&text);
        buf_deinit(&lines);
    }
}

static void tell_batches(const struct teller *teller)
{
    struct buf bytes = {0};
    for (int i = 1; i < 4; i++) {
        struct batch_builder builder;
        batch_builder_init(&builder);
        for (int k = 0; k < i; k++) {
            batch_builder_add(&builder, 1700000000000, slice_str("key"), slice_str("value"), NULL,
                              0);
        }
        if (batch_builder_finish(&builder, &bytes, NULL) == ERR_NONE) {
            tell(teller, 2, buf_slice(&bytes));
        }
        batch_builder_deinit(&builder);
    }
    buf_deinit(&bytes);
}

static void tell_group_records(const struct teller *teller)
{
    struct buf key = {0};
    struct buf value = {0};
    struct wire_writer writer;
    struct offset_commit_key offset = {.group = slice_str("g"), .topic = slice_str("t")};
    wire_writer_init(&writer, &key);
    offset_commit_key_encode_versioned(&writer, 1, &offset);
    struct offset_commit_value commit = {.offset = 5, .metadata = slice_str("")};
    wire_writer_init(&writer, &value);
    offset_commit_value_encode_versioned(&writer, 3, &commit);
    tell_record(teller, 3, buf_slice(&key), buf_slice(&value));
    buf_clear(&key);
    buf_clear(&value);

    struct group_metadata_key group = {.group = slice_str("g")};
    wire_writer_init(&writer, &key);
    group_metadata_key_encode_versioned(&writer, 2, &group);
    struct group_metadata_value_member member = {
        .member_id = slice_str("m"),
        .client_id = slice_str("c"),
        .client_host = slice_str("h"),
        .subscription = slice_str("s"),
        .assignment = slice_str("a"),
    };
    struct group_metadata_value metadata = {
        .protocol_type = slice_str("consumer"), .members = &member, .members_count = 1};
    wire_writer_init(&writer, &value);
    group_metadata_value_encode_versioned(&writer, 3, &metadata);
    tell_record(teller, 3, buf_slice(&key), buf_slice(&value));
    tell_record(teller, 3, slice_of("\0\5\0\1g\0\1m", 8), slice_str("value"));
    buf_deinit(&key);
    buf_deinit(&value);
}

#define BYTES(text) slice_of(text, sizeof(text) - 1)
#define ID          "0123456789abcdef"

/* Of a KIP-848 group, one of each kind. */
static void tell_consumer_records(const struct teller *teller)
{
    tell_record(teller, 3, BYTES("\0\3\0\1g"), BYTES("\0\0\0\0\0\7\0"));
    tell_record(teller, 3, BYTES("\0\4\0\1g"), BYTES("\0\0\2" ID "\3in\0\0\0\4\1\0\0"));
    tell_record(teller, 3, BYTES("\0\5\0\1g\0\1m"),
                BYTES("\0\0\2i\2r\2c\2h\1\3i.\0\0\x03\xe8\x8uniform"
                      "\1\0\x0f\1\0\0\x07\xd0\2\6range\1\0\0"));
    tell_record(teller, 3, BYTES("\0\6\0\1g"), BYTES("\0\0\0\0\0\x8\0"));
    tell_record(teller, 3, BYTES("\0\7\0\1g\0\1m"), BYTES("\0\0\2" ID "\3\0\0\0\0\0\0\0\3\0\0"));
    tell_record(teller, 3, BYTES("\0\x8\0\1g\0\1m"),
                BYTES("\0\0\0\0\0\5\0\0\0\4\1\2" ID "\2\0\0\0\1\0\2" ID "\2\0\0\0\2\0\0"));
    tell_record(teller, 3, BYTES("\0\x10\0\1g\0\2i."),
                BYTES("\0\0\2\3in\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6\0"));
}

static void tell_txn_records(const struct teller *teller)
{
    struct buf key = {0};
    struct buf value = {0};
    struct wire_writer writer;
    struct transaction_log_key id = {.transactional_id = slice_str("txn")};
    wire_writer_init(&writer, &key);
    transaction_log_key_encode_versioned(&writer, 0, &id);
    int32_t partitions[] = {0, 3};
    struct transaction_log_value_topic topic = {
        .topic = slice_str("t"), .partition_ids = partitions, .partition_ids_count = 2};
    for (int16_t version = 0; version < 2; version++) {
        struct transaction_log_value txn;
        transaction_log_value_init(&txn);
        txn.producer_id = 7;
        txn.transaction_status = 1;
        txn.transaction_partitions = &topic;
        txn.transaction_partitions_count = 1;
        buf_clear(&value);
        wire_writer_init(&writer, &value);
        transaction_log_value_encode_versioned(&writer, version, &txn);
        tell_record(teller, 4, buf_slice(&key), buf_slice(&value));
    }
    tell_record(teller, 5, slice_of("\0\0\0\1", 4), slice_of("\0\0\0\0\0\3", 6));
    buf_deinit(&key);
    buf_deinit(&value);
}

void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context)
{
    (void)corpus_path; /* nothing kept yet */
    struct teller teller = {each, context};
    tell_manifests(&teller);
    tell_batches(&teller);
    tell_group_records(&teller);
    tell_consumer_records(&teller);
    tell_txn_records(&teller);
}
