#include "group/consumer_state.h"

#include "base/mem.h"

#include <stdlib.h>

/* From marks to records, and what becomes of them. */

static void bury_members(struct group *group, struct group_store *store)
{
    struct consumer_group *consumer = group->consumer;
    while (consumer->gone_members != NULL) {
        struct consumer_gone *gone = consumer->gone_members;
        consumer_write_tombstone(group, store, CONSUMER_RECORD_CURRENT, gone->text);
        consumer_write_tombstone(group, store, CONSUMER_RECORD_TARGET, gone->text);
        consumer_write_tombstone(group, store, CONSUMER_RECORD_MEMBER, gone->text);
        consumer_unbury(&consumer->gone_members, gone->text);
    }
    while (consumer->gone_regexes != NULL) {
        struct consumer_gone *gone = consumer->gone_regexes;
        consumer_write_tombstone(group, store, CONSUMER_RECORD_REGEX, gone->text);
        consumer_unbury(&consumer->gone_regexes, gone->text);
    }
}

static void write_members(struct group *group, struct group_store *store,
                          enum consumer_record record, unsigned bit)
{
    for (struct consumer_member *m = group->consumer->members; m != NULL; m = m->hh.next) {
        if ((m->dirty & bit) != 0) {
            m->dirty &= ~bit;
            m->sequence = group->consumer->sequence;
            consumer_write(group, store, record, m, NULL);
        }
    }
}

static void write_once(struct group *group, struct group_store *store, enum consumer_record record,
                       bool *mark)
{
    if (*mark) {
        *mark = false;
        consumer_write(group, store, record, NULL, NULL);
    }
}

/* In Kafka's order. Burials come first: an id may have come back since. */
void consumer_store_marked(struct group *group, struct group_store *store)
{
    struct consumer_group *consumer = group->consumer;
    if (consumer->bury_classic) {
        consumer->bury_classic = false;
        group_store_metadata_tombstone(group, store);
    }
    bury_members(group, store);
    write_members(group, store, CONSUMER_RECORD_MEMBER, CONSUMER_DIRTY_METADATA);
    for (struct consumer_regex *r = consumer->regexes; r != NULL; r = r->hh.next) {
        if (r->dirty) {
            r->dirty = false;
            consumer_write(group, store, CONSUMER_RECORD_REGEX, NULL, r);
        }
    }
    write_once(group, store, CONSUMER_RECORD_TOPICS, &consumer->dirty_topics);
    write_once(group, store, CONSUMER_RECORD_EPOCH, &consumer->dirty_epoch);
    write_members(group, store, CONSUMER_RECORD_TARGET, CONSUMER_DIRTY_TARGET);
    write_once(group, store, CONSUMER_RECORD_ASSIGNMENT_EPOCH, &consumer->dirty_assignment_epoch);
    write_members(group, store, CONSUMER_RECORD_CURRENT, CONSUMER_DIRTY_CURRENT);
    consumer->dirty = false;
}

void consumer_store_tombstones(struct group *group, struct group_store *store)
{
    struct consumer_group *consumer = group->consumer;
    struct slice none = {0};
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        consumer_bury(&consumer->gone_members, m->id);
    }
    for (const struct consumer_regex *r = consumer->regexes; r != NULL; r = r->hh.next) {
        consumer_bury(&consumer->gone_regexes, r->text);
    }
    bury_members(group, store);
    consumer_write_tombstone(group, store, CONSUMER_RECORD_ASSIGNMENT_EPOCH, none);
    consumer_write_tombstone(group, store, CONSUMER_RECORD_TOPICS, none);
    consumer_write_tombstone(group, store, CONSUMER_RECORD_EPOCH, none);
}

void consumer_commit(struct group *group, struct consumer_member *member, struct group_reply *reply,
                     struct group_effects *effects)
{
    struct consumer_group *consumer = group->consumer;
    if (member != NULL && member->sequence > consumer->stored) {
        /* The answer tells what an earlier store has yet to bring to disk: it waits with it. */
        consumer_dirty(consumer, member, CONSUMER_DIRTY_CURRENT);
    }
    if (!consumer->dirty) {
        if (reply != NULL) {
            group_effects_reply(effects, reply);
        }
        return;
    }
    struct group_store *store = group_store_new(group, GROUP_STORE_CONSUMER);
    store->sequence = ++consumer->sequence;
    store->reply = reply;
    consumer_store_marked(group, store);
    group_effects_store(effects, store);
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

void consumer_stored(struct group *group, struct group_store *store, enum err err,
                     struct group_effects *effects)
{
    struct consumer_group *consumer = group->consumer;
    for (size_t i = 0; err != ERR_NONE && consumer != NULL && i < store->record_count; i++) {
        struct group_record_key key;
        if (group_record_key_read(store->records[i].key, &key) == ERR_NONE) {
            consumer_mark(consumer, &key);
        }
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

static void mark_member(struct consumer_group *consumer, struct slice id, unsigned what)
{
    struct consumer_member *member = consumer_find(consumer, id);
    if (member != NULL) {
        member->dirty |= what;
    } else {
        consumer_bury(&consumer->gone_members, id);
    }
}

static void mark_regex(struct consumer_group *consumer, struct slice text)
{
    struct consumer_regex *regex = NULL;
    HASH_FIND(hh, consumer->regexes, text.data, text.size, regex);
    if (regex != NULL) {
        regex->dirty = true;
    } else {
        consumer_bury(&consumer->gone_regexes, text);
    }
}

void consumer_mark(struct consumer_group *consumer, const struct group_record_key *key)
{
    consumer->dirty = true;
    if (key->kind != GROUP_RECORD_CONSUMER) {
        consumer->bury_classic = consumer->bury_classic || key->kind == GROUP_RECORD_METADATA;
        return;
    }
    switch ((enum consumer_record)key->version) {
    case CONSUMER_RECORD_EPOCH:
        consumer->dirty_epoch = true;
        break;
    case CONSUMER_RECORD_TOPICS:
        consumer->dirty_topics = true;
        break;
    case CONSUMER_RECORD_ASSIGNMENT_EPOCH:
        consumer->dirty_assignment_epoch = true;
        break;
    case CONSUMER_RECORD_MEMBER:
        mark_member(consumer, key->name, CONSUMER_DIRTY_METADATA);
        break;
    case CONSUMER_RECORD_TARGET:
        mark_member(consumer, key->name, CONSUMER_DIRTY_TARGET);
        break;
    case CONSUMER_RECORD_CURRENT:
        mark_member(consumer, key->name, CONSUMER_DIRTY_CURRENT);
        break;
    case CONSUMER_RECORD_REGEX:
        mark_regex(consumer, key->name);
        break;
    }
}
