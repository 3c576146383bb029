#ifndef TIDINGS_CLI_TOP_CLIENTS_H
#define TIDINGS_CLI_TOP_CLIENTS_H

#include "base/vec.h"
#include "cli/bus/bus.h"

#include <jansson.h>

/*
 * The clients of a bus as `tidings top` shows them: only the bus layer knows them, so they are
 * asked for by HTTP (GET /v1/clients), and are not known where none is, as on a cluster.
 */

/* Between the parts of a key, the first of which is the client.id. */
#define TOP_KEY_SEPARATOR "\x1f"

/* What a client did with a topic, in events since it is known. */
struct top_flow {
    char *topic;
    int64_t published, fetched;
};

struct top_client {
    char *key;  /* who it is among all: client.id, software, address, principal */
    char *name; /* its client.id */
    char *software, *address;
    int64_t connections;
    int64_t published, fetched; /* of all topics */
    VEC(struct top_flow) flows;
};

struct top_clients {
    VEC_FIELDS(struct top_client); /* by key; those that are connected */
    char why[160];                 /* they are not known; "": they are */
};

/* Where they are asked for, between two looks. Zeroed: not known yet. Free with
 * top_clients_source_deinit. */
struct top_clients_source {
    char *url;
    bool is_looked_for;
    int64_t looked_ms; /* mono: when the address was looked for */
};

/* Asks for them; waits for 2 s at most, and once in 30 s longer, for the bus to tell where its
 * layer is. One thread a source. Free with top_clients_deinit. */
void top_clients_load(struct top_clients *clients, struct top_clients_source *source,
                      const struct bus_options *options);

/* What an answer of /v1/clients says (pure). False: it is none, and `why` says so. */
bool top_clients_read(struct top_clients *clients, const json_t *answer);

/* Frees what it holds and leaves none. */
void top_clients_deinit(struct top_clients *clients);

/* Frees what it holds; it may be used again. */
void top_clients_source_deinit(struct top_clients_source *source);

/* By key; NULL: there is none. */
const struct top_client *top_clients_find(const struct top_clients *clients, const char *key);

#endif
