#include "base/mem.h"
#include "batch/batch.h"
#include "batch/compression.h"
#include "batch/marker.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

static void add_records(struct batch_builder *builder, int records)
{
    struct record_header header = {.key = slice_str("ce_type"), .value = slice_str("OrderPlaced")};
    for (int i = 0; i < records; i++) {
        char value[32];
        snprintf(value, sizeof value, "event %d of %d", i, records);
        batch_builder_add(builder, 1700000000 + i, i % 3 ? slice_str("key") : (struct slice){0},
                          i % 4 ? slice_str(value) : (struct slice){0}, &header, i % 2);
    }
}

/* Both ends of a transaction; their CRCs are mended after each mutation. */
static void seed_markers(void (*each)(void *context, struct slice seed), void *context)
{
    for (int commit = 0; commit < 2; commit++) {
        struct batch_marker marker = {.producer_id = 7, .commit = commit != 0};
        struct buf seed = {0};
        struct buf batch = {0};
        batch_marker_build(&marker, 1700000000, &batch);
        buf_append_u8(&seed, 1);
        buf_append_slice(&seed, buf_slice(&batch));
        each(context, buf_slice(&seed));
        buf_deinit(&batch);
        buf_deinit(&seed);
    }
}

/* One batch of each codec and size; the byte in front chooses whether its CRC is mended. */
void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context)
{
    (void)corpus_path; /* nothing kept yet: the seeds below reach every branch */
    seed_markers(each, context);
    static const int sizes[] = {1, 2, 20};
    for (int codec = BATCH_COMPRESSION_NONE; codec <= BATCH_COMPRESSION_ZSTD; codec++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct batch_builder builder;
            struct buf seed = {0};
            struct reason reason;
            batch_builder_init(&builder);
            builder.compression = (enum batch_compression)codec;
            builder.producer_id = i == 1 ? 7 : -1;
            builder.producer_epoch = i == 1 ? 0 : -1;
            builder.base_sequence = i == 1 ? 0 : -1;
            add_records(&builder, sizes[i]);
            buf_append_u8(&seed, (uint8_t)(i + (size_t)codec));
            if (batch_builder_finish(&builder, &seed, &reason) != ERR_NONE) {
                fprintf(stderr, "%s\n", reason.text);
                abort();
            }
            each(context, buf_slice(&seed));
            batch_builder_deinit(&builder);
            buf_deinit(&seed);
        }
    }
}
