#include "broker/chaos_rule.h"

#include "wire/api_key.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_names[CHAOS_KINDS] = {
    [CHAOS_ERROR] = "error",   [CHAOS_DELAY] = "delay", [CHAOS_DROP] = "drop",
    [CHAOS_LOSE] = "lose",     [CHAOS_PAUSE] = "pause", [CHAOS_FULL] = "full",
    [CHAOS_EXPIRE] = "expire", [CHAOS_FENCE] = "fence", [CHAOS_REBALANCE] = "rebalance",
};

const char *chaos_kind_name(enum chaos_kind kind)
{
    return kind_names[kind];
}

bool chaos_kind_parse(const char *name, enum chaos_kind *kind)
{
    for (int i = 0; i < CHAOS_KINDS; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *kind = (enum chaos_kind)i;
            return true;
        }
    }
    return false;
}

const char *chaos_end_name(enum chaos_end end)
{
    static const char *const names[] = {
        [CHAOS_GOES_ON] = "",        [CHAOS_COUNT_OVER] = "count", [CHAOS_TIME_OVER] = "time",
        [CHAOS_CLEARED] = "cleared", [CHAOS_DONE] = "done",
    };
    return names[end];
}

void chaos_rule_init(struct chaos_rule *rule, enum chaos_kind kind, uint64_t seed)
{
    *rule = (struct chaos_rule){
        .kind = kind,
        .count = -1,
        .until_ms = INT64_MAX,
        .chance = CHAOS_SURE,
        .seed = seed,
        .random.state = seed,
        .last_wall_ms = -1,
    };
}

void chaos_rule_deinit(struct chaos_rule *rule)
{
    free(rule->client);
    free(rule->topic);
    free(rule->group);
    free(rule->transactional_id);
}

bool chaos_name_fits(const char *pattern, struct slice text)
{
    const char *star = NULL; /* the last one, behind which it is tried from `from` on */
    size_t from = 0;
    size_t at = 0;
    while (at < text.size) {
        if (*pattern == '*') {
            star = ++pattern;
            from = at;
        } else if (*pattern != '\0' && (*pattern == '?' || *pattern == (char)text.data[at])) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static bool fits_any(const char *pattern, const struct slice *names, size_t count)
{
    bool fits = pattern == NULL;
    for (size_t i = 0; i < count && !fits; i++) {
        fits = chaos_name_fits(pattern, names[i]);
    }
    return fits;
}

/* What a client says first: without it, it would not get to what a test is about. */
static bool is_greeting(int16_t key)
{
    return key == API_KEY_API_VERSIONS || key == API_KEY_SASL_HANDSHAKE;
}

static bool is_for_api(const struct chaos_rule *rule, int16_t key)
{
    if (rule->has_apis) {
        return key >= 0 && key < CHAOS_APIS_MOST && rule->apis[key];
    }
    return !is_greeting(key);
}

bool chaos_rule_matches(const struct chaos_rule *rule, const struct chaos_facts *facts)
{
    return is_for_api(rule, facts->api_key) &&
           (rule->client == NULL || chaos_name_fits(rule->client, facts->client_id)) &&
           (rule->transactional_id == NULL ||
            (!slice_is_null(facts->transactional_id) &&
             chaos_name_fits(rule->transactional_id, facts->transactional_id))) &&
           fits_any(rule->topic, facts->topics, facts->topic_count) &&
           fits_any(rule->group, facts->groups, facts->group_count);
}

void chaos_rule_look(struct chaos_rule *rule, int64_t mono_ms)
{
    if (rule->end == CHAOS_GOES_ON && mono_ms >= rule->until_ms) {
        rule->end = CHAOS_TIME_OVER;
    }
}

bool chaos_rule_strikes(struct chaos_rule *rule, const struct chaos_facts *facts, int64_t mono_ms,
                        int64_t wall_ms)
{
    chaos_rule_look(rule, mono_ms);
    if (rule->end != CHAOS_GOES_ON || !chaos_rule_matches(rule, facts)) {
        return false;
    }
    rule->seen++;
    if (rule->seen <= rule->after ||
        (rule->chance < CHAOS_SURE &&
         (int64_t)random_below(&rule->random, CHAOS_SURE) >= rule->chance)) {
        return false;
    }
    rule->struck++;
    rule->last_wall_ms = wall_ms;
    if (rule->count > 0 && --rule->count == 0) {
        rule->end = CHAOS_COUNT_OVER;
    }
    return true;
}
