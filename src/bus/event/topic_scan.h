#ifndef TIDINGS_BUS_EVENT_TOPIC_SCAN_H
#define TIDINGS_BUS_EVENT_TOPIC_SCAN_H

#include "client/connection/connection.h"
#include "client/event/event.h"

/*
 * All of a topic that stands there now, read once from its start to the ends of its partitions. Of
 * one partition in order of offset; only committed transactions. One thread.
 */
struct topic_scan {
    const struct connection_settings *connection;
    const char *topic;
    int64_t from_ms; /* not what is older by the record's time; 0: all */
    int64_t last;    /* only so many offsets in front of each partition's end; 0: all */

    /* Whether this partition of so many is read. NULL: all are. */
    bool (*wants)(void *context, int32_t partition, int32_t partition_count);

    /* Each record, borrowed. False ends the scan. */
    bool (*each)(void *context, const struct event *record);
    /* Now and then: so many of so many offsets are read. NULL: nobody is told. False ends it. */
    bool (*progress)(void *context, int64_t done, int64_t total);
    void *context;

    bool is_stopped; /* out: it was ended by one of the two, and returned CLIENT_OK */
};

/*
 * Reads. CLIENT_NOT_FOUND when there is no such topic; CLIENT_TIMED_OUT when the bus gives nothing
 * for the connection's timeout_ms though there is more. Memory: what a reader reads ahead (4 MiB,
 * and at least one batch a partition).
 */
CHECKED enum client_status topic_scan(struct topic_scan *scan, struct client_error *error);

#endif
