#include "cli/base/name_choice.h"

#include "cli/base/cli.h"

#include <stdio.h>
#include <string.h>

int name_choice_init(struct name_choice *choice, const struct text_list *given)
{
    *choice = (struct name_choice){0};
    for (size_t i = 0; i < given->count; i++) {
        struct chosen_name item = {.text = given->items[i]};
        struct reason reason;
        if (item.text[0] == '^' &&
            pattern_new(slice_str(item.text), &item.pattern, &reason) != ERR_NONE) {
            return cli_fail(EXIT_USAGE, NULL, "'%s' is no regular expression: %s", item.text,
                            reason.text);
        }
        vec_push(&choice->items, item);
    }
    return EXIT_OK;
}

void name_choice_deinit(struct name_choice *choice)
{
    for (size_t i = 0; i < choice->items.count; i++) {
        pattern_free(choice->items.items[i].pattern);
    }
    vec_deinit(&choice->items);
}

bool name_choice_has(struct name_choice *choice, const char *name)
{
    bool has = choice->items.count == 0;
    for (size_t i = 0; i < choice->items.count; i++) {
        struct chosen_name *item = &choice->items.items[i];
        if (item->pattern != NULL ? pattern_finds(item->pattern, slice_str(name))
                                  : strcmp(item->text, name) == 0) {
            item->is_found = true;
            has = true;
        }
    }
    return has;
}

bool name_choice_names(const struct name_choice *choice, const char *name)
{
    for (size_t i = 0; i < choice->items.count; i++) {
        if (choice->items.items[i].pattern == NULL &&
            strcmp(choice->items.items[i].text, name) == 0) {
            return true;
        }
    }
    return false;
}

int name_choice_check(const struct name_choice *choice, const char *kind)
{
    for (size_t i = 0; i < choice->items.count; i++) {
        const struct chosen_name *item = &choice->items.items[i];
        char hint[64];
        snprintf(hint, sizeof hint, "see them all with: tidings %s list", kind);
        if (!item->is_found && item->pattern != NULL) {
            return cli_fail(EXIT_NOT_FOUND, hint, "no %s's name matches '%s'", kind, item->text);
        }
        if (!item->is_found) {
            return cli_fail(EXIT_NOT_FOUND, hint, "%s '%s' does not exist", kind, item->text);
        }
    }
    return EXIT_OK;
}

bool name_search(const char *const *names, size_t count, struct slice name, size_t *index)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(slice_str(names[middle]), name);
        if (order == 0) {
            *index = middle;
            return true;
        }
        low = order < 0 ? middle + 1 : low;
        high = order > 0 ? middle : high;
    }
    return false;
}
