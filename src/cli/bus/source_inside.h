#ifndef TIDINGS_CLI_SOURCE_INSIDE_H
#define TIDINGS_CLI_SOURCE_INSIDE_H

#include "cli/bus/source.h"

/* What the files of a source share. One thread. */

/* --- source_place.c: its partitions, where each begins and ends --- */

/* The partition, or NULL. Quick for the one that was asked for before, and the next. */
struct source_partition *source_find(struct source *source, const char *topic, int32_t partition);
/* Its stop is reached. */
void source_mark_done(struct source *source, struct source_partition *at);
/* Reads it from there, up to `stop`. */
void source_track(struct source *source, const struct topic_partition *from, int64_t stop,
                  struct admin_bounds bounds);
/* The group took them away. */
void source_forget(struct source *source, const struct topic_partitions *list);
/* Where reading ends: stops[i] for list->items[i]. */
enum client_status source_find_stops(const struct source *source, struct connection *connection,
                                     const struct topic_partitions *list,
                                     const struct admin_bounds *bounds, int64_t *stops,
                                     struct client_error *error);
/* Sets the list's offsets to where reading begins. */
enum client_status source_find_starts(const struct source *source, struct connection *connection,
                                      struct topic_partitions *list,
                                      const struct admin_bounds *bounds,
                                      struct client_error *error);

/* --- source_look.c: topics that are made meanwhile --- */

enum { LOOK_EVERY_MS = 5000 };

/* Reads what the expressions match by now, when a look is due. With an end only what was there at
 * the beginning counts. What the bus does not tell now is asked at the next look. */
enum client_status source_look(struct source *source, struct client_error *error);

#endif
