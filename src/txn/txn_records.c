#include "txn/txn.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "wire/generated/transaction_log_key.h"
#include "wire/generated/transaction_log_value.h"

#include <assert.h>
#include <stdlib.h>

/* The version that Kafka writes with transaction.version 2; 0, of older ones, is read too. */
enum { KEY_VERSION = 0, VALUE_VERSION = 1 };

/* ---- writing ---- */

static void write_key(const struct txn *txn, struct buf *to)
{
    struct transaction_log_key key = {.transactional_id = txn->id};
    struct wire_writer writer;
    wire_writer_init(&writer, to);
    transaction_log_key_encode_versioned(&writer, KEY_VERSION, &key);
    assert(writer.err == ERR_NONE);
}

/* The partitions after the change, by topic; indexes come from one array of set->count. */
static void list_topics(const struct txn_partitions *set, struct transaction_log_value *value,
                        int32_t *indexes)
{
    for (size_t i = 0; i < set->count; i++) {
        indexes[i] = set->items[i].index;
        int32_t last = value->transaction_partitions_count - 1;
        if (last < 0 ||
            !slice_equal(value->transaction_partitions[last].topic, set->items[i].topic)) {
            last = value->transaction_partitions_count++;
            value->transaction_partitions[last] = (struct transaction_log_value_topic){
                .topic = set->items[i].topic, .partition_ids = &indexes[i]};
        }
        value->transaction_partitions[last].partition_ids_count++;
    }
}

static void write_value(const struct txn_change *change, const struct txn_partitions *set,
                        struct buf *to)
{
    const struct txn_fields *fields = &change->fields;
    int32_t *indexes = mem_new_array(int32_t, set->count);
    struct transaction_log_value value = {
        .producer_id = fields->producer_id,
        .previous_producer_id = fields->previous_producer_id,
        .next_producer_id = fields->next_producer_id,
        .producer_epoch = fields->producer_epoch,
        .transaction_timeout_ms = fields->timeout_ms,
        .transaction_status = (int8_t)fields->state,
        .transaction_partitions = mem_new_array(struct transaction_log_value_topic, set->count),
        .transaction_last_update_timestamp_ms = fields->updated_wall_ms,
        .transaction_start_timestamp_ms = fields->started_wall_ms,
        .client_transaction_version = fields->client_version,
    };
    void *topics = value.transaction_partitions;
    list_topics(set, &value, indexes);
    if (fields->state == TXN_EMPTY) { /* null there, as Kafka writes it */
        value.transaction_partitions = NULL;
        value.transaction_partitions_count = -1;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, to);
    transaction_log_value_encode_versioned(&writer, VALUE_VERSION, &value);
    assert(writer.err == ERR_NONE);
    free(topics);
    free(indexes);
}

/* The partitions that the change leaves, as a set of its own. */
static void partitions_after(const struct txn *txn, const struct txn_change *change,
                             struct txn_partitions *out)
{
    *out = (struct txn_partitions){0};
    if (!change->clear_partitions) {
        for (size_t i = 0; i < txn->partitions.count; i++) {
            (void)txn_partitions_add(out, txn->partitions.items[i].topic,
                                     txn->partitions.items[i].index);
        }
    }
    for (size_t i = 0; i < change->added_count; i++) {
        (void)txn_partitions_add(out, change->added[i].topic, change->added[i].index);
    }
}

void txn_record_write(const struct txn *txn, const struct txn_change *change, struct buf *key,
                      struct buf *value)
{
    write_key(txn, key);
    if (change->dead) {
        return;
    }
    struct txn_partitions after;
    partitions_after(txn, change, &after);
    write_value(change, &after, value);
    txn_partitions_clear(&after);
}

/* ---- reading ---- */

enum err txn_record_key_read(struct slice key, struct slice *id)
{
    *id = (struct slice){0};
    if (key.size < 2) {
        return ERR_CORRUPT;
    }
    if ((int16_t)load_be16(key.data) != KEY_VERSION) {
        return ERR_NONE;
    }
    struct arena arena = {0};
    struct wire_reader reader;
    wire_reader_init(&reader, key, &arena);
    struct transaction_log_key fields;
    int16_t version;
    enum err err = transaction_log_key_decode_versioned(&reader, &version, &fields);
    if (err == ERR_NONE) {
        *id = fields.transactional_id; /* borrows the key's bytes */
    }
    arena_deinit(&arena);
    return err == ERR_NONE ? ERR_NONE : ERR_CORRUPT;
}

/* The change that the value was written of, apart from what is not stored. */
static enum err change_of(const struct transaction_log_value *value, struct txn_change *change)
{
    if (value->transaction_status < TXN_EMPTY || value->transaction_status > TXN_COMPLETE_ABORT ||
        value->producer_id < 0 || value->producer_epoch < 0) {
        return ERR_CORRUPT;
    }
    *change = (struct txn_change){
        .store = true,
        .clear_partitions = true,
        .fields =
            {
                .state = (enum txn_state)value->transaction_status,
                .producer_id = value->producer_id,
                .previous_producer_id = value->previous_producer_id,
                .next_producer_id = value->next_producer_id,
                .producer_epoch = value->producer_epoch,
                .last_producer_epoch = -1,
                .timeout_ms = value->transaction_timeout_ms,
                .client_version = value->client_transaction_version,
                .started_wall_ms = value->transaction_start_timestamp_ms,
                .updated_wall_ms = value->transaction_last_update_timestamp_ms,
            },
    };
    return ERR_NONE;
}

static void add_partitions(const struct transaction_log_value *value, struct txn *txn)
{
    for (int32_t t = 0; t < value->transaction_partitions_count; t++) {
        const struct transaction_log_value_topic *topic = &value->transaction_partitions[t];
        for (int32_t i = 0; i < topic->partition_ids_count; i++) {
            (void)txn_partitions_add(&txn->partitions, topic->topic, topic->partition_ids[i]);
        }
    }
}

enum err txn_record_apply(struct txn *txn, struct slice bytes, const struct txn_config *config,
                          struct clock_time now)
{
    struct arena arena = {0};
    struct wire_reader reader;
    wire_reader_init(&reader, bytes, &arena);
    struct transaction_log_value value;
    struct txn_change change;
    int16_t version;
    enum err err = transaction_log_value_decode_versioned(&reader, &version, &value);
    if (err == ERR_NONE) {
        err = change_of(&value, &change);
    }
    if (err == ERR_NONE) {
        txn->fields.state = TXN_EMPTY; /* else its deadline would count as the one before */
        txn_apply(txn, &change, config, now);
        if (change.fields.state != TXN_EMPTY) {
            add_partitions(&value, txn);
        }
    }
    arena_deinit(&arena);
    return err;
}
