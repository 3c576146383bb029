#ifndef TIDINGS_GROUP_CONSUMER_H
#define TIDINGS_GROUP_CONSUMER_H

#include "group/consumer_assign.h"
#include "group/group.h"

/*
 * A consumer group of the new protocol (KIP-848): the same `struct group`, with members that only
 * heartbeat, an assignment that the server computes, and steps towards it (a member gives up
 * partitions before another gets them). Offsets are those of any group.
 *
 * Members of the classic protocol may be in it too: a classic group becomes such a group when a
 * member of the new protocol joins (if group.consumer.migration.policy allows), and a classic one
 * again when the last of these leaves. JoinGroup, SyncGroup, Heartbeat and LeaveGroup of group.h
 * serve both.
 */

enum {
    CONSUMER_EPOCH_JOIN = 0,
    CONSUMER_EPOCH_LEAVE = -1,
    CONSUMER_EPOCH_LEAVE_STATIC = -2 /* a static member that will be back */
};

/* A ConsumerGroupHeartbeat. What has not changed since the last one is null. */
struct consumer_heartbeat_request {
    struct group_waiter waiter;
    struct slice member_id;
    int32_t member_epoch;
    struct slice instance_id;     /* null: dynamic */
    struct slice rack_id;         /* null: unchanged */
    int32_t rebalance_timeout_ms; /* -1: unchanged */
    bool has_topics;
    const struct slice *topics; /* names */
    size_t topic_count;
    struct slice regex;    /* null: unchanged; empty: none */
    struct slice assignor; /* null: unchanged */
    bool has_owned;
    const struct group_topic_partitions *owned;
    size_t owned_count;
    struct slice client_id;
    struct slice client_host;
};

/*
 * Takes a member in, hears that it lives, moves it one step towards its target, or lets it go.
 * One GROUP_REPLY_CONSUMER_HEARTBEAT, once what it tells is on disk. Errors, with a message:
 * INVALID, GROUP_NOT_FOUND, UNKNOWN_MEMBER, FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE,
 * FENCED_INSTANCE, UNSUPPORTED_ASSIGNOR, GROUP_MAX_SIZE, INVALID_REGEX. Nothing changes then.
 * Without a change: no allocation but the reply's, and nothing to store.
 */
void consumer_heartbeat(struct group *group, const struct consumer_heartbeat_request *request,
                        struct group_time now, struct group_effects *effects);

/* Whether the group is of the new protocol. */
bool group_is_consumer(const struct group *group);

/* ---- offsets ---- */

/*
 * Whether a member (id may be null: an administrator) may read offsets: ERR_NONE, UNKNOWN_MEMBER,
 * STALE_MEMBER_EPOCH, ILLEGAL_GENERATION (a classic member). A classic group lets everyone.
 */
CHECKED enum err group_check_fetch(const struct group *group, struct slice member_id,
                                   int32_t member_epoch);

/* ---- description ---- */

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

/* Copies everything into the arena. Partitions of topics that are gone are left out. */
void consumer_describe(const struct group *group, struct arena *arena,
                       struct consumer_description *out);

#endif
