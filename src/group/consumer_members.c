#include "group/consumer_members.h"

#include "group/room.h"

#include <assert.h>
#include <stdlib.h>

/* ---- lists of names ---- */

void consumer_names_free(struct slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kept_free(&names[i]);
    }
    free(names);
}

int consumer_compare_names(const void *a, const void *b)
{
    const struct slice *left = a;
    const struct slice *right = b;
    return slice_compare(*left, *right);
}

size_t consumer_sort_names(struct slice *names, size_t count)
{
    size_t kept = 0;
    if (count > 1) {
        qsort(names, count, sizeof *names, consumer_compare_names);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !slice_equal(names[i], names[kept - 1])) {
            names[kept++] = names[i];
        }
    }
    return kept;
}

bool consumer_same_names(const struct slice *a, size_t a_count, const struct slice *b,
                         size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; same && i < a_count; i++) {
        same = slice_equal(a[i], b[i]);
    }
    return same;
}

struct slice *consumer_keep_names(const struct slice *names, size_t count)
{
    struct slice *kept = mem_new_array(struct slice, count);
    for (size_t i = 0; i < count; i++) {
        kept[i] = kept_copy(names[i]);
    }
    return kept;
}

/* ---- what they take ---- */

enum { HASHES = 5 };

static size_t set_cost(const struct partition_set *set)
{
    return set->capacity > 0 ? mem_cost(set->capacity * sizeof *set->items) : 0;
}

size_t consumer_names_cost(const struct slice *names, size_t count)
{
    size_t bytes = mem_cost(count * sizeof *names);
    for (size_t i = 0; i < count; i++) {
        bytes += kept_cost(names[i]);
    }
    return bytes;
}

size_t consumer_topic_cost(const struct consumer_topic *topic)
{
    return mem_cost(sizeof *topic) + kept_cost(topic->name);
}

size_t consumer_regex_cost(const struct consumer_regex *regex)
{
    return mem_cost(sizeof *regex) + kept_cost(regex->text) +
           consumer_names_cost(regex->topics, regex->topic_count);
}

void consumer_count(struct consumer_group *consumer, struct consumer_member *member)
{
    const struct consumer_classic *classic = member->classic;
    size_t bytes =
        mem_cost(sizeof *member) + kept_cost(member->id) + kept_cost(member->instance_id) +
        kept_cost(member->rack_id) + kept_cost(member->client_id) + kept_cost(member->client_host) +
        kept_cost(member->regex) + kept_cost(member->assignor) +
        consumer_names_cost(member->topics, member->topic_count) + set_cost(&member->assigned) +
        set_cost(&member->revoking) + set_cost(&member->target);
    if (classic != NULL) {
        bytes += mem_cost(sizeof *classic) +
                 group_offers_cost(classic->protocols, classic->protocol_count);
    }
    consumer->bytes += bytes - member->counted_bytes;
    member->counted_bytes = bytes;
}

size_t consumer_member_bytes(const struct group *group)
{
    return mem_cost(sizeof *group->consumer) + HASHES * MEM_HASH_COST + group->consumer->bytes;
}

/* ---- members ---- */

static void classic_free(struct consumer_classic *classic)
{
    if (classic != NULL) {
        for (size_t i = 0; i < classic->protocol_count; i++) {
            kept_free(&classic->protocols[i].name);
            kept_free(&classic->protocols[i].metadata);
        }
        free(classic->protocols);
        free(classic);
    }
}

static void member_free(struct consumer_member *member)
{
    kept_free(&member->id);
    kept_free(&member->instance_id);
    kept_free(&member->rack_id);
    kept_free(&member->client_id);
    kept_free(&member->client_host);
    kept_free(&member->regex);
    kept_free(&member->assignor);
    consumer_names_free(member->topics, member->topic_count);
    classic_free(member->classic);
    partition_set_deinit(&member->assigned);
    partition_set_deinit(&member->revoking);
    partition_set_deinit(&member->target);
    free(member);
}

struct consumer_member *consumer_find(const struct consumer_group *consumer, struct slice id)
{
    struct consumer_member *member = NULL;
    HASH_FIND(hh, consumer->members, id.data, id.size, member);
    return member;
}

struct consumer_member *consumer_find_static(const struct consumer_group *consumer,
                                             struct slice instance_id)
{
    struct consumer_member *member = NULL;
    if (!slice_is_null(instance_id)) {
        HASH_FIND(hh_instance, consumer->static_members, instance_id.data, instance_id.size,
                  member);
    }
    return member;
}

void consumer_set_instance(struct consumer_group *consumer, struct consumer_member *member,
                           struct slice instance_id)
{
    if (!slice_is_null(member->instance_id)) {
        if (!slice_is_null(instance_id) && slice_equal(member->instance_id, instance_id)) {
            return;
        }
        if (consumer_find_static(consumer, member->instance_id) == member) {
            HASH_DELETE(hh_instance, consumer->static_members, member);
        }
        kept_free(&member->instance_id);
    }
    if (slice_is_null(instance_id) || consumer_find_static(consumer, instance_id) != NULL) {
        return; /* on replay the former holder may not be gone yet: it keeps the name */
    }
    member->instance_id = kept_copy(instance_id);
    HASH_ADD_KEYPTR(hh_instance, consumer->static_members, member->instance_id.data,
                    member->instance_id.size, member);
}

struct consumer_member *consumer_add(struct consumer_group *consumer, struct slice id,
                                     struct slice instance_id)
{
    struct consumer_member *member = mem_new(struct consumer_member);
    member->id = kept_copy(id);
    member->client_id = kept_copy(slice_str(""));
    member->client_host = kept_copy(slice_str(""));
    member->rebalance_timeout_ms = -1;
    member->session_deadline_ms = INT64_MAX;
    member->rebalance_deadline_ms = INT64_MAX;
    member->join_deadline_ms = INT64_MAX;
    member->sync_deadline_ms = INT64_MAX;
    HASH_ADD_KEYPTR(hh, consumer->members, member->id.data, member->id.size, member);
    consumer_set_instance(consumer, member, instance_id);
    return member;
}

void consumer_set_classic(struct consumer_group *consumer, struct consumer_member *member,
                          struct consumer_classic *classic)
{
    consumer->classic_count += classic != NULL;
    consumer->classic_count -= member->classic != NULL;
    classic_free(member->classic);
    member->classic = classic;
}

struct consumer_classic *consumer_classic_new(int32_t session_timeout_ms,
                                              const struct group_protocol_offer *protocols,
                                              size_t count)
{
    struct consumer_classic *classic = mem_new(struct consumer_classic);
    classic->session_timeout_ms = session_timeout_ms;
    classic->protocols = mem_new_array(struct group_protocol_offer, count);
    classic->protocol_count = count;
    for (size_t i = 0; i < count; i++) {
        struct slice metadata = protocols[i].metadata;
        classic->protocols[i].name = kept_copy(protocols[i].name);
        classic->protocols[i].metadata =
            kept_copy(slice_is_null(metadata) ? slice_str("") : metadata);
    }
    return classic;
}

/* ---- holdings ---- */

static struct consumer_holding *find_holding(const struct consumer_group *consumer,
                                             const struct topic_partition *key)
{
    struct consumer_holding *holding = NULL;
    HASH_FIND(hh, consumer->holdings, key, sizeof *key, holding);
    return holding;
}

bool consumer_is_held(const struct consumer_group *consumer, const struct topic_partition *key)
{
    return find_holding(consumer, key) != NULL;
}

static void let_go(struct consumer_group *consumer, const struct consumer_member *member,
                   const struct partition_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct consumer_holding *holding = find_holding(consumer, &set->items[i]);
        if (holding != NULL && holding->holder == member) {
            HASH_DEL(consumer->holdings, holding);
            consumer->bytes -= mem_cost(sizeof *holding);
            free(holding);
        }
    }
}

static void hold(struct consumer_group *consumer, const struct consumer_member *member,
                 const struct partition_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (find_holding(consumer, &set->items[i]) == NULL) {
            struct consumer_holding *holding = mem_new(struct consumer_holding);
            holding->key = set->items[i];
            holding->holder = member;
            HASH_ADD(hh, consumer->holdings, key, sizeof holding->key, holding);
            consumer->bytes += mem_cost(sizeof *holding);
        }
    }
}

void consumer_put_current(struct consumer_group *consumer, struct consumer_member *member,
                          struct partition_set *assigned, struct partition_set *revoking)
{
    if (!consumer->loading) {
        let_go(consumer, member, &member->assigned);
        let_go(consumer, member, &member->revoking);
    }
    partition_set_take(&member->assigned, assigned);
    partition_set_take(&member->revoking, revoking);
    if (!consumer->loading) {
        hold(consumer, member, &member->assigned);
        hold(consumer, member, &member->revoking);
    }
    consumer_count(consumer, member);
}

void consumer_take_out(struct consumer_group *consumer, struct consumer_member *member)
{
    struct partition_set none = {0}, nothing = {0};
    consumer_put_current(consumer, member, &none, &nothing);
    consumer_set_classic(consumer, member, NULL);
    consumer_set_instance(consumer, member, (struct slice){0});
    HASH_DEL(consumer->members, member);
    consumer->bytes -= member->counted_bytes;
    member_free(member);
}

/* ---- the whole ---- */

struct consumer_topic *consumer_find_topic(const struct consumer_group *consumer, struct slice name)
{
    struct consumer_topic *topic = NULL;
    HASH_FIND(hh, consumer->topics, name.data, name.size, topic);
    return topic;
}

struct consumer_regex *consumer_find_regex(const struct consumer_group *consumer, struct slice text)
{
    struct consumer_regex *regex = NULL;
    if (!slice_is_null(text)) {
        HASH_FIND(hh, consumer->regexes, text.data, text.size, regex);
    }
    return regex;
}

void consumer_drop_regex(struct consumer_group *consumer, struct consumer_regex *regex)
{
    HASH_DEL(consumer->regexes, regex);
    consumer->bytes -= consumer_regex_cost(regex);
    kept_free(&regex->text);
    consumer_names_free(regex->topics, regex->topic_count);
    free(regex);
}

void consumer_free_topics(struct consumer_topic **table)
{
    struct consumer_topic *topic, *next;
    HASH_ITER (hh, *table, topic, next) {
        HASH_DEL(*table, topic);
        kept_free(&topic->name);
        free(topic);
    }
}

void consumer_drop_topics(struct consumer_group *consumer, struct consumer_topic **table)
{
    for (const struct consumer_topic *topic = *table; topic != NULL; topic = topic->hh.next) {
        consumer->bytes -= consumer_topic_cost(topic);
    }
    consumer_free_topics(table);
}

void consumer_begin(struct group *group, bool loading)
{
    group->consumer = mem_new(struct consumer_group);
    group->consumer->loading = loading;
    kept_set(&group->protocol_type, slice_str("consumer"));
}

static void free_redo(struct consumer_group *consumer)
{
    struct consumer_redo *redo, *next;
    HASH_ITER (hh, consumer->redo, redo, next) {
        HASH_DEL(consumer->redo, redo);
        kept_free(&redo->key);
        free(redo);
    }
}

void consumer_free(struct group *group)
{
    struct consumer_group *consumer = group->consumer;
    assert(consumer->store == NULL);
    struct consumer_holding *holding, *next_holding;
    HASH_ITER (hh, consumer->holdings, holding, next_holding) {
        HASH_DEL(consumer->holdings, holding);
        consumer->bytes -= mem_cost(sizeof *holding);
        free(holding);
    }
    HASH_CLEAR(hh_instance, consumer->static_members);
    struct consumer_member *member, *next_member;
    HASH_ITER (hh, consumer->members, member, next_member) {
        HASH_DEL(consumer->members, member);
        consumer->bytes -= member->counted_bytes;
        member_free(member);
    }
    consumer_drop_topics(consumer, &consumer->topics);
    struct consumer_regex *regex, *next_regex;
    HASH_ITER (hh, consumer->regexes, regex, next_regex) {
        consumer_drop_regex(consumer, regex);
    }
    free_redo(consumer);
    assert(consumer->bytes == 0);
    free(consumer);
    group->consumer = NULL;
}
