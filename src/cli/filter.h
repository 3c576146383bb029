#ifndef TIDINGS_CLI_FILTER_H
#define TIDINGS_CLI_FILTER_H

#include "cli/options.h"
#include "client/event.h"

#include <stdbool.h>

/* Which events a subscriber wants to see. Borrows its texts. */
struct filter {
    struct text_list types; /* empty: all */
    const char *key;        /* NULL: all */
};

/* True when the event has the wanted key, and its CloudEvents type (ce_type header in binary mode,
 * member "type" in structured mode) is among the wanted ones. */
bool filter_accepts(const struct filter *filter, const struct event *event);

#endif
