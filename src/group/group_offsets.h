#ifndef TIDINGS_GROUP_GROUP_OFFSETS_H
#define TIDINGS_GROUP_GROUP_OFFSETS_H

#include "group/change.h"
#include "group/requests.h"

/* The offsets of a group: see group.h for what all of its functions share. */

/* Stores offsets; they are visible, and the reply is given, once they are on disk. */
void group_commit(struct group *group, const struct group_commit_request *request,
                  struct clock_time now, struct group_effects *effects);

/*
 * Stores offsets that count once the producer's transaction is committed (KIP-98). The transaction
 * is open and holds the group's partition of __consumer_offsets: the caller has seen to that.
 * Errors: UNKNOWN_MEMBER, FENCED_INSTANCE, ILLEGAL_GENERATION; of a partition also
 * METADATA_TOO_LARGE; PRODUCER_FENCED when the log has seen a newer epoch.
 */
void group_txn_commit(struct group *group, const struct group_txn_commit_request *request,
                      struct clock_time now, struct group_effects *effects);

/* The producer's transaction ended, by a marker in the group's partition: what it holds becomes
 * committed, or is dropped. False: it holds nothing here. */
bool group_txn_end(struct group *group, int64_t producer_id, bool commit);

/* Whether an open transaction of the producer holds offsets here. */
bool group_has_txn(const struct group *group, int64_t producer_id);

/* OffsetDelete: ERR_SUBSCRIBED for topics that members read, ERR_GROUP_NOT_EMPTY otherwise. */
void group_offset_delete(struct group *group, const struct group_offset_delete_request *request,
                         struct clock_time now, struct group_effects *effects);

/* Looks up offset->topic and partition; the rest is filled, metadata copied into the arena. */
void group_offset_fetch(const struct group *group, struct arena *arena,
                        struct group_offset *offset);

/* Every committed offset, by topic then partition, copied into the arena. Returns how many. */
size_t group_offset_fetch_all(const struct group *group, struct arena *arena,
                              struct group_offset **offsets);

/* Removes the offsets of a deleted topic. */
void group_topic_deleted(struct group *group, struct slice topic, struct clock_time now,
                         struct group_effects *effects);

/*
 * Removes offsets older than offsets.retention (KIP-211: counted from when the group became empty,
 * or from the commit for simple consumers and topics no longer subscribed). A group left empty
 * without offsets becomes dead.
 */
void group_expire_offsets(struct group *group, struct clock_time now,
                          struct group_effects *effects);

/*
 * Stores the tombstones of an empty group, which is dead then. The reply is of DeleteGroups; what
 * is owed to it is given once that is stored. Its result: ERR_GROUP_NOT_EMPTY, ERR_GROUP_NOT_FOUND,
 * ERR_COORDINATOR_UNAVAILABLE (nothing was appended, and the group stays as it is).
 */
void group_delete(struct group *group, struct group_reply *reply, size_t result,
                  struct clock_time now, struct group_effects *effects);

/* The same answers with one error for every partition that has none of its own. */
void group_reply_commit_error(struct group_effects *effects,
                              const struct group_commit_request *request, enum err err);
/* Of a commit within a transaction. */
void group_reply_txn_commit_error(struct group_effects *effects,
                                  const struct group_txn_commit_request *request, enum err err);

/* A stored offset, or its tombstone, at start. */
void group_apply_offset(struct group *group, const struct group_change *change);
/* Within a transaction: held until group_txn_end. */
void group_apply_txn_offset(struct group *group, int64_t producer_id,
                            const struct group_change *change);

#endif
