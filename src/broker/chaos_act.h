#ifndef TIDINGS_BROKER_CHAOS_ACT_H
#define TIDINGS_BROKER_CHAOS_ACT_H

#include "broker/chaos_rule.h"
#include "group/coordinator.h"
#include "txn/coordinator.h"

/*
 * What is done once, on request of a test, to a group or a producer. It goes the way that it would
 * go without a test, so that clients see what they would see then.
 *
 *   CHAOS_EXPIRE     members of rule->group (whose client.id fits rule->client) are out of it, as
 *                    when their session is over; they hear of it at their next heartbeat
 *   CHAOS_REBALANCE  a member joins rule->group and leaves at once: all others are to join again
 *   CHAOS_FENCE      rule->transactional_id gets a new epoch, as if another producer had taken it
 *                    over; a transaction that is open is aborted
 */
struct chaos_targets {
    struct group_coordinator *groups;
    struct txn_coordinator *txns;
};

/* Sets rule->struck: of members, or 1. ERR_NOT_FOUND, ERR_INVALID (nobody to do it to), ERR_TIMEOUT
 * and what the coordinators say. May wait for the disk: on the control thread. */
CHECKED enum err chaos_act(const struct chaos_targets *targets, struct chaos_rule *rule,
                           struct reason *reason);

#endif
