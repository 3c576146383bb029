#ifndef TIDINGS_TESTS_GROUP_CONSUMER_FIXTURE_H
#define TIDINGS_TESTS_GROUP_CONSUMER_FIXTURE_H

#include "base/pattern.h"
#include "fixture.h"
#include "group/consumer.h"
#include "group/consumer_members.h"

/* Topics that tests make, grow and delete, and heartbeats of the new protocol. */
enum { MAX_TOPICS = 16 };

struct topics {
    struct {
        char name[32];
        struct wire_uuid id;
        int32_t partitions; /* 0: there is none */
    } items[MAX_TOPICS];
    uint64_t version;
    bool matched; /* expressions are looked up */
    uint8_t next_id;
};

static inline uint64_t topics_version(void *context)
{
    return ((struct topics *)context)->version;
}

static inline bool topics_find(void *context, struct slice name, struct wire_uuid *id,
                               int32_t *partitions)
{
    struct topics *topics = context;
    for (int i = 0; i < MAX_TOPICS; i++) {
        if (topics->items[i].partitions > 0 && slice_equal_str(name, topics->items[i].name)) {
            *id = topics->items[i].id;
            *partitions = topics->items[i].partitions;
            return true;
        }
    }
    return false;
}

static inline struct slice topics_name(void *context, struct wire_uuid id, struct arena *arena)
{
    struct topics *topics = context;
    for (int i = 0; i < MAX_TOPICS; i++) {
        if (topics->items[i].partitions > 0 && wire_uuid_equal(id, topics->items[i].id)) {
            return slice_str(arena_sprintf(arena, "%s", topics->items[i].name));
        }
    }
    return (struct slice){0};
}

/* At once; the server needs workers for it (topic_matches.h). */
static inline enum group_match topics_match(void *context, struct slice regex, uint64_t known,
                                            struct arena *arena, struct group_matched *out)
{
    struct topics *topics = context;
    struct pattern *pattern;
    *out = (struct group_matched){.version = topics->version, .current = topics->matched};
    if (!topics->matched) {
        return GROUP_MATCH_UNKNOWN;
    }
    if (known == topics->version) {
        return GROUP_MATCH_SAME;
    }
    assert_int_equal(pattern_new(regex, &pattern, NULL), ERR_NONE);
    out->names = arena_alloc_array(arena, MAX_TOPICS, sizeof *out->names);
    for (int i = 0; i < MAX_TOPICS; i++) {
        struct slice name = slice_str(topics->items[i].name);
        if (topics->items[i].partitions > 0 && pattern_matches(pattern, name)) {
            out->names[out->count++] = slice_str(arena_sprintf(arena, "%s", name.data));
        }
    }
    pattern_free(pattern);
    return GROUP_MATCH_NEW;
}

/* Makes the topic, or changes its count; 0 deletes it. A topic made again has another id. */
static inline void set_topic(struct topics *topics, const char *name, int32_t partitions)
{
    int at = -1;
    for (int i = 0; i < MAX_TOPICS; i++) {
        if (topics->items[i].partitions > 0 && strcmp(topics->items[i].name, name) == 0) {
            at = i;
        }
    }
    for (int i = 0; at < 0 && i < MAX_TOPICS; i++) {
        if (topics->items[i].partitions == 0) {
            at = i;
            snprintf(topics->items[i].name, sizeof topics->items[i].name, "%s", name);
            topics->items[i].id = (struct wire_uuid){{(uint8_t)(7 * ++topics->next_id)}};
            topics->items[i].id.bytes[15] = topics->next_id;
        }
    }
    assert_true(at >= 0);
    topics->items[at].partitions = partitions;
    topics->version++;
}

static inline struct wire_uuid id_of_topic(struct topics *topics, const char *name)
{
    struct wire_uuid id = {{0}};
    int32_t count;
    topics_find(topics, slice_str(name), &id, &count);
    return id;
}

static inline struct world *consumer_world(struct topics *topics)
{
    struct world *world = world_new();
    *topics = (struct topics){.version = 1, .matched = true};
    world->config.topics = (struct group_topics){.context = topics,
                                                 .version = topics_version,
                                                 .find = topics_find,
                                                 .find_name = topics_name,
                                                 .match = topics_match,
                                                 .match_context = topics};
    return world;
}

/* A ConsumerGroupHeartbeat; what is not named is null. */
struct hb {
    bool asked;
    const char *id, *instance, *topics[4], *regex, *assignor, *rack;
    int32_t epoch;
    int32_t rebalance_ms; /* 0: REBALANCE_MS when joining, else unchanged */
    int16_t version;      /* 0 is sent as 1 */
    bool version_0;
    bool no_topics; /* an empty list */
    const struct partition_set *owned;
    const char *sees; /* it may know of topics whose names begin so; NULL: of all */
    uint64_t rights;  /* changes when anybody's do */
};

static inline bool begins(void *context, struct slice topic)
{
    return strncmp((const char *)topic.data, context, strlen(context)) == 0;
}

#define HB(...) ((struct hb){.asked = true, __VA_ARGS__})

static inline uint64_t heartbeat(struct world *world, struct hb with)
{
    struct slice names[4];
    size_t count = 0;
    static const struct partition_set nothing;
    const struct partition_set *owned =
        with.epoch == 0 && with.owned == NULL ? &nothing : with.owned;
    struct group_topic_partitions *lists =
        mem_new_array(struct group_topic_partitions, owned != NULL ? owned->count : 0);
    for (; count < 4 && with.topics[count] != NULL; count++) {
        names[count] = slice_str(with.topics[count]);
    }
    for (size_t i = 0; owned != NULL && i < owned->count; i++) {
        lists[i] =
            (struct group_topic_partitions){owned->items[i].topic, &owned->items[i].partition, 1};
    }
    struct consumer_heartbeat_request request = {
        .waiter = next_waiter(world),
        .member_id = slice_str(with.id != NULL ? with.id : ""),
        .member_epoch = with.epoch,
        .instance_id = slice_str(with.instance),
        .rack_id = slice_str(with.rack),
        .rebalance_timeout_ms = with.rebalance_ms != 0 ? with.rebalance_ms
                                : with.epoch == 0      ? REBALANCE_MS
                                                       : -1,
        .has_topics = count > 0 || with.no_topics,
        .topics = names,
        .topic_count = count,
        .regex = slice_str(with.regex),
        .assignor = slice_str(with.assignor),
        .has_owned = owned != NULL,
        .owned = lists,
        .owned_count = owned != NULL ? owned->count : 0,
        .client_id = slice_str("client"),
        .client_host = slice_str("/127.0.0.1"),
        .asker = {.may_see = with.sees != NULL ? begins : NULL,
                  .context = (void *)(uintptr_t)with.sees,
                  .rights_version = with.rights},
    };
    request.waiter.api_version = with.version_0 ? 0 : 1;
    struct group_effects effects = {0};
    uint64_t n = request.waiter.token.sequence;
    consumer_heartbeat(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    free(lists);
    return n;
}

/* A client as KIP-848 describes it: heartbeats, obeys, tells what it owns. */
struct consumer_client {
    char id[64];
    const char *instance_id;
    int32_t epoch;
    struct partition_set owned;
    uint64_t asked; /* request under way; 0: none */
    bool joined;
    bool told; /* what it owns, since it changed */
    bool full; /* an answer was lost or bad: it says everything again */
    const char *topics[2];
};

static inline void client_forget(struct consumer_client *client)
{
    partition_set_deinit(&client->owned);
    client->epoch = 0;
    client->joined = false;
}

/* Obeys the answer to its last request, if there is one. Returns the error. */
static inline enum err client_obey(struct world *world, struct consumer_client *client)
{
    const struct group_reply *answer = client->asked != 0 ? reply(world, client->asked) : NULL;
    if (answer == NULL) {
        return ERR_AGAIN;
    }
    client->asked = 0;
    if (answer->err == ERR_FENCED_MEMBER_EPOCH || answer->err == ERR_UNKNOWN_MEMBER ||
        answer->err == ERR_GROUP_NOT_FOUND) {
        client_forget(client);
    }
    if (answer->err != ERR_NONE) {
        client->full = true;
        return answer->err;
    }
    client->joined = answer->consumer.member_epoch > 0;
    client->epoch = answer->consumer.member_epoch;
    if (answer->consumer.has_assignment) {
        struct partition_set owned = {0};
        for (size_t t = 0; t < answer->consumer.topic_count; t++) {
            for (size_t i = 0; i < answer->consumer.topics[t].count; i++) {
                partition_set_push(&owned, answer->consumer.topics[t].topic,
                                   answer->consumer.topics[t].partitions[i]);
            }
        }
        partition_set_sort(&owned);
        if (!partition_set_equal(&owned, &client->owned)) {
            client->told = false;
        }
        partition_set_take(&client->owned, &owned);
    }
    return ERR_NONE;
}

/* What a member that is in says: what it owns when that changed, everything after an error. */
static inline void client_fill(const struct consumer_client *client, struct hb *with)
{
    if (!client->told || client->full) {
        with->owned = &client->owned;
    }
    if (client->full) {
        with->rebalance_ms = REBALANCE_MS;
        with->topics[0] = client->topics[0];
        with->topics[1] = client->topics[1];
    }
}

static inline enum err client_beat(struct world *world, struct consumer_client *client,
                                   const char *topic)
{
    struct hb with = {.id = client->id, .instance = client->instance_id, .epoch = client->epoch};
    if (!client->joined) {
        with.epoch = 0;
        with.topics[0] = client->topics[0] = topic;
        client->topics[1] = NULL;
    } else {
        client_fill(client, &with);
    }
    client->told = true;
    client->full = false;
    client->asked = heartbeat(world, with);
    return client_obey(world, client);
}

/* Lets all clients beat until nothing changes any more. */
static inline void settle(struct world *world, struct consumer_client *clients, size_t count,
                          const char *topic)
{
    for (int round = 0; round < 12; round++) {
        for (size_t i = 0; i < count; i++) {
            client_beat(world, &clients[i], topic);
        }
    }
}

/* The records must give the group that there is. Free the result. */
static inline struct group *replayed_consumer(struct world *world)
{
    struct group *copy = replayed(world);
    struct group_effects effects = {0};
    group_loaded(copy, world->now, &effects);
    group_effects_deinit(&effects);
    return copy;
}

static inline void assert_same_member(const struct consumer_member *a,
                                      const struct consumer_member *b)
{
    assert_non_null(b);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->previous_epoch, b->previous_epoch);
    assert_int_equal(a->state, b->state);
    assert_true(partition_set_equal(&a->assigned, &b->assigned));
    assert_true(partition_set_equal(&a->revoking, &b->revoking));
    assert_true(partition_set_equal(&a->target, &b->target));
    assert_true(slice_equal(a->instance_id, b->instance_id));
    assert_true(slice_equal(a->rack_id, b->rack_id));
    assert_true(slice_equal(a->client_id, b->client_id));
    assert_true(slice_equal(a->client_host, b->client_host));
    assert_true(slice_equal(a->regex, b->regex));
    assert_true(slice_equal(a->assignor, b->assignor));
    assert_int_equal(a->rebalance_timeout_ms, b->rebalance_timeout_ms);
    assert_int_equal(a->topic_count, b->topic_count);
    for (size_t i = 0; i < a->topic_count; i++) {
        assert_true(slice_equal(a->topics[i], b->topics[i]));
    }
    assert_int_equal(a->classic != NULL, b->classic != NULL);
}

static inline void assert_replay_equal(struct world *world)
{
    struct group *copy = replayed_consumer(world);
    const struct consumer_group *live = world->group->consumer;
    assert_int_equal(live != NULL, copy->consumer != NULL);
    assert_int_equal(HASH_COUNT(world->group->members), HASH_COUNT(copy->members));
    if (live != NULL) {
        assert_int_equal(live->epoch, copy->consumer->epoch);
        assert_int_equal(live->assignment_epoch, copy->consumer->assignment_epoch);
        assert_int_equal(HASH_COUNT(live->members), HASH_COUNT(copy->consumer->members));
        assert_int_equal(HASH_COUNT(live->holdings), HASH_COUNT(copy->consumer->holdings));
        assert_int_equal(HASH_COUNT(live->topics), HASH_COUNT(copy->consumer->topics));
        assert_int_equal(HASH_COUNT(live->regexes), HASH_COUNT(copy->consumer->regexes));
        for (const struct consumer_member *m = live->members; m != NULL; m = m->hh.next) {
            assert_same_member(m, consumer_find(copy->consumer, m->id));
        }
        for (const struct consumer_topic *t = live->topics; t != NULL; t = t->hh.next) {
            const struct consumer_topic *other = consumer_find_topic(copy->consumer, t->name);
            assert_non_null(other);
            assert_true(wire_uuid_equal(t->id, other->id));
            assert_int_equal(t->partition_count, other->partition_count);
        }
        for (const struct consumer_regex *r = live->regexes; r != NULL; r = r->hh.next) {
            const struct consumer_regex *other = consumer_find_regex(copy->consumer, r->text);
            assert_non_null(other);
            assert_true(
                consumer_same_names(r->topics, r->topic_count, other->topics, other->topic_count));
        }
    }
    group_free(copy);
}

#endif
