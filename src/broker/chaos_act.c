#include "broker/chaos_act.h"

#include "base/mem.h"
#include "wire/api_key.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PATIENCE_MS = 10000,
    STEP_NS = 1000000,
    JOIN_VERSION = 7,
    HEARTBEAT_VERSION = 1,
};

/* The name of the member that joins and leaves. */
static const char passer_by[] = "tidings-chaos";

/* Of a connection that there is not: the answer goes nowhere. */
static struct completion answer_to_nobody(int16_t api_key, int16_t api_version)
{
    return (struct completion){
        .token = {.conn_id = UINT64_MAX}, .api_key = api_key, .api_version = api_version};
}

/* --- groups --- */

static bool is_meant(const struct chaos_rule *rule, struct slice client_id)
{
    return rule->client == NULL || chaos_name_fits(rule->client, client_id);
}

static enum err fail_no_group(struct reason *reason, const char *group)
{
    return reason_fail(reason, ERR_NOT_FOUND, "there is no group '%s' with members", group);
}

static enum err expire_classic(const struct chaos_targets *targets, struct chaos_rule *rule,
                               const struct group_description *group, struct reason *reason)
{
    for (size_t i = 0; i < group->member_count; i++) {
        struct group_leaving leaving = {
            .member_id = group->members[i].member_id,
            .instance_id = group->members[i].instance_id,
            .reason = slice_str("a fault on request"),
        };
        if (!is_meant(rule, group->members[i].client_id)) {
            continue;
        }
        enum err err =
            group_coordinator_leave(targets->groups, slice_str(rule->group), &leaving, 1);
        if (err != ERR_NONE) {
            return reason_fail(reason, err, "the group takes no change now (%s)", err_name(err));
        }
        rule->struck += leaving.err == ERR_NONE;
    }
    return ERR_NONE;
}

static void heartbeat(const struct chaos_targets *targets, const char *group, struct slice member,
                      int32_t epoch, const struct consumer_member_description *like)
{
    struct consumer_heartbeat_request request = {
        .waiter = answer_to_nobody(API_KEY_CONSUMER_GROUP_HEARTBEAT, HEARTBEAT_VERSION),
        .member_id = member,
        .member_epoch = epoch,
        .rebalance_timeout_ms = epoch == CONSUMER_EPOCH_JOIN ? PATIENCE_MS : -1,
        .has_topics = like != NULL,
        .topics = like != NULL ? like->topics : NULL,
        .topic_count = like != NULL ? like->topic_count : 0,
        .has_owned = epoch == CONSUMER_EPOCH_JOIN,
        .client_id = slice_str(passer_by),
        .client_host = slice_str("/127.0.0.1"),
    };
    group_coordinator_consumer_heartbeat(targets->groups, slice_str(group), &request);
}

static void expire_consumers(const struct chaos_targets *targets, struct chaos_rule *rule,
                             const struct consumer_description *group)
{
    for (size_t i = 0; i < group->member_count; i++) {
        if (is_meant(rule, group->members[i].client_id)) {
            heartbeat(targets, rule->group, group->members[i].member_id, CONSUMER_EPOCH_LEAVE,
                      NULL);
            rule->struck++;
        }
    }
}

static enum err rebalance_classic(const struct chaos_targets *targets, struct chaos_rule *rule,
                                  const struct group_description *group, struct reason *reason)
{
    if (group->state != GROUP_STABLE) {
        return reason_fail(reason, ERR_INVALID, "group '%s' is rebalancing already", rule->group);
    }
    const struct group_config *config = group_coordinator_settings(targets->groups);
    struct group_protocol_offer offer = {group->protocol, group->members[0].metadata};
    struct group_join_request join = {
        .waiter = answer_to_nobody(API_KEY_JOIN_GROUP, JOIN_VERSION),
        .instance_id = slice_str(passer_by),
        .member_id = slice_str(""),
        .client_id = slice_str(passer_by),
        .client_host = slice_str("/127.0.0.1"),
        .protocol_type = group->protocol_type,
        .protocols = &offer,
        .protocol_count = 1,
        .session_timeout_ms = config->max_session_timeout_ms,
        .rebalance_timeout_ms = config->max_session_timeout_ms,
    };
    struct group_leaving leaving = {.member_id = slice_str(""), .instance_id = join.instance_id};
    group_coordinator_join(targets->groups, slice_str(rule->group), &join);
    enum err err = group_coordinator_leave(targets->groups, slice_str(rule->group), &leaving, 1);
    err = err == ERR_NONE ? leaving.err : err;
    rule->struck = err == ERR_NONE;
    return err == ERR_NONE
               ? ERR_NONE
               : reason_fail(reason, err, "the group could not be made to rebalance (%s)",
                             err_name(err));
}

static void rebalance_consumers(const struct chaos_targets *targets, struct chaos_rule *rule,
                                const struct consumer_description *group)
{
    struct slice member = slice_str(passer_by);
    heartbeat(targets, rule->group, member, CONSUMER_EPOCH_JOIN, &group->members[0]);
    heartbeat(targets, rule->group, member, CONSUMER_EPOCH_LEAVE, NULL);
    rule->struck = 1;
}

static enum err act_on_group(const struct chaos_targets *targets, struct chaos_rule *rule,
                             struct reason *reason)
{
    struct arena arena = {0};
    struct consumer_description consumers;
    struct group_description classic;
    bool found = false;
    struct slice name = slice_str(rule->group);
    enum err err = group_coordinator_consumer_describe(targets->groups, name, &arena, &consumers);
    if (err == ERR_NONE && consumers.member_count > 0) {
        if (rule->kind == CHAOS_EXPIRE) {
            expire_consumers(targets, rule, &consumers);
        } else {
            rebalance_consumers(targets, rule, &consumers);
        }
    } else {
        err = group_coordinator_describe(targets->groups, name, &arena, &classic, &found);
        if (err != ERR_NONE || !found || classic.member_count == 0) {
            err = fail_no_group(reason, rule->group);
        } else {
            err = rule->kind == CHAOS_EXPIRE ? expire_classic(targets, rule, &classic, reason)
                                             : rebalance_classic(targets, rule, &classic, reason);
        }
    }
    arena_deinit(&arena);
    if (err == ERR_NONE && rule->struck == 0) {
        err = reason_fail(reason, ERR_NOT_FOUND, "no member of group '%s' is meant", rule->group);
    }
    return err;
}

/* --- producers --- */

/* Of both, who asks and who answers; the last one frees it. */
struct fencing {
    struct txn_waiter waiter;
    atomic_int holders;
    atomic_bool is_answered;
    struct txn_answer answer;
};

static void let_go(struct fencing *fencing)
{
    if (atomic_fetch_sub(&fencing->holders, 1) == 1) {
        free(fencing);
    }
}

static void on_answer(struct txn_waiter *waiter, const struct txn_answer *answer)
{
    struct fencing *fencing = container_of(waiter, struct fencing, waiter);
    fencing->answer = *answer;
    atomic_store(&fencing->is_answered, true);
    let_go(fencing);
}

/* One InitProducerId; ERR_TIMEOUT: no answer by until_ns. */
static enum err init_once(const struct chaos_targets *targets, const char *id, int32_t timeout_ms,
                          int64_t until_ns, struct reason *reason)
{
    struct txn_init_request request = {
        .timeout_ms = timeout_ms, .producer_id = -1, .producer_epoch = -1, .new_producer_id = -1};
    struct fencing *fencing = mem_new(struct fencing);
    fencing->waiter.done = on_answer;
    atomic_init(&fencing->holders, 2);
    txn_coordinator_init_producer(targets->txns, slice_str(id), &request, &fencing->waiter);
    while (!atomic_load(&fencing->is_answered) && clock_now_ns() < until_ns) {
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    }
    enum err err = ERR_TIMEOUT;
    if (atomic_load(&fencing->is_answered)) {
        err = fencing->answer.err;
        reason_set(reason, "%s", fencing->answer.reason.text);
    } else {
        reason_set(reason, "the transaction coordinator did not answer");
    }
    let_go(fencing);
    return err;
}

/* An open transaction is aborted first: until then the answer is to come again. */
static enum err fence(const struct chaos_targets *targets, struct chaos_rule *rule,
                      struct reason *reason)
{
    struct arena arena = {0};
    struct txn_description known;
    enum err err =
        txn_coordinator_describe(targets->txns, slice_str(rule->transactional_id), &arena, &known);
    int32_t timeout_ms = err == ERR_NONE ? known.fields.timeout_ms : 0;
    arena_deinit(&arena);
    if (err != ERR_NONE) {
        return reason_fail(reason, ERR_NOT_FOUND, "there is no transactional id '%s'",
                           rule->transactional_id);
    }
    int64_t until_ns = clock_now_ns() + PATIENCE_MS * INT64_C(1000000);
    do {
        err = init_once(targets, rule->transactional_id, timeout_ms, until_ns, reason);
        if (err == ERR_CONCURRENT_TXNS) {
            nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
        }
    } while (err == ERR_CONCURRENT_TXNS && clock_now_ns() < until_ns);
    rule->struck = err == ERR_NONE;
    return err;
}

enum err chaos_act(const struct chaos_targets *targets, struct chaos_rule *rule,
                   struct reason *reason)
{
    enum err err = rule->kind == CHAOS_FENCE ? fence(targets, rule, reason)
                                             : act_on_group(targets, rule, reason);
    rule->end = CHAOS_DONE;
    rule->seen = rule->struck;
    rule->count = 0;
    return err;
}
