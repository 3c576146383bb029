#ifndef TIDINGS_CLI_GROUP_TYPES_H
#define TIDINGS_CLI_GROUP_TYPES_H

#include "cli/bus/raw_bus.h"

/* Which protocol groups use, which brokers tell since Kafka 3.8 (KIP-848), but not librdkafka
 * 2.0.2. */
struct group_types {
    const char *const *names; /* by name */
    size_t count;
    char (*items)[16];    /* "classic", "consumer", "share", ...; "": not known */
    struct reason reason; /* why not, of all or some; "" */
};

/* Asks each broker once. Deinit in any case. */
void group_types_load(struct group_types *types, const struct bus_options *options);
void group_types_deinit(struct group_types *types);

/* NULL when it is not known. */
const char *group_type(const struct group_types *types, size_t index);

#endif
