#include "group/effects.h"

#include "base/mem.h"

#include <stdlib.h>

#include <utlist.h>

struct slice group_arena_slice(struct arena *arena, struct slice slice)
{
    if (slice_is_null(slice)) {
        return slice;
    }
    void *copy = arena_dup(arena, slice.data, slice.size);
    return slice_of(copy, copy != NULL ? slice.size : 0);
}

struct group_reply *group_reply_new(enum group_reply_kind kind, const struct completion *waiter,
                                    enum err err)
{
    struct group_reply *reply = mem_new(struct group_reply);
    reply->kind = kind;
    reply->waiter = *waiter;
    reply->err = err;
    return reply;
}

void group_reply_free(struct group_reply *reply)
{
    if (reply != NULL) {
        arena_deinit(&reply->arena);
        free(reply);
    }
}

struct group_store *group_store_new(group_stored_function *stored)
{
    struct group_store *store = mem_new(struct group_store);
    store->stored = stored;
    store->producer_id = -1;
    store->producer_epoch = -1;
    return store;
}

void group_store_record(struct group_store *store, struct buf *key, struct buf *value)
{
    struct state_record record = {.key = group_arena_slice(&store->arena, buf_slice(key))};
    if (value != NULL) {
        record.value = group_arena_slice(&store->arena, buf_slice(value));
    }
    vec_push(&store->records, record);
    buf_deinit(key);
    if (value != NULL) {
        buf_deinit(value);
    }
}

void group_store_free(struct group_store *store)
{
    if (store != NULL) {
        group_reply_free(store->reply);
        arena_deinit(&store->arena);
        vec_deinit(&store->records);
        free(store->offsets);
        free(store);
    }
}

void group_reply_share(struct group_reply *reply)
{
    atomic_fetch_add(&reply->owed, 1);
}

void group_reply_give(struct group_reply *reply, struct group_effects *effects)
{
    if (atomic_fetch_sub(&reply->owed, 1) == 1) {
        group_effects_reply(effects, reply);
    }
}

void group_effects_reply(struct group_effects *effects, struct group_reply *reply)
{
    if (effects->replies == NULL) {
        effects->replies = reply;
    } else {
        effects->last_reply->next = reply;
    }
    effects->last_reply = reply;
}

void group_effects_store(struct group_effects *effects, struct group_store *store)
{
    if (effects->stores == NULL) {
        effects->stores = store;
    } else {
        effects->last_store->next = store;
    }
    effects->last_store = store;
}

void group_effects_event(struct group_effects *effects, struct group_event *event)
{
    if (effects->events == NULL) {
        effects->events = event;
    } else {
        effects->last_event->next = event;
    }
    effects->last_event = event;
}

void group_effects_deinit(struct group_effects *effects)
{
    struct group_reply *reply, *next_reply;
    LL_FOREACH_SAFE (effects->replies, reply, next_reply) {
        group_reply_free(reply);
    }
    struct group_store *store, *next_store;
    LL_FOREACH_SAFE (effects->stores, store, next_store) {
        group_store_free(store);
    }
    struct group_event *event, *next_event;
    LL_FOREACH_SAFE (effects->events, event, next_event) {
        group_event_free(event);
    }
    *effects = (struct group_effects){0};
}

struct group_event *group_event_new(enum group_event_kind kind, const struct group_who *who,
                                    struct slice reason)
{
    struct group_event *event = mem_new(struct group_event);
    event->kind = kind;
    event->reason = group_arena_slice(&event->arena, reason);
    event->who = (struct group_who){
        .member_id = group_arena_slice(&event->arena, who->member_id),
        .instance_id = group_arena_slice(&event->arena, who->instance_id),
        .client_id = group_arena_slice(&event->arena, who->client_id),
        .client_host = group_arena_slice(&event->arena, who->client_host),
    };
    return event;
}

void group_event_free(struct group_event *event)
{
    arena_deinit(&event->arena);
    free(event);
}

void group_reply_join_error(struct group_effects *effects, const struct completion *waiter,
                            struct slice member_id, enum err err)
{
    struct group_reply *reply = group_reply_new(GROUP_REPLY_JOIN, waiter, err);
    reply->join.generation = -1;
    reply->join.leader = slice_str("");
    reply->join.member_id = group_arena_slice(&reply->arena, member_id);
    group_effects_reply(effects, reply);
}

void group_reply_sync_error(struct group_effects *effects, const struct completion *waiter,
                            enum err err)
{
    struct group_reply *reply = group_reply_new(GROUP_REPLY_SYNC, waiter, err);
    reply->sync.assignment = slice_str("");
    group_effects_reply(effects, reply);
}
