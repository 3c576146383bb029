#ifndef TIDINGS_BUS_LAYER_STATE_H
#define TIDINGS_BUS_LAYER_STATE_H

#include "bus/bus_modules.h"

/*
 * GET /v1/layer: how far index and history are, and what fails. A module. Numbers are of the
 * moment; times are milliseconds since 1970, 0 for never.
 */
void *layer_state_make(const struct bus_parts *parts);
const struct http_route *layer_state_routes(void *module, size_t *count);
void layer_state_free(void *module);

#endif
