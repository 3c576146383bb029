#include "../unit.h"

#include "bus/dead/dead_group.h"
#include "bus/dead/dead_plan.h"

/* One event, its letters, and what is said of it, in any order of topics. */

static const struct dead_event orders = {{(const uint8_t *)"orders", 6}, 3, 41};

static struct dead_letter letter_at(int32_t partition, int64_t offset, int64_t died_ms)
{
    return (struct dead_letter){.place = {partition, offset},
                                .died_ms = died_ms,
                                .topic = orders.topic,
                                .partition = orders.partition,
                                .offset = orders.offset,
                                .edit_of = {-1, -1},
                                .lane = DEAD_LANE_CLOSED};
}

static void add_letter(struct dead_index *index, int32_t partition, int64_t offset, int64_t died_ms)
{
    const struct dead_letter letter = letter_at(partition, offset, died_ms);
    assert_true(dead_index_letter(index, &letter));
}

static void add_redrive(struct dead_index *index, int64_t number, enum dead_outcome outcome)
{
    const struct dead_fact fact = {
        .kind = DEAD_FACT_REDRIVE, .event = orders, .number = number, .outcome = outcome};
    assert_true(dead_index_fact(index, &fact));
}

static void add_discard(struct dead_index *index, bool is_erased)
{
    const struct dead_fact fact = {
        .kind = DEAD_FACT_DISCARD, .event = orders, .is_erased = is_erased};
    assert_true(dead_index_fact(index, &fact));
}

static void add_lane(struct dead_index *index, const struct lane_record *record)
{
    const struct lane_record_key key = {
        .id = {1, 1}, .topic = orders.topic, .partition = orders.partition};
    assert_true(dead_index_lane(index, &key, record));
}

static const struct dead_case *its(const struct dead_index *index)
{
    return dead_index_find(index, &orders);
}

static void expect(const struct dead_index *index, enum dead_state state, int64_t next)
{
    assert_non_null(its(index));
    assert_string_equal(dead_state_name(dead_case_state(its(index))), dead_state_name(state));
    assert_int_equal(dead_case_next_number(its(index)), next);
}

static void test_letters_of_one_event_are_one(void **state)
{
    (void)state;
    struct dead_index *index = dead_index_new("dlq.g");
    add_letter(index, 0, 5, 100);
    add_letter(index, 0, 9, 300);
    add_letter(index, 1, 2, 200); /* of another tool, which chose another partition */
    assert_int_equal(dead_index_count(index), 1);
    assert_int_equal(its(index)->letters, 3);
    assert_int_equal(its(index)->first.offset, 5);
    assert_int_equal(its(index)->newest.offset, 9);
    struct dead_letter edited = letter_at(0, 12, 400);
    edited.edit_of = (struct dead_place){0, 5};
    assert_int_equal(dead_case_letter(its(index)).offset, 9);
    assert_true(dead_index_letter(index, &edited));
    assert_int_equal(its(index)->letters, 3);
    assert_int_equal(its(index)->newest.offset, 9);
    assert_int_equal(dead_case_letter(its(index)).offset, 12);
    struct dead_letter foreign = letter_at(0, 7, 50);
    foreign.topic = (struct slice){0};
    assert_true(dead_index_letter(index, &foreign));
    assert_int_equal(dead_index_count(index), 2);
    const struct dead_event itself = {slice_str("dlq.g"), 0, 7};
    assert_non_null(dead_index_find(index, &itself));
    dead_index_free(index);
}

static void test_the_states_of_a_redrive(void **state)
{
    (void)state;
    struct dead_index *index = dead_index_new("dlq.g");
    add_letter(index, 0, 5, 100);
    expect(index, DEAD_OPEN, 1);
    add_redrive(index, 1, DEAD_ASKED);
    expect(index, DEAD_REQUESTED, 1); /* asked for, and not sent: again under its number */
    add_redrive(index, 1, DEAD_REFUSED);
    expect(index, DEAD_OPEN, 2);
    add_redrive(index, 2, DEAD_FAILED);
    add_redrive(index, 2, DEAD_FAILED); /* the topic is not compacted yet */
    expect(index, DEAD_AGAIN, 3);
    assert_int_equal(dead_case_failed(its(index)), 1);
    add_redrive(index, 70, DEAD_FAILED);
    assert_int_equal(dead_case_failed(its(index)), 2);
    add_discard(index, false);
    expect(index, DEAD_DISCARDED, 71);
    add_discard(index, true);
    expect(index, DEAD_AGAIN, 71);
    add_redrive(index, 71, DEAD_REPUBLISHED);
    expect(index, DEAD_SENT_BACK, 72);
    add_redrive(index, 72, DEAD_DONE);
    expect(index, DEAD_IS_DONE, 73);
    add_discard(index, false);
    expect(index, DEAD_IS_DONE, 73);
    dead_index_free(index);
}

static void test_what_people_said_may_come_first(void **state)
{
    (void)state;
    struct dead_index *index = dead_index_new("dlq.g");
    add_discard(index, false);
    assert_int_equal(dead_index_count(index), 0);
    add_letter(index, 0, 5, 100);
    assert_int_equal(dead_index_count(index), 1);
    expect(index, DEAD_DISCARDED, 1);
    dead_index_free(index);
}

static struct lane_record note(int64_t fence, bool is_parked)
{
    return (struct lane_record){
        .kind = LANE_RECORD_NOTE,
        .fence = fence,
        .name = {slice_str("anna"), -1},
        .note = {.offset = orders.offset, .is_parked = is_parked},
    };
}

static bool is_parked(const struct lane_record *records, size_t count)
{
    struct dead_index *index = dead_index_new("dlq.g");
    add_letter(index, 0, 5, 100);
    for (size_t i = 0; i < count; i++) {
        add_lane(index, &records[i]);
    }
    add_lane(index, NULL);
    dead_index_settle(index);
    bool result = its(index)->is_lane_parked;
    dead_index_free(index);
    return result;
}

static void test_the_lane_is_closed_as_its_owner_says(void **state)
{
    (void)state;
    const struct lane_record marks[] = {{.kind = LANE_RECORD_MARK, .fence = 1},
                                        {.kind = LANE_RECORD_MARK, .fence = 2}};
    const struct lane_record closed = {
        .kind = LANE_RECORD_CLOSE, .fence = 2, .name = {slice_str("anna"), -1}};
    const struct lane_record of_another = {
        .kind = LANE_RECORD_CLOSE, .fence = 2, .name = {slice_str("bert"), -1}};
    const struct lane_record rows[][3] = {
        {marks[0], note(1, true), marks[1]},       {marks[1], note(2, true), closed},
        {marks[1], note(2, true), of_another},     {marks[1], note(2, true), note(2, false)},
        {marks[1], note(2, true), note(1, false)}, {marks[1], marks[0], note(1, true)},
    };
    const bool expected[] = {true, false, true, false, true, false};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(is_parked(rows[i], 3), expected[i]);
    }
}

/* --- redrives that owners have --- */

static void add_word(struct dead_index *index, int64_t serial, int64_t number)
{
    const struct lane_record_key key = {
        .id = {7, serial}, .topic = orders.topic, .partition = orders.partition};
    const struct lane_record record = {
        .kind = LANE_RECORD_WORD,
        .word = {.verb = LANE_SAY_REDRIVE, .head = orders.offset, .number = number}};
    assert_true(dead_index_lane(index, &key, &record));
}

static void erase_word(struct dead_index *index, int64_t serial)
{
    const struct lane_record_key key = {
        .id = {7, serial}, .topic = orders.topic, .partition = orders.partition};
    assert_true(dead_index_lane(index, &key, NULL));
}

static void add_answer(struct dead_index *index, int64_t serial, enum lane_outcome outcome,
                       int64_t fence)
{
    const struct lane_record record = {.kind = LANE_RECORD_ANSWER,
                                       .fence = fence,
                                       .answer = {.word = {7, serial}, .outcome = outcome}};
    add_lane(index, &record);
}

static void add_redriven(struct dead_index *index, int64_t number, enum lane_redriven how)
{
    const struct lane_record record = {.kind = LANE_RECORD_REDRIVEN,
                                       .fence = 2,
                                       .offset = orders.offset,
                                       .number = number,
                                       .redriven = how};
    add_lane(index, &record);
}

static void test_an_owner_has_it_until_it_answers(void **state)
{
    (void)state;
    const struct lane_record mark = {.kind = LANE_RECORD_MARK, .fence = 2};
    struct dead_index *index = dead_index_new("dlq.g");
    add_letter(index, 0, 5, 100);
    add_lane(index, &mark);
    add_redrive(index, 1, DEAD_ASKED);
    add_word(index, 1, 1);
    expect(index, DEAD_RUNNING, 2);
    add_answer(index, 1, LANE_CARRIED_OUT, 1); /* of who owned no more */
    expect(index, DEAD_RUNNING, 2);
    add_answer(index, 1, LANE_FAILED_AGAIN, 2);
    expect(index, DEAD_AGAIN, 2);
    add_word(index, 2, 2); /* the command that sent it is gone, and wrote nothing */
    expect(index, DEAD_RUNNING, 3);
    add_answer(index, 2, LANE_REFUSED, 2);
    expect(index, DEAD_AGAIN, 3);
    add_word(index, 3, 3);
    erase_word(index, 3); /* taken back */
    expect(index, DEAD_AGAIN, 4);
    assert_int_equal(dead_case_failed(its(index)), 1);
    add_word(index, 4, 4);
    add_answer(index, 4, LANE_CARRIED_OUT, 2);
    erase_word(index, 4);
    expect(index, DEAD_IS_DONE, 5);
    dead_index_free(index);
}

static void test_what_owners_keep_is_enough(void **state)
{
    (void)state;
    struct dead_index *index = dead_index_new("dlq.g");
    add_letter(index, 0, 5, 100);
    add_redriven(index, 0, LANE_LEFT_DEAD); /* its lane was opened without it */
    expect(index, DEAD_OPEN, 1);
    add_redriven(index, 1, LANE_DEAD_AGAIN);
    expect(index, DEAD_AGAIN, 2);
    add_redrive(index, 1, DEAD_REFUSED); /* it was not tried, as its answer said */
    expect(index, DEAD_OPEN, 2);
    add_redriven(index, 2, LANE_LEFT_DEAD);
    expect(index, DEAD_OPEN, 3);
    add_redriven(index, 3, LANE_REDRIVEN_DONE);
    expect(index, DEAD_IS_DONE, 4);
    dead_index_free(index);
}

/* --- plans --- */

static void test_a_plan_has_what_can_be_tried(void **state)
{
    (void)state;
    static const enum dead_state states[] = {DEAD_OPEN,     DEAD_REQUESTED, DEAD_RUNNING,
                                             DEAD_IS_DONE,  DEAD_AGAIN,     DEAD_SENT_BACK,
                                             DEAD_DISCARDED};
    struct dead_plan plan;
    struct dead_index *index = dead_index_new("dlq.g");
    dead_plan_init(&plan);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct event record = event_blank();
        struct dead_letter letter = letter_at(0, (int64_t)i, 100);
        letter.offset = 50 - (int64_t)i;
        record.key = slice_str(i == 0 ? "a" : "b");
        letter.event = &record;
        assert_true(dead_index_letter(index, &letter));
        struct dead_seen seen = {.subject = {.letter = &letter},
                                 .state = states[i],
                                 .event = dead_event_of(&letter, "dlq.g")};
        seen.its = dead_index_find(index, &seen.event);
        dead_plan_take(&plan, &seen, false);
        letter.topic = (struct slice){0};
        dead_plan_take(&plan, &seen, false);
    }
    dead_plan_sort(&plan);
    assert_int_equal(plan.choices.count, 3);
    assert_int_equal(plan.lanes, 2);
    assert_int_equal(plan.nameless, 3);
    assert_int_equal(plan.passed[DEAD_IS_DONE], 2);
    assert_int_equal(plan.choices.items[0].event.offset, 46); /* the heads first */
    assert_int_equal(plan.choices.items[2].event.offset, 50);
    assert_int_equal(plan.choices.items[2].number, 1);
    assert_int_equal(dead_plan_check(&plan, index), 0);
    struct dead_fact fact = {.kind = DEAD_FACT_REDRIVE,
                             .event = plan.choices.items[0].event,
                             .number = 1,
                             .outcome = DEAD_FAILED};
    assert_true(dead_index_fact(index, &fact));
    fact = (struct dead_fact){.kind = DEAD_FACT_DISCARD, .event = plan.choices.items[1].event};
    assert_true(dead_index_fact(index, &fact));
    fact = (struct dead_fact){.kind = DEAD_FACT_REDRIVE,
                              .event = plan.choices.items[2].event,
                              .number = 1,
                              .outcome = DEAD_ASKED};
    assert_true(dead_index_fact(index, &fact)); /* by this plan, which was killed */
    assert_int_equal(dead_plan_check(&plan, index), 2);
    assert_int_equal(plan.choices.items[0].event.offset, 50);
    dead_plan_deinit(&plan);
    dead_index_free(index);
}

/* The owner died behind the letter and before its commit, so that its successor refuses. */
static void test_what_was_refused_is_asked_for_again_by_its_plan(void **state)
{
    (void)state;
    struct dead_index *index = dead_index_new("dlq.g");
    add_letter(index, 0, 5, 100);
    add_redrive(index, 3, DEAD_REFUSED);
    assert_int_equal(dead_case_planned_number(its(index), 3), 4);
    add_redrive(index, 4, DEAD_ASKED); /* and not sent: the same run again */
    assert_int_equal(dead_case_planned_number(its(index), 3), 4);
    add_redrive(index, 4, DEAD_REFUSED);
    assert_int_equal(dead_case_planned_number(its(index), 3), 5);
    add_redrive(index, 5, DEAD_FAILED); /* tried */
    assert_int_equal(dead_case_planned_number(its(index), 3), 0);
    assert_int_equal(dead_case_planned_number(its(index), 6), 6);
    add_redrive(index, 7, DEAD_ASKED); /* by another plan */
    assert_int_equal(dead_case_planned_number(its(index), 6), 0);
    dead_index_free(index);
}

/* --- groups --- */

static struct dead_case cases[3];

static void add_seen(struct dead_groups *groups, size_t i, const char *message,
                     enum dead_state state, const char *type)
{
    struct event record = event_blank();
    struct dead_letter letter = letter_at(0, (int64_t)i, 1700000000000 + (int64_t)i);
    letter.event = &record;
    letter.message = slice_str(message);
    letter.type = slice_str(type);
    snprintf(letter.fingerprint, sizeof letter.fingerprint, "%s", message);
    cases[i].first_died_ms = letter.died_ms - 10;
    const struct dead_seen seen = {.subject = {.letter = &letter},
                                   .its = &cases[i],
                                   .state = state,
                                   .event = orders,
                                   .closes_lane = true};
    dead_groups_add(groups, &seen);
}

static void test_groups_count_what_they_have(void **state)
{
    (void)state;
    struct dead_groups groups = {.by = DEAD_BY_CAUSE};
    add_seen(&groups, 0, "m1", DEAD_IS_DONE, "a");
    add_seen(&groups, 1, "m2", DEAD_OPEN, "b");
    add_seen(&groups, 2, "m1", DEAD_IS_DONE, "a");
    dead_groups_sort(&groups);
    const struct dead_group *first = groups.all, *second = first->hh.next;
    assert_string_equal(first->name, "m2"); /* what needs hands is first */
    assert_int_equal(second->count, 2);
    assert_int_equal(second->states[DEAD_IS_DONE], 2);
    assert_int_equal(second->lanes_closed, 2);
    assert_int_equal(second->type_count, 1);
    assert_int_equal(second->first_ms, 1700000000000 - 10);
    assert_int_equal(second->last_ms, 1700000000002);
    assert_null(second->hh.next);
    dead_groups_deinit(&groups);
}

static void test_groups_are_bounded(void **state)
{
    (void)state;
    struct dead_groups groups = {.by = DEAD_BY_TYPE};
    for (int i = 0; i < DEAD_GROUPS_MAX + 5; i++) {
        char type[24];
        snprintf(type, sizeof type, "t%d", i);
        add_seen(&groups, 0, "m", DEAD_OPEN, type);
    }
    add_seen(&groups, 0, "m", DEAD_OPEN, "t1");
    assert_int_equal(groups.left_out, 5);
    assert_int_equal(groups.total, DEAD_GROUPS_MAX + 6);
    dead_groups_deinit(&groups);
    groups = (struct dead_groups){.by = DEAD_BY_CAUSE};
    for (int i = 0; i < DEAD_TYPES_MAX + 1; i++) {
        char type[24];
        snprintf(type, sizeof type, "t%d", i);
        add_seen(&groups, 0, "m", DEAD_OPEN, type);
    }
    assert_true(groups.all->has_more_types);
    dead_groups_deinit(&groups);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letters_of_one_event_are_one),
        cmocka_unit_test(test_the_states_of_a_redrive),
        cmocka_unit_test(test_what_people_said_may_come_first),
        cmocka_unit_test(test_the_lane_is_closed_as_its_owner_says),
        cmocka_unit_test(test_an_owner_has_it_until_it_answers),
        cmocka_unit_test(test_what_owners_keep_is_enough),
        cmocka_unit_test(test_a_plan_has_what_can_be_tried),
        cmocka_unit_test(test_what_was_refused_is_asked_for_again_by_its_plan),
        cmocka_unit_test(test_groups_count_what_they_have),
        cmocka_unit_test(test_groups_are_bounded),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
