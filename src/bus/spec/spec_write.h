#ifndef TIDINGS_BUS_SPEC_SPEC_WRITE_H
#define TIDINGS_BUS_SPEC_SPEC_WRITE_H

#include <jansson.h>

/*
 * An AsyncAPI 3.0 document, with Kafka bindings 0.5.0, of what was observed: a channel a topic, a
 * message an event type, and for each service an operation a topic that it sends to or receives
 * from. Names are the bus's own in `name`, `address`, `title`; keys are made of them, as AsyncAPI
 * allows letters, digits, '.', '-' and '_' there. Pure.
 */
struct spec_parts {
    const json_t *map;      /* as GET /v1/map */
    const json_t *messages; /* Message Objects by id of the map's node ("type:NAME") */
    const json_t *topics;   /* Kafka's channel bindings by topic */
    const char *servers;    /* "HOST:PORT,HOST:PORT" */
    const char *protocol;   /* "kafka", "kafka-secure" */
};

/* The caller's. */
json_t *spec_write(const struct spec_parts *parts);

/* The key for a name: what AsyncAPI does not allow as '_', with a hash of the whole name if there
 * was any. The caller's. */
char *spec_key(const char *name);

#endif
