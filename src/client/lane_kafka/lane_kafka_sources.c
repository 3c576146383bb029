#include "client/lane_kafka/lane_kafka_inside.h"

#include "base/mem.h"

#include <stdlib.h>

/* Which topics are the sources: said by whoever has the bus, asked by both threads of it. */

void lane_names_free(struct lane_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->items[i]);
    }
    vec_deinit(names);
}

void lane_log_set_sources(struct lane_log *log, const char *const *topics, size_t count)
{
    struct lane_names names = {0};
    for (size_t i = 0; i < count; i++) {
        vec_push(&names, mem_strdup(topics[i]));
    }
    pthread_mutex_lock(&log->lock);
    struct lane_names before = log->sources;
    log->sources = names;
    log->are_other = true;
    pthread_mutex_unlock(&log->lock);
    lane_names_free(&before);
}

struct lane_names lane_log_sources(struct lane_log *log)
{
    struct lane_names copy = {0};
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->sources.count; i++) {
        vec_push(&copy, mem_strdup(log->sources.items[i]));
    }
    pthread_mutex_unlock(&log->lock);
    return copy;
}
