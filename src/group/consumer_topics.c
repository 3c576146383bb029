#include "group/consumer_topics.h"

#include "base/mem.h"
#include "group/consumer_change.h"
#include "group/consumer_members.h"
#include "group/consumer_pieces.h"

#include <stdlib.h>

static uint64_t catalogue_version(const struct group *group)
{
    const struct group_topics *topics = &group->config->topics;
    return topics->version != NULL ? topics->version(topics->context) : 1;
}

bool consumer_topics_outdated(const struct group *group)
{
    return group->consumer->topics_version != catalogue_version(group);
}

/* ---- regular expressions ---- */

bool consumer_regex_outdated(const struct group *group, const struct consumer_member *member,
                             const struct group_asker *asker)
{
    if (member->regex.size == 0) {
        return false;
    }
    const struct consumer_regex *regex = consumer_find_regex(group->consumer, member->regex);
    return regex == NULL || regex->current_at != catalogue_version(group) ||
           regex->rights_version != asker->rights_version;
}

/* Leaves those that who asks may know of. */
static size_t keep_visible(const struct group_asker *asker, struct slice *names, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (asker->may_see == NULL || asker->may_see(asker->context, names[i])) {
            names[kept++] = names[i];
        }
    }
    return kept;
}

/* Takes over what is known of the topics that it matches. regex NULL: the expression is new. */
static void resolve(struct group *group, struct slice text, struct consumer_regex *regex,
                    const struct group_asker *asker, uint64_t version, struct clock_time now)
{
    const struct group_topics *topics = &group->config->topics;
    struct arena arena = {0};
    struct group_matched found = {.current = true};
    enum group_match match = GROUP_MATCH_UNKNOWN;
    bool is_known = regex != NULL && regex->rights_version == asker->rights_version;
    if (topics->match != NULL) {
        match = topics->match(topics->match_context, text, is_known ? regex->version : 0, &arena,
                              &found);
    }
    if (match == GROUP_MATCH_NEW) {
        found.count = keep_visible(asker, found.names, found.count);
        found.count = consumer_sort_names(found.names, found.count);
    }
    if (match == GROUP_MATCH_NEW &&
        (regex == NULL ||
         !consumer_same_names(found.names, found.count, regex->topics, regex->topic_count))) {
        struct group_change change = group_change_of(group, GROUP_RECORD_REGEX, text);
        change.regex = (struct consumer_group_regular_expression_value){
            .topics = found.names,
            .topics_count = (int32_t)found.count,
            .version = (int64_t)found.version,
            .timestamp = now.wall_ms,
        };
        consumer_change(group, &change, now);
        regex = consumer_find_regex(group->consumer, text);
    }
    if (match == GROUP_MATCH_NEW) {
        regex->version = found.version;
        regex->rights_version = asker->rights_version;
    }
    if (regex != NULL) {
        regex->current_at = found.current ? version : 0;
    }
    arena_deinit(&arena);
}

/* Drops those that no member uses, takes over what is new of that of who asks. */
static void refresh_regexes(struct group *group, const struct consumer_member *member,
                            const struct group_asker *asker, uint64_t version,
                            struct clock_time now)
{
    struct consumer_group *consumer = group->consumer;
    if (member != NULL && member->regex.size > 0) {
        resolve(group, member->regex, consumer_find_regex(consumer, member->regex), asker, version,
                now);
    }
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        if (m->regex.size == 0) {
            continue;
        }
        struct consumer_regex *regex = consumer_find_regex(consumer, m->regex);
        if (regex != NULL) {
            regex->used = true;
        }
    }
    struct consumer_regex *regex, *next;
    HASH_ITER (hh, consumer->regexes, regex, next) {
        if (regex->used) {
            regex->used = false;
            continue;
        }
        struct group_change change = group_change_of(group, GROUP_RECORD_REGEX, regex->text);
        change.gone = true;
        consumer_change(group, &change, now);
    }
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

static struct consumer_topic *list_topics(const struct group *group)
{
    struct consumer_group *consumer = group->consumer;
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
    return table;
}

static void set_topics(struct group *group, const struct consumer_topic *table,
                       struct clock_time now)
{
    struct arena arena = {0};
    struct group_change change = group_change_of(group, GROUP_RECORD_TOPICS, (struct slice){0});
    change.topics = consumer_topics_value(table, &arena);
    consumer_change(group, &change, now);
    arena_deinit(&arena);
}

bool consumer_refresh_topics(struct group *group, const struct consumer_member *member,
                             const struct group_asker *asker, struct clock_time now)
{
    struct consumer_group *consumer = group->consumer;
    uint64_t version = catalogue_version(group); /* before the look: what comes later shows again */
    refresh_regexes(group, member, asker, version, now);
    struct consumer_topic *table = list_topics(group);
    bool changed = !same_topics(consumer, table);
    consumer->topics_version = version;
    if (changed) {
        set_topics(group, table, now);
    }
    consumer_free_topics(&table);
    return changed;
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
