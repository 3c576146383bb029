#ifndef TIDINGS_BUS_MAP_MAP_WATCH_INSIDE_H
#define TIDINGS_BUS_MAP_MAP_WATCH_INSIDE_H

/* The inside of bus/map_watch.h: what its files share. */

#include "bus/http/http.h"
#include "bus/map/flow_history.h"
#include "bus/map/map_feed.h"
#include "bus/map/map_watch.h"

#include <pthread.h>

enum { MAP_ROUTES = 4 };

struct map_watch {
    const struct bus_parts *parts;
    struct http_route routes[MAP_ROUTES];
    pthread_mutex_t lock; /* all of the following up to `thread` */
    struct map_facts facts;
    struct map_feed *feed;
    struct flow_history *history; /* NULL: it cannot be had */
    bool has_opened;              /* that was tried */
    bool has_loaded;              /* what was in it */
    struct map_alerts *alerts;
    struct map_rules *rules;
    char history_trouble[256], rules_trouble[256];

    /* The thread's own, but for is_stopping and wake, which are the lock's. */
    pthread_t thread;
    bool is_started, is_stopping;
    pthread_cond_t wake;
    int64_t looked_ms;        /* mono */
    int64_t next_groups_ms;   /* mono */
    int64_t next_history_ms;  /* mono: to be flushed, or tried again */
    int64_t next_thin_ms;     /* mono */
    int64_t rules_changed_ms; /* the file's; -1: it is not there */
    bool has_groups_failed;   /* and that was told */
    size_t next_group;        /* of the list of all: whose turn is next, when they are very many */
};

/* Looks at the clients that the observer shows (map_clients.c). Takes the lock. */
void map_look_at_clients(struct map_watch *map, int64_t now_ms);

/* map_find_publisher of the observer's. */
bool map_find_producer(void *context, int64_t producer_id, struct slice names[MAP_NAMES]);

/* Asks for all groups, their members and commits (map_groups.c). Takes the lock only for what it
 * was told. */
void map_ask_groups(struct map_watch *map, int64_t now_ms);

#endif
