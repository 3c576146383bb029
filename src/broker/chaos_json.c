#include "broker/chaos_json.h"

#include "base/mem.h"
#include "base/movable_clock.h"
#include "wire/api_key.h"
#include "wire/kafka_error.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_MOST = 255,
    COUNT_MOST = 1000000000,
    DELAY_MOST_MS = 3600000,
};

/* Which fields a fault takes beside who it is for. */
enum field {
    FIELD_APIS = 1,
    FIELD_ERROR = 2,
    FIELD_DELAY = 4,
    FIELD_TOPIC = 8,
    FIELD_GROUP = 16,
    FIELD_TRANSACTION = 32,
    FIELD_REPEATED = 64, /* count, after, chance, seed, for_ms */
    FIELD_CLIENT = 128,
    FIELD_FULL_SCOPE = FIELD_TOPIC | FIELD_GROUP | FIELD_TRANSACTION | FIELD_CLIENT,
};

static const unsigned fields_of[CHAOS_KINDS] = {
    [CHAOS_ERROR] = FIELD_APIS | FIELD_ERROR | FIELD_REPEATED | FIELD_FULL_SCOPE,
    [CHAOS_DELAY] = FIELD_APIS | FIELD_DELAY | FIELD_REPEATED | FIELD_FULL_SCOPE,
    [CHAOS_DROP] = FIELD_APIS | FIELD_REPEATED | FIELD_FULL_SCOPE,
    [CHAOS_LOSE] = FIELD_APIS | FIELD_REPEATED | FIELD_FULL_SCOPE,
    [CHAOS_PAUSE] = FIELD_TOPIC | FIELD_GROUP | FIELD_CLIENT | FIELD_REPEATED,
    [CHAOS_FULL] = FIELD_TOPIC | FIELD_TRANSACTION | FIELD_CLIENT | FIELD_REPEATED,
    [CHAOS_EXPIRE] = FIELD_GROUP | FIELD_CLIENT,
    [CHAOS_REBALANCE] = FIELD_GROUP,
    [CHAOS_FENCE] = FIELD_TRANSACTION,
};

static const struct {
    const char *name;
    unsigned field; /* 0: of all */
} names[] = {
    {"fault", 0},
    {"apis", FIELD_APIS},
    {"error", FIELD_ERROR},
    {"delay_ms", FIELD_DELAY},
    {"topic", FIELD_TOPIC},
    {"group", FIELD_GROUP},
    {"transactional_id", FIELD_TRANSACTION},
    {"client", FIELD_CLIENT},
    {"count", FIELD_REPEATED},
    {"after", FIELD_REPEATED},
    {"chance", FIELD_REPEATED},
    {"seed", FIELD_REPEATED},
    {"for_ms", FIELD_REPEATED},
};

/* --- reading --- */

static enum err check_names(json_t *json, enum chaos_kind kind, struct reason *reason)
{
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        size_t i = 0;
        while (i < sizeof names / sizeof names[0] && strcmp(names[i].name, name) != 0) {
            i++;
        }
        if (i == sizeof names / sizeof names[0]) {
            return reason_fail(reason, ERR_INVALID, "a fault has no '%.40s'", name);
        }
        if (names[i].field != 0 && (fields_of[kind] & names[i].field) == 0) {
            return reason_fail(reason, ERR_INVALID, "'%s' takes no %s", chaos_kind_name(kind),
                               name);
        }
    }
    return ERR_NONE;
}

/* "InitProducerId", "init-producer-id" and "init_producer_id" are the same. */
static bool is_same_name(const char *a, const char *b)
{
    for (;;) {
        a += strspn(a, "-_ ");
        b += strspn(b, "-_ ");
        if (*a == '\0' || tolower((unsigned char)*a) != tolower((unsigned char)*b)) {
            return *a == *b;
        }
        a++;
        b++;
    }
}

static enum err read_api(const char *name, struct chaos_rule *rule, struct reason *reason)
{
    for (int i = 0; i < wire_api_info_count; i++) {
        if (is_same_name(wire_api_info[i].name, name)) {
            rule->apis[wire_api_info[i].key] = true;
            rule->has_apis = true;
            return ERR_NONE;
        }
    }
    return reason_fail(reason, ERR_INVALID,
                       "there is no API '%.40s': Produce, Fetch, Metadata, ListOffsets, "
                       "FindCoordinator, JoinGroup, SyncGroup, Heartbeat, OffsetCommit, "
                       "OffsetFetch, InitProducerId, EndTxn and the others of Kafka's protocol",
                       name);
}

static enum err read_apis(const json_t *json, struct chaos_rule *rule, struct reason *reason)
{
    const json_t *apis = json_object_get(json, "apis");
    enum err err = ERR_NONE;
    size_t i;
    json_t *item;
    if (apis != NULL && !json_is_array(apis)) {
        return reason_fail(reason, ERR_INVALID, "apis is a list of names");
    }
    json_array_foreach(apis, i, item)
    {
        const char *name = json_string_value(item);
        if (err == ERR_NONE) {
            err = name != NULL ? read_api(name, rule, reason)
                               : reason_fail(reason, ERR_INVALID, "apis is a list of names");
        }
    }
    return err;
}

static const struct {
    const char *name;
    int16_t code;
} errors[] = {
#define ROW(name, code) {#name, code},
    KAFKA_ERRORS(ROW)
#undef ROW
};

static enum err read_error(const json_t *json, struct chaos_rule *rule, struct reason *reason)
{
    const json_t *error = json_object_get(json, "error");
    const char *name = json_string_value(error);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        bool is_it = name != NULL
                         ? is_same_name(errors[i].name, name)
                         : json_is_integer(error) && json_integer_value(error) == errors[i].code;
        if (is_it && errors[i].code != KAFKA_ERROR_NONE) {
            rule->error_code = errors[i].code;
            return ERR_NONE;
        }
    }
    return reason_fail(
        reason, ERR_INVALID,
        "'error' is one of Kafka's errors by name or number: NOT_ENOUGH_REPLICAS, "
        "REQUEST_TIMED_OUT, NOT_LEADER_OR_FOLLOWER, COORDINATOR_NOT_AVAILABLE...%s%.40s",
        name != NULL ? ", and not " : "", name != NULL ? name : "");
}

static enum err read_text(const json_t *json, const char *field, char **to, struct reason *reason)
{
    const json_t *value = json_object_get(json, field);
    if (value == NULL) {
        return ERR_NONE;
    }
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) > NAME_MOST) {
        return reason_fail(reason, ERR_INVALID, "%s is a text of 1 to %d bytes", field, NAME_MOST);
    }
    *to = mem_strdup(json_string_value(value));
    return ERR_NONE;
}

static enum err read_number(const json_t *json, const char *field, int64_t least, int64_t most,
                            int64_t *to, struct reason *reason)
{
    const json_t *value = json_object_get(json, field);
    if (value == NULL) {
        return ERR_NONE;
    }
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most) {
        return reason_fail(reason, ERR_INVALID, "%s is a whole number from %lld to %lld", field,
                           (long long)least, (long long)most);
    }
    *to = json_integer_value(value);
    return ERR_NONE;
}

static enum err read_chance(const json_t *json, struct chaos_rule *rule, struct reason *reason)
{
    const json_t *chance = json_object_get(json, "chance");
    double value = json_number_value(chance);
    if (chance == NULL) {
        return ERR_NONE;
    }
    if (!json_is_number(chance) || !(value > 0 && value <= 1)) {
        return reason_fail(reason, ERR_INVALID, "chance is a number above 0, up to 1");
    }
    rule->chance = (int64_t)(value * CHAOS_SURE + 0.5);
    rule->chance = rule->chance > 0 ? rule->chance : 1;
    return ERR_NONE;
}

static enum err read_scope(const json_t *json, struct chaos_rule *rule, struct reason *reason)
{
    enum err err = read_text(json, "client", &rule->client, reason);
    if (err == ERR_NONE) {
        err = read_text(json, "topic", &rule->topic, reason);
    }
    if (err == ERR_NONE) {
        err = read_text(json, "group", &rule->group, reason);
    }
    if (err == ERR_NONE) {
        err = read_text(json, "transactional_id", &rule->transactional_id, reason);
    }
    return err;
}

static enum err read_course(const json_t *json, struct chaos_rule *rule, int64_t *for_ms,
                            struct reason *reason)
{
    enum err err = read_number(json, "delay_ms", 1, DELAY_MOST_MS, &rule->delay_ms, reason);
    if (err == ERR_NONE) {
        err = read_number(json, "count", 1, COUNT_MOST, &rule->count, reason);
    }
    if (err == ERR_NONE) {
        err = read_number(json, "after", 0, COUNT_MOST, &rule->after, reason);
    }
    if (err == ERR_NONE) {
        err = read_number(json, "for_ms", 1, MOVABLE_CLOCK_MOST_MS, for_ms, reason);
    }
    if (err == ERR_NONE) {
        int64_t seed = (int64_t)rule->seed;
        err = read_number(json, "seed", 0, INT64_MAX, &seed, reason);
        rule->seed = rule->random.state = (uint64_t)seed;
    }
    return err == ERR_NONE ? read_chance(json, rule, reason) : err;
}

/* What a fault cannot do without, and what stands for what was left out. */
static enum err complete(const json_t *json, struct chaos_rule *rule, struct reason *reason)
{
    const char *name = chaos_kind_name(rule->kind);
    switch (rule->kind) {
    case CHAOS_ERROR:
        return rule->has_apis ? read_error(json, rule, reason)
                              : reason_fail(reason, ERR_INVALID,
                                            "'%s' takes the APIs that it is for in 'apis'", name);
    case CHAOS_DELAY:
        return rule->delay_ms > 0 ? ERR_NONE
                                  : reason_fail(reason, ERR_INVALID, "'%s' takes a delay_ms", name);
    case CHAOS_LOSE:
        return rule->has_apis ? ERR_NONE : read_api("Produce", rule, reason);
    case CHAOS_FULL:
        rule->error_code = KAFKA_ERROR_KAFKA_STORAGE_ERROR; /* as a disk that is full */
        return read_api("Produce", rule, reason);
    case CHAOS_PAUSE:
        return rule->topic != NULL || rule->group != NULL || rule->client != NULL
                   ? read_api("Fetch", rule, reason)
                   : reason_fail(reason, ERR_INVALID, "'%s' takes a topic, a group or a client",
                                 name);
    case CHAOS_EXPIRE:
    case CHAOS_REBALANCE:
        return rule->group != NULL ? ERR_NONE
                                   : reason_fail(reason, ERR_INVALID, "'%s' takes a group", name);
    case CHAOS_FENCE:
        return rule->transactional_id != NULL
                   ? ERR_NONE
                   : reason_fail(reason, ERR_INVALID, "'%s' takes a transactional_id", name);
    case CHAOS_DROP:
    case CHAOS_KINDS:
        break;
    }
    return ERR_NONE;
}

/* Small enough to be typed again. */
static uint64_t made_up_seed(void)
{
    uint32_t seed;
    random_secure(&seed, sizeof seed);
    return seed;
}

enum err chaos_json_read(json_t *json, struct chaos_rule *rule, int64_t *for_ms,
                         struct reason *reason)
{
    const char *name = json_string_value(json_object_get(json, "fault"));
    enum chaos_kind kind;
    if (name == NULL || !chaos_kind_parse(name, &kind)) {
        return reason_fail(reason, ERR_INVALID,
                           "'fault' is one of error, delay, drop, lose, pause, full, expire, "
                           "rebalance, fence");
    }
    chaos_rule_init(rule, kind, made_up_seed());
    *for_ms = -1;
    enum err err = check_names(json, kind, reason);
    if (err == ERR_NONE) {
        err = read_apis(json, rule, reason);
    }
    if (err == ERR_NONE) {
        err = read_scope(json, rule, reason);
    }
    if (err == ERR_NONE) {
        err = read_course(json, rule, for_ms, reason);
    }
    if (err == ERR_NONE) {
        err = complete(json, rule, reason);
    }
    if (err != ERR_NONE) {
        chaos_rule_deinit(rule);
    }
    return err;
}

/* --- writing --- */

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *number_or_null(int64_t number)
{
    return number >= 0 ? json_integer(number) : json_null();
}

static json_t *write_apis(const struct chaos_rule *rule)
{
    json_t *apis = json_array();
    for (int i = 0; rule->has_apis && i < wire_api_info_count; i++) {
        if (rule->apis[wire_api_info[i].key]) {
            json_array_append_new(apis, json_string(wire_api_info[i].name));
        }
    }
    return apis;
}

json_t *chaos_json_write(const struct chaos_rule *rule, int64_t mono_ms)
{
    bool goes_on = rule->end == CHAOS_GOES_ON;
    int64_t left_ms = goes_on && rule->until_ms < INT64_MAX ? rule->until_ms - mono_ms : -1;
    json_t *json = json_pack("{s:I,s:s,s:b,s:s}", "id", (json_int_t)rule->id, "fault",
                             chaos_kind_name(rule->kind), "active", (int)goes_on, "ended_by",
                             chaos_end_name(rule->end));
    json_object_set_new(json, "apis", write_apis(rule));
    json_object_set_new(json, "error",
                        rule->error_code != KAFKA_ERROR_NONE
                            ? json_string(kafka_error_name(rule->error_code))
                            : json_null());
    json_object_set_new(json, "delay_ms", number_or_null(rule->delay_ms > 0 ? rule->delay_ms : -1));
    json_object_set_new(json, "topic", text_or_null(rule->topic));
    json_object_set_new(json, "group", text_or_null(rule->group));
    json_object_set_new(json, "client", text_or_null(rule->client));
    json_object_set_new(json, "transactional_id", text_or_null(rule->transactional_id));
    json_object_set_new(json, "after", json_integer(rule->after));
    json_object_set_new(json, "count_left", number_or_null(rule->count));
    json_object_set_new(json, "left_ms", number_or_null(left_ms));
    json_object_set_new(json, "chance", json_real((double)rule->chance / CHAOS_SURE));
    json_object_set_new(json, "seed", json_integer((json_int_t)rule->seed));
    json_object_set_new(json, "seen", json_integer(rule->seen));
    json_object_set_new(json, "struck", json_integer(rule->struck));
    json_object_set_new(json, "begun_ms", json_integer(rule->begun_wall_ms));
    json_object_set_new(json, "last_ms", number_or_null(rule->last_wall_ms));
    return json;
}
