/*
 * Records of __transaction_state: a key, then a value. What is accepted encodes and decodes again
 * to the same, and takes every request without breaking a rule of the state machine.
 */
#include "base/bytes.h"
#include "fuzz.h"
#include "txn/txn.h"

#include <stdio.h>
#include <stdlib.h>

static const struct txn_config config = {.max_timeout_ms = 900000, .expiration_ms = 604800000};
static const struct clock_time now = {.mono_ms = 1000, .wall_ms = 1700000000000};

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "txn: %s\n", what);
        abort();
    }
}

static struct txn *read_value(struct slice value)
{
    struct txn *txn = txn_new(slice_str("id"), 1, &config, now);
    if (txn_record_apply(txn, value, &config, now) != ERR_NONE) {
        txn_free(txn);
        return NULL;
    }
    return txn;
}

static void write_again(const struct txn *txn)
{
    struct txn_change same = {.store = true, .fields = txn->fields};
    struct buf key = {0};
    struct buf value = {0};
    txn_record_write(txn, &same, &key, &value);
    struct txn *again = read_value(buf_slice(&value));
    must(again != NULL, "own encoding is not understood");
    must(again->fields.state == txn->fields.state, "another state");
    must(again->fields.producer_epoch == txn->fields.producer_epoch, "another epoch");
    must(again->partitions.count == txn->partitions.count, "other partitions");
    txn_free(again);
    buf_deinit(&key);
    buf_deinit(&value);
}

static void apply(struct txn *txn, const struct txn_change *change, enum err err)
{
    if (err == ERR_NONE && change->store) {
        txn_apply(txn, change, &config, now);
    }
}

static void ask(struct txn *txn)
{
    struct txn_change change;
    struct reason reason;
    struct txn_producer producer = {txn->fields.producer_id, txn->fields.producer_epoch};
    struct txn_partition partition = {slice_str("t"), 0};
    apply(txn, &change,
          txn_add(txn, producer, TXN_VERSION_2, &partition, 1, now, &change, &reason));
    struct txn_end_request end = {
        .producer = producer, .commit = true, .version = TXN_VERSION_2, .new_producer_id = 9};
    apply(txn, &change, txn_end(txn, &end, now, &change, &reason));
    if (txn->fields.state == TXN_ONGOING) {
        txn_fence(txn, now, &change);
        apply(txn, &change, ERR_NONE);
    }
    if (txn_is_prepared(txn)) {
        txn_complete(txn, now, &change);
        apply(txn, &change, ERR_NONE);
    }
    struct txn_init_request init = {
        .timeout_ms = 1000, .producer_id = -1, .producer_epoch = -1, .new_producer_id = 10};
    must(txn_init(txn, &init, now, &change, &reason) == ERR_NONE, "no new producer can begin");
    apply(txn, &change, ERR_NONE);
    must(txn->fields.producer_epoch >= 0 && txn->fields.producer_epoch <= TXN_LAST_EPOCH,
         "an epoch that must not be given out");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice id;
    if (size < 2) {
        return 0;
    }
    size_t key_size = load_be16(data) < size - 2 ? load_be16(data) : size - 2;
    (void)!txn_record_key_read(slice_of(data + 2, key_size), &id);
    struct txn *txn = read_value(slice_of(data + 2 + key_size, size - 2 - key_size));
    if (txn != NULL) {
        write_again(txn);
        ask(txn);
        txn_free(txn);
    }
    return 0;
}
