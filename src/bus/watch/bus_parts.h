#ifndef TIDINGS_BUS_WATCH_BUS_PARTS_H
#define TIDINGS_BUS_WATCH_BUS_PARTS_H

#include "bus/watch/commit_follower.h"
#include "bus/watch/indexer.h"
#include "bus/watch/watch.h"
#include "client/connection/connection.h"

struct http;
struct observer;

/*
 * What the bus layer has for its modules (stories, flow map, metrics, console), each of which is
 * given it when it is made, before anything runs: a module adds its sinks to the watch and its
 * routes to the HTTP server then. All of it outlives the module.
 */
struct bus_parts {
    const char *dir; /* the layer's own, for its own user only; it may be unusable for a while */
    const struct connection_settings *connection; /* to the bus, for readers and publishers */
    struct watch *watch;
    struct indexer *indexer;
    struct commit_history *history;
    struct commit_follower *follower; /* who fills it */
    struct observer *observer;        /* NULL: a cluster that we are not the broker of */
    struct http *http; /* NULL: there is none, or not yet; for handlers it is there */
    struct bus_asker *asker;
};

/*
 * The connection to ask and administer by (client/admin/admin.h), opened when it is first asked
 * for. CLIENT_INVALID: a setting of the connection is wrong. It is the layer's: not to be closed.
 * Any thread.
 */
CHECKED enum client_status bus_parts_connection(const struct bus_parts *parts,
                                                struct connection **connection,
                                                struct client_error *error);

/* What is behind it: made and freed by the layer, which outlives all who ask. */
struct bus_asker *bus_asker_new(const struct connection_settings *settings);
void bus_asker_free(struct bus_asker *asker);

#endif
