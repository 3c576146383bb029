#ifndef TIDINGS_GROUP_CHANGE_H
#define TIDINGS_GROUP_CHANGE_H

#include "group/effects.h"
#include "wire/generated/consumer_group_current_member_assignment_value.h"
#include "wire/generated/consumer_group_member_metadata_value.h"
#include "wire/generated/consumer_group_metadata_value.h"
#include "wire/generated/consumer_group_partition_metadata_value.h"
#include "wire/generated/consumer_group_regular_expression_value.h"
#include "wire/generated/consumer_group_target_assignment_member_value.h"
#include "wire/generated/consumer_group_target_assignment_metadata_value.h"
#include "wire/generated/group_metadata_value.h"
#include "wire/generated/offset_commit_value.h"

/*
 * One change of a group, as a record of __consumer_offsets says it, in Kafka's formats. What is
 * stored of a group changes by these alone: a request makes the change, its record goes to the log,
 * and the same function applies it then and at every start (group_apply, classic_apply,
 * consumer_apply, group_put_offset).
 */

/* The numbers are the versions at the front of keys. */
enum group_record_kind {
    GROUP_RECORD_OTHER = -1, /* of newer brokers; to be skipped */
    GROUP_RECORD_OFFSET = 1,
    GROUP_RECORD_METADATA = 2, /* a classic group */
    /* pieces of a consumer group (KIP-848) */
    GROUP_RECORD_EPOCH = 3,
    GROUP_RECORD_TOPICS = 4,
    GROUP_RECORD_MEMBER = 5,
    GROUP_RECORD_ASSIGNMENT_EPOCH = 6,
    GROUP_RECORD_TARGET = 7,
    GROUP_RECORD_CURRENT = 8,
    GROUP_RECORD_REGEX = 16
};

/* What a record is about. */
struct group_record_key {
    enum group_record_kind kind;
    struct slice group_id;
    struct slice name; /* the topic, member id or regular expression; null: the whole group */
    int32_t partition; /* OFFSET */
    int16_t version;   /* as it stands in the key */
};

struct group_change {
    struct group_record_key key;
    bool gone; /* a tombstone; else the value of the kind */
    union {
        struct offset_commit_value offset;
        struct group_metadata_value metadata;
        struct consumer_group_metadata_value epoch;
        struct consumer_group_partition_metadata_value topics;
        struct consumer_group_member_metadata_value member;
        struct consumer_group_target_assignment_metadata_value assignment_epoch;
        struct consumer_group_target_assignment_member_value target;
        struct consumer_group_current_member_assignment_value current;
        struct consumer_group_regular_expression_value regex;
    };
};

/* Whether the kind is a piece of a consumer group. */
bool group_record_is_consumer(enum group_record_kind kind);

/*
 * Reads a key (slices borrow from it). ERR_CORRUPT when it is not what its version says: *out has
 * what could be read, the rest is null. Pure.
 */
CHECKED enum err group_record_key_read(struct slice key, struct group_record_key *out);

/* Appends the key's bytes, in the version that Kafka writes. Not for OTHER. */
void group_record_key_write(const struct group_record_key *key, struct buf *to);

/*
 * The record as a change; value null: a tombstone. Slices borrow from key and value, arrays are in
 * the arena. ERR_CORRUPT, ERR_UNSUPPORTED (a version that is not known). Not for OTHER. Pure.
 */
CHECKED enum err group_change_read(const struct group_record_key *key, struct slice value,
                                   struct arena *arena, struct group_change *out);

/* Adds the change's record to the store, in the version that Kafka writes. */
void group_change_store(const struct group_change *change, struct group_store *store);

#endif
