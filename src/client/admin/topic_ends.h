#ifndef TIDINGS_CLIENT_ADMIN_TOPIC_ENDS_H
#define TIDINGS_CLIENT_ADMIN_TOPIC_ENDS_H

#include "client/admin/admin.h"

/*
 * Where each partition of many topics begins and ends, in as few requests as that takes: two for
 * all of them while all can be answered.
 */
struct topic_ends {
    const struct admin_topic *topic; /* borrowed */
    struct admin_bounds *bounds;     /* of topic->partitions, index for index */
    struct client_error error;       /* CLIENT_OK, or why the bounds are not known */
};

struct topic_ends_list {
    VEC_FIELDS(struct topic_ends);
};

/* One more topic to ask for. It must outlive the list. */
void topic_ends_add(struct topic_ends_list *list, const struct admin_topic *topic);

/*
 * Asks. A topic that cannot be answered, as it went away or has a partition without leader, has its
 * own error and does not hinder the others. Once a list.
 */
void topic_ends_load(struct connection *connection, struct topic_ends_list *list);

/* Frees the bounds and leaves an empty list. */
void topic_ends_deinit(struct topic_ends_list *list);

#endif
