#ifndef TIDINGS_BUS_API_HTTP_DEAD_H
#define TIDINGS_BUS_API_HTTP_DEAD_H

#include "bus/http/http.h"
#include "bus/watch/bus_parts.h"

/*
 * Dead letters and redrives by HTTP, as a module of the layer: what `tidings deadletter` does, by
 * the same functions (bus/dead/). A redrive goes on when who asked for it is gone, and when the
 * layer was restarted (redriver.h).
 *
 *     GET    /v1/groups/{group}/dead-letters  /v1/groups/{group}/dead-letters/{cause}
 *     POST   /v1/groups/{group}/redrives
 *     GET    /v1/groups/{group}/redrives  /v1/groups/{group}/redrives/{task}
 *     DELETE /v1/groups/{group}/redrives/{task}
 *     GET    /v1/groups/{group}/redrive-plans/{plan}
 *     GET    /v1/groups/{group}/lanes
 *     POST   /v1/groups/{group}/lanes
 */
void *http_dead_make(const struct bus_parts *parts);
const struct http_route *http_dead_routes(void *module, size_t *count);
void http_dead_free(void *module);

#endif
