#ifndef TIDINGS_CLI_FILTER_H
#define TIDINGS_CLI_FILTER_H

#include "cli/base/options.h"
#include "client/event/event.h"

/* Which events `subscribe` prints: those that all of this accepts. Zeroed accepts all. */
struct filter {
    struct text_list types;   /* one of these CloudEvents types; empty: any */
    struct text_list sources; /* one of these CloudEvents sources; empty: any */
    struct text_list headers; /* NAME=VALUE, each of them; or NAME: with any value */
    const char *key;          /* NULL: any */
};

/* Also looks into structured CloudEvents (JSON). Pure. */
bool filter_accepts(const struct filter *filter, const struct event *event);

#endif
