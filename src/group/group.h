#ifndef TIDINGS_GROUP_GROUP_H
#define TIDINGS_GROUP_GROUP_H

#include "group/group_config.h"
#include "group/group_offsets.h"

/*
 * One consumer group: the classic protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup) and
 * offsets; group/consumer.h has what the new protocol adds. A pure state machine. Every function is
 * state + request + time -> effects: replies to send and records to store. Nothing here does I/O,
 * reads a clock or takes a lock; the caller (group/coordinator.h) holds the group's lock around
 * each call.
 *
 * Requests borrow their slices for the call; what stays is copied. A request that carries a
 * `struct completion` gets exactly one reply: in the effects of this call, of a later one, or of
 * group_stored. A reply that must not be seen before its records are on disk is given by
 * group_stored.
 *
 * Rules follow the protocol guide and KIP-62 (rebalance time-out), KIP-345 (static members),
 * KIP-394 (member id required), KIP-429 (cooperative; nothing special on this side), KIP-496
 * (OffsetDelete), KIP-814 (skip assignment), KIP-211 (offset expiry).
 */

/* A state's name as Kafka gives it ("PreparingRebalance"). */
const char *group_state_name(enum group_state state);

/* ---- the group ---- */

/* An empty group. config must outlive it; id is copied. */
struct group *group_new(struct slice id, const struct group_config *config, struct clock_time now);

/* No waiter may be left: see group_abandon. */
void group_free(struct group *group);

/* Asks find_own again: what it says holds from the next heartbeat on. */
void group_reconfigure(struct group *group);

/* Borrowed from the group. */
struct slice group_id(const struct group *group);
/* Stable for every consumer group with members; see group_shown_state. */
enum group_state group_state(const struct group *group);
/* Of the classic protocol; 0 for consumer groups. */
int32_t group_generation(const struct group *group);
/* What is shown of it: of a consumer group, also whether it is on its way. */
enum group_state group_shown_state(const struct group *group);
/* Members of both protocols. */
size_t group_member_count(const struct group *group);
/* Borrowed; null: it never had a member. */
struct slice group_protocol_type(const struct group *group);

/* Nothing of it is in the log or in use: no members, no offsets, generation 0. */
bool group_is_forgotten(const struct group *group);

/* Whether the group is of the new protocol. */
bool group_is_consumer(const struct group *group);

/* Answers everything parked with err (the coordinator stops). */
void group_abandon(struct group *group, enum err err, struct group_effects *effects);

/*
 * The time (mono_ms) by which group_tick wants to be called; INT64_MAX: never. A lower bound: it
 * may be early, never late. Heartbeats do not move it.
 */
int64_t group_deadline_ms(const struct group *group);

/* Does what is due: expires members, ends rebalances. Calling it early is harmless. */
void group_tick(struct group *group, struct clock_time now, struct group_effects *effects);

/* The records of a store are appended: what they say holds from now on. Under the lock of the call
 * that made it; group_stored follows, and it alone when nothing could be appended. */
void group_appended(struct group *group, struct group_store *store, struct clock_time now,
                    struct group_effects *effects);

/*
 * The records of a store are on disk (ERR_NONE), or were not written (any other: the replies say
 * ERR_COORDINATOR_UNAVAILABLE, the state falls back to what the log holds, or what is missing there
 * is written with the next change). Frees the store.
 */
void group_stored(struct group *group, struct group_store *store, enum err err,
                  struct clock_time now, struct group_effects *effects);

/* ---- membership ---- */

/*
 * Takes a member in or back, and answers when the generation is formed; at once with the current
 * one when nothing changed. Errors: INVALID_SESSION_TIMEOUT, GROUP_MAX_SIZE, MEMBER_ID_REQUIRED,
 * UNKNOWN_MEMBER, FENCED_INSTANCE, INCONSISTENT_PROTOCOL. Not for a dead group.
 */
void group_join(struct group *group, const struct group_join_request *request,
                struct clock_time now, struct group_effects *effects);

/* Answers with the member's assignment once the leader's is stored. */
void group_sync(struct group *group, const struct group_sync_request *request,
                struct clock_time now, struct group_effects *effects);

/* ERR_NONE, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER, FENCED_INSTANCE, ILLEGAL_GENERATION. O(1). */
CHECKED enum err group_heartbeat(struct group *group, struct slice member_id,
                                 struct slice instance_id, int32_t generation,
                                 struct clock_time now, struct group_effects *effects);

/* Removes one member: by member id, or by instance id when the member id is empty (KIP-345). */
CHECKED enum err group_leave(struct group *group, const struct group_leaving *leaving,
                             struct clock_time now, struct group_effects *effects);

/*
 * Whether a member (id may be null: an administrator) may read offsets: ERR_NONE, UNKNOWN_MEMBER,
 * STALE_MEMBER_EPOCH, ILLEGAL_GENERATION (a classic member). A classic group lets everyone.
 */
CHECKED enum err group_check_fetch(const struct group *group, struct slice member_id,
                                   int32_t member_epoch);

/* ---- description ---- */

/* Copies everything into the arena. */
void group_describe(const struct group *group, struct arena *arena, struct group_description *out);

/* ---- records ---- */

/*
 * Brings the group to what the record says: at start, in log order. value null: tombstone. Members
 * found get their full session time-out from now.
 */
CHECKED enum err group_apply_record(struct group *group, const struct group_record_key *key,
                                    struct slice value, struct clock_time now);

/* The same for a record of a transactional batch: the offset is held until group_txn_end. */
CHECKED enum err group_apply_txn_record(struct group *group, int64_t producer_id,
                                        const struct group_record_key *key, struct slice value);

/* After the last record: members have their session time-out from now; a group over group.max.size
 * is called to rebalance. */
void group_loaded(struct group *group, struct clock_time now, struct group_effects *effects);

#endif
