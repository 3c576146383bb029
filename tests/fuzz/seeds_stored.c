#include "base/mem.h"
#include "batch/batch.h"
#include "fuzz.h"
#include "log/producer_state.h"

#include <stdlib.h>

/* Snapshots of none to a few producers with one to six batches each. */
void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context)
{
    (void)corpus_path; /* nothing kept yet */
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
