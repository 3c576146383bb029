#include "base/mem.h"
#include "datadir/check_internal.h"
#include "log/producer_state.h"

#include <stdlib.h>
#include <uthash.h>

struct sequence_entry {
    int64_t producer_id;
    int16_t epoch;
    int32_t last_sequence; /* -1: not known */
    UT_hash_handle hh;
};

struct sequence_check {
    struct sequence_entry *entries;
};

struct sequence_check *sequence_check_new(void)
{
    return mem_new(struct sequence_check);
}

void sequence_check_free(struct sequence_check *check)
{
    struct sequence_entry *entry;
    struct sequence_entry *next;
    HASH_ITER (hh, check->entries, entry, next) {
        HASH_DEL(check->entries, entry);
        free(entry);
    }
    free(check);
}

static struct sequence_entry *find(struct sequence_check *check, const struct batch *batch,
                                   bool *fresh)
{
    struct sequence_entry *entry;
    HASH_FIND(hh, check->entries, &batch->producer_id, sizeof batch->producer_id, entry);
    *fresh = entry == NULL;
    if (entry == NULL) {
        entry = mem_new(struct sequence_entry);
        entry->producer_id = batch->producer_id;
        entry->epoch = batch->producer_epoch;
        entry->last_sequence = -1;
        HASH_ADD(hh, check->entries, producer_id, sizeof entry->producer_id, entry);
    }
    return entry;
}

const char *sequence_check_batch(struct sequence_check *check, const struct batch *batch,
                                 bool compacted, enum check_level *level, struct reason *why)
{
    bool fresh;
    if (batch->producer_id < 0) {
        return NULL;
    }
    struct sequence_entry *entry = find(check, batch, &fresh);
    const char *text = NULL;
    *level = CHECK_NOTE;
    if (!fresh && batch->producer_epoch < entry->epoch) {
        *level = CHECK_DAMAGE;
        reason_set(why, "producer %lld writes with epoch %d after epoch %d",
                   (long long)batch->producer_id, (int)batch->producer_epoch, (int)entry->epoch);
        return why->text;
    }
    bool same_epoch = !fresh && batch->producer_epoch == entry->epoch;
    if (same_epoch && entry->last_sequence >= 0 && batch->base_sequence >= 0 && !compacted) {
        int32_t expected = producer_sequence_add(entry->last_sequence, 1);
        if (batch->base_sequence != expected) {
            /* Ahead: something may have been forgotten in between. Back: it was appended twice. */
            bool back = ((uint32_t)(batch->base_sequence - expected) & INT32_MAX) > INT32_MAX / 2;
            *level = back ? CHECK_DAMAGE : CHECK_NOTE;
            reason_set(why, "producer %lld epoch %d goes from sequence %d to %d",
                       (long long)batch->producer_id, (int)batch->producer_epoch,
                       (int)entry->last_sequence, (int)batch->base_sequence);
            text = why->text;
        }
    }
    if (!same_epoch) {
        entry->last_sequence = -1;
    }
    entry->epoch = batch->producer_epoch;
    if (batch->base_sequence >= 0) {
        entry->last_sequence =
            producer_sequence_add(batch->base_sequence, batch->last_offset_delta);
    }
    return text;
}

void sequence_check_forget(struct sequence_check *check)
{
    for (struct sequence_entry *entry = check->entries; entry != NULL; entry = entry->hh.next) {
        entry->last_sequence = -1;
    }
}
