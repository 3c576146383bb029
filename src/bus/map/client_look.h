#ifndef TIDINGS_BUS_MAP_CLIENT_LOOK_H
#define TIDINGS_BUS_MAP_CLIENT_LOOK_H

#include "base/buf.h"
#include "base/vec.h"
#include "client/event/observer.h"

#include <stdatomic.h>

/*
 * What an observer showed at a moment, copied: so that those who come and go wait for nothing but
 * that. Shared by reference; it does not change. Any thread.
 *
 * Some libraries say on their first connection only what software they are (KIP-511), and the
 * broker takes the others for another client. Here they are one again: connections without software
 * of a principal, client.id and host are counted with the one client of these that told its
 * software. Where several did, it is not known whose they are, and they stay apart.
 */
struct look_flow {
    enum client_did did;
    struct slice topic, group; /* borrow from the text, once it is complete */
    size_t topic_at, group_at;
    uint64_t events, bytes;
    int64_t session_timeout_ms, first_ms, last_ms;
};

enum { LOOK_PARTS = 5 }; /* of an identity */

struct look_client {
    struct client_identity identity;
    size_t parts_at[LOOK_PARTS];
    int connections;
    int64_t first_ms, left_ms; /* left_ms 0: it has a connection */
    size_t first_flow, flow_count;
    bool is_joined; /* with another one: it is not in the look */
};

struct client_look {
    struct buf text;
    VEC(struct look_client) clients;
    VEC(struct look_flow) flows;
    int64_t ns; /* when it was, as clock_now_ns */
    _Atomic unsigned references;
};

/* A look now; the caller has the one reference. */
struct client_look *client_look_new(struct observer *observer);

/* One reference more; returns the look. */
struct client_look *client_look_ref(struct client_look *look);

/* One less: the last one frees it. NULL does nothing. */
void client_look_unref(struct client_look *look);

/* The client of another look that is this one; *from is where the one before was found, 0 at first:
 * clients come in one order, with some gone and some new. NULL: it was not there. */
const struct look_client *client_look_find(const struct client_look *look, size_t *from,
                                           const struct look_client *client);

#endif
