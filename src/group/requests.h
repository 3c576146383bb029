#ifndef TIDINGS_GROUP_REQUESTS_H
#define TIDINGS_GROUP_REQUESTS_H

#include "group/effects.h"

/*
 * What is asked of a group, and what it tells of itself. Requests borrow their slices for the call,
 * or until their release is called; what stays is copied.
 */

/* ---- membership ---- */

/* Protocols that one member may offer; clients have one to three. */
enum { CLASSIC_MAX_PROTOCOLS = 256 };

struct group_protocol_offer {
    struct slice name;
    struct slice metadata;
};

struct group_join_request {
    struct completion waiter;
    struct group_release release;
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

struct group_assignment {
    struct slice member_id;
    struct slice assignment;
};

struct group_sync_request {
    struct completion waiter;
    struct group_release release;
    struct slice member_id;
    struct slice instance_id;   /* null: dynamic */
    struct slice protocol_type; /* null: not checked (before SyncGroup 5) */
    struct slice protocol;
    int32_t generation;
    const struct group_assignment *assignments; /* from the leader */
    size_t assignment_count;
};

/* One member of a LeaveGroup. */
struct group_leaving {
    struct slice member_id; /* empty: by its instance id (KIP-345) */
    struct slice instance_id;
    struct slice reason; /* may be null */
    enum err err;        /* out */
};

/* ---- offsets ---- */

struct group_offset_commit {
    struct slice topic;        /* empty when only an unknown id names it */
    struct wire_uuid topic_id; /* only echoed; zero: the topic is named */
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch;  /* -1: none */
    struct slice metadata; /* null is kept as "" */
    enum err err;          /* not ERR_NONE: not stored, only echoed (unknown topic, no access) */
};

struct group_commit_request {
    struct completion waiter;
    struct group_release release;
    struct slice member_id;
    struct slice instance_id;
    int32_t generation;     /* -1: not a member */
    int64_t retention_ms;   /* OffsetCommit 2-4; -1: the broker's */
    struct slice client_id; /* for the log, as client_host */
    struct slice client_host;
    const struct group_offset_commit *offsets;
    size_t count;
};

/* TxnOffsetCommit names topics by id, and says STALE_MEMBER_EPOCH and GROUP_ID_NOT_FOUND where it
 * said ILLEGAL_GENERATION before. */
enum { TXN_KIP_1319_VERSION = 6 };

struct group_txn_commit_request {
    struct completion waiter;
    struct group_release release;
    int64_t producer_id;
    int16_t producer_epoch;
    struct slice member_id; /* TxnOffsetCommit 3+ (KIP-447); else empty, null, -1 */
    struct slice instance_id;
    int32_t generation;
    struct slice client_id; /* for the log, as client_host */
    struct slice client_host;
    const struct group_offset_commit *offsets;
    size_t count;
};

struct group_partition {
    struct slice topic;
    int32_t partition;
    enum err err; /* not ERR_NONE: only echoed */
};

struct group_offset_delete_request {
    struct completion waiter;
    struct group_release release;
    const struct group_partition *partitions;
    size_t count;
};

struct group_offset {
    struct slice topic;
    int32_t partition;
    int64_t offset; /* -1: none committed */
    int32_t leader_epoch;
    struct slice metadata;
    bool unstable; /* an open transaction may change it (KIP-447) */
};

/* ---- the new protocol (KIP-848) ---- */

enum {
    CONSUMER_EPOCH_JOIN = 0,
    CONSUMER_EPOCH_LEAVE = -1,
    CONSUMER_EPOCH_LEAVE_STATIC = -2 /* a static member that will be back */
};

/* Who asks, where rights count; zeroed where they do not. */
struct group_asker {
    /* Whether it may know of a topic; NULL: of all. During the call, within the group's lock. */
    bool (*may_see)(void *context, struct slice topic);
    void *context;
    uint64_t rights_version; /* changes with any right of anybody; 0 where there are none */
};

/* A ConsumerGroupHeartbeat. What has not changed since the last one is null. */
struct consumer_heartbeat_request {
    struct completion waiter;
    struct group_release release;
    struct slice member_id;
    int32_t member_epoch;
    struct slice instance_id;     /* null: dynamic */
    struct slice rack_id;         /* null: unchanged */
    int32_t rebalance_timeout_ms; /* -1: unchanged */
    bool has_topics;
    const struct slice *topics; /* names */
    size_t topic_count;
    struct slice regex;                 /* null: unchanged; empty: none */
    const struct reason *regex_refusal; /* why it is not taken; NULL: it is */
    struct slice assignor;              /* null: unchanged */
    bool has_owned;
    const struct group_topic_partitions *owned;
    size_t owned_count;
    struct slice client_id;
    struct slice client_host;
    struct group_asker asker;
};

/* ---- descriptions ---- */

enum group_state {
    GROUP_EMPTY,
    GROUP_PREPARING_REBALANCE,
    GROUP_COMPLETING_REBALANCE,
    GROUP_STABLE, /* a consumer group with members is always here; group_shown_state knows more */
    GROUP_DEAD,   /* deleted: only waits to be freed */
    /* only shown, of consumer groups */
    GROUP_ASSIGNING,  /* members are to be assigned anew */
    GROUP_RECONCILING /* members are on their way to what they are assigned */
};

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

struct consumer_partitions_description {
    struct slice topic; /* name */
    struct wire_uuid topic_id;
    int32_t *partitions;
    size_t count;
};

struct consumer_member_description {
    struct slice member_id;
    struct slice instance_id; /* null: dynamic */
    struct slice rack_id;     /* null: none */
    int32_t epoch;
    struct slice client_id;
    struct slice client_host;
    struct slice *topics;
    size_t topic_count;
    struct slice regex; /* null: none */
    bool classic;
    struct consumer_partitions_description *assigned;
    size_t assigned_count;
    struct consumer_partitions_description *target;
    size_t target_count;
};

struct consumer_description {
    enum group_state state;
    int32_t epoch;
    int32_t assignment_epoch;
    const char *assignor;
    struct consumer_member_description *members;
    size_t member_count;
};

#endif
