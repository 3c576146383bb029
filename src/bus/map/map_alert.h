#ifndef TIDINGS_BUS_MAP_MAP_ALERT_H
#define TIDINGS_BUS_MAP_MAP_ALERT_H

#include "bus/map/map_graph.h"

#include <jansson.h>

/*
 * What somebody should be told of, out of one flow map after another:
 *
 *   last-consumer-left   a type had consumers, and none of them is there any more
 *   new-producer         a service publishes a type that others published before
 *   nobody-consumes      events of a type are published, and nobody ever consumed them
 *   loop                 events cause one another in a circle
 *
 * A restart is none of it: who left counts as gone only when it has not come back within its
 * session time-out (MAP_SESSION_MS where that is not known), and a producer is known by the name of
 * its service, not by the instance. What is true no more is told as over. Pure: time is the
 * graph's. At most MAP_ALERTS_MAX are kept; of more, those that are over go first. One thread at a
 * time.
 */
enum { MAP_ALERTS_MAX = 500, MAP_SESSION_MS = 45000, MAP_UNREAD_MS = 60000 };

enum map_alert_kind {
    MAP_ALERT_LAST_CONSUMER,
    MAP_ALERT_NEW_PRODUCER,
    MAP_ALERT_NOBODY_CONSUMES,
    MAP_ALERT_LOOP
};

struct map_alert {
    enum map_alert_kind kind;
    char *type;    /* of a loop: all of it, "A, B, A" */
    char *service; /* who left (the last one), who is new; NULL: none */
    int64_t at_ms; /* since when it is true */
    int64_t raised_ms;
    int64_t over_ms; /* 0: it still is */
};

/* Called for each that is raised, and when it is over. */
typedef void map_alert_told(void *context, const struct map_alert *alert);

struct map_alerts;

/* None yet. Free with map_alerts_free; NULL is fine there. */
struct map_alerts *map_alerts_new(void);
void map_alerts_free(struct map_alerts *alerts);

/* One more look, later than the one before. told may be NULL. */
void map_alerts_look(struct map_alerts *alerts, const struct map_graph *graph, map_alert_told *told,
                     void *context);

/* "last-consumer-left", ...; static. */
const char *map_alert_word(enum map_alert_kind kind);

/* In words for a person; foreign names are escaped. */
void map_alert_text(const struct map_alert *alert, struct buf *to);

/* A list, newest first. */
json_t *map_alerts_json(const struct map_alerts *alerts);

/* How many are true now. */
size_t map_alerts_open(const struct map_alerts *alerts);

#endif
