#include "group/consumer_downgrade.h"

#include "base/mem.h"
#include "group/classic_change.h"
#include "group/classic_rebalance.h"
#include "group/consumer_apply.h"
#include "group/consumer_change.h"
#include "group/consumer_pieces.h"
#include "group/consumer_protocol.h"

bool consumer_can_downgrade(const struct group *group, const struct consumer_member *leaving,
                            size_t joining)
{
    const struct consumer_group *consumer = group->consumer;
    size_t others = HASH_COUNT(consumer->members) - 1;
    return group->config->consumer_downgrade && leaving->classic == NULL &&
           consumer->classic_count == others && others + joining > 0 &&
           others + joining <= (size_t)group->config->max_size;
}

static void add_draft(struct group *draft, const struct consumer_member *from,
                      struct clock_time now)
{
    struct arena arena = {0};
    struct classic_member *member = mem_new(struct classic_member);
    int16_t version = consumer_protocol_version(from->classic->protocols[0].metadata);
    member->id = kept_copy(from->id);
    member->instance_id = kept_copy(from->instance_id);
    member->client_id = kept_copy(from->client_id);
    member->client_host = kept_copy(from->client_host);
    member->session_timeout_ms = from->classic->session_timeout_ms;
    member->rebalance_timeout_ms = from->rebalance_timeout_ms;
    member->assignment =
        kept_copy(consumer_assignment_write(draft, &from->target, version, &arena));
    classic_add(draft, member, slice_str("consumer"));
    classic_set_protocols(draft, member, from->classic->protocols, from->classic->protocol_count);
    arena_deinit(&arena);
}

void consumer_downgrade(struct group *group, const struct consumer_member *leaving, bool rebalance,
                        struct group_reply *reply, struct clock_time now,
                        struct group_effects *effects)
{
    struct consumer_group *consumer = group->consumer;
    /* What the group will be, for its record to be made of. */
    struct group draft = {
        .id = group->id,
        .config = group->config,
        .generation = consumer->epoch,
        .state_since_wall_ms = now.wall_ms,
    };
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        if (m != leaving) {
            add_draft(&draft, m, now);
        }
    }
    kept_set(&draft.protocol, classic_select_protocol(&draft));
    struct arena arena = {0};
    struct group_change change = classic_change(&draft, &arena);
    struct group_store *store = consumer_take_store(group);
    store->reply = reply;
    consumer_bury(group, store);
    consumer_forget(group);
    group_change_store(&change, store);
    (void)classic_apply(group, &change, now);
    for (const struct classic_member *m = draft.members; m != NULL; m = m->hh.next) {
        /* The record has room for the one protocol in use. */
        classic_set_protocols(group, classic_find(group, m->id), m->protocols, m->protocol_count);
    }
    group_effects_store(effects, store);
    classic_forget(&draft);
    arena_deinit(&arena);
    group_tell(group, effects, GROUP_EVENT_CONVERTED, NULL, "to the classic protocol");
    if (rebalance) {
        classic_prepare_rebalance(group, "the last member of the new protocol left", now, effects);
    }
}

void consumer_empty_to_classic(struct group *group, struct group_effects *effects)
{
    struct group_store *store = consumer_take_store(group);
    consumer_bury(group, store);
    group_effects_store(effects, store);
    consumer_forget(group);
    kept_free(&group->protocol_type);
}
