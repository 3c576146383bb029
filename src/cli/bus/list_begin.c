#include "cli/bus/list_begin.h"

#include "cli/base/cli.h"

int list_begin(const struct help_page *page, const struct list_order *order,
               const char *const *keys, const struct text_list *given,
               const struct bus_options *bus, struct list_begin *begun)
{
    *begun = (struct list_begin){0};
    int code = list_order_key(page, order, keys, &begun->key);
    if (code == EXIT_OK) {
        code = name_choice_init(&begun->choice, given);
    }
    if (code == EXIT_OK) {
        code = bus_open(bus, &begun->connection);
    }
    return code;
}

void list_end(struct list_begin *begun)
{
    connection_close(begun->connection);
    name_choice_deinit(&begun->choice);
}
