#ifndef TIDINGS_BUS_API_TOPIC_TAIL_H
#define TIDINGS_BUS_API_TOPIC_TAIL_H

#include "bus/api/cluster.h"
#include "bus/event/where.h"
#include "client/connection/connection.h"
#include "client/event/event.h"

/*
 * A page of a topic's events for people: the newest ones, or those from a place on, of all
 * partitions or one, that a condition fits. Bounded in time, bytes and events; it says when it
 * stopped before it had looked at all. One thread a page.
 */
enum topic_tail_stop {
    TAIL_COMPLETE, /* there are no more */
    TAIL_LIMIT,    /* so many were wanted */
    TAIL_TIME,     /* most_ms is over */
    TAIL_BYTES     /* TAIL_BYTES_MAX are held */
};

enum { TAIL_BYTES_MAX = 8 * 1024 * 1024, TAIL_EVENTS_MAX = 1000 };

struct topic_tail {
    const struct connection_settings *connection;
    struct cluster *cluster; /* whose connection is asked */
    const char *topic;
    int32_t partition; /* -1: all */
    const char *from;  /* a place (client/admin/position.h), oldest first; NULL: newest first */
    size_t limit;      /* at most TAIL_EVENTS_MAX */
    const struct where *where; /* of event_fields(); NULL: all */
    int64_t most_ms;

    /* out */
    struct topic_tail_event *events; /* in the order asked for */
    size_t count;
    enum topic_tail_stop stop;
    int64_t looked_at; /* offsets */
};

struct topic_tail_event {
    struct event event;
    struct arena *arena; /* what it borrows from */
};

/* Reads. CLIENT_INVALID: `from` is no place. Deinit in any case. */
CHECKED enum client_status topic_tail_read(struct topic_tail *tail, struct client_error *error);
void topic_tail_deinit(struct topic_tail *tail);

#endif
