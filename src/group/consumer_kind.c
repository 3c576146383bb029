#include "group/consumer_kind.h"

#include "group/consumer_apply.h"
#include "group/consumer_classic.h"
#include "group/consumer_describe.h"
#include "group/consumer_leave.h"
#include "group/consumer_members.h"
#include "group/consumer_pieces.h"
#include "group/consumer_topics.h"

static enum err epoch_error(const struct consumer_member *member, int32_t epoch)
{
    if (epoch == member->epoch) {
        return ERR_NONE;
    }
    return member->classic != NULL ? ERR_ILLEGAL_GENERATION : ERR_STALE_MEMBER_EPOCH;
}

static enum err check_commit(struct group *group, const struct group_committer *committer,
                             struct clock_time now)
{
    const struct consumer_member *member = consumer_find(group->consumer, committer->member_id);
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER;
    }
    if (!committer->transactional && member->classic == NULL && committer->api_version < 9) {
        return ERR_UNSUPPORTED; /* older versions have no word for a stale epoch */
    }
    enum err err = epoch_error(member, committer->generation);
    bool unknown_there = committer->transactional && committer->api_version < TXN_KIP_1319_VERSION;
    return unknown_there && err == ERR_STALE_MEMBER_EPOCH ? ERR_ILLEGAL_GENERATION : err;
}

static enum err check_fetch(const struct group *group, struct slice member_id, int32_t member_epoch)
{
    if (slice_is_null(member_id) && member_epoch < 0) {
        return ERR_NONE;
    }
    const struct consumer_member *member = consumer_find(group->consumer, member_id);
    return member == NULL ? ERR_UNKNOWN_MEMBER : epoch_error(member, member_epoch);
}

static void abandon(struct group *group, enum err err, struct group_effects *effects)
{
    /* Nobody waits but for a store, which answers. */
}

static int32_t generation(const struct group *group)
{
    return group->consumer->epoch;
}

static size_t member_count(const struct group *group)
{
    return HASH_COUNT(group->consumer->members);
}

static struct slice holder(const struct group *group, struct slice instance_id)
{
    const struct consumer_member *member = consumer_find_static(group->consumer, instance_id);
    return member != NULL ? member->id : (struct slice){0};
}

const struct group_kind consumer_kind = {
    .apply = consumer_apply,
    .loaded = consumer_loaded,
    .forget = consumer_forget,
    .abandon = abandon,
    .tick = consumer_tick,
    .find_deadline = consumer_find_deadline,
    .join = consumer_classic_join,
    .sync = consumer_classic_sync,
    .heartbeat = consumer_classic_heartbeat,
    .leave = consumer_classic_leave,
    .check_commit = check_commit,
    .check_fetch = check_fetch,
    .is_subscribed = consumer_is_subscribed,
    .bury = consumer_bury,
    .member_count = member_count,
    .member_bytes = consumer_member_bytes,
    .holder = holder,
    .generation = generation,
    .shown_state = consumer_shown_state,
    .describe = consumer_describe_as_classic,
};
