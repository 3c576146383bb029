#include "bus/api/cluster.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct cluster {
    const struct connection_settings *settings;
    pthread_mutex_t asking; /* one at a time asks the bus; guards what follows */
    struct connection *connection;
    struct client_error failure; /* the last time that it did not answer */
    int64_t failed_ms;           /* mono: when that was known; 0: never */
    pthread_mutex_t lock;        /* guards the view; taken inside of `asking` */
    struct cluster_view *view;
    int64_t view_mono_ms;
};

struct cluster *cluster_new(const struct connection_settings *settings)
{
    struct cluster *cluster = mem_new(struct cluster);
    cluster->settings = settings;
    pthread_mutex_init(&cluster->asking, NULL);
    pthread_mutex_init(&cluster->lock, NULL);
    return cluster;
}

/* --- views --- */

static void free_group(struct cluster_group *group)
{
    free(group->name);
    admin_group_deinit(&group->about);
    topic_partitions_deinit(&group->committed);
    vec_deinit(&group->progress);
}

void cluster_done(const struct cluster_view *view)
{
    struct cluster_view *self = (struct cluster_view *)(uintptr_t)view;
    if (self == NULL || atomic_fetch_sub(&self->references, 1) > 1) {
        return;
    }
    for (size_t i = 0; i < self->group_count; i++) {
        free_group(&self->groups[i]);
    }
    free(self->groups);
    topic_ends_deinit(&self->ends);
    admin_topics_deinit(&self->topics);
    free(self);
}

void cluster_free(struct cluster *cluster)
{
    if (cluster != NULL) {
        cluster_done(cluster->view);
        connection_close(cluster->connection);
        pthread_mutex_destroy(&cluster->asking);
        pthread_mutex_destroy(&cluster->lock);
        free(cluster);
    }
}

static int compare_ends(const void *name, const void *ends)
{
    return strcmp(name, ((const struct topic_ends *)ends)->topic->name);
}

const struct topic_ends *cluster_topic(const struct cluster_view *view, const char *name)
{
    return view->ends.count == 0 ? NULL
                                 : bsearch(name, view->ends.items, view->ends.count,
                                           sizeof *view->ends.items, compare_ends);
}

static int compare_group(const void *name, const void *group)
{
    return strcmp(name, ((const struct cluster_group *)group)->name);
}

const struct cluster_group *cluster_group(const struct cluster_view *view, const char *name)
{
    return view->group_count == 0 ? NULL
                                  : bsearch(name, view->groups, view->group_count,
                                            sizeof *view->groups, compare_group);
}

const struct admin_bounds *cluster_bounds(const struct cluster_view *view, const char *topic,
                                          int32_t partition)
{
    const struct topic_ends *ends = cluster_topic(view, topic);
    for (size_t i = 0;
         ends != NULL && ends->error.status == CLIENT_OK && i < ends->topic->partitions.count;
         i++) {
        if (ends->topic->partitions.items[i].id == partition) {
            return &ends->bounds[i];
        }
    }
    return NULL;
}

/* --- groups --- */

static int compare_progress(const void *a, const void *b)
{
    const struct cluster_progress *one = a, *other = b;
    int order = strcmp(one->topic, other->topic);
    return order != 0 ? order
                      : (one->partition > other->partition) - (one->partition < other->partition);
}

/* While a group is balanced anew two members may say that they read the same. */
static void sort_and_unify(struct cluster_group *group)
{
    size_t kept = 0;
    if (group->progress.count == 0) {
        return;
    }
    qsort(group->progress.items, group->progress.count, sizeof *group->progress.items,
          compare_progress);
    for (size_t i = 0; i < group->progress.count; i++) {
        struct cluster_progress *items = group->progress.items;
        if (kept == 0 || compare_progress(&items[kept - 1], &items[i]) != 0) {
            items[kept++] = items[i];
        }
    }
    group->progress.count = kept;
}

/* Commits come by topic and partition; what members read has to be looked for there. */
static void collect(struct cluster_group *group)
{
    for (size_t i = 0; i < group->committed.count; i++) {
        const struct topic_partition *at = &group->committed.items[i];
        vec_push(&group->progress,
                 (struct cluster_progress){at->topic, at->partition, at->offset, -1, NULL});
    }
    sort_and_unify(group);
    size_t committed = group->progress.count;
    for (size_t i = 0; i < group->about.members.count; i++) {
        const struct admin_member *member = &group->about.members.items[i];
        for (size_t j = 0; j < member->partitions.count; j++) {
            const struct topic_partition *at = &member->partitions.items[j];
            struct cluster_progress wanted = {at->topic, at->partition, -1, -1, member->id};
            struct cluster_progress *found =
                committed == 0 ? NULL
                               : bsearch(&wanted, group->progress.items, committed, sizeof wanted,
                                         compare_progress);
            if (found != NULL) {
                found->member = member->id;
            } else {
                vec_push(&group->progress, wanted);
            }
        }
    }
    sort_and_unify(group);
}

/* As `tidings group` counts it. */
static void add_lag(const struct cluster_view *view, struct cluster_group *group)
{
    group->lag = group->progress.count > 0 ? 0 : -1;
    for (size_t i = 0; i < group->progress.count; i++) {
        struct cluster_progress *at = &group->progress.items[i];
        const struct admin_bounds *bounds = cluster_bounds(view, at->topic, at->partition);
        if (bounds != NULL) {
            bool is_kept = at->committed >= bounds->start && at->committed <= bounds->end;
            at->lag = bounds->end - (is_kept ? at->committed : bounds->start);
        }
        group->lag = group->lag < 0 || at->lag < 0 ? -1 : group->lag + at->lag;
    }
}

static enum client_status look_at_groups(struct connection *connection, struct cluster_view *view)
{
    enum { AT_ONCE = 5000 }; /* each time all there are are described */
    struct admin_group_listings listings;
    struct admin_group_answer *answers = mem_new_array(struct admin_group_answer, AT_ONCE);
    const char **names = mem_new_array(const char *, AT_ONCE);
    enum client_status status = admin_groups(connection, &listings, &view->error);
    view->groups = mem_new_array(struct cluster_group, listings.count + 1);
    for (size_t from = 0; status == CLIENT_OK && from < listings.count; from += AT_ONCE) {
        size_t some = listings.count - from < AT_ONCE ? listings.count - from : AT_ONCE;
        for (size_t i = 0; i < some; i++) {
            names[i] = listings.items[from + i].name;
        }
        admin_describe_groups(connection, names, some, answers);
        for (size_t i = 0; i < some; i++) {
            struct cluster_group *group = &view->groups[view->group_count++];
            *group = (struct cluster_group){.name = mem_strdup(names[i]),
                                            .error = answers[i].error,
                                            .about = answers[i].group,
                                            .committed = answers[i].offsets,
                                            .lag = -1};
            collect(group);
            add_lag(view, group);
        }
        if (answers[some - 1].error.status == CLIENT_UNREACHABLE ||
            answers[some - 1].error.status == CLIENT_TIMED_OUT) {
            view->error = answers[some - 1].error; /* each further one would wait as long again */
            status = view->error.status;
        }
    }
    admin_group_listings_deinit(&listings);
    free(names);
    free(answers);
    return status;
}

/* --- looking --- */

/* `asking` is held. */
static enum client_status note_result(struct cluster *cluster, enum client_status status,
                                      const struct client_error *error)
{
    if (status == CLIENT_UNREACHABLE || status == CLIENT_TIMED_OUT) {
        cluster->failure = *error;
        cluster->failed_ms = clock_mono_ms(clock_system());
    }
    return status;
}

/* Who waited while another one found that the bus does not answer is told so, and does not wait as
 * long once more. `asking` is held; asked_ms: mono, before it was. */
static enum client_status reach(struct cluster *cluster, int64_t asked_ms,
                                struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    if (cluster->failed_ms > 0 && cluster->failed_ms >= asked_ms) {
        *error = cluster->failure;
        return error->status;
    }
    if (cluster->connection == NULL) {
        status = connection_open(cluster->settings, &cluster->connection, error);
    }
    status = status == CLIENT_OK ? connection_reach(cluster->connection, error) : status;
    return note_result(cluster, status, error);
}

struct connection *cluster_connection(struct cluster *cluster, struct client_error *error)
{
    int64_t asked_ms = clock_mono_ms(clock_system());
    pthread_mutex_lock(&cluster->asking);
    enum client_status status = reach(cluster, asked_ms, error);
    struct connection *connection = status == CLIENT_OK ? cluster->connection : NULL;
    pthread_mutex_unlock(&cluster->asking);
    return connection;
}

/* `asking` is held. */
static struct cluster_view *take(struct cluster *cluster, int64_t asked_ms)
{
    struct cluster_view *view = mem_new(struct cluster_view);
    struct admin_brokers brokers = {0};
    int64_t began_ms = clock_mono_ms(clock_system());
    view->references = 1;
    view->taken_ms = clock_wall_ms(clock_system());
    enum client_status status = reach(cluster, asked_ms, &view->error);
    if (status == CLIENT_OK) {
        status = admin_brokers(cluster->connection, &brokers, &view->error);
        view->broker_count = brokers.count;
    }
    if (status == CLIENT_OK) {
        status = admin_topics(cluster->connection, &view->topics, &view->error);
    }
    for (size_t i = 0; status == CLIENT_OK && i < view->topics.count; i++) {
        topic_ends_add(&view->ends, &view->topics.items[i]);
    }
    if (status == CLIENT_OK) {
        topic_ends_load(cluster->connection, &view->ends);
        status = look_at_groups(cluster->connection, view);
    }
    view->error.status = note_result(cluster, status, &view->error);
    view->took_ms = clock_mono_ms(clock_system()) - began_ms;
    return view;
}

/* The view when it was taken at this monotonic time or later; NULL: there is none. */
static struct cluster_view *recent(struct cluster *cluster, int64_t from_ms)
{
    struct cluster_view *view = NULL;
    pthread_mutex_lock(&cluster->lock);
    if (cluster->view != NULL && cluster->view_mono_ms >= from_ms) {
        view = cluster->view;
        atomic_fetch_add(&view->references, 1);
    }
    pthread_mutex_unlock(&cluster->lock);
    return view;
}

static void keep(struct cluster *cluster, struct cluster_view *view, int64_t mono_ms)
{
    pthread_mutex_lock(&cluster->lock);
    struct cluster_view *before = cluster->view;
    atomic_fetch_add(&view->references, 1);
    cluster->view = view;
    cluster->view_mono_ms = mono_ms;
    pthread_mutex_unlock(&cluster->lock);
    cluster_done(before);
}

const struct cluster_view *cluster_look(struct cluster *cluster, int64_t age_ms)
{
    int64_t asked_ms = clock_mono_ms(clock_system()), from_ms = asked_ms - age_ms;
    struct cluster_view *view = recent(cluster, from_ms);
    if (view != NULL) {
        return view;
    }
    pthread_mutex_lock(&cluster->asking); /* who waited here may find what another one just took */
    view = recent(cluster, from_ms);
    if (view == NULL) {
        int64_t now_ms = clock_mono_ms(clock_system());
        view = take(cluster, asked_ms);
        keep(cluster, view, now_ms);
    }
    pthread_mutex_unlock(&cluster->asking);
    return view;
}
