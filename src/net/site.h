#ifndef TIDINGS_NET_SITE_H
#define TIDINGS_NET_SITE_H

#include "net/peer_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/*
 * What the connections of one address have of a reactor, all together: who opens many has no more
 * of it than who opens one. IPv6 addresses of one network count as one (peer_site). It is there
 * while it has connections. The reactor's thread.
 */
struct conn;
struct reactor;

struct site {
    struct peer_key key;
    size_t conn_count;
    size_t held_bytes;        /* of answers: what is counted of them for its connections */
    int64_t quick_ns;         /* had outside of the line, in the turn `turn` */
    uint64_t turn;            /* of the reactor */
    struct conn *waiting;     /* those that stand in line; a list */
    struct site *prev, *next; /* in the line, while any does */
    UT_hash_handle hh;
};

/* The connection is there; or no more, when it stands in no line and nothing of it is counted. */
void site_enter(struct conn *conn);
void site_leave(struct conn *conn);

/* Counts what the connection had outside of the line. */
void site_use(struct conn *conn, int64_t ns);

/* The connection's site had enough for this turn, and there are others. */
bool site_had_enough(const struct conn *conn);

/* Hardly any of the share for answers is held for the site. */
bool site_holds_little(const struct conn *conn);

#endif
