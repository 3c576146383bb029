#include "base/mem.h"
#include "batch/batch.h"
#include "fuzz.h"
#include "log/producer_state.h"
#include "log/txn_index.h"

#include <stdlib.h>

/* Ranges over three aborted transactions. */
static void seed_rows(void (*each)(void *context, struct slice seed), void *context)
{
    for (int64_t to = 5; to < 60; to += 20) {
        struct index index;
        struct buf seed = {0};
        index_init(&index, INDEX_ABORTS);
        for (int64_t i = 0; i < 3; i++) {
            struct aborted_txn txn = {.producer_id = i,
                                      .first_offset = 15 * i,
                                      .last_offset = 15 * i + 10,
                                      .last_stable_offset = 15 * i + 5};
            txn_index_add(&index, &txn);
        }
        buf_append_be64(&seed, 3);
        buf_append_be64(&seed, (uint64_t)to);
        buf_append_slice(&seed, buf_slice(&index.tail));
        each(context, buf_slice(&seed));
        index_deinit(&index);
        buf_deinit(&seed);
    }
}

/* Snapshots of none to a few producers with one to six batches each. */
void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context)
{
    (void)corpus_path; /* nothing kept yet */
    seed_rows(each, context);
    for (int producers = 0; producers < 4; producers++) {
        struct producer_state state = {0};
        struct buf seed = {0};
        for (int i = 0; i < 6 * producers; i++) {
            struct batch batch = {.base_offset = 10 * i,
                                  .last_offset_delta = 9,
                                  .producer_id = i % producers,
                                  .producer_epoch = 1,
                                  .base_sequence = i / producers * 10,
                                  .max_timestamp = 1700000000 + i,
                                  .record_count = 10};
            producer_update(&state, &batch, 1700000000);
        }
        producer_snapshot_encode(&state, &seed);
        each(context, buf_slice(&seed));
        producer_state_deinit(&state);
        buf_deinit(&seed);
    }
}
