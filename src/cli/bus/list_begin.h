#ifndef TIDINGS_CLI_LIST_BEGIN_H
#define TIDINGS_CLI_LIST_BEGIN_H

#include "cli/base/list_order.h"
#include "cli/base/name_choice.h"
#include "cli/bus/bus.h"

/* What a list of many things begins with: the order, which ones are meant, and the bus. */
struct list_begin {
    size_t key; /* list_order_key */
    struct name_choice choice;
    struct connection *connection;
};

/* An exit code; what is wrong is told. keys as list_order_key has them, given as name_choice_init.
 * End with list_end in any case. */
int list_begin(const struct help_page *page, const struct list_order *order,
               const char *const *keys, const struct text_list *given,
               const struct bus_options *bus, struct list_begin *begun);
void list_end(struct list_begin *begun);

#endif
