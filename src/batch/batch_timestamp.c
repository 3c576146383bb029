#include "batch/batch.h"

/*
 * Some producers (sarama) leave the max timestamp of the header at -1. Look-ups by time, retention
 * and rolls work on it, so it is computed, as Kafka's LogValidator does.
 */
enum err batch_mend_max_timestamp(struct batch *batch, struct reason *reason)
{
    if (batch->max_timestamp >= 0 || batch->base_timestamp < 0) {
        return ERR_NONE;
    }
    struct record_iterator iterator;
    int64_t most = -1;
    bool done = false;
    enum err err = record_iterator_init(&iterator, batch, BATCH_DECOMPRESSED_MAX_BYTES, reason);
    while (err == ERR_NONE && !done) {
        struct record record;
        err = record_iterator_next(&iterator, &record, &done, reason);
        if (err == ERR_NONE && !done && record.timestamp > most) {
            most = record.timestamp;
        }
    }
    record_iterator_deinit(&iterator);
    if (err == ERR_NONE) {
        batch->max_timestamp = most;
        batch_renew_crc(batch);
    }
    return err;
}
