#ifndef TIDINGS_BASE_SETTINGS_H
#define TIDINGS_BASE_SETTINGS_H

#include "base/err.h"
#include "base/slice.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Settings by table: one row names a setting, its type, bounds, default and the field it fills.
 * Parsing, checking, describing and help all read the same rows, so they cannot drift apart.
 */
enum setting_type {
    /* The numbers of ConfigResource types in DescribeConfigs (KIP-133, ConfigDef.Type). */
    SETTING_BOOLEAN = 1, /* field: bool */
    SETTING_STRING = 2,  /* field: char *, owned by the target; choices narrow it */
    SETTING_INT = 3,     /* field: any integer of 4 or 8 bytes that the bounds fit */
    SETTING_LONG = 5,    /* field: any integer of 8 bytes that the bounds fit */
    SETTING_DOUBLE = 6,  /* field: double */
    SETTING_LIST = 7,    /* like STRING; choices hold for each comma-separated item */
    SETTING_PASSWORD = 9 /* like STRING; its value is told to nobody */
};

struct setting {
    const char *name; /* Kafka's name where Kafka has one */
    enum setting_type type;
    size_t offset; /* of the field in the target struct, and its size: SETTING_FIELD(struct,
                      member), or SETTING_NO_FIELD. A member may lie in the settings of a room that
                      the struct embeds: the row is then all that a new setting needs. */
    size_t size;
    const char *default_value;
    int64_t least; /* numbers: bounds, both inclusive; both 0: the type's own */
    int64_t most;
    const char *choices; /* "a|b|c", NULL: any text */
    bool may_be_empty;   /* a list with choices: it may have no items */
    const char *only;    /* not NULL: just the default value is accepted, for this reason */
    const char
        *broker_name; /* for a topic's setting: the server's setting that gives the default */
    const char *help; /* one sentence */
};

#define SETTING_FIELD(type, member) offsetof(type, member), sizeof(((type *)0)->member)

/* For a setting that is only checked and described. */
#define SETTING_NO_FIELD 0, 0

struct settings_table {
    const char *what; /* "topic" or "server": for messages */
    const struct setting *rows;
    size_t count;
};

/* The row of this name, or NULL. */
const struct setting *settings_find(const struct settings_table *table, struct slice name);

/* Fills every field of target with its default. */
void settings_init(const struct settings_table *table, void *target);

/* Frees the strings that target owns. */
void settings_deinit(const struct settings_table *table, void *target);

/*
 * Checks the value and stores it in target's field (target NULL: only checks). ERR_CONFIG with a
 * reason that names the setting, the value and what is allowed; an unknown name gets the nearest
 * known one as a hint.
 */
CHECKED enum err settings_set(const struct settings_table *table, void *target, struct slice name,
                              struct slice value, struct reason *reason);

/* Settings as given: names with values, in the order of setting. Zero-initialised is empty. */
struct override {
    char *name;
    char *value;
    char *origin; /* "FILE:LINE"; NULL: not from a file */
};

struct overrides {
    VEC_FIELDS(struct override);
};

/* Adds or replaces; the origin of a replaced one goes. */
void overrides_set(struct overrides *overrides, struct slice name, struct slice value);
void overrides_remove(struct overrides *overrides, struct slice name);
/* The value or NULL. */
const char *overrides_get(const struct overrides *overrides, const char *name);
void overrides_copy(struct overrides *to, const struct overrides *from);
void overrides_deinit(struct overrides *overrides);

/*
 * Reads `name=value` lines (Java properties without escapes: # and ! begin comments, blanks around
 * name and value are dropped) into overrides. ERR_CONFIG names the line. source: for the reason.
 */
CHECKED enum err overrides_parse(struct overrides *overrides, const char *source, const char *text,
                                 struct reason *reason);

#endif
