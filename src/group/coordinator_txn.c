#include "group/coordinator_internal.h"

#include "base/vec.h"
#include "group/room.h"

#include <assert.h>
#include <stdlib.h>

/* Offsets within transactions: which groups a transaction's end concerns. */

/* The groups that hold offsets of a producer's transaction. */
struct group_txn_place {
    int64_t producer_id;
    VEC(struct group_entry *) entries; /* a reference each */
    UT_hash_handle hh;
};

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
    struct group_coordinator *coordinator = groupc_of(entry);
    pthread_mutex_lock(&coordinator->txn_lock);
    struct group_txn_place *place = find_place(coordinator, producer_id);
    if (place == NULL) {
        place = mem_new(struct group_txn_place);
        place->producer_id = producer_id;
        HASH_ADD(hh, coordinator->txns, producer_id, sizeof place->producer_id, place);
    }
    size_t i = 0;
    while (i < place->entries.count && place->entries.items[i] != entry) {
        i++;
    }
    if (i == place->entries.count) { /* one group for nearly every transaction there is */
        vec_push(&place->entries, entry);
        entry_ref(&entry->base);
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
    for (size_t i = 0; place != NULL && i < place->entries.count && found == NULL; i++) {
        if (place->entries.items[i]->base.partition == partition) {
            found = place->entries.items[i];
            vec_remove(&place->entries, i);
        }
    }
    if (place != NULL && place->entries.count == 0) {
        HASH_DEL(coordinator->txns, place);
        vec_deinit(&place->entries);
        free(place);
    }
    pthread_mutex_unlock(&coordinator->txn_lock);
    return found;
}

void groupc_forget_txns(struct group_coordinator *coordinator)
{
    struct group_txn_place *place, *next;
    HASH_ITER (hh, coordinator->txns, place, next) {
        HASH_DEL(coordinator->txns, place);
        for (size_t i = 0; i < place->entries.count; i++) {
            entry_unref(&place->entries.items[i]->base);
        }
        vec_deinit(&place->entries);
        free(place);
    }
}

void group_coordinator_txn_commit(struct group_coordinator *coordinator, struct slice group_id,
                                  const struct group_txn_commit_request *request)
{
    struct group_effects effects = {.release = request->release};
    struct group_entry *entry;
    bool create = request->generation < 0; /* by no member */
    enum err absent = request->waiter.api_version >= TXN_KIP_1319_VERSION ? ERR_GROUP_NOT_FOUND
                                                                          : ERR_ILLEGAL_GENERATION;
    enum err err = groupc_enter_commit(coordinator, group_id, false, create, absent,
                                       request->client_id, &entry);
    if (err == ERR_NONE) {
        group_txn_commit(entry->group, request, coordinator_now(&coordinator->base), &effects);
        if (group_has_txn(entry->group, request->producer_id)) {
            note(entry, request->producer_id);
        }
    } else {
        group_reply_txn_commit_error(&effects, request, err);
    }
    groupc_carry_out(coordinator, entry, &effects);
}

void group_coordinator_txn_refuse(struct group_coordinator *coordinator,
                                  const struct group_txn_commit_request *request, enum err err)
{
    struct group_effects effects = {.release = request->release};
    group_reply_txn_commit_error(&effects, request, err);
    groupc_send(coordinator, &effects);
}

void group_coordinator_txn_end(struct group_coordinator *coordinator, int32_t partition,
                               int64_t producer_id, bool commit)
{
    struct group_entry *entry;
    while ((entry = take(coordinator, producer_id, partition)) != NULL) {
        struct group_effects effects = {0};
        entry_lock(&entry->base);
        if (!entry->base.dead) {
            group_txn_end(entry->group, producer_id, commit);
        }
        groupc_leave(entry, &effects);
    }
}

enum err group_coordinator_replay_txn(struct group_coordinator *coordinator, int64_t producer_id,
                                      struct slice key, struct slice value)
{
    assert(coordinator->base.phase == COORDINATOR_LOADING);
    struct group_record_key parsed;
    enum err err = group_record_key_read(key, &parsed);
    if (err != ERR_NONE || parsed.kind != GROUP_RECORD_OFFSET) {
        return err;
    }
    struct group_entry *entry = groupc_enter(coordinator, parsed.group_id, true);
    err = group_apply_txn_record(entry->group, producer_id, &parsed, value);
    if (group_has_txn(entry->group, producer_id)) {
        note(entry, producer_id);
    }
    groupc_settle(entry);
    entry_leave(&entry->base);
    return err;
}
