#ifndef TIDINGS_BUS_STORY_STORY_MODULE_H
#define TIDINGS_BUS_STORY_STORY_MODULE_H

#include "bus/http/http.h"
#include "bus/watch/bus_parts.h"

/*
 * GET /v1/events/{id}/story and GET /v1/story: the story of an event by the layer's index and
 * history of commits, as JSON (docs/formats.md, "The story of an event"). A module of the layer.
 */
void *story_make(const struct bus_parts *parts);
const struct http_route *story_routes(void *module, size_t *count);
void story_free(void *module);

#endif
