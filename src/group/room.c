#include "group/room.h"

#include <stdio.h>

size_t group_offers_cost(const struct group_protocol_offer *offers, size_t count)
{
    size_t bytes = mem_cost(count * sizeof *offers);
    for (size_t i = 0; i < count; i++) {
        bytes += mem_cost(offers[i].name.size) + mem_cost(offers[i].metadata.size);
    }
    return bytes;
}

size_t group_held_bytes(const struct group *group)
{
    size_t hashes = (size_t)(group->offsets != NULL) + (group->txns != NULL);
    return GROUP_BASE_BYTES + mem_cost(sizeof *group) + 2 * kept_cost(group->id) +
           kept_cost(group->protocol_type) + kept_cost(group->protocol) + kept_cost(group->leader) +
           hashes * MEM_HASH_COST + group->offset_bytes + group->store_bytes +
           group->kind->member_bytes(group);
}

bool group_take_room(struct group *group, size_t bytes)
{
    struct budget *budget = group->config->budget;
    size_t had = group->counted_bytes;
    size_t need = group_held_bytes(group) + bytes;
    if (budget == NULL || need <= had) {
        return true;
    }
    if (!budget_take_fairly(budget, BUDGET_GROUPS, need - had, had > 0 ? had : BUDGET_NEW)) {
        return false;
    }
    group->counted_bytes = need;
    return true;
}

void group_tell_full(const struct group *group, struct group_effects *effects,
                     const struct group_who *who, const char *api, const char *what)
{
    char reason[200];
    (void)snprintf(reason, sizeof reason, "%s: %s", api, what);
    group_tell(group, effects, GROUP_EVENT_FULL, who, reason);
}

void group_tell_share_full(const struct group *group, struct group_effects *effects,
                           const struct group_who *who, const char *api)
{
    const struct budget_used *share = &group->config->budget->shares[BUDGET_GROUPS];
    char what[128];
    (void)snprintf(
        what, sizeof what, "share=%s is full, %lld of %lld bytes are in use: see memory.max",
        budget_share_name(BUDGET_GROUPS), (long long)share->bytes, (long long)share->limit_bytes);
    group_tell_full(group, effects, who, api, what);
}

bool group_take_member_room(struct group *group, size_t most, size_t growth,
                            const struct group_who *who, const char *api,
                            struct group_effects *effects)
{
    const struct group_config *config = group->config;
    size_t all = group->kind->member_bytes(group) + growth;
    char what[128];
    if (growth == 0) {
        return true;
    }
    if (most > (size_t)config->max_member_bytes) {
        (void)snprintf(what, sizeof what, "%zu bytes of one member are over %s=%lld", most,
                       "group.member.max.bytes", (long long)config->max_member_bytes);
    } else if (all > (size_t)config->max_bytes) {
        (void)snprintf(what, sizeof what, "%zu bytes of its members are over %s=%lld", all,
                       "group.max.bytes", (long long)config->max_bytes);
    } else if (group_take_room(group, growth)) {
        return true;
    } else {
        group_tell_share_full(group, effects, who, api);
        return false;
    }
    group_tell_full(group, effects, who, api, what);
    return false;
}

void group_settle(struct group *group)
{
    struct budget *budget = group->config->budget;
    size_t held = group_held_bytes(group);
    if (budget == NULL || held == group->counted_bytes) {
        return;
    }
    if (held > group->counted_bytes) {
        budget_add(budget, BUDGET_GROUPS, held - group->counted_bytes);
    } else {
        budget_give(budget, BUDGET_GROUPS, group->counted_bytes - held);
    }
    group->counted_bytes = held;
}

void group_settle_gone(struct group *group)
{
    if (group->counted_bytes > 0) {
        budget_give(group->config->budget, BUDGET_GROUPS, group->counted_bytes);
        group->counted_bytes = 0;
    }
}
