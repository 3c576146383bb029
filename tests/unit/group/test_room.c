#include "consumer_fixture.h"

#include "../unit.h"

/* What a group may take of memory, and that it gives all of it back. */

enum { SHARE_BYTES = 64 << 10 };

static struct budget budget;

/* A world whose groups have a share of so many bytes. */
static struct world *world_with(int64_t share_bytes)
{
    struct world *world = world_new();
    budget_init(&budget, 1 << 30);
    budget.shares[BUDGET_GROUPS].limit_bytes = share_bytes;
    world->config.budget = &budget;
    group_settle(world->group);
    return world;
}

static int64_t used(void)
{
    return budget.shares[BUDGET_GROUPS].bytes;
}

/* "range=xxx..." of so many bytes; lives until the next call. */
static const char *metadata(size_t bytes)
{
    static char text[1 << 20];
    memset(text, 'x', bytes);
    memcpy(text, "range=", 6);
    text[bytes] = '\0';
    return text;
}

/* OffsetCommit of one partition, by no member; its result. */
static enum err commit(struct world *world, int32_t partition, size_t note_bytes)
{
    static char note[1 << 20];
    memset(note, 'n', sizeof note);
    struct group_offset_commit item = {.topic = slice_str("t"),
                                       .partition = partition,
                                       .offset = 1,
                                       .leader_epoch = -1,
                                       .metadata = slice_of(note, note_bytes)};
    struct group_commit_request request = {.waiter = next_waiter(world),
                                           .member_id = slice_str(""),
                                           .client_id = slice_str("who"),
                                           .generation = -1,
                                           .retention_ms = -1,
                                           .offsets = &item,
                                           .count = 1};
    struct group_effects effects = {0};
    uint64_t n = request.waiter.token.sequence;
    group_commit(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return reply(world, n) != NULL ? reply(world, n)->partitions.items[0].err : ERR_AGAIN;
}

static void delete_offset(struct world *world, int32_t partition)
{
    struct group_partition item = {.topic = slice_str("t"), .partition = partition};
    struct group_offset_delete_request request = {
        .waiter = next_waiter(world), .partitions = &item, .count = 1};
    struct group_effects effects = {0};
    group_offset_delete(world->group, &request, world->now, &effects);
    world_take(world, &effects);
}

static void forget_told(struct world *world)
{
    world->told_count = 0;
}

/* ---- members ---- */

static void test_a_member_that_says_too_much_is_refused(void **state)
{
    struct world *world = world_with(1 << 24);
    int64_t before = used();
    world->config.max_member_bytes = 10000;
    uint64_t n = join(world, JOIN(.protocols = {metadata(10000)}));
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    assert_told(world, GROUP_EVENT_FULL);
    assert_non_null(strstr(arena_cstr(&world->last_told->arena, world->last_told->reason),
                           "group.member.max.bytes=10000"));
    assert_slice(world->last_told->who.client_id, "client");
    assert_int_equal(used(), before);
    assert_true(group_is_forgotten(world->group));
    n = join(world, JOIN(.protocols = {metadata(9000)}));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    world_free(world);
    assert_int_equal(used(), 0);
}

static void test_the_names_that_a_group_keeps_are_counted(void **state)
{
    struct world *world = world_with(SHARE_BYTES);
    char name[30001];
    memset(name, 't', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    int64_t before = used();
    uint64_t n = join(world, JOIN(.type = name));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    assert_true(used() > before + 30000);
    world_free(world);
    world = world_with(30000);
    n = join(world, JOIN(.type = name));
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    assert_true(group_is_forgotten(world->group));
    world_free(world);
    assert_int_equal(used(), 0);
}

static void test_the_members_of_a_group_have_one_bound(void **state)
{
    struct world *world = world_with(1 << 24);
    world->config.max_bytes = 20000;
    const char *first = stable_one(world);
    forget_told(world);
    uint64_t n = join(world, JOIN(.protocols = {metadata(19000)}));
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    assert_told(world, GROUP_EVENT_FULL);
    assert_int_equal(beat(world, first), ERR_NONE);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    world_free(world);
    assert_int_equal(used(), 0);
}

static void test_a_full_share_refuses_new_members_and_keeps_those_who_are_in(void **state)
{
    struct world *world = world_with(SHARE_BYTES);
    const char *first = stable_one(world);
    budget_add(&budget, BUDGET_GROUPS, (size_t)(SHARE_BYTES - used()));
    forget_told(world);
    uint64_t n = join(world, JOIN());
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    assert_told(world, GROUP_EVENT_FULL);
    n = join(world, JOIN(.id_required = true));
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    assert_int_equal(beat(world, first), ERR_NONE);
    n = join(world, JOIN(.member_id = first)); /* a leader that joins again gets its rebalance */
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    n = lead(world, first);
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    world_free(world);
}

static void test_a_leader_cannot_assign_more_than_there_is_room_for(void **state)
{
    struct world *world = world_with(SHARE_BYTES);
    uint64_t n = join(world, JOIN());
    const char *id = id_of(world, n);
    struct group_assignment item = {slice_str(id), slice_str(metadata(SHARE_BYTES))};
    n = sync_with(world, id, NULL, 1, &item, 1);
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    world->config.max_member_bytes = 1000;
    item.assignment = slice_str(metadata(2000));
    n = sync_with(world, id, NULL, 1, &item, 1);
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    item.assignment = slice_str("little");
    n = sync_with(world, id, NULL, 1, &item, 1);
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    world_free(world);
    assert_int_equal(used(), 0);
}

static void test_members_that_leave_give_their_memory_back(void **state)
{
    struct world *world = world_with(1 << 24);
    int64_t before = used();
    const char *first = stable_one(world);
    int64_t with_one = used();
    assert_true(with_one > before);
    const char *second = stable_two(world, first);
    assert_true(used() > with_one);
    leave(world, second, NULL);
    join(world, JOIN(.member_id = first));
    lead(world, first);
    assert_int_equal(used(), with_one);
    uint64_t given = join(world, JOIN(.id_required = true));
    assert_int_equal(reply(world, given)->err, ERR_MEMBER_ID_REQUIRED);
    assert_true(used() > with_one);
    pass(world, SESSION_MS - 1);
    assert_int_equal(beat(world, first), ERR_NONE);
    pass(world, 2);
    assert_int_equal(used(), with_one);
    leave(world, first, NULL);
    assert_int_equal(delete_group(world), ERR_NONE);
    assert_true(used() < with_one);
    world_free(world);
    assert_int_equal(used(), 0);
}

/* ---- offsets ---- */

static void test_offsets_with_notes_are_refused_when_the_share_is_full(void **state)
{
    struct world *world = world_with(SHARE_BYTES);
    int64_t before = used();
    int32_t stored = 0;
    while (commit(world, stored, 4000) == ERR_NONE) {
        assert_true(used() <= SHARE_BYTES);
        stored++;
    }
    assert_true(stored > 10 && stored < SHARE_BYTES / 4000);
    assert_told(world, GROUP_EVENT_FULL);
    assert_slice(world->last_told->who.client_id, "who");
    assert_non_null(strstr(arena_cstr(&world->last_told->arena, world->last_told->reason),
                           "share=groups is full"));
    size_t rest = (size_t)(SHARE_BYTES - used());
    budget_add(&budget, BUDGET_GROUPS, rest);
    assert_int_equal(commit(world, 0, 4000), ERR_NONE); /* what is there can be moved */
    assert_int_equal(commit(world, 1, 10), ERR_NONE);
    assert_int_equal(commit(world, 1, 4090), ERR_COMMIT_SIZE);
    assert_int_equal(commit(world, 0, 5000), ERR_METADATA_TOO_LARGE);
    budget_give(&budget, BUDGET_GROUPS, rest);
    delete_offset(world, 2);
    assert_int_equal(commit(world, stored, 3000), ERR_NONE);
    for (int32_t i = 0; i <= stored; i++) {
        delete_offset(world, i);
    }
    assert_int_equal(used(), before);
    world_free(world);
    assert_int_equal(used(), 0);
}

static void test_a_small_group_may_grow_where_a_large_one_may_not(void **state)
{
    struct world *world = world_with(1 << 20);
    size_t rest = (size_t)((1 << 20) / 8 * 7 - used());
    budget_add(&budget, BUDGET_GROUPS, rest);
    int32_t stored = 0;
    while (commit(world, stored, 4000) == ERR_NONE) {
        stored++;
    }
    assert_int_equal(stored, 3); /* a 64th is 16 KiB */
    assert_int_equal(commit(world, stored, 0), ERR_NONE);
    struct group *fresh = group_new(slice_str("new"), &world->config, world->now);
    assert_false(group_take_room(fresh, 100));
    group_free(fresh);
    world_free(world);
}

static void test_a_group_has_a_bound_of_offsets(void **state)
{
    struct world *world = world_with(1 << 24);
    world->config.max_offsets = 3;
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(commit(world, i, 0), ERR_NONE);
    }
    assert_int_equal(commit(world, 3, 0), ERR_COMMIT_SIZE);
    assert_told(world, GROUP_EVENT_FULL);
    assert_int_equal(commit(world, 2, 0), ERR_NONE);
    world_free(world);
}

static void test_a_commit_that_does_not_reach_the_disk_takes_nothing(void **state)
{
    struct world *world = world_with(1 << 24);
    assert_int_equal(commit(world, 0, 10), ERR_NONE);
    int64_t with_one = used();
    world->disk = ERR_IO;
    assert_int_equal(commit(world, 0, 4000), ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(commit(world, 1, 4000), ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(used(), with_one);
    world->disk = ERR_NONE;
    world_free(world);
    assert_int_equal(used(), 0);
}

static void test_a_commit_on_its_way_to_disk_is_counted(void **state)
{
    struct world *world = world_with(1 << 24);
    int64_t before = used();
    world->slow_disk = true;
    assert_int_equal(commit(world, 0, 4000), ERR_AGAIN);
    assert_true(used() > before + 4000);
    int64_t meanwhile = used();
    flush(world);
    group_settle(world->group);
    assert_int_equal(used(), meanwhile);
    world_free(world);
    assert_int_equal(used(), 0);
}

static void test_what_transactions_hold_is_counted_until_they_end(void **state)
{
    struct world *world = world_with(SHARE_BYTES);
    int64_t before = used();
    txn_commit(world, 7, "t", 0, 1);
    txn_commit(world, 7, "t", 0, 2);
    txn_commit(world, 8, "t", 0, 3);
    txn_commit(world, 7, "t", 1, 3);
    assert_true(used() > before);
    txn_end(world, 7, false);
    txn_end(world, 8, false);
    assert_int_equal(used(), before);
    txn_commit(world, 7, "t", 0, 1);
    world->disk = ERR_IO;
    txn_commit(world, 7, "t", 0, 2);
    world->disk = ERR_NONE;
    txn_end(world, 7, true);
    delete_offset(world, 0);
    assert_int_equal(used(), before);
    budget_add(&budget, BUDGET_GROUPS, (size_t)(SHARE_BYTES - used()));
    uint64_t n = txn_commit(world, 9, "t", 0, 1);
    assert_int_equal(reply(world, n)->partitions.items[0].err, ERR_COMMIT_SIZE);
    assert_false(group_has_txn(world->group, 9));
    world_free(world);
}

/* ---- the new protocol ---- */

static void test_a_consumer_group_gives_all_back(void **state)
{
    struct topics topics;
    struct world *world = consumer_world(&topics);
    budget_init(&budget, 1 << 30);
    world->config.budget = &budget;
    group_settle(world->group);
    int64_t before = used();
    set_topic(&topics, "t", 100);
    heartbeat(world, HB(.id = "a", .topics = {"t"}));
    int64_t with_one = used();
    assert_true(with_one > before + 100 * (int64_t)sizeof(struct consumer_holding));
    heartbeat(world, HB(.id = "b", .regex = "t.*", .instance = "i"));
    assert_true(used() > with_one);
    heartbeat(world, HB(.id = "b", .epoch = -2, .instance = "i"));
    heartbeat(world, HB(.id = "c", .regex = "t.*", .instance = "i"));
    heartbeat(world, HB(.id = "c", .epoch = -1, .instance = "i"));
    heartbeat(world, HB(.id = "a", .epoch = -1));
    assert_int_equal(group_member_count(world->group), 0);
    assert_int_equal(delete_group(world), ERR_NONE);
    world_free(world);
    assert_int_equal(used(), 0);
}

static void test_a_full_share_refuses_members_of_the_new_protocol(void **state)
{
    struct topics topics;
    struct world *world = consumer_world(&topics);
    budget_init(&budget, 1 << 30);
    budget.shares[BUDGET_GROUPS].limit_bytes = SHARE_BYTES;
    world->config.budget = &budget;
    set_topic(&topics, "small", 1);
    set_topic(&topics, "large", 1000);
    uint64_t n = heartbeat(world, HB(.id = "a", .topics = {"large"}));
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    assert_told(world, GROUP_EVENT_FULL);
    n = heartbeat(world, HB(.id = "a", .topics = {"small"}));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    n = heartbeat(world, HB(.id = "a", .epoch = 1, .topics = {"large"}));
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    budget_add(&budget, BUDGET_GROUPS, (size_t)(SHARE_BYTES - used()));
    n = heartbeat(world, HB(.id = "b", .topics = {"small"}));
    assert_int_equal(reply(world, n)->err, ERR_GROUP_MAX_SIZE);
    n = heartbeat(world, HB(.id = "a", .epoch = 1));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    world_free(world);
}

static void test_a_group_that_changes_its_protocol_stays_counted(void **state)
{
    struct topics topics;
    struct world *world = consumer_world(&topics);
    budget_init(&budget, 1 << 30);
    world->config.budget = &budget;
    world->config.consumer_upgrade = true;
    set_topic(&topics, "t", 4);
    join(world, JOIN(.id_required = true)); /* given out, and forgotten by the upgrade */
    heartbeat(world, HB(.id = "a", .topics = {"t"}));
    assert_true(group_is_consumer(world->group));
    heartbeat(world, HB(.id = "a", .epoch = -1));
    world_free(world);
    assert_int_equal(used(), 0);
}

/* ---- at start ---- */

static void test_what_was_acknowledged_is_kept_at_start_though_it_is_too_much(void **state)
{
    struct world *world = world_with(1 << 24);
    for (int32_t i = 0; i < 10; i++) {
        assert_int_equal(commit(world, i, 4000), ERR_NONE);
    }
    budget.shares[BUDGET_GROUPS].limit_bytes = 1000;
    int64_t first = used();
    struct group *copy = replayed(world);
    group_settle(copy);
    assert_int_equal(used(), 2 * first);
    assert_true(budget_is_over(&budget, BUDGET_GROUPS));
    assert_non_null(group_find_offset(copy, slice_str("t"), 9));
    group_free(copy);
    assert_int_equal(used(), first);
    assert_int_equal(commit(world, 10, 0), ERR_COMMIT_SIZE);
    assert_int_equal(commit(world, 9, 4000), ERR_NONE);
    world_free(world);
    assert_int_equal(used(), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_member_that_says_too_much_is_refused),
        cmocka_unit_test(test_the_names_that_a_group_keeps_are_counted),
        cmocka_unit_test(test_the_members_of_a_group_have_one_bound),
        cmocka_unit_test(test_a_full_share_refuses_new_members_and_keeps_those_who_are_in),
        cmocka_unit_test(test_a_leader_cannot_assign_more_than_there_is_room_for),
        cmocka_unit_test(test_members_that_leave_give_their_memory_back),
        cmocka_unit_test(test_offsets_with_notes_are_refused_when_the_share_is_full),
        cmocka_unit_test(test_a_small_group_may_grow_where_a_large_one_may_not),
        cmocka_unit_test(test_a_group_has_a_bound_of_offsets),
        cmocka_unit_test(test_a_commit_that_does_not_reach_the_disk_takes_nothing),
        cmocka_unit_test(test_a_commit_on_its_way_to_disk_is_counted),
        cmocka_unit_test(test_what_transactions_hold_is_counted_until_they_end),
        cmocka_unit_test(test_a_consumer_group_gives_all_back),
        cmocka_unit_test(test_a_full_share_refuses_members_of_the_new_protocol),
        cmocka_unit_test(test_a_group_that_changes_its_protocol_stays_counted),
        cmocka_unit_test(test_what_was_acknowledged_is_kept_at_start_though_it_is_too_much),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
