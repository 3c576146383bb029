#include "../unit.h"
#include "base/random.h"
#include "fixture.h"

/*
 * Random walks: members join, rejoin, sync, beat, leave, commit, vanish and restart while time
 * passes and the disk is slow or fails. After every step the group must make sense, and the log
 * must replay to what the group stored last. A failure prints the seed.
 */
enum { CLIENTS = 6, STEPS = 1500, SEEDS = 60 };

struct client {
    char id[320]; /* "": has none */
    const char *instance_id;
    uint64_t joining; /* request under way, or 0 */
    uint64_t syncing;
    int32_t generation;
    bool leads;
};

static void check(struct world *world, int32_t *last_generation)
{
    struct group *group = world->group;
    assert_true(group->generation >= *last_generation);
    *last_generation = group->generation;
    size_t joined = 0, owed = 0, leaders = 0;
    for (struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        joined += m->awaits_join;
        owed += m->owes_sync;
        leaders += classic_is_leader(group, m);
        assert_true(!m->awaits_sync || group->state == GROUP_COMPLETING_REBALANCE);
        if (!slice_is_null(m->instance_id)) {
            assert_ptr_equal(classic_find_static(group, m->instance_id), m);
        }
    }
    assert_int_equal(joined, group->joined_count);
    assert_int_equal(owed, group->owed_sync_count);
    assert_int_equal(leaders, group->members != NULL);
    if (group->state == GROUP_EMPTY) {
        assert_null(group->members);
    }
    if (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING_REBALANCE) {
        assert_non_null(group->members);
        assert_false(slice_is_null(group->protocol));
        for (struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
            assert_false(slice_is_null(classic_metadata(m, group->protocol)));
        }
    }
}

/* A client's request was answered: it does what a real client would. */
static void on_answers(struct world *world, struct client *client)
{
    const struct group_reply *joined = client->joining ? reply(world, client->joining) : NULL;
    if (joined != NULL) {
        client->joining = 0;
        if (joined->err == ERR_NONE || joined->err == ERR_MEMBER_ID_REQUIRED) {
            snprintf(client->id, sizeof client->id, "%.*s", SLICE_ARGS(joined->join.member_id));
            client->generation = joined->join.generation;
            client->leads = slice_equal(joined->join.leader, joined->join.member_id);
        } else if (joined->err != ERR_REBALANCE_IN_PROGRESS) {
            client->id[0] = '\0';
        }
    }
    const struct group_reply *synced = client->syncing ? reply(world, client->syncing) : NULL;
    if (synced != NULL) {
        client->syncing = 0;
        if (synced->err == ERR_NONE) {
            char expected[330];
            snprintf(expected, sizeof expected, "a-%s", client->id);
            /* A static member that came back has what its former self was given. */
            assert_true(client->instance_id != NULL || synced->sync.assignment.size == 0 ||
                        slice_equal_str(synced->sync.assignment, expected));
        } else if (synced->err == ERR_UNKNOWN_MEMBER || synced->err == ERR_FENCED_INSTANCE) {
            client->id[0] = '\0';
        }
    }
}

static void commit_one(struct world *world, struct random *random, struct client *client)
{
    struct group_offset_commit item = {.topic = slice_str(random_below(random, 2) ? "t" : "u"),
                                       .partition = (int32_t)random_below(random, 3),
                                       .offset = (int64_t)random_below(random, 1000),
                                       .leader_epoch = -1};
    bool simple = random_below(random, 4) == 0;
    struct group_commit_request request = {
        .waiter = next_waiter(world),
        .member_id = slice_str(simple ? "" : client->id),
        .instance_id = slice_str(simple ? NULL : client->instance_id),
        .generation = simple ? -1 : client->generation,
        .retention_ms = -1,
        .offsets = &item,
        .count = 1,
    };
    struct group_effects effects = {0};
    group_commit(world->group, &request, world->now, &effects);
    world_take(world, &effects);
}

static void step(struct world *world, struct random *random, struct client *client)
{
    bool first = random_below(random, 4) != 0;
    struct join with = {
        .member_id = client->id,
        .instance_id = client->instance_id,
        .protocols = {first ? "range=1" : "sticky=2", first ? "sticky=1" : "range=2"},
        .id_required = client->instance_id == NULL && random_below(random, 2) == 0,
        .can_skip = random_below(random, 2) == 0,
    };
    switch (random_below(random, 14)) {
    case 0:
    case 1:
    case 2:
        client->joining = join(world, with);
        break;
    case 3:
    case 4:
    case 5:
        if (client->id[0] != '\0' && client->leads) {
            client->syncing = lead(world, client->id);
        } else if (client->id[0] != '\0') {
            client->syncing =
                sync_with(world, client->id, client->instance_id, client->generation, NULL, 0);
        }
        break;
    case 6:
    case 7:
        if (beat(world, client->id) == ERR_UNKNOWN_MEMBER) {
            client->id[0] = '\0';
        }
        break;
    case 8:
        if (random_below(random, 4) == 0) {
            leave(world, client->id, client->instance_id);
        } else if (random_below(random, 4) == 0) {
            client->id[0] = '\0'; /* killed and started again: it hears no answer of before */
            client->joining = 0;
            client->syncing = 0;
        }
        break;
    case 9:
        pass(world, (int64_t)random_below(random, random_below(random, 20) ? 500 : 70000));
        break;
    case 10:
        commit_one(world, random, client);
        break;
    case 11:
        txn_commit(world, (int64_t)random_below(random, 3), random_below(random, 2) ? "t" : "u",
                   (int32_t)random_below(random, 3), (int64_t)random_below(random, 1000));
        break;
    case 12:
        if (world->disk == ERR_NONE) {
            txn_end(world, (int64_t)random_below(random, 3), random_below(random, 2) == 0);
        }
        break;
    default:
        world->disk = !world->reliable && random_below(random, 10) == 0 ? ERR_IO : ERR_NONE;
        world->slow_disk = random_below(random, 2) == 0;
        if (random_below(random, 2) == 0) {
            flush(world);
        }
        break;
    }
}

static bool same_id(const struct classic_member *a, const struct classic_member *b)
{
    return a == NULL || b == NULL ? a == b : slice_equal(a->id, b->id);
}

/* What the log holds must be what the group became by it. */
static void check_replay(struct world *world)
{
    world->slow_disk = false;
    flush(world);
    struct group *group = world->group;
    struct group *copy = replayed(world);
    assert_int_equal(HASH_COUNT(copy->offsets), HASH_COUNT(group->offsets));
    for (struct group_offset_entry *e = group->offsets; e != NULL; e = e->hh.next) {
        struct group_offset_entry *other = group_find_offset(copy, e->topic, e->partition);
        assert_non_null(other);
        assert_int_equal(other->present, e->present);
        assert_int_equal(other->txn_pending, e->txn_pending);
        if (e->present) {
            assert_int_equal(other->offset, e->offset);
            assert_int_equal(other->commit_wall_ms, e->commit_wall_ms);
        }
    }
    if (group->state == GROUP_STABLE) {
        assert_int_equal(copy->state, GROUP_STABLE);
        assert_int_equal(copy->generation, group->generation);
        assert_int_equal(copy->state_since_wall_ms, group->state_since_wall_ms);
        assert_true(slice_equal(copy->protocol_type, group->protocol_type));
        assert_true(slice_equal(copy->leader, group->leader));
        assert_true(slice_equal(copy->protocol, group->protocol));
        assert_int_equal(HASH_COUNT(copy->members), HASH_COUNT(group->members));
        for (struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
            struct classic_member *other = classic_find(copy, m->id);
            assert_non_null(other);
            assert_true(slice_equal(other->assignment, m->assignment));
            assert_true(slice_equal(other->instance_id, m->instance_id));
            assert_true(slice_equal(other->client_id, m->client_id));
            assert_true(slice_equal(other->client_host, m->client_host));
            assert_true(slice_equal(classic_metadata(other, copy->protocol),
                                    classic_metadata(m, group->protocol)));
            assert_int_equal(other->session_timeout_ms, m->session_timeout_ms);
            assert_int_equal(other->rebalance_timeout_ms, m->rebalance_timeout_ms);
            assert_true(same_id(other->hh.next, m->hh.next)); /* the same order */
        }
    }
    group_free(copy);
}

/* A request of a client is either answered or still parked by the group. */
static void check_parked(struct world *world)
{
    size_t parked = 0, unanswered = 0;
    for (struct classic_member *m = world->group->members; m != NULL; m = m->hh.next) {
        parked += m->awaits_join + m->awaits_sync;
    }
    for (uint64_t n = 1; n <= world->asked; n++) {
        unanswered += reply(world, n) == NULL;
    }
    assert_int_equal(parked, unanswered);
}

static void walk(uint64_t seed)
{
    struct random random = {seed};
    struct world *world = world_new();
    world->config.initial_rebalance_delay_ms = seed % 3 == 0 ? 200 : 0;
    world->config.max_size = seed % 5 == 0 ? 3 : INT32_MAX;
    struct client clients[CLIENTS] = {0};
    clients[0].instance_id = "i0";
    clients[1].instance_id = "i1";
    int32_t generation = 0;
    for (int i = 0; i < STEPS; i++) {
        step(world, &random, &clients[random_below(&random, CLIENTS)]);
        for (int c = 0; c < CLIENTS; c++) {
            on_answers(world, &clients[c]);
        }
        check(world, &generation);
    }
    /* Lost writes leave the log behind the group; let it catch up before they are compared. */
    world->disk = ERR_NONE;
    flush(world);
    check_parked(world);
    pass(world, 20 * CLASSIC_NEW_MEMBER_TIMEOUT_MS);
    check(world, &generation);
    assert_int_equal(group_state(world->group), GROUP_EMPTY);
    check_parked(world);
    world_free(world);
}

static void random_walks_keep_the_rules(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        walk(seed);
    }
}

static void the_log_replays_to_the_same_group(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        struct random random = {seed * 7919};
        struct world *world = world_new();
        world->reliable = true;
        struct client clients[CLIENTS] = {0};
        clients[0].instance_id = "i0";
        for (int i = 0; i < STEPS / 3; i++) {
            step(world, &random, &clients[random_below(&random, CLIENTS)]);
            for (int c = 0; c < CLIENTS; c++) {
                on_answers(world, &clients[c]);
            }
            if (i % 10 == 0 && world->stores == NULL) {
                check_replay(world);
            }
        }
        check_replay(world);
        world_free(world);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_walks_keep_the_rules),
        cmocka_unit_test(the_log_replays_to_the_same_group),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
