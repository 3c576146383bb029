#include "cli/bus/source_inside.h"

#include "base/mem.h"
#include "cli/bus/last_events.h"

#include <stdlib.h>
#include <string.h>

struct source_partition *source_find(struct source *source, const char *topic, int32_t partition)
{
    for (size_t n = 0; n < source->partitions.count; n++) {
        size_t i = (source->last + n) % source->partitions.count;
        struct source_partition *at = &source->partitions.items[i];
        if (at->partition == partition && strcmp(at->topic, topic) == 0) {
            source->last = i;
            return at;
        }
    }
    return NULL;
}

void source_mark_done(struct source *source, struct source_partition *at)
{
    source->open_count -= !at->is_done;
    at->is_done = true;
    source->is_heard = true;
}

void source_track(struct source *source, const struct topic_partition *from, int64_t stop,
                  struct admin_bounds bounds)
{
    struct source_partition *at = source_find(source, from->topic, from->partition);
    if (at == NULL) {
        at = vec_add(&source->partitions);
        *at = (struct source_partition){
            .topic = mem_strdup(from->topic), .partition = from->partition, .handled = -1};
        source->open_count++;
    }
    at->stop = stop;
    at->is_there = stop <= bounds.end;
    if (from->offset >= stop) {
        source_mark_done(source, at);
    }
}

void source_forget(struct source *source, const struct topic_partitions *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct source_partition *at =
            source_find(source, list->items[i].topic, list->items[i].partition);
        if (at != NULL) {
            source->open_count -= !at->is_done;
            free(at->topic);
            vec_remove(&source->partitions, (size_t)(at - source->partitions.items));
            source->last = 0;
        }
    }
}

enum client_status source_find_stops(const struct source *source, struct connection *connection,
                                     const struct topic_partitions *list,
                                     const struct admin_bounds *bounds, int64_t *stops,
                                     struct client_error *error)
{
    const struct position *to = &source->options->to;
    struct topic_partitions places = {0};
    enum client_status status = CLIENT_OK;
    topic_partitions_append(&places, list);
    if (source->options->has_to && to->kind == POSITION_LAST) {
        struct connection_settings settings = bus_settings(source->options->bus);
        status = last_events(&settings, &places, bounds, to->value, error);
    } else if (source->options->has_to && to->kind != POSITION_OFFSET) {
        status = position_resolve(connection, &places, to, bounds, error);
    }
    for (size_t i = 0; i < list->count; i++) {
        stops[i] = !source->options->has_to      ? INT64_MAX
                   : to->kind == POSITION_OFFSET ? to->value /* it may be one that comes later */
                                                 : places.items[i].offset;
    }
    topic_partitions_deinit(&places);
    return status;
}

enum client_status source_find_starts(const struct source *source, struct connection *connection,
                                      struct topic_partitions *list,
                                      const struct admin_bounds *bounds, struct client_error *error)
{
    const struct position *from = &source->options->from;
    struct connection_settings settings = bus_settings(source->options->bus);
    return from->kind == POSITION_LAST ? last_events(&settings, list, bounds, from->value, error)
                                       : position_resolve(connection, list, from, bounds, error);
}
