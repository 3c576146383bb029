#ifndef TIDINGS_BROKER_SERVER_H
#define TIDINGS_BROKER_SERVER_H

#include "base/err.h"
#include "base/file.h"
#include "base/settings.h"
#include "client/event/feed.h"
#include "client/event/log_access.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The whole broker in one process: opens the data directory, recovers it, listens, serves.
 * All functions from one thread, which must not be a reactor.
 */
struct server;
struct api_authorizer;
struct observer;
struct own_peers;

/*
 * Starts with these settings (names and values as in a configuration file; unset ones have their
 * defaults). files: how data is kept, file_ops_unsynced() when it ends with the process. When it
 * returns ERR_NONE, clients can connect. The reason says what to do about an error: a bad setting,
 * an address in use, a data directory that is locked or of a newer format.
 */
CHECKED enum err server_start(const struct overrides *settings, const struct file_ops *files,
                              struct server **out, struct reason *reason);

/* The addresses bound, "127.0.0.1:9092,[::1]:9092", in the order of `listeners`. */
const char *server_addresses(const struct server *server);
/* One of them, or another one, at which this process itself is served without TLS by
 * server_own_peers: "127.0.0.1:9092". */
const char *server_own_address(const struct server *server);
const char *server_data_dir(const struct server *server);

/*
 * Who decides what clients may do (api/allow.h), from the next question on; NULL, as at start: all
 * is allowed. It stays until server_stop.
 */
void server_set_authorizer(struct server *server, const struct api_authorizer *authorizer);

/* The events of its log (client/event/feed.h), one feed at a time; what it gives ends with
 * server_stop, and it may be freed later. NULL: it cannot be had now, and the reason why. Any
 * thread. */
struct feed *server_open_feed(struct server *server, feed_begin *begin, void *context,
                              struct reason *reason);

/* A reference to its log for who asks for single events (client/event/log_access.h): it is closed
 * by server_stop, and may be given back later. Any thread. */
struct log_access *server_ref_log(struct server *server);

/* What it was told about the layer that stands beside it; texts stay until server_stop. */
struct server_bus_settings {
    bool is_enabled;
    const char *http_listener;      /* "": no HTTP */
    const char *http_allowed_hosts; /* names that it may be called by; "": the usual ones */
    bool http_hides_payloads;
    bool http_may_move;        /* it was not asked for: any other free port will do */
    const char *index_exclude; /* a regular expression; "": none */
    int64_t history_retention_ms;
};
/* Never fails. */
struct server_bus_settings server_bus_settings(const struct server *server);

/* Clients that ask for http.advertised.url are told this, unless the settings say another one.
 * Once. Any thread. */
void server_set_http_url(struct server *server, const char *url);

/* For connections to it that are of this process itself and no clients (base/own_peers.h): borrowed
 * until server_stop, whoever may need it longer refs it. Any thread. */
struct own_peers *server_own_peers(struct server *server);

/* What it sees of its clients (client/event/observer.h), until server_stop. Any thread. */
struct observer *server_observer(struct server *server);

/*
 * Stops: takes no new requests, lets answers under way go out (shutdown.timeout.ms at most), closes
 * the logs cleanly. The server is freed. An error means that the next start has to scan.
 */
CHECKED enum err server_stop(struct server *server, struct reason *reason);

/* Prints every setting with default and meaning on standard output. */
void server_print_settings(void);

/* The settings that a topic can have. Static. */
const struct settings_table *server_topic_settings(void);

#endif
