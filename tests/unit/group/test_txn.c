#include "../unit.h"
#include "fixture.h"

/* Offsets within transactions: TxnOffsetCommit and what their end makes of them. */

static struct group_offset look(const struct group *group, struct arena *arena, const char *topic,
                                int32_t partition)
{
    struct group_offset offset = {.topic = slice_str(topic), .partition = partition};
    group_offset_fetch(group, arena, &offset);
    return offset;
}

static int64_t fetch(struct world *world, const char *topic, int32_t partition)
{
    struct arena arena = {0};
    int64_t offset = look(world->group, &arena, topic, partition).offset;
    arena_deinit(&arena);
    return offset;
}

static bool unstable(struct world *world, const char *topic, int32_t partition)
{
    struct arena arena = {0};
    bool found = look(world->group, &arena, topic, partition).unstable;
    arena_deinit(&arena);
    return found;
}

static enum err error_of(struct world *world, uint64_t n)
{
    assert_non_null(reply(world, n));
    assert_int_equal(reply(world, n)->kind, GROUP_REPLY_TXN_OFFSET_COMMIT);
    assert_int_equal(reply(world, n)->partitions.count, 1);
    return reply(world, n)->partitions.items[0].err;
}

/* A plain commit by no member. */
static void commit(struct world *world, const char *topic, int64_t offset)
{
    struct group_offset_commit item = {.topic = slice_str(topic), .offset = offset};
    struct group_commit_request request = {.waiter = next_waiter(world),
                                           .member_id = slice_str(""),
                                           .generation = -1,
                                           .retention_ms = -1,
                                           .offsets = &item,
                                           .count = 1};
    struct group_effects effects = {0};
    group_commit(world->group, &request, world->now, &effects);
    world_take(world, &effects);
}

static void held_offsets_are_seen_after_the_commit_only(void **state)
{
    struct world *world = world_new();
    commit(world, "t", 3);
    world->slow_disk = true;
    uint64_t n = txn_commit(world, 7, "t", 0, 42);
    assert_null(reply(world, n));
    assert_true(unstable(world, "t", 0)); /* before it is on disk, too */
    flush(world);
    assert_int_equal(error_of(world, n), ERR_NONE);
    assert_int_equal(fetch(world, "t", 0), 3);
    assert_true(unstable(world, "t", 0));
    assert_false(unstable(world, "t", 1));
    assert_false(txn_end(world, 8, true)); /* somebody else's */
    assert_true(txn_end(world, 7, true));
    assert_int_equal(fetch(world, "t", 0), 42);
    assert_false(unstable(world, "t", 0));
    assert_false(txn_end(world, 7, true)); /* the marker again */
    world_free(world);
}

static void an_abort_drops_held_offsets(void **state)
{
    struct world *world = world_new();
    txn_commit(world, 7, "t", 0, 42);
    assert_false(group_is_forgotten(world->group));
    assert_true(txn_end(world, 7, false));
    assert_int_equal(fetch(world, "t", 0), -1);
    assert_false(unstable(world, "t", 0));
    assert_true(group_is_forgotten(world->group));
    world_free(world);
}

/* What stands later in the log holds, whenever the transaction ends. */
static void the_later_place_in_the_log_holds(void **state)
{
    struct world *world = world_new();
    txn_commit(world, 7, "t", 0, 42);
    commit(world, "t", 43);
    assert_true(unstable(world, "t", 0));
    txn_end(world, 7, true);
    assert_int_equal(fetch(world, "t", 0), 43);

    txn_commit(world, 7, "t", 0, 50);
    txn_commit(world, 8, "t", 0, 60);
    txn_commit(world, 7, "t", 0, 51); /* replaces its first */
    txn_end(world, 7, true);
    assert_int_equal(fetch(world, "t", 0), 51);
    assert_true(unstable(world, "t", 0)); /* 8 is still open */
    txn_end(world, 8, true);              /* stored before 51 */
    assert_int_equal(fetch(world, "t", 0), 51);
    world_free(world);
}

static uint64_t txn_commit_as(struct world *world, const char *member_id, const char *instance_id,
                              int32_t generation)
{
    struct group_offset_commit item = {.topic = slice_str("t"), .offset = 1};
    struct group_txn_commit_request request = {.waiter = next_waiter(world),
                                               .producer_id = 7,
                                               .member_id = slice_str(member_id),
                                               .instance_id = slice_str(instance_id),
                                               .generation = generation,
                                               .offsets = &item,
                                               .count = 1};
    struct group_effects effects = {0};
    group_txn_commit(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return request.waiter.token.sequence;
}

static void commits_in_transactions_are_checked_against_the_membership(void **state)
{
    struct world *world = world_new();
    const char *id = stable_one(world);
    int32_t generation = group_generation(world->group);
    assert_int_equal(error_of(world, txn_commit_as(world, id, NULL, generation)), ERR_NONE);
    assert_int_equal(error_of(world, txn_commit_as(world, id, NULL, generation - 1)),
                     ERR_ILLEGAL_GENERATION);
    assert_int_equal(error_of(world, txn_commit_as(world, "nobody", NULL, generation)),
                     ERR_UNKNOWN_MEMBER);
    assert_int_equal(error_of(world, txn_commit_as(world, id, "no instance", generation)),
                     ERR_UNKNOWN_MEMBER);
    /* Clients before KIP-447 name no member: the generation is not theirs to know. */
    assert_int_equal(error_of(world, txn_commit_as(world, "", NULL, -1)), ERR_NONE);
    /* Unlike a plain commit it is taken while members are still to be told their assignment. */
    join(world, JOIN());
    uint64_t again = join(world, JOIN(.member_id = id));
    assert_non_null(reply(world, again));
    assert_int_equal(group_state(world->group), GROUP_COMPLETING_REBALANCE);
    assert_int_equal(
        error_of(world, txn_commit_as(world, id, NULL, group_generation(world->group))), ERR_NONE);
    world_free(world);
}

static void a_failed_store_leaves_nothing(void **state)
{
    struct world *world = world_new();
    world->disk = ERR_IO;
    assert_int_equal(error_of(world, txn_commit(world, 7, "t", 0, 42)),
                     ERR_COORDINATOR_UNAVAILABLE);
    assert_false(unstable(world, "t", 0));
    assert_false(group_has_txn(world->group, 7));
    world->disk = ERR_PRODUCER_FENCED;
    assert_int_equal(error_of(world, txn_commit(world, 7, "t", 0, 42)), ERR_PRODUCER_FENCED);
    world->disk = ERR_NONE;
    assert_true(group_is_forgotten(world->group));
    world_free(world);
}

/* The first offset of a partition is in the log, so it counts when the second one is not. */
static void a_failed_second_store_leaves_the_first(void **state)
{
    struct world *world = world_new();
    txn_commit(world, 7, "t", 0, 10);
    world->disk = ERR_IO;
    assert_int_equal(error_of(world, txn_commit(world, 7, "t", 0, 20)),
                     ERR_COORDINATOR_UNAVAILABLE);
    world->slow_disk = true; /* two are under way, and the first of them fails */
    txn_commit(world, 7, "t", 0, 30);
    txn_commit(world, 7, "t", 0, 40);
    flush(world);
    world->slow_disk = false;
    world->disk = ERR_NONE;
    assert_true(unstable(world, "t", 0));
    txn_end(world, 7, true);
    assert_int_equal(fetch(world, "t", 0), 10);
    struct group *copy = replayed(world);
    struct arena arena = {0};
    assert_int_equal(look(copy, &arena, "t", 0).offset, 10);
    arena_deinit(&arena);
    group_free(copy);
    world_free(world);
}

static void deletions_reach_what_is_held(void **state)
{
    struct world *world = world_new();
    struct group_effects effects = {0};
    txn_commit(world, 7, "t", 0, 42);
    txn_commit(world, 7, "u", 0, 43);
    group_topic_deleted(world->group, slice_str("t"), world->now, &effects);
    world_take(world, &effects);
    assert_false(unstable(world, "t", 0));
    txn_end(world, 7, true);
    assert_int_equal(fetch(world, "t", 0), -1);
    assert_int_equal(fetch(world, "u", 0), 43);

    txn_commit(world, 7, "u", 0, 44);
    assert_int_equal(delete_group(world), ERR_NONE);
    assert_false(txn_end(world, 7, true));
    struct group *copy = replayed(world);
    assert_null(copy->offsets);
    group_free(copy);
    world_free(world);
}

static void held_offsets_do_not_expire(void **state)
{
    struct world *world = world_new();
    struct group_effects effects = {0};
    commit(world, "t", 1);
    txn_commit(world, 7, "t", 0, 2);
    world->now.wall_ms += 2 * world->config.offsets_retention_ms;
    group_expire_offsets(world->group, world->now, &effects);
    world_take(world, &effects);
    assert_int_equal(fetch(world, "t", 0), 1);
    assert_int_equal(group_state(world->group), GROUP_EMPTY);
    txn_end(world, 7, false);
    group_expire_offsets(world->group, world->now, &effects);
    world_take(world, &effects);
    assert_int_equal(group_state(world->group), GROUP_DEAD);
    world_free(world);
}

static void a_restart_knows_what_is_held(void **state)
{
    struct world *world = world_new();
    struct arena arena = {0};
    txn_commit(world, 7, "t", 0, 42);
    txn_commit(world, 8, "u", 1, 43);
    txn_end(world, 8, true);
    struct group *copy = replayed(world);
    assert_true(look(copy, &arena, "t", 0).unstable);
    assert_int_equal(look(copy, &arena, "t", 0).offset, -1);
    struct group_offset other = look(copy, &arena, "u", 1);
    assert_int_equal(other.offset, 43);
    assert_int_equal(other.leader_epoch, 3);
    assert_slice(other.metadata, "in a transaction");
    assert_true(group_txn_end(copy, 7, true));
    assert_int_equal(look(copy, &arena, "t", 0).offset, 42);
    arena_deinit(&arena);
    group_free(copy);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_offsets_are_seen_after_the_commit_only),
        cmocka_unit_test(an_abort_drops_held_offsets),
        cmocka_unit_test(the_later_place_in_the_log_holds),
        cmocka_unit_test(commits_in_transactions_are_checked_against_the_membership),
        cmocka_unit_test(a_failed_store_leaves_nothing),
        cmocka_unit_test(a_failed_second_store_leaves_the_first),
        cmocka_unit_test(deletions_reach_what_is_held),
        cmocka_unit_test(held_offsets_do_not_expire),
        cmocka_unit_test(a_restart_knows_what_is_held),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
