#include "broker/chaos.h"

#include "base/logger.h"
#include "base/mem.h"
#include "broker/chaos_facts.h"
#include "wire/api_key.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What a look at one request may decode into. */
enum { FACTS_BYTES = 4 << 20 };

/* A client spoke for a group: a fetch names none, so its group is known by its client.id only. */
struct membership {
    char *client;
    char *group;
};

struct chaos {
    struct api_faults faults;
    const struct clock *clock;
    pthread_mutex_t lock; /* guards: */
    VEC(struct chaos_rule) rules;
    VEC(struct membership) memberships;
    int64_t last_id;
    atomic_size_t active; /* as of the last change: rules that may strike */
};

/* --- who is in which group --- */

static bool equals(const char *text, struct slice slice)
{
    return slice_equal(slice_str(text), slice);
}

static bool tells_group(int16_t key)
{
    return key == API_KEY_JOIN_GROUP || key == API_KEY_CONSUMER_GROUP_HEARTBEAT ||
           key == API_KEY_OFFSET_FETCH;
}

static void note_membership(struct chaos *chaos, struct slice client, struct slice group)
{
    for (size_t i = 0; i < chaos->memberships.count; i++) {
        const struct membership *known = &chaos->memberships.items[i];
        if (equals(known->client, client) && equals(known->group, group)) {
            return;
        }
    }
    if (chaos->memberships.count < CHAOS_MEMBERSHIPS_MOST) {
        vec_push(&chaos->memberships,
                 (struct membership){mem_strndup((const char *)client.data, client.size),
                                     mem_strndup((const char *)group.data, group.size)});
    }
}

/* Fetches have the groups of their client. */
static void settle_groups(struct chaos *chaos, struct chaos_facts *facts)
{
    for (size_t i = 0; tells_group(facts->api_key) && i < facts->group_count; i++) {
        note_membership(chaos, facts->client_id, facts->groups[i]);
    }
    for (size_t i = 0; facts->api_key == API_KEY_FETCH && i < chaos->memberships.count; i++) {
        const struct membership *known = &chaos->memberships.items[i];
        if (equals(known->client, facts->client_id) && facts->group_count < CHAOS_NAMES_MOST) {
            facts->groups[facts->group_count++] = slice_str(known->group);
        }
    }
}

/* --- judging --- */

static void say(const struct chaos_rule *rule, const struct chaos_facts *facts, const char *peer)
{
    if (rule->kind == CHAOS_PAUSE && rule->struck > 1) {
        return; /* each fetch is struck */
    }
    const struct wire_api_info *api = wire_api_find(facts->api_key);
    LOG_WARN("broker", "a fault on request struck",
             "id=%lld fault=%s api=%s client=\"%.*s\" peer=%s topic=\"%.*s\" group=\"%.*s\"",
             (long long)rule->id, chaos_kind_name(rule->kind), api != NULL ? api->name : "",
             SLICE_ARGS(facts->client_id), peer,
             SLICE_ARGS(facts->topic_count > 0 ? facts->topics[0] : slice_str("")),
             SLICE_ARGS(facts->group_count > 0 ? facts->groups[0] : slice_str("")));
}

struct judgement {
    enum api_fault fault;
    int16_t error_code;
    int64_t delay_ms;
    bool loses_answer;
    int64_t id; /* of what drops it */
};

/* Without an answer there is no error to be told: as in Kafka, the connection ends. */
static void add_error(struct judgement *judgement, const struct chaos_rule *rule,
                      const struct chaos_facts *facts)
{
    judgement->fault = facts->is_unanswered ? API_FAULT_DROP : API_FAULT_ERROR;
    judgement->error_code = rule->error_code;
    judgement->id = rule->id;
}

static void add_strike(struct judgement *judgement, const struct chaos_rule *rule,
                       const struct chaos_facts *facts)
{
    switch (rule->kind) {
    case CHAOS_ERROR:
    case CHAOS_FULL:
        add_error(judgement, rule, facts);
        break;
    case CHAOS_DELAY:
        judgement->delay_ms += rule->delay_ms;
        break;
    case CHAOS_DROP:
        judgement->fault = API_FAULT_DROP;
        judgement->id = rule->id;
        break;
    case CHAOS_LOSE:
        judgement->loses_answer = true;
        break;
    case CHAOS_PAUSE: /* judged topic by topic */
    case CHAOS_EXPIRE:
    case CHAOS_REBALANCE:
    case CHAOS_FENCE:
    case CHAOS_KINDS:
        break;
    }
}

/* By each rule, oldest first, until one keeps the request from being done. */
static struct judgement judge_all(struct chaos *chaos, const struct chaos_facts *facts,
                                  const char *peer)
{
    struct judgement judgement = {.fault = API_NO_FAULT};
    struct clock_time now = clock_moment(chaos->clock);
    for (size_t i = 0; i < chaos->rules.count && judgement.fault == API_NO_FAULT; i++) {
        struct chaos_rule *rule = &chaos->rules.items[i];
        if (rule->kind != CHAOS_PAUSE &&
            chaos_rule_strikes(rule, facts, now.mono_ms, now.wall_ms)) {
            say(rule, facts, peer);
            add_strike(&judgement, rule, facts);
        }
    }
    return judgement;
}

static enum api_fault judge(void *context, struct api_request *request, int16_t *error_code,
                            struct reason *reason)
{
    struct chaos *chaos = context;
    struct arena arena = {.limit_bytes = FACTS_BYTES};
    struct chaos_facts facts;
    if (equals(CHAOS_EXEMPT_CLIENT, request->client_id) ||
        (atomic_load(&chaos->active) == 0 && !tells_group(request->completion.api_key))) {
        return API_NO_FAULT;
    }
    chaos_facts_read(request, &arena, &facts);
    pthread_mutex_lock(&chaos->lock);
    settle_groups(chaos, &facts);
    struct judgement judgement = judge_all(chaos, &facts, request->connection->peer);
    pthread_mutex_unlock(&chaos->lock);
    arena_deinit(&arena);
    request->completion.hold_ms =
        (int32_t)(judgement.delay_ms < INT32_MAX ? judgement.delay_ms : INT32_MAX);
    request->completion.loses_answer = judgement.loses_answer;
    *error_code = judgement.error_code;
    if (judgement.fault == API_FAULT_DROP) {
        reason_set(reason, "a fault on request (%lld)", (long long)judgement.id);
    }
    return judgement.fault;
}

static bool pauses(void *context, const struct api_request *request, struct slice topic)
{
    struct chaos *chaos = context;
    struct chaos_facts facts = {
        .api_key = API_KEY_FETCH,
        .client_id = slice_of(request->connection->client_id, request->connection->client_id_size),
        .topics = {topic},
        .topic_count = 1,
    };
    bool is_paused = false;
    struct clock_time now = clock_moment(chaos->clock);
    if (atomic_load(&chaos->active) == 0) {
        return false;
    }
    pthread_mutex_lock(&chaos->lock);
    settle_groups(chaos, &facts);
    for (size_t i = 0; i < chaos->rules.count && !is_paused; i++) {
        struct chaos_rule *rule = &chaos->rules.items[i];
        if (rule->kind == CHAOS_PAUSE &&
            chaos_rule_strikes(rule, &facts, now.mono_ms, now.wall_ms)) {
            say(rule, &facts, request->connection->peer);
            is_paused = true;
        }
    }
    pthread_mutex_unlock(&chaos->lock);
    return is_paused;
}

/* --- the rules --- */

/* Forgets the oldest of those that are over, when they are too many. */
static void forget(struct chaos *chaos)
{
    size_t ended = 0;
    size_t oldest = chaos->rules.count;
    for (size_t i = chaos->rules.count; i > 0; i--) {
        if (chaos->rules.items[i - 1].end != CHAOS_GOES_ON) {
            ended++;
            oldest = i - 1;
        }
    }
    if (ended > CHAOS_ENDED_MOST) {
        chaos_rule_deinit(&chaos->rules.items[oldest]);
        vec_remove(&chaos->rules, oldest);
    }
}

static size_t count_active(struct chaos *chaos, int64_t mono_ms)
{
    size_t active = 0;
    for (size_t i = 0; i < chaos->rules.count; i++) {
        chaos_rule_look(&chaos->rules.items[i], mono_ms);
        active += chaos->rules.items[i].end == CHAOS_GOES_ON;
    }
    atomic_store(&chaos->active, active);
    return active;
}

enum err chaos_add(struct chaos *chaos, struct chaos_rule *rule, int64_t for_ms, int64_t *id,
                   struct reason *reason)
{
    struct clock_time now = clock_moment(chaos->clock);
    pthread_mutex_lock(&chaos->lock);
    bool has_room =
        rule->end != CHAOS_GOES_ON || count_active(chaos, now.mono_ms) < CHAOS_RULES_MOST;
    if (has_room) {
        rule->id = *id = ++chaos->last_id;
        rule->begun_wall_ms = now.wall_ms;
        rule->last_wall_ms = rule->struck > 0 ? now.wall_ms : -1;
        rule->until_ms = for_ms >= 0 ? now.mono_ms + for_ms : INT64_MAX;
        vec_push(&chaos->rules, *rule);
        forget(chaos);
        (void)count_active(chaos, now.mono_ms);
    }
    pthread_mutex_unlock(&chaos->lock);
    if (!has_room) {
        chaos_rule_deinit(rule);
        return reason_fail(reason, ERR_LIMIT,
                           "there are %d faults already: end some with tidings chaos clear",
                           CHAOS_RULES_MOST);
    }
    return ERR_NONE;
}

size_t chaos_clear(struct chaos *chaos, int64_t id)
{
    size_t cleared = 0;
    int64_t mono_ms = clock_mono_ms(chaos->clock);
    pthread_mutex_lock(&chaos->lock);
    for (size_t i = 0; i < chaos->rules.count; i++) {
        struct chaos_rule *rule = &chaos->rules.items[i];
        chaos_rule_look(rule, mono_ms);
        if ((id == 0 || rule->id == id) && rule->end == CHAOS_GOES_ON) {
            rule->end = CHAOS_CLEARED;
            cleared++;
        }
    }
    (void)count_active(chaos, mono_ms);
    pthread_mutex_unlock(&chaos->lock);
    return cleared;
}

void chaos_each(struct chaos *chaos, void (*each)(void *context, const struct chaos_rule *rule),
                void *context)
{
    int64_t mono_ms = clock_mono_ms(chaos->clock);
    pthread_mutex_lock(&chaos->lock);
    for (size_t i = 0; i < chaos->rules.count; i++) {
        chaos_rule_look(&chaos->rules.items[i], mono_ms);
        each(context, &chaos->rules.items[i]);
    }
    pthread_mutex_unlock(&chaos->lock);
}

const struct api_faults *chaos_faults(struct chaos *chaos)
{
    return &chaos->faults;
}

struct chaos *chaos_new(const struct clock *clock)
{
    struct chaos *chaos = mem_new(struct chaos);
    chaos->faults = (struct api_faults){.context = chaos, .judge = judge, .pauses = pauses};
    chaos->clock = clock;
    pthread_mutex_init(&chaos->lock, NULL);
    return chaos;
}

void chaos_free(struct chaos *chaos)
{
    if (chaos == NULL) {
        return;
    }
    for (size_t i = 0; i < chaos->rules.count; i++) {
        chaos_rule_deinit(&chaos->rules.items[i]);
    }
    for (size_t i = 0; i < chaos->memberships.count; i++) {
        free(chaos->memberships.items[i].client);
        free(chaos->memberships.items[i].group);
    }
    vec_deinit(&chaos->rules);
    vec_deinit(&chaos->memberships);
    pthread_mutex_destroy(&chaos->lock);
    free(chaos);
}
