#ifndef TIDINGS_TESTS_BATCH_VECTORS_H
#define TIDINGS_TESTS_BATCH_VECTORS_H

#include "base/buf.h"
#include "batch/batch.h"

/*
 * The same three records in every codec, written by Kafka's Java client 3.9.1
 * (MemoryRecords.withIdempotentRecords), producer id 4000, epoch 2, base sequence 17:
 *   1700000000000 "k1" -> "value one value one value one", headers ce_type=OrderPlaced, n=null
 *   1700000000005 "k2" -> null
 *   1699999999000 null -> "third"
 */
#define VECTOR_HEAD_TAIL                                                                           \
    "000000020000018bcfe568000000018bcfe568050000000000000fa000020000001100000003"

static const char *const java_batches[] = {
    [BATCH_COMPRESSION_NONE] =
        "000000000000000000000084ffffffff0296cd45fc0000" VECTOR_HEAD_TAIL
        "78000000046b313a76616c7565206f6e652076616c7565206f6e652076616c7565206f6e65040e63655f747970"
        "65164f72646572506c61636564026e0110000a02046b3201001800cf0f04010a746869726400",
    [BATCH_COMPRESSION_GZIP] =
        "000000000000000000000087ffffffff02cce3f9060001" VECTOR_HEAD_TAIL
        "1f8b08000000000000ffab60606060c936b42a4bcc294d55c8cf4b55c0c262e14b4e8d2fa92c4815f32f4a492d"
        "0ac8494c4e4d61ca631460e06262c9366264906038cfcfc2c85592915994c200009bc9e71953000000",
    [BATCH_COMPRESSION_SNAPPY] =
        "00000000000000000000008bffffffff0231992acf0002" VECTOR_HEAD_TAIL
        "82534e4150505900000000010000000100000046534478000000046b313a76616c7565206f6e65204a0a00b404"
        "0e63655f74797065164f72646572506c61636564026e0110000a02046b3201001800cf0f04010a74686972640"
        "0",
    [BATCH_COMPRESSION_LZ4] =
        "000000000000000000000087ffffffff0254c2716a0003" VECTOR_HEAD_TAIL
        "04224d1860408247000000ff0378000000046b313a76616c7565206f6e65200a0000f01f040e63655f74797065"
        "164f72646572506c61636564026e0110000a02046b3201001800cf0f04010a74686972640000000000",
    [BATCH_COMPRESSION_ZSTD] =
        "000000000000000000000084ffffffff02b3e1e1d90004" VECTOR_HEAD_TAIL
        "28b52ffd00583c0200040478000000046b313a76616c7565206f6e6520040e63655f74797065164f7264657250"
        "6c61636564026e0110000a02046b3201001800cf0f04010a74686972640001009a9430010000",
};
enum { JAVA_BATCH_COUNT = sizeof java_batches / sizeof java_batches[0] };

static inline uint8_t hex_digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static inline struct buf from_hex(const char *hex)
{
    struct buf bytes = {0};
    for (; *hex != '\0'; hex += 2) {
        buf_append_u8(&bytes, (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1])));
    }
    return bytes;
}

/* Adds the three records above. */
static inline void add_vector_records(struct batch_builder *builder)
{
    const struct record_header headers[] = {
        {slice_str("ce_type"), slice_str("OrderPlaced")},
        {slice_str("n"), slice_str(NULL)},
    };
    builder->producer_id = 4000;
    builder->producer_epoch = 2;
    builder->base_sequence = 17;
    batch_builder_add(builder, 1700000000000, slice_str("k1"),
                      slice_str("value one value one value one"), headers, 2);
    batch_builder_add(builder, 1700000000005, slice_str("k2"), slice_str(NULL), NULL, 0);
    batch_builder_add(builder, 1699999999000, slice_str(NULL), slice_str("third"), NULL, 0);
}

#endif
