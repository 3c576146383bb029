#include "../unit.h"

#include "base/random.h"
#include "bus/story/story_json.h"
#include "bus/story/story_state.h"

/* What is said of a group and an event, from evidence that is made here: case by case, and of
 * random truths of which some evidence is lost, against the truth itself. */
enum { OFFSET = 100, T0 = 1700000000 };
static const int64_t at_ms = (int64_t)T0 * 1000;

static struct story_evidence_of_place place_here(void)
{
    return (struct story_evidence_of_place){
        .offset = OFFSET, .id = "id-1", .time_ms = at_ms, .start = 0, .end = 200};
}

static struct story_evidence_of_group group_at(int64_t committed)
{
    return (struct story_evidence_of_group){.is_commit_known = true,
                                            .committed = committed,
                                            .a_second = -1,
                                            .members = 1,
                                            .is_read = true,
                                            .head = -1,
                                            .letter = {-1, -1}};
}

static struct outcome told(enum outcome_kind kind, int64_t time_ms)
{
    struct outcome outcome = outcome_blank(kind);
    outcome.time_ms = time_ms;
    outcome.id = "id-1";
    return outcome;
}

static struct story_verdict judge(const struct story_evidence_of_group *group)
{
    struct story_evidence_of_place place = place_here();
    struct story_verdict verdict;
    story_judge(&place, group, at_ms + 60000, &verdict);
    return verdict;
}

static bool has_note(const struct story_verdict *verdict, const char *part)
{
    for (size_t i = 0; i < verdict->note_count; i++) {
        if (strstr(verdict->notes[i].text, part) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_a_commit_in_front_of_it_says_not_yet(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(90);
    group.a_second = 5;
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_NOT_YET);
    assert_int_equal(verdict.evidence, STORY_PASSED);
    assert_int_equal(verdict.before, 10);
    assert_int_equal(verdict.left_ms, 2200);

    group.committed = OFFSET;
    verdict = judge(&group);
    assert_int_equal(verdict.before, 0);
    assert_true(has_note(&verdict, "the next one"));

    group.members = 0;
    group.is_read = false;
    verdict = judge(&group);
    assert_true(has_note(&verdict, "no member is there"));
    assert_int_equal(verdict.left_ms, -1); /* nobody goes on, however fast he was */

    group.members = 1;
    verdict = judge(&group);
    assert_true(has_note(&verdict, "no member reads its partition"));
    assert_int_equal(verdict.left_ms, -1);
}

static void test_a_commit_beyond_it_says_passed_and_when(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(101);
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_IS_PASSED);
    assert_int_equal(verdict.at_ms, 0);

    group.has_history = true;
    group.history = (struct commit_answer){.state = COMMIT_PASSED,
                                           .offset = 101,
                                           .committed_ms = at_ms + 900,
                                           .passed_ms = at_ms + 900,
                                           .not_before_ms = at_ms + 100};
    verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_IS_PASSED);
    assert_int_equal(verdict.evidence, STORY_PASSED);
    assert_int_equal(verdict.at_ms, at_ms + 900);
    assert_int_equal(verdict.note_count, 0);

    group.history.not_before_ms = 0;
    verdict = judge(&group);
    assert_true(has_note(&verdict, "may have begun behind"));
}

static void test_no_commit_says_not_yet_and_that_the_start_is_not_known(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(-1);
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_NOT_YET);
    assert_int_equal(verdict.before, OFFSET);
    assert_true(has_note(&verdict, "committed nothing"));
}

static void test_a_commit_of_another_life_of_the_topic_passes_nothing(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(5000);
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_NOT_YET);
    assert_true(has_note(&verdict, "earlier topic"));

    group = group_at(150);
    group.has_history = true;
    group.history = (struct commit_answer){
        .state = COMMIT_PASSED, .committed_ms = at_ms - 90000, .passed_ms = at_ms - 90000};
    verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_UNKNOWN);

    group.history.committed_ms = at_ms + 10; /* then only when it was is not known */
    verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_IS_PASSED);
    assert_int_equal(verdict.at_ms, 0);
}

static void test_what_was_told_of_another_event_at_its_place_does_not_count(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(90);
    struct outcome outcome = told(OUTCOME_DONE, at_ms + 10);
    outcome.id = "another";
    group.told = &outcome;
    group.told_count = 1;
    assert_int_equal(judge(&group).state, STORY_NOT_YET);

    outcome = told(OUTCOME_DONE, at_ms - 100000);
    assert_int_equal(judge(&group).state, STORY_NOT_YET);

    outcome = told(OUTCOME_DONE, at_ms + 10);
    assert_int_equal(judge(&group).state, STORY_DONE);
}

static void test_a_failure_waits_with_attempt_reason_and_next_try(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(OFFSET);
    struct outcome outcome = told(OUTCOME_FAILED, at_ms + 500);
    outcome.counted = 2;
    outcome.most = 5;
    outcome.attempt = 3;
    outcome.next_ms = at_ms + 4500;
    outcome.error_class = "Timeout";
    outcome.message = "the bank is away";
    group.told = &outcome;
    group.told_count = 1;
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_WAITING);
    assert_int_equal(verdict.evidence, STORY_TOLD);
    assert_int_equal(verdict.attempt, 2);
    assert_int_equal(verdict.most, 5);
    assert_int_equal(verdict.next_ms, at_ms + 4500);
    assert_string_equal(verdict.message, "the bank is away");
}

static void test_a_failure_before_the_group_went_on_is_over(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(150);
    struct outcome outcome = told(OUTCOME_FAILED, at_ms + 500);
    group.told = &outcome;
    group.told_count = 1;
    group.lanes = group.letters = STORY_PART_KNOWN;
    assert_int_equal(judge(&group).state, STORY_IS_PASSED);

    group.lanes = STORY_PART_UNKNOWN; /* then it may be set aside */
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_WAITING);
    assert_true(has_note(&verdict, "may be over"));
}

static void test_what_is_set_aside_is_not_passed(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(150);
    group.lanes = group.letters = STORY_PART_KNOWN;
    group.has_lane = group.is_aside = true;
    group.head = 70;
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_BEHIND);
    assert_int_equal(verdict.behind, 70);

    group.head = OFFSET;
    group.attempts = 2;
    verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_WAITING);
    assert_int_equal(verdict.evidence, STORY_RECORDED);
    assert_int_equal(verdict.attempt, 2);

    group.is_aside = false; /* its lane goes on without it */
    group.head = 120;
    assert_int_equal(judge(&group).state, STORY_IS_PASSED);
}

static void test_a_lane_that_cannot_be_read_leaves_a_doubt(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(150);
    group.lanes = group.letters = STORY_PART_UNKNOWN;
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_IS_PASSED);
    assert_true(has_note(&verdict, "may be set aside"));
    assert_true(has_note(&verdict, "may be given up"));
}

static void test_dead_letters_say_what_became_of_it(void **state)
{
    (void)state;
    static const struct {
        enum dead_state dead;
        enum story_state state;
    } rows[] = {{DEAD_OPEN, STORY_DEAD},          {DEAD_REQUESTED, STORY_REDRIVING},
                {DEAD_RUNNING, STORY_REDRIVING},  {DEAD_IS_DONE, STORY_REDRIVEN},
                {DEAD_AGAIN, STORY_DEAD},         {DEAD_SENT_BACK, STORY_SENT_BACK},
                {DEAD_DISCARDED, STORY_DISCARDED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct story_evidence_of_group group = group_at(150);
        group.letters = group.lanes = STORY_PART_KNOWN;
        group.has_letter = true;
        group.dead = rows[i].dead;
        group.died_ms = at_ms + 900;
        group.dead_redrive = 2;
        group.letter = (struct dead_place){0, 7};
        group.error_class = "Refused";
        struct story_verdict verdict = judge(&group);
        assert_int_equal(verdict.state, rows[i].state);
        assert_int_equal(verdict.letter_offset, 7);
        assert_string_equal(verdict.error_class, "Refused");
        assert_int_equal(verdict.redrive, 2);
    }
}

static void test_a_group_that_went_back_has_it_before_it_again(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(50);
    struct outcome outcome = told(OUTCOME_DONE, at_ms + 100);
    group.told = &outcome;
    group.told_count = 1;
    group.has_history = true;
    group.history = (struct commit_answer){.state = COMMIT_BEFORE,
                                           .offset = 50,
                                           .committed_ms = at_ms + 5000,
                                           .passed_ms = at_ms + 200,
                                           .went_back_ms = at_ms + 5000};
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_NOT_YET);
    assert_int_equal(verdict.before, 50);
    assert_true(has_note(&verdict, "passed once before"));
    assert_true(has_note(&verdict, "went back"));
}

static void test_what_retention_took_before_it_was_read_is_gone(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(50);
    struct story_evidence_of_place place = place_here();
    struct story_verdict verdict;
    place.is_taken = true;
    place.start = 150;
    story_judge(&place, &group, at_ms, &verdict);
    assert_int_equal(verdict.state, STORY_GONE);
    assert_true(has_note(&verdict, "retention"));

    group.committed = 101;
    story_judge(&place, &group, at_ms, &verdict);
    assert_int_equal(verdict.state, STORY_IS_PASSED);
}

static void test_without_commits_nothing_is_known(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(-1);
    group.is_commit_known = false;
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_UNKNOWN);
    assert_true(has_note(&verdict, "could not be read"));
}

/* --- random truths --- */

enum phase { AHEAD, IN_HAND, FAILING, ASIDE, IS_DEAD, ASKED, IS_DONE };

struct truth {
    struct random random;
    int64_t now_ms;
    bool has_lanes;
    enum phase phase;
    int64_t committed;
    bool is_aside;
    int failures, redrives;
    bool was_done; /* since the group went back last */
    bool was_done_ever;
    bool is_taken;
    int64_t done_ms, died_ms, passed_ms, not_before_ms, last_commit_ms, went_back_ms;
    int64_t once_passed_ms;
    struct outcome told[64];
    size_t told_count;
};

static bool chance(struct truth *truth, unsigned percent)
{
    return random_below(&truth->random, 100) < percent;
}

static struct outcome *tell(struct truth *truth, enum outcome_kind kind)
{
    struct outcome *outcome = &truth->told[truth->told_count++];
    *outcome = told(kind, truth->now_ms);
    outcome->attempt = outcome->counted = truth->failures;
    outcome->most = 5;
    return outcome;
}

static void commit(struct truth *truth, int64_t offset)
{
    bool was_beyond = truth->committed > OFFSET;
    if (offset > OFFSET && !was_beyond) {
        truth->not_before_ms = truth->last_commit_ms;
        truth->passed_ms = truth->once_passed_ms = truth->now_ms;
    }
    truth->committed = offset;
    truth->last_commit_ms = truth->now_ms;
}

static void succeed(struct truth *truth)
{
    if (truth->failures > 0 || truth->phase == ASKED) {
        struct outcome *outcome =
            tell(truth, truth->phase == ASKED ? OUTCOME_REDRIVEN : OUTCOME_DONE);
        outcome->verdict = "done";
    }
    truth->is_aside = false;
    truth->was_done = truth->was_done_ever = true;
    truth->done_ms = truth->now_ms;
    truth->phase = IS_DONE;
}

static void fail_it(struct truth *truth)
{
    truth->failures++;
    tell(truth, OUTCOME_FAILED);
    truth->phase = truth->is_aside ? ASIDE : FAILING;
    if (truth->has_lanes && !truth->is_aside && chance(truth, 50)) {
        truth->is_aside = true;
        tell(truth, OUTCOME_ASIDE);
        truth->phase = ASIDE;
    }
}

static void die(struct truth *truth)
{
    bool is_redrive = truth->phase == ASKED;
    struct outcome *outcome = tell(truth, is_redrive ? OUTCOME_REDRIVEN : OUTCOME_DEAD);
    outcome->verdict = "dead";
    truth->is_aside = false;
    truth->died_ms = truth->now_ms;
    truth->phase = IS_DEAD;
}

/* The next thing that happens. */
static void happen(struct truth *truth)
{
    truth->now_ms += 1 + (int64_t)random_below(&truth->random, 4000);
    bool is_over = truth->phase >= ASIDE;
    switch (truth->phase) {
    case AHEAD:
        commit(truth, truth->committed < 0 ? 60 : truth->committed + 20);
        if (truth->committed >= OFFSET) {
            truth->committed = OFFSET;
            truth->phase = IN_HAND;
        }
        return;
    case IN_HAND:
    case FAILING:
        (chance(truth, 60) ? succeed : fail_it)(truth);
        return;
    case ASIDE:
    case IS_DEAD:
    case ASKED:
    case IS_DONE:
        break;
    }
    if (is_over && truth->committed <= OFFSET) {
        commit(truth, OFFSET + 1 + (int64_t)random_below(&truth->random, 50));
    } else if (truth->phase == ASIDE) {
        if (truth->failures >= 3 && chance(truth, 50)) {
            die(truth);
        } else {
            (chance(truth, 40) ? succeed : fail_it)(truth);
        }
    } else if (truth->phase == IS_DEAD && chance(truth, 50)) {
        truth->phase = ASKED;
        truth->redrives++;
    } else if (truth->phase == ASKED) {
        (chance(truth, 50) ? succeed : die)(truth);
    } else if (truth->phase == IS_DONE && truth->died_ms == 0 && chance(truth, 15)) {
        truth->went_back_ms = truth->last_commit_ms = truth->now_ms;
        truth->committed = 40;
        truth->phase = AHEAD;
        truth->failures = 0;
        truth->was_done = false;
    } else if (chance(truth, 10)) {
        truth->is_taken = true;
    }
}

static void live(struct truth *truth, uint64_t seed)
{
    *truth = (struct truth){.random = {seed}, .now_ms = at_ms, .committed = -1};
    truth->has_lanes = chance(truth, 70);
    size_t steps = random_below(&truth->random, 30);
    for (size_t i = 0; i < steps && truth->told_count < 60; i++) {
        happen(truth);
    }
    truth->now_ms += 1;
}

static void set_history(const struct truth *truth, struct story_evidence_of_group *group)
{
    bool is_beyond = truth->committed > OFFSET;
    group->has_history = true;
    group->history = (struct commit_answer){
        .state = truth->committed < 0 ? COMMIT_NEVER
                 : is_beyond          ? COMMIT_PASSED
                                      : COMMIT_BEFORE,
        .offset = truth->committed,
        .committed_ms = truth->last_commit_ms,
        .passed_ms = is_beyond ? truth->passed_ms : truth->once_passed_ms,
        .not_before_ms = is_beyond ? truth->not_before_ms : 0,
        .went_back_ms = !is_beyond && truth->once_passed_ms > 0 ? truth->went_back_ms : 0};
}

/* Evidence of the truth; some of it is lost. */
static void show(struct truth *truth, unsigned lost, struct story_evidence_of_place *place,
                 struct story_evidence_of_group *group, struct outcome *kept)
{
    *place = place_here();
    place->is_taken = truth->is_taken;
    place->start = truth->is_taken ? 150 : 0;
    *group = group_at(truth->committed);
    group->is_commit_known = !chance(truth, lost);
    if (!chance(truth, lost)) {
        set_history(truth, group);
    }
    group->told = kept;
    for (size_t i = 0; i < truth->told_count; i++) {
        if (!chance(truth, lost)) {
            kept[group->told_count++] = truth->told[i];
        }
    }
    if (truth->has_lanes) {
        group->lanes = chance(truth, lost) ? STORY_PART_UNKNOWN : STORY_PART_KNOWN;
        group->is_aside = group->has_lane = group->lanes == STORY_PART_KNOWN && truth->is_aside;
        group->head = group->is_aside ? OFFSET : -1;
        group->attempts = group->is_aside ? truth->failures : 0;
    }
    bool was_dead = truth->died_ms > 0;
    group->letters = !truth->has_lanes     ? STORY_PART_NONE
                     : chance(truth, lost) ? STORY_PART_UNKNOWN
                                           : STORY_PART_KNOWN;
    if (was_dead && group->letters == STORY_PART_KNOWN) {
        group->has_letter = true;
        group->died_ms = truth->died_ms;
        group->dead_redrive = truth->redrives;
        group->dead = truth->phase == ASKED     ? DEAD_REQUESTED
                      : truth->phase == IS_DONE ? DEAD_IS_DONE
                      : truth->redrives > 0     ? DEAD_AGAIN
                                                : DEAD_OPEN;
    }
}

/* Nothing is said that is false, whatever was lost. */
static void check_true(const struct truth *truth, const struct story_evidence_of_group *group,
                       const struct story_verdict *said)
{
    bool is_open = truth->phase == ASIDE || truth->phase == IS_DEAD || truth->phase == ASKED;
    bool all_read = group->lanes != STORY_PART_UNKNOWN && group->letters != STORY_PART_UNKNOWN;
    switch (said->state) {
    case STORY_DONE:
    case STORY_REDRIVEN:
        assert_true(truth->was_done_ever);
        assert_true(said->evidence == STORY_TOLD);
        assert_true(said->at_ms == 0 || said->at_ms == truth->done_ms || truth->went_back_ms > 0);
        if (group->has_history && group->history.state == COMMIT_BEFORE) {
            assert_true(truth->was_done); /* and not only before the group went back */
        }
        break;
    case STORY_IS_PASSED:
        assert_true(truth->committed > OFFSET);
        assert_true(said->at_ms == 0 || said->at_ms == truth->passed_ms);
        assert_true(!is_open || !all_read);
        assert_true(!is_open || has_note(said, "could not be read"));
        break;
    case STORY_NOT_YET:
        assert_true(truth->committed <= OFFSET);
        assert_int_equal(said->before, truth->committed < 0 ? OFFSET : OFFSET - truth->committed);
        break;
    case STORY_GONE:
        assert_true(truth->is_taken && truth->committed <= OFFSET);
        break;
    case STORY_DEAD:
        assert_true(truth->died_ms > 0);
        assert_true(group->letters != STORY_PART_KNOWN || truth->phase == IS_DEAD);
        break;
    case STORY_REDRIVING:
        assert_true(truth->phase == ASKED);
        break;
    case STORY_WAITING:
        assert_true(truth->failures > 0 || truth->went_back_ms > 0);
        assert_true(said->evidence != STORY_RECORDED || truth->phase == ASIDE);
        break;
    case STORY_UNKNOWN:
        assert_true(said->note_count > 0);
        break;
    default:
        fail_msg("nobody told of %s", story_state_name(said->state));
    }
}

static enum story_state state_of(const struct truth *truth)
{
    bool is_beyond = truth->committed > OFFSET;
    bool was_told = truth->failures > 0;
    switch (truth->phase) {
    case IS_DEAD:
        return STORY_DEAD;
    case ASKED:
        return STORY_REDRIVING;
    case ASIDE:
    case FAILING:
        return STORY_WAITING;
    case IS_DONE:
        return truth->died_ms > 0 ? STORY_REDRIVEN
               : was_told         ? STORY_DONE
               : is_beyond        ? STORY_IS_PASSED
                                  : STORY_NOT_YET; /* nothing tells it yet */
    case AHEAD:
    case IN_HAND:
        break;
    }
    return STORY_NOT_YET;
}

static void test_of_random_truths_nothing_false_is_said(void **state)
{
    (void)state;
    enum { SEEDS = 100000 };
    size_t known = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct truth truth;
        struct story_evidence_of_place place;
        struct story_evidence_of_group group;
        struct story_verdict verdict;
        struct outcome kept[64];
        live(&truth, seed);
        unsigned lost = (unsigned)(seed % 4) * 20;
        show(&truth, lost, &place, &group, kept);
        story_judge(&place, &group, truth.now_ms, &verdict);
        check_true(&truth, &group, &verdict);
        known += verdict.state != STORY_UNKNOWN;
        if (lost == 0 && truth.went_back_ms == 0 && !truth.is_taken) {
            if (verdict.state != state_of(&truth)) {
                fail_msg("seed %llu: %s, and it is %s", (unsigned long long)seed,
                         story_state_name(verdict.state), story_state_name(state_of(&truth)));
            }
        }
    }
    assert_true(known > SEEDS / 2);
}

static void test_a_group_whose_members_read_others_is_not_subscribed(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(90);
    group.is_elsewhere = true;
    group.is_read = false;
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_NOT_SUBSCRIBED);
    assert_int_equal(verdict.evidence, STORY_RECORDED);
    assert_true(has_note(&verdict, "it read the topic once"));
    group.committed = 101;
    assert_int_equal(judge(&group).state, STORY_IS_PASSED); /* what it has done it has done */

    group = group_at(-1);
    group.is_elsewhere = true;
    verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_NOT_SUBSCRIBED);
    assert_int_equal(verdict.note_count, 0);

    group = group_at(-1);
    group.members = 0;
    group.is_stranger = true;
    verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_NOT_SUBSCRIBED);
    assert_int_equal(verdict.evidence, STORY_INFERRED);
}

static void test_what_its_filter_leaves_out_is_skipped_once_it_came_by(void **state)
{
    (void)state;
    struct story_evidence_of_group group = group_at(101);
    group.filter = STORY_FILTER_PASSES;
    struct story_verdict verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_FILTERED);
    assert_int_equal(verdict.evidence, STORY_INFERRED); /* somebody else may have had it */
    assert_true(has_note(&verdict, "one that tells nothing may have been among them"));
    group.filter = STORY_FILTER_SOME;
    verdict = judge(&group);
    assert_int_equal(verdict.state, STORY_IS_PASSED);
    assert_true(has_note(&verdict, "the others do not tell what they take"));
    group.filter = STORY_FILTER_TAKES;
    assert_int_equal(judge(&group).state, STORY_IS_PASSED);
    group = group_at(90);
    group.filter = STORY_FILTER_PASSES;
    assert_int_equal(judge(&group).state, STORY_NOT_YET);
}

/* --- numbers that no sane client writes: the sanitizers look on --- */

static const int64_t odd[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
enum { ODDS = sizeof odd / sizeof odd[0] };

static int64_t any(struct random *random)
{
    return odd[random_below(random, ODDS)];
}

static void check_odd(struct random *random)
{
    struct outcome told_of =
        told((enum outcome_kind)random_below(random, OUTCOME_KINDS), any(random));
    told_of.next_ms = any(random);
    told_of.took_ms = any(random);
    told_of.behind = any(random);
    struct story_evidence_of_place place = {
        .offset = any(random), .time_ms = any(random), .start = any(random), .end = any(random)};
    struct story_evidence_of_group group = group_at(any(random));
    group.a_second = random_below(random, 2) == 0 ? 1e-300 : 1e300;
    group.has_history = random_below(random, 2) == 0;
    group.history = (struct commit_answer){.state = (enum commit_state)random_below(random, 3),
                                           .offset = any(random),
                                           .committed_ms = any(random),
                                           .passed_ms = any(random),
                                           .not_before_ms = any(random),
                                           .went_back_ms = any(random)};
    group.told = &told_of;
    group.told_count = random_below(random, 2);
    group.has_lane = group.is_aside = random_below(random, 4) == 0;
    group.lanes = STORY_PART_KNOWN;
    group.head = any(random);
    group.noted_ms = any(random);
    struct story_group said = {.group = "g"};
    story_judge(&place, &group, any(random), &said.verdict);
    if (said.verdict.state == STORY_IS_PASSED) {
        assert_true(group.committed > place.offset);
    }
    struct story story = {.now_ms = any(random), .indexed_ms = any(random)};
    struct story_event *event = vec_add(&story.events);
    event->event = event_blank();
    event->event.topic = "orders";
    event->event.offset = place.offset;
    event->event.timestamp_ms = place.time_ms;
    event->parent = event->copy_of = STORY_NONE;
    event->are_groups_known = true;
    vec_push(&event->groups, said);
    json_t *json = story_to_json(&story);
    assert_non_null(json);
    json_decref(json);
    story_deinit(&story);
}

static void test_odd_numbers_overflow_nothing(void **state)
{
    (void)state;
    struct random random = {11};
    for (int i = 0; i < 20000; i++) {
        check_odd(&random);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_commit_in_front_of_it_says_not_yet),
        cmocka_unit_test(test_a_commit_beyond_it_says_passed_and_when),
        cmocka_unit_test(test_no_commit_says_not_yet_and_that_the_start_is_not_known),
        cmocka_unit_test(test_a_commit_of_another_life_of_the_topic_passes_nothing),
        cmocka_unit_test(test_what_was_told_of_another_event_at_its_place_does_not_count),
        cmocka_unit_test(test_a_failure_waits_with_attempt_reason_and_next_try),
        cmocka_unit_test(test_a_failure_before_the_group_went_on_is_over),
        cmocka_unit_test(test_what_is_set_aside_is_not_passed),
        cmocka_unit_test(test_a_lane_that_cannot_be_read_leaves_a_doubt),
        cmocka_unit_test(test_dead_letters_say_what_became_of_it),
        cmocka_unit_test(test_a_group_that_went_back_has_it_before_it_again),
        cmocka_unit_test(test_what_retention_took_before_it_was_read_is_gone),
        cmocka_unit_test(test_without_commits_nothing_is_known),
        cmocka_unit_test(test_a_group_whose_members_read_others_is_not_subscribed),
        cmocka_unit_test(test_what_its_filter_leaves_out_is_skipped_once_it_came_by),
        cmocka_unit_test(test_odd_numbers_overflow_nothing),
        cmocka_unit_test(test_of_random_truths_nothing_false_is_said),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
