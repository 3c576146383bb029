#ifndef TIDINGS_API_CLIENT_TABLE_H
#define TIDINGS_API_CLIENT_TABLE_H

#include "client/event/observer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Who talks to this server and what they do: for each client, that is one principal, client.id,
 * software and host, what it produced to, fetched from and committed for which topic, which groups
 * it joined, and which producer ids it got. For people, for the flow map and for stories
 * (client/event/observer.h).
 *
 * What is counted is added to atomics. What a client did lately is found without a lock, by
 * comparing names; else its own lock is taken, for a look into a hash. Clients that have gone are
 * remembered until others need their place. Bounded by bytes, half of them for clients and half for
 * flows, of which one client has a 16th at most; what comes beyond is counted under a client, or a
 * topic, without name. Some 460 bytes a client and 250 a flow, with names of usual length; 100 a
 * producer id, of which a client keeps its newest CLIENT_TABLE_PRODUCERS, counted with the clients.
 * Any thread.
 */
enum {
    CLIENT_TABLE_NAME_BYTES = 255, /* of a topic or a group; longer ones are cut */
    CLIENT_TABLE_LEAST_BYTES = 64 << 10,
    CLIENT_TABLE_PRODUCERS = 64, /* of one client */
};

/* What a client did with a topic. The counters are added to by client_flow_add. */
struct client_flow {
    _Atomic uint64_t events; /* of commits and joins: how many */
    _Atomic uint64_t bytes;
    _Atomic int64_t session_timeout_ms; /* of joins */
    _Atomic int64_t last_ms;            /* wall clock */
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
 * commits and joins, else null; of joins the topic is null. */
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

/* An entry that was entered was given a producer id; who had it before has it no more. */
void client_table_producer(struct client_table *table, struct client_entry *entry,
                           int64_t producer_id, int64_t now_ms);

/* --- looking --- */

/* As observer_find_producer. */
bool client_table_find_producer(struct client_table *table, int64_t producer_id,
                                client_producer_seen *seen, void *context);

/* Shows all, each client before its flows. Whoever comes or goes waits meanwhile; counting does
 * not. */
void client_table_show(struct client_table *table, const struct client_visitor *visitor);

#endif
