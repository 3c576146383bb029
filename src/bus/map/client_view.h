#ifndef TIDINGS_BUS_MAP_CLIENT_VIEW_H
#define TIDINGS_BUS_MAP_CLIENT_VIEW_H

#include "bus/watch/bus_parts.h"

/*
 * GET /v1/clients: who is or was connected, and what each does, out of the observer. Rates are
 * measured when somebody asks, over the time that ?over= says (1 s; 5 s at most), so that nothing
 * is spent while nobody does. docs/formats.md, "The flow map", has the JSON.
 */
struct http_route;

/* A module of the layer (bus_modules.h). */
void *client_view_make(const struct bus_parts *parts);
const struct http_route *client_view_routes(void *module, size_t *count);
void client_view_free(void *module);

#endif
