#ifndef TIDINGS_BUS_BUS_LAYER_H
#define TIDINGS_BUS_BUS_LAYER_H

#include "client/connection/connection.h"
#include "client/event/feed.h"

struct observer;

/*
 * The layer beside a bus: the watch with index and history, the modules (bus_modules.h), and the
 * HTTP server. `tidings serve` has it in its process, `tidings bus` alone beside any Kafka cluster.
 *
 * The bus never waits for it, and nothing of it ends the bus: its directory may be missing, full,
 * damaged or somebody else's, its port taken. Each of these is told once and tried again, and what
 * is lost is made again from the log.
 */
struct bus_layer;

/* Borrowed until bus_layer_free. */
struct bus_layer_settings {
    const char *dir; /* its own: made for its user alone, not the folder above it */
    struct connection_settings connection;

    /* As of watch_settings. */
    struct feed *(*open_feed)(void *context, feed_begin *begin, void *begin_context,
                              struct reason *reason);
    struct observer *observer; /* NULL: a cluster that we are not the broker of */

    const char *http_listener;      /* HOST:PORT; NULL or "": no HTTP */
    const char *http_allowed_hosts; /* as http_settings.allowed_hosts */
    bool http_hides_payloads;       /* as http_settings.hides_payloads */
    bool http_may_move;             /* any free port when this one is taken */
    /* It listens at http://ADDRESS. Before bus_layer_start returns, or later on any thread. */
    void (*http_listens)(void *context, const char *address);
    void *context; /* of open_feed and http_listens */

    const char *index_exclude;    /* a regular expression of topics; NULL or "": none */
    int64_t history_retention_ms; /* [30 days] */
    int retry_ms;                 /* after an error [2000] */
};

/* ERR_CONFIG, ERR_INVALID_REGEX: a setting can never work. Waits for no disk. */
CHECKED enum err bus_layer_start(const struct bus_layer_settings *settings,
                                 struct bus_layer **layer, struct reason *reason);

/* Where HTTP listens, "127.0.0.1:8080"; "": nowhere (yet). Any thread. */
const char *bus_layer_http(struct bus_layer *layer);

/*
 * Stops and frees. False: something of it has not come back within deadline_ms, and was left
 * running with all it has: the process is to end soon, by _exit. What it uses of others is not used
 * any more but by what hangs. NULL is fine.
 */
CHECKED bool bus_layer_stop(struct bus_layer *layer, int64_t deadline_ms);

#endif
