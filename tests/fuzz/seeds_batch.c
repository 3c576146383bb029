#include "base/mem.h"
#include "batch/batch.h"
#include "batch/compression.h"
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

/* One batch of each codec and size; the byte in front chooses whether its CRC is mended. */
void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context)
{
    (void)corpus_path; /* nothing kept yet: the seeds below reach every branch */
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
