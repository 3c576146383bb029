#include "group/consumer_target.h"

#include "base/mem.h"
#include "group/consumer_change.h"
#include "group/consumer_members.h"

#include <stdlib.h>

/* The spec goes out, targets come back. */

enum consumer_assignor consumer_preferred_assignor(const struct group *group)
{
    size_t votes[ASSIGNOR_COUNT] = {0};
    const struct group_config *config = group->config;
    enum consumer_assignor best = config->consumer_assignors[0];
    enum consumer_assignor wanted;
    for (const struct consumer_member *m = group->consumer->members; m != NULL; m = m->hh.next) {
        if (m->assignor.size > 0 && consumer_assignor_find(m->assignor, &wanted)) {
            votes[wanted]++;
        }
    }
    for (size_t i = 0; i < config->consumer_assignor_count; i++) {
        enum consumer_assignor offered = config->consumer_assignors[i];
        best = votes[offered] > votes[best] ? offered : best;
    }
    return best;
}

static int compare_topics(const void *a, const void *b)
{
    const struct consumer_topic *left = *(struct consumer_topic *const *)a;
    const struct consumer_topic *right = *(struct consumer_topic *const *)b;
    return memcmp(left->id.bytes, right->id.bytes, sizeof left->id.bytes);
}

static struct assign_topic *list_topics(struct consumer_group *consumer, size_t *count)
{
    *count = HASH_COUNT(consumer->topics);
    struct consumer_topic **order = mem_new_array(struct consumer_topic *, *count);
    struct assign_topic *topics = mem_new_array(struct assign_topic, *count);
    size_t at = 0;
    for (struct consumer_topic *t = consumer->topics; t != NULL; t = t->hh.next) {
        order[at++] = t;
    }
    if (*count > 1) {
        qsort(order, *count, sizeof(struct consumer_topic *), compare_topics);
    }
    for (uint32_t i = 0; i < *count; i++) {
        order[i]->index = i;
        topics[i] = (struct assign_topic){order[i]->id, order[i]->partition_count};
    }
    free(order);
    return topics;
}

static int compare_indexes(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static size_t add_names(const struct consumer_group *consumer, const struct slice *names,
                        size_t count, uint32_t *to, size_t at)
{
    for (size_t i = 0; i < count; i++) {
        const struct consumer_topic *topic = consumer_find_topic(consumer, names[i]);
        if (topic != NULL) {
            to[at++] = topic->index;
        }
    }
    return at;
}

/* The member's topics as indexes, ascending, none twice. A fresh array. */
static uint32_t *list_subscription(const struct consumer_group *consumer,
                                   const struct consumer_member *member, size_t *count)
{
    const struct consumer_regex *regex = consumer_find_regex(consumer, member->regex);
    size_t most = member->topic_count + (regex != NULL ? regex->topic_count : 0);
    uint32_t *indexes = mem_new_array(uint32_t, most);
    size_t found = add_names(consumer, member->topics, member->topic_count, indexes, 0);
    if (regex != NULL) {
        found = add_names(consumer, regex->topics, regex->topic_count, indexes, found);
    }
    if (found > 1) {
        qsort(indexes, found, sizeof *indexes, compare_indexes);
    }
    *count = 0;
    for (size_t i = 0; i < found; i++) {
        if (*count == 0 || indexes[*count - 1] != indexes[i]) {
            indexes[(*count)++] = indexes[i];
        }
    }
    return indexes;
}

static struct assign_member *list_members(const struct consumer_group *consumer)
{
    struct assign_member *members =
        mem_new_array(struct assign_member, HASH_COUNT(consumer->members));
    size_t at = 0;
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        struct assign_member *member = &members[at++];
        member->id = m->id;
        member->instance_id = m->instance_id;
        member->current = &m->target;
        member->topics = list_subscription(consumer, m, &member->topic_count);
    }
    return members;
}

void consumer_assign_targets(struct group *group, struct clock_time now)
{
    struct consumer_group *consumer = group->consumer;
    if (consumer->epoch <= consumer->assignment_epoch) {
        return;
    }
    size_t topic_count;
    struct assign_topic *topics = list_topics(consumer, &topic_count);
    struct assign_spec spec = {
        .topics = topics,
        .topic_count = topic_count,
        .members = list_members(consumer),
        .member_count = HASH_COUNT(consumer->members),
    };
    consumer_assign(consumer_preferred_assignor(group), &spec);
    size_t at = 0;
    for (struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        struct assign_member *member = &spec.members[at++];
        if (!partition_set_equal(&member->target, &m->target)) {
            consumer_set_target(group, m, &member->target, now);
        }
        partition_set_deinit(&member->target);
        free((void *)(uintptr_t)member->topics);
    }
    free(spec.members);
    free(topics);
    consumer_set_assignment_epoch(group, consumer->epoch, now);
}
