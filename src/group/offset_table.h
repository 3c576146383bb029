#ifndef TIDINGS_GROUP_OFFSET_TABLE_H
#define TIDINGS_GROUP_OFFSET_TABLE_H

#include "group/group_state.h"

/*
 * The offsets of a group, and those that open transactions hold: nobody sees the latter until the
 * transaction's marker is in the group's partition of __consumer_offsets (KIP-98, KIP-447). Held
 * ones keep the place in the log that they were stored at: a later plain commit of the same
 * partition outlives them.
 */

/* Key of an offset: partition (4 bytes), then the topic's bytes. */
struct group_offset_entry {
    struct slice key;
    struct slice topic; /* inside key */
    int32_t partition;
    bool present; /* else only held for commits under way */
    uint32_t pending;
    uint32_t txn_pending; /* open transactions that hold an offset for this partition */
    uint64_t sequence;    /* of what is here; an older commit that completes late changes nothing */
    int64_t offset;
    int32_t leader_epoch;
    struct slice metadata;
    int64_t commit_wall_ms;
    int64_t expire_wall_ms; /* -1: by offsets.retention */
    UT_hash_handle hh;
};

/* An item of a commit under way. */
struct group_commit_item {
    struct group_offset_entry *entry;
    size_t result; /* index in the reply */
    int64_t offset;
    int32_t leader_epoch;
    struct slice metadata; /* in the store's arena */
    int64_t expire_wall_ms;
    size_t reserved_bytes; /* in the group's offset_bytes, for a longer note; until it is settled */
};

/* NULL when there is none. */
struct group_offset_entry *group_find_offset(const struct group *group, struct slice topic,
                                             int32_t partition);
/* Adds one that is not there; group_free_offset_if_unused when it comes to nothing. */
struct group_offset_entry *group_add_offset(struct group *group, struct slice topic,
                                            int32_t partition);
/* Finds or adds. */
struct group_offset_entry *group_take_offset(struct group *group, struct slice topic,
                                             int32_t partition);
/* Nothing is stored, under way or held any more: frees the entry. */
void group_free_offset_if_unused(struct group *group, struct group_offset_entry *entry);

/* What the commit of this offset adds to what the group holds. held: by a transaction. entry: what
 * is there; NULL: nothing. */
size_t group_offset_growth(const struct group_offset_entry *entry, struct slice topic,
                           struct slice metadata, bool held);

/* What a stored commit says, live or on replay; nothing when something newer is there. */
void group_put_offset(struct group *group, const struct group_commit_item *item, uint64_t sequence,
                      int64_t commit_wall_ms);
/* Takes the offset out, also of transactions; frees the entry unless commits are under way. */
void group_remove_offset(struct group *group, struct group_offset_entry *entry);
/* Frees all, with what transactions hold. */
void group_free_offsets(struct group *group);

/* The transaction of the producer now holds this for the item's partition. */
void group_hold_offset(struct group *group, int64_t producer_id,
                       const struct group_commit_item *item, uint64_t sequence,
                       int64_t commit_wall_ms);
/* What it held with this sequence, for any partition, is on disk, or could not be stored: then what
 * was held before it counts again. */
void group_settle_held(struct group *group, int64_t producer_id,
                       const struct group_commit_item *items, size_t count, uint64_t sequence,
                       bool stored);

#endif
