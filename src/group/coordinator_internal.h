#ifndef TIDINGS_GROUP_COORDINATOR_INTERNAL_H
#define TIDINGS_GROUP_COORDINATOR_INTERNAL_H

#include "base/mem.h"
#include "group/coordinator.h"
#include "group/group_state.h"

/* For coordinator*.c only. */

struct group_entry {
    struct entry base; /* its lock guards the group; dead: as the group's state says */
    struct group *group;
};

struct group_coordinator {
    struct coordinator base;
    struct group_config config;
    struct group_outlet outlet;
    pthread_mutex_t txn_lock;
    struct group_txn_place *txns;   /* by producer_id; guarded by txn_lock */
    _Atomic int64_t next_expiry_ms; /* of offsets */
};

/* The coordinator that the entry is of. */
static inline struct group_coordinator *groupc_of(const struct group_entry *entry)
{
    return container_of(entry->base.coordinator, struct group_coordinator, base);
}

/* ---- coordinator.c ---- */

/* The group was changed, and is about to be left: counts what it holds. */
void groupc_settle(struct group_entry *entry);

/* ERR_NONE, ERR_LOADING, ERR_COORDINATOR_UNAVAILABLE, ERR_INVALID_GROUP (null or, unless
   may_be_empty, empty). */
enum err groupc_check(const struct group_coordinator *coordinator, struct slice group_id,
                      bool may_be_empty);

/* Finds the group, or makes it, and locks it. NULL when there is none. It is not dead. */
struct group_entry *groupc_enter(struct group_coordinator *coordinator, struct slice group_id,
                                 bool create);

/* Finds the group, or makes it for a request of this client, and locks it. NULL: there are
 * group.max.count already, which the log is told. */
struct group_entry *groupc_enter_new(struct group_coordinator *coordinator, struct slice group_id,
                                     struct slice client_id);

/* groupc_enter of a group that is there, where groupc_check has nothing against it. Else *entry is
 * NULL and the error says why: `absent` (which may be ERR_NONE) when there is no such group. */
enum err groupc_enter_checked(struct group_coordinator *coordinator, struct slice group_id,
                              bool may_be_empty, enum err absent, struct group_entry **entry);

/* The same for a commit: one by no member makes the group. ERR_COMMIT_SIZE: there is no room. */
enum err groupc_enter_commit(struct group_coordinator *coordinator, struct slice group_id,
                             bool may_be_empty, bool create, enum err absent,
                             struct slice client_id, struct group_entry **entry);

/* Appends the stores, leaves the entry, sends the replies. */
void groupc_leave(struct group_entry *entry, struct group_effects *effects);

/* Lets go of what was asked for. Under the group's lock if there is one, as another call may answer
 * behind it. */
void groupc_release(struct group_effects *effects);

/* Sends the replies, when what was asked for is let go. Without locks. */
void groupc_send(struct group_coordinator *coordinator, struct group_effects *effects);

/* Carries the effects out; leaves the group if one was entered. */
void groupc_carry_out(struct group_coordinator *coordinator, struct group_entry *entry,
                      struct group_effects *effects);

/* Gets a group locked and not dead. */
typedef void group_visit(struct group *group, void *context, struct clock_time now,
                         struct group_effects *effects);

/* Visits every group; effects are carried out after each. */
void groupc_each(struct group_coordinator *coordinator, group_visit *visit, void *context);
/* A piece of a walk (coordinator_walk_some). */
bool groupc_walk_some(struct coordinator_walk *walk, group_visit *visit, void *context, int64_t ns);

/* ---- coordinator_txn.c ---- */

/* Forgets which groups hold offsets of transactions. The coordinator is freed. */
void groupc_forget_txns(struct group_coordinator *coordinator);

#endif
