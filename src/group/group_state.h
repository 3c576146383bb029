#ifndef TIDINGS_GROUP_GROUP_STATE_H
#define TIDINGS_GROUP_GROUP_STATE_H

#include "group/change.h"
#include "group/consumer_config.h"
#include "group/group_config.h"
#include "group/requests.h"

#include <uthash.h>

/*
 * What a group consists of, and the table that its two kinds fill in; only for the files of the
 * state machine and its tests. Slices in these structs are owned: made by kept_copy, freed by
 * kept_free.
 *
 * Who may know whom, from the ground up; a file includes what stands before it:
 *   effects, requests, change      replies and stores, requests, records
 *   group_state, member_id         this
 *   room                           what it may take of memory
 *   offset_table, offset_*         offsets, whoever the members are
 *   consumer_protocol              what consumers of the classic protocol say to each other
 *   classic_*                      the classic protocol; classic_kind is its row of the table
 *   consumer_*                     the new one; consumer_kind is its row
 *   consumer_upgrade, _heartbeat   what makes a classic group a consumer group
 *   group                          calls by table
 */
struct group_committer;
struct classic_member;
struct classic_pending;
struct classic_support;
struct consumer_group;
struct group_offset_entry;
struct group_txn;

/*
 * What differs between a classic group and a consumer group. Each is called for a group of its
 * kind, which it may make one of the other; under the group's lock.
 */
struct group_kind {
    /* Brings the members to what the change says; live and at start. */
    enum err (*apply)(struct group *group, const struct group_change *change,
                      struct clock_time now);
    /* Everything was replayed: time-outs count from now. */
    void (*loaded)(struct group *group, struct clock_time now, struct group_effects *effects);
    /* Frees the members; the group has none then, and is empty. Nobody waits any more. */
    void (*forget)(struct group *group);
    /* Answers everything parked with err. */
    void (*abandon)(struct group *group, enum err err, struct group_effects *effects);

    /* Does what is due, and finds the next wake_ms; see group_tick. */
    void (*tick)(struct group *group, struct clock_time now, struct group_effects *effects);
    void (*find_deadline)(struct group *group);

    /* Requests of the classic protocol: see group.h. */
    void (*join)(struct group *group, const struct group_join_request *request,
                 struct clock_time now, struct group_effects *effects);
    void (*sync)(struct group *group, const struct group_sync_request *request,
                 struct clock_time now, struct group_effects *effects);
    enum err (*heartbeat)(struct group *group, struct slice member_id, struct slice instance_id,
                          int32_t generation, struct clock_time now);
    enum err (*leave)(struct group *group, const struct group_leaving *leaving,
                      struct clock_time now, struct group_effects *effects);

    /* Whether the committer may commit offsets, and fetch them. */
    enum err (*check_commit)(struct group *group, const struct group_committer *committer,
                             struct clock_time now);
    enum err (*check_fetch)(const struct group *group, struct slice member_id,
                            int32_t member_epoch);
    /* Whether members read the topic; true also when that cannot be known. */
    bool (*is_subscribed)(const struct group *group, struct slice topic);
    /* Offsets of an empty group expire from when it became empty, not from their commit. */
    bool expires_from_empty;
    /* Adds tombstones for all that the log has of the group but its offsets. */
    void (*bury)(const struct group *group, struct group_store *store);

    size_t (*member_count)(const struct group *group);
    /* What the members take on the heap (group/room.h). */
    size_t (*member_bytes)(const struct group *group);
    /* The id of the member that has this instance id; null: none. */
    struct slice (*holder)(const struct group *group, struct slice instance_id);
    /* The generation, or the epoch. */
    int32_t (*generation)(const struct group *group);
    enum group_state (*shown_state)(const struct group *group);
    /* For DescribeGroups. */
    void (*describe)(const struct group *group, struct arena *arena, struct group_description *out);
};

/* Who commits offsets. */
struct group_committer {
    struct slice member_id;
    struct slice instance_id;
    int32_t generation; /* or epoch; -1: not a member */
    int16_t api_version;
    bool transactional;
};

struct group {
    struct slice id;
    const struct group_config *config;
    struct consumer_config own; /* in force: the server's, or the group's own */
    const struct group_kind *kind;
    enum group_state state;
    int64_t state_since_wall_ms; /* -1: unknown (old record) */
    struct slice protocol_type;  /* null: never had a member */
    int64_t wake_ms;             /* see group_deadline_ms */

    /* What it takes on the heap; see group/room.h. */
    size_t offset_bytes;  /* offsets, and what transactions hold */
    size_t store_bytes;   /* large stores on their way to disk */
    size_t counted_bytes; /* of config->budget */

    /* offset_table.c */
    struct group_offset_entry *offsets;
    struct group_txn *txns; /* open transactions that hold offsets */
    uint64_t sequence;      /* of the last commit */

    struct consumer_group *consumer; /* NULL: classic, and what follows counts */

    /* ---- classic members; classic_*.c ---- */
    int32_t generation;
    struct slice protocol; /* null: none chosen */
    struct slice leader;   /* null: none */
    struct classic_member *members;
    struct classic_member *static_members;
    struct classic_pending *pending;
    struct classic_support *support;
    size_t member_bytes;    /* of members, ids given out, names of protocols */
    size_t joined_count;    /* members with awaits_join */
    size_t owed_sync_count; /* members with owes_sync */

    /* PREPARING_REBALANCE */
    int64_t join_deadline_ms;
    bool initial_delay; /* group.initial.rebalance.delay: wait it out even when all joined */
    int32_t initial_delay_ms;
    int32_t initial_remaining_ms;
    bool new_member_added;

    /* COMPLETING_REBALANCE and STABLE */
    int64_t sync_deadline_ms; /* counts while owed_sync_count > 0 */
    bool assignment_stored;   /* the leader's assignment is on its way to disk */
};

/* An owned copy of bytes; null stays null. */
struct slice kept_copy(struct slice slice);
/* Replaces *kept by a copy of the value, which may lie in *kept. */
void kept_set(struct slice *kept, struct slice value);
/* Frees it; *kept is null then. */
void kept_free(struct slice *kept);

/* The text, or "" for null: records know no null here. */
struct slice slice_or_empty(struct slice slice);

/* In another state, from now on. */
void group_set_state(struct group *group, enum group_state state, struct clock_time now);

/* Notes that something is due at deadline_ms. */
void group_wake_by(struct group *group, int64_t deadline_ms);

/* A change of this kind in the group, for `name` (null: the whole group), with a zeroed value. */
struct group_change group_change_of(const struct group *group, enum group_record_kind kind,
                                    struct slice name);

/* Notes for the log what happened in the group as it is now, to whom (NULL: to all). reason: is
 * copied; or NULL. Returns the event, which is the effects'. */
struct group_event *group_tell(const struct group *group, struct group_effects *effects,
                               enum group_event_kind kind, const struct group_who *who,
                               const char *reason);

/* The same for a request of this API that was refused since its instance id is another member's,
 * whose id is told as well. */
void group_tell_fenced(const struct group *group, struct group_effects *effects,
                       const struct group_who *who, const char *api);

/* What the client itself says of it (KIP-800); null: nothing. */
void group_event_say(struct group_event *event, struct slice said);

/* Adds a tombstone. */
void group_store_tombstone(const struct group *group, struct group_store *store,
                           enum group_record_kind kind, struct slice name);

#endif
