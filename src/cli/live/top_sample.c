#include "cli/live/top_sample.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/bus/group_progress.h"
#include "cli/bus/oldest_event.h"
#include "cli/bus/topic_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST_GROUPS_MOST = 20, OLDEST_PLACES_MOST = 200 };

/* --- topics --- */

static void add_topic(struct top_sample *sample, const struct topic_ends *ends, int64_t bytes)
{
    struct top_topic *to = vec_add(&sample->topics);
    to->name = mem_strdup(ends->topic->name);
    to->partitions = ends->topic->partitions.count;
    to->bytes = bytes;
    for (size_t i = 0; i < to->partitions; i++) {
        to->end += ends->bounds[i].end;
    }
    if (ends->error.status != CLIENT_OK) {
        to->end = -1;
        snprintf(to->error, sizeof to->error, "%.119s", ends->error.text);
    }
}

static enum client_status load_topics(struct top_sample *sample, struct connection *connection,
                                      const struct bus_options *options)
{
    struct admin_topics topics;
    struct topic_ends_list ends = {0};
    struct topic_facts facts;
    enum client_status status = admin_topics(connection, &topics, &sample->error);
    for (size_t i = 0; i < topics.count; i++) {
        if (!topics.items[i].is_internal) {
            topic_ends_add(&ends, &topics.items[i]);
        }
    }
    topic_ends_load(connection, &ends);
    for (size_t i = 0; i < ends.count && status == CLIENT_OK; i++) {
        if (bus_is_silent(&ends.items[i].error)) {
            sample->error = ends.items[i].error;
            status = sample->error.status;
        }
    }
    if (status == CLIENT_OK) {
        topic_facts_load(&facts, options, &ends);
        for (size_t i = 0; i < ends.count; i++) {
            add_topic(sample, &ends.items[i], facts.items[i].bytes);
        }
        topic_facts_deinit(&facts);
    }
    topic_ends_deinit(&ends);
    admin_topics_deinit(&topics);
    return status;
}

/* --- groups --- */

static void add_pairs(struct top_sample *sample, const char *group,
                      const struct group_progress *progress)
{
    struct top_pair *pair = NULL;
    for (size_t i = 0; i < progress->partitions.count; i++) {
        const struct group_partition *at = &progress->partitions.items[i];
        if (at->lag < 0) {
            continue;
        }
        if (pair == NULL || strcmp(pair->topic, at->topic) != 0) {
            pair = vec_add(&sample->pairs);
            pair->group = mem_strdup(group);
            pair->topic = mem_strdup(at->topic);
        }
        pair->end += at->end;
        pair->done += at->end - at->lag;
    }
}

static int64_t oldest_of(const struct bus_options *options, const struct group_progress *progress)
{
    struct connection_settings settings = bus_settings(options);
    struct topic_partitions places = {0};
    struct oldest_event oldest = {.time_ms = -1};
    for (size_t i = 0; i < progress->partitions.count; i++) {
        const struct group_partition *at = &progress->partitions.items[i];
        if (at->lag > 0 && places.count < OLDEST_PLACES_MOST) {
            topic_partitions_add(&places, at->topic, at->partition, at->end - at->lag);
        }
    }
    if (places.count > 0 && oldest_event_read(&settings, &places, &oldest, NULL) != CLIENT_OK) {
        oldest.time_ms = -1;
    }
    topic_partitions_deinit(&places);
    return oldest.time_ms;
}

static void take_groups(struct top_sample *sample, const struct admin_group_listings *listed,
                        struct group_progress *progress, const struct bus_options *options,
                        bool has_oldest)
{
    size_t looked = 0;
    for (size_t i = 0; i < listed->count; i++) {
        struct top_group *to = vec_add(&sample->groups);
        to->name = mem_strdup(listed->items[i].name);
        to->state = listed->items[i].state;
        to->members = progress[i].about.members.count;
        to->lag = progress[i].lag;
        to->oldest_ms = -1;
        if (progress[i].error.status != CLIENT_OK) {
            snprintf(to->error, sizeof to->error, "%.119s", progress[i].error.text);
        } else {
            add_pairs(sample, to->name, &progress[i]);
        }
        if (has_oldest && to->lag > 0 && looked++ < OLDEST_GROUPS_MOST) {
            to->oldest_ms = oldest_of(options, &progress[i]);
        }
    }
}

static enum client_status load_groups(struct top_sample *sample, struct connection *connection,
                                      const struct bus_options *options, bool has_oldest)
{
    struct admin_group_listings listed;
    enum client_status status = admin_groups(connection, &listed, &sample->error);
    const char **names = mem_new_array(const char *, listed.count + 1);
    struct group_progress *progress = mem_new_array(struct group_progress, listed.count + 1);
    for (size_t i = 0; i < listed.count; i++) {
        names[i] = listed.items[i].name;
    }
    group_progress_load(connection, names, listed.count, progress, NULL);
    for (size_t i = 0; i < listed.count && status == CLIENT_OK; i++) {
        if (bus_is_silent(&progress[i].error)) {
            sample->error = progress[i].error;
            status = sample->error.status;
        }
    }
    if (status == CLIENT_OK) {
        take_groups(sample, &listed, progress, options, has_oldest);
    }
    for (size_t i = 0; i < listed.count; i++) {
        group_progress_deinit(&progress[i]);
    }
    free(progress);
    free(names);
    admin_group_listings_deinit(&listed);
    return status;
}

/* --- all of it --- */

struct top_sample *top_sample_new(struct connection *connection, const struct bus_options *options,
                                  struct top_clients_source *clients, bool has_oldest)
{
    struct top_sample *sample = mem_new(struct top_sample);
    enum client_status status = load_topics(sample, connection, options);
    sample->mono_ms = clock_mono_ms(clock_system());
    sample->wall_ms = clock_wall_ms(clock_system());
    if (status == CLIENT_OK) {
        status = load_groups(sample, connection, options, has_oldest);
    }
    if (status == CLIENT_OK) {
        sample->error.status = CLIENT_OK;
        top_clients_load(&sample->clients, clients, options);
    }
    return sample;
}

void top_sample_free(struct top_sample *sample)
{
    if (sample == NULL) {
        return;
    }
    for (size_t i = 0; i < sample->topics.count; i++) {
        free(sample->topics.items[i].name);
    }
    for (size_t i = 0; i < sample->groups.count; i++) {
        free(sample->groups.items[i].name);
    }
    for (size_t i = 0; i < sample->pairs.count; i++) {
        free(sample->pairs.items[i].group);
        free(sample->pairs.items[i].topic);
    }
    vec_deinit(&sample->topics);
    vec_deinit(&sample->groups);
    vec_deinit(&sample->pairs);
    top_clients_deinit(&sample->clients);
    free(sample);
}

static int compare_topic(const void *name, const void *topic)
{
    return strcmp(name, ((const struct top_topic *)topic)->name);
}

static int compare_group(const void *name, const void *group)
{
    return strcmp(name, ((const struct top_group *)group)->name);
}

static int compare_pair(const void *wanted, const void *pair)
{
    const struct top_pair *left = wanted, *right = pair;
    int by_group = strcmp(left->group, right->group);
    return by_group != 0 ? by_group : strcmp(left->topic, right->topic);
}

/* bsearch takes no NULL, which an empty array is. */
static const void *search(const void *key, const void *items, size_t count, size_t size,
                          int (*compare)(const void *, const void *))
{
    return count > 0 ? bsearch(key, items, count, size, compare) : NULL;
}

const struct top_topic *top_sample_topic(const struct top_sample *sample, const char *name)
{
    return search(name, sample->topics.items, sample->topics.count, sizeof *sample->topics.items,
                  compare_topic);
}

const struct top_group *top_sample_group(const struct top_sample *sample, const char *name)
{
    return search(name, sample->groups.items, sample->groups.count, sizeof *sample->groups.items,
                  compare_group);
}

const struct top_pair *top_sample_pair(const struct top_sample *sample, const char *group,
                                       const char *topic)
{
    struct top_pair wanted = {.group = (char *)(uintptr_t)group, .topic = (char *)(uintptr_t)topic};
    return search(&wanted, sample->pairs.items, sample->pairs.count, sizeof *sample->pairs.items,
                  compare_pair);
}

size_t top_sample_first(const struct top_sample *sample, const char *group)
{
    size_t low = 0, high = sample->pairs.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool is_before = strcmp(sample->pairs.items[middle].group, group) < 0;
        low = is_before ? middle + 1 : low;
        high = is_before ? high : middle;
    }
    return low;
}

struct top_pair top_sample_sum(const struct top_sample *sample, const char *group)
{
    struct top_pair sum = {0};
    for (size_t i = top_sample_first(sample, group);
         i < sample->pairs.count && strcmp(sample->pairs.items[i].group, group) == 0; i++) {
        sum.end += sample->pairs.items[i].end;
        sum.done += sample->pairs.items[i].done;
    }
    return sum;
}
