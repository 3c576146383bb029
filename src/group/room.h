#ifndef TIDINGS_GROUP_ROOM_H
#define TIDINGS_GROUP_ROOM_H

#include "base/mem.h"
#include "group/group_state.h"

/*
 * The memory that a group takes of BUDGET_GROUPS. What is kept of members and offsets is counted as
 * it comes and goes (group_held_bytes); what a request would add is asked for before it is taken
 * (group_take_room); when the group is left the budget is told what is there now (group_settle).
 * So what is asked for need not be exact, and what is counted is.
 */

enum {
    /* The group, its entry, locks, deadline. */
    GROUP_BASE_BYTES = 512,
    /* Below this a store on its way to disk is not counted: nearly all are, for milliseconds. */
    GROUP_LARGE_STORE_BYTES = 4096
};

/* A text as kept_copy keeps it; null takes nothing. */
static inline size_t kept_cost(struct slice text)
{
    return slice_is_null(text) ? 0 : mem_cost(text.size);
}

/* What protocols take in a member. */
size_t group_offers_cost(const struct group_protocol_offer *offers, size_t count);

/* What the group takes now. O(1). */
size_t group_held_bytes(const struct group *group);

/*
 * Whether `bytes` more fit into the share of all groups, the last eighth of which is for groups
 * that have little (budget_take_fairly). They are the group's then, until group_settle. What is no
 * growth always fits.
 */
CHECKED bool group_take_room(struct group *group, size_t bytes);

/*
 * Whether members may grow by `growth` bytes, one of them to `most`: by group.member.max.bytes,
 * group.max.bytes and the share. Else the log is told who was refused what, of which API. What is
 * no growth always fits.
 */
CHECKED bool group_take_member_room(struct group *group, size_t most, size_t growth,
                                    const struct group_who *who, const char *api,
                                    struct group_effects *effects);

/* Tells the log that who was refused something by this API, for what (a sentence). */
void group_tell_full(const struct group *group, struct group_effects *effects,
                     const struct group_who *who, const char *api, const char *what);

/* The same when group_take_room said no. */
void group_tell_share_full(const struct group *group, struct group_effects *effects,
                           const struct group_who *who, const char *api);

/* The budget has what the group holds, no more and no less. Before the group's lock is let go. */
void group_settle(struct group *group);

/* The group is freed: it counts no more. */
void group_settle_gone(struct group *group);

#endif
