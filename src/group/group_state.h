#ifndef TIDINGS_GROUP_GROUP_STATE_H
#define TIDINGS_GROUP_GROUP_STATE_H

#include "group/group.h"

#include <uthash.h>

/*
 * What a group consists of; only for the files of the state machine (group_*.c) and its tests.
 * Slices in these structs are owned: made by kept_copy, freed by kept_free.
 */

enum {
    /* How long a new member may wait for its first JoinGroup answer: it has no member id to send
       heartbeats with, so a lost client is noticed by this alone. */
    GROUP_NEW_MEMBER_TIMEOUT_MS = 5 * 60 * 1000,
    /* Member ids given out (KIP-394) but not yet come back, per group. */
    GROUP_MAX_PENDING_MEMBERS = 10000,
    /* Of the client or instance id in a member id, so that it always fits a STRING. */
    GROUP_MEMBER_ID_PREFIX_BYTES = 255,
    GROUP_UUID_TEXT_BYTES = 36,
    /* Of one member; clients have one to three. */
    GROUP_MAX_PROTOCOLS = 256,
    /* Between two looks for members that come back, whatever the rebalance time-out. */
    GROUP_LEAST_REBALANCE_WAIT_MS = 100
};

struct group_member {
    struct slice id;
    struct slice instance_id; /* null: dynamic */
    struct slice client_id;
    struct slice client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    struct group_protocol_offer *protocols; /* in the member's order of preference */
    size_t protocol_count;
    struct slice assignment; /* never null */
    int64_t deadline_ms;     /* gone without a sign of life until then; see member_is_exempt */
    bool is_new;             /* has not had its first JoinGroup answer */
    bool awaits_join;
    bool awaits_sync;
    bool owes_sync; /* of this generation, no SyncGroup seen yet */
    struct group_waiter join_waiter;
    struct group_waiter sync_waiter;
    UT_hash_handle hh;          /* by id, in order of joining */
    UT_hash_handle hh_instance; /* by instance id, when static */
};

/* A member id that was given out and has not come back. */
struct group_pending {
    struct slice id;
    int64_t deadline_ms;
    UT_hash_handle hh;
};

/* How many members support a protocol. */
struct group_support {
    struct slice name;
    size_t count;
    UT_hash_handle hh;
};

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

struct consumer_group;

struct group {
    struct slice id;
    struct consumer_group *consumer; /* NULL: classic, and the fields of members below count */
    const struct group_config *config;
    struct consumer_config own; /* in force: the server's, or the group's own */
    enum group_state state;
    int64_t state_since_wall_ms; /* -1: unknown (old record) */
    int32_t generation;
    struct slice protocol_type; /* null: never had a member */
    struct slice protocol;      /* null: none chosen */
    struct slice leader;        /* null: none */

    struct group_member *members;
    struct group_member *static_members;
    struct group_pending *pending;
    struct group_support *support;
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

    struct group_offset_entry *offsets;
    struct group_txn *txns; /* open transactions that hold offsets; group_txn.c */
    uint64_t sequence;
    int64_t wake_ms; /* see group_deadline_ms */
};

/* An item of a commit under way. */
struct group_commit_item {
    struct group_offset_entry *entry;
    size_t result; /* index in the reply */
    int64_t offset;
    int32_t leader_epoch;
    struct slice metadata; /* in the store's arena */
    int64_t expire_wall_ms;
};

/* ---- group.c ---- */

/* Owned copies of bytes; null stays null. */
struct slice kept_copy(struct slice slice);
void kept_set(struct slice *kept, struct slice value); /* frees what was there */
void kept_free(struct slice *kept);

struct group_member *group_find_member(const struct group *group, struct slice id);
struct group_member *group_find_static(const struct group *group, struct slice instance_id);
struct group_pending *group_find_pending(const struct group *group, struct slice id);

/* Puts the member in; the first one gives the group its protocol type and becomes leader. */
void group_add_member(struct group *group, struct group_member *member, struct slice protocol_type);

/* Answers what the member still waits for with UNKNOWN_MEMBER, takes it out and frees it. */
void group_remove_member(struct group *group, struct group_member *member,
                         struct group_effects *effects);
void group_remove_pending(struct group *group, struct group_pending *pending);

/* Gives a static member a new id; the old waiters are answered with FENCED_INSTANCE. */
void group_rename_member(struct group *group, struct group_member *member, struct slice new_id,
                         struct group_effects *effects);

/* Replaces the member's protocols by a copy of these. */
void group_set_protocols(struct group *group, struct group_member *member,
                         const struct group_protocol_offer *protocols, size_t count);
struct slice group_member_metadata(const struct group_member *member, struct slice protocol);
bool group_supports(const struct group *group, const struct group_join_request *request);
/* The protocol most members prefer of those that all support; a tie goes to who joined first. */
struct slice group_select_protocol(const struct group *group);

bool group_is_leader(const struct group *group, const struct group_member *member);
void group_set_state(struct group *group, enum group_state state, struct group_time now);
int32_t group_rebalance_timeout_ms(const struct group *group);

/* Notes that something is due at deadline_ms. */
void group_wake_by(struct group *group, int64_t deadline_ms);

/* The member showed life: its session runs anew. */
void group_touch_member(struct group *group, struct group_member *member, struct group_time now);

/* ERR_NONE, FENCED_INSTANCE or UNKNOWN_MEMBER; *member is set with ERR_NONE. */
enum err group_check_member(const struct group *group, struct slice member_id,
                            struct slice instance_id, struct group_member **member);

/* The topics that members of a "consumer" group subscribe to include this one; true also when
   that cannot be known. */
bool group_is_subscribed(const struct group *group, struct slice topic);

/* ---- group_effects.c ---- */

struct group_reply *group_reply_new(enum group_reply_kind kind, const struct group_waiter *waiter,
                                    enum err err);
struct slice group_arena_slice(struct arena *arena, struct slice slice); /* a copy; null: null */
void group_effects_reply(struct group_effects *effects, struct group_reply *reply);
struct group_store *group_store_new(const struct group *group, enum group_store_kind kind);
void group_effects_store(struct group_effects *effects, struct group_store *store);

/* A JoinGroup answer with an error. */
void group_reply_join_error(struct group_effects *effects, const struct group_waiter *waiter,
                            struct slice member_id, enum err err);
/* The current generation, for this member. */
void group_reply_join(const struct group *group, struct group_effects *effects,
                      const struct group_waiter *waiter, const struct group_member *member);
void group_reply_sync(const struct group *group, struct group_effects *effects,
                      const struct group_waiter *waiter, const struct group_member *member,
                      enum err err);

/* An answer with one error for every partition that has none of its own. */
void group_reply_offsets_error(struct group_effects *effects, enum group_reply_kind kind,
                               const struct group_waiter *waiter,
                               const struct group_offset_commit *offsets, size_t count,
                               enum err err);
void group_reply_commit_error(struct group_effects *effects,
                              const struct group_commit_request *request, enum err err);
void group_reply_txn_commit_error(struct group_effects *effects,
                                  const struct group_txn_commit_request *request, enum err err);

/* Answer and forget a parked JoinGroup or SyncGroup; nothing when none is parked. */
void group_end_join(struct group *group, struct group_member *member, enum err err,
                    struct group_effects *effects);
void group_end_sync(struct group *group, struct group_member *member, enum err err,
                    struct group_effects *effects);
/* Parks a request; one of the same member that is already parked is told to try again. */
void group_park_join(struct group *group, struct group_member *member,
                     const struct group_waiter *waiter, struct group_effects *effects);
void group_park_sync(struct group *group, struct group_member *member,
                     const struct group_waiter *waiter, struct group_effects *effects);

/* ---- group_rebalance.c ---- */

void group_prepare_rebalance(struct group *group, struct group_time now,
                             struct group_effects *effects);
void group_maybe_complete_join(struct group *group, struct group_time now,
                               struct group_effects *effects);
/* Takes a member out and lets the group go on without it. */
void group_drop_member(struct group *group, struct group_member *member, struct group_time now,
                       struct group_effects *effects);
void group_settle_sync(struct group *group, struct group_member *member);
/* After a replay: members have their session time-out from now; a group over group.max.size is
   called to rebalance. */
void group_loaded(struct group *group, struct group_time now, struct group_effects *effects);
void group_assignment_stored(struct group *group, const struct group_store *store, enum err err,
                             struct group_time now, struct group_effects *effects);

/* ---- group_join.c ---- */

/* A name, a dash and a UUID; `to` has room for GROUP_MEMBER_ID_PREFIX_BYTES + GROUP_UUID_TEXT_BYTES
   + 2 bytes, which the result borrows. */
struct slice group_make_member_id(const struct group *group, struct slice prefix, char *to,
                                  size_t size);

void group_static_stored(struct group *group, const struct group_store *store, enum err err,
                         struct group_time now, struct group_effects *effects);

/* ---- group_offsets.c ---- */

void group_offsets_stored(struct group *group, struct group_store *store, enum err err,
                          struct group_effects *effects);
void group_free_offsets(struct group *group);
/* Stages the offsets that may be stored, and returns the answer with a result for each.
   expire_wall_ms -1: by offsets.retention. */
struct group_reply *group_stage_offsets(struct group *group, struct group_store *store,
                                        enum group_reply_kind kind,
                                        const struct group_waiter *waiter,
                                        const struct group_offset_commit *offsets, size_t count,
                                        int64_t expire_wall_ms, struct group_time now);
/* The store with its answer, or the answer alone when nothing is to be stored. */
void group_emit_offsets(struct group_store *store, struct group_reply *reply,
                        struct group_effects *effects);
/* Gives the answer of staged offsets: they are stored, or err says why not. */
void group_settle_offsets(struct group *group, struct group_store *store, enum err err,
                          struct group_effects *effects);
void group_free_offset_if_unused(struct group *group, struct group_offset_entry *entry);
/* Takes the offset out, also of transactions; frees the entry unless commits are under way. */
void group_remove_offset(struct group *group, struct group_offset_entry *entry);
/* What a stored commit says, live or on replay; nothing when something newer is there. */
void group_put_offset(const struct group_commit_item *item, uint64_t sequence,
                      int64_t commit_wall_ms);
struct group_offset_entry *group_find_offset(const struct group *group, struct slice topic,
                                             int32_t partition);
struct group_offset_entry *group_take_offset(struct group *group, struct slice topic,
                                             int32_t partition); /* finds or adds */

/* ---- group_txn.c ---- */

/* No transaction holds an offset for this partition any more. The entry stays. */
void group_txn_forget_offset(struct group *group, struct group_offset_entry *entry);
void group_txn_stored(struct group *group, struct group_store *store, enum err err,
                      struct group_effects *effects);

/* ---- group_records.c ---- */

/* What an OffsetCommitValue says, but for the entry; slices in the arena or the value. */
enum err group_read_offset(struct slice value, struct arena *arena, struct group_commit_item *item,
                           int64_t *commit_wall_ms);

/* Adds a record; takes the buffers over. value NULL: a tombstone. */
void group_store_record(struct group_store *store, struct buf *key, struct buf *value);

void group_store_metadata(const struct group *group, struct group_store *store);
void group_store_offset(const struct group *group, struct group_store *store,
                        const struct group_commit_item *item, struct group_time now);
void group_store_offset_tombstone(const struct group *group, struct group_store *store,
                                  const struct group_offset_entry *entry);
void group_store_metadata_tombstone(const struct group *group, struct group_store *store);

#endif
