#ifndef TIDINGS_CLI_NAME_CHOICE_H
#define TIDINGS_CLI_NAME_CHOICE_H

#include "base/pattern.h"
#include "cli/base/options.h"

/*
 * Which of many things a list shows: those that are named, and those whose name an expression
 * ("^...") finds: RE2's syntax as in base/pattern.h, for a part of the name. Nothing given means
 * all. One thread.
 */
struct chosen_name {
    const char *text;        /* borrowed */
    struct pattern *pattern; /* NULL: the name itself */
    bool is_found;
};

struct name_choice {
    VEC(struct chosen_name) items;
};

/* An expression that is none is told: EXIT_USAGE. Deinit in any case. */
int name_choice_init(struct name_choice *choice, const struct text_list *given);
void name_choice_deinit(struct name_choice *choice);

/* Whether the name is meant; notes by what it was found. */
bool name_choice_has(struct name_choice *choice, const char *name);

/* Whether it was named as it is, and not found by an expression. */
bool name_choice_names(const struct name_choice *choice, const char *name);

/* EXIT_NOT_FOUND (told) when a name or an expression found nothing: `kind` is "topic", "group". */
int name_choice_check(const struct name_choice *choice, const char *kind);

/* Where the name stands among `names`, which are in order of name (bytes); false: nowhere. */
bool name_search(const char *const *names, size_t count, struct slice name, size_t *index);

#endif
