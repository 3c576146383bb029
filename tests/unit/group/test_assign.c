#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "group/consumer_assign.h"

#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>

/* The assignors by their properties: everything is assigned once, evenly, and moves little. */

enum { MOST_MEMBERS = 1100 };

struct case_of {
    struct assign_topic *topics;
    struct assign_spec spec;
    char ids[MOST_MEMBERS][16];
    struct partition_set current[MOST_MEMBERS];
    uint32_t *subscriptions[MOST_MEMBERS];
};

static struct case_of *case_new(size_t topics, int32_t partitions)
{
    struct case_of *c = mem_new(struct case_of);
    c->topics = mem_new_array(struct assign_topic, topics);
    for (size_t t = 0; t < topics; t++) {
        c->topics[t].id.bytes[0] = (uint8_t)(t >> 8);
        c->topics[t].id.bytes[1] = (uint8_t)t;
        c->topics[t].id.bytes[15] = 1;
        c->topics[t].partition_count = partitions;
    }
    c->spec = (struct assign_spec){
        .topics = c->topics,
        .topic_count = topics,
        .members = mem_new_array(struct assign_member, MOST_MEMBERS),
    };
    return c;
}

static void add_member(struct case_of *c, const char *instance_id, const uint32_t *topics,
                       size_t count)
{
    size_t m = c->spec.member_count++;
    snprintf(c->ids[m], sizeof c->ids[m], "m%04zu", m);
    c->subscriptions[m] = mem_dup(topics, count * sizeof *topics);
    c->spec.members[m] = (struct assign_member){
        .id = slice_str(c->ids[m]),
        .instance_id = slice_str(instance_id),
        .topics = c->subscriptions[m],
        .topic_count = count,
        .current = &c->current[m],
    };
}

static void add_equal(struct case_of *c, size_t members)
{
    uint32_t *all = mem_new_array(uint32_t, c->spec.topic_count);
    for (uint32_t t = 0; t < c->spec.topic_count; t++) {
        all[t] = t;
    }
    for (size_t m = 0; m < members; m++) {
        add_member(c, NULL, all, c->spec.topic_count);
    }
    free(all);
}

/* What was the result is what they have now. Returns how many partitions are with another. */
static size_t settle(struct case_of *c)
{
    size_t stayed = 0, all = 0;
    for (size_t m = 0; m < c->spec.member_count; m++) {
        const struct partition_set *target = &c->spec.members[m].target;
        for (size_t i = 0; i < target->count; i++) {
            stayed += partition_set_has(&c->current[m], target->items[i].topic,
                                        target->items[i].partition);
        }
        all += target->count;
        partition_set_take(&c->current[m], &c->spec.members[m].target);
    }
    return all - stayed;
}

static void case_free(struct case_of *c)
{
    for (size_t m = 0; m < MOST_MEMBERS; m++) {
        partition_set_deinit(&c->current[m]);
        free(c->subscriptions[m]);
    }
    free(c->spec.members);
    free(c->topics);
    free(c);
}

/* Each partition of each subscribed topic is in exactly one target, of a subscriber. */
static void check_all_assigned(const struct case_of *c)
{
    size_t assigned = 0, wanted = 0;
    struct partition_set seen = {0};
    for (size_t t = 0; t < c->spec.topic_count; t++) {
        bool subscribed = false;
        for (size_t m = 0; m < c->spec.member_count; m++) {
            for (size_t i = 0; i < c->spec.members[m].topic_count; i++) {
                subscribed = subscribed || c->spec.members[m].topics[i] == t;
            }
        }
        wanted += subscribed ? (size_t)c->topics[t].partition_count : 0;
    }
    for (size_t m = 0; m < c->spec.member_count; m++) {
        const struct assign_member *member = &c->spec.members[m];
        for (size_t i = 0; i < member->target.count; i++) {
            bool mine = false;
            for (size_t t = 0; t < member->topic_count; t++) {
                mine = mine || wire_uuid_equal(c->topics[member->topics[t]].id,
                                               member->target.items[i].topic);
            }
            assert_true(mine);
            partition_set_push(&seen, member->target.items[i].topic,
                               member->target.items[i].partition);
        }
        assigned += member->target.count;
    }
    partition_set_sort(&seen);
    assert_int_equal(seen.count, assigned);
    assert_int_equal(assigned, wanted);
    partition_set_deinit(&seen);
}

static void check_even(const struct case_of *c)
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t m = 0; m < c->spec.member_count; m++) {
        size_t count = c->spec.members[m].target.count;
        least = count < least ? count : least;
        most = count > most ? count : most;
    }
    assert_true(most - least <= 1);
}

static void range_gives_runs_by_topic(void **state)
{
    struct case_of *c = case_new(2, 7);
    add_equal(c, 3);
    consumer_assign(ASSIGNOR_RANGE, &c->spec);
    static const size_t begins[] = {0, 3, 5, 7};
    for (size_t m = 0; m < 3; m++) {
        const struct partition_set *target = &c->spec.members[m].target;
        size_t run = begins[m + 1] - begins[m];
        assert_int_equal(target->count, 2 * run);
        for (size_t i = 0; i < run; i++) {
            assert_int_equal(target->items[i].partition, begins[m] + i);
            assert_int_equal(target->items[run + i].partition, begins[m] + i);
        }
    }
    settle(c);
    case_free(c);
}

static void range_puts_static_members_first(void **state)
{
    struct case_of *c = case_new(1, 2);
    uint32_t topic = 0;
    add_member(c, NULL, &topic, 1);
    add_member(c, "z", &topic, 1);
    add_member(c, "a", &topic, 1);
    consumer_assign(ASSIGNOR_RANGE, &c->spec);
    assert_int_equal(c->spec.members[0].target.count, 0); /* two partitions, three members */
    assert_int_equal(c->spec.members[1].target.items[0].partition, 1);
    assert_int_equal(c->spec.members[2].target.items[0].partition, 0);
    settle(c);
    case_free(c);
}

static void uniform_keeps_what_balance_allows(void **state)
{
    struct case_of *c = case_new(3, 4);
    add_equal(c, 3);
    consumer_assign(ASSIGNOR_UNIFORM, &c->spec);
    check_all_assigned(c);
    check_even(c);
    settle(c);
    consumer_assign(ASSIGNOR_UNIFORM, &c->spec);
    assert_int_equal(settle(c), 0);
    add_equal(c, 1); /* 12 partitions: four members have 3 each, so 3 move */
    consumer_assign(ASSIGNOR_UNIFORM, &c->spec);
    check_all_assigned(c);
    check_even(c);
    assert_int_equal(settle(c), 3);
    c->spec.member_count = 2;
    consumer_assign(ASSIGNOR_UNIFORM, &c->spec);
    check_all_assigned(c);
    check_even(c);
    assert_int_equal(settle(c), 6); /* just those that the two had who are gone */
    case_free(c);
}

static void random_groups_are_assigned_whole(void **state)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct random random = {seed};
        struct case_of *c =
            case_new(1 + random_below(&random, 6), 1 + (int32_t)random_below(&random, 9));
        size_t members = 1 + random_below(&random, 8);
        bool equal = seed % 2 == 0;
        for (size_t m = 0; m < members && !equal; m++) {
            uint32_t topics[6];
            size_t count = 0;
            for (uint32_t t = 0; t < c->spec.topic_count; t++) {
                if (random_below(&random, 3) != 0) {
                    topics[count++] = t;
                }
            }
            add_member(c, NULL, topics, count);
        }
        if (equal) {
            add_equal(c, members);
        }
        print_message("seed %llu\n", (unsigned long long)seed);
        for (int round = 0; round < 4; round++) {
            consumer_assign(ASSIGNOR_UNIFORM, &c->spec);
            check_all_assigned(c);
            if (equal) {
                check_even(c);
            }
            size_t moved = settle(c);
            assert_true(round == 0 || moved == 0 || c->spec.member_count != members);
        }
        consumer_assign(ASSIGNOR_RANGE, &c->spec);
        check_all_assigned(c);
        settle(c);
        case_free(c);
    }
}

/* Different subscriptions: no subscriber of a topic has two partitions more than another one, if
 * one of the topic's partitions could move. */
static void different_subscriptions_are_balanced(void **state)
{
    struct case_of *c = case_new(2, 10);
    uint32_t both[] = {0, 1}, first[] = {0};
    add_member(c, NULL, both, 2);
    add_member(c, NULL, first, 1);
    consumer_assign(ASSIGNOR_UNIFORM, &c->spec);
    check_all_assigned(c);
    assert_int_equal(c->spec.members[0].target.count, 10);
    assert_int_equal(c->spec.members[1].target.count, 10);
    settle(c);
    case_free(c);
}

static void large_groups_are_assigned(void **state)
{
    static const enum consumer_assignor assignors[] = {ASSIGNOR_UNIFORM, ASSIGNOR_RANGE};
    for (size_t a = 0; a < 2; a++) {
        struct case_of *c = case_new(100, 100);
        add_equal(c, 1000);
        int64_t begin = clock_now_ns();
        consumer_assign(assignors[a], &c->spec);
        int64_t first = clock_now_ns();
        check_all_assigned(c);
        settle(c);
        add_equal(c, 1);
        int64_t again = clock_now_ns();
        consumer_assign(assignors[a], &c->spec);
        int64_t end = clock_now_ns();
        check_all_assigned(c);
        print_message("%s, 10,000 partitions: 1,000 members %.1f ms, one more %.1f ms\n",
                      consumer_assignor_name(assignors[a]), (double)(first - begin) / 1e6,
                      (double)(end - again) / 1e6);
        uint32_t few[] = {1, 5};
        settle(c);
        add_member(c, NULL, few, 2);
        begin = clock_now_ns();
        consumer_assign(assignors[a], &c->spec);
        print_message("%s, one with another subscription %.1f ms\n",
                      consumer_assignor_name(assignors[a]), (double)(clock_now_ns() - begin) / 1e6);
        check_all_assigned(c);
        settle(c);
        case_free(c);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_gives_runs_by_topic),
        cmocka_unit_test(range_puts_static_members_first),
        cmocka_unit_test(uniform_keeps_what_balance_allows),
        cmocka_unit_test(random_groups_are_assigned_whole),
        cmocka_unit_test(different_subscriptions_are_balanced),
        cmocka_unit_test(large_groups_are_assigned),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
