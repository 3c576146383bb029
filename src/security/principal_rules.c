#include "security/principal_rules.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MOST = 100000, DEPTH_MOST = 1000 };

struct rule {
    pcre2_code *pattern; /* NULL: DEFAULT */
    char *replacement;
    char letter_case; /* 'L', 'U' or 0 */
};

struct principal_rules {
    VEC_FIELDS(struct rule);
    pcre2_match_context *bounds;
};

/* Up to the next slash that has no backslash before it; NULL: there is none. */
static const char *slash_behind(const char *at)
{
    while (*at != '\0' && *at != '/') {
        at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    }
    return *at == '/' ? at : NULL;
}

static enum err compile(const char *pattern, struct rule *rule, struct reason *reason)
{
    int code;
    PCRE2_SIZE at;
    rule->pattern = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                  PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &code, &at, NULL);
    if (rule->pattern != NULL) {
        return ERR_NONE;
    }
    PCRE2_UCHAR why[128];
    pcre2_get_error_message(code, why, sizeof why);
    return reason_fail(reason, ERR_CONFIG, "ssl.principal.mapping.rules: '%s' at %zu: %s", pattern,
                       (size_t)at, (const char *)why);
}

/* One rule from *at on, which is moved behind it. */
static enum err parse_rule(const char **at, struct rule *rule, struct reason *reason)
{
    static const char rule_word[] = "RULE:";
    static const char default_word[] = "DEFAULT";
    if (strncmp(*at, default_word, sizeof default_word - 1) == 0) {
        *at += sizeof default_word - 1;
        return ERR_NONE;
    }
    const char *pattern = *at + sizeof rule_word - 1;
    const char *replacement = NULL;
    const char *end = NULL;
    if (strncmp(*at, rule_word, sizeof rule_word - 1) == 0) {
        const char *middle = slash_behind(pattern);
        replacement = middle != NULL ? middle + 1 : NULL;
        end = middle != NULL ? slash_behind(replacement) : NULL;
    }
    if (end == NULL) {
        return reason_fail(reason, ERR_CONFIG,
                           "ssl.principal.mapping.rules: '%.60s' is neither DEFAULT nor "
                           "RULE:PATTERN/REPLACEMENT/ with L or U behind it",
                           *at);
    }
    char *text = mem_strndup(pattern, (size_t)(replacement - 1 - pattern));
    enum err err = compile(text, rule, reason);
    free(text);
    rule->replacement = mem_strndup(replacement, (size_t)(end - replacement));
    *at = end + 1;
    if (**at == 'L' || **at == 'U') {
        rule->letter_case = *(*at)++;
    }
    return err;
}

enum err principal_rules_new(const char *text, struct principal_rules **out, struct reason *reason)
{
    struct principal_rules *rules = mem_new(struct principal_rules);
    rules->bounds = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(rules->bounds, STEPS_MOST);
    pcre2_set_depth_limit(rules->bounds, DEPTH_MOST);
    enum err err = ERR_NONE;
    const char *at = text + strspn(text, ", "); /* as Kafka: an empty rule is none */
    while (err == ERR_NONE && *at != '\0') {
        err = parse_rule(&at, vec_add(rules), reason);
        if (err == ERR_NONE) {
            at += strspn(at, " ");
            if (*at != '\0' && *at != ',') {
                err = reason_fail(reason, ERR_CONFIG,
                                  "ssl.principal.mapping.rules: '%.60s' where a comma or the end "
                                  "was expected",
                                  at);
            }
            at += strspn(at, ", ");
        }
    }
    if (err == ERR_NONE && rules->count == 0) {
        vec_add(rules); /* as Kafka: DEFAULT */
    }
    if (err != ERR_NONE) {
        principal_rules_free(rules);
        return err;
    }
    *out = rules;
    return ERR_NONE;
}

void principal_rules_free(struct principal_rules *rules)
{
    if (rules == NULL) {
        return;
    }
    for (size_t i = 0; i < rules->count; i++) {
        pcre2_code_free(rules->items[i].pattern);
        free(rules->items[i].replacement);
    }
    vec_deinit(rules);
    pcre2_match_context_free(rules->bounds);
    free(rules);
}

/* The group that "$12" names, of so many: as many digits as give one that there is. *at is moved
 * behind them. -1: none. */
static int group_named(const char **at, int groups)
{
    int number = -1;
    while (isdigit((unsigned char)**at)) {
        int longer = (number < 0 ? 0 : number * 10) + (**at - '0');
        if (longer > groups) {
            break;
        }
        number = longer;
        (*at)++;
    }
    return number;
}

static char *replace(const struct rule *rule, const char *subject, pcre2_match_data *match,
                     int groups)
{
    struct buf out = {0};
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(match);
    for (const char *at = rule->replacement; *at != '\0';) {
        const char *behind = at + 1;
        int group = *at == '$' ? group_named(&behind, groups) : -1;
        if (group >= 0) {
            if (places[2 * group] != PCRE2_UNSET) {
                buf_append(&out, subject + places[2 * group],
                           places[2 * group + 1] - places[2 * group]);
            }
            at = behind;
            continue;
        }
        at += at[0] == '\\' && at[1] != '\0';
        buf_append(&out, at++, 1);
    }
    char *text = mem_strdup(buf_cstr(&out));
    buf_deinit(&out);
    return text;
}

static void change_case(char *text, char letter_case)
{
    for (; letter_case != 0 && *text != '\0'; text++) {
        if (letter_case == 'L' && *text >= 'A' && *text <= 'Z') {
            *text = (char)(*text - 'A' + 'a');
        } else if (letter_case == 'U' && *text >= 'a' && *text <= 'z') {
            *text = (char)(*text - 'a' + 'A');
        }
    }
}

char *principal_rules_apply(const struct principal_rules *rules, const char *subject)
{
    char *name = NULL;
    for (size_t i = 0; name == NULL && i < rules->count; i++) {
        const struct rule *rule = &rules->items[i];
        if (rule->pattern == NULL) {
            return mem_strdup(subject);
        }
        pcre2_match_data *match = pcre2_match_data_create_from_pattern(rule->pattern, NULL);
        int found = pcre2_match(rule->pattern, (PCRE2_SPTR)subject, strlen(subject), 0, 0, match,
                                rules->bounds);
        if (found > 0) {
            name = replace(rule, subject, match, (int)pcre2_get_ovector_count(match) - 1);
            change_case(name, rule->letter_case);
        }
        pcre2_match_data_free(match);
    }
    return name;
}
