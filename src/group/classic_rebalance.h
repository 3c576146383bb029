#ifndef TIDINGS_GROUP_CLASSIC_REBALANCE_H
#define TIDINGS_GROUP_CLASSIC_REBALANCE_H

#include "group/classic_waiters.h"

/*
 * How a generation is formed: members are called to join (PREPARING_REBALANCE), the generation
 * begins and the leader's assignment is awaited (COMPLETING_REBALANCE), stored, and handed out
 * (STABLE); or nobody is left (EMPTY).
 */

/* Calls all members to join, or begins at once when that is possible. reason: for the log. */
void classic_prepare_rebalance(struct group *group, const char *reason, struct clock_time now,
                               struct group_effects *effects);
/* The same with the reason that a client gives (KIP-800; null: none), for the log as well. */
void classic_prepare_rebalance_as_said(struct group *group, const char *reason, struct slice said,
                                       struct clock_time now, struct group_effects *effects);
/* Begins the generation if everybody who is awaited has joined. */
void classic_maybe_complete_join(struct group *group, struct clock_time now,
                                 struct group_effects *effects);
/* Takes a member out and lets the group go on without it. */
void classic_drop(struct group *group, struct classic_member *member, struct clock_time now,
                  struct group_effects *effects);
/* The member has sent its SyncGroup. */
void classic_settle_sync(struct group *group, struct classic_member *member);
/* The store with the leader's assignment (its one record) is on disk, or is not. */
void classic_assignment_stored(struct group *group, struct group_store *store, enum err err,
                               struct clock_time now, struct group_effects *effects);

/* See struct group_kind. */
void classic_loaded(struct group *group, struct clock_time now, struct group_effects *effects);
/* Expires members and waits that are due. */
void classic_tick(struct group *group, struct clock_time now, struct group_effects *effects);
/* Sets wake_ms to the first time at which something may be due. */
void classic_find_deadline(struct group *group);

#endif
