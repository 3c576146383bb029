#include "base/mem.h"
#include "batch/batch.h"
#include "datadir/manifest.h"
#include "fill.h"
#include "fuzz.h"
#include "wire/codec.h"
#include "wire/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int number_of(const char *name)
{
    int number = 0;
    while (strcmp(wire_codecs[number].name, name) != 0) {
        number++;
    }
    return number;
}

static void fill_part(struct buf *to, const char *name, int version, uint64_t seed)
{
    buf_clear(to);
    buf_append_be16(to, (uint16_t)version);
    fill_message(number_of(name), (int16_t)version, seed, to);
}

/* Each kind of record in each version, with its defaults and filled. */
static void tell_records(const struct teller *teller)
{
    struct buf key = {0};
    struct buf value = {0};
    for (int i = 0; i < wire_record_kinds_count; i++) {
        const struct wire_record_kind *kind = &wire_record_kinds[i];
        uint8_t first_byte = strcmp(kind->topic, "__transaction_state") == 0 ? 4 : 3;
        for (int version = kind->value.lowest_version; version <= kind->value.highest_version;
             version++) {
            for (uint64_t seed = 0; seed < 3; seed++) {
                fill_part(&key, kind->key.name, kind->key.highest_version, seed);
                fill_part(&value, kind->value.name, version, seed);
                tell_record(teller, first_byte, buf_slice(&key), buf_slice(&value));
            }
        }
    }
    tell_record(teller, 3, slice_of("\0\5\0\1g\0\1m", 8), slice_str("value"));
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
    tell_records(&teller);
}
