#ifndef TIDINGS_BUS_MAP_MAP_WATCH_H
#define TIDINGS_BUS_MAP_MAP_WATCH_H

#include "bus/map/map_alert.h"
#include "bus/map/map_graph.h"
#include "bus/watch/bus_parts.h"

#include <jansson.h>

struct http_route;

/*
 * Gathers what the flow map is made of: from the feed (a sink of the watch), from the observer
 * where there is one, and from the bus's groups by requests (any cluster); keeps it in `flows.db`
 * in the layer's directory; makes the map and its alerts.
 *
 * One thread of its own looks twice a second; it takes less than a hundredth of a core, or it
 * looks less often. Groups are asked for no more than a tenth of the time, or a second after an
 * answer that did not come. Rules (map_rules.h) are read from `map.rules` in the directory whenever
 * that changes.
 *
 * A database that is damaged is told, removed and begun anew; one that cannot be had is tried again
 * each minute, and the map goes on without a past. Any thread, but for its life.
 */
struct map_watch;

/* A module of the layer (bus_modules.h): adds its sink to the watch, and starts its thread, which
 * waits for whatever it needs. Never NULL: what it cannot do is told in the log. */
void *map_watch_make(const struct bus_parts *parts);

/* GET /v1/map, /v1/map.svg, /v1/who/{type}, /v1/alerts. */
const struct http_route *map_watch_routes(void *module, size_t *count);

/* Ends its thread, after the request to the bus that is on its way, keeps what it knows, and frees
 * it. After the stop of the watch and of the HTTP server. */
void map_watch_free(void *module);

/* --- for routes and metrics --- */

/* The map at a time (0: now), laid out; the caller's. ERR_NOT_FOUND: the past is not there (yet),
 * or not from so long ago; the reason says so. */
CHECKED enum err map_watch_graph(struct map_watch *map, int64_t at_ms, struct map_graph *graph,
                                 struct reason *reason);

/* A list, newest first. */
json_t *map_watch_alerts(struct map_watch *map);

/* How many alerts are true now. */
size_t map_watch_open_alerts(struct map_watch *map);

/* What is wrong with it, for status and health: "" nothing. */
void map_watch_trouble(struct map_watch *map, char text[256]);

#endif
