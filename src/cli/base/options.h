#ifndef TIDINGS_CLI_OPTIONS_H
#define TIDINGS_CLI_OPTIONS_H

#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Options of a subcommand as tables: one row an option, from which both the parser and --help are
 * made. A row says where in the caller's settings struct the value goes. Not thread-safe (getopt).
 */

/* Texts in the order given; borrows from argv, owns the array. Zero-initialised is empty. */
struct text_list {
    VEC_FIELDS(const char *);
};

/* Adds the text, which must outlive the list; _deinit frees the array. */
void text_list_add(struct text_list *list, const char *text);
void text_list_deinit(struct text_list *list);

enum option_kind {
    OPTION_FLAG,     /* bool: set to true */
    OPTION_TEXT,     /* const char *: the last one given counts */
    OPTION_TEXTS,    /* struct text_list: may be repeated */
    OPTION_INTEGER,  /* int64_t between min and max */
    OPTION_DURATION, /* int64_t milliseconds, between min and max; 30s, 500ms, 1h30m, 10 (seconds)
                      */
};

struct option_spec {
    int letter;       /* 0: no short form */
    const char *name; /* long form without dashes */
    const char *value_name;
    enum option_kind kind;
    size_t offset; /* of the member in the settings struct */
    int64_t min, max;
    const char *help; /* may hold line breaks */
};

/* A titled group of options that fill one struct. */
struct option_set {
    const char *title;
    const struct option_spec *specs;
    size_t count;
    void *settings;
};

/* What --help prints around the options. */
struct help_page {
    const char *name;     /* "tidings topic create" */
    const char *usage;    /* "NAME... [OPTIONS]" */
    const char *about;    /* what it does, in a few lines */
    const char *examples; /* whole lines, indented by two */
};

enum { OPTIONS_MAX = 64 };

/*
 * Parses argv[1..] into the settings of the sets (which hold their defaults beforehand); what is
 * no option goes to `arguments` (free with text_list_deinit), which may be a list of the settings
 * that an OPTION_TEXTS row fills as well. -h and --help belong to every page. Long names are taken
 * whole only: a shortened one is an error that names the nearest.
 * True: go on. False: end with *exit_code (help was printed, or the error was told).
 * All sets together hold at most OPTIONS_MAX rows.
 */
bool options_parse(const struct help_page *page, const struct option_set *sets, size_t set_count,
                   int argc, char **argv, struct text_list *arguments, int *exit_code);

/* Frees the text lists that parsing filled. */
void options_deinit(const struct option_set *sets, size_t set_count);

/* Prints the page and all options on standard output. */
void options_print_help(const struct help_page *page, const struct option_set *sets,
                        size_t set_count);

/* A wrong command line: tells what is wrong and where help is. Returns EXIT_USAGE. */
int options_fail(const struct help_page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Splits "name=value" at the first '='; false when there is none or the name is empty. */
bool options_split_pair(const char *text, char **name, const char **value);

/*
 * The same for NAME=VALUE of a setting of the bus: *value (free it) is in the setting's own unit
 * (setting_text.h). EXIT_OK, or EXIT_USAGE (told): `option` is the option's name.
 */
int options_split_setting(const struct help_page *page, const char *option, const char *text,
                          char **name, char **value);

#endif
