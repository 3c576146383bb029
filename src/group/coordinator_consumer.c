#include "group/coordinator_internal.h"

/* The requests of the new protocol (KIP-848). */

static void reply_error(struct group_coordinator *coordinator,
                        const struct consumer_heartbeat_request *request, enum err err,
                        const char *message)
{
    struct group_effects effects = {.release = request->release};
    struct group_reply *reply =
        group_reply_new(GROUP_REPLY_CONSUMER_HEARTBEAT, &request->waiter, err);
    reply->consumer.message = slice_str(message);
    group_effects_reply(&effects, reply);
    groupc_send(coordinator, &effects);
}

void group_coordinator_consumer_heartbeat(struct group_coordinator *coordinator,
                                          struct slice group_id,
                                          const struct consumer_heartbeat_request *request)
{
    enum err err = groupc_check(coordinator, group_id, true);
    if (err != ERR_NONE) {
        reply_error(coordinator, request, err, NULL);
        return;
    }
    if (!coordinator->config.consumer_enabled) {
        reply_error(coordinator, request, ERR_UNSUPPORTED,
                    "group.coordinator.rebalance.protocols does not list 'consumer'");
        return;
    }
    if (group_id.size == 0) {
        reply_error(coordinator, request, ERR_INVALID, "GroupId can't be empty");
        return;
    }
    bool joins = request->member_epoch == CONSUMER_EPOCH_JOIN;
    struct group_entry *entry = joins ? groupc_enter_new(coordinator, group_id, request->client_id)
                                      : groupc_enter(coordinator, group_id, false);
    if (entry == NULL && joins) {
        reply_error(coordinator, request, ERR_GROUP_MAX_SIZE,
                    "there are group.max.count groups already");
        return;
    }
    if (entry == NULL) {
        reply_error(coordinator, request, ERR_GROUP_NOT_FOUND, "there is no such group");
        return;
    }
    struct group_effects effects = {.release = request->release};
    consumer_heartbeat(entry->group, request, coordinator_now(&coordinator->base), &effects);
    groupc_leave(entry, &effects);
}

enum err group_coordinator_consumer_describe(struct group_coordinator *coordinator,
                                             struct slice group_id, struct arena *arena,
                                             struct consumer_description *out)
{
    struct group_entry *entry;
    enum err err = groupc_enter_checked(coordinator, group_id, false, ERR_GROUP_NOT_FOUND, &entry);
    if (err != ERR_NONE) {
        return err;
    }
    if (group_is_consumer(entry->group)) {
        consumer_describe(entry->group, arena, out);
    } else {
        err = ERR_GROUP_NOT_FOUND;
    }
    entry_leave(&entry->base);
    return err;
}

enum err group_coordinator_check_fetch(struct group_coordinator *coordinator, struct slice group_id,
                                       struct slice member_id, int32_t member_epoch)
{
    if (slice_is_null(member_id) && member_epoch < 0) {
        return ERR_NONE;
    }
    struct group_entry *entry;
    enum err err = groupc_enter_checked(coordinator, group_id, true, ERR_NONE, &entry);
    if (entry == NULL) {
        return ERR_NONE; /* a group that is not known has no offsets; the fetch says what else */
    }
    err = group_check_fetch(entry->group, member_id, member_epoch);
    entry_leave(&entry->base);
    return err;
}
