#ifndef TIDINGS_GROUP_CONSUMER_STATE_H
#define TIDINGS_GROUP_CONSUMER_STATE_H

#include "base/pattern.h"
#include "group/consumer.h"
#include "group/group_state.h"

/*
 * What a consumer group consists of; only for consumer_*.c, the few places of group_*.c where the
 * two kinds part, and tests. Slices are owned, as in group_state.h.
 *
 * A change marks what is to be written: a member's records (dirty), the group's, or the ids of what
 * is gone. consumer_commit writes the marked things as they are then into one store, so the log and
 * the state cannot differ; a store that fails marks its records again (consumer_mark).
 */

/* The numbers are stored. */
enum consumer_member_state {
    CONSUMER_STABLE = 0,     /* has what its epoch says */
    CONSUMER_UNREVOKED = 1,  /* is to give up partitions before it can go on */
    CONSUMER_UNRELEASED = 2, /* waits for partitions that others have yet */
};

enum consumer_dirty {
    CONSUMER_DIRTY_METADATA = 1,
    CONSUMER_DIRTY_TARGET = 2,
    CONSUMER_DIRTY_CURRENT = 4,
    CONSUMER_DIRTY_ALL = 7
};

/* What a member of the classic protocol has besides. */
struct consumer_classic {
    int32_t session_timeout_ms;
    struct group_protocol_offer *protocols; /* at least one, in order of preference */
    size_t protocol_count;
};

struct consumer_member {
    struct slice id;
    struct slice instance_id; /* null: dynamic */
    struct slice rack_id;     /* null: none */
    struct slice client_id;
    struct slice client_host;
    int32_t rebalance_timeout_ms;
    struct slice *topics; /* subscribed names, in order, none twice */
    size_t topic_count;
    struct slice regex;               /* null: none */
    struct slice assignor;            /* null: any */
    struct consumer_classic *classic; /* NULL: of the new protocol */

    int32_t epoch;
    int32_t previous_epoch;
    enum consumer_member_state state;
    struct partition_set assigned;
    struct partition_set revoking;
    struct partition_set target;

    unsigned dirty;
    bool known;        /* on replay: its metadata was seen */
    uint64_t sequence; /* of the last store that tells of it */

    /* INT64_MAX: does not count */
    int64_t session_deadline_ms;
    int64_t rebalance_deadline_ms; /* to give up partitions */
    int64_t join_deadline_ms;      /* classic: to join again */
    int64_t sync_deadline_ms;      /* classic: to sync */

    UT_hash_handle hh;
    UT_hash_handle hh_instance;
};

/* A subscribed topic that exists, as of the last look at the catalogue. */
struct consumer_topic {
    struct slice name;
    struct wire_uuid id;
    int32_t partition_count; /* -1: only while the table is made: there is no such topic */
    uint32_t index;          /* while an assignment is computed */
    UT_hash_handle hh;
};

struct consumer_regex {
    struct slice text;
    struct pattern *pattern;
    struct slice *topics; /* the names it matches, in order */
    size_t topic_count;
    uint64_t version; /* of the catalogue; 0: not looked up yet */
    int64_t wall_ms;
    bool used;
    bool dirty;
    UT_hash_handle hh;
};

/* A partition that a member has, or is to give up. */
struct consumer_holding {
    struct topic_partition key;
    const struct consumer_member *holder;
    UT_hash_handle hh;
};

/* What is to be buried: a member id or a regular expression. */
struct consumer_gone {
    struct slice text;
    struct consumer_gone *next;
};

struct consumer_group {
    int32_t epoch;
    int32_t assignment_epoch;
    struct consumer_member *members;
    struct consumer_member *static_members;
    size_t classic_count;
    struct consumer_topic *topics;
    struct consumer_regex *regexes;
    struct consumer_holding *holdings;
    uint64_t topics_version; /* of the catalogue, when topics was made; 0: never */
    uint64_t sequence;       /* of the last store */
    uint64_t stored;         /* up to here they are on disk */

    bool loading; /* replay: holdings are made at its end */
    bool dirty;   /* something is marked */
    bool dirty_epoch;
    bool dirty_assignment_epoch;
    bool dirty_topics;
    bool bury_classic; /* the record of the classic group */
    struct consumer_gone *gone_members;
    struct consumer_gone *gone_regexes;
};

/* ---- consumer_members.c ---- */

struct consumer_group *consumer_new(void);
void consumer_free(struct consumer_group *consumer);

struct consumer_member *consumer_find(const struct consumer_group *consumer, struct slice id);
struct consumer_member *consumer_find_static(const struct consumer_group *consumer,
                                             struct slice instance_id);
/* A new one with this id; instance_id null: dynamic. Its time-outs do not count yet. */
struct consumer_member *consumer_add(struct consumer_group *consumer, struct slice id,
                                     struct slice instance_id);
/* Takes the member out, frees it, marks its records for burial. */
void consumer_remove(struct consumer_group *consumer, struct consumer_member *member);
/* Gives a static member a new id: its records are buried and written anew. */
void consumer_rename(struct consumer_group *consumer, struct consumer_member *member,
                     struct slice new_id);
void consumer_set_instance(struct consumer_group *consumer, struct consumer_member *member,
                           struct slice instance_id);
/* NULL ends the member's time in the classic protocol. Takes classic over. */
void consumer_set_classic(struct consumer_group *consumer, struct consumer_member *member,
                          struct consumer_classic *classic);
struct consumer_classic *consumer_classic_new(int32_t session_timeout_ms,
                                              const struct group_protocol_offer *protocols,
                                              size_t count);
/* Replaces what the member has and gives up; takes the sets over, keeps the holdings right. */
void consumer_set_current(struct consumer_group *consumer, struct consumer_member *member,
                          struct partition_set *assigned, struct partition_set *revoking);
bool consumer_is_held(const struct consumer_group *consumer, const struct topic_partition *key);
/* Replaces the subscribed names when they differ; true then. */
bool consumer_set_topics(struct consumer_member *member, const struct slice *topics, size_t count);
void consumer_names_free(struct slice *names, size_t count);
void consumer_bury(struct consumer_gone **list, struct slice text);
/* Takes the text off the list again; whether it was there. */
bool consumer_unbury(struct consumer_gone **list, struct slice text);
void consumer_dirty(struct consumer_group *consumer, struct consumer_member *member, unsigned what);
/* group->state, by whether there are members. */
void consumer_settle_state(struct group *group, struct group_time now);

/* ---- consumer_topics.c ---- */

/*
 * Brings topics up to date with the subscriptions and the catalogue; true when they changed.
 */
bool consumer_refresh_topics(struct group *group, struct group_time now);
bool consumer_topics_outdated(const struct group *group);
const struct consumer_topic *consumer_find_topic(const struct consumer_group *consumer,
                                                 struct slice name);
const struct consumer_regex *consumer_find_regex(const struct consumer_group *consumer,
                                                 struct slice text);
void consumer_free_topics(struct consumer_group *consumer);
void consumer_free_regexes(struct consumer_group *consumer);
void consumer_regex_free(struct consumer_regex *regex);
bool consumer_is_subscribed(const struct group *group, struct slice topic);

/* ---- consumer_target.c ---- */

/* Raises the group's epoch: every member is to be assigned anew. */
void consumer_bump(struct consumer_group *consumer);
/* Computes the targets when the epoch is above theirs. */
void consumer_assign_targets(struct group *group);
enum consumer_assignor consumer_preferred_assignor(const struct group *group);

/* ---- consumer_reconcile.c ---- */

/* One step of the member towards its target. has_owned: what it says it has. */
void consumer_reconcile(struct consumer_group *consumer, struct consumer_member *member,
                        bool has_owned, const struct group_topic_partitions *owned, size_t count,
                        struct group_time now);
bool consumer_is_reconciled(const struct consumer_group *consumer,
                            const struct consumer_member *member);
/* Whether a partition of its target is still another's. */
bool consumer_waits_for_others(const struct consumer_group *consumer,
                               const struct consumer_member *member);

/* ---- consumer_leave.c ---- */

/* Removes a member, or turns the group into a classic one if this was the last of the new kind. */
void consumer_fence(struct group *group, struct consumer_member *member, struct group_time now,
                    struct group_effects *effects);
void consumer_touch(struct group *group, struct consumer_member *member, struct group_time now);
void consumer_tick(struct group *group, struct group_time now, struct group_effects *effects);
void consumer_find_deadline(struct group *group);
void consumer_loaded(struct group *group, struct group_time now);

/* ---- consumer_store.c ---- */

/* Stores what is marked, with the reply behind it (may be NULL); at once when nothing is. */
void consumer_commit(struct group *group, struct consumer_member *member, struct group_reply *reply,
                     struct group_effects *effects);
void consumer_stored(struct group *group, struct group_store *store, enum err err,
                     struct group_effects *effects);
/* Marks what the key names, to be written again. */
void consumer_mark(struct consumer_group *consumer, const struct group_record_key *key);
/* Writes everything marked. */
void consumer_store_marked(struct group *group, struct group_store *store);
/* Tombstones for the whole group, as it is. */
void consumer_store_tombstones(struct group *group, struct group_store *store);

/* ---- consumer_records.c ---- */

enum consumer_record {
    CONSUMER_RECORD_EPOCH = 3,
    CONSUMER_RECORD_TOPICS = 4,
    CONSUMER_RECORD_MEMBER = 5,
    CONSUMER_RECORD_ASSIGNMENT_EPOCH = 6,
    CONSUMER_RECORD_TARGET = 7,
    CONSUMER_RECORD_CURRENT = 8,
    CONSUMER_RECORD_REGEX = 16
};

/* Reads a consumer group's key; false when its version is none of these. */
bool consumer_key_read(struct slice key, int16_t version, struct group_record_key *out,
                       enum err *err);
/* Adds a record as the group is; name is a member id or a regular expression, else null. */
void consumer_write(const struct group *group, struct group_store *store, enum consumer_record kind,
                    const struct consumer_member *member, const struct consumer_regex *regex);
void consumer_write_tombstone(const struct group *group, struct group_store *store,
                              enum consumer_record kind, struct slice name);
enum err consumer_apply(struct group *group, const struct group_record_key *key, struct slice value,
                        struct group_time now);

/* ---- consumer_classic.c: members of the classic protocol ---- */

void consumer_classic_join(struct group *group, const struct group_join_request *request,
                           struct group_time now, struct group_effects *effects);
void consumer_classic_sync(struct group *group, const struct group_sync_request *request,
                           struct group_time now, struct group_effects *effects);
enum err consumer_classic_heartbeat(struct group *group, struct slice member_id,
                                    struct slice instance_id, int32_t generation,
                                    struct group_time now);
enum err consumer_classic_leave(struct group *group, struct slice member_id,
                                struct slice instance_id, struct group_time now,
                                struct group_effects *effects);

/* ---- consumer_protocol.c: what classic members say inside JoinGroup and SyncGroup ---- */

struct consumer_subscription {
    const struct slice *topics; /* in the arena */
    size_t topic_count;
    struct slice rack_id;
    int16_t version;
    struct partition_set owned; /* the caller's to free */
};

/* ERR_CORRUPT. */
enum err consumer_subscription_read(const struct group *group, struct slice bytes,
                                    struct arena *arena, struct consumer_subscription *out);
enum err consumer_assignment_read(const struct group *group, struct slice bytes,
                                  struct partition_set *out);
/* In the arena; topics that are gone are left out. */
struct slice consumer_assignment_write(const struct group *group, const struct partition_set *set,
                                       int16_t version, struct arena *arena);
struct slice consumer_subscription_write(const struct consumer_member *member, struct arena *arena);
int16_t consumer_protocol_version(struct slice metadata);

/* ---- consumer_convert.c ---- */

/* Makes an empty or classic group a consumer group: ERR_GROUP_NOT_FOUND when that cannot be. */
enum err consumer_upgrade(struct group *group, struct group_time now,
                          struct group_effects *effects);
bool consumer_can_upgrade(const struct group *group);
/* Whether the group may become a classic one once `leaving` is gone. */
bool consumer_can_downgrade(const struct group *group, const struct consumer_member *leaving,
                            size_t joining);
/* Makes it a classic group of all members but leaving (may be NULL). The reply waits for it. */
void consumer_downgrade(struct group *group, struct consumer_member *leaving, bool rebalance,
                        struct group_reply *reply, struct group_time now,
                        struct group_effects *effects);
/* An empty consumer group becomes an empty classic one. */
void consumer_empty_to_classic(struct group *group, struct group_effects *effects);

/* ---- consumer_describe.c ---- */

enum group_state consumer_shown_state(const struct group *group);
void consumer_describe_as_classic(const struct group *group, struct arena *arena,
                                  struct group_description *out);

/* ---- consumer_heartbeat.c ---- */

enum err consumer_check_commit(struct group *group, struct slice member_id, int32_t epoch,
                               int16_t api_version, bool transactional);

#endif
