#ifndef TIDINGS_GROUP_COORDINATOR_H
#define TIDINGS_GROUP_COORDINATOR_H

#include "base/clock.h"
#include "batch/batch.h"
#include "coordinator/coordinator.h"
#include "group/consumer.h"
#include "group/group.h"

/*
 * All groups of the server: finds the group, takes its lock, lets the state machine decide, appends
 * the records and answers once they are on disk.
 *
 * Any thread may call anything here but new, replay, load_done and free (one thread, before and
 * after all others). Locks: those of coordinator/coordinator.h, and `txn_lock` (which groups hold
 * offsets of a transaction), taken within a group's.
 */
struct group_coordinator;

/* The topic that keeps groups and their offsets. */
#define GROUP_OFFSETS_TOPIC "__consumer_offsets"

/* Whom the coordinator tells; called without locks, any thread. */
struct group_outlet {
    void *context;
    void (*send)(void *context, struct group_reply *reply); /* takes the reply over */
};

/* What it was made with. Never changes. */
const struct group_config *group_coordinator_settings(const struct group_coordinator *coordinator);

/* The group's own settings have changed: asks for them again (group_reconfigure). Any thread. */
void group_coordinator_reconfigure(struct group_coordinator *coordinator, struct slice group_id);

/* Everything is copied; env->log: of __consumer_offsets. The coordinator answers ERR_LOADING until
 * load_done. */
struct group_coordinator *group_coordinator_new(const struct group_config *config,
                                                const struct coordinator_env *env,
                                                const struct group_outlet *outlet);

/* Whether the group holds so much (256 KiB: hundreds of members, or thousands of offsets or
 * partitions) that a request about it may take over a millisecond. Any thread; waits for nobody who
 * works on the group. */
bool group_coordinator_is_large(struct group_coordinator *coordinator, struct slice group_id);

/* The partition of __consumer_offsets that holds the group. Any thread. */
int32_t group_coordinator_partition(const struct group_coordinator *coordinator,
                                    struct slice group_id);

/* What group_coordinator_replay, replay_txn and txn_end make of one stored record, for
 * state_topic_replay; context: the coordinator. */
enum err group_coordinator_replay_stored(void *context, int32_t partition,
                                         const struct batch *batch, const struct record *record);

/*
 * One record of __consumer_offsets, in the partition's order. value null: a tombstone. Records of
 * kinds that are not known are skipped. ERR_CORRUPT, ERR_UNSUPPORTED: skipped as well, and for the
 * caller to log.
 */
CHECKED enum err group_coordinator_replay(struct group_coordinator *coordinator, struct slice key,
                                          struct slice value);

/*
 * The same for a record of a transactional batch: it counts from the transaction's end on, for
 * which the marker behind it in the log is handed to group_coordinator_txn_end.
 */
CHECKED enum err group_coordinator_replay_txn(struct group_coordinator *coordinator,
                                              int64_t producer_id, struct slice key,
                                              struct slice value);

/* All was replayed: members get their session time-out from now on; requests are served. */
void group_coordinator_load_done(struct group_coordinator *coordinator);

/* Answers everything parked with ERR_COORDINATOR_UNAVAILABLE, and everything that still comes. */
void group_coordinator_stop(struct group_coordinator *coordinator);

/* After stop, when no append is under way. */
void group_coordinator_free(struct group_coordinator *coordinator);

/*
 * Does all that is due at `now_ms` (the clock's mono) and returns when it wants to be called next;
 * INT64_MAX never comes, since offsets are looked through for expired ones from time to time.
 */
int64_t group_coordinator_tick(struct group_coordinator *coordinator, int64_t now_ms);

/* Looks through all offsets for expired ones now, whenever that was done last. Worker thread. */
void group_coordinator_expire_offsets(struct group_coordinator *coordinator);

/* ---- requests: see group/group.h; each waiter gets exactly one reply ---- */

/* JoinGroup, as group_join; before a group is made for it INVALID_SESSION_TIMEOUT. UNKNOWN_MEMBER
 * when a member id names no group. */
void group_coordinator_join(struct group_coordinator *coordinator, struct slice group_id,
                            const struct group_join_request *request);
/* SyncGroup, as group_sync. REBALANCE_IN_PROGRESS while loading. */
void group_coordinator_sync(struct group_coordinator *coordinator, struct slice group_id,
                            const struct group_sync_request *request);
/* Heartbeat, as group_heartbeat. ERR_NONE while loading: nobody is thrown out then. */
CHECKED enum err group_coordinator_heartbeat(struct group_coordinator *coordinator,
                                             struct slice group_id, struct slice member_id,
                                             struct slice instance_id, int32_t generation);

/* Returns an error of the whole request; else each member has its own. */
CHECKED enum err group_coordinator_leave(struct group_coordinator *coordinator,
                                         struct slice group_id, struct group_leaving *members,
                                         size_t count);
/* OffsetCommit, as group_commit; of no member it makes the group. Else of an unknown group
 * GROUP_NOT_FOUND (from version 9 on, KIP-848) or ILLEGAL_GENERATION. */
void group_coordinator_commit(struct group_coordinator *coordinator, struct slice group_id,
                              const struct group_commit_request *request);

/*
 * TxnOffsetCommit (KIP-98, KIP-447), as group_txn_commit. The transaction cannot end during the
 * call: whoever calls holds it open, so that its marker comes behind these records in the log.
 */
void group_coordinator_txn_commit(struct group_coordinator *coordinator, struct slice group_id,
                                  const struct group_txn_commit_request *request);

/* Answers with this error: what the transaction has against it. */
void group_coordinator_txn_refuse(struct group_coordinator *coordinator,
                                  const struct group_txn_commit_request *request, enum err err);

/*
 * The producer's transaction ended, with a marker that is on disk in this partition of
 * __consumer_offsets: the offsets that it holds in groups of the partition become committed, or are
 * dropped. Also while loading. Nothing to do is no error.
 */
void group_coordinator_txn_end(struct group_coordinator *coordinator, int32_t partition,
                               int64_t producer_id, bool commit);

/* OffsetDelete (KIP-496), as group_offset_delete; GROUP_NOT_FOUND. */
void group_coordinator_offset_delete(struct group_coordinator *coordinator, struct slice group_id,
                                     const struct group_offset_delete_request *request);

/* Looks each up (topic and partition are set); -1 for what is not committed or no group. */
CHECKED enum err group_coordinator_fetch(struct group_coordinator *coordinator,
                                         struct slice group_id, struct arena *arena,
                                         struct group_offset *offsets, size_t count);

/* Every committed offset, by topic and partition; an unknown group has none. */
CHECKED enum err group_coordinator_fetch_all(struct group_coordinator *coordinator,
                                             struct slice group_id, struct arena *arena,
                                             struct group_offset **offsets, size_t *count);

/* An unknown group is dead and empty, as in Kafka before DescribeGroups 6; *found tells. */
CHECKED enum err group_coordinator_describe(struct group_coordinator *coordinator,
                                            struct slice group_id, struct arena *arena,
                                            struct group_description *out, bool *found);

/* A ConsumerGroupHeartbeat: see group/consumer.h. One reply. */
void group_coordinator_consumer_heartbeat(struct group_coordinator *coordinator,
                                          struct slice group_id,
                                          const struct consumer_heartbeat_request *request);

/* ERR_GROUP_NOT_FOUND also for a classic group. */
CHECKED enum err group_coordinator_consumer_describe(struct group_coordinator *coordinator,
                                                     struct slice group_id, struct arena *arena,
                                                     struct consumer_description *out);

/* Whether this member may fetch offsets (group_check_fetch); ERR_NONE for unknown groups. */
CHECKED enum err group_coordinator_check_fetch(struct group_coordinator *coordinator,
                                               struct slice group_id, struct slice member_id,
                                               int32_t member_epoch);

struct group_listing {
    struct slice group_id;
    struct slice protocol_type; /* "" for simple consumers */
    enum group_state state;
    bool consumer; /* of the new protocol */
};

/* All groups, in no order. */
CHECKED enum err group_coordinator_list(struct group_coordinator *coordinator, struct arena *arena,
                                        struct group_listing **groups, size_t *count);

/* One GROUP_REPLY_DELETE_GROUPS with an error for each group: GROUP_NOT_FOUND, GROUP_NOT_EMPTY. A
 * group that has an error already is answered with it and left alone. */
void group_coordinator_delete(struct group_coordinator *coordinator,
                              const struct completion *waiter,
                              const struct group_delete_result *wanted, size_t count,
                              struct group_release release);

/* Forgets all offsets of the topic: looks at every group. */
void group_coordinator_topic_deleted(struct group_coordinator *coordinator, struct slice topic);

/* The same in pieces of a millisecond, or of one group; true: there are more groups. The walk is
 * begun by the first one, and ends with the last. */
void group_coordinator_forget_begin(struct group_coordinator *coordinator,
                                    struct coordinator_walk *walk);
bool group_coordinator_forget_some(struct coordinator_walk *walk, struct slice topic);

#endif
