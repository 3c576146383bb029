#ifndef TIDINGS_GROUP_CLASSIC_CHANGE_H
#define TIDINGS_GROUP_CLASSIC_CHANGE_H

#include "group/classic_members.h"

/*
 * A classic group in the log: one record with the generation and all members. What it says changes
 * by classic_apply only; it says nothing of who waits, whose time runs until when, and which other
 * protocols members offer.
 */

/* The group as it is, as a change; arrays are in the arena, texts borrow from the group. */
struct group_change classic_change(const struct group *group, struct arena *arena);

/* Adds the record of the group as it is. */
void classic_store(const struct group *group, struct group_store *store);

/* Makes the group what the change says. */
enum err classic_apply(struct group *group, const struct group_change *change,
                       struct clock_time now);

/* Takes out all members, of whom none may wait any more: an empty group of generation 0. */
void classic_forget(struct group *group);

#endif
