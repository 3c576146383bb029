#ifndef TIDINGS_GROUP_CLASSIC_WAITERS_H
#define TIDINGS_GROUP_CLASSIC_WAITERS_H

#include "group/classic_members.h"

/* Who waits for an answer, and the answers. */

/* The current generation, for this member. */
void classic_reply_join(const struct group *group, struct group_effects *effects,
                        const struct completion *waiter, const struct classic_member *member);
/* Its assignment. */
void classic_reply_sync(const struct group *group, struct group_effects *effects,
                        const struct completion *waiter, const struct classic_member *member);

/* Answer and forget a parked JoinGroup or SyncGroup; nothing when none is parked. */
void classic_end_join(struct group *group, struct classic_member *member, enum err err,
                      struct group_effects *effects);
/* The same for SyncGroup: without an error, with the member's assignment. */
void classic_end_sync(struct group *group, struct classic_member *member, enum err err,
                      struct group_effects *effects);
/* Parks a request; one of the same member that is already parked is told to try again. */
void classic_park_join(struct group *group, struct classic_member *member,
                       const struct completion *waiter, struct group_effects *effects);
/* The same for SyncGroup. */
void classic_park_sync(struct group *group, struct classic_member *member,
                       const struct completion *waiter, struct group_effects *effects);

/* Everybody who waits is answered with err. */
void classic_abandon(struct group *group, enum err err, struct group_effects *effects);

/* Answers what the member still waits for with UNKNOWN_MEMBER, takes it out and frees it. */
void classic_remove(struct group *group, struct classic_member *member,
                    struct group_effects *effects);
/* Gives a static member a new id; the old waiters are answered with FENCED_INSTANCE. */
void classic_rename(struct group *group, struct classic_member *member, struct slice new_id,
                    struct group_effects *effects);

#endif
