#ifndef TIDINGS_API_CLIENT_TABLE_H
#define TIDINGS_API_CLIENT_TABLE_H

#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Who talks to this server and what they do: for each client, that is one principal, client.id,
 * software and host, what it produced to, fetched from and committed for which topic. For people
 * and for the flow map.
 *
 * What is counted is added to atomics; to find a flow takes the client's own lock, for a look into
 * a hash. Clients that have gone are remembered until others need their place. Bounded by bytes,
 * half of them for clients and half for flows, of which one client has a 16th at most; what comes
 * beyond is counted under a client, or a topic, without name. Some 400 bytes a client and 250 a
 * flow, with names of usual length. Any thread.
 */
enum {
    CLIENT_TABLE_NAME_BYTES = 255, /* of a topic or a group; longer ones are cut */
    CLIENT_TABLE_LEAST_BYTES = 64 << 10,
};

enum client_did { CLIENT_PRODUCED, CLIENT_FETCHED, CLIENT_COMMITTED, CLIENT_DID_KINDS };

/* What tells clients apart. Copied. */
struct client_identity {
    struct slice principal;
    struct slice client_id;        /* null: it has none */
    struct slice software_name;    /* KIP-511; null: not told */
    struct slice software_version; /* the same */
    struct slice host;             /* without the port */
};

/* What a client did with a topic. The counters are added to by client_flow_add. */
struct client_flow {
    _Atomic uint64_t events; /* of commits: how many */
    _Atomic uint64_t bytes;
    _Atomic int64_t last_ms; /* wall clock */
};

struct client_table;
struct client_entry;

/* At most so many bytes, or CLIENT_TABLE_LEAST_BYTES if that is more. */
struct client_table *client_table_new(size_t most_bytes);

/* Nobody uses an entry of it any more. */
void client_table_free(struct client_table *table);

/* A connection of this client begins: its entry, never NULL, which stays until client_table_leave.
 * Several connections may have one. */
struct client_entry *client_table_enter(struct client_table *table,
                                        const struct client_identity *identity, int64_t now_ms);
void client_table_leave(struct client_table *table, struct client_entry *entry, int64_t now_ms);

/* The flow of an entry that was entered, never NULL; it is valid until that is left. group: of
 * commits, else null. */
struct client_flow *client_table_flow(struct client_table *table, struct client_entry *entry,
                                      enum client_did did, struct slice topic, struct slice group,
                                      int64_t now_ms);

/* Adds to what was counted. Any thread. */
static inline void client_flow_add(struct client_flow *flow, uint64_t events, uint64_t bytes,
                                   int64_t now_ms)
{
    atomic_fetch_add_explicit(&flow->events, events, memory_order_relaxed);
    atomic_fetch_add_explicit(&flow->bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&flow->last_ms, now_ms, memory_order_relaxed);
}

/* --- looking --- */

struct client_shown {
    struct client_identity identity; /* all empty: those for whom there was no place */
    int connections;
    int64_t first_ms;
    int64_t last_ms; /* when its last connection ended; 0: it has one */
};

struct client_flow_shown {
    enum client_did did;
    struct slice topic; /* empty: those for which there was no place */
    struct slice group;
    uint64_t events, bytes;
    int64_t first_ms, last_ms;
};

struct client_visitor {
    void *context;
    void (*client)(void *context, const struct client_shown *client);
    void (*flow)(void *context, const struct client_flow_shown *flow); /* of the last client */
};

/* Shows all, each client before its flows. Whoever comes or goes waits meanwhile; counting does
 * not. */
void client_table_show(struct client_table *table, const struct client_visitor *visitor);

#endif
