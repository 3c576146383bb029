#include "group/consumer_change.h"

#include "base/mem.h"
#include "group/consumer_apply.h"
#include "group/consumer_members.h"
#include "group/consumer_pieces.h"

#include <assert.h>
#include <stdlib.h>

/* ---- stores ---- */

void consumer_note_redo(struct consumer_group *consumer, struct slice key)
{
    struct consumer_redo *redo = NULL;
    HASH_FIND(hh, consumer->redo, key.data, key.size, redo);
    if (redo == NULL) {
        redo = mem_new(struct consumer_redo);
        redo->key = kept_copy(key);
        HASH_ADD_KEYPTR(hh, consumer->redo, redo->key.data, redo->key.size, redo);
    }
}

/* The reply without what was not stored. */
static void fail_reply(struct group_reply *reply, enum err err)
{
    reply->err = err;
    if (reply->kind == GROUP_REPLY_CONSUMER_HEARTBEAT) {
        memset(&reply->consumer, 0, sizeof reply->consumer);
        reply->consumer.message = slice_str("the change could not be stored: try again");
    } else if (reply->kind == GROUP_REPLY_JOIN) {
        reply->join.generation = -1;
        reply->join.protocol = (struct slice){0};
        reply->join.protocol_type = (struct slice){0};
        reply->join.leader = slice_str("");
        reply->join.member_count = 0;
    }
}

static void on_stored(struct group *group, struct group_store *store, enum err err,
                      struct clock_time now, struct group_effects *effects)
{
    struct consumer_group *consumer = group->consumer;
    for (size_t i = 0; err != ERR_NONE && consumer != NULL && i < store->records.count; i++) {
        consumer_note_redo(consumer, store->records.items[i].key);
    }
    if (err == ERR_NONE && consumer != NULL && store->sequence > consumer->stored) {
        consumer->stored = store->sequence;
    }
    if (store->reply != NULL) {
        if (err != ERR_NONE) {
            fail_reply(store->reply, ERR_COORDINATOR_UNAVAILABLE);
        }
        group_effects_reply(effects, store->reply);
        store->reply = NULL;
    }
}

/* Adds what the key is about, as it is, if it is gone or there, as asked. */
static void write_piece(struct group *group, const struct group_record_key *key, bool gone)
{
    struct arena arena = {0};
    struct group_change change = consumer_piece(group, key, &arena);
    if (change.gone == gone) {
        group_change_store(&change, group->consumer->store);
    }
    arena_deinit(&arena);
}

/* Burials come first: an instance id may be another's by now. */
static void write_redo(struct group *group)
{
    struct consumer_redo *all = group->consumer->redo, *redo, *next;
    group->consumer->redo = NULL;
    for (int pass = 0; pass < 2; pass++) {
        for (redo = all; redo != NULL; redo = redo->hh.next) {
            struct group_record_key key;
            if (group_record_key_read(redo->key, &key) == ERR_NONE) {
                write_piece(group, &key, pass == 0);
            }
        }
    }
    HASH_ITER (hh, all, redo, next) {
        HASH_DEL(all, redo);
        kept_free(&redo->key);
        free(redo);
    }
}

/* What failed before comes first: it is as it was before this call. */
static struct group_store *take_store(struct group *group)
{
    struct consumer_group *consumer = group->consumer;
    if (consumer->store == NULL) {
        consumer->store = group_store_new(on_stored);
        consumer->store->sequence = ++consumer->sequence;
        write_redo(group);
    }
    return consumer->store;
}

struct group_store *consumer_take_store(struct group *group)
{
    struct group_store *store = take_store(group);
    group->consumer->store = NULL;
    return store;
}

/* Tells the member's answer which store it has to wait for: the first that is not on disk, until
 * its place in the group is written anew. */
static void note_sequence(struct consumer_group *consumer, const struct group_record_key *key,
                          uint64_t sequence)
{
    struct consumer_member *member = consumer_find(consumer, key->name);
    if (member != NULL &&
        (key->kind == GROUP_RECORD_CURRENT || member->sequence <= consumer->stored)) {
        member->sequence = sequence;
    }
}

void consumer_change(struct group *group, const struct group_change *change, struct clock_time now)
{
    struct consumer_group *consumer = group->consumer;
    struct group_store *store = take_store(group);
    group_change_store(change, store);
    enum err err = consumer_apply(group, change, now);
    assert(err == ERR_NONE && group->consumer == consumer);
    switch (change->key.kind) {
    case GROUP_RECORD_MEMBER:
    case GROUP_RECORD_TARGET:
    case GROUP_RECORD_CURRENT:
        note_sequence(consumer, &change->key, store->sequence);
        break;
    default:
        break;
    }
}

/* ---- changes ---- */

static void set_epoch(struct group *group, int32_t epoch, struct clock_time now)
{
    struct group_change change = group_change_of(group, GROUP_RECORD_EPOCH, (struct slice){0});
    change.epoch.epoch = epoch;
    consumer_change(group, &change, now);
}

void consumer_bump(struct group *group, struct clock_time now)
{
    /* A record may say INT32_MAX: the epochs begin anew, as a classic group's generations do. */
    int32_t epoch = group->consumer->epoch;
    set_epoch(group, epoch == INT32_MAX ? 1 : epoch + 1, now);
}

void consumer_set_assignment_epoch(struct group *group, int32_t epoch, struct clock_time now)
{
    struct group_change change =
        group_change_of(group, GROUP_RECORD_ASSIGNMENT_EPOCH, (struct slice){0});
    change.assignment_epoch.assignment_epoch = epoch;
    consumer_change(group, &change, now);
}

void consumer_set_epochs(struct group *group, int32_t epoch, struct clock_time now)
{
    set_epoch(group, epoch, now);
    consumer_set_assignment_epoch(group, epoch, now);
}

struct consumer_member *consumer_set_member(
    struct group *group, struct slice id, const struct consumer_group_member_metadata_value *value,
    struct clock_time now)
{
    struct group_change change = group_change_of(group, GROUP_RECORD_MEMBER, id);
    change.member = *value;
    consumer_change(group, &change, now);
    return consumer_find(group->consumer, id);
}

void consumer_set_target(struct group *group, const struct consumer_member *member,
                         const struct partition_set *target, struct clock_time now)
{
    struct arena arena = {0};
    struct group_change change = group_change_of(group, GROUP_RECORD_TARGET, member->id);
    change.target = consumer_target_value(target, &arena);
    consumer_change(group, &change, now);
    arena_deinit(&arena);
}

void consumer_set_current(struct group *group, const struct consumer_member *member,
                          enum consumer_member_state state, int32_t epoch, int32_t previous_epoch,
                          const struct partition_set *assigned,
                          const struct partition_set *revoking, struct clock_time now)
{
    struct arena arena = {0};
    struct group_change change = group_change_of(group, GROUP_RECORD_CURRENT, member->id);
    change.current =
        consumer_current_value(state, epoch, previous_epoch, assigned, revoking, &arena);
    consumer_change(group, &change, now);
    arena_deinit(&arena);
}

void consumer_drop(struct group *group, enum group_record_kind kind, struct slice name,
                   struct clock_time now)
{
    struct group_change change = group_change_of(group, kind, name);
    change.gone = true;
    consumer_change(group, &change, now);
}

void consumer_remove(struct group *group, struct consumer_member *member, struct clock_time now)
{
    struct slice id = kept_copy(member->id);
    consumer_drop(group, GROUP_RECORD_CURRENT, id, now);
    consumer_drop(group, GROUP_RECORD_TARGET, id, now);
    consumer_drop(group, GROUP_RECORD_MEMBER, id, now);
    kept_free(&id);
}

/* The value with texts of its own, in the arena. */
static struct consumer_group_member_metadata_value own_value(const struct consumer_member *member,
                                                             struct arena *arena)
{
    struct consumer_group_member_metadata_value value = consumer_member_value(member, arena);
    value.instance_id = group_arena_slice(arena, value.instance_id);
    value.rack_id = group_arena_slice(arena, value.rack_id);
    value.client_id = group_arena_slice(arena, value.client_id);
    value.client_host = group_arena_slice(arena, value.client_host);
    value.subscribed_topic_regex = group_arena_slice(arena, value.subscribed_topic_regex);
    value.server_assignor = group_arena_slice(arena, value.server_assignor);
    value.subscribed_topic_names =
        arena_alloc_array(arena, member->topic_count, sizeof *value.subscribed_topic_names);
    for (size_t i = 0; i < member->topic_count; i++) {
        value.subscribed_topic_names[i] = group_arena_slice(arena, member->topics[i]);
    }
    for (size_t i = 0; member->classic != NULL && i < member->classic->protocol_count; i++) {
        const struct group_protocol_offer *offer = &member->classic->protocols[i];
        value.classic_member_metadata->supported_protocols[i].name =
            group_arena_slice(arena, offer->name);
        value.classic_member_metadata->supported_protocols[i].metadata =
            group_arena_slice(arena, offer->metadata);
    }
    return value;
}

struct consumer_member *consumer_replace(struct group *group, struct consumer_member *member,
                                         struct slice new_id, struct slice said,
                                         struct clock_time now, struct group_effects *effects)
{
    struct group_who who = consumer_who(member);
    who.member_id = new_id;
    struct group_event *event = group_tell(group, effects, GROUP_EVENT_RETURNED, &who, NULL);
    event->other = group_arena_slice(&event->arena, member->id);
    group_event_say(event, said);
    struct arena arena = {0};
    struct consumer_group_member_metadata_value value = own_value(member, &arena);
    struct partition_set assigned = {0}, target = {0}, none = {0};
    partition_set_copy(&assigned, &member->assigned);
    partition_set_copy(&target, &member->target);
    consumer_remove(group, member, now);
    member = consumer_set_member(group, new_id, &value, now);
    consumer_set_target(group, member, &target, now);
    consumer_set_current(group, member, CONSUMER_STABLE, 0, 0, &assigned, &none, now);
    partition_set_deinit(&assigned);
    partition_set_deinit(&target);
    arena_deinit(&arena);
    return member;
}

/* ---- the end of a call ---- */

void consumer_tell(const struct group *group, const struct consumer_member *joined,
                   struct slice said, int32_t assignment_epoch, struct group_effects *effects)
{
    if (joined != NULL) {
        struct group_who who = consumer_who(joined);
        group_event_say(group_tell(group, effects, GROUP_EVENT_JOINED, &who, NULL), said);
    }
    if (group->consumer->assignment_epoch > assignment_epoch) {
        group_tell(group, effects, GROUP_EVENT_ASSIGNED, NULL, NULL);
    }
}

void consumer_commit(struct group *group, struct consumer_member *member, struct group_reply *reply,
                     struct group_effects *effects)
{
    struct consumer_group *consumer = group->consumer;
    if (consumer->redo != NULL) {
        (void)take_store(group);
    }
    uint64_t now_written = consumer->store != NULL ? consumer->store->sequence : 0;
    if (member != NULL && member->sequence > consumer->stored && member->sequence != now_written) {
        /* The answer tells what an earlier store has yet to bring to disk: it waits with it. */
        struct group_record_key key = {.kind = GROUP_RECORD_CURRENT, .name = member->id};
        member->sequence = take_store(group)->sequence;
        write_piece(group, &key, false);
    }
    if (consumer->store == NULL) {
        if (reply != NULL) {
            group_effects_reply(effects, reply);
        }
        return;
    }
    struct group_store *store = consumer_take_store(group);
    store->reply = reply;
    group_effects_store(effects, store);
}
