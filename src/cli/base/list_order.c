#include "cli/base/list_order.h"

#include "cli/base/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int list_order_key(const struct help_page *page, const struct list_order *order,
                   const char *const *keys, size_t *key)
{
    char all[256] = "";
    *key = 0;
    for (size_t i = 0; order->sort != NULL && keys[i] != NULL; i++) {
        size_t used = strlen(all);
        if (strcmp(keys[i], order->sort) == 0) {
            *key = i;
            return EXIT_OK;
        }
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", keys[i]);
    }
    return order->sort == NULL ? EXIT_OK
                               : options_fail(page, "--sort: '%s' is none of %s", order->sort, all);
}

struct sorting {
    size_t key;
    bool is_reverse;
};

static int compare(const void *a, const void *b, void *context)
{
    const struct list_row *left = a, *right = b;
    const struct sorting *sorting = context;
    int by_name = strcmp(left->name, right->name);
    if (sorting->key == 0) {
        return sorting->is_reverse ? -by_name : by_name;
    }
    if (left->number == right->number) {
        return by_name;
    }
    if (left->number < 0 || right->number < 0) {
        return left->number < 0 ? 1 : -1;
    }
    return (left->number < right->number) != sorting->is_reverse ? 1 : -1;
}

void list_order_sort(const struct list_order *order, size_t key, struct list_row *rows,
                     size_t count)
{
    struct sorting sorting = {key, order->is_reverse};
    if (count > 1) {
        qsort_r(rows, count, sizeof *rows, compare, &sorting);
    }
}
