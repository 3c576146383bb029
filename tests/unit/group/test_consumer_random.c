#include "../unit.h"
#include "base/random.h"
#include "consumer_fixture.h"

/*
 * Random walks of a consumer group: clients join, beat, lose answers, vanish, leave, restart as
 * static members, while topics come and go, time passes, and the disk is slow or fails. At every
 * moment no partition is two clients', and the log replays to the group that there is.
 */
enum { CLIENTS = 6, STEPS = 400, SEEDS = 400 };

struct walk {
    struct world *world;
    struct topics topics;
    struct random random;
    struct consumer_client clients[CLIENTS];
    int next_id;
    bool reliable;
};

static const char *const names[] = {"t", "u", "v"};

static void rename_client(struct walk *walk, struct consumer_client *client)
{
    client_forget(client);
    client->asked = 0;
    snprintf(client->id, sizeof client->id, "m%d", walk->next_id++);
}

static void beat_once(struct walk *walk, struct consumer_client *client)
{
    if (client->asked != 0 && client_obey(walk->world, client) == ERR_AGAIN) {
        return; /* one request at a time */
    }
    struct hb with = {.id = client->id, .instance = client->instance_id, .epoch = client->epoch};
    uint64_t kind = random_below(&walk->random, 8);
    if (!client->joined) {
        with.epoch = 0;
        with.topics[0] = client->topics[0] = names[random_below(&walk->random, 3)];
        with.topics[1] = client->topics[1] = kind < 3 ? "t" : NULL;
        with.regex = kind == 3 ? "[tu]" : kind == 4 ? "" : NULL;
        with.assignor = kind == 5 ? "range" : NULL;
    } else {
        client_fill(client, &with);
        if (kind == 1) {
            with.topics[0] = client->topics[0] = names[random_below(&walk->random, 3)];
            with.topics[1] = client->topics[1] = NULL;
        }
    }
    client->told = true;
    client->full = false;
    client->asked = heartbeat(walk->world, with);
    if (random_below(&walk->random, 8) == 0) {
        client->asked = 0; /* the answer is lost */
        client->full = true;
    } else {
        (void)client_obey(walk->world, client);
    }
}

static void leave_once(struct walk *walk, struct consumer_client *client)
{
    if (client->asked != 0) {
        return;
    }
    int32_t epoch = client->instance_id != NULL && random_below(&walk->random, 3) != 0 ? -2 : -1;
    uint64_t n = heartbeat(walk->world,
                           HB(.id = client->id, .instance = client->instance_id, .epoch = epoch));
    (void)n;
    rename_client(walk, client);
}

static void step(struct walk *walk)
{
    struct world *world = walk->world;
    struct random *random = &walk->random;
    struct consumer_client *client = &walk->clients[random_below(random, CLIENTS)];
    switch (random_below(random, 14)) {
    case 0:
        leave_once(walk, client);
        break;
    case 1:
        if (random_below(random, 3) == 0) {
            rename_client(walk, client); /* killed and started again */
        }
        break;
    case 2:
        pass(world, (int64_t)random_below(random, random_below(random, 8) ? 3000 : 70000));
        break;
    case 3:
        set_topic(&walk->topics, names[random_below(random, 3)], (int32_t)random_below(random, 5));
        break;
    case 4:
        flush(world); /* what was appended fares as the disk was then */
        world->slow_disk = random_below(random, 2) == 0;
        world->disk = !walk->reliable && random_below(random, 4) == 0 ? ERR_IO : ERR_NONE;
        break;
    default:
        beat_once(walk, client);
        break;
    }
}

/* Members of the server: nobody has what another has, and the sums are right. */
static void check_members(const struct consumer_group *consumer)
{
    size_t held = 0;
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        held += m->assigned.count + m->revoking.count;
        assert_true(m->epoch <= consumer->epoch);
        for (size_t i = 0; i < m->assigned.count; i++) {
            assert_true(consumer_is_held(consumer, &m->assigned.items[i]));
        }
        if (!slice_is_null(m->instance_id)) {
            assert_ptr_equal(consumer_find_static(consumer, m->instance_id), m);
        }
    }
    assert_int_equal(held, HASH_COUNT(consumer->holdings));
    assert_true(consumer->assignment_epoch <= consumer->epoch);
}

/* Clients that the group knows and that are not fenced own no partition together. */
static void check_clients(struct walk *walk)
{
    const struct consumer_group *consumer = walk->world->group->consumer;
    struct partition_set all = {0};
    size_t sum = 0;
    for (int c = 0; c < CLIENTS; c++) {
        const struct consumer_client *client = &walk->clients[c];
        const struct consumer_member *member =
            consumer != NULL ? consumer_find(consumer, slice_str(client->id)) : NULL;
        if (member == NULL || !client->joined ||
            (member->epoch != client->epoch && member->previous_epoch != client->epoch)) {
            continue;
        }
        for (size_t i = 0; i < client->owned.count; i++) {
            partition_set_push(&all, client->owned.items[i].topic,
                               client->owned.items[i].partition);
        }
        sum += client->owned.count;
    }
    partition_set_sort(&all);
    assert_int_equal(all.count, sum);
    partition_set_deinit(&all);
}

/* In the end everybody has a share, and all partitions of subscribed topics are somebody's. */
static void check_end(struct walk *walk)
{
    struct world *world = walk->world;
    flush(world);
    world->disk = ERR_NONE;
    world->slow_disk = false;
    for (int round = 0; round < 40; round++) {
        for (int c = 0; c < CLIENTS; c++) {
            struct consumer_client *client = &walk->clients[c];
            if (client->asked != 0) {
                client_obey(world, client);
            }
            if (client_beat(world, client, "t") == ERR_FENCED_MEMBER_EPOCH) {
                client_forget(client);
            }
        }
        pass(world, 3000);
    }
    struct group *group = world->group;
    assert_int_equal(group_shown_state(group), GROUP_STABLE);
    size_t owned = 0, wanted = 0;
    for (int c = 0; c < CLIENTS; c++) {
        owned += walk->clients[c].owned.count;
    }
    for (const struct consumer_topic *t = group->consumer->topics; t != NULL; t = t->hh.next) {
        wanted += (size_t)t->partition_count;
    }
    assert_int_equal(owned, wanted);
    assert_replay_equal(world);
}

static void walk_once(uint64_t seed, bool reliable)
{
    struct walk walk = {.random = {seed}, .reliable = reliable};
    walk.world = consumer_world(&walk.topics);
    set_topic(&walk.topics, "t", 4);
    for (int c = 0; c < CLIENTS; c++) {
        rename_client(&walk, &walk.clients[c]);
    }
    walk.clients[0].instance_id = "i0";
    walk.clients[1].instance_id = "i1";
    for (int i = 0; i < STEPS; i++) {
        step(&walk);
        for (int c = 0; c < CLIENTS; c++) {
            if (walk.clients[c].asked != 0) {
                client_obey(walk.world, &walk.clients[c]);
            }
        }
        if (walk.world->group->consumer != NULL) {
            check_members(walk.world->group->consumer);
        }
        check_clients(&walk);
        if (reliable && i % 10 == 0 && walk.world->stores == NULL) {
            assert_replay_equal(walk.world);
        }
    }
    check_end(&walk);
    for (int c = 0; c < CLIENTS; c++) {
        partition_set_deinit(&walk.clients[c].owned);
    }
    world_free(walk.world);
}

static void random_walks_keep_the_rules(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        walk_once(seed, true);
    }
}

static void a_failing_disk_loses_nothing_for_good(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        walk_once(seed * 104729, false);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_walks_keep_the_rules),
        cmocka_unit_test(a_failing_disk_loses_nothing_for_good),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
