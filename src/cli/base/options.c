#include "cli/base/options.h"

#include "base/mem.h"
#include "base/time_text.h"
#include "cli/base/cli.h"
#include "cli/base/setting_text.h"
#include "cli/base/suggest.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_CODE = 'h', LONG_CODE_BASE = 1000 };

void text_list_add(struct text_list *list, const char *text)
{
    vec_push(list, text);
}

void text_list_deinit(struct text_list *list)
{
    vec_deinit(list);
}

int options_fail(const struct help_page *page, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char hint[256];
    snprintf(hint, sizeof hint, "see: %s --help", page->name);
    return cli_fail(EXIT_USAGE, hint, "%s", text);
}

bool options_split_pair(const char *text, char **name, const char **value)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return false;
    }
    *name = mem_strndup(text, (size_t)(equals - text));
    *value = equals + 1;
    return true;
}

int options_split_setting(const struct help_page *page, const char *option, const char *text,
                          char **name, char **value)
{
    const char *given;
    const char *number;
    char room[SETTING_TEXT_SIZE];
    struct reason reason;
    if (!options_split_pair(text, name, &given)) {
        return options_fail(page, "--%s needs NAME=VALUE, not '%s'", option, text);
    }
    if (setting_number(slice_str(*name), given, room, &number, &reason) != ERR_NONE) {
        int code = options_fail(page, "--%s %s: %s", option, *name, reason.text);
        free(*name);
        return code;
    }
    *value = mem_strdup(number);
    return EXIT_OK;
}

/* All sets laid out for getopt_long: the option with number n has code LONG_CODE_BASE + n. */
struct option_index {
    const struct option_spec *specs[OPTIONS_MAX];
    void *settings[OPTIONS_MAX];
    size_t count;
    struct option longs[OPTIONS_MAX + 2];
    char shorts[2 * OPTIONS_MAX + 4];
};

static void index_build(struct option_index *index, const struct option_set *sets, size_t set_count)
{
    memset(index, 0, sizeof *index);
    char *shorts = index->shorts;
    *shorts++ = ':';
    *shorts++ = HELP_CODE;
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count && index->count < OPTIONS_MAX; i++) {
            const struct option_spec *spec = &sets[s].specs[i];
            size_t n = index->count++;
            index->specs[n] = spec;
            index->settings[n] = sets[s].settings;
            bool has_value = spec->kind != OPTION_FLAG;
            index->longs[n] = (struct option){
                .name = spec->name,
                .has_arg = has_value ? required_argument : no_argument,
                .val = LONG_CODE_BASE + (int)n,
            };
            if (spec->letter != 0) {
                *shorts++ = (char)spec->letter;
                if (has_value) {
                    *shorts++ = ':';
                }
            }
        }
    }
    index->longs[index->count] = (struct option){.name = "help", .val = HELP_CODE};
}

static bool parse_integer(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    *value = parsed;
    return errno == 0 && end != text && *end == '\0';
}

static bool set_number(const struct help_page *page, const struct option_spec *spec, int64_t value,
                       int64_t *to)
{
    if (value < spec->min || value > spec->max) {
        const char *unit = spec->kind == OPTION_DURATION ? " ms" : "";
        options_fail(page, "--%s must be between %lld%s and %lld%s", spec->name,
                     (long long)spec->min, unit, (long long)spec->max, unit);
        return false;
    }
    *to = value;
    return true;
}

static bool set_option(const struct help_page *page, const struct option_spec *spec, void *settings,
                       const char *text)
{
    void *to = (char *)settings + spec->offset;
    int64_t number;
    struct reason reason;
    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *)to = true;
        return true;
    case OPTION_TEXT:
        *(const char **)to = text;
        return true;
    case OPTION_TEXTS:
        text_list_add(to, text);
        return true;
    case OPTION_INTEGER:
        if (!parse_integer(text, &number)) {
            options_fail(page, "--%s needs a whole number, not '%s'", spec->name, text);
            return false;
        }
        return set_number(page, spec, number, to);
    case OPTION_DURATION:
        if (duration_parse(text, &number, &reason) != ERR_NONE) {
            options_fail(page, "--%s: %s", spec->name, reason.text);
            return false;
        }
        return set_number(page, spec, number, to);
    }
    return false;
}

static const char *nearest_option(const struct option_index *index, const char *given)
{
    char word[65];
    size_t size = strcspn(given, "=");
    snprintf(word, sizeof word, "%.*s", (int)(size > 64 ? 64 : size), given);
    const char *names[OPTIONS_MAX + 1];
    for (size_t i = 0; i < index->count; i++) {
        names[i] = index->specs[i]->name;
    }
    names[index->count] = "help";
    return suggest_nearest(word, names, index->count + 1);
}

static int fail_unknown_name(const struct help_page *page, const struct option_index *index,
                             const char *given)
{
    const char *near = nearest_option(index, given + 2);
    if (near == NULL) {
        return options_fail(page, "unknown option '%s'", given);
    }
    char hint[256];
    snprintf(hint, sizeof hint, "did you mean --%s? See: %s --help", near, page->name);
    return cli_fail(EXIT_USAGE, hint, "unknown option '%s'", given);
}

static int fail_unknown(const struct help_page *page, const struct option_index *index, char **argv)
{
    if (optopt != 0 && optopt < LONG_CODE_BASE) {
        return options_fail(page, "unknown option '-%c'", optopt);
    }
    const char *given = argv[optind - 1];
    if (optopt >= LONG_CODE_BASE || optopt == HELP_CODE) {
        return options_fail(page, "'%s' takes no value", given);
    }
    return fail_unknown_name(page, index, given);
}

/* getopt_long takes any beginning of a name; a shortened one may be another word than was meant. */
static bool is_exact(const struct option_index *index, int code, const char *token)
{
    if ((code < LONG_CODE_BASE && code != HELP_CODE) || strncmp(token, "--", 2) != 0) {
        return true;
    }
    const char *name = code == HELP_CODE ? "help" : index->specs[code - LONG_CODE_BASE]->name;
    size_t size = strlen(name);
    return strncmp(token + 2, name, size) == 0 &&
           (token[2 + size] == '\0' || token[2 + size] == '=');
}

static const char *code_name(const struct option_index *index, int code, char text[64])
{
    if (code >= LONG_CODE_BASE) {
        snprintf(text, 64, "--%s", index->specs[code - LONG_CODE_BASE]->name);
    } else {
        snprintf(text, 64, "-%c", code);
    }
    return text;
}

static bool apply(const struct help_page *page, const struct option_index *index, int code)
{
    for (size_t i = 0; i < index->count; i++) {
        if (code == LONG_CODE_BASE + (int)i || code == index->specs[i]->letter) {
            return set_option(page, index->specs[i], index->settings[i], optarg);
        }
    }
    return true;
}

bool options_parse(const struct help_page *page, const struct option_set *sets, size_t set_count,
                   int argc, char **argv, struct text_list *arguments, int *exit_code)
{
    struct option_index index;
    index_build(&index, sets, set_count);
    optind = 0; /* glibc: start anew, also after an earlier parse */
    opterr = 0;
    *exit_code = EXIT_USAGE;
    for (;;) {
        int code = getopt_long(argc, argv, index.shorts, index.longs, NULL);
        char name[64];
        if (code == -1) {
            break;
        }
        const char *token =
            optarg != NULL && optarg == argv[optind - 1] ? argv[optind - 2] : argv[optind - 1];
        if (code != '?' && !is_exact(&index, code == ':' ? optopt : code, token)) {
            fail_unknown_name(page, &index, token);
            return false;
        }
        switch (code) {
        case HELP_CODE:
            options_print_help(page, sets, set_count);
            *exit_code = EXIT_OK;
            return false;
        case ':':
            options_fail(page, "%s needs a value", code_name(&index, optopt, name));
            return false;
        case '?':
            fail_unknown(page, &index, argv);
            return false;
        default:
            if (!apply(page, &index, code)) {
                return false;
            }
        }
    }
    for (int i = optind; i < argc; i++) {
        text_list_add(arguments, argv[i]);
    }
    *exit_code = EXIT_OK;
    return true;
}

void options_deinit(const struct option_set *sets, size_t set_count)
{
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            if (sets[s].specs[i].kind == OPTION_TEXTS) {
                text_list_deinit((void *)((char *)sets[s].settings + sets[s].specs[i].offset));
            }
        }
    }
}

/* Prints text with every line but the first indented to `column`. */
static void print_indented(const char *text, int column)
{
    for (const char *line = text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        printf("%*s%.*s\n", line == text ? 0 : column, "", (int)size, line);
        line += size + (line[size] == '\n');
    }
}

static void print_option(int letter, const char *name, const char *value_name, const char *help)
{
    enum { HELP_COLUMN = 30 };
    char left[96];
    char short_form[8] = "    ";
    if (letter != 0) {
        snprintf(short_form, sizeof short_form, "-%c, ", letter);
    }
    int size = snprintf(left, sizeof left, "  %s--%s%s%s", short_form, name, value_name ? " " : "",
                        value_name ? value_name : "");
    if (size >= HELP_COLUMN) {
        printf("%s\n%*s", left, HELP_COLUMN, "");
    } else {
        printf("%-*s", HELP_COLUMN, left);
    }
    print_indented(help, HELP_COLUMN);
}

void options_print_help(const struct help_page *page, const struct option_set *sets,
                        size_t set_count)
{
    printf("Usage: %s %s\n\n%s\n", page->name, page->usage, page->about);
    for (size_t s = 0; s < set_count; s++) {
        printf("\n%s:\n", sets[s].title);
        for (size_t i = 0; i < sets[s].count; i++) {
            const struct option_spec *spec = &sets[s].specs[i];
            print_option(spec->letter, spec->name, spec->value_name, spec->help);
        }
        if (s + 1 == set_count) {
            print_option(HELP_CODE, "help", NULL, "this text");
        }
    }
    if (page->examples != NULL) {
        printf("\nExamples:\n%s", page->examples);
    }
}
