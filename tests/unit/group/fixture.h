#ifndef TIDINGS_TESTS_GROUP_FIXTURE_H
#define TIDINGS_TESTS_GROUP_FIXTURE_H

#include "base/mem.h"
#include "group/classic_members.h"
#include "group/group.h"
#include "group/offset_table.h"
#include "group/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <utlist.h>

/*
 * One group with a clock that the test moves and a disk that the test lets write. Requests are
 * numbered; reply(n) is the answer to request n, or NULL.
 */
enum { MAX_REQUESTS = 4096, SESSION_MS = 10000, REBALANCE_MS = 60000 };

struct world {
    struct group_config config;
    struct clock_time now;
    struct group *group;
    struct group_store *stores; /* appended, not yet on disk */
    struct group_reply *answers[MAX_REQUESTS];
    uint64_t asked;
    uint8_t next_uuid;
    bool slow_disk; /* stores wait for flush() */
    enum err disk;  /* what the disk answers */
    bool reliable;  /* for random walks: the disk never fails */
    struct {
        struct buf key, value;
        bool tombstone;
        int64_t producer_id; /* -1: of no transaction */
        bool is_marker;      /* the end of the producer's transaction */
        bool commits;
    } log[4 * MAX_REQUESTS];
    size_t log_size;
    enum group_event_kind told[64]; /* the first ones since assert_told */
    size_t told_count;
    struct group_event *last_told; /* that one as a whole */
};

static inline void fixture_uuid(void *context, uint8_t uuid[16])
{
    struct world *world = context;
    memset(uuid, 0, 16);
    uuid[15] = ++world->next_uuid;
}

static inline struct world *world_new(void)
{
    struct world *world = mem_new(struct world);
    group_config_init(&world->config);
    world->config.make_uuid = fixture_uuid;
    world->config.uuid_context = world;
    world->now = (struct clock_time){.mono_ms = 1000, .wall_ms = 1700000000000};
    world->group = group_new(slice_str("g"), &world->config, world->now);
    return world;
}

static inline void world_take(struct world *world, struct group_effects *effects);

/* Lets everything appended reach the disk (or fail there). */
static inline void flush(struct world *world)
{
    while (world->stores != NULL) {
        struct group_store *store = world->stores;
        LL_DELETE(world->stores, store);
        store->next = NULL;
        struct group_effects effects = {0};
        group_stored(world->group, store, world->disk, world->now, &effects);
        world_take(world, &effects);
    }
}

static inline void world_take(struct world *world, struct group_effects *effects)
{
    struct group_reply *reply, *next;
    LL_FOREACH_SAFE (effects->replies, reply, next) {
        uint64_t n = reply->waiter.token.sequence;
        assert_true(n > 0 && n < MAX_REQUESTS);
        assert_null(world->answers[n]); /* exactly one reply */
        reply->next = NULL;
        world->answers[n] = reply;
    }
    struct group_store *store, *next_store;
    LL_FOREACH_SAFE (effects->stores, store, next_store) {
        store->next = NULL;
        for (size_t i = 0; i < store->records.count && world->disk == ERR_NONE; i++) {
            const struct state_record *record = &store->records.items[i];
            size_t at = world->log_size++;
            world->log[at].producer_id = store->producer_id;
            buf_append_slice(&world->log[at].key, record->key);
            world->log[at].tombstone = slice_is_null(record->value);
            if (!world->log[at].tombstone) {
                buf_append_slice(&world->log[at].value, record->value);
            }
        }
        LL_APPEND(world->stores, store);
        if (world->disk == ERR_NONE) {
            group_appended(world->group, store, world->now, effects);
        }
    }
    struct group_event *event, *next_event;
    LL_FOREACH_SAFE (effects->events, event, next_event) {
        assert_true(slice_equal_str(event->group_id, "g"));
        if (world->told_count < sizeof world->told / sizeof world->told[0]) {
            world->told[world->told_count++] = event->kind;
        }
        if (world->last_told != NULL) {
            group_event_free(world->last_told);
        }
        world->last_told = event;
    }
    *effects = (struct group_effects){0};
    group_settle(world->group);
    if (!world->slow_disk) {
        flush(world);
    }
}

static inline void world_free(struct world *world)
{
    struct group_effects effects = {0};
    flush(world);
    group_abandon(world->group, ERR_COORDINATOR_UNAVAILABLE, &effects);
    world_take(world, &effects);
    for (uint64_t n = 1; n <= world->asked; n++) {
        group_reply_free(world->answers[n]);
    }
    for (size_t i = 0; i < world->log_size; i++) {
        buf_deinit(&world->log[i].key);
        buf_deinit(&world->log[i].value);
    }
    group_free(world->group);
    if (world->last_told != NULL) {
        group_event_free(world->last_told);
    }
    free(world);
}

static inline struct completion next_waiter(struct world *world)
{
    assert_true(world->asked + 1 < MAX_REQUESTS);
    return (struct completion){.token.sequence = ++world->asked, .api_version = 7};
}

static inline const struct group_reply *reply(struct world *world, uint64_t n)
{
    return world->answers[n];
}

/* A JoinGroup; what is not named has the usual value. */
struct join {
    bool asked;
    const char *member_id, *instance_id, *type;
    const char *protocols[4]; /* "name=metadata" */
    bool no_protocols;
    int32_t session_ms, rebalance_ms;
    const char *reason;
    bool id_required, can_skip;
};

#define JOIN(...) ((struct join){.asked = true, __VA_ARGS__})

static inline uint64_t join(struct world *world, struct join with)
{
    struct group_protocol_offer offers[4];
    size_t count = 0;
    if (with.protocols[0] == NULL && !with.no_protocols) {
        with.protocols[0] = "range=m";
    }
    for (; count < 4 && with.protocols[count] != NULL; count++) {
        const char *text = with.protocols[count];
        const char *equals = strchr(text, '=');
        offers[count].name = slice_of(text, (size_t)(equals - text));
        offers[count].metadata = slice_str(equals + 1);
    }
    struct group_join_request request = {
        .waiter = next_waiter(world),
        .member_id = slice_str(with.member_id != NULL ? with.member_id : ""),
        .instance_id = slice_str(with.instance_id),
        .client_id = slice_str("client"),
        .client_host = slice_str("/127.0.0.1"),
        .protocol_type = slice_str(with.type != NULL ? with.type : "consumer"),
        .reason = slice_str(with.reason),
        .protocols = offers,
        .protocol_count = count,
        .session_timeout_ms = with.session_ms != 0 ? with.session_ms : SESSION_MS,
        .rebalance_timeout_ms = with.rebalance_ms != 0 ? with.rebalance_ms : REBALANCE_MS,
        .member_id_required = with.id_required,
        .can_skip_assignment = with.can_skip,
    };
    struct group_effects effects = {0};
    uint64_t n = request.waiter.token.sequence;
    group_join(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return n;
}

/* The member id that request n was given, as text that lives as long as the world. */
static inline const char *id_of(struct world *world, uint64_t n)
{
    assert_non_null(reply(world, n));
    struct group_reply *answer = world->answers[n];
    return arena_cstr(&answer->arena, answer->join.member_id);
}

static inline uint64_t sync_with(struct world *world, const char *member_id,
                                 const char *instance_id, int32_t generation,
                                 const struct group_assignment *assignments, size_t count)
{
    struct group_sync_request request = {
        .waiter = next_waiter(world),
        .member_id = slice_str(member_id),
        .instance_id = slice_str(instance_id),
        .generation = generation,
        .assignments = assignments,
        .assignment_count = count,
    };
    struct group_effects effects = {0};
    uint64_t n = request.waiter.token.sequence;
    group_sync(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return n;
}

/* A SyncGroup without an assignment. */
static inline uint64_t follow(struct world *world, const char *member_id)
{
    return sync_with(world, member_id, NULL, group_generation(world->group), NULL, 0);
}

/* The leader's: everybody gets "a-<member id>". */
static inline uint64_t lead(struct world *world, const char *member_id)
{
    struct group_assignment items[64];
    char texts[64][320];
    size_t count = 0;
    for (struct classic_member *m = world->group->members; m != NULL; m = m->hh.next) {
        snprintf(texts[count], sizeof texts[count], "a-%.*s", SLICE_ARGS(m->id));
        items[count] = (struct group_assignment){m->id, slice_str(texts[count])};
        count++;
    }
    return sync_with(world, member_id, NULL, group_generation(world->group), items, count);
}

static inline enum err beat_as(struct world *world, const char *member_id, const char *instance_id,
                               int32_t generation)
{
    struct group_effects effects = {0};
    enum err err = group_heartbeat(world->group, slice_str(member_id), slice_str(instance_id),
                                   generation, world->now, &effects);
    world_take(world, &effects);
    return err;
}

static inline enum err beat(struct world *world, const char *member_id)
{
    return beat_as(world, member_id, NULL, group_generation(world->group));
}

static inline enum err leave(struct world *world, const char *member_id, const char *instance_id)
{
    struct group_effects effects = {0};
    struct group_leaving leaving = {.member_id = slice_str(member_id),
                                    .instance_id = slice_str(instance_id),
                                    .reason = slice_str("it goes")};
    enum err err = group_leave(world->group, &leaving, world->now, &effects);
    world_take(world, &effects);
    return err;
}

/* DeleteGroups of this group: its result, once the disk has answered. */
static inline enum err delete_group(struct world *world)
{
    struct completion waiter = next_waiter(world);
    struct group_effects effects = {0};
    struct group_reply *answer = group_reply_new(GROUP_REPLY_DELETE_GROUPS, &waiter, ERR_NONE);
    answer->groups.items = arena_alloc_array(&answer->arena, 1, sizeof *answer->groups.items);
    answer->groups.items[0] = (struct group_delete_result){slice_str("g"), ERR_NONE};
    answer->groups.count = 1;
    group_reply_share(answer);
    group_delete(world->group, answer, 0, world->now, &effects);
    group_reply_give(answer, &effects);
    world_take(world, &effects);
    return reply(world, waiter.token.sequence)->groups.items[0].err;
}

/* TxnOffsetCommit of one partition, by no member. */
static inline uint64_t txn_commit(struct world *world, int64_t producer_id, const char *topic,
                                  int32_t partition, int64_t offset)
{
    struct group_offset_commit item = {.topic = slice_str(topic),
                                       .partition = partition,
                                       .offset = offset,
                                       .leader_epoch = 3,
                                       .metadata = slice_str("in a transaction")};
    struct group_txn_commit_request request = {
        .waiter = next_waiter(world),
        .producer_id = producer_id,
        .producer_epoch = 5,
        .member_id = slice_str(""),
        .generation = -1,
        .offsets = &item,
        .count = 1,
    };
    struct group_effects effects = {0};
    uint64_t n = request.waiter.token.sequence;
    group_txn_commit(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return n;
}

/* The marker of the producer's transaction is on disk. */
static inline bool txn_end(struct world *world, int64_t producer_id, bool commit)
{
    size_t at = world->log_size++;
    world->log[at].producer_id = producer_id;
    world->log[at].is_marker = true;
    world->log[at].commits = commit;
    bool held = group_txn_end(world->group, producer_id, commit);
    group_settle(world->group);
    return held;
}

/* A fresh group by what the log holds. */
static inline struct group *replayed(struct world *world)
{
    struct group *copy = group_new(slice_str("g"), &world->config, world->now);
    for (size_t i = 0; i < world->log_size; i++) {
        struct group_record_key key;
        if (world->log[i].is_marker) {
            group_txn_end(copy, world->log[i].producer_id, world->log[i].commits);
            continue;
        }
        assert_int_equal(group_record_key_read(buf_slice(&world->log[i].key), &key), ERR_NONE);
        assert_true(slice_equal_str(key.group_id, "g"));
        struct slice value =
            world->log[i].tombstone ? (struct slice){0} : buf_slice(&world->log[i].value);
        enum err err = world->log[i].producer_id >= 0
                           ? group_apply_txn_record(copy, world->log[i].producer_id, &key, value)
                           : group_apply_record(copy, &key, value, world->now);
        assert_int_equal(err, ERR_NONE);
    }
    return copy;
}

/* Time passes; the group is told exactly when it asked to be. */
static inline void pass(struct world *world, int64_t ms)
{
    int64_t until = world->now.mono_ms + ms;
    for (;;) {
        int64_t deadline = group_deadline_ms(world->group);
        int64_t to = deadline > until ? until : deadline;
        if (to > world->now.mono_ms) {
            world->now.wall_ms += to - world->now.mono_ms;
            world->now.mono_ms = to;
        }
        if (deadline > until) {
            return;
        }
        struct group_effects effects = {0};
        group_tick(world->group, world->now, &effects);
        world_take(world, &effects);
    }
}

/* These happened, in this order, since the last look. */
#define assert_told(world, ...)                                                                    \
    do {                                                                                           \
        const enum group_event_kind kinds_[] = {__VA_ARGS__};                                      \
        assert_int_equal((world)->told_count, sizeof kinds_ / sizeof kinds_[0]);                   \
        assert_memory_equal((world)->told, kinds_, sizeof kinds_);                                 \
        (world)->told_count = 0;                                                                   \
    } while (0)

/* A stable group of one member; returns its id. */
static inline const char *stable_one(struct world *world)
{
    uint64_t n = join(world, JOIN());
    const char *id = id_of(world, n);
    lead(world, id);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    return id;
}

/* A second member joins a stable group of one; both get the next generation. */
static inline const char *stable_two(struct world *world, const char *first)
{
    uint64_t second = join(world, JOIN());
    uint64_t again = join(world, JOIN(.member_id = first));
    assert_non_null(reply(world, again));
    const char *id = id_of(world, second);
    lead(world, first);
    follow(world, id);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    return id;
}

#define assert_slice(actual, text)                                                                 \
    do {                                                                                           \
        struct slice checked_ = (actual);                                                          \
        if (!slice_equal_str(checked_, text)) {                                                    \
            fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARGS(checked_), text);                        \
        }                                                                                          \
    } while (0)

#endif
