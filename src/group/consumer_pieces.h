#ifndef TIDINGS_GROUP_CONSUMER_PIECES_H
#define TIDINGS_GROUP_CONSUMER_PIECES_H

#include "group/consumer_state.h"

/* The values of a consumer group's records. Arrays are in the arena, texts borrow. */

/* A member as it is; a blank one when it is NULL. */
struct consumer_group_member_metadata_value consumer_member_value(
    const struct consumer_member *member, struct arena *arena);
/* What a member of the classic protocol has besides; NULL for NULL. */
struct consumer_group_member_metadata_value_classic_member_metadata *consumer_classic_value(
    int32_t session_timeout_ms, const struct group_protocol_offer *protocols, size_t count,
    struct arena *arena);
/* The topics of a table, in its order. */
struct consumer_group_partition_metadata_value consumer_topics_value(
    const struct consumer_topic *table, struct arena *arena);
/* What a member is to have. */
struct consumer_group_target_assignment_member_value consumer_target_value(
    const struct partition_set *target, struct arena *arena);
/* What a member has and gives up. */
struct consumer_group_current_member_assignment_value consumer_current_value(
    enum consumer_member_state state, int32_t epoch, int32_t previous_epoch,
    const struct partition_set *assigned, const struct partition_set *revoking,
    struct arena *arena);

/*
 * What the key is about, as it is now: its value, or that it is gone. So what could not be stored
 * is brought to the log later. A key of the classic group, too: that is gone.
 */
struct group_change consumer_piece(const struct group *group, const struct group_record_key *key,
                                   struct arena *arena);

/* Adds tombstones for the whole group, as it is. */
void consumer_bury(const struct group *group, struct group_store *store);

#endif
