#include "group/consumer_assign.h"

#include "base/mem.h"

#include <stdlib.h>

/*
 * Partitions are numbered through: base[topic] + partition. What members had and may keep is taken
 * first; then the rest is given to who has least. With equal subscriptions a quota for each member
 * settles everything in one pass; else partitions move from who has most to who has least, topic by
 * topic, until nothing improves.
 */
enum { NOBODY = -1, MOST_ROUNDS = 16 };

struct uniform {
    struct assign_spec *spec;
    size_t *base; /* topic_count + 1 */
    int32_t *owner;
    size_t *load; /* of each member */

    /* subscribers of topic t: subscribers[first[t]] up to first[t + 1] */
    size_t *first;
    int32_t *subscribers;

    /* the partitions of the topic at hand, a list for each owner */
    int32_t *head;
    int32_t *next;
};

static bool is_subscribed(const struct assign_member *member, uint32_t topic)
{
    size_t low = 0, high = member->topic_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (member->topics[middle] < topic) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < member->topic_count && member->topics[low] == topic;
}

/* The topic's index, or -1. */
static int64_t find_topic(const struct assign_spec *spec, struct wire_uuid id)
{
    size_t low = 0, high = spec->topic_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(spec->topics[middle].id.bytes, id.bytes, sizeof id.bytes);
        if (order == 0) {
            return (int64_t)middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return -1;
}

static void own(struct uniform *u, size_t partition, int32_t member)
{
    u->owner[partition] = member;
    u->load[member]++;
}

static void keep_current(struct uniform *u, int32_t m)
{
    const struct assign_member *member = &u->spec->members[m];
    for (size_t i = 0, end; i < member->current->count; i = end) {
        end = partition_set_run(member->current, i);
        int64_t topic = find_topic(u->spec, member->current->items[i].topic);
        if (topic < 0 || !is_subscribed(member, (uint32_t)topic)) {
            continue;
        }
        for (size_t p = i; p < end; p++) {
            int32_t partition = member->current->items[p].partition;
            if (partition >= 0 && partition < u->spec->topics[topic].partition_count &&
                u->owner[u->base[topic] + (size_t)partition] == NOBODY) {
                own(u, u->base[topic] + (size_t)partition, m);
            }
        }
    }
}

/* ---- equal subscriptions ---- */

static bool all_equal(const struct assign_spec *spec)
{
    const struct assign_member *first = &spec->members[0];
    for (size_t m = 1; m < spec->member_count; m++) {
        const struct assign_member *member = &spec->members[m];
        if (member->topic_count != first->topic_count ||
            (first->topic_count > 0 && memcmp(member->topics, first->topics,
                                              first->topic_count * sizeof *first->topics) != 0)) {
            return false;
        }
    }
    return true;
}

/* Fills quota[]: a partition more than the least for as many members as it takes, those first who
 * hold one more already. */
static void set_quotas(struct uniform *u, size_t total, size_t *quota)
{
    size_t count = u->spec->member_count;
    size_t least = total / count;
    size_t extra = total % count;
    for (size_t m = 0; m < count; m++) {
        quota[m] = least;
        if (u->load[m] > least && extra > 0) {
            quota[m]++;
            extra--;
        }
    }
    for (size_t m = 0; m < count && extra > 0; m++) {
        if (quota[m] == least) {
            quota[m]++;
            extra--;
        }
    }
}

static void fill_to_quota(struct uniform *u)
{
    const struct assign_member *first = &u->spec->members[0];
    size_t total = 0;
    for (size_t t = 0; t < first->topic_count; t++) {
        total += (size_t)u->spec->topics[first->topics[t]].partition_count;
    }
    size_t *quota = mem_new_array(size_t, u->spec->member_count);
    set_quotas(u, total, quota);
    size_t taker = 0;
    size_t *kept = mem_new_array(size_t, u->spec->member_count);
    for (size_t t = 0; t < first->topic_count; t++) {
        uint32_t topic = first->topics[t];
        for (size_t p = u->base[topic]; p < u->base[topic + 1]; p++) {
            int32_t holder = u->owner[p];
            if (holder != NOBODY && kept[holder] < quota[holder]) {
                kept[holder]++;
            } else if (holder != NOBODY) {
                u->owner[p] = NOBODY;
                u->load[holder]--;
            }
        }
    }
    for (size_t t = 0; t < first->topic_count; t++) {
        uint32_t topic = first->topics[t];
        for (size_t p = u->base[topic]; p < u->base[topic + 1]; p++) {
            if (u->owner[p] != NOBODY) {
                continue;
            }
            while (u->load[taker] >= quota[taker]) {
                taker++; /* the quotas add up to all partitions: one with room is left */
            }
            own(u, p, (int32_t)taker);
        }
    }
    free(kept);
    free(quota);
}

/* ---- different subscriptions ---- */

static void list_subscribers(struct uniform *u)
{
    const struct assign_spec *spec = u->spec;
    u->first = mem_new_array(size_t, spec->topic_count + 1);
    for (size_t m = 0; m < spec->member_count; m++) {
        for (size_t t = 0; t < spec->members[m].topic_count; t++) {
            u->first[spec->members[m].topics[t] + 1]++;
        }
    }
    for (size_t t = 0; t < spec->topic_count; t++) {
        u->first[t + 1] += u->first[t];
    }
    u->subscribers = mem_new_array(int32_t, u->first[spec->topic_count]);
    size_t *at = mem_new_array(size_t, spec->topic_count);
    for (size_t m = 0; m < spec->member_count; m++) {
        for (size_t t = 0; t < spec->members[m].topic_count; t++) {
            uint32_t topic = spec->members[m].topics[t];
            u->subscribers[u->first[topic] + at[topic]++] = (int32_t)m;
        }
    }
    free(at);
}

static int32_t least_loaded(const struct uniform *u, uint32_t topic)
{
    int32_t best = u->subscribers[u->first[topic]];
    for (size_t i = u->first[topic]; i < u->first[topic + 1]; i++) {
        int32_t m = u->subscribers[i];
        best = u->load[m] < u->load[best] ? m : best;
    }
    return best;
}

/* Of those who have a partition of the topic at hand; NOBODY when nobody has. */
static int32_t most_loaded(const struct uniform *u, uint32_t topic)
{
    int32_t best = NOBODY;
    for (size_t i = u->first[topic]; i < u->first[topic + 1]; i++) {
        int32_t m = u->subscribers[i];
        if (u->head[m] != NOBODY && (best == NOBODY || u->load[m] > u->load[best])) {
            best = m;
        }
    }
    return best;
}

struct topic_order {
    uint32_t topic;
    size_t subscribers;
    size_t partitions;
};

/* Many partitions a subscriber first, then few subscribers, then by id: this balances best. */
static int compare_topics(const void *a, const void *b)
{
    const struct topic_order *left = a;
    const struct topic_order *right = b;
    size_t left_share = left->partitions * right->subscribers;
    size_t right_share = right->partitions * left->subscribers;
    if (left_share != right_share) {
        return left_share > right_share ? -1 : 1;
    }
    if (left->subscribers != right->subscribers) {
        return left->subscribers < right->subscribers ? -1 : 1;
    }
    return (left->topic > right->topic) - (left->topic < right->topic);
}

static struct topic_order *order_topics(const struct uniform *u, size_t *count)
{
    const struct assign_spec *spec = u->spec;
    struct topic_order *order = mem_new_array(struct topic_order, spec->topic_count);
    *count = 0;
    for (size_t t = 0; t < spec->topic_count; t++) {
        size_t subscribers = u->first[t + 1] - u->first[t];
        if (subscribers > 0) {
            order[(*count)++] = (struct topic_order){(uint32_t)t, subscribers,
                                                     (size_t)spec->topics[t].partition_count};
        }
    }
    if (*count > 1) {
        qsort(order, *count, sizeof *order, compare_topics);
    }
    return order;
}

static void list_partitions(struct uniform *u, uint32_t topic)
{
    for (size_t i = u->first[topic]; i < u->first[topic + 1]; i++) {
        u->head[u->subscribers[i]] = NOBODY;
    }
    for (size_t p = u->base[topic]; p < u->base[topic + 1]; p++) {
        u->next[p] = u->head[u->owner[p]];
        u->head[u->owner[p]] = (int32_t)p;
    }
}

/* Moves partitions of one topic while that evens out loads. Returns whether any moved. */
static bool balance_topic(struct uniform *u, uint32_t topic)
{
    bool moved = false;
    list_partitions(u, topic);
    for (;;) {
        int32_t to = least_loaded(u, topic);
        int32_t from = most_loaded(u, topic);
        if (from == NOBODY || u->load[from] <= u->load[to] + 1) {
            return moved;
        }
        int32_t partition = u->head[from];
        u->head[from] = u->next[partition];
        u->next[partition] = u->head[to];
        u->head[to] = partition;
        u->load[from]--;
        own(u, (size_t)partition, to);
        moved = true;
    }
}

static void fill_and_balance(struct uniform *u)
{
    list_subscribers(u);
    u->head = mem_new_array(int32_t, u->spec->member_count);
    u->next = mem_new_array(int32_t, u->base[u->spec->topic_count]);
    size_t count;
    struct topic_order *order = order_topics(u, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t topic = order[i].topic;
        for (size_t p = u->base[topic]; p < u->base[topic + 1]; p++) {
            if (u->owner[p] == NOBODY) {
                own(u, p, least_loaded(u, topic));
            }
        }
    }
    bool moved = true;
    for (int round = 0; moved && round < MOST_ROUNDS; round++) {
        moved = false;
        for (size_t i = 0; i < count; i++) {
            moved = balance_topic(u, order[i].topic) || moved;
        }
    }
    free(order);
    free(u->head);
    free(u->next);
    free(u->first);
    free(u->subscribers);
}

void consumer_assign_uniform(struct assign_spec *spec)
{
    if (spec->member_count == 0) {
        return;
    }
    struct uniform u = {.spec = spec};
    u.base = mem_new_array(size_t, spec->topic_count + 1);
    for (size_t t = 0; t < spec->topic_count; t++) {
        u.base[t + 1] = u.base[t] + (size_t)spec->topics[t].partition_count;
    }
    size_t total = u.base[spec->topic_count];
    u.owner = mem_new_array(int32_t, total);
    u.load = mem_new_array(size_t, spec->member_count);
    for (size_t p = 0; p < total; p++) {
        u.owner[p] = NOBODY;
    }
    for (size_t m = 0; m < spec->member_count; m++) {
        keep_current(&u, (int32_t)m);
    }
    if (all_equal(spec)) {
        fill_to_quota(&u);
    } else {
        fill_and_balance(&u);
    }
    for (size_t t = 0; t < spec->topic_count; t++) {
        for (size_t p = u.base[t]; p < u.base[t + 1]; p++) {
            if (u.owner[p] != NOBODY) {
                partition_set_push(&spec->members[u.owner[p]].target, spec->topics[t].id,
                                   (int32_t)(p - u.base[t]));
            }
        }
    }
    free(u.base);
    free(u.owner);
    free(u.load);
}
