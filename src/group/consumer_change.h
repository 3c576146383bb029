#ifndef TIDINGS_GROUP_CONSUMER_CHANGE_H
#define TIDINGS_GROUP_CONSUMER_CHANGE_H

#include "group/consumer_state.h"

/*
 * How a consumer group changes while it lives: the record of a change goes into the store of this
 * call, and consumer_apply makes the group what it says. consumer_commit ends the call: it gives
 * the store away. A store that fails has its records noted, and what they are about is written
 * again, as it is then, with the next one; so the log comes to the state.
 */

/* Pointers to members stay good, but to one that the change takes out. */
void consumer_change(struct group *group, const struct group_change *change, struct clock_time now);

/* ---- changes ---- */

/* Raises the group's epoch: every member is to be assigned anew. */
void consumer_bump(struct group *group, struct clock_time now);
/* The targets are of this epoch; so is the group itself with consumer_set_epochs. */
void consumer_set_assignment_epoch(struct group *group, int32_t epoch, struct clock_time now);
/* Group and targets are of this epoch. */
void consumer_set_epochs(struct group *group, int32_t epoch, struct clock_time now);
/* Makes the member, or makes it what the value says. */
struct consumer_member *consumer_set_member(
    struct group *group, struct slice id, const struct consumer_group_member_metadata_value *value,
    struct clock_time now);
/* What the member is to have; the set is copied. */
void consumer_set_target(struct group *group, const struct consumer_member *member,
                         const struct partition_set *target, struct clock_time now);
/* The sets may be the member's own. */
void consumer_set_current(struct group *group, const struct consumer_member *member,
                          enum consumer_member_state state, int32_t epoch, int32_t previous_epoch,
                          const struct partition_set *assigned,
                          const struct partition_set *revoking, struct clock_time now);
/* What the kind says of the name (null: of the group) is gone. */
void consumer_drop(struct group *group, enum group_record_kind kind, struct slice name,
                   struct clock_time now);
/* The member with all its pieces. */
void consumer_remove(struct group *group, struct consumer_member *member, struct clock_time now);
/* A static member is back under a new id; said: why, in its words, or null. It keeps its target,
 * and of its partitions those it is not to give up, at epoch 0. Returns it; the old pointer is
 * dead, and no time-out counts. */
struct consumer_member *consumer_replace(struct group *group, struct consumer_member *member,
                                         struct slice new_id, struct slice said,
                                         struct clock_time now, struct group_effects *effects);

/* ---- the end of a call ---- */

/* Tells of a new member (NULL: there is none) and what it said (null: nothing), and of an
 * assignment above this epoch. */
void consumer_tell(const struct group *group, const struct consumer_member *joined,
                   struct slice said, int32_t assignment_epoch, struct group_effects *effects);

/* Stores what has changed, with the reply behind it (may be NULL); gives it at once when nothing
 * has. member: whom the reply is about, or NULL. */
void consumer_commit(struct group *group, struct consumer_member *member, struct group_reply *reply,
                     struct group_effects *effects);
/* The store of the call under way, which is the caller's then; it may be fresh. */
struct group_store *consumer_take_store(struct group *group);
/* Notes that what the key is about is not in the log as it is here. */
void consumer_note_redo(struct consumer_group *consumer, struct slice key);

#endif
