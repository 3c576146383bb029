#include "group/consumer_state.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

/* Members of a consumer group, and who has which partition. */

struct consumer_group *consumer_new(void)
{
    return mem_new(struct consumer_group);
}

static void gone_free(struct consumer_gone **list)
{
    while (*list != NULL) {
        struct consumer_gone *gone = *list;
        *list = gone->next;
        kept_free(&gone->text);
        free(gone);
    }
}

void consumer_names_free(struct slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kept_free(&names[i]);
    }
    free(names);
}

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

void consumer_free(struct consumer_group *consumer)
{
    if (consumer == NULL) {
        return;
    }
    struct consumer_holding *holding, *next_holding;
    HASH_ITER (hh, consumer->holdings, holding, next_holding) {
        HASH_DEL(consumer->holdings, holding);
        free(holding);
    }
    HASH_CLEAR(hh_instance, consumer->static_members);
    struct consumer_member *member, *next_member;
    HASH_ITER (hh, consumer->members, member, next_member) {
        HASH_DEL(consumer->members, member);
        member_free(member);
    }
    consumer_free_topics(consumer);
    consumer_free_regexes(consumer);
    gone_free(&consumer->gone_members);
    gone_free(&consumer->gone_regexes);
    free(consumer);
}

bool group_is_consumer(const struct group *group)
{
    return group->consumer != NULL;
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

/* ---- what is to be written ---- */

void consumer_bury(struct consumer_gone **list, struct slice text)
{
    for (const struct consumer_gone *gone = *list; gone != NULL; gone = gone->next) {
        if (slice_equal(gone->text, text)) {
            return;
        }
    }
    struct consumer_gone *gone = mem_new(struct consumer_gone);
    gone->text = kept_copy(text);
    gone->next = *list;
    *list = gone;
}

bool consumer_unbury(struct consumer_gone **list, struct slice text)
{
    for (struct consumer_gone **at = list; *at != NULL; at = &(*at)->next) {
        struct consumer_gone *gone = *at;
        if (slice_equal(gone->text, text)) {
            *at = gone->next;
            kept_free(&gone->text);
            free(gone);
            return true;
        }
    }
    return false;
}

void consumer_dirty(struct consumer_group *consumer, struct consumer_member *member, unsigned what)
{
    member->dirty |= what;
    consumer->dirty = true;
}

/* ---- membership ---- */

void consumer_set_instance(struct consumer_group *consumer, struct consumer_member *member,
                           struct slice instance_id)
{
    if (!slice_is_null(member->instance_id)) {
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

void consumer_remove(struct consumer_group *consumer, struct consumer_member *member)
{
    struct partition_set none = {0}, nothing = {0};
    consumer_set_current(consumer, member, &none, &nothing);
    consumer_set_classic(consumer, member, NULL);
    consumer_set_instance(consumer, member, (struct slice){0});
    HASH_DEL(consumer->members, member);
    consumer_bury(&consumer->gone_members, member->id);
    consumer->dirty = true;
    member_free(member);
}

void consumer_rename(struct consumer_group *consumer, struct consumer_member *member,
                     struct slice new_id)
{
    HASH_DEL(consumer->members, member);
    consumer_bury(&consumer->gone_members, member->id);
    kept_set(&member->id, new_id);
    HASH_ADD_KEYPTR(hh, consumer->members, member->id.data, member->id.size, member);
    consumer_dirty(consumer, member, CONSUMER_DIRTY_ALL);
}

static int compare_names(const void *a, const void *b)
{
    const struct slice *left = a;
    const struct slice *right = b;
    size_t least = left->size < right->size ? left->size : right->size;
    int order = least > 0 ? memcmp(left->data, right->data, least) : 0;
    return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
}

bool consumer_set_topics(struct consumer_member *member, const struct slice *topics, size_t count)
{
    struct slice *names = mem_new_array(struct slice, count);
    size_t kept = 0;
    if (count > 0) {
        memcpy(names, topics, count * sizeof *names);
        qsort(names, count, sizeof *names, compare_names);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !slice_equal(names[i], names[kept - 1])) {
            names[kept++] = names[i];
        }
    }
    bool same = kept == member->topic_count;
    for (size_t i = 0; same && i < kept; i++) {
        same = slice_equal(names[i], member->topics[i]);
    }
    if (same) {
        free(names); /* they borrow */
        return false;
    }
    for (size_t i = 0; i < kept; i++) {
        names[i] = kept_copy(names[i]);
    }
    consumer_names_free(member->topics, member->topic_count);
    member->topics = names;
    member->topic_count = kept;
    return true;
}

void consumer_settle_state(struct group *group, struct group_time now)
{
    enum group_state state = group->consumer->members != NULL ? GROUP_STABLE : GROUP_EMPTY;
    if (state != group->state) {
        group_set_state(group, state, now);
    }
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
        }
    }
}

void consumer_set_current(struct consumer_group *consumer, struct consumer_member *member,
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
}
