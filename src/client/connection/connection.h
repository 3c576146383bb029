#ifndef TIDINGS_CLIENT_CONNECTION_CONNECTION_H
#define TIDINGS_CLIENT_CONNECTION_CONNECTION_H

#include "base/deadline.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The connection to a bus (any Kafka cluster), and what can go wrong there.
 * client/publisher/publisher.h and client/reader/reader.h make connections of their own; one that
 * is opened here only asks and administers (client/admin/admin.h). No header of this room shows
 * librdkafka.
 */

/* --- failures (failure.c): one table from Kafka's and librdkafka's codes to status and hint --- */

enum client_status {
    CLIENT_OK = 0,
    CLIENT_INVALID,     /* an argument or setting that can never work */
    CLIENT_UNREACHABLE, /* nobody answers at the address, or the connection broke */
    CLIENT_TIMED_OUT,   /* no answer within the time; what was asked for may still happen */
    CLIENT_NOT_FOUND,   /* no such topic, partition or group */
    CLIENT_CONFLICT,    /* it exists already, or is in use */
    CLIENT_REFUSED,     /* the bus said no */
    CLIENT_FULL,        /* too much waits to be acknowledged: serve, then try again */
    CLIENT_CLOSED,      /* given up because publisher or reader was closed */
    CLIENT_FATAL        /* this publisher or reader cannot go on */
};

/* Why a call failed. Left alone when it did not. NULL is always fine. */
struct client_error {
    enum client_status status;
    int code;         /* Kafka's error code (above 0), librdkafka's (below 0); 0: neither */
    const char *hint; /* what to do next; static; NULL when that is not known */
    char text[512];   /* what happened, in words for a person, the bus's own where it sent some */
};

/* Fills the error (code 0) and returns status. hint may be NULL. Any thread. */
enum client_status client_fail(struct client_error *error, enum client_status status,
                               const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Fills the error for a code of Kafka or librdkafka and returns its status. detail: the bus's own
 * words; NULL or "": those of librdkafka. Code 0 gives CLIENT_OK and leaves the error alone.
 */
enum client_status client_fail_code(struct client_error *error, int code, const char *detail);

/* What a code means: its row in the table. CLIENT_OK for 0. Never fails. */
enum client_status client_status_of(int code);

/* "UNKNOWN_TOPIC_OR_PART", "_TRANSPORT": Kafka's and librdkafka's name of a code. */
const char *client_code_name(int code);

/* True when the client mends this by itself by trying again (a new leader, a lost connection). */
bool client_is_passing(int code);

/* True when a refused publish concerns that one event; others would strike the next event too. */
bool client_is_about_event(int code);

/* True when it concerns all events for that topic: no such topic, a name that is none, not allowed.
 */
bool client_is_about_topic(int code);

/* "2.0.2" */
const char *client_library_version(void);

/* --- connections (connection.c) --- */

/*
 * TLS and SASL, each field NULL for librdkafka's default; files are paths. They are set before
 * `properties`, which can say whatever is not here.
 */
struct connection_security {
    const char *protocol; /* plaintext, ssl, sasl_plaintext, sasl_ssl */
    const char *ca_file;
    const char *certificate_file;
    const char *key_file;
    const char *key_password;
    const char *sasl_mechanism;
    const char *sasl_user;
    const char *sasl_password;
};

/*
 * Something worth knowing that no call returned: CLIENT_UNREACHABLE when no address of the bus
 * answers any more (at most every 5 s, and once when it answers again, as CLIENT_OK), CLIENT_FATAL,
 * or what the bus complains of. Called on the thread that serves the publisher or takes from the
 * reader.
 */
typedef void client_notice_fn(void *context, const struct client_error *what);

struct own_peers;
struct log_access;

/* The command's client.id, and the name of its software (KIP-511). Anybody may take the one, so who
 * tells the command from services asks for both. */
#define CONNECTION_COMMAND "tidings-cli"

/* How to reach the bus. Borrowed only during the call that gets it. */
struct connection_settings {
    const char *bootstrap_servers; /* "host:port,..."; required */
    const char *client_id;         /* required */
    /* What it tells the bus that it is (KIP-511); NULL: librdkafka and its version. */
    const char *software_name, *software_version;
    int timeout_ms; /* for one request and its answer; 0: 30000 */
    struct connection_security security;
    const char *const *properties; /* "name=value" for librdkafka; they have the last word */
    size_t property_count;
    bool is_debug;            /* librdkafka tells on standard error what it does */
    client_notice_fn *notice; /* NULL: nobody is told */
    void *notice_context;
    /* No wait goes on behind it [none]; borrowed as long as what is opened lives. */
    const struct deadline *deadline;
    struct own_peers *own_peers; /* the bus is in this process; NULL: elsewhere. As long */
    /* The bus's log is in this process: who asks for single events reads them there; NULL:
     * elsewhere. Of no meaning for the connection itself. As long as the settings. */
    struct log_access *log;
};

struct connection;

/*
 * Makes a connection to ask and administer by. The bus need not be up: see connection_reach.
 * CLIENT_INVALID names the setting that is wrong. Free with connection_close.
 */
CHECKED enum client_status connection_open(const struct connection_settings *settings,
                                           struct connection **connection,
                                           struct client_error *error);

/* NULL is fine. Not for the connection of a publisher or reader: they close theirs. */
void connection_close(struct connection *connection);

/*
 * Makes sure that somebody listens at one of the addresses and answers in the Kafka protocol, and
 * fails fast where librdkafka would go on trying: at once when nobody listens, after 3 s when who
 * listens is no bus. CLIENT_UNREACHABLE with the address and why. One thread at a time.
 */
CHECKED enum client_status connection_reach(struct connection *connection,
                                            struct client_error *error);

/* How long one request may take that is sent now: less when a deadline is near. */
int connection_timeout_ms(const struct connection *connection);

/* The addresses that count, after properties: settings.bootstrap_servers or what replaced it. */
const char *connection_bootstrap(const struct connection *connection);

/*
 * The values that count for librdkafka's properties of these names, after all settings and with its
 * defaults: one for each name, to be freed; NULL: it has none. CLIENT_INVALID names the setting
 * that is wrong, and all are NULL. Any thread.
 */
CHECKED enum client_status connection_values(const struct connection_settings *settings,
                                             const char *const *names, size_t count, char **values,
                                             struct client_error *error);

/*
 * Opens and closes a TCP connection to the addresses of a comma-separated list ("host:port", port
 * 9092 when missing, "[::1]:9092", "SSL://host:port") until one accepts. ERR_IO or ERR_INVALID with
 * what went wrong at the last address; ERR_TIMEOUT when timeout_ms passed for each without an
 * answer. Any thread.
 */
CHECKED enum err connection_probe(const char *addresses, int timeout_ms, struct reason *reason);

/* The same, and leaves the connection open: *fd does not block; close it. */
CHECKED enum err connection_dial(const char *addresses, int timeout_ms, int *fd,
                                 struct reason *reason);

/* The host of one address, as those above understand it. ERR_INVALID: it is none. */
CHECKED enum err connection_host(const char *address, char *host, size_t size,
                                 struct reason *reason);

#endif
