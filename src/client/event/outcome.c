#include "client/event/outcome.h"

#include "base/utf8.h"
#include "client/event/event.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, TEXT_MAX = OUTCOME_TEXT_MAX, NAME_MAX = 249, KEY_MAX = 200 };

static const char *const kinds[] = {
    [OUTCOME_FAILED] = "failed", [OUTCOME_WAITS] = "waits",       [OUTCOME_ASIDE] = "aside",
    [OUTCOME_DEAD] = "dead",     [OUTCOME_SKIPPED] = "skipped",   [OUTCOME_REDRIVEN] = "redriven",
    [OUTCOME_DONE] = "done",     [OUTCOME_SLOW] = "slow",         [OUTCOME_DOWN] = "down",
    [OUTCOME_UP] = "up",         [OUTCOME_LEFT_OUT] = "left-out", [OUTCOME_HANDLES] = "handles"};

struct outcome outcome_blank(enum outcome_kind kind)
{
    return (struct outcome){.kind = kind,
                            .partition = -1,
                            .offset = -1,
                            .attempt = -1,
                            .counted = -1,
                            .most = -1,
                            .took_ms = -1,
                            .behind = -1,
                            .letter_partition = -1,
                            .letter_offset = -1,
                            .closes_lane = -1,
                            .redrive = -1,
                            .count = -1};
}

const char *outcome_kind_name(enum outcome_kind kind)
{
    return kinds[kind];
}

/* --- the table of fields: one for both directions --- */

enum field_type { TEXT, INT, INT64, SPAN, TIME };

struct field {
    const char *name;
    enum field_type type;
    size_t at;
    size_t most; /* TEXT: bytes that are written */
};

#define FIELD(name, type, member, most)                                                            \
    {                                                                                              \
        name, type, offsetof(struct outcome, member), most                                         \
    }

static const struct field fields[] = {
    FIELD("time", TIME, time_ms, 0),
    FIELD("group", TEXT, group, NAME_MAX),
    FIELD("member", TEXT, member, NAME_MAX),
    FIELD("instance", TEXT, instance, NAME_MAX),
    FIELD("handler", TEXT, handler, TEXT_MAX),
    FIELD("topic", TEXT, topic, NAME_MAX),
    FIELD("partition", INT, partition, 0),
    FIELD("offset", INT64, offset, 0),
    FIELD("key", TEXT, key, KEY_MAX),
    FIELD("id", TEXT, id, TEXT_MAX),
    FIELD("source", TEXT, source, TEXT_MAX),
    FIELD("type", TEXT, type, TEXT_MAX),
    FIELD("verdict", TEXT, verdict, NAME_MAX),
    FIELD("attempt", INT, attempt, 0),
    FIELD("counted", INT, counted, 0),
    FIELD("most", INT, most, 0),
    FIELD("next", TIME, next_ms, 0),
    FIELD("class", TEXT, error_class, NAME_MAX),
    FIELD("message", TEXT, message, TEXT_MAX),
    FIELD("took", SPAN, took_ms, 0),
    FIELD("behind", INT64, behind, 0),
    FIELD("letter_partition", INT, letter_partition, 0),
    FIELD("letter_offset", INT64, letter_offset, 0),
    FIELD("closes_lane", INT, closes_lane, 0),
    FIELD("redrive", INT64, redrive, 0),
    FIELD("who", TEXT, who, NAME_MAX),
    FIELD("why", TEXT, why, NAME_MAX),
    FIELD("count", INT64, count, 0),
    FIELD("since", TIME, since_ms, 0),
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

/* --- writing --- */

static void set_text(json_t *object, const char *name, const char *text, size_t most)
{
    struct buf escaped = {0};
    size_t size = strlen(text);
    utf8_escape(&escaped, slice_of(text, size < most ? size : most));
    json_object_set_new(object, name, json_stringn(buf_cstr(&escaped), escaped.size));
    buf_deinit(&escaped);
}

static void set(json_t *object, const struct field *field, const struct outcome *outcome)
{
    const void *at = (const char *)outcome + field->at;
    const char *text = field->type == TEXT ? *(const char *const *)at : NULL;
    int64_t number = field->type == INT    ? *(const int *)at
                     : field->type != TEXT ? *(const int64_t *)at
                                           : -1;
    if (text != NULL && text[0] != '\0') {
        set_text(object, field->name, text, field->most);
    } else if (field->type != TEXT && number >= (field->type == TIME ? 1 : 0)) {
        json_object_set_new(object, field->name, json_integer(number));
    }
}

static bool fits(const char *text)
{
    struct buf escaped = {0};
    utf8_escape(&escaped, slice_str(text));
    bool is_same = strcmp(buf_cstr(&escaped), text) == 0 && escaped.size <= TEXT_MAX;
    buf_deinit(&escaped);
    return is_same;
}

bool outcome_filters_fit(const struct outcome_filter *filters, size_t count)
{
    bool do_fit = count <= OUTCOME_FILTERS_MAX;
    for (size_t i = 0; do_fit && i < count; i++) {
        do_fit = fits(filters[i].topic) && (filters[i].type == NULL || fits(filters[i].type));
    }
    return do_fit;
}

static void set_filters(json_t *object, const struct outcome *outcome)
{
    json_t *list = json_array();
    for (size_t i = 0; i < outcome->filter_count && i < OUTCOME_FILTERS_MAX; i++) {
        json_t *filter = json_object();
        set_text(filter, "topic", outcome->filters[i].topic, TEXT_MAX);
        if (outcome->filters[i].type != NULL) {
            set_text(filter, "type", outcome->filters[i].type, TEXT_MAX);
        }
        json_array_append_new(list, filter);
    }
    json_object_set_new(object, "handles", list);
}

void outcome_encode(const struct outcome *outcome, struct buf *key, struct buf *value)
{
    json_t *object = json_object();
    json_object_set_new(object, "version", json_integer(VERSION));
    json_object_set_new(object, "what", json_string(kinds[outcome->kind]));
    for (size_t i = 0; i < FIELDS; i++) {
        set(object, &fields[i], outcome);
    }
    if (outcome->kind == OUTCOME_LEFT_OUT) {
        json_object_set_new(object, "of", json_string(kinds[outcome->of]));
    }
    if (outcome->kind == OUTCOME_HANDLES) {
        set_filters(object, outcome);
    }
    if (outcome->is_down) {
        json_object_set_new(object, "down", json_true());
    }
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    buf_append_str(value, text);
    free(text);
    if (outcome->topic != NULL) {
        buf_printf(key, "%.249s/%d/%lld", outcome->topic, (int)outcome->partition,
                   (long long)outcome->offset);
    } else {
        buf_printf(key, "%.249s", outcome->group != NULL ? outcome->group : "");
    }
}

/* --- reading --- */

static bool kind_of(const json_t *name, enum outcome_kind *kind)
{
    const char *text = json_string_value(name);
    for (size_t i = 0; text != NULL && i < OUTCOME_KINDS; i++) {
        if (strcmp(text, kinds[i]) == 0) {
            *kind = (enum outcome_kind)i;
            return true;
        }
    }
    return false;
}

static const char *copy_text(const json_t *json, struct arena *arena)
{
    return arena_cstr(arena, slice_of(json_string_value(json), json_string_length(json)));
}

static void get(const json_t *object, const struct field *field, struct arena *arena,
                struct outcome *outcome)
{
    const json_t *json = json_object_get(object, field->name);
    void *at = (char *)outcome + field->at;
    if (field->type == TEXT && json_is_string(json)) {
        *(const char **)at = copy_text(json, arena);
    } else if (field->type == INT && json_is_integer(json) &&
               json_integer_value(json) <= INT32_MAX && json_integer_value(json) >= 0) {
        *(int *)at = (int)json_integer_value(json);
    } else if (field->type != TEXT && field->type != INT && json_is_integer(json) &&
               json_integer_value(json) >= 0) {
        int64_t number = json_integer_value(json);
        *(int64_t *)at = field->type == INT64 ? number : event_time(number);
    }
}

/* False: it does not say what it handles, or of too many. */
static bool get_filters(const json_t *object, struct arena *arena, struct outcome *outcome)
{
    const json_t *list = json_object_get(object, "handles");
    size_t count = json_array_size(list);
    struct outcome_filter *filters;
    if (!json_is_array(list) || count > OUTCOME_FILTERS_MAX) {
        return false;
    }
    filters = arena_alloc_array(arena, count + 1, sizeof *filters);
    for (size_t i = 0; i < count; i++) {
        const json_t *filter = json_array_get(list, i);
        const json_t *topic = json_object_get(filter, "topic");
        const json_t *type = json_object_get(filter, "type");
        if (!json_is_string(topic) || (type != NULL && !json_is_string(type))) {
            return false;
        }
        filters[i].topic = copy_text(topic, arena);
        filters[i].type = type != NULL ? copy_text(type, arena) : NULL;
    }
    outcome->filters = filters;
    outcome->filter_count = count;
    return true;
}

bool outcome_decode(struct slice value, struct arena *arena, struct outcome *outcome)
{
    json_t *object = json_loadb((const char *)value.data, value.size, JSON_REJECT_DUPLICATES, NULL);
    bool is_ours =
        json_is_object(object) && json_integer_value(json_object_get(object, "version")) == VERSION;
    *outcome = outcome_blank(OUTCOME_FAILED);
    is_ours = is_ours && kind_of(json_object_get(object, "what"), &outcome->kind);
    if (is_ours && outcome->kind == OUTCOME_LEFT_OUT) {
        is_ours = kind_of(json_object_get(object, "of"), &outcome->of);
    }
    if (is_ours && outcome->kind == OUTCOME_HANDLES) {
        is_ours = get_filters(object, arena, outcome);
    }
    for (size_t i = 0; is_ours && i < FIELDS; i++) {
        get(object, &fields[i], arena, outcome);
    }
    outcome->is_down = json_is_true(json_object_get(object, "down"));
    json_decref(object);
    return is_ours;
}
