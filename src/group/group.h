#ifndef TIDINGS_GROUP_GROUP_H
#define TIDINGS_GROUP_GROUP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/settings.h"
#include "base/slice.h"
#include "coordinator/state_log.h"
#include "group/consumer_assign.h"
#include "net/net.h"
#include "wire/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One consumer group: the classic protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup) and
 * offsets; group/consumer.h has what the new protocol adds. A pure state machine. Every function is
 * state + request + time -> effects: replies to send and records to store. Nothing here does I/O,
 * reads a clock or takes a lock; the caller (group/coordinator.h) holds the group's lock around
 * each call.
 *
 * Requests borrow their slices for the call; what stays is copied. A request that carries a
 * `struct group_waiter` gets exactly one reply: in the effects of this call, of a later one, or of
 * group_stored. A reply that must not be seen before its records are on disk is given by
 * group_stored.
 *
 * Rules follow the protocol guide and KIP-62 (rebalance time-out), KIP-345 (static members),
 * KIP-394 (member id required), KIP-429 (cooperative; nothing special on this side), KIP-496
 * (OffsetDelete), KIP-814 (skip assignment), KIP-211 (offset expiry).
 */
struct group;
struct group_store;

/* What a consumer group (group/consumer.h) needs to know of topics. Called under the group's lock,
 * any thread. */
struct group_topics {
    void *context;
    /* A number that changes with any topic's existence or partitions. Cheap; never 0. */
    uint64_t (*version)(void *context);
    /* False when there is no topic of this name. */
    bool (*find)(void *context, struct slice name, struct wire_uuid *id, int32_t *partition_count);
    /* The topic's name in the arena; null when there is none of this id. */
    struct slice (*find_name)(void *context, struct wire_uuid id, struct arena *arena);
    /* The names of all topics but the server's own, in the arena. */
    size_t (*list)(void *context, struct arena *arena, struct slice **names);
};

/* What a group of the new protocol may have of its own; group/consumer_config.h. */
struct consumer_config {
    int64_t session_timeout_ms;    /* consumer.session.timeout.ms */
    int64_t heartbeat_interval_ms; /* consumer.heartbeat.interval.ms */
};

/* The limits and waits, with Kafka's names. */
struct group_config {
    int32_t initial_rebalance_delay_ms; /* group.initial.rebalance.delay.ms; 0: none */
    int32_t min_session_timeout_ms;     /* group.min.session.timeout.ms */
    int32_t max_session_timeout_ms;     /* group.max.session.timeout.ms */
    int32_t max_size;                   /* group.max.size */
    int32_t offset_metadata_max_bytes;  /* offset.metadata.max.bytes */
    int64_t offsets_retention_ms;       /* offsets.retention.minutes */
    int64_t offsets_retention_check_interval_ms;
    int32_t consumer_session_timeout_ms;        /* group.consumer.session.timeout.ms */
    int32_t consumer_heartbeat_interval_ms;     /* group.consumer.heartbeat.interval.ms */
    int32_t consumer_min_session_timeout_ms;    /* group.consumer.min.session.timeout.ms */
    int32_t consumer_max_session_timeout_ms;    /* group.consumer.max.session.timeout.ms */
    int32_t consumer_min_heartbeat_interval_ms; /* group.consumer.min.heartbeat.interval.ms */
    int32_t consumer_max_heartbeat_interval_ms; /* group.consumer.max.heartbeat.interval.ms */
    int32_t consumer_max_size;                  /* group.consumer.max.size */
    bool consumer_enabled;                      /* group.coordinator.rebalance.protocols */
    bool consumer_upgrade;                      /* group.consumer.migration.policy */
    bool consumer_downgrade;
    /* group.consumer.assignors: those offered; the first one serves members with no wish */
    enum consumer_assignor consumer_assignors[ASSIGNOR_COUNT];
    size_t consumer_assignor_count;
    struct group_topics topics; /* zeroed: there are no topics */
    /* A copy of the group's own settings; NULL: no group has any. Any thread, within a group's or
     * the coordinator's table lock. */
    void (*find_own)(void *context, struct slice group_id, struct overrides *out);
    void *find_own_context;
    /* Makes the random part of member ids; NULL: base/random.h. */
    void (*make_uuid)(void *context, uint8_t uuid[16]);
    void *uuid_context;
};

/* Kafka's defaults, but for the initial delay: 0, so that the first consumer starts at once. */
void group_config_init(struct group_config *config);

/* The time of a call: mono_ms for time-outs, wall_ms for what is stored. */
struct group_time {
    int64_t mono_ms;
    int64_t wall_ms;
};

enum group_state {
    GROUP_EMPTY,
    GROUP_PREPARING_REBALANCE,
    GROUP_COMPLETING_REBALANCE,
    GROUP_STABLE, /* a consumer group with members is always here; consumer_describe knows more */
    GROUP_DEAD,   /* deleted: only waits to be freed */
    /* only shown, of consumer groups */
    GROUP_ASSIGNING,  /* members are to be assigned anew */
    GROUP_RECONCILING /* members are on their way to what they are assigned */
};

/* Kafka's name of the state ("PreparingRebalance"). */
const char *group_state_name(enum group_state state);

/* Whom to answer, and how: kept with a parked request and copied into its reply. */
struct group_waiter {
    struct reply_token token;
    int32_t correlation_id;
    int16_t api_version;
};

/* ---- replies ---- */

enum group_reply_kind {
    GROUP_REPLY_JOIN,
    GROUP_REPLY_SYNC,
    GROUP_REPLY_OFFSET_COMMIT,
    GROUP_REPLY_TXN_OFFSET_COMMIT,
    GROUP_REPLY_OFFSET_DELETE,
    GROUP_REPLY_DELETE_GROUPS,
    GROUP_REPLY_CONSUMER_HEARTBEAT
};

struct group_join_member {
    struct slice member_id;
    struct slice instance_id; /* null: dynamic */
    struct slice metadata;
};

/* For one partition of an offset commit or delete; same order as asked. */
struct group_partition_result {
    struct slice topic;
    int32_t partition;
    enum err err;
};

struct group_delete_result {
    struct slice group_id;
    enum err err;
};

/* Slices point into the reply's own arena. */
struct group_reply {
    struct group_reply *next;
    enum group_reply_kind kind;
    struct group_waiter waiter;
    enum err err; /* of the whole request */
    struct arena arena;
    union {
        struct {
            int32_t generation; /* -1 with an error */
            struct slice protocol_type;
            struct slice protocol; /* null with an error */
            struct slice leader;
            struct slice member_id; /* with ERR_MEMBER_ID_REQUIRED: the id to come back with */
            bool skip_assignment;
            struct group_join_member *members; /* for the leader only */
            size_t member_count;
        } join;
        struct {
            struct slice protocol_type;
            struct slice protocol;
            struct slice assignment;
        } sync;
        struct {
            struct group_partition_result *items;
            size_t count;
        } partitions; /* OFFSET_COMMIT, TXN_OFFSET_COMMIT, OFFSET_DELETE */
        struct {
            struct group_delete_result *items;
            size_t count;
        } groups; /* DELETE_GROUPS */
        struct {
            struct slice message; /* of an error; null: none */
            struct slice member_id;
            int32_t member_epoch;
            int32_t heartbeat_interval_ms;
            bool has_assignment;
            struct group_topic_partitions *topics;
            size_t topic_count;
        } consumer; /* CONSUMER_HEARTBEAT */
    };
};

void group_reply_free(struct group_reply *reply);

/* ---- effects ---- */

/* What a call wants done. Zero-initialised is empty. Lists are in order. */
struct group_effects {
    struct group_reply *replies; /* send now; whoever sends frees */
    struct group_store *stores;  /* append now, then give each to group_stored */
    struct group_reply *last_reply;
    struct group_store *last_store;
};

/* Frees replies and stores that were not taken. */
void group_effects_deinit(struct group_effects *effects);

/* What is to be appended in one batch, and what waits for it. */
enum group_store_kind {
    GROUP_STORE_ASSIGNMENT,  /* the leader's assignment: group becomes stable */
    GROUP_STORE_EMPTY,       /* the last member left */
    GROUP_STORE_STATIC,      /* a static member came back under a new member id */
    GROUP_STORE_OFFSETS,     /* an offset commit */
    GROUP_STORE_TXN_OFFSETS, /* the same within a transaction */
    GROUP_STORE_OFFSET_DELETE,
    GROUP_STORE_TOMBSTONES, /* expired offsets, offsets of deleted topics: nobody waits */
    GROUP_STORE_DELETE,     /* the group itself */
    GROUP_STORE_CONSUMER    /* a change of a consumer group */
};

/* Owned by whoever took it from the effects until group_stored or group_store_free. */
struct group_store {
    struct group_store *next;
    enum group_store_kind kind;
    int32_t generation;
    uint64_t sequence;      /* of the offsets in it */
    int64_t producer_id;    /* TXN_OFFSETS: whose transaction; else -1 */
    int16_t producer_epoch; /* likewise */
    struct arena arena;
    struct state_record *records; /* for __consumer_offsets, in Kafka's format */
    size_t record_count;
    struct slice member_id; /* STATIC */
    bool skip_assignment;   /* STATIC: the request can read it */
    struct slice old_leader;
    struct group_reply *reply; /* OFFSETS, TXN_OFFSETS, OFFSET_DELETE, CONSUMER: once stored */
    struct group_commit_item *offsets;
    size_t offset_count;
    int64_t commit_wall_ms;
};

void group_store_free(struct group_store *store);

/*
 * The records of a store are on disk (ERR_NONE), or were not written (any other: the replies say
 * ERR_COORDINATOR_UNAVAILABLE, the state falls back to what the log holds). Frees the store.
 */
void group_stored(struct group *group, struct group_store *store, enum err err,
                  struct group_time now, struct group_effects *effects);

/* ---- the group ---- */

/* Asks find_own again: what it says holds from the next heartbeat on. */
void group_reconfigure(struct group *group);

/* An empty group. config must outlive it; id is copied. */
struct group *group_new(struct slice id, const struct group_config *config, struct group_time now);

/* No waiter may be left: see group_abandon. */
void group_free(struct group *group);

struct slice group_id(const struct group *group);
enum group_state group_state(const struct group *group);
int32_t group_generation(const struct group *group);
size_t group_member_count(const struct group *group);
struct slice group_protocol_type(const struct group *group);

/* Nothing of it is in the log or in use: no members, no offsets, generation 0. */
bool group_is_forgotten(const struct group *group);

/* Answers everything parked with err (the coordinator stops). */
void group_abandon(struct group *group, enum err err, struct group_effects *effects);

/*
 * The time (mono_ms) by which group_tick wants to be called; INT64_MAX: never. A lower bound: it
 * may be early, never late. Heartbeats do not move it.
 */
int64_t group_deadline_ms(const struct group *group);

/* Does what is due: expires members, ends rebalances. Calling it early is harmless. */
void group_tick(struct group *group, struct group_time now, struct group_effects *effects);

/* ---- membership ---- */

struct group_protocol_offer {
    struct slice name;
    struct slice metadata;
};

struct group_join_request {
    struct group_waiter waiter;
    struct slice member_id;   /* empty: new */
    struct slice instance_id; /* null: dynamic */
    struct slice client_id;
    struct slice client_host; /* "/127.0.0.1" */
    struct slice protocol_type;
    struct slice reason; /* may be null */
    const struct group_protocol_offer *protocols;
    size_t protocol_count;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms; /* JoinGroup 0: the session time-out */
    bool member_id_required;      /* JoinGroup 4+ of a dynamic member (KIP-394) */
    bool can_skip_assignment;     /* JoinGroup 9+ (KIP-814) */
};

/*
 * Takes a member in or back, and answers when the generation is formed; at once with the current
 * one when nothing changed. Errors: INVALID_SESSION_TIMEOUT, GROUP_MAX_SIZE, MEMBER_ID_REQUIRED,
 * UNKNOWN_MEMBER, FENCED_INSTANCE, INCONSISTENT_PROTOCOL. Not for a dead group.
 */
void group_join(struct group *group, const struct group_join_request *request,
                struct group_time now, struct group_effects *effects);

struct group_assignment {
    struct slice member_id;
    struct slice assignment;
};

struct group_sync_request {
    struct group_waiter waiter;
    struct slice member_id;
    struct slice instance_id;   /* null: dynamic */
    struct slice protocol_type; /* null: not checked (before SyncGroup 5) */
    struct slice protocol;
    int32_t generation;
    const struct group_assignment *assignments; /* from the leader */
    size_t assignment_count;
};

/* Answers with the member's assignment once the leader's is stored. */
void group_sync(struct group *group, const struct group_sync_request *request,
                struct group_time now, struct group_effects *effects);

/* ERR_NONE, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER, FENCED_INSTANCE, ILLEGAL_GENERATION. O(1). */
CHECKED enum err group_heartbeat(struct group *group, struct slice member_id,
                                 struct slice instance_id, int32_t generation,
                                 struct group_time now);

/* Removes one member: by member id, or by instance id when the member id is empty (KIP-345). */
CHECKED enum err group_leave(struct group *group, struct slice member_id, struct slice instance_id,
                             struct group_time now, struct group_effects *effects);

/* ---- offsets ---- */

struct group_offset_commit {
    struct slice topic;
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch;  /* -1: none */
    struct slice metadata; /* null is kept as "" */
    enum err err;          /* not ERR_NONE: not stored, only echoed (unknown topic, no access) */
};

struct group_commit_request {
    struct group_waiter waiter;
    struct slice member_id;
    struct slice instance_id;
    int32_t generation;   /* -1: not a member */
    int64_t retention_ms; /* OffsetCommit 2-4; -1: the broker's */
    const struct group_offset_commit *offsets;
    size_t count;
};

/* Stores offsets; they are visible, and the reply is given, once they are on disk. */
void group_commit(struct group *group, const struct group_commit_request *request,
                  struct group_time now, struct group_effects *effects);

struct group_txn_commit_request {
    struct group_waiter waiter;
    int64_t producer_id;
    int16_t producer_epoch;
    struct slice member_id; /* TxnOffsetCommit 3+ (KIP-447); else empty, null, -1 */
    struct slice instance_id;
    int32_t generation;
    const struct group_offset_commit *offsets;
    size_t count;
};

/*
 * Stores offsets that count once the producer's transaction is committed (KIP-98). The transaction
 * is open and holds the group's partition of __consumer_offsets: the caller has seen to that.
 * Errors: UNKNOWN_MEMBER, FENCED_INSTANCE, ILLEGAL_GENERATION; of a partition also
 * METADATA_TOO_LARGE; PRODUCER_FENCED when the log has seen a newer epoch.
 */
void group_txn_commit(struct group *group, const struct group_txn_commit_request *request,
                      struct group_time now, struct group_effects *effects);

/* The producer's transaction ended, by a marker in the group's partition: what it holds becomes
 * committed, or is dropped. False: it holds nothing here. */
bool group_txn_end(struct group *group, int64_t producer_id, bool commit);

/* Whether an open transaction of the producer holds offsets here. */
bool group_has_txn(const struct group *group, int64_t producer_id);

struct group_partition {
    struct slice topic;
    int32_t partition;
    enum err err; /* not ERR_NONE: only echoed */
};

struct group_offset_delete_request {
    struct group_waiter waiter;
    const struct group_partition *partitions;
    size_t count;
};

/* OffsetDelete: ERR_SUBSCRIBED for topics that members read, ERR_GROUP_NOT_EMPTY otherwise. */
void group_offset_delete(struct group *group, const struct group_offset_delete_request *request,
                         struct group_time now, struct group_effects *effects);

struct group_offset {
    struct slice topic;
    int32_t partition;
    int64_t offset; /* -1: none committed */
    int32_t leader_epoch;
    struct slice metadata;
    bool unstable; /* an open transaction may change it (KIP-447) */
};

/* Looks up offset->topic and partition; the rest is filled, metadata copied into the arena. */
void group_offset_fetch(const struct group *group, struct arena *arena,
                        struct group_offset *offset);

/* Every committed offset, by topic then partition, copied into the arena. Returns how many. */
size_t group_offset_fetch_all(const struct group *group, struct arena *arena,
                              struct group_offset **offsets);

/* Removes the offsets of a deleted topic. */
void group_topic_deleted(struct group *group, struct slice topic, struct group_time now,
                         struct group_effects *effects);

/*
 * Removes offsets older than offsets.retention (KIP-211: counted from when the group became empty,
 * or from the commit for simple consumers and topics no longer subscribed). A group left empty
 * without offsets becomes dead.
 */
void group_expire_offsets(struct group *group, struct group_time now,
                          struct group_effects *effects);

/* Makes an empty group dead and stores the tombstones; else ERR_GROUP_NOT_EMPTY. */
CHECKED enum err group_delete(struct group *group, struct group_time now,
                              struct group_effects *effects);

/* ---- description ---- */

struct group_member_description {
    struct slice member_id;
    struct slice instance_id;
    struct slice client_id;
    struct slice client_host;
    struct slice metadata;   /* empty unless stable */
    struct slice assignment; /* empty unless stable */
};

struct group_description {
    enum group_state state;
    struct slice protocol_type;
    struct slice protocol; /* empty unless stable */
    struct group_member_description *members;
    size_t member_count;
};

/* Copies everything into the arena. */
void group_describe(const struct group *group, struct arena *arena, struct group_description *out);

/* ---- records ---- */

/* What a record of __consumer_offsets is about. */
enum group_record_kind {
    GROUP_RECORD_OFFSET,
    GROUP_RECORD_METADATA,
    GROUP_RECORD_CONSUMER, /* a piece of a consumer group */
    GROUP_RECORD_OTHER
};

struct group_record_key {
    enum group_record_kind kind; /* OTHER: a kind of newer brokers; skip it */
    struct slice group_id;
    struct slice topic; /* OFFSET */
    int32_t partition;
    int16_t version;   /* CONSUMER: which piece (enum consumer_record) */
    struct slice name; /* CONSUMER: the member id or regular expression; null: the whole group */
};

/* Reads a key (slices borrow from it). ERR_CORRUPT when it is not what its version says. */
CHECKED enum err group_record_key_read(struct slice key, struct group_record_key *out);

/*
 * Brings the group to what the record says: replay, in log order. value null: tombstone. Members
 * found get their full session time-out from now.
 */
CHECKED enum err group_apply_record(struct group *group, const struct group_record_key *key,
                                    struct slice value, struct group_time now);

/* The same for a record of a transactional batch: the offset is held until group_txn_end. */
CHECKED enum err group_apply_txn_record(struct group *group, int64_t producer_id,
                                        const struct group_record_key *key, struct slice value);

#endif
