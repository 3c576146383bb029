#include "base/clock.h"
#include "base/logger.h"
#include "bus/event/outbox_group.h"
#include "bus/map/map_watch_inside.h"
#include "client/admin/admin.h"

#include <stdio.h>
#include <stdlib.h>

enum { GROUPS_MOST = 1000 }; /* at once; more take turns */

/* What a group does with one topic, from its members and commits. */
struct use {
    UT_hash_handle hh;
    char *topic;
    int32_t members;
    int64_t lag; /* -1: not known */
    int64_t oldest_ms;
    uint64_t committed; /* sum of the offsets */
    bool has_committed;
};

static struct use *reach_use(struct use **uses, const char *topic)
{
    struct use *use;
    HASH_FIND(hh, *uses, topic, strlen(topic), use);
    if (use == NULL) {
        use = mem_new(struct use);
        use->topic = mem_strdup(topic);
        use->lag = -1;
        HASH_ADD_KEYPTR(hh, *uses, use->topic, strlen(use->topic), use);
    }
    return use;
}

/* A member reads several partitions of a topic, and counts once for it. */
static void take_member(struct use **uses, const struct admin_member *member)
{
    const struct topic_partitions *partitions = &member->partitions;
    for (size_t i = 0; i < partitions->count; i++) {
        bool is_first = true;
        for (size_t j = 0; j < i && is_first; j++) {
            is_first = strcmp(partitions->items[j].topic, partitions->items[i].topic) != 0;
        }
        if (is_first) {
            reach_use(uses, partitions->items[i].topic)->members++;
        }
    }
}

static void take_commit(const struct map_watch *map, struct use **uses,
                        const struct topic_partition *commit)
{
    int64_t oldest_ms;
    if (commit->offset < 0) {
        return;
    }
    struct use *use = reach_use(uses, commit->topic);
    int64_t lag = map_feed_lag(map->feed, slice_str(commit->topic), commit->partition,
                               commit->offset, &oldest_ms);
    use->has_committed = true;
    use->committed += (uint64_t)commit->offset;
    if (lag >= 0) {
        use->lag = (use->lag < 0 ? 0 : use->lag) + lag;
    }
    if (oldest_ms > 0 && (use->oldest_ms == 0 || oldest_ms < use->oldest_ms)) {
        use->oldest_ms = oldest_ms;
    }
}

static void set_members(struct map_fact *fact, int32_t members, int64_t now_ms)
{
    if (members > 0) {
        fact->left_by_session_ms = 0;
    } else if (fact->members > 0) {
        fact->left_by_session_ms = now_ms;
    }
    fact->members = members;
}

/* What was committed since the last look is what it consumed. */
static void set_progress(struct map_fact *fact, const struct use *use, int64_t now_ms)
{
    bool is_first = fact->base_events == 0;
    if (fact->first_ms == 0) {
        fact->first_ms = now_ms;
    }
    if (!use->has_committed) {
        return;
    }
    if (!is_first && use->committed > fact->base_events) {
        map_fact_add(fact, use->committed - fact->base_events, 0, now_ms);
        fact->progress_ms = now_ms;
    } else if (is_first && use->committed > 0 && fact->last_ms == 0) {
        fact->progress_ms = fact->last_ms = now_ms;
    }
    fact->base_events = use->committed;
}

static void take_use(struct map_watch *map, const char *group, const struct use *use,
                     int64_t now_ms)
{
    struct map_fact_key key = {.kind = MAP_CONSUMES, .topic = slice_str(use->topic)};
    key.names[MAP_GROUP] = slice_str(group);
    struct map_fact *fact =
        map_hides_topic(key.topic) ? NULL : map_facts_reach(&map->facts, &key, now_ms);
    if (fact != NULL) {
        fact->asked_ms = now_ms;
        set_progress(fact, use, now_ms);
        set_members(fact, use->members, now_ms);
        fact->lag = use->lag;
        fact->oldest_ms = use->lag > 0 ? use->oldest_ms : 0;
    }
}

static void take_group(struct map_watch *map, const char *name,
                       const struct admin_group_answer *answer, int64_t now_ms)
{
    struct use *uses = NULL, *use, *next;
    if (outbox_group_is(slice_str(name))) {
        return;
    }
    for (size_t i = 0; i < answer->group.members.count; i++) {
        take_member(&uses, &answer->group.members.items[i]);
    }
    for (size_t i = 0; i < answer->offsets.count; i++) {
        take_commit(map, &uses, &answer->offsets.items[i]);
    }
    HASH_ITER (hh, uses, use, next) {
        take_use(map, name, use, now_ms);
        HASH_DEL(uses, use);
        free(use->topic);
        free(use);
    }
}

/* A group that is not there any more, or does not read the topic any more, has nobody. */
static void end_others(struct map_watch *map, int64_t now_ms)
{
    for (struct map_fact *fact = map->facts.by_key; fact != NULL; fact = fact->hh.next) {
        bool is_of_group =
            fact->is.kind == MAP_CONSUMES && !slice_is_null(fact->is.names[MAP_GROUP]);
        if (is_of_group && fact->asked_ms < now_ms && fact->members != 0) {
            set_members(fact, 0, now_ms);
        }
    }
}

/* Nothing was told of it: what was known stays. */
static void keep_group(struct map_watch *map, const char *name, int64_t now_ms)
{
    for (struct map_fact *fact = map->facts.by_key; fact != NULL; fact = fact->hh.next) {
        if (fact->is.kind == MAP_CONSUMES && slice_equal_str(fact->is.names[MAP_GROUP], name)) {
            fact->asked_ms = now_ms;
        }
    }
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Of more groups than are asked at once, those whose turn it is not are as they were. Under the
 * lock. */
static void keep_others(struct map_watch *map, const char **others, size_t count, int64_t now_ms)
{
    if (count == 0) {
        return;
    }
    qsort(others, count, sizeof *others, compare_words);
    for (struct map_fact *fact = map->facts.by_key; fact != NULL; fact = fact->hh.next) {
        struct slice group = fact->is.names[MAP_GROUP];
        char name[MAP_NAME_BYTES + 1];
        if (fact->is.kind != MAP_CONSUMES || slice_is_null(group)) {
            continue;
        }
        snprintf(name, sizeof name, "%.*s", SLICE_ARGS(group));
        const char *wanted = name;
        if (bsearch(&wanted, others, count, sizeof *others, compare_words) != NULL) {
            fact->asked_ms = now_ms;
        }
    }
}

/* Under the lock. */
static void take_all(struct map_watch *map, const char *const *names,
                     const struct admin_group_answer *answers, size_t count, int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (answers[i].error.status == CLIENT_OK) {
            take_group(map, names[i], &answers[i], now_ms);
        } else {
            keep_group(map, names[i], now_ms);
        }
    }
}

/* All of them, or the next ones in turn; the names of the others come behind these. */
static const char **names_in_turn(struct map_watch *map, const struct admin_group_listings *groups)
{
    const char **names = mem_new_array(const char *, groups->count + 1);
    size_t first = groups->count > GROUPS_MOST ? map->next_group % groups->count : 0;
    for (size_t i = 0; i < groups->count; i++) {
        names[i] = groups->items[(first + i) % groups->count].name;
    }
    map->next_group = first + GROUPS_MOST;
    return names;
}

static bool is_silent(enum client_status status)
{
    return status == CLIENT_TIMED_OUT || status == CLIENT_UNREACHABLE;
}

/* An error when nobody told of a group: all that was known of it stays. */
static enum client_status describe(struct map_watch *map, struct connection *connection,
                                   const struct admin_group_listings *groups, int64_t now_ms,
                                   struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    size_t count = groups->count < GROUPS_MOST ? groups->count : GROUPS_MOST;
    const char **names = names_in_turn(map, groups);
    struct admin_group_answer *answers = mem_new_array(struct admin_group_answer, count + 1);
    if (count > 0) {
        admin_describe_groups(connection, names, count, answers);
    }
    pthread_mutex_lock(&map->lock);
    take_all(map, names, answers, count, now_ms);
    keep_others(map, names + count, groups->count - count, now_ms);
    end_others(map, now_ms);
    map->facts.groups_ms = now_ms;
    map->facts.groups_error[0] = '\0';
    pthread_mutex_unlock(&map->lock);
    for (size_t i = 0; i < count; i++) {
        if (is_silent(answers[i].error.status)) {
            *error = answers[i].error;
            status = error->status;
        }
        admin_group_deinit(&answers[i].group);
        topic_partitions_deinit(&answers[i].offsets);
    }
    free(answers);
    free(names);
    return status;
}

static void note_failure(struct map_watch *map, const struct client_error *error)
{
    pthread_mutex_lock(&map->lock);
    snprintf(map->facts.groups_error, sizeof map->facts.groups_error, "%.*s",
             (int)sizeof map->facts.groups_error - 1, error->text);
    pthread_mutex_unlock(&map->lock);
    if (!map->has_groups_failed) {
        LOG_WARN("bus", "groups cannot be asked for the flow map: it shows what it knew",
                 "reason=\"%s\"", error->text);
    }
    map->has_groups_failed = true;
}

void map_ask_groups(struct map_watch *map, int64_t now_ms)
{
    struct connection *connection;
    struct admin_group_listings groups = {0};
    struct client_error error;
    enum client_status status = bus_parts_connection(map->parts, &connection, &error);
    if (status == CLIENT_OK) {
        status = admin_groups(connection, &groups, &error);
    }
    if (status == CLIENT_OK) {
        status = describe(map, connection, &groups, now_ms, &error);
    }
    if (status == CLIENT_OK) {
        if (map->has_groups_failed) {
            LOG_INFO("bus", "groups can be asked for the flow map again", "groups=%zu",
                     groups.count);
        }
        map->has_groups_failed = false;
    } else {
        note_failure(map, &error);
    }
    admin_group_listings_deinit(&groups);
}
