#ifndef TIDINGS_GROUP_CONSUMER_CHECK_H
#define TIDINGS_GROUP_CONSUMER_CHECK_H

#include "group/consumer_state.h"

/* What a ConsumerGroupHeartbeat has to be, before anything changes. */

/* Where a request's error and its message go. */
struct consumer_refusal {
    enum err err;
    struct reason reason;
};

#define REFUSE(refusal, code, ...)                                                                 \
    ((refusal)->err = reason_fail(&(refusal)->reason, (code), __VA_ARGS__))

/* Each returns refusal->err. */

/* Whether it is well-formed. */
enum err consumer_check_request(const struct group *group,
                                const struct consumer_heartbeat_request *request,
                                struct consumer_refusal *refusal);
/* Finds a member that must be there. */
enum err consumer_find_known(const struct group *group,
                             const struct consumer_heartbeat_request *request,
                             struct consumer_member **member, struct consumer_refusal *refusal);
/* Whether a member may act at this epoch. */
enum err consumer_check_epoch(const struct consumer_member *member,
                              const struct consumer_heartbeat_request *request,
                              struct consumer_refusal *refusal);
/* Whether a joining member finds room, and its instance id free. The group may be classic yet. */
enum err consumer_check_join(const struct group *group,
                             const struct consumer_heartbeat_request *request,
                             struct consumer_refusal *refusal);
/* Whether the regular expression is one; those the group has are. */
enum err consumer_check_regex(const struct group *group,
                              const struct consumer_heartbeat_request *request,
                              struct consumer_refusal *refusal);

/*
 * Whether there is memory for what the request names: texts, and what of its topics will be
 * assigned. What a regular expression brings is counted when it is known. member: NULL for a new
 * one; the group may be classic yet. The log is told of ERR_GROUP_MAX_SIZE.
 */
enum err consumer_check_room(struct group *group, const struct consumer_member *member,
                             const struct consumer_heartbeat_request *request,
                             struct group_effects *effects, struct consumer_refusal *refusal);

#endif
