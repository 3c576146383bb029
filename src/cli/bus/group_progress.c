#include "cli/bus/group_progress.h"

#include "base/mem.h"
#include "client/admin/topic_ends.h"

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

/* --- the topics that are read, and their ends --- */

struct topics_read {
    struct admin_topics topics;  /* all of the bus, by name */
    struct client_error error;   /* why there are none */
    struct topic_ends_list ends; /* of those that are read, by name */
};

static bool is_same_topic(const struct topic_partitions *list, size_t a, size_t b)
{
    return strcmp(list->items[a].topic, list->items[b].topic) == 0;
}

/* Sorted, with each partition once. */
static void sort_and_unify(struct topic_partitions *list)
{
    size_t kept = 0;
    topic_partitions_sort(list);
    for (size_t i = 0; i < list->count; i++) {
        struct topic_partition at = list->items[i];
        if (kept > 0 && list->items[kept - 1].partition == at.partition &&
            strcmp(list->items[kept - 1].topic, at.topic) == 0) {
            free(at.topic);
        } else {
            list->items[kept++] = at;
        }
    }
    list->count = kept;
}

/* The partitions that the group committed for or that its members read. */
static void collect(struct group_progress *progress)
{
    for (size_t i = 0; i < progress->committed.count; i++) {
        const struct topic_partition *at = &progress->committed.items[i];
        topic_partitions_add(&progress->all, at->topic, at->partition, -1);
    }
    for (size_t i = 0; i < progress->about.members.count; i++) {
        const struct topic_partitions *read = &progress->about.members.items[i].partitions;
        for (size_t j = 0; j < read->count; j++) {
            topic_partitions_add(&progress->all, read->items[j].topic, read->items[j].partition,
                                 -1);
        }
    }
    sort_and_unify(&progress->all);
}

static int compare_topic(const void *name, const void *topic)
{
    return strcmp(name, ((const struct admin_topic *)topic)->name);
}

static int compare_ends(const void *name, const void *ends)
{
    return strcmp(name, ((const struct topic_ends *)ends)->topic->name);
}

/* bsearch takes no NULL, which an empty array is. */
static void *search(const char *name, const void *items, size_t count, size_t size,
                    int (*compare)(const void *, const void *))
{
    return count > 0 ? bsearch(name, items, count, size, compare) : NULL;
}

/* The ends of all topics that the groups read. */
static void look_up(struct connection *connection, const struct group_progress *progress,
                    size_t count, struct topics_read *read)
{
    struct topic_partitions names = {0};
    *read = (struct topics_read){0};
    for (size_t i = 0; i < count; i++) {
        const struct topic_partitions *all = &progress[i].all;
        for (size_t j = 0; j < all->count; j++) {
            if (j == 0 || !is_same_topic(all, j - 1, j)) {
                topic_partitions_add(&names, all->items[j].topic, 0, -1);
            }
        }
    }
    sort_and_unify(&names);
    if (names.count > 0 && admin_topics(connection, &read->topics, &read->error) == CLIENT_OK) {
        read->error.status = CLIENT_OK;
    }
    for (size_t i = 0; i < names.count; i++) {
        const struct admin_topic *topic =
            search(names.items[i].topic, read->topics.items, read->topics.count,
                   sizeof *read->topics.items, compare_topic);
        if (topic != NULL) {
            topic_ends_add(&read->ends, topic);
        }
    }
    topic_ends_load(connection, &read->ends);
    topic_partitions_deinit(&names);
}

static const struct topic_ends *find_ends(const struct topics_read *read, const char *topic)
{
    return search(topic, read->ends.items, read->ends.count, sizeof *read->ends.items,
                  compare_ends);
}

/* --- one group --- */

/* Adds the partitions of its topics that nothing is known of yet. */
static void add_silent_partitions(struct group_progress *progress, const struct topics_read *read)
{
    size_t known = progress->all.count;
    for (size_t i = 0; i < known; i++) {
        if (i > 0 && is_same_topic(&progress->all, i - 1, i)) {
            continue;
        }
        progress->topic_count++;
        const struct topic_ends *ends = find_ends(read, progress->all.items[i].topic);
        for (size_t j = 0; ends != NULL && j < ends->topic->partitions.count; j++) {
            topic_partitions_add(&progress->all, ends->topic->name,
                                 ends->topic->partitions.items[j].id, -1);
        }
    }
    sort_and_unify(&progress->all);
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

/* NULL, and why in `why`, when they are not known. */
static const struct admin_bounds *bounds_of(const struct topics_read *read,
                                            struct group_partition *of)
{
    const struct topic_ends *ends = find_ends(read, of->topic);
    const char *why = "there is no such partition";
    if (ends == NULL) {
        why = read->error.status != CLIENT_OK ? read->error.text : "there is no such topic";
    } else if (ends->error.status != CLIENT_OK) {
        why = ends->error.text;
    } else {
        for (size_t i = 0; i < ends->topic->partitions.count; i++) {
            if (ends->topic->partitions.items[i].id == of->partition) {
                return &ends->bounds[i];
            }
        }
    }
    snprintf(of->why, sizeof of->why, "%.159s", why);
    return NULL;
}

static void fill_in(struct group_progress *progress, const struct topics_read *read)
{
    size_t next = 0; /* of what is committed; both lists are in order */
    for (size_t i = 0; i < progress->all.count; i++) {
        const struct topic_partition *from = &progress->all.items[i];
        const struct topic_partition *committed =
            next < progress->committed.count ? &progress->committed.items[next] : NULL;
        bool is_committed = committed != NULL && committed->partition == from->partition &&
                            strcmp(committed->topic, from->topic) == 0;
        next += is_committed;
        struct group_partition to = {
            .topic = from->topic,
            .partition = from->partition,
            .committed = is_committed ? committed->offset : -1,
            .start = -1,
            .end = -1,
            .lag = -1,
            .member = reader_of(progress, from->topic, from->partition),
        };
        const struct admin_bounds *bounds = bounds_of(read, &to);
        if (bounds != NULL) {
            to.start = bounds->start;
            to.end = bounds->end;
            to.lag = group_lag(to.committed, *bounds);
        }
        progress->uncommitted += to.committed < 0;
        vec_push(&progress->partitions, to);
    }
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

/* What is known of one, from what the bus says. */
static void take_answer(struct group_progress *to, const struct admin_group_answer *answer)
{
    *to = (struct group_progress){
        .error = answer->error, .about = answer->group, .committed = answer->offsets, .lag = -1};
    if (to->error.status == CLIENT_OK && to->about.is_dead && to->committed.count == 0) {
        client_fail(&to->error, CLIENT_NOT_FOUND, NULL, "the group does not exist");
    }
}

/* Who is in the groups and what they committed. */
static void ask_groups(struct connection *connection, const char *const *groups, size_t count,
                       struct group_progress *progress, struct progress *shown)
{
    enum { AT_ONCE = 5000 }; /* each time all there are are described */
    size_t most = count < AT_ONCE ? count : AT_ONCE;
    struct admin_group_answer *answers = mem_new_array(struct admin_group_answer, most + 1);
    struct client_error silent = {.status = CLIENT_OK};
    for (size_t from = 0; from < count; from += AT_ONCE) {
        size_t some = count - from < AT_ONCE ? count - from : AT_ONCE;
        if (silent.status == CLIENT_OK) {
            admin_describe_groups(connection, groups + from, some, answers);
        }
        for (size_t i = 0; i < some; i++) {
            if (silent.status != CLIENT_OK) {
                answers[i] = (struct admin_group_answer){.error = silent};
            }
            take_answer(&progress[from + i], &answers[i]);
        }
        if (answers[some - 1].error.status == CLIENT_UNREACHABLE ||
            answers[some - 1].error.status == CLIENT_TIMED_OUT) {
            silent = answers[some - 1].error;
        }
        if (shown != NULL) {
            progress_show_count(shown, "asked for", "groups", (int64_t)(from + some),
                                (int64_t)count);
        }
    }
    free(answers);
}

void group_progress_load(struct connection *connection, const char *const *groups, size_t count,
                         struct group_progress *progress, struct progress *shown)
{
    struct topics_read read;
    ask_groups(connection, groups, count, progress, shown);
    for (size_t i = 0; i < count; i++) {
        collect(&progress[i]);
    }
    look_up(connection, progress, count, &read);
    for (size_t i = 0; i < count; i++) {
        if (progress[i].error.status == CLIENT_OK) {
            add_silent_partitions(&progress[i], &read);
            fill_in(&progress[i], &read);
            add_up(&progress[i]);
        }
    }
    topic_ends_deinit(&read.ends);
    admin_topics_deinit(&read.topics);
}

void group_progress_deinit(struct group_progress *progress)
{
    admin_group_deinit(&progress->about);
    topic_partitions_deinit(&progress->committed);
    topic_partitions_deinit(&progress->all);
    vec_deinit(&progress->partitions);
}
