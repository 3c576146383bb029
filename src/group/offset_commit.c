#include "group/group_offsets.h"

#include "base/mem.h"
#include "group/offset_reply.h"
#include "group/offset_table.h"
#include "group/room.h"

#include <stdio.h>

/* OffsetCommit and TxnOffsetCommit. */

static void reply_offsets_error(struct group_effects *effects, enum group_reply_kind kind,
                                const struct completion *waiter,
                                const struct group_offset_commit *offsets, size_t count,
                                enum err err)
{
    struct group_reply *reply = offset_reply_new(kind, waiter, count);
    reply->err = err;
    for (size_t i = 0; i < count; i++) {
        offset_reply_add_commit(reply, &offsets[i],
                                offsets[i].err != ERR_NONE ? offsets[i].err : err);
    }
    group_effects_reply(effects, reply);
}

void group_reply_commit_error(struct group_effects *effects,
                              const struct group_commit_request *request, enum err err)
{
    reply_offsets_error(effects, GROUP_REPLY_OFFSET_COMMIT, &request->waiter, request->offsets,
                        request->count, err);
}

void group_reply_txn_commit_error(struct group_effects *effects,
                                  const struct group_txn_commit_request *request, enum err err)
{
    reply_offsets_error(effects, GROUP_REPLY_TXN_OFFSET_COMMIT, &request->waiter, request->offsets,
                        request->count, err);
}

/* A commit while its offsets are staged. */
struct staging {
    struct group *group;
    struct group_store *store;
    struct group_who who;
    bool transactional;
    int64_t expire_wall_ms; /* -1: by offsets.retention */
    struct clock_time now;
    struct group_effects *effects;
    bool told; /* the log: once for a request */
};

static void tell_full(struct staging *staging, const char *what)
{
    const char *api = staging->transactional ? "TxnOffsetCommit" : "OffsetCommit";
    if (!staging->told && what != NULL) {
        group_tell_full(staging->group, staging->effects, &staging->who, api, what);
    } else if (!staging->told) {
        group_tell_share_full(staging->group, staging->effects, &staging->who, api);
    }
    staging->told = true;
}

/* Whether there is room for what the commit adds; one that adds nothing always has it. */
static bool has_room(struct staging *staging, const struct group_offset_entry *entry, size_t growth)
{
    struct group *group = staging->group;
    int32_t most = group->config->max_offsets;
    if (entry == NULL && HASH_COUNT(group->offsets) >= (size_t)most) {
        char what[64];
        (void)snprintf(what, sizeof what, "it has group.max.offsets=%d already", (int)most);
        tell_full(staging, what);
        return false;
    }
    if (growth > 0 && !group_take_room(group, growth)) {
        tell_full(staging, NULL);
        return false;
    }
    return true;
}

static void store_offset(struct staging *staging, const struct group_offset_commit *commit,
                         const struct group_commit_item *item)
{
    struct group_change change =
        group_change_of(staging->group, GROUP_RECORD_OFFSET, commit->topic);
    change.key.partition = commit->partition;
    change.offset = (struct offset_commit_value){
        .offset = item->offset,
        .leader_epoch = item->leader_epoch,
        .metadata = item->metadata,
        .commit_timestamp = staging->now.wall_ms,
        .expire_timestamp = item->expire_wall_ms,
    };
    group_change_store(&change, staging->store);
}

static enum err stage_offset(struct staging *staging, const struct group_offset_commit *commit,
                             size_t result)
{
    struct group *group = staging->group;
    struct group_store *store = staging->store;
    struct slice metadata = slice_is_null(commit->metadata) ? slice_str("") : commit->metadata;
    if (metadata.size > (size_t)group->config->offset_metadata_max_bytes) {
        return ERR_METADATA_TOO_LARGE;
    }
    struct group_offset_entry *entry = group_find_offset(group, commit->topic, commit->partition);
    size_t growth = group_offset_growth(entry, commit->topic, metadata, staging->transactional);
    if ((entry == NULL || growth > 0) && !has_room(staging, entry, growth)) {
        return ERR_COMMIT_SIZE;
    }
    size_t held_bytes = group->offset_bytes;
    if (entry == NULL) {
        entry = group_add_offset(group, commit->topic, commit->partition);
    }
    struct group_commit_item *item = &store->offsets[store->offset_count++];
    *item = (struct group_commit_item){
        .entry = entry,
        .result = result,
        .offset = commit->offset,
        .leader_epoch = commit->leader_epoch,
        .metadata = group_arena_slice(&store->arena, metadata),
        .expire_wall_ms = staging->expire_wall_ms,
        .reserved_bytes = growth - (group->offset_bytes - held_bytes),
    };
    group->offset_bytes += item->reserved_bytes;
    entry->pending++;
    store_offset(staging, commit, item);
    return ERR_NONE;
}

/* What was reserved is taken, or not needed. */
static void end_reservation(struct group *group, struct group_commit_item *item)
{
    group->offset_bytes -= item->reserved_bytes;
    item->reserved_bytes = 0;
}

/* Stages the offsets that may be stored, and returns the answer with a result for each. */
static struct group_reply *stage_offsets(struct staging *staging, enum group_reply_kind kind,
                                         const struct completion *waiter,
                                         const struct group_offset_commit *offsets, size_t count)
{
    struct group_store *store = staging->store;
    struct group_reply *reply = offset_reply_new(kind, waiter, count);
    store->offsets = mem_new_array(struct group_commit_item, count);
    store->sequence = ++staging->group->sequence;
    store->commit_wall_ms = staging->now.wall_ms;
    for (size_t i = 0; i < count; i++) {
        const struct group_offset_commit *commit = &offsets[i];
        enum err own = commit->err != ERR_NONE ? commit->err : stage_offset(staging, commit, i);
        offset_reply_add_commit(reply, commit, own);
    }
    return reply;
}

/* The store with its answer, or the answer alone when nothing is to be stored. */
static void emit_offsets(struct group_store *store, struct group_reply *reply,
                         struct group_effects *effects)
{
    if (store->offset_count == 0) {
        group_store_free(store);
        group_effects_reply(effects, reply);
        return;
    }
    store->reply = reply;
    group_effects_store(effects, store);
}

/* What a client is told: its own fault as it is, all else as a fault of the store. */
static enum err told(enum err err)
{
    return err == ERR_NONE || err == ERR_PRODUCER_FENCED || err == ERR_INVALID_TXN_STATE
               ? err
               : ERR_COORDINATOR_UNAVAILABLE;
}

/* Gives the answer of staged offsets: they are stored, or err says why not. */
static void settle_offsets(struct group *group, struct group_store *store, enum err err,
                           struct group_effects *effects)
{
    struct group_reply *reply = store->reply;
    store->reply = NULL;
    for (size_t i = 0; i < store->offset_count; i++) {
        struct group_commit_item *item = &store->offsets[i];
        end_reservation(group, item);
        item->entry->pending--;
        if (err != ERR_NONE) {
            reply->partitions.items[item->result].err = told(err);
        }
        group_free_offset_if_unused(group, item->entry);
    }
    group_effects_reply(effects, reply);
}

static void offsets_stored(struct group *group, struct group_store *store, enum err err,
                           struct clock_time now, struct group_effects *effects)
{
    for (size_t i = 0; i < store->offset_count && err == ERR_NONE; i++) {
        group_put_offset(group, &store->offsets[i], store->sequence, store->commit_wall_ms);
    }
    settle_offsets(group, store, err, effects);
}

static void txn_offsets_stored(struct group *group, struct group_store *store, enum err err,
                               struct clock_time now, struct group_effects *effects)
{
    group_settle_held(group, store->producer_id, store->offsets, store->offset_count,
                      store->sequence, err == ERR_NONE);
    settle_offsets(group, store, err, effects);
}

static enum err check_commit(struct group *group, const struct group_committer *committer,
                             struct clock_time now, struct group_effects *effects)
{
    if (committer->generation < 0 && group->state == GROUP_EMPTY) {
        return ERR_NONE; /* a consumer that assigns by hand, or an administrator */
    }
    enum err err = group->kind->check_commit(group, committer, now);
    if (err == ERR_FENCED_INSTANCE) {
        struct group_who who = {.member_id = committer->member_id,
                                .instance_id = committer->instance_id};
        group_tell_fenced(group, effects, &who,
                          committer->transactional ? "TxnOffsetCommit" : "OffsetCommit");
    }
    return err;
}

void group_commit(struct group *group, const struct group_commit_request *request,
                  struct clock_time now, struct group_effects *effects)
{
    enum err err = check_commit(group,
                                &(struct group_committer){
                                    .member_id = request->member_id,
                                    .instance_id = request->instance_id,
                                    .generation = request->generation,
                                    .api_version = request->waiter.api_version,
                                },
                                now, effects);
    if (err != ERR_NONE) {
        group_reply_commit_error(effects, request, err);
        return;
    }
    int64_t expire_wall_ms = -1;
    if (request->retention_ms >= 0 &&
        __builtin_add_overflow(now.wall_ms, request->retention_ms, &expire_wall_ms)) {
        expire_wall_ms = INT64_MAX; /* as good as for ever */
    }
    struct staging staging = {
        .group = group,
        .store = group_store_new(offsets_stored),
        .who = {request->member_id, request->instance_id, request->client_id, request->client_host},
        .expire_wall_ms = expire_wall_ms,
        .now = now,
        .effects = effects,
    };
    struct group_reply *reply = stage_offsets(&staging, GROUP_REPLY_OFFSET_COMMIT, &request->waiter,
                                              request->offsets, request->count);
    emit_offsets(staging.store, reply, effects);
}

void group_txn_commit(struct group *group, const struct group_txn_commit_request *request,
                      struct clock_time now, struct group_effects *effects)
{
    enum err err = check_commit(group,
                                &(struct group_committer){
                                    .member_id = request->member_id,
                                    .instance_id = request->instance_id,
                                    .generation = request->generation,
                                    .api_version = request->waiter.api_version,
                                    .transactional = true,
                                },
                                now, effects);
    if (err != ERR_NONE) {
        group_reply_txn_commit_error(effects, request, err);
        return;
    }
    struct group_store *store = group_store_new(txn_offsets_stored);
    store->producer_id = request->producer_id;
    store->producer_epoch = request->producer_epoch;
    struct staging staging = {
        .group = group,
        .store = store,
        .who = {request->member_id, request->instance_id, request->client_id, request->client_host},
        .transactional = true,
        .expire_wall_ms = -1,
        .now = now,
        .effects = effects,
    };
    struct group_reply *reply = stage_offsets(&staging, GROUP_REPLY_TXN_OFFSET_COMMIT,
                                              &request->waiter, request->offsets, request->count);
    /* From now on, not only once it is on disk: who is to have stable offsets waits from now on. */
    for (size_t i = 0; i < store->offset_count; i++) {
        end_reservation(group, &store->offsets[i]);
        group_hold_offset(group, store->producer_id, &store->offsets[i], store->sequence,
                          store->commit_wall_ms);
    }
    emit_offsets(store, reply, effects);
}

/* ---- replay ---- */

static struct group_commit_item read_item(struct group *group, const struct group_change *change)
{
    return (struct group_commit_item){
        .entry = group_take_offset(group, change->key.name, change->key.partition),
        .offset = change->offset.offset,
        .leader_epoch = change->offset.leader_epoch,
        .metadata = change->offset.metadata,
        .expire_wall_ms = change->offset.expire_timestamp,
    };
}

void group_apply_offset(struct group *group, const struct group_change *change)
{
    if (change->gone) {
        group_remove_offset(group,
                            group_take_offset(group, change->key.name, change->key.partition));
        return;
    }
    struct group_commit_item item = read_item(group, change);
    group_put_offset(group, &item, ++group->sequence, change->offset.commit_timestamp);
}

void group_apply_txn_offset(struct group *group, int64_t producer_id,
                            const struct group_change *change)
{
    if (change->gone) {
        return; /* transactions write none */
    }
    struct group_commit_item item = read_item(group, change);
    group_hold_offset(group, producer_id, &item, ++group->sequence,
                      change->offset.commit_timestamp);
    group_settle_held(group, producer_id, &item, 1, group->sequence, true);
}
