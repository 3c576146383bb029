#ifndef TIDINGS_CLI_OLDEST_EVENT_H
#define TIDINGS_CLI_OLDEST_EVENT_H

#include "client/connection/connection.h"
#include "client/connection/partitions.h"

/* The oldest of the events that stand first in some partitions. */
struct oldest_event {
    int64_t time_ms; /* -1: none of them has a time, or nothing is there */
    char *topic;     /* where it stands; borrowed from the places; NULL: there is none */
    int32_t partition;
    int64_t offset;
    bool is_empty; /* no partition has an event there: markers, or transactions that are open */
};

/*
 * Reads one event of each partition, the first at or behind its offset, of committed transactions
 * only. CLIENT_TIMED_OUT when one does not come within the connection's timeout_ms, with what was
 * seen until then in *oldest. places: not empty, offsets not below 0.
 */
CHECKED enum client_status oldest_event_read(const struct connection_settings *settings,
                                             const struct topic_partitions *places,
                                             struct oldest_event *oldest,
                                             struct client_error *error);

#endif
