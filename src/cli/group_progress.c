#include "cli/group_progress.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t group_lag(int64_t committed, struct admin_bounds bounds)
{
    /* A commit behind the end is one of a topic that was deleted and made again: it is read from
     * its start. */
    bool is_kept = committed >= bounds.start && committed <= bounds.end;
    return bounds.end - (is_kept ? committed : bounds.start);
}

static void add_if_new(struct topic_partitions *list, const char *topic, int32_t partition)
{
    if (topic_partitions_find(list, topic, partition) == NULL) {
        topic_partitions_add(list, topic, partition, -1);
    }
}

/* The topics that the group committed for or reads, with the partitions known from that alone. */
static void collect(struct group_progress *progress)
{
    for (size_t i = 0; i < progress->committed.count; i++) {
        const struct topic_partition *at = &progress->committed.items[i];
        add_if_new(&progress->all, at->topic, at->partition);
    }
    for (size_t i = 0; i < progress->about.members.count; i++) {
        const struct topic_partitions *read = &progress->about.members.items[i].partitions;
        for (size_t j = 0; j < read->count; j++) {
            add_if_new(&progress->all, read->items[j].topic, read->items[j].partition);
        }
    }
    topic_partitions_sort(&progress->all);
}

static const char *reader_of(const struct group_progress *progress, const char *topic,
                             int32_t partition)
{
    for (size_t i = 0; i < progress->about.members.count; i++) {
        const struct admin_member *member = &progress->about.members.items[i];
        if (topic_partitions_find(&member->partitions, topic, partition) != NULL) {
            return member->id;
        }
    }
    return NULL;
}

/* Adds the partitions of one topic with their lags; error: why their ends are not known. */
static void add_topic(struct group_progress *progress, const struct topic_partitions *list,
                      const struct admin_bounds *bounds, const struct client_error *error)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct topic_partition *from = &list->items[i];
        const struct topic_partition *committed =
            topic_partitions_find(&progress->committed, from->topic, from->partition);
        struct group_partition to = {
            .topic = from->topic,
            .partition = from->partition,
            .committed = committed != NULL ? committed->offset : -1,
            .start = -1,
            .end = -1,
            .lag = -1,
            .member = reader_of(progress, from->topic, from->partition),
        };
        if (error == NULL) {
            to.start = bounds[i].start;
            to.end = bounds[i].end;
            to.lag = group_lag(to.committed, bounds[i]);
        } else {
            snprintf(to.why, sizeof to.why, "%.159s", error->text);
        }
        progress->uncommitted += to.committed < 0;
        vec_push(&progress->partitions, to);
    }
    progress->topic_count++;
}

/* One topic; known: those of its partitions that are named already. */
static void look_up_topic(struct connection *connection, struct group_progress *progress,
                          struct topic_partitions *known)
{
    struct admin_topics topics;
    struct client_error error;
    struct admin_bounds *bounds = NULL;
    enum client_status status =
        admin_topic(connection, known->items[0].topic, false, &topics, &error);
    for (size_t i = 0; status == CLIENT_OK && i < topics.items[0].partitions.count; i++) {
        add_if_new(known, known->items[0].topic, topics.items[0].partitions.items[i].id);
    }
    topic_partitions_sort(known);
    if (status == CLIENT_OK) {
        bounds = mem_new_array(struct admin_bounds, known->count);
        status = admin_bounds(connection, known, bounds, &error);
    }
    add_topic(progress, known, bounds, status == CLIENT_OK ? NULL : &error);
    free(bounds);
    admin_topics_deinit(&topics);
}

static void look_up_topics(struct connection *connection, struct group_progress *progress)
{
    struct topic_partitions seen = {0};
    for (size_t i = 0; i < progress->all.count;) {
        struct topic_partitions known = {0};
        const char *topic = progress->all.items[i].topic;
        for (; i < progress->all.count && strcmp(progress->all.items[i].topic, topic) == 0; i++) {
            topic_partitions_add(&known, topic, progress->all.items[i].partition, -1);
        }
        look_up_topic(connection, progress, &known);
        topic_partitions_append(&seen, &known);
        topic_partitions_deinit(&known);
    }
    /* The names now borrow from `known` lists that are gone: point them at the ones kept. */
    for (size_t i = 0; i < progress->partitions.count; i++) {
        progress->partitions.items[i].topic = seen.items[i].topic;
    }
    topic_partitions_deinit(&progress->all);
    progress->all = seen;
}

static void add_up(struct group_progress *progress)
{
    progress->lag = 0;
    for (size_t i = 0; i < progress->partitions.count; i++) {
        const struct group_partition *at = &progress->partitions.items[i];
        if (at->lag < 0) {
            progress->lag = -1;
            snprintf(progress->why, sizeof progress->why, "%.60s partition %d: %.80s", at->topic,
                     (int)at->partition, at->why);
            return;
        }
        progress->lag += at->lag;
    }
    if (progress->partitions.count == 0) {
        progress->lag = -1;
        snprintf(progress->why, sizeof progress->why, "%s",
                 progress->about.members.count == 0
                     ? "it has committed nothing and no member is there, so nobody knows what it "
                       "reads"
                     : "its members read nothing yet");
    }
}

enum client_status group_progress_load(struct connection *connection, const char *group,
                                       struct group_progress *progress, struct client_error *error)
{
    *progress = (struct group_progress){.lag = -1};
    enum client_status status = admin_group(connection, group, &progress->about, error);
    if (status == CLIENT_OK) {
        status = admin_group_offsets(connection, group, NULL, &progress->committed, error);
    }
    if (status != CLIENT_OK) {
        return status;
    }
    if (progress->about.is_dead && progress->committed.count == 0) {
        return client_fail(error, CLIENT_NOT_FOUND, NULL, "the group does not exist");
    }
    collect(progress);
    look_up_topics(connection, progress);
    add_up(progress);
    return CLIENT_OK;
}

void group_progress_deinit(struct group_progress *progress)
{
    admin_group_deinit(&progress->about);
    topic_partitions_deinit(&progress->committed);
    topic_partitions_deinit(&progress->all);
    vec_deinit(&progress->partitions);
}
