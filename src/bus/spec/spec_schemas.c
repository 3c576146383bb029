#include "base/mem.h"
#include "bus/spec/spec_inside.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 24, DIFFERENCES_MAX = 1000 };

enum kind { OBJECT, ARRAY, STRING, NUMBER, INTEGER, BOOLEAN, NONE, KINDS };

static const char *const kind_names[KINDS] = {"object",  "array",   "string", "number",
                                              "integer", "boolean", "null"};
static const char *const kind_words[KINDS] = {"an object",  "a list",        "a string", "a number",
                                              "an integer", "a truth value", "null"};

void spec_differ(struct spec_pair *pair, const char *kind, const char *field, bool is_breaking,
                 bool is_maybe, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (json_array_size(pair->differences) >= DIFFERENCES_MAX) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bool breaks = is_breaking && pair->has_consumers && !(is_maybe && pair->options->is_lenient);
    json_t *json = json_pack("{s:s, s:s, s:b, s:s}", "kind", kind, "field", field, "breaks", breaks,
                             "text", text);
    if (json == NULL) { /* cut in the middle of a letter */
        json = json_pack("{s:s, s:s, s:b, s:s}", "kind", kind, "field", field, "breaks", breaks,
                         "text", "see field and kind");
    }
    json_array_append_new(pair->differences, json);
}

/* --- types --- */

static unsigned kind_named(const char *name)
{
    for (unsigned i = 0; name != NULL && i < KINDS; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

static unsigned kind_of_value(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return 1u << OBJECT;
    case JSON_ARRAY:
        return 1u << ARRAY;
    case JSON_STRING:
        return 1u << STRING;
    case JSON_INTEGER:
        return 1u << INTEGER;
    case JSON_REAL:
        return 1u << NUMBER;
    case JSON_NULL:
        return 1u << NONE;
    default:
        return 1u << BOOLEAN;
    }
}

static unsigned kinds_of_values(const json_t *values)
{
    unsigned kinds = 0;
    for (size_t i = 0; i < json_array_size(values); i++) {
        kinds |= kind_of_value(json_array_get(values, i));
    }
    return kinds;
}

/* 0: the schema does not say. An integer is a number. */
static unsigned kinds_of(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type");
    unsigned kinds = kind_named(json_string_value(type));
    for (size_t i = 0; i < json_array_size(type); i++) {
        kinds |= kind_named(json_string_value(json_array_get(type, i)));
    }
    if (kinds == 0) {
        kinds = kinds_of_values(json_object_get(schema, "enum"));
    }
    if (kinds == 0 && json_object_get(schema, "const") != NULL) {
        kinds = kind_of_value(json_object_get(schema, "const"));
    }
    if (kinds == 0) {
        kinds = (json_is_object(json_object_get(schema, "properties")) ? 1u << OBJECT : 0) |
                (json_is_object(json_object_get(schema, "items")) ? 1u << ARRAY : 0);
    }
    return kinds | ((kinds & 1u << NUMBER) != 0 ? 1u << INTEGER : 0);
}

static const char *words_of(unsigned kinds, char text[160])
{
    size_t size = 0;
    text[0] = '\0';
    for (int i = 0; i < KINDS; i++) {
        bool is_part = i == INTEGER && (kinds & 1u << NUMBER) != 0;
        if ((kinds & 1u << i) != 0 && !is_part) {
            size += (size_t)snprintf(text + size, 160 - size, "%s%s", size > 0 ? " or " : "",
                                     kind_words[i]);
        }
    }
    return text;
}

static void compare_kinds(struct spec_pair *pair, unsigned was, unsigned becomes, const char *path)
{
    unsigned added = becomes & ~was;
    char now[160], before[160];
    if (added == 0) {
        return;
    }
    words_of(was, before);
    if ((becomes & was & ~(1u << NONE)) == 0) {
        spec_differ(pair, "type", path, true, false, "becomes %s: it was %s",
                    words_of(becomes, now), before);
    } else if (added == 1u << NONE) {
        spec_differ(pair, "null", path, true, true, "may be null: it was always %s", before);
    } else {
        spec_differ(pair, "type", path, true, true, "may be %s: it was always %s",
                    words_of(added, now), before);
    }
}

/* --- fields --- */

static bool has_text(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *item = json_string_value(json_array_get(list, i));
        if (item != NULL && strcmp(item, text) == 0) {
            return true;
        }
    }
    return false;
}

static void compare_field(struct spec_pair *pair, const json_t *was, const json_t *becomes,
                          const char *name, const char *path)
{
    const json_t *becomes_fields = json_object_get(becomes, "properties");
    const json_t *now = json_object_get(becomes_fields, name);
    bool was_required = has_text(json_object_get(was, "required"), name);
    if (now == NULL && (was_required || !pair->options->is_baseline)) {
        spec_differ(pair, "lost", path, true, false, "is lost: it was in %s",
                    was_required ? "every event" : "some events");
    } else if (now != NULL) {
        if (was_required && !has_text(json_object_get(becomes, "required"), name)) {
            spec_differ(pair, "missing", path, true, true, "may be missing: it was in every event");
        }
        spec_compare_schemas(pair, json_object_get(json_object_get(was, "properties"), name), now,
                             path);
    }
}

static void compare_fields(struct spec_pair *pair, const json_t *was, const json_t *becomes,
                           const char *path)
{
    json_t *fields = json_object_get(was, "properties");
    const char *name;
    json_t *field;
    bool is_closed = json_is_false(json_object_get(becomes, "additionalProperties"));
    if (!json_is_object(json_object_get(becomes, "properties")) && !is_closed) {
        if (json_object_size(fields) > 0) {
            spec_differ(pair, "unsaid", path, false, false,
                        "cannot be compared: what becomes of its fields is not said");
        }
        return;
    }
    json_object_foreach(fields, name, field)
    {
        char *whole = mem_sprintf("%s%s%s", path, *path != '\0' ? "." : "", name);
        compare_field(pair, was, becomes, name, whole);
        free(whole);
    }
}

/* --- what else a schema says --- */

static void compare_formats(struct spec_pair *pair, const json_t *was, const json_t *becomes,
                            const char *path)
{
    static const char *const known[] = {"date-time", "date", "time", "uuid", "uri", "email"};
    const char *before = json_string_value(json_object_get(was, "format"));
    const char *now = json_string_value(json_object_get(becomes, "format"));
    int both = 0;
    for (size_t i = 0; before != NULL && now != NULL && i < sizeof known / sizeof known[0]; i++) {
        both += (strcmp(before, known[i]) == 0) + (strcmp(now, known[i]) == 0);
    }
    if (both == 2 && strcmp(before, now) != 0) {
        spec_differ(pair, "format", path, true, false, "becomes a %s: it was a %s", now, before);
    }
}

static bool has_value(const json_t *list, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (json_equal(json_array_get(list, i), (json_t *)(uintptr_t)value)) {
            return true;
        }
    }
    return false;
}

static void compare_values(struct spec_pair *pair, const json_t *was, const json_t *becomes,
                           const char *path)
{
    const json_t *before = json_object_get(was, "enum"), *now = json_object_get(becomes, "enum");
    for (size_t i = 0; before != NULL && i < json_array_size(now); i++) {
        const json_t *value = json_array_get(now, i);
        if (!has_value(before, value) && json_is_string(value)) {
            spec_differ(pair, "values", path, false, false, "may be '%s', which it never was",
                        json_string_value(value));
        }
    }
}

static const char *what_cannot_be_compared(const json_t *schema)
{
    static const char *const words[] = {"oneOf", "anyOf", "allOf", "not", "if"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (json_object_get(schema, words[i]) != NULL) {
            return words[i];
        }
    }
    return NULL;
}

static int depth_of(const char *path)
{
    int depth = 0;
    for (; *path != '\0'; path++) {
        depth += *path == '.' || *path == '[';
    }
    return depth;
}

/* Whether both say something that can be compared; else that is told. */
static bool can_compare(struct spec_pair *pair, const json_t *was, const json_t *becomes,
                        const char *path)
{
    const char *word = what_cannot_be_compared(was);
    word = word != NULL ? word : what_cannot_be_compared(becomes);
    if (word != NULL) {
        spec_differ(pair, "unsaid", path, false, false, "cannot be compared: it is said by %s",
                    word);
    } else if (!json_is_object(becomes)) {
        spec_differ(pair, "unsaid", path, false, false,
                    "cannot be compared: its $ref leads nowhere in the document");
    } else if (kinds_of(becomes) == 0) {
        spec_differ(pair, "unsaid", path, false, false, "cannot be compared: its type is not said");
    } else {
        return true;
    }
    return false;
}

void spec_compare_schemas(struct spec_pair *pair, const json_t *was, const json_t *becomes,
                          const char *path)
{
    was = spec_resolve(pair->was_in, was);
    becomes = json_is_true(becomes) ? becomes : spec_resolve(pair->becomes_in, becomes);
    unsigned before = kinds_of(was);
    if (depth_of(path) > DEPTH_MAX || (before == 0 && what_cannot_be_compared(was) == NULL) ||
        !can_compare(pair, was, becomes, path)) {
        return;
    }
    unsigned now = kinds_of(becomes);
    compare_kinds(pair, before, now, path);
    if ((before & now & 1u << OBJECT) != 0) {
        compare_fields(pair, was, becomes, path);
    }
    if ((before & now & 1u << STRING) != 0) {
        compare_formats(pair, was, becomes, path);
        compare_values(pair, was, becomes, path);
    }
    const json_t *items = json_object_get(was, "items"), *then = json_object_get(becomes, "items");
    if ((before & now & 1u << ARRAY) != 0 && items != NULL && then != NULL) {
        char *whole = mem_sprintf("%s[]", path);
        spec_compare_schemas(pair, items, then, whole);
        free(whole);
    }
}
