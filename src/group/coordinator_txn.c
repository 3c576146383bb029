#include "group/coordinator_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

/* Offsets within transactions: which groups a transaction's end concerns. */

static struct group_txn_place *find_place(const struct group_coordinator *coordinator,
                                          int64_t producer_id)
{
    struct group_txn_place *place;
    HASH_FIND(hh, coordinator->txns, &producer_id, sizeof producer_id, place);
    return place;
}

/* Notes that the group holds offsets of the transaction. Its lock is held. */
static void note(struct group_entry *entry, int64_t producer_id)
{
    struct group_coordinator *coordinator = entry->coordinator;
    pthread_mutex_lock(&coordinator->txn_lock);
    struct group_txn_place *place = find_place(coordinator, producer_id);
    if (place == NULL) {
        place = mem_new(struct group_txn_place);
        place->producer_id = producer_id;
        HASH_ADD(hh, coordinator->txns, producer_id, sizeof place->producer_id, place);
    }
    size_t i = 0;
    while (i < place->count && place->entries[i] != entry) {
        i++;
    }
    if (i == place->count) { /* one group for nearly every transaction there is */
        place->entries =
            mem_realloc(place->entries, (place->count + 1) * sizeof(struct group_entry *));
        place->entries[place->count++] = entry;
        atomic_fetch_add(&entry->refs, 1);
    }
    pthread_mutex_unlock(&coordinator->txn_lock);
}

/* Takes out one group of the partition, with its reference; NULL when there is none. */
static struct group_entry *take(struct group_coordinator *coordinator, int64_t producer_id,
                                int32_t partition)
{
    struct group_entry *found = NULL;
    pthread_mutex_lock(&coordinator->txn_lock);
    struct group_txn_place *place = find_place(coordinator, producer_id);
    for (size_t i = 0; place != NULL && i < place->count && found == NULL; i++) {
        if (place->entries[i]->partition == partition) {
            found = place->entries[i];
            place->entries[i] = place->entries[--place->count];
        }
    }
    if (place != NULL && place->count == 0) {
        HASH_DEL(coordinator->txns, place);
        free(place->entries);
        free(place);
    }
    pthread_mutex_unlock(&coordinator->txn_lock);
    return found;
}

void coordinator_forget_txns(struct group_coordinator *coordinator)
{
    struct group_txn_place *place, *next;
    HASH_ITER (hh, coordinator->txns, place, next) {
        HASH_DEL(coordinator->txns, place);
        for (size_t i = 0; i < place->count; i++) {
            coordinator_unref(place->entries[i]);
        }
        free(place->entries);
        free(place);
    }
}

void group_coordinator_txn_commit(struct group_coordinator *coordinator, struct slice group_id,
                                  const struct group_txn_commit_request *request)
{
    struct group_effects effects = {0};
    struct group_entry *entry;
    bool create = request->generation < 0; /* by no member */
    enum err err = coordinator_enter_checked(coordinator, group_id, false, create,
                                             ERR_ILLEGAL_GENERATION, &entry);
    if (err == ERR_NONE) {
        group_txn_commit(entry->group, request, coordinator_now(coordinator), &effects);
        if (group_has_txn(entry->group, request->producer_id)) {
            note(entry, request->producer_id);
        }
    } else {
        group_reply_txn_commit_error(&effects, request, err);
    }
    coordinator_carry_out(coordinator, entry, &effects);
}

void group_coordinator_txn_refuse(struct group_coordinator *coordinator,
                                  const struct group_txn_commit_request *request, enum err err)
{
    struct group_effects effects = {0};
    group_reply_txn_commit_error(&effects, request, err);
    coordinator_send(coordinator, &effects);
}

void group_coordinator_txn_end(struct group_coordinator *coordinator, int32_t partition,
                               int64_t producer_id, bool commit)
{
    struct group_entry *entry;
    while ((entry = take(coordinator, producer_id, partition)) != NULL) {
        struct group_effects effects = {0};
        pthread_mutex_lock(&entry->lock);
        if (group_state(entry->group) != GROUP_DEAD) {
            group_txn_end(entry->group, producer_id, commit);
        }
        coordinator_leave(entry, &effects);
    }
}

enum err group_coordinator_replay_txn(struct group_coordinator *coordinator, int64_t producer_id,
                                      struct slice key, struct slice value)
{
    assert(coordinator->phase == COORDINATOR_LOADING);
    struct group_record_key parsed;
    enum err err = group_record_key_read(key, &parsed);
    if (err != ERR_NONE || parsed.kind != GROUP_RECORD_OFFSET) {
        return err;
    }
    struct group_entry *entry = coordinator_find(coordinator, parsed.group_id, true);
    pthread_mutex_lock(&entry->lock);
    err = group_apply_txn_record(entry->group, producer_id, &parsed, value);
    if (group_has_txn(entry->group, producer_id)) {
        note(entry, producer_id);
    }
    pthread_mutex_unlock(&entry->lock);
    coordinator_unref(entry);
    return err;
}
