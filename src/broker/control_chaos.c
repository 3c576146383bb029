#include "broker/chaos_json.h"
#include "broker/control_words.h"

#include "base/logger.h"

#include <string.h>

struct listing {
    json_t *faults;
    int64_t mono_ms;
    int64_t only_id; /* 0: all */
};

static void add_fault(void *context, const struct chaos_rule *rule)
{
    struct listing *listing = context;
    if (listing->only_id == 0 || rule->id == listing->only_id) {
        json_array_append_new(listing->faults, chaos_json_write(rule, listing->mono_ms));
    }
}

static json_t *list(const struct control_chaos *parts, int64_t only_id)
{
    struct listing listing = {json_array(), clock_mono_ms(parts->clock), only_id};
    chaos_each(parts->chaos, add_fault, &listing);
    return json_pack("{s:b,s:o}", "ok", 1, "faults", listing.faults);
}

static void say_begun(const struct chaos_rule *rule, int64_t id)
{
    LOG_WARN("broker", "a fault on request was made",
             "id=%lld fault=%s topic=\"%s\" group=\"%s\" client=\"%s\" transactional_id=\"%s\"",
             (long long)id, chaos_kind_name(rule->kind), rule->topic != NULL ? rule->topic : "",
             rule->group != NULL ? rule->group : "", rule->client != NULL ? rule->client : "",
             rule->transactional_id != NULL ? rule->transactional_id : "");
}

static bool is_act(const struct chaos_rule *rule)
{
    return rule->kind == CHAOS_EXPIRE || rule->kind == CHAOS_REBALANCE || rule->kind == CHAOS_FENCE;
}

static json_t *add(const struct control_chaos *parts, json_t *asked)
{
    struct chaos_rule rule;
    struct reason reason;
    int64_t for_ms;
    int64_t id;
    enum err err = chaos_json_read(asked, &rule, &for_ms, &reason);
    if (err != ERR_NONE) {
        return control_failure(reason.text);
    }
    err = is_act(&rule) ? chaos_act(&parts->targets, &rule, &reason) : ERR_NONE;
    if (err != ERR_NONE) {
        chaos_rule_deinit(&rule);
        return control_failure(reason.text);
    }
    const struct chaos_rule told = rule; /* its texts live until this thread clears it */
    err = chaos_add(parts->chaos, &rule, for_ms, &id, &reason);
    if (err != ERR_NONE) {
        return control_failure(reason.text);
    }
    say_begun(&told, id);
    return list(parts, id);
}

/* "all", or a list of ids. */
static json_t *clear(const struct control_chaos *parts, const json_t *asked)
{
    size_t cleared = 0;
    size_t i;
    json_t *item;
    if (json_is_string(asked) && strcmp(json_string_value(asked), "all") == 0) {
        cleared = chaos_clear(parts->chaos, 0);
    } else if (!json_is_array(asked)) {
        return control_failure("chaos {\"clear\": \"all\"}, or a list of ids");
    }
    json_array_foreach(asked, i, item)
    {
        int64_t id = json_integer_value(item);
        cleared += id > 0 ? chaos_clear(parts->chaos, id) : 0;
    }
    return json_pack("{s:b,s:I}", "ok", 1, "cleared", (json_int_t)cleared);
}

json_t *control_chaos(const struct control_chaos *parts, const char *rest)
{
    if (parts->chaos == NULL) {
        return control_failure("it makes no faults: only a server for tests does (serve --memory, "
                               "or --allow-chaos)");
    }
    if (rest[0] == '\0') {
        return list(parts, 0);
    }
    json_t *asked = json_loads(rest, 0, NULL);
    json_t *fault = json_object_get(asked, "add");
    const json_t *ended = json_object_get(asked, "clear");
    json_t *answer = fault != NULL ? add(parts, fault)
                     : ended != NULL
                         ? clear(parts, ended)
                         : control_failure("chaos, chaos {\"add\": {\"fault\": ...}} or chaos "
                                           "{\"clear\": ...}");
    json_decref(asked);
    return answer;
}
