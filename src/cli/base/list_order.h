#ifndef TIDINGS_CLI_LIST_ORDER_H
#define TIDINGS_CLI_LIST_ORDER_H

#include "cli/base/options.h"

/* In which order a list is printed: --sort KEY and --reverse. Pure, but for what is told. */
struct list_order {
    const char *sort; /* NULL: by name */
    bool is_reverse;
};

/* One thing of a list: its place there, and what it is sorted by. */
struct list_row {
    const char *name;
    size_t index;
    int64_t number; /* -1: not known */
};

/* Which of the keys (NULL ends them; the first is the name) is meant. EXIT_USAGE (told): none. */
int list_order_key(const struct help_page *page, const struct list_order *order,
                   const char *const *keys, size_t *key);

/* By name (key 0) from a to z; else by number, highest first, what is not known at the end, and of
 * equal ones by name. Reverse turns names or numbers round; what is not known stays at the end. */
void list_order_sort(const struct list_order *order, size_t key, struct list_row *rows,
                     size_t count);

#endif
