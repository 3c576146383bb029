#include "fuzz.h"
#include "txn/txn.h"

#include <stdlib.h>

static const struct txn_config config = {.max_timeout_ms = 900000, .expiration_ms = 604800000};
static const struct clock_time now = {.mono_ms = 1000, .wall_ms = 1700000000000};

/* A record of each stored state, at a first, a middle, the last and the fencing epoch. */
void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context)
{
    static const int16_t epochs[] = {0, 77, TXN_LAST_EPOCH, INT16_MAX};
    (void)corpus_path; /* nothing kept yet */
    for (int state = TXN_EMPTY; state <= TXN_COMPLETE_ABORT; state++) {
        for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++) {
            struct txn *txn = txn_new(slice_str("pay"), 4000, &config, now);
            struct txn_partition added[] = {
                {slice_str("a"), 0}, {slice_str("a"), 7}, {slice_str("__consumer_offsets"), 3}};
            struct txn_change change = {.store = true, .fields = txn->fields};
            bool open = state >= TXN_ONGOING && state <= TXN_PREPARE_ABORT;
            change.fields.state = (enum txn_state)state;
            change.fields.producer_epoch = epochs[i];
            change.fields.timeout_ms = 60000;
            change.fields.started_wall_ms = state == TXN_EMPTY ? -1 : now.wall_ms;
            change.added = added;
            change.added_count = open ? 3 : 0;
            struct buf key = {0};
            struct buf value = {0};
            struct buf seed = {0};
            txn_record_write(txn, &change, &key, &value);
            buf_append_be16(&seed, (uint16_t)key.size);
            buf_append_slice(&seed, buf_slice(&key));
            buf_append_slice(&seed, buf_slice(&value));
            each(context, buf_slice(&seed));
            buf_deinit(&key);
            buf_deinit(&value);
            buf_deinit(&seed);
            txn_free(txn);
        }
    }
}
