#ifndef TIDINGS_BUS_API_HTTP_MODULE_H
#define TIDINGS_BUS_API_HTTP_MODULE_H

#include "bus/http/http.h"
#include "bus/watch/bus_parts.h"

/*
 * The API of the bus itself (http_api.h) as a module of the layer: /readyz looks at the layer's
 * parts as well, and /metrics tells of them.
 */
void *http_module_make(const struct bus_parts *parts);
const struct http_route *http_module_routes(void *module, size_t *count);
void http_module_free(void *module);

#endif
