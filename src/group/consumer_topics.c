#include "group/consumer_state.h"

#include "base/mem.h"

#include <stdlib.h>

/* Which topics a consumer group reads: what its members named, and what their regular expressions
 * match, as far as it exists. */

static uint64_t catalogue_version(const struct group *group)
{
    const struct group_topics *topics = &group->config->topics;
    return topics->version != NULL ? topics->version(topics->context) : 1;
}

bool consumer_topics_outdated(const struct group *group)
{
    return group->consumer->topics_version != catalogue_version(group);
}

const struct consumer_topic *consumer_find_topic(const struct consumer_group *consumer,
                                                 struct slice name)
{
    struct consumer_topic *topic = NULL;
    HASH_FIND(hh, consumer->topics, name.data, name.size, topic);
    return topic;
}

const struct consumer_regex *consumer_find_regex(const struct consumer_group *consumer,
                                                 struct slice text)
{
    struct consumer_regex *regex = NULL;
    if (!slice_is_null(text)) {
        HASH_FIND(hh, consumer->regexes, text.data, text.size, regex);
    }
    return regex;
}

static void free_topics(struct consumer_topic **table)
{
    struct consumer_topic *topic, *next;
    HASH_ITER (hh, *table, topic, next) {
        HASH_DEL(*table, topic);
        kept_free(&topic->name);
        free(topic);
    }
}

void consumer_free_topics(struct consumer_group *consumer)
{
    free_topics(&consumer->topics);
}

void consumer_regex_free(struct consumer_regex *regex)
{
    kept_free(&regex->text);
    pattern_free(regex->pattern);
    consumer_names_free(regex->topics, regex->topic_count);
    free(regex);
}

void consumer_free_regexes(struct consumer_group *consumer)
{
    struct consumer_regex *regex, *next;
    HASH_ITER (hh, consumer->regexes, regex, next) {
        HASH_DEL(consumer->regexes, regex);
        consumer_regex_free(regex);
    }
}

/* ---- regular expressions ---- */

static struct consumer_regex *take_regex(struct consumer_group *consumer, struct slice text)
{
    struct consumer_regex *regex = NULL;
    HASH_FIND(hh, consumer->regexes, text.data, text.size, regex);
    if (regex == NULL) {
        regex = mem_new(struct consumer_regex);
        regex->text = kept_copy(text);
        regex->dirty = true;
        consumer->dirty = true;
        HASH_ADD_KEYPTR(hh, consumer->regexes, regex->text.data, regex->text.size, regex);
        consumer_unbury(&consumer->gone_regexes, text);
    }
    if (regex->pattern == NULL) { /* new, or from the log; a bad one matches nothing */
        (void)!pattern_new(text, &regex->pattern, NULL);
    }
    return regex;
}

static int compare_names(const void *a, const void *b)
{
    const struct slice *left = a;
    const struct slice *right = b;
    size_t least = left->size < right->size ? left->size : right->size;
    int order = least > 0 ? memcmp(left->data, right->data, least) : 0;
    return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
}

static void resolve(struct consumer_regex *regex, const struct slice *names, size_t count,
                    uint64_t version, int64_t wall_ms, struct consumer_group *consumer)
{
    struct slice *found = mem_new_array(struct slice, count);
    size_t found_count = 0;
    for (size_t i = 0; regex->pattern != NULL && i < count; i++) {
        if (pattern_matches(regex->pattern, names[i])) {
            found[found_count++] = names[i];
        }
    }
    if (found_count > 1) {
        qsort(found, found_count, sizeof *found, compare_names);
    }
    bool same = found_count == regex->topic_count;
    for (size_t i = 0; same && i < found_count; i++) {
        same = slice_equal(found[i], regex->topics[i]);
    }
    regex->version = version;
    if (same) {
        free(found);
        return;
    }
    for (size_t i = 0; i < found_count; i++) {
        found[i] = kept_copy(found[i]);
    }
    consumer_names_free(regex->topics, regex->topic_count);
    regex->topics = found;
    regex->topic_count = found_count;
    regex->wall_ms = wall_ms;
    regex->dirty = true;
    consumer->dirty = true;
}

/* Drops those that no member uses, looks up those that are new or older than the catalogue. */
static void refresh_regexes(struct group *group, uint64_t version, struct group_time now)
{
    struct consumer_group *consumer = group->consumer;
    const struct group_topics *topics = &group->config->topics;
    for (struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        if (m->regex.size > 0) {
            take_regex(consumer, m->regex)->used = true;
        }
    }
    struct arena arena = {0};
    struct slice *names = NULL;
    size_t count = 0;
    bool listed = false;
    struct consumer_regex *regex, *next;
    HASH_ITER (hh, consumer->regexes, regex, next) {
        if (!regex->used) {
            HASH_DEL(consumer->regexes, regex);
            consumer_bury(&consumer->gone_regexes, regex->text);
            consumer->dirty = true;
            consumer_regex_free(regex);
            continue;
        }
        regex->used = false;
        if (regex->version != version) {
            if (!listed && topics->list != NULL) {
                count = topics->list(topics->context, &arena, &names);
            }
            listed = true;
            resolve(regex, names, count, version, now.wall_ms, consumer);
        }
    }
    arena_deinit(&arena);
}

/* ---- topics ---- */

static void add_topic(const struct group *group, struct consumer_topic **table, struct slice name)
{
    const struct group_topics *topics = &group->config->topics;
    struct consumer_topic *topic = NULL;
    HASH_FIND(hh, *table, name.data, name.size, topic);
    if (topic != NULL) {
        return;
    }
    topic = mem_new(struct consumer_topic);
    topic->name = kept_copy(name);
    if (topics->find == NULL ||
        !topics->find(topics->context, name, &topic->id, &topic->partition_count)) {
        topic->partition_count = -1;
    }
    HASH_ADD_KEYPTR(hh, *table, topic->name.data, topic->name.size, topic);
}

static bool same_topics(const struct consumer_group *consumer, const struct consumer_topic *table)
{
    if (HASH_COUNT(consumer->topics) != HASH_COUNT(table)) {
        return false;
    }
    for (const struct consumer_topic *t = table; t != NULL; t = t->hh.next) {
        const struct consumer_topic *old = consumer_find_topic(consumer, t->name);
        if (old == NULL || !wire_uuid_equal(old->id, t->id) ||
            old->partition_count != t->partition_count) {
            return false;
        }
    }
    return true;
}

bool consumer_refresh_topics(struct group *group, struct group_time now)
{
    struct consumer_group *consumer = group->consumer;
    uint64_t version = catalogue_version(group); /* before the look: what comes later shows again */
    refresh_regexes(group, version, now);
    struct consumer_topic *table = NULL;
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        for (size_t i = 0; i < m->topic_count; i++) {
            add_topic(group, &table, m->topics[i]);
        }
    }
    for (const struct consumer_regex *r = consumer->regexes; r != NULL; r = r->hh.next) {
        for (size_t i = 0; i < r->topic_count; i++) {
            add_topic(group, &table, r->topics[i]);
        }
    }
    struct consumer_topic *topic, *next;
    HASH_ITER (hh, table, topic, next) {
        if (topic->partition_count < 0) {
            HASH_DEL(table, topic);
            kept_free(&topic->name);
            free(topic);
        }
    }
    consumer->topics_version = version;
    if (same_topics(consumer, table)) {
        free_topics(&table);
        return false;
    }
    free_topics(&consumer->topics);
    consumer->topics = table;
    consumer->dirty_topics = true;
    consumer->dirty = true;
    return true;
}

bool consumer_is_subscribed(const struct group *group, struct slice topic)
{
    for (const struct consumer_member *m = group->consumer->members; m != NULL; m = m->hh.next) {
        for (size_t i = 0; i < m->topic_count; i++) {
            if (slice_equal(m->topics[i], topic)) {
                return true;
            }
        }
    }
    for (const struct consumer_regex *r = group->consumer->regexes; r != NULL; r = r->hh.next) {
        for (size_t i = 0; i < r->topic_count; i++) {
            if (slice_equal(r->topics[i], topic)) {
                return true;
            }
        }
    }
    return false;
}
