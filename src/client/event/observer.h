#ifndef TIDINGS_CLIENT_EVENT_OBSERVER_H
#define TIDINGS_CLIENT_EVENT_OBSERVER_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a broker sees of its clients, and no client can ask for: who is connected, with what
 * software, what each produced, fetched and committed, which groups it joined, and who got which
 * producer id. For people, for the flow map and for stories.
 *
 * A program that has the broker in it hands one over (broker/observe.h); beside a foreign cluster
 * there is none, and what depends on it says so. What is shown is borrowed for the call that shows
 * it. Any thread.
 */

enum client_did {
    CLIENT_PRODUCED,
    CLIENT_FETCHED,
    CLIENT_COMMITTED,
    CLIENT_JOINED, /* a group, of no topic */
    CLIENT_DID_KINDS
};

/* What tells clients apart. */
struct client_identity {
    struct slice principal;
    struct slice client_id;        /* null: it has none */
    struct slice software_name;    /* KIP-511; null: not told */
    struct slice software_version; /* the same */
    struct slice host;             /* without the port */
};

struct client_shown {
    struct client_identity identity; /* all empty: those for whom there was no place */
    int connections;
    int64_t first_ms;
    int64_t last_ms; /* when its last connection ended; 0: it has one */
};

struct client_flow_shown {
    enum client_did did;
    struct slice topic;         /* empty: those for which there was no place, and of joins */
    struct slice group;         /* of commits and joins */
    uint64_t events, bytes;     /* of commits and joins: how many, and none */
    int64_t session_timeout_ms; /* of joins: the newest one's; 0: the group's own */
    int64_t first_ms, last_ms;
};

struct client_visitor {
    void *context;
    void (*client)(void *context, const struct client_shown *client);
    void (*flow)(void *context, const struct client_flow_shown *flow); /* of the last client */
};

/* Who got a producer id, and since when he has it (wall clock). */
typedef void client_producer_seen(void *context, const struct client_shown *client,
                                  int64_t since_ms);

/* Logins by SASL since the start: those that succeeded, also again; that failed; and connections
 * that were closed as their login had expired. */
struct observer_logins {
    uint64_t succeeded, failed, expired;
};

struct observer {
    void (*show)(struct observer *observer, const struct client_visitor *visitor);
    bool (*find_producer)(struct observer *observer, int64_t producer_id,
                          client_producer_seen *seen, void *context);
    bool (*logins)(struct observer *observer, struct observer_logins *out); /* NULL: none */
};

/* False: nobody logs in there. */
static inline bool observer_logins(struct observer *observer, struct observer_logins *out)
{
    return observer->logins != NULL && observer->logins(observer, out);
}

/* Shows all clients, each before its flows. Whoever comes or goes waits meanwhile; counting does
 * not. The visitor calls nothing of the observer's. */
static inline void observer_show(struct observer *observer, const struct client_visitor *visitor)
{
    observer->show(observer, visitor);
}

/*
 * Shows the client that was given the producer id last (a transactional one passes from client to
 * client). False: not known, since the server started anew since, the client is forgotten, or it
 * got very many. The callback calls nothing of the observer's.
 */
static inline bool observer_find_producer(struct observer *observer, int64_t producer_id,
                                          client_producer_seen *seen, void *context)
{
    return observer->find_producer(observer, producer_id, seen, context);
}

#endif
