#ifndef TIDINGS_BUS_SPEC_SPEC_WATCH_H
#define TIDINGS_BUS_SPEC_SPEC_WATCH_H

#include "bus/watch/bus_parts.h"

struct http_route;

/*
 * A module of the layer (bus_modules.h) that looks at events to tell what they are like: GET
 * /v1/spec, an AsyncAPI 3.0 document (spec_write.h). A sink of the watch: of a piece it looks at
 * SPEC_LOOKS_A_PIECE events, spread over it, and in a second at SPEC_LOOKS_A_SECOND,
 * SPEC_LOOKS_A_TYPE of one type, and SPEC_BYTES_A_SECOND of payloads; of SPEC_TYPES_MAX types.
 *
 * What it knows is kept in `schemas.json` in the layer's directory, once a minute and at the end;
 * when that is lost or damaged, it is learned again from the log.
 */
enum {
    SPEC_TYPES_MAX = 256,
    SPEC_LOOKS_A_PIECE = 64,
    SPEC_LOOKS_A_SECOND = 1000,
    SPEC_LOOKS_A_TYPE = 100,
    SPEC_BYTES_A_SECOND = 2 << 20,
    SPEC_PLACES_MAX = 100000
};

/* Never NULL. */
void *spec_watch_make(const struct bus_parts *parts);

/* GET /v1/spec. */
const struct http_route *spec_watch_routes(void *module, size_t *count);

/* After the stop of the watch and of the HTTP server. */
void spec_watch_free(void *module);

#endif
