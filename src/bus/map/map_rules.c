#include "bus/map/map_rules.h"

#include "base/pattern.h"

struct rule {
    enum map_name kind;
    struct pattern *pattern;
    char *name;
};

struct map_rules {
    VEC_FIELDS(struct rule);
};

void map_rules_free(struct map_rules *rules)
{
    if (rules != NULL) {
        for (size_t i = 0; i < rules->count; i++) {
            pattern_free(rules->items[i].pattern);
            free(rules->items[i].name);
        }
        vec_deinit(rules);
        free(rules);
    }
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct slice trim(struct slice text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = slice_of(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* Splits at the first or last such byte, and trims both; false: there is none. */
static bool split(struct slice text, int byte, bool at_last, struct slice *left,
                  struct slice *right)
{
    const uint8_t *at = NULL;
    if (text.size > 0) {
        at = at_last ? memrchr(text.data, byte, text.size) : memchr(text.data, byte, text.size);
    }
    if (at == NULL) {
        return false;
    }
    size_t size = (size_t)(at - text.data);
    *left = trim(slice_of(text.data, size));
    *right = trim(slice_of(at + 1, text.size - size - 1));
    return true;
}

static bool read_kind(struct slice word, enum map_name *kind)
{
    static const char *const words[MAP_NAMES] = {"principal", "source", "group", "client",
                                                 "software"};
    for (int i = 0; i < MAP_NAMES; i++) {
        if (slice_equal_str(word, words[i])) {
            *kind = (enum map_name)i;
            return true;
        }
    }
    return false;
}

static enum err read_line(struct map_rules *rules, struct slice line, size_t number,
                          struct reason *reason)
{
    struct slice what, name, word, expression;
    struct rule rule = {0};
    struct reason why;
    line = trim(line);
    if (line.size == 0 || line.data[0] == '#') {
        return ERR_NONE;
    }
    if (!split(line, '=', true, &what, &name) || !split(what, ':', false, &word, &expression) ||
        name.size == 0 || name.size > MAP_NAME_BYTES || !read_kind(word, &rule.kind)) {
        return reason_fail(reason, ERR_INVALID,
                           "line %zu of the map's rules is not KIND:EXPRESSION = NAME with a KIND "
                           "of principal, source, group, client or software",
                           number);
    }
    if (rules->count >= MAP_RULES_MAX) {
        return reason_fail(reason, ERR_TOO_LARGE, "the map has more than %d rules", MAP_RULES_MAX);
    }
    enum err err = pattern_new(expression, &rule.pattern, &why);
    if (err != ERR_NONE) {
        return reason_fail(reason, ERR_INVALID, "line %zu of the map's rules: %s", number,
                           why.text);
    }
    rule.name = mem_strndup((const char *)name.data, name.size);
    vec_push(rules, rule);
    return ERR_NONE;
}

enum err map_rules_read(struct slice text, struct map_rules **out, struct reason *reason)
{
    struct map_rules *rules = mem_new(struct map_rules);
    enum err err = ERR_NONE;
    *out = NULL;
    if (text.size > MAP_RULES_BYTES) {
        err = reason_fail(reason, ERR_TOO_LARGE, "the map's rules have more than %d bytes",
                          MAP_RULES_BYTES);
    }
    for (size_t number = 1; err == ERR_NONE && text.size > 0; number++) {
        const uint8_t *end = slice_find(text, '\n');
        size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
        size_t taken = end != NULL ? size + 1 : size;
        err = read_line(rules, slice_of(text.data, size), number, reason);
        text = slice_of(text.data + taken, text.size - taken);
    }
    if (err != ERR_NONE) {
        map_rules_free(rules);
        return err;
    }
    *out = rules;
    return ERR_NONE;
}

struct slice map_rules_name(const struct map_rules *rules, enum map_name kind, struct slice text)
{
    for (size_t i = 0; rules != NULL && i < rules->count; i++) {
        const struct rule *rule = &rules->items[i];
        if (rule->kind == kind && pattern_matches(rule->pattern, text)) {
            return slice_str(rule->name);
        }
    }
    return (struct slice){0};
}
