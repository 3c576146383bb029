#include "../unit.h"
#include "classic_fixture.h"

/*
 * Static members that come back (KIP-345) to a stable group of consumers: with their partitions,
 * and without a rebalance, unless partitions would be nobody's. Two of them, a and b, read t with
 * its four partitions; the first leads. They say what they have and are to give up (KIP-429).
 */

static struct topics topics;

struct side {
    const char *instance;
    const char *id;
};

static struct world *world_of_two(struct side *a, struct side *b)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 4);
    *a = (struct side){"a", NULL};
    *b = (struct side){"b", NULL};
    return world;
}

/* "013": these partitions of the topic. */
static struct partition_set parts(const char *topic, const char *digits)
{
    struct partition_set set = {0};
    for (; *digits != '\0'; digits++) {
        partition_set_push(&set, id_of_topic(&topics, topic), *digits - '0');
    }
    return set;
}

/* JoinGroup of one that has these partitions of t. */
static uint64_t comes(struct world *world, const struct side *who, const char *owned)
{
    struct partition_set set = parts("t", owned);
    uint64_t n = classic_join(world, who->id != NULL ? who->id : "", who->instance, &set);
    partition_set_deinit(&set);
    return n;
}

/* The process is another one: it has nothing, and knows its instance id only. */
static uint64_t returns(struct world *world, struct side *who)
{
    who->id = NULL;
    uint64_t n = comes(world, who, "");
    if (reply(world, n) != NULL && reply(world, n)->err == ERR_NONE) {
        who->id = id_of(world, n);
    }
    return n;
}

static struct slice assignment(struct world *world, struct arena *arena, const char *digits)
{
    struct partition_set set = parts("t", digits);
    struct slice bytes = consumer_assignment_write(world->group, &set, 1, arena);
    partition_set_deinit(&set);
    return bytes;
}

/* The leader says who gets what, and all ask for it. */
static void assigned(struct world *world, const struct side *a, const char *its,
                     const struct side *b, const char *others)
{
    struct arena arena = {0};
    struct group_assignment items[] = {
        {slice_str(a->id), assignment(world, &arena, its)},
        {slice_str(b != NULL ? b->id : ""), assignment(world, &arena, others)}};
    int32_t generation = group_generation(world->group);
    sync_with(world, a->id, a->instance, generation, items, b != NULL ? 2 : 1);
    if (b != NULL) {
        sync_with(world, b->id, b->instance, generation, NULL, 0);
    }
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    arena_deinit(&arena);
}

static void assert_has(struct world *world, const struct side *who, const char *digits)
{
    struct partition_set set, wanted = parts("t", digits);
    uint64_t n = sync_with(world, who->id, who->instance, group_generation(world->group), NULL, 0);
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    assert_int_equal(consumer_assignment_read(world->group, reply(world, n)->sync.assignment, &set),
                     ERR_NONE);
    assert_true(partition_set_equal(&set, &wanted));
    partition_set_deinit(&set);
    partition_set_deinit(&wanted);
}

static enum err beats(struct world *world, const struct side *who)
{
    return beat_as(world, who->id, who->instance, group_generation(world->group));
}

/* a has all; b comes, and a is to give up its share: nobody has that until a joins again. */
static void until_a_gives_up(struct world *world, struct side *a, struct side *b)
{
    a->id = id_of(world, comes(world, a, ""));
    assigned(world, a, "0123", NULL, "");
    uint64_t n = comes(world, b, "");
    assert_int_equal(beats(world, a), ERR_REBALANCE_IN_PROGRESS);
    comes(world, a, "0123");
    b->id = id_of(world, n);
    assigned(world, a, "01", b, "");
}

/* Both have a half. */
static void until_stable(struct world *world, struct side *a, struct side *b)
{
    until_a_gives_up(world, a, b);
    comes(world, a, "01");
    comes(world, b, "");
    assigned(world, a, "01", b, "23");
    world->told_count = 0;
}

static void assert_no_rebalance(struct world *world, uint64_t n)
{
    assert_non_null(reply(world, n));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
}

/* The rest of the group is called, and the next generation is answered. */
static void assert_rebalance(struct world *world, uint64_t n, struct side *back,
                             const struct side *other, const char *has)
{
    int32_t generation = group_generation(world->group);
    assert_null(reply(world, n));
    assert_slice(world->last_told->reason,
                 "a static member came back while partitions were nobody's");
    assert_int_equal(beats(world, other), ERR_REBALANCE_IN_PROGRESS);
    comes(world, other, has);
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    assert_int_equal(reply(world, n)->join.generation, generation + 1);
    back->id = id_of(world, n);
}

/* ---- what is nobody's ---- */

static void who_died_giving_partitions_up_is_not_back_until_they_are_somebodys(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    until_a_gives_up(world, &a, &b);
    assert_rebalance(world, returns(world, &a), &a, &b, "");
    assigned(world, &a, "01", &b, "23");
    assert_has(world, &a, "01");
    assert_no_rebalance(world, returns(world, &a));
    assert_has(world, &a, "01");
    world_free(world);
}

static void it_is_found_by_the_other_ones_return_as_well(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    until_a_gives_up(world, &a, &b);
    assert_rebalance(world, returns(world, &b), &b, &a, "01");
    world_free(world);
}

static void it_is_found_by_a_server_that_was_started_since(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    until_a_gives_up(world, &a, &b);
    struct group *copy = replayed(world);
    struct group_effects effects = {0};
    group_free(world->group);
    world->group = copy;
    group_loaded(world->group, world->now, &effects);
    world_take(world, &effects);
    assert_rebalance(world, returns(world, &a), &a, &b, "");
    world_free(world);
}

static void partitions_that_came_while_it_was_away_are_found(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    until_stable(world, &a, &b);
    set_topic(&topics, "t", 5);
    assert_rebalance(world, returns(world, &a), &a, &b, "23");
    world_free(world);
}

static void a_topic_that_it_did_not_want_before_is_found(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    struct arena arena = {0};
    until_stable(world, &a, &b);
    set_topic(&topics, "u", 1);
    uint64_t n = join_saying(world, "consumer", "", "a", subscription(&arena, "u", NULL));
    assert_rebalance(world, n, &a, &b, "23");
    arena_deinit(&arena);
    world_free(world);
}

/* Later versions begin like the first one. */
static void later_versions_are_read(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    struct arena arena = {0};
    a.id = id_of(world, comes(world, &a, ""));
    struct slice given = assignment(world, &arena, "012");
    ((uint8_t *)(uintptr_t)given.data)[1] = 9;
    sync_with(world, a.id, "a", 1, &(struct group_assignment){slice_str(a.id), given}, 1);
    struct slice says = subscription(&arena, "t", NULL);
    ((uint8_t *)(uintptr_t)says.data)[1] = 9;
    uint64_t n = join_saying(world, "consumer", "", "a", says);
    assert_int_equal(reply(world, n)->join.generation, 2); /* nobody else is awaited */
    arena_deinit(&arena);
    world_free(world);
}

/* ---- all is somebody's, or nobody can tell ---- */

static void a_rolling_restart_makes_no_rebalance(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    until_stable(world, &a, &b);
    for (int i = 0; i < 3; i++) {
        assert_no_rebalance(world, returns(world, &a));
        assert_has(world, &a, "01");
        assert_no_rebalance(world, returns(world, &b));
        assert_has(world, &b, "23");
    }
    assert_told(world, GROUP_EVENT_RETURNED, GROUP_EVENT_RETURNED, GROUP_EVENT_RETURNED,
                GROUP_EVENT_RETURNED, GROUP_EVENT_RETURNED, GROUP_EVENT_RETURNED);
    world_free(world);
}

static void topics_that_are_gone_are_nobodys_loss(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    until_a_gives_up(world, &a, &b);
    set_topic(&topics, "t", 0);
    assert_no_rebalance(world, returns(world, &a));
    world_free(world);
}

static void metadata_that_cannot_be_read_changes_nothing(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    until_a_gives_up(world, &a, &b);
    assert_no_rebalance(world, join_saying(world, "consumer", "", "a", slice_str("?")));
    world_free(world);
}

static void an_assignment_that_cannot_be_read_changes_nothing(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    a.id = id_of(world, comes(world, &a, ""));
    sync_with(world, a.id, "a", 1, &(struct group_assignment){slice_str(a.id), slice_str("mine")},
              1);
    assert_no_rebalance(world, returns(world, &a));
    world_free(world);
}

static void groups_of_others_than_consumers_are_left_alone(void **state)
{
    struct side a, b;
    struct world *world = world_of_two(&a, &b);
    struct arena arena = {0};
    struct slice says = subscription(&arena, "t", NULL);
    a.id = id_of(world, join_saying(world, "connect", "", "a", says));
    assigned(world, &a, "0", NULL, "");
    assert_no_rebalance(world, join_saying(world, "connect", "", "a", says));
    arena_deinit(&arena);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_died_giving_partitions_up_is_not_back_until_they_are_somebodys),
        cmocka_unit_test(it_is_found_by_the_other_ones_return_as_well),
        cmocka_unit_test(it_is_found_by_a_server_that_was_started_since),
        cmocka_unit_test(partitions_that_came_while_it_was_away_are_found),
        cmocka_unit_test(a_topic_that_it_did_not_want_before_is_found),
        cmocka_unit_test(later_versions_are_read),
        cmocka_unit_test(a_rolling_restart_makes_no_rebalance),
        cmocka_unit_test(topics_that_are_gone_are_nobodys_loss),
        cmocka_unit_test(metadata_that_cannot_be_read_changes_nothing),
        cmocka_unit_test(an_assignment_that_cannot_be_read_changes_nothing),
        cmocka_unit_test(groups_of_others_than_consumers_are_left_alone),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
