#include "coordinator_bench.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static void nothing_is_served_while_loading(void **state)
{
    struct bench *bench = bench_new();
    assert_int_equal(reply_to(bench, join(bench, "g", ""))->err, ERR_LOADING);
    assert_int_equal(reply_to(bench, sync_group(bench, "g", "m", 1))->err,
                     ERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(beat(bench, "g", "m", 1), ERR_NONE);
    assert_int_equal(reply_to(bench, commit(bench, "g", "", -1, "t", 1))->partitions.items[0].err,
                     ERR_LOADING);
    bench_free(bench);
}

static void absent_groups_and_bad_names_have_their_answers(void **state)
{
    struct bench *bench = serving();
    bool found;
    assert_int_equal(reply_to(bench, join(bench, "", ""))->err, ERR_INVALID_GROUP);
    assert_int_equal(reply_to(bench, join(bench, NULL, ""))->err, ERR_INVALID_GROUP);
    assert_int_equal(reply_to(bench, join(bench, "g", "who"))->err, ERR_UNKNOWN_MEMBER);
    assert_int_equal(reply_to(bench, sync_group(bench, "g", "who", 1))->err, ERR_UNKNOWN_MEMBER);
    assert_int_equal(beat(bench, "g", "who", 1), ERR_UNKNOWN_MEMBER);
    assert_int_equal(reply_to(bench, commit(bench, "g", "", 3, "t", 1))->err,
                     ERR_ILLEGAL_GENERATION);
    assert_int_equal(fetch(bench, "g", "t"), -1);
    assert_int_equal(state_of(bench, "g", &found), GROUP_DEAD);
    assert_false(found);
    struct group_leaving leaving = {.member_id = slice_str("who")};
    assert_int_equal(group_coordinator_leave(bench->coordinator, slice_str("g"), &leaving, 1),
                     ERR_NONE);
    assert_int_equal(leaving.err, ERR_UNKNOWN_MEMBER);
    bench_free(bench);
}

static void answers_wait_for_the_disk(void **state)
{
    struct bench *bench = serving();
    bool found;
    uint64_t n = join(bench, "g", "");
    char id[320];
    snprintf(id, sizeof id, "%.*s", SLICE_ARGS(reply_to(bench, n)->join.member_id));
    bench->slow_disk = true;
    uint64_t s = sync_group(bench, "g", id, 1);
    assert_null(reply_to(bench, s));
    assert_int_equal(state_of(bench, "g", &found), GROUP_COMPLETING_REBALANCE);
    flush_all(bench);
    assert_int_equal(reply_to(bench, s)->err, ERR_NONE);
    assert_int_equal(state_of(bench, "g", &found), GROUP_STABLE);
    uint64_t c = commit(bench, "g", id, 1, "t", 7);
    assert_null(reply_to(bench, c));
    assert_int_equal(fetch(bench, "g", "t"), -1);
    flush_all(bench);
    assert_int_equal(reply_to(bench, c)->partitions.items[0].err, ERR_NONE);
    assert_int_equal(fetch(bench, "g", "t"), 7);
    bench_free(bench);
}

static void a_disk_that_fails_is_told_to_clients(void **state)
{
    struct bench *bench = serving();
    bench->append_err = ERR_NO_SPACE;
    assert_int_equal(reply_to(bench, commit(bench, "g", "", -1, "t", 1))->partitions.items[0].err,
                     ERR_COORDINATOR_UNAVAILABLE);
    bench->append_err = ERR_NONE;
    bench->flush_err = ERR_IO;
    assert_int_equal(reply_to(bench, commit(bench, "g", "", -1, "t", 2))->partitions.items[0].err,
                     ERR_COORDINATOR_UNAVAILABLE);
    bench->flush_err = ERR_NONE;
    assert_int_equal(fetch(bench, "g", "t"), -1);
    assert_int_equal(reply_to(bench, commit(bench, "g", "", -1, "t", 3))->partitions.items[0].err,
                     ERR_NONE);
    bench_free(bench);
}

static void silent_members_go_at_their_time(void **state)
{
    struct bench *bench = serving();
    char id[320];
    bool found;
    make_stable(bench, "g", id);
    assert_true(bench->woken_ms <= 11000);
    bench->now_ms = 6000;
    assert_int_equal(beat(bench, "g", id, 1), ERR_NONE);
    bench->now_ms = 11000;
    int64_t next = group_coordinator_tick(bench->coordinator, 11000);
    assert_int_equal(state_of(bench, "g", &found), GROUP_STABLE);
    assert_int_equal(next, 16000);
    bench->now_ms = 16000;
    group_coordinator_tick(bench->coordinator, 16000);
    assert_int_equal(state_of(bench, "g", &found), GROUP_EMPTY);
    bench_free(bench);
}

static void an_earlier_deadline_is_not_missed(void **state)
{
    struct bench *bench = serving();
    char id[320];
    make_stable(bench, "g", id); /* due at 11000 */
    bench->woken_ms = INT64_MAX;
    join_with(bench, "g", "", 6000, true); /* given an id that is not used */
    assert_int_equal(bench->woken_ms, 7000);
    uint64_t again = join(bench, "g", id); /* waits for the owner of that id */
    assert_null(reply_to(bench, again));
    bench->now_ms = 7000;
    group_coordinator_tick(bench->coordinator, 7000);
    assert_int_equal(reply_to(bench, again)->join.generation, 2);
    bench_free(bench);
}

static void a_group_that_nobody_joined_is_forgotten(void **state)
{
    struct bench *bench = serving();
    bool found;
    join_with(bench, "g", "", 6000, true);
    state_of(bench, "g", &found);
    assert_true(found);
    bench->now_ms = 7000;
    group_coordinator_tick(bench->coordinator, 7000);
    state_of(bench, "g", &found);
    assert_false(found);
    assert_int_equal(bench->log_size, 0);
    bench_free(bench);
}

static void empty_groups_vanish_with_their_offsets(void **state)
{
    struct bench *bench = serving();
    bool found;
    commit(bench, "g", "", -1, "t", 7);
    int64_t interval = bench->config.offsets_retention_check_interval_ms;
    bench->now_ms += interval;
    group_coordinator_tick(bench->coordinator, bench->now_ms);
    assert_int_equal(state_of(bench, "g", &found), GROUP_EMPTY);
    bench->now_ms += bench->config.offsets_retention_ms;
    int64_t next = group_coordinator_tick(bench->coordinator, bench->now_ms);
    assert_int_equal(next, bench->now_ms + interval);
    state_of(bench, "g", &found);
    assert_false(found);
    assert_true(bench->log[bench->log_size - 1].tombstone);
    bench_free(bench);
}

static void groups_are_deleted_in_one_answer(void **state)
{
    struct bench *bench = serving();
    char id[320];
    uint64_t n;
    bool found;
    make_stable(bench, "busy", id);
    commit(bench, "a", "", -1, "t", 1);
    commit(bench, "b", "", -1, "t", 1);
    bench->slow_disk = true;
    struct group_delete_result ids[] = {
        {slice_str("a"), ERR_NONE},         {slice_str("none"), ERR_NONE},
        {slice_str("busy"), ERR_NONE},      {slice_str("b"), ERR_NONE},
        {slice_str("a"), ERR_GROUP_DENIED},
    };
    struct completion who = waiter(bench, &n);
    group_coordinator_delete(bench->coordinator, &who, ids, 5, lend(bench, n));
    assert_null(reply_to(bench, n));
    flush_one(bench);
    assert_null(reply_to(bench, n));
    flush_one(bench);
    const struct group_reply *reply = reply_to(bench, n);
    assert_int_equal(reply->groups.count, 5);
    assert_int_equal(reply->groups.items[0].err, ERR_NONE);
    assert_int_equal(reply->groups.items[1].err, ERR_GROUP_NOT_FOUND);
    assert_int_equal(reply->groups.items[2].err, ERR_GROUP_NOT_EMPTY);
    assert_int_equal(reply->groups.items[3].err, ERR_NONE);
    assert_int_equal(reply->groups.items[4].err, ERR_GROUP_DENIED);
    state_of(bench, "a", &found);
    assert_false(found);
    /* The name is free again. */
    bench->slow_disk = false;
    commit(bench, "a", "", -1, "t", 5);
    assert_int_equal(fetch(bench, "a", "t"), 5);
    bench_free(bench);
}

static void a_group_whose_deletion_is_not_written_is_still_there(void **state)
{
    struct bench *bench = serving();
    struct group_delete_result ids[] = {{slice_str("a"), ERR_NONE}, {slice_str("b"), ERR_NONE}};
    uint64_t n;
    bool found;
    commit(bench, "a", "", -1, "t", 1);
    commit(bench, "b", "", -1, "t", 2);
    bench->append_err = ERR_NO_SPACE;
    struct completion who = waiter(bench, &n);
    group_coordinator_delete(bench->coordinator, &who, ids, 2, lend(bench, n));
    assert_int_equal(reply_to(bench, n)->groups.items[0].err, ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(reply_to(bench, n)->groups.items[1].err, ERR_COORDINATOR_UNAVAILABLE);
    state_of(bench, "a", &found);
    assert_true(found);
    assert_int_equal(fetch(bench, "b", "t"), 2);
    bench->append_err = ERR_NONE;
    who = waiter(bench, &n);
    group_coordinator_delete(bench->coordinator, &who, ids, 2, lend(bench, n));
    assert_int_equal(reply_to(bench, n)->groups.items[0].err, ERR_NONE);
    assert_int_equal(reply_to(bench, n)->groups.items[1].err, ERR_NONE);
    state_of(bench, "b", &found);
    assert_false(found);
    assert_true(bench->log[bench->log_size - 1].tombstone);
    bench_free(bench);
}

static void deleted_topics_are_forgotten_by_all(void **state)
{
    struct bench *bench = serving();
    commit(bench, "a", "", -1, "t", 1);
    commit(bench, "b", "", -1, "t", 2);
    commit(bench, "b", "", -1, "u", 3);
    group_coordinator_topic_deleted(bench->coordinator, slice_str("t"));
    assert_int_equal(fetch(bench, "a", "t"), -1);
    assert_int_equal(fetch(bench, "b", "t"), -1);
    assert_int_equal(fetch(bench, "b", "u"), 3);
    bench_free(bench);
}

/* A coordinator that was started on what the log holds; the old one is freed. */
static void restart(struct bench *bench, bool loaded)
{
    struct group_coordinator *old = bench->coordinator;
    bench->coordinator = new_coordinator(bench, &bench->clocks[1]);
    for (size_t i = 0; i < bench->log_size; i++) {
        const struct stored *stored = &bench->log[i];
        struct slice key = buf_slice(&stored->key);
        struct slice value = stored->tombstone ? (struct slice){0} : buf_slice(&stored->value);
        assert_int_equal(
            stored->producer_id >= 0
                ? group_coordinator_replay_txn(bench->coordinator, stored->producer_id, key, value)
                : group_coordinator_replay(bench->coordinator, key, value),
            ERR_NONE);
    }
    if (loaded) {
        group_coordinator_load_done(bench->coordinator);
    }
    group_coordinator_stop(old);
    group_coordinator_free(old);
}

static bool is_large(struct bench *bench, const char *group)
{
    return group_coordinator_is_large(bench->coordinator, slice_str(group));
}

static void large_groups_are_known(void **state)
{
    enum { OFFSETS = 4000 };
    struct bench *bench = serving();
    char topic[32];
    assert_false(is_large(bench, "none"));
    assert_false(is_large(bench, NULL));
    commit(bench, "small", "", -1, "t", 1);
    for (int i = 0; i < OFFSETS; i++) {
        snprintf(topic, sizeof topic, "t-%d", i);
        commit(bench, "large", "", -1, topic, 1);
        assert_true(i > OFFSETS / 100 || !is_large(bench, "large"));
    }
    assert_true(is_large(bench, "large"));
    assert_false(is_large(bench, "small"));
    restart(bench, true);
    assert_true(is_large(bench, "large"));
    assert_false(is_large(bench, "small"));
    for (int i = 0; i < OFFSETS; i++) {
        snprintf(topic, sizeof topic, "t-%d", i);
        group_coordinator_topic_deleted(bench->coordinator, slice_str(topic));
    }
    assert_false(is_large(bench, "large"));
    bench_free(bench);
}

static uint64_t txn_commit(struct bench *bench, int64_t producer_id, const char *group,
                           int64_t offset)
{
    uint64_t n;
    struct group_offset_commit item = {.topic = slice_str("t"), .offset = offset};
    struct group_txn_commit_request request = {.waiter = waiter(bench, &n),
                                               .producer_id = producer_id,
                                               .member_id = slice_str(""),
                                               .generation = -1,
                                               .offsets = &item,
                                               .count = 1};
    request.release = lend(bench, n);
    group_coordinator_txn_commit(bench->coordinator, slice_str(group), &request);
    assert_non_null(reply_to(bench, n));
    return n;
}

static void the_end_of_a_transaction_finds_its_groups(void **state)
{
    struct bench *bench = serving();
    int32_t of_a = group_coordinator_partition(bench->coordinator, slice_str("a"));
    int32_t of_b = group_coordinator_partition(bench->coordinator, slice_str("b"));
    assert_int_not_equal(of_a, of_b);
    txn_commit(bench, 7, "a", 1);
    txn_commit(bench, 7, "b", 2);
    txn_commit(bench, 8, "a", 3);
    group_coordinator_txn_end(bench->coordinator, of_b, 8, true); /* not there */
    group_coordinator_txn_end(bench->coordinator, of_a, 7, true);
    assert_int_equal(fetch(bench, "a", "t"), 1);
    assert_int_equal(fetch(bench, "b", "t"), -1);
    group_coordinator_txn_end(bench->coordinator, of_b, 7, false);
    assert_int_equal(fetch(bench, "b", "t"), -1);
    group_coordinator_txn_end(bench->coordinator, of_a, 8, true);
    assert_int_equal(fetch(bench, "a", "t"), 3);
    uint64_t n = txn_commit(bench, 7, "", 1);
    assert_int_equal(reply_to(bench, n)->err, ERR_INVALID_GROUP);
    bench_free(bench);
}

static void transactions_go_on_after_a_restart(void **state)
{
    struct bench *bench = serving();
    txn_commit(bench, 7, "a", 1);
    txn_commit(bench, 8, "b", 2);
    commit(bench, "b", "", -1, "t", 9);
    restart(bench, false);
    /* A marker that the log holds behind them. */
    group_coordinator_txn_end(bench->coordinator,
                              group_coordinator_partition(bench->coordinator, slice_str("a")), 7,
                              true);
    group_coordinator_load_done(bench->coordinator);
    assert_int_equal(fetch(bench, "a", "t"), 1);
    group_coordinator_txn_end(bench->coordinator,
                              group_coordinator_partition(bench->coordinator, slice_str("b")), 8,
                              true);
    assert_int_equal(fetch(bench, "b", "t"), 9); /* stands behind it in the log */
    bench_free(bench);
}

/* With an open transaction when the server stops: nothing is left over. */
static void a_stop_forgets_open_transactions(void **state)
{
    struct bench *bench = serving();
    txn_commit(bench, 7, "a", 1);
    bench_free(bench);
}

static void a_restart_finds_groups_and_offsets_again(void **state)
{
    struct bench *bench = serving();
    char id[320];
    make_stable(bench, "g", id);
    commit(bench, "g", id, 1, "t", 7);
    commit(bench, "simple", "", -1, "t", 8);
    commit(bench, "gone", "", -1, "t", 9);
    group_coordinator_topic_deleted(bench->coordinator, slice_str("none"));
    uint64_t n;
    struct completion who = waiter(bench, &n);
    group_coordinator_delete(bench->coordinator, &who,
                             &(struct group_delete_result){slice_str("gone"), ERR_NONE}, 1,
                             lend(bench, n));

    bench->now_ms = 500000;
    restart(bench, true);
    struct arena arena = {0};
    struct group_listing *groups;
    size_t count;
    assert_int_equal(group_coordinator_list(bench->coordinator, &arena, &groups, &count), ERR_NONE);
    assert_int_equal(count, 2);
    arena_deinit(&arena);
    assert_int_equal(fetch(bench, "g", "t"), 7);
    assert_int_equal(fetch(bench, "simple", "t"), 8);
    assert_int_equal(beat(bench, "g", id, 1), ERR_NONE);
    uint64_t s = sync_group(bench, "g", id, 1);
    assert_true(slice_equal_str(reply_to(bench, s)->sync.assignment, "p"));
    group_coordinator_tick(bench->coordinator, 509999);
    assert_int_equal(beat(bench, "g", id, 1), ERR_NONE);
    bench_free(bench);
}

static void there_are_no_more_groups_than_allowed(void **state)
{
    struct bench *bench = serving();
    char id[320];
    make_stable(bench, "a", id);
    bench->config.max_groups = 2;
    restart(bench, true);
    assert_int_equal(reply_to(bench, commit(bench, "b", "", -1, "t", 1))->partitions.items[0].err,
                     ERR_NONE);
    assert_int_equal(reply_to(bench, commit(bench, "c", "", -1, "t", 1))->partitions.items[0].err,
                     ERR_COMMIT_SIZE);
    assert_int_equal(reply_to(bench, join(bench, "c", ""))->err, ERR_GROUP_MAX_SIZE);
    assert_int_equal(beat(bench, "a", id, 1), ERR_NONE);
    assert_int_equal(reply_to(bench, commit(bench, "b", "", -1, "u", 1))->partitions.items[0].err,
                     ERR_NONE);
    bench_free(bench);
}

/* Groups that were deleted or expired, and those that a restart found, leave nothing behind. */
static void the_share_is_what_the_groups_take(void **state)
{
    struct bench *bench = serving();
    char id[320];
    const _Atomic int64_t *used = &bench->budget.shares[BUDGET_GROUPS].bytes;
    make_stable(bench, "a", id);
    int64_t with_one = *used;
    assert_true(with_one > 0);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "g%d", i);
        commit(bench, name, "", -1, "t", 1);
    }
    assert_true(*used > with_one + 100 * 500);
    restart(bench, true);
    bench->now_ms +=
        bench->config.offsets_retention_ms + bench->config.offsets_retention_check_interval_ms;
    assert_int_equal(beat(bench, "a", id, 1), ERR_NONE);
    group_coordinator_tick(bench->coordinator, bench->now_ms);
    bool found;
    state_of(bench, "g7", &found);
    assert_false(found);
    assert_int_equal(*used, with_one);
    bench_free(bench);
}

static void stopping_answers_the_parked(void **state)
{
    struct bench *bench = serving();
    char id[320];
    make_stable(bench, "g", id);
    uint64_t parked = join(bench, "g", "");
    assert_null(reply_to(bench, parked));
    group_coordinator_stop(bench->coordinator);
    assert_int_equal(reply_to(bench, parked)->err, ERR_COORDINATOR_UNAVAILABLE);
    assert_int_equal(reply_to(bench, join(bench, "g", ""))->err, ERR_COORDINATOR_UNAVAILABLE);
    bench_free(bench);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_served_while_loading),
        cmocka_unit_test(absent_groups_and_bad_names_have_their_answers),
        cmocka_unit_test(answers_wait_for_the_disk),
        cmocka_unit_test(a_disk_that_fails_is_told_to_clients),
        cmocka_unit_test(silent_members_go_at_their_time),
        cmocka_unit_test(an_earlier_deadline_is_not_missed),
        cmocka_unit_test(a_group_that_nobody_joined_is_forgotten),
        cmocka_unit_test(empty_groups_vanish_with_their_offsets),
        cmocka_unit_test(groups_are_deleted_in_one_answer),
        cmocka_unit_test(a_group_whose_deletion_is_not_written_is_still_there),
        cmocka_unit_test(deleted_topics_are_forgotten_by_all),
        cmocka_unit_test(large_groups_are_known),
        cmocka_unit_test(the_end_of_a_transaction_finds_its_groups),
        cmocka_unit_test(transactions_go_on_after_a_restart),
        cmocka_unit_test(a_stop_forgets_open_transactions),
        cmocka_unit_test(a_restart_finds_groups_and_offsets_again),
        cmocka_unit_test(there_are_no_more_groups_than_allowed),
        cmocka_unit_test(the_share_is_what_the_groups_take),
        cmocka_unit_test(stopping_answers_the_parked),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
