#ifndef TIDINGS_API_TOPIC_ADMIN_H
#define TIDINGS_API_TOPIC_ADMIN_H

#include "api/api.h"

/* What the admin handlers share. */

/* The code for a catalogue error in the words of an admin request. */
int16_t admin_error_code(enum err err);

/*
 * Checks a manual replica assignment: partitions 0..n-1 once each, each on this server alone. The
 * reason says what is wrong.
 */
CHECKED enum err admin_check_replicas(const struct api_server *server, const int32_t *broker_ids,
                                      int32_t broker_ids_count, int32_t partition,
                                      struct reason *reason);

/* repeated[i]: names[i] is there more than once. In the request's memory. */
const bool *admin_find_repeated(struct api_request *request, const struct slice *names,
                                int32_t count);

#endif
