#include "client/admin/topic_ends.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void topic_ends_add(struct topic_ends_list *list, const struct admin_topic *topic)
{
    vec_push(list, (struct topic_ends){.topic = topic});
}

void topic_ends_deinit(struct topic_ends_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].bounds);
    }
    vec_deinit(list);
}

/* librdkafka would wait for a leader to come, so partitions without one are not asked for. */
static void check_leaders(struct topic_ends *ends)
{
    const struct admin_topic *topic = ends->topic;
    for (size_t i = 0; i < topic->partitions.count; i++) {
        if (topic->partitions.items[i].leader < 0) {
            client_fail(&ends->error, CLIENT_REFUSED, NULL, "partition %d is offline",
                        (int)topic->partitions.items[i].id);
            return;
        }
    }
}

/* Asks for the topics from `first` to before `stop` that have no error. */
static enum client_status ask(struct connection *connection, struct topic_ends *first,
                              const struct topic_ends *stop, struct client_error *error)
{
    struct topic_partitions list = {0};
    for (const struct topic_ends *at = first; at < stop; at++) {
        for (size_t i = 0; at->error.status == CLIENT_OK && i < at->topic->partitions.count; i++) {
            topic_partitions_add(&list, at->topic->name, at->topic->partitions.items[i].id, -1);
        }
    }
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, list.count + 1);
    enum client_status status = admin_bounds(connection, &list, bounds, error);
    const struct admin_bounds *from = bounds;
    for (struct topic_ends *at = first; status == CLIENT_OK && at < stop; at++) {
        if (at->error.status == CLIENT_OK && at->topic->partitions.count > 0) {
            memcpy(at->bounds, from, at->topic->partitions.count * sizeof *from);
            from += at->topic->partitions.count;
        }
    }
    free(bounds);
    topic_partitions_deinit(&list);
    return status;
}

void topic_ends_load(struct connection *connection, struct topic_ends_list *list)
{
    struct client_error error;
    if (list->count == 0) {
        return; /* there is no array to point into */
    }
    struct topic_ends *stop = list->items + list->count;
    for (struct topic_ends *at = list->items; at < stop; at++) {
        at->bounds = mem_new_array(struct admin_bounds, at->topic->partitions.count + 1);
        check_leaders(at);
    }
    enum client_status status = ask(connection, list->items, stop, &error);
    for (struct topic_ends *at = list->items; status != CLIENT_OK && at < stop; at++) {
        if (at->error.status != CLIENT_OK) {
            continue;
        }
        if ((error.status == CLIENT_UNREACHABLE || error.status == CLIENT_TIMED_OUT)) {
            at->error = error; /* asking again would wait as long again, for each */
        } else if (ask(connection, at, at + 1, &error) != CLIENT_OK) {
            at->error = error;
        }
    }
}
