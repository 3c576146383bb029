#ifndef TIDINGS_CLI_LAST_EVENTS_H
#define TIDINGS_CLI_LAST_EVENTS_H

#include "client/admin/admin.h"

/*
 * Sets each offset of the list to that of the count-th last event of its partition, or to its start
 * when there are fewer. Counts events that a reader is given, not offsets: markers of transactions,
 * aborted events and those that compaction removed have offsets too. So it reads: at least the last
 * `count` offsets of each partition, and further back while events are missing.
 * bounds[i]: of list->items[i]. CLIENT_TIMED_OUT when nothing came within the time-out.
 */
CHECKED enum client_status last_events(const struct connection_settings *settings,
                                       struct topic_partitions *list,
                                       const struct admin_bounds *bounds, int64_t count,
                                       struct client_error *error);

#endif
