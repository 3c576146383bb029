#include "base/settings.h"

#include "base/mem.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

const struct setting *settings_find(const struct settings_table *table, struct slice name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (slice_equal_str(name, table->rows[i].name)) {
            return &table->rows[i];
        }
    }
    return NULL;
}

/* Levenshtein distance of two short texts. */
static size_t distance(const char *a, size_t a_size, const char *b)
{
    enum { MOST = 64 };
    size_t row[MOST + 1];
    size_t b_size = strlen(b);
    if (a_size > MOST || b_size > MOST) {
        return MOST;
    }
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t step = (above < row[j - 1] ? above : row[j - 1]) + 1;
            row[j] = change < step ? change : step;
            diagonal = above;
        }
    }
    return row[b_size];
}

static enum err unknown_name(const struct settings_table *table, struct slice name,
                             struct reason *reason)
{
    const char *nearest = NULL;
    size_t least = 4; /* further away is no hint */
    for (size_t i = 0; i < table->count; i++) {
        size_t far = distance((const char *)name.data, name.size, table->rows[i].name);
        if (far < least) {
            least = far;
            nearest = table->rows[i].name;
        }
    }
    if (nearest != NULL) {
        return reason_fail(reason, ERR_CONFIG, "unknown %s setting '%.*s': did you mean '%s'?",
                           table->what, SLICE_ARGS(name), nearest);
    }
    return reason_fail(reason, ERR_CONFIG, "unknown %s setting '%.*s'", table->what,
                       SLICE_ARGS(name));
}

static void *field_of(const struct setting *row, void *target)
{
    return (char *)target + row->offset;
}

static enum err bad_value(const struct setting *row, const char *value, const char *allowed,
                          struct reason *reason)
{
    return reason_fail(reason, ERR_CONFIG, "%s=%s: must be %s", row->name, value, allowed);
}

static enum err set_boolean(const struct setting *row, void *target, const char *value,
                            struct reason *reason)
{
    bool yes = strcasecmp(value, "true") == 0;
    if (!yes && strcasecmp(value, "false") != 0) {
        return bad_value(row, value, "true or false", reason);
    }
    if (target != NULL) {
        *(bool *)field_of(row, target) = yes;
    }
    return ERR_NONE;
}

static void store_number(const struct setting *row, void *target, int64_t number)
{
    int32_t narrow = (int32_t)number;
    if (row->size == sizeof narrow) {
        memcpy(field_of(row, target), &narrow, sizeof narrow);
    } else {
        memcpy(field_of(row, target), &number, sizeof number);
    }
}

static enum err set_number(const struct setting *row, void *target, const char *value,
                           struct reason *reason)
{
    int64_t least = row->least;
    int64_t most = row->most;
    if (least == 0 && most == 0) {
        least = row->type == SETTING_INT ? INT32_MIN : INT64_MIN;
        most = row->type == SETTING_INT ? INT32_MAX : INT64_MAX;
    }
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (value[0] == '\0' || *end != '\0' || errno == ERANGE) {
        return bad_value(row, value, "a whole number", reason);
    }
    if (number < least || number > most) {
        char bounds[96];
        snprintf(bounds, sizeof bounds, "from %lld to %lld", (long long)least, (long long)most);
        return bad_value(row, value, bounds, reason);
    }
    if (target != NULL) {
        store_number(row, target, number);
    }
    return ERR_NONE;
}

static enum err set_double(const struct setting *row, void *target, const char *value,
                           struct reason *reason)
{
    char *end;
    double number = strtod(value, &end);
    if (value[0] == '\0' || *end != '\0' || !isfinite(number)) {
        return bad_value(row, value, "a number", reason);
    }
    if ((row->least != 0 || row->most != 0) &&
        (number < (double)row->least || number > (double)row->most)) {
        char bounds[96];
        snprintf(bounds, sizeof bounds, "from %lld to %lld", (long long)row->least,
                 (long long)row->most);
        return bad_value(row, value, bounds, reason);
    }
    if (target != NULL) {
        *(double *)field_of(row, target) = number;
    }
    return ERR_NONE;
}

static bool is_choice(const char *choices, const char *word, size_t size)
{
    for (const char *at = choices; *at != '\0';) {
        size_t length = strcspn(at, "|");
        if (length == size && memcmp(at, word, size) == 0) {
            return true;
        }
        at += length + (at[length] == '|');
    }
    return false;
}

static enum err set_text(const struct setting *row, void *target, const char *value,
                         struct reason *reason)
{
    const char *at = value;
    while (row->choices != NULL && !(row->may_be_empty && value[0] == '\0')) {
        size_t size = row->type == SETTING_LIST ? strcspn(at, ",") : strlen(at);
        if (!is_choice(row->choices, at, size)) {
            return reason_fail(reason, ERR_CONFIG, "%s=%s: must be one of %s", row->name, value,
                               row->choices);
        }
        if (at[size] == '\0') {
            break;
        }
        at += size + 1;
    }
    if (target != NULL) {
        char **field = field_of(row, target);
        free(*field);
        *field = mem_strdup(value);
    }
    return ERR_NONE;
}

static enum err set_value(const struct setting *row, void *target, const char *value,
                          struct reason *reason)
{
    if (row->size == 0) { /* SETTING_NO_FIELD */
        target = NULL;
    }
    switch (row->type) {
    case SETTING_BOOLEAN:
        return set_boolean(row, target, value, reason);
    case SETTING_INT:
    case SETTING_LONG:
        return set_number(row, target, value, reason);
    case SETTING_DOUBLE:
        return set_double(row, target, value, reason);
    case SETTING_STRING:
    case SETTING_LIST:
    case SETTING_PASSWORD:
        return set_text(row, target, value, reason);
    }
    return ERR_CONFIG;
}

enum err settings_set(const struct settings_table *table, void *target, struct slice name,
                      struct slice value, struct reason *reason)
{
    const struct setting *row = settings_find(table, name);
    if (row == NULL) {
        return unknown_name(table, name, reason);
    }
    if (slice_is_null(value)) {
        return reason_fail(reason, ERR_CONFIG, "%s: a value is missing", row->name);
    }
    if (row->only != NULL && !slice_equal_str(value, row->default_value)) {
        return reason_fail(reason, ERR_CONFIG, "%s=%.*s: only '%s' is supported: %s", row->name,
                           SLICE_ARGS(value), row->default_value, row->only);
    }
    char *text = mem_strndup((const char *)value.data, value.size);
    enum err err = set_value(row, target, text, reason);
    free(text);
    return err;
}

static bool owns_text(const struct setting *row)
{
    return row->size != 0 && (row->type == SETTING_STRING || row->type == SETTING_LIST ||
                              row->type == SETTING_PASSWORD);
}

/* Whether a row's field is of a size that its type is stored in. */
static bool fits_field(const struct setting *row)
{
    switch (row->type) {
    case SETTING_BOOLEAN:
        return row->size == sizeof(bool);
    case SETTING_INT:
        return row->size == sizeof(int32_t) || row->size == sizeof(int64_t);
    case SETTING_LONG:
        return row->size == sizeof(int64_t);
    case SETTING_DOUBLE:
        return row->size == sizeof(double);
    case SETTING_STRING:
    case SETTING_LIST:
    case SETTING_PASSWORD:
        return row->size == sizeof(char *);
    }
    return false;
}

void settings_init(const struct settings_table *table, void *target)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *row = &table->rows[i];
        assert(row->size == 0 || fits_field(row));
        if (owns_text(row)) {
            *(char **)field_of(row, target) = NULL;
        }
        struct reason reason;
        if (set_value(row, target, row->default_value, &reason) != ERR_NONE) {
            fprintf(stderr, "default of %s: %s\n", row->name, reason.text);
            abort();
        }
    }
}

void settings_deinit(const struct settings_table *table, void *target)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *row = &table->rows[i];
        if (owns_text(row)) {
            char **field = field_of(row, target);
            free(*field);
            *field = NULL;
        }
    }
}

static struct override *override_find(const struct overrides *overrides, struct slice name)
{
    for (size_t i = 0; i < overrides->count; i++) {
        if (slice_equal_str(name, overrides->items[i].name)) {
            return &overrides->items[i];
        }
    }
    return NULL;
}

void overrides_set(struct overrides *overrides, struct slice name, struct slice value)
{
    struct override *item = override_find(overrides, name);
    if (item != NULL) {
        free(item->value);
        free(item->origin);
        item->origin = NULL;
    } else {
        item = vec_add(overrides);
        item->name = mem_strndup((const char *)name.data, name.size);
    }
    item->value = mem_strndup((const char *)value.data, value.size);
}

void overrides_remove(struct overrides *overrides, struct slice name)
{
    struct override *item = override_find(overrides, name);
    if (item == NULL) {
        return;
    }
    free(item->name);
    free(item->value);
    free(item->origin);
    vec_remove(overrides, (size_t)(item - overrides->items));
}

const char *overrides_get(const struct overrides *overrides, const char *name)
{
    const struct override *item = override_find(overrides, slice_str(name));
    return item != NULL ? item->value : NULL;
}

void overrides_copy(struct overrides *to, const struct overrides *from)
{
    *to = (struct overrides){0};
    for (size_t i = 0; i < from->count; i++) {
        overrides_set(to, slice_str(from->items[i].name), slice_str(from->items[i].value));
        if (from->items[i].origin != NULL) {
            to->items[i].origin = mem_strdup(from->items[i].origin);
        }
    }
}

void overrides_deinit(struct overrides *overrides)
{
    for (size_t i = 0; i < overrides->count; i++) {
        free(overrides->items[i].name);
        free(overrides->items[i].value);
        free(overrides->items[i].origin);
    }
    vec_deinit(overrides);
}

static struct slice trim(const char *text, size_t size)
{
    while (size > 0 && isspace((unsigned char)text[0])) {
        text++;
        size--;
    }
    while (size > 0 && isspace((unsigned char)text[size - 1])) {
        size--;
    }
    return slice_of(text, size);
}

enum err overrides_parse(struct overrides *overrides, const char *source, const char *text,
                         struct reason *reason)
{
    int line_number = 0;
    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        struct slice line = trim(at, length);
        line_number++;
        at += length + (at[length] == '\n');
        if (line.size == 0 || line.data[0] == '#' || line.data[0] == '!') {
            continue;
        }
        const uint8_t *equals = slice_find(line, '=');
        if (equals == NULL || equals == line.data) {
            return reason_fail(reason, ERR_CONFIG, "%s:%d: expected name=value, got '%.*s'", source,
                               line_number, SLICE_ARGS(line));
        }
        size_t name_size = (size_t)(equals - line.data);
        struct slice name = trim((const char *)line.data, name_size);
        overrides_set(overrides, name, trim((const char *)equals + 1, line.size - name_size - 1));
        override_find(overrides, name)->origin = mem_sprintf("%s:%d", source, line_number);
    }
    return ERR_NONE;
}
