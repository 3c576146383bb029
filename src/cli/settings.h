#ifndef TIDINGS_CLI_SETTINGS_H
#define TIDINGS_CLI_SETTINGS_H

#include "base/err.h"
#include "cli/options.h"

/* Names and values, each name once. Owns its texts; zero-initialised is empty. */
struct setting {
    char *name;
    char *value;
};

struct settings {
    struct setting *items;
    size_t count;
};

void setting_list_deinit(struct settings *settings);

/* Adds the setting or replaces its value. */
void setting_list_set(struct settings *settings, const char *name, const char *value);

/* The value, or NULL. */
const char *setting_list_get(const struct settings *settings, const char *name);

/*
 * Changes what a topic has: applies every NAME=VALUE of `sets` and drops every name of `drops`.
 * A name in `drops` that is not in `known` is ERR_CONFIG; names in `sets` are for the bus to judge.
 * Every entry of sets must hold a '='.
 */
CHECKED enum err setting_list_merge(struct settings *settings, const struct settings *known,
                                    const struct text_list *sets, const struct text_list *drops,
                                    struct reason *reason);

#endif
