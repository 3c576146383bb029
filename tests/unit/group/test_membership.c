#include "../unit.h"
#include "fixture.h"

/* Joins, generations, time-outs, leaves. */

static void a_lone_member_leads_and_gets_its_assignment(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN());
    const struct group_reply *joined = reply(world, n);
    assert_non_null(joined);
    assert_int_equal(joined->err, ERR_NONE);
    assert_int_equal(joined->join.generation, 1);
    assert_slice(joined->join.protocol, "range");
    assert_slice(joined->join.protocol_type, "consumer");
    assert_true(slice_equal(joined->join.leader, joined->join.member_id));
    assert_int_equal(joined->join.member_count, 1);
    assert_slice(joined->join.members[0].metadata, "m");
    assert_slice(joined->join.member_id, "client-00000000-0000-0000-0000-000000000001");

    const char *id = id_of(world, n);
    world->slow_disk = true;
    uint64_t s = lead(world, id);
    assert_null(reply(world, s)); /* not before the assignment is on disk */
    flush(world);
    assert_int_equal(reply(world, s)->err, ERR_NONE);
    assert_slice(reply(world, s)->sync.assignment, "a-client-00000000-0000-0000-0000-000000000001");
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    assert_int_equal(beat(world, id), ERR_NONE);
    world_free(world);
}

static void a_second_member_makes_a_generation_of_two(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    uint64_t second = join(world, JOIN());
    assert_null(reply(world, second));
    assert_int_equal(beat(world, first), ERR_REBALANCE_IN_PROGRESS);
    uint64_t early = follow(world, first);
    assert_int_equal(reply(world, early)->err, ERR_REBALANCE_IN_PROGRESS);

    uint64_t again = join(world, JOIN(.member_id = first));
    const char *other = id_of(world, second);
    assert_int_equal(reply(world, again)->join.generation, 2);
    assert_int_equal(reply(world, again)->join.member_count, 2);
    assert_int_equal(reply(world, second)->join.member_count, 0);
    assert_slice(reply(world, second)->join.leader, first);

    uint64_t follower = follow(world, other);
    assert_null(reply(world, follower));
    assert_int_equal(beat(world, other), ERR_NONE);
    lead(world, first);
    assert_int_equal(reply(world, follower)->err, ERR_NONE);
    world_free(world);
}

static void a_member_id_is_required_of_new_clients(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN(.id_required = true));
    assert_int_equal(reply(world, n)->err, ERR_MEMBER_ID_REQUIRED);
    assert_int_equal(group_state(world->group), GROUP_EMPTY);
    const char *id = id_of(world, n);
    uint64_t again = join(world, JOIN(.member_id = id, .id_required = true));
    assert_int_equal(reply(world, again)->err, ERR_NONE);
    assert_slice(reply(world, again)->join.member_id, id);
    /* An id that nobody gave out. */
    uint64_t made_up = join(world, JOIN(.member_id = "made-up"));
    assert_int_equal(reply(world, made_up)->err, ERR_UNKNOWN_MEMBER);
    world_free(world);
}

static void a_pending_id_holds_a_rebalance_until_it_expires(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    uint64_t lost = join(world, JOIN(.id_required = true));
    assert_int_equal(reply(world, lost)->err, ERR_MEMBER_ID_REQUIRED);
    uint64_t again = join(world, JOIN(.member_id = first));
    assert_null(reply(world, again));
    pass(world, SESSION_MS - 1);
    assert_null(reply(world, again));
    pass(world, 1);
    assert_int_equal(reply(world, again)->join.generation, 2);
    world_free(world);
}

static void a_silent_member_is_dropped_after_its_session(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    stable_two(world, first);
    for (int i = 0; i < 2; i++) {
        pass(world, SESSION_MS / 2);
        assert_int_equal(beat(world, first), i == 0 ? ERR_NONE : ERR_REBALANCE_IN_PROGRESS);
    }
    assert_int_equal(group_member_count(world->group), 1);
    uint64_t again = join(world, JOIN(.member_id = first));
    assert_int_equal(reply(world, again)->join.generation, 3);
    assert_int_equal(reply(world, again)->join.member_count, 1);
    world_free(world);
}

static void the_last_silent_member_leaves_the_group_empty(void **state)
{
    struct world *world = world_new();
    stable_one(world);
    pass(world, SESSION_MS - 1);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    pass(world, 1);
    assert_int_equal(group_state(world->group), GROUP_EMPTY);
    assert_int_equal(group_generation(world->group), 2);
    assert_int_equal(group_deadline_ms(world->group), INT64_MAX);
    world_free(world);
}

static void who_does_not_rejoin_in_time_is_out_and_another_leads(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    uint64_t second = join(world, JOIN(.rebalance_ms = 500));
    for (int i = 0; i < 12; i++) { /* alive, but busy */
        assert_null(reply(world, second));
        pass(world, REBALANCE_MS / 12);
        beat(world, first);
    }
    assert_non_null(reply(world, second));
    assert_int_equal(reply(world, second)->join.generation, 2);
    assert_slice(reply(world, second)->join.leader, id_of(world, second));
    assert_int_equal(beat(world, first), ERR_UNKNOWN_MEMBER);
    world_free(world);
}

static void who_does_not_sync_in_time_is_out(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    uint64_t second = join(world, JOIN());
    join(world, JOIN(.member_id = first));
    const char *other = id_of(world, second);
    lead(world, first);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    for (int i = 0; i < 12; i++) {
        pass(world, REBALANCE_MS / 12);
        beat(world, first);
        beat(world, other);
    }
    assert_int_equal(group_state(world->group), GROUP_PREPARING_REBALANCE);
    assert_int_equal(beat(world, other), ERR_UNKNOWN_MEMBER);
    world_free(world);
}

static void a_leaving_member_starts_a_rebalance(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    const char *second = stable_two(world, first);
    assert_int_equal(leave(world, first, NULL), ERR_NONE);
    assert_int_equal(beat(world, second), ERR_REBALANCE_IN_PROGRESS);
    uint64_t n = join(world, JOIN(.member_id = second));
    assert_int_equal(reply(world, n)->join.generation, 3);
    assert_slice(reply(world, n)->join.leader, second);
    assert_int_equal(leave(world, first, NULL), ERR_UNKNOWN_MEMBER);
    assert_int_equal(leave(world, second, NULL), ERR_NONE);
    assert_int_equal(group_state(world->group), GROUP_EMPTY);
    world_free(world);
}

static void leaving_answers_what_is_parked(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    uint64_t second = join(world, JOIN());
    join(world, JOIN(.member_id = first));
    const char *other = id_of(world, second);
    uint64_t parked = follow(world, other);
    assert_int_equal(leave(world, other, NULL), ERR_NONE);
    assert_int_equal(reply(world, parked)->err, ERR_UNKNOWN_MEMBER);
    world_free(world);
}

static void a_rejoin_without_change_gets_the_current_generation(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    const char *second = stable_two(world, first);
    uint64_t same = join(world, JOIN(.member_id = second));
    assert_int_equal(reply(world, same)->join.generation, 2);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    uint64_t s = follow(world, second);
    assert_int_equal(reply(world, s)->err, ERR_NONE);
    /* New metadata, or the leader's wish, is a rebalance. */
    uint64_t changed = join(world, JOIN(.member_id = second, .protocols = {"range=other"}));
    assert_null(reply(world, changed));
    uint64_t leads = join(world, JOIN(.member_id = first));
    assert_int_equal(reply(world, leads)->join.generation, 3);
    lead(world, first);
    follow(world, second);
    join(world, JOIN(.member_id = first));
    assert_int_equal(group_state(world->group), GROUP_PREPARING_REBALANCE);
    world_free(world);
}

static void the_leader_may_ask_again_for_members_and_assignment(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN());
    const char *id = id_of(world, n);
    uint64_t again = join(world, JOIN(.member_id = id));
    assert_int_equal(reply(world, again)->join.generation, 1);
    assert_int_equal(reply(world, again)->join.member_count, 1);
    world->slow_disk = true;
    uint64_t s1 = lead(world, id);
    uint64_t s2 = lead(world, id); /* the client gave up on the first */
    assert_int_equal(reply(world, s1)->err, ERR_REBALANCE_IN_PROGRESS);
    assert_null(reply(world, s2));
    assert_ptr_equal(world->stores->next, NULL); /* stored once */
    flush(world);
    assert_int_equal(reply(world, s2)->err, ERR_NONE);
    world_free(world);
}

static void generations_and_protocols_are_checked(void **state)
{
    struct world *world = world_new();
    const char *id = stable_one(world);
    assert_int_equal(beat_as(world, id, NULL, 7), ERR_ILLEGAL_GENERATION);
    uint64_t s = sync_with(world, id, NULL, 0, NULL, 0);
    assert_int_equal(reply(world, s)->err, ERR_ILLEGAL_GENERATION);
    uint64_t type = join(world, JOIN(.type = "connect"));
    assert_int_equal(reply(world, type)->err, ERR_INCONSISTENT_PROTOCOL);
    uint64_t name = join(world, JOIN(.protocols = {"sticky=m"}));
    assert_int_equal(reply(world, name)->err, ERR_INCONSISTENT_PROTOCOL);
    uint64_t none = join(world, JOIN(.no_protocols = true));
    assert_int_equal(reply(world, none)->err, ERR_INCONSISTENT_PROTOCOL);
    uint64_t brief = join(world, JOIN(.session_ms = 5999));
    assert_int_equal(reply(world, brief)->err, ERR_INVALID_SESSION_TIMEOUT);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    world_free(world);
}

static void the_protocol_most_members_prefer_is_chosen(void **state)
{
    struct world *world = world_new();
    world->config.initial_rebalance_delay_ms = 100;
    uint64_t a = join(world, JOIN(.protocols = {"range=1", "sticky=1"}));
    join(world, JOIN(.protocols = {"sticky=2", "only=2", "range=2"}));
    join(world, JOIN(.protocols = {"sticky=3", "range=3"}));
    pass(world, 10000);
    assert_int_equal(reply(world, a)->join.member_count, 3);
    assert_slice(reply(world, a)->join.protocol, "sticky");
    assert_slice(reply(world, a)->join.members[1].metadata, "2");
    world_free(world);
}

static void the_initial_delay_gathers_members(void **state)
{
    struct world *world = world_new();
    world->config.initial_rebalance_delay_ms = 3000;
    uint64_t a = join(world, JOIN());
    pass(world, 2000);
    uint64_t b = join(world, JOIN());
    pass(world, 3999);
    assert_null(reply(world, a)); /* prolonged, as a member came */
    pass(world, 1);
    assert_int_equal(reply(world, a)->join.generation, 1);
    assert_int_equal(reply(world, a)->join.member_count, 2);
    assert_int_equal(reply(world, b)->join.generation, 1);
    world_free(world);
}

static void the_group_has_a_greatest_size(void **state)
{
    struct world *world = world_new();
    world->config.max_size = 2;
    const char *first = stable_one(world);
    const char *second = stable_two(world, first);
    uint64_t third = join(world, JOIN());
    assert_int_equal(reply(world, third)->err, ERR_GROUP_MAX_SIZE);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    assert_int_equal(beat(world, second), ERR_NONE);
    world_free(world);
}

static void a_new_member_that_vanishes_does_not_hold_the_group(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    uint64_t gone = join(world, JOIN(.rebalance_ms = 30 * 60 * 1000));
    for (int i = 0; i < 60; i++) {
        pass(world, CLASSIC_NEW_MEMBER_TIMEOUT_MS / 60);
        beat(world, first);
    }
    assert_int_equal(reply(world, gone)->err, ERR_UNKNOWN_MEMBER);
    uint64_t again = join(world, JOIN(.member_id = first));
    assert_int_equal(reply(world, again)->join.member_count, 1);
    world_free(world);
}

static void a_failed_store_is_told_and_the_group_starts_over(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN());
    const char *id = id_of(world, n);
    world->disk = ERR_IO;
    uint64_t s = lead(world, id);
    assert_int_equal(reply(world, s)->err, ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(group_state(world->group), GROUP_PREPARING_REBALANCE);
    world->disk = ERR_NONE;
    uint64_t again = join(world, JOIN(.member_id = id));
    assert_int_equal(reply(world, again)->join.generation, 2);
    lead(world, id);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    world_free(world);
}

static void a_rebalance_overtakes_a_slow_store(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN());
    const char *id = id_of(world, n);
    world->slow_disk = true;
    uint64_t s = lead(world, id);
    uint64_t other = join(world, JOIN());
    assert_int_equal(reply(world, s)->err, ERR_REBALANCE_IN_PROGRESS);
    flush(world);
    assert_int_equal(group_state(world->group), GROUP_PREPARING_REBALANCE);
    assert_null(reply(world, other));
    world_free(world);
}

static void an_assignment_stored_late_does_not_count_for_a_newer_generation(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN());
    const char *id = id_of(world, n);
    world->slow_disk = true;
    lead(world, id);
    join(world, JOIN());
    uint64_t again = join(world, JOIN(.member_id = id));
    assert_int_equal(reply(world, again)->join.generation, 2);
    uint64_t waits = follow(world, id_of(world, again - 1));
    flush(world); /* of generation 1 */
    assert_int_equal(group_state(world->group), GROUP_COMPLETING_REBALANCE);
    assert_null(reply(world, waits));
    world_free(world);
}

/* ---- static members (KIP-345) ---- */

static void a_static_member_comes_back_without_a_rebalance(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN(.instance_id = "i1"));
    const char *old = id_of(world, n);
    assert_slice(reply(world, n)->join.member_id, "i1-00000000-0000-0000-0000-000000000001");
    sync_with(world, old, "i1", 1, &(struct group_assignment){slice_str(old), slice_str("p0")}, 1);
    assert_int_equal(group_state(world->group), GROUP_STABLE);

    uint64_t back = join(world, JOIN(.instance_id = "i1", .can_skip = true));
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    const struct group_reply *answer = reply(world, back);
    assert_int_equal(answer->err, ERR_NONE);
    assert_int_equal(answer->join.generation, 1);
    assert_true(answer->join.skip_assignment);
    assert_int_equal(answer->join.member_count, 1);
    const char *new_id = id_of(world, back);
    assert_string_not_equal(new_id, old);
    uint64_t s = sync_with(world, new_id, "i1", 1, NULL, 0);
    assert_slice(reply(world, s)->sync.assignment, "p0");
    /* The old one is fenced. */
    assert_int_equal(beat_as(world, old, "i1", 1), ERR_FENCED_INSTANCE);
    uint64_t fenced = sync_with(world, old, "i1", 1, NULL, 0);
    assert_int_equal(reply(world, fenced)->err, ERR_FENCED_INSTANCE);
    uint64_t rejoin = join(world, JOIN(.instance_id = "i1", .member_id = old));
    assert_int_equal(reply(world, rejoin)->err, ERR_FENCED_INSTANCE);
    assert_int_equal(leave(world, old, "i1"), ERR_FENCED_INSTANCE);
    world_free(world);
}

static void an_old_client_is_not_told_that_it_leads(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN(.instance_id = "i1"));
    const char *old = id_of(world, n);
    lead(world, old);
    uint64_t back = join(world, JOIN(.instance_id = "i1"));
    assert_slice(reply(world, back)->join.leader, old);
    assert_int_equal(reply(world, back)->join.member_count, 0);
    assert_false(reply(world, back)->join.skip_assignment);
    world_free(world);
}

static void a_static_restart_during_a_rebalance_fences_the_parked(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    uint64_t parked = join(world, JOIN(.instance_id = "i1"));
    uint64_t back = join(world, JOIN(.instance_id = "i1"));
    assert_int_equal(reply(world, parked)->err, ERR_FENCED_INSTANCE);
    uint64_t again = join(world, JOIN(.member_id = first));
    assert_int_equal(reply(world, again)->join.member_count, 2);
    assert_slice(reply(world, again)->join.members[1].instance_id, "i1");
    assert_int_equal(reply(world, back)->join.generation, 2);
    world_free(world);
}

static void a_static_member_outlives_a_rebalance_but_not_its_session(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    uint64_t n = join(world, JOIN(.instance_id = "i1", .session_ms = 10 * REBALANCE_MS));
    join(world, JOIN(.member_id = first));
    lead(world, first);
    sync_with(world, id_of(world, n), "i1", 2, NULL, 0);
    uint64_t again = join(world, JOIN(.member_id = first)); /* the static one is restarting */
    pass(world, REBALANCE_MS);
    assert_int_equal(reply(world, again)->join.generation, 3);
    assert_int_equal(reply(world, again)->join.member_count, 2);
    world_free(world);
}

static void an_administrator_removes_by_instance_id(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN(.instance_id = "i1"));
    lead(world, id_of(world, n));
    assert_int_equal(leave(world, "", "i2"), ERR_UNKNOWN_MEMBER);
    assert_int_equal(leave(world, "", "i1"), ERR_NONE);
    assert_int_equal(group_state(world->group), GROUP_EMPTY);
    world_free(world);
}

static void a_full_group_still_takes_its_static_members_back(void **state)
{
    struct world *world = world_new();
    world->config.max_size = 1;
    uint64_t n = join(world, JOIN(.instance_id = "i1"));
    lead(world, id_of(world, n));
    uint64_t back = join(world, JOIN(.instance_id = "i1"));
    assert_int_equal(reply(world, back)->err, ERR_NONE);
    world_free(world);
}

static void what_happens_to_members_is_told(void **state)
{
    struct world *world = world_new();
    const char *first = stable_one(world);
    assert_told(world, GROUP_EVENT_JOINED, GROUP_EVENT_REBALANCE, GROUP_EVENT_ASSIGNED);
    const char *second = stable_two(world, first);
    assert_told(world, GROUP_EVENT_JOINED, GROUP_EVENT_REBALANCE, GROUP_EVENT_ASSIGNED);
    leave(world, second, NULL);
    assert_told(world, GROUP_EVENT_LEFT, GROUP_EVENT_REBALANCE);
    pass(world, REBALANCE_MS + SESSION_MS);
    assert_told(world, GROUP_EVENT_TIMED_OUT, GROUP_EVENT_EMPTY);
    world_free(world);
}

static void assert_fenced(struct world *world, const char *holder, const char *api)
{
    assert_told(world, GROUP_EVENT_FENCED);
    assert_slice(world->last_told->who.instance_id, "i1");
    assert_slice(world->last_told->other, holder);
    assert_memory_equal(world->last_told->reason.data, api, strlen(api));
}

static enum err commit_as(struct world *world, const char *member_id, const char *instance_id,
                          int32_t generation)
{
    struct group_offset_commit item = {.topic = slice_str("t"), .offset = 1};
    struct group_commit_request request = {
        .waiter = next_waiter(world),
        .member_id = slice_str(member_id),
        .instance_id = slice_str(instance_id),
        .generation = generation,
        .retention_ms = -1,
        .offsets = &item,
        .count = 1,
    };
    struct group_effects effects = {0};
    group_commit(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return reply(world, request.waiter.token.sequence)->partitions.items[0].err;
}

static void a_static_members_return_is_told_and_who_is_fenced_by_it(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN(.instance_id = "i1"));
    const char *former = id_of(world, n);
    lead(world, former);
    world->told_count = 0;
    const char *holder =
        id_of(world, join(world, JOIN(.instance_id = "i1", .reason = "restarted")));
    assert_told(world, GROUP_EVENT_RETURNED);
    assert_slice(world->last_told->other, former);
    assert_slice(world->last_told->said, "restarted"); /* KIP-800 */
    int32_t generation = group_generation(world->group);
    join(world, JOIN(.member_id = former, .instance_id = "i1"));
    assert_fenced(world, holder, "JoinGroup");
    sync_with(world, former, "i1", generation, NULL, 0);
    assert_fenced(world, holder, "SyncGroup");
    assert_int_equal(beat_as(world, former, "i1", generation), ERR_FENCED_INSTANCE);
    assert_fenced(world, holder, "Heartbeat");
    commit_as(world, former, "i1", generation);
    assert_fenced(world, holder, "OffsetCommit");
    commit_as(world, "", "i1", -1);
    assert_fenced(world, holder, "OffsetCommit");
    assert_int_equal(leave(world, former, "i1"), ERR_FENCED_INSTANCE);
    assert_fenced(world, holder, "LeaveGroup");
    world_free(world);
}

static void what_clients_say_of_it_is_told(void **state)
{
    struct world *world = world_new();
    uint64_t n = join(world, JOIN(.reason = "let me in"));
    assert_told(world, GROUP_EVENT_JOINED, GROUP_EVENT_REBALANCE);
    const char *id = id_of(world, n);
    lead(world, id);
    world->told_count = 0;
    join(world, JOIN(.member_id = id, .reason = "topics have changed"));
    assert_told(world, GROUP_EVENT_REBALANCE);
    assert_slice(world->last_told->reason, "a member joined again");
    assert_slice(world->last_told->said, "topics have changed");
    leave(world, id, NULL);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_member_leads_and_gets_its_assignment),
        cmocka_unit_test(a_second_member_makes_a_generation_of_two),
        cmocka_unit_test(a_member_id_is_required_of_new_clients),
        cmocka_unit_test(a_pending_id_holds_a_rebalance_until_it_expires),
        cmocka_unit_test(a_silent_member_is_dropped_after_its_session),
        cmocka_unit_test(the_last_silent_member_leaves_the_group_empty),
        cmocka_unit_test(who_does_not_rejoin_in_time_is_out_and_another_leads),
        cmocka_unit_test(who_does_not_sync_in_time_is_out),
        cmocka_unit_test(a_leaving_member_starts_a_rebalance),
        cmocka_unit_test(leaving_answers_what_is_parked),
        cmocka_unit_test(a_rejoin_without_change_gets_the_current_generation),
        cmocka_unit_test(the_leader_may_ask_again_for_members_and_assignment),
        cmocka_unit_test(generations_and_protocols_are_checked),
        cmocka_unit_test(the_protocol_most_members_prefer_is_chosen),
        cmocka_unit_test(the_initial_delay_gathers_members),
        cmocka_unit_test(the_group_has_a_greatest_size),
        cmocka_unit_test(a_new_member_that_vanishes_does_not_hold_the_group),
        cmocka_unit_test(a_failed_store_is_told_and_the_group_starts_over),
        cmocka_unit_test(a_rebalance_overtakes_a_slow_store),
        cmocka_unit_test(an_assignment_stored_late_does_not_count_for_a_newer_generation),
        cmocka_unit_test(a_static_member_comes_back_without_a_rebalance),
        cmocka_unit_test(an_old_client_is_not_told_that_it_leads),
        cmocka_unit_test(a_static_restart_during_a_rebalance_fences_the_parked),
        cmocka_unit_test(a_static_member_outlives_a_rebalance_but_not_its_session),
        cmocka_unit_test(an_administrator_removes_by_instance_id),
        cmocka_unit_test(a_full_group_still_takes_its_static_members_back),
        cmocka_unit_test(what_happens_to_members_is_told),
        cmocka_unit_test(a_static_members_return_is_told_and_who_is_fenced_by_it),
        cmocka_unit_test(what_clients_say_of_it_is_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
