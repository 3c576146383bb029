#ifndef TIDINGS_API_CONNECTION_H
#define TIDINGS_API_CONNECTION_H

#include "api/client_table.h"
#include "api/sasl_session.h"
#include "base/clock.h"
#include "base/slice.h"
#include "net/net.h"
#include "net/workers.h"
#include "stream/fetch.h"

#include <stdatomic.h>

/*
 * Who is behind a connection, and with what software: what the API room keeps of it.
 *
 * Made when the connection opens. The connection holds a reference until it has closed, and so does
 * every request on its way, since some end on other threads and after the connection. What is fixed
 * is read by whoever holds a reference; the rest belongs to the connection's reactor.
 */

/* Of a client's own words about itself, so many bytes are kept at most. */
enum { API_CLIENT_TEXT_BYTES = 255 };

struct api_connection {
    atomic_uint references;

    /* Fixed. */
    unsigned listener;         /* as of net_listen */
    bool is_own;               /* it comes from this process: nobody's client */
    char peer[64];             /* "127.0.0.1:54321" */
    struct worker_owner owner; /* of its work */

    /* The reactor's. */
    char *principal;              /* "User:ANONYMOUS" of whoever has not shown who he is */
    bool is_identified;           /* the principal is fixed from here on */
    struct sasl_session *session; /* NULL: its listener speaks no SASL */
    char *client_id;              /* as of the newest request; NULL: it was null */
    size_t client_id_size;        /* of what is kept */
    char *software_name;          /* as of ApiVersions (KIP-511); NULL: not told */
    char *software_version;       /* the same */
    struct fetch_list fetches;    /* that wait, to end with the connection */

    /* Set once, before the first request is handled that may count something. */
    struct client_table *clients;
    const struct clock *clock;
    struct client_entry *client; /* NULL: nobody counts, or not yet */
};

/* With one reference, of a connection that has just opened. sasl: how who comes by a listener that
 * speaks it logs in; NULL: none does. */
struct api_connection *api_connection_new(struct conn *conn, struct sasl_service *sasl);

/* Any thread. unref frees it with the last reference. */
void api_connection_ref(struct api_connection *connection);
void api_connection_unref(struct api_connection *connection);

struct principal_rules;

/*
 * Fixes who the client is by what its connection has shown (conn_peer_name) and the rules; again it
 * does nothing, nor where SASL says who it is. False: no rule fits the certificate of *who. On the
 * reactor, in a frame.
 */
CHECKED bool api_connection_identify(struct api_connection *connection, const struct conn *conn,
                                     const struct principal_rules *rules, const char **who);

/* The address it comes from: "127.0.0.1", "::1". Any thread that holds a reference. */
struct slice api_connection_host(const struct api_connection *connection);

/* Takes note of a request's client.id. On the reactor. */
void api_connection_set_client_id(struct api_connection *connection, struct slice client_id);

/*
 * Takes note of what ApiVersions tells of the client's software. False when a name or version is
 * not of letters, digits and, inside, "-" and "." (KIP-511); then nothing changes. On the reactor.
 */
CHECKED bool api_connection_set_software(struct api_connection *connection, struct slice name,
                                         struct slice version);

/* Enters the client into the table as what it said of itself until now, once; what it says later
 * changes nothing. Table and clock outlive the connection. While a request of the connection is
 * handled. */
void api_connection_enter(struct api_connection *connection, struct client_table *clients,
                          const struct clock *clock);

/* Counts what the client did. Any thread that holds a reference. */
void api_connection_count(struct api_connection *connection, enum client_did did,
                          struct slice topic, struct slice group, uint64_t events, uint64_t bytes,
                          int64_t now_ms);

/* The client asked to join a group. On the reactor, or on a worker for it. */
void api_connection_joins(struct api_connection *connection, struct slice group,
                          int64_t session_timeout_ms, int64_t now_ms);

/* The client was given a producer id. Any thread that holds a reference. */
void api_connection_gets_producer(struct api_connection *connection, int64_t producer_id,
                                  int64_t now_ms);

#endif
