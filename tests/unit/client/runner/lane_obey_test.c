/* Words of people, carried out by the runner of key lanes on a bus in memory. */
#include "../../unit.h"

#include "lane_fake.h"

/* --- what is said --- */

static struct lane_word word_of(enum lane_verb verb, int64_t head)
{
    return (struct lane_word){.verb = verb,
                              .name = {.key = slice_str("a"), .offset = -1},
                              .head = head,
                              .letter = {-1, -1},
                              .who = slice_str("bert"),
                              .why = slice_str("because")};
}

static int64_t say(struct fake *fake, enum lane_verb verb, int64_t head)
{
    struct lane_word word = word_of(verb, head);
    return fake_say(fake, &word);
}

static int64_t say_redrive(struct fake *fake, int64_t head, int64_t letter, int64_t number)
{
    struct lane_word word = word_of(LANE_SAY_REDRIVE, head);
    word.letter = (struct lane_letter){0, letter};
    word.number = number;
    return fake_say(fake, &word);
}

static bool has_answers(struct fake *fake)
{
    bool has_all = true;
    for (int64_t word = 1; word <= fake->words; word++) {
        has_all &= fake_answer(fake, word, NULL) != 0;
    }
    return has_all;
}

static void assert_answer(struct fake *fake, int64_t word, enum lane_outcome outcome,
                          const char *part)
{
    char text[200] = "";
    assert_int_equal(fake_answer(fake, word, text), outcome);
    if (strstr(text, part) == NULL) {
        fail_msg("'%s' is not in '%s'", part, text);
    }
}

/* --- what happens --- */

/* What lane_runner_settings.story is told, among the lines. */
static void note_story(void *context, const struct lane_story *story)
{
    struct fake *fake = context;
    buf_printf(
        &fake->lines, "story %s %lld: verdict %d redrive %lld letter %lld closes %d why %s\n",
        outcome_kind_name(story->kind), (long long)story->event->offset,
        story->said != NULL ? (int)story->said->verdict : -1, (long long)story->redrive,
        (long long)story->letter.offset, story->closes_lane, story->why != NULL ? story->why : "-");
}

static void assert_story(struct fake *fake, const char *text)
{
    if (strstr(buf_cstr(&fake->lines), text) == NULL) {
        fail_msg("no '%s' in: %s", text, buf_cstr(&fake->lines));
    }
}

static bool all_answered_and_committed(struct fake *fake)
{
    return fake_all_committed(fake) && has_answers(fake);
}

static bool has_letter(struct fake *fake)
{
    return fake->letters.count > 0;
}

static bool is_parked(struct fake *fake)
{
    return fake_count(fake, LANE_RECORD_NOTE) > 0 && fake_count(fake, LANE_RECORD_ASIDE) == 2 &&
           fake_all_committed(fake);
}

/* a1 is poison, and a2 and a4 stand behind it. */
static void park(struct fake *fake, const char *poison)
{
    fake_publish(fake, 0, "b", "ok");
    fake_publish(fake, 0, "a", poison);
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "b", "ok");
    fake_publish(fake, 0, "a", "ok");
    fake_start(fake);
    fake_until(fake, is_parked, 10);
    assert_int_equal(fake_count(fake, LANE_RECORD_REASON), 1);
}

static void test_a_parked_lane_is_opened_without_its_dead_head(void **state)
{
    struct fake *fake = *state;
    park(fake, "reject");
    int64_t wrong = say(fake, LANE_SAY_SKIP, 2); /* not what was seen */
    int64_t retry = say(fake, LANE_SAY_RETRY, -1);
    fake_until(fake, has_answers, 10);
    assert_answer(fake, wrong, LANE_NOTHING_TO_DO, "event 2 is not at the head");
    assert_answer(fake, retry, LANE_NOTHING_TO_DO, "event 1, is dead: redrive or skip it");
    fake_assert_effects_of(fake, "a", "");
    int64_t right = say(fake, LANE_SAY_SKIP, 1);
    fake_until(fake, all_answered_and_committed, 10);
    fake_turns(fake, 50, 10);
    assert_answer(fake, right, LANE_CARRIED_OUT, "open again without event 1");
    fake_assert_effects_of(fake, "a", "2 4 ");
    assert_non_null(strstr(buf_cstr(&fake->lines),
                           "word: skip of a lane of orders/0, key a, said by bert (because): "
                           "carried out"));
    assert_int_equal(fake_count(fake, LANE_RECORD_WORD), 0);
    assert_int_equal(fake_count(fake, LANE_RECORD_ANSWER), 3);
    fake_turns(fake, 10, LANE_ANSWER_KEPT_MS);
    assert_int_equal(fake_count(fake, LANE_RECORD_ANSWER), 0);
    fake_stop(fake);
}

static void test_a_lane_is_held_and_let_go_through_a_restart(void **state)
{
    struct fake *fake = *state;
    fake_start(fake);
    int64_t hold = say(fake, LANE_SAY_HOLD, -1); /* it has no event yet */
    fake_until(fake, has_answers, 10);
    assert_answer(fake, hold, LANE_CARRIED_OUT, "nothing of it is started");
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "b", "ok");
    fake_until(fake, fake_all_committed, 10);
    fake_kill(fake);
    fake_start(fake);
    fake_publish(fake, 0, "a", "ok");
    fake_until(fake, fake_all_committed, 10);
    fake_assert_effects_of(fake, "a", "");
    fake_assert_effects_of(fake, "b", "1 ");
    assert_int_equal(fake_count(fake, LANE_RECORD_REASON), 1);
    int64_t release = say(fake, LANE_SAY_RELEASE, -1);
    int64_t again = say(fake, LANE_SAY_RELEASE, -1);
    fake_until(fake, all_answered_and_committed, 10);
    fake_turns(fake, 20, 10);
    assert_answer(fake, release, LANE_CARRIED_OUT, "nobody holds it");
    assert_true(fake_answer(fake, again, NULL) != 0);
    assert_int_equal(fake_count(fake, LANE_RECORD_REASON), 0);
    fake_assert_effects_of(fake, "a", "0 2 ");
    fake_stop(fake);
}

/* The owner is killed between what it made of the word and the answer, at each record. */
static void test_what_is_not_answered_the_next_owner_carries_out(void **state)
{
    struct fake *fake = *state;
    park(fake, "reject");
    fake->fails_appends = 1000; /* nothing of what follows becomes durable */
    int64_t skip = say(fake, LANE_SAY_SKIP, 1);
    fake_turns(fake, 20, 10);
    assert_int_equal(fake_answer(fake, skip, NULL), 0);
    fake_kill(fake);
    fake->fails_appends = 0;
    assert_int_equal(fake_count(fake, LANE_RECORD_WORD), 1);
    fake_start(fake);
    fake_until(fake, all_answered_and_committed, 10);
    fake_turns(fake, 50, 10);
    assert_answer(fake, skip, LANE_CARRIED_OUT, "open again");
    assert_int_equal(fake_count(fake, LANE_RECORD_WORD), 0);
    char *effects = fake_effects(fake);
    assert_non_null(strstr(effects, "a4 "));
    assert_null(strstr(effects, "a1 "));
    free(effects);
    fake_stop(fake);
}

static bool is_waiting(struct fake *fake)
{
    return fake->partitions[0].events.items[0].tries >= 2;
}

static void test_a_head_that_waits_is_skipped_and_stays_skipped(void **state)
{
    struct fake *fake = *state;
    fake->settings.story = note_story;
    fake_publish(fake, 0, "a", "fail 1000");
    fake_publish(fake, 0, "a", "ok");
    fake_start(fake);
    fake_until(fake, is_waiting, 10);
    fake->refuses_commits = 3; /* its dead letter alone does not close it in its source */
    int64_t skip = say(fake, LANE_SAY_SKIP, 0);
    fake_until(fake, has_letter, 10);
    assert_int_equal(fake_answer(fake, skip, NULL), 0);
    fake_until(fake, all_answered_and_committed, 100);
    assert_answer(fake, skip, LANE_CARRIED_OUT, "event 0 is in the dead letters");
    fake_kill(fake);
    fake_start(fake);
    fake_turns(fake, 50, 100);
    fake_assert_effects_of(fake, "a", "1 ");
    assert_int_equal(fake->letters.count, 1);
    assert_non_null(strstr((const char *)fake->letters.items[0].data, "tidings-dead-lane=open"));
    fake_stop(fake);
    assert_story(fake, "story failed 0: verdict 1");
    assert_story(fake, "story waits 1: verdict -1");
    assert_story(fake, "story skipped 0: verdict 1 redrive -1 letter 0 closes 0 why because");
    assert_null(strstr(buf_cstr(&fake->lines), "story dead"));
}

/* Behind a restart a skip waits until its head has come from the source once more. */
static void test_a_skip_finds_its_head_after_a_restart(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "fail 1000");
    fake_publish(fake, 0, "a", "ok");
    fake_start(fake);
    fake_until(fake, is_waiting, 10);
    fake_kill(fake);
    int64_t skip = say(fake, LANE_SAY_SKIP, 0);
    fake_start(fake);
    fake_until(fake, all_answered_and_committed, 10);
    assert_answer(fake, skip, LANE_CARRIED_OUT, "event 0 is in the dead letters");
    fake_assert_effects_of(fake, "a", "1 ");
    fake_stop(fake);
}

static bool is_blocked(struct fake *fake)
{
    return fake->blocked > 0;
}

static void test_a_head_that_is_done_first_is_not_skipped(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "wait");
    fake_start(fake);
    fake_until(fake, is_blocked, 10);
    int64_t skip = say(fake, LANE_SAY_SKIP, 0);
    fake_turns(fake, 10, 10);
    assert_int_equal(fake_answer(fake, skip, NULL), 0);
    fake_open_gate(fake);
    fake_until(fake, all_answered_and_committed, 10);
    assert_answer(fake, skip, LANE_NOTHING_TO_DO, "done before it could be skipped");
    assert_int_equal(fake->letters.count, 0);
    fake_stop(fake);
}

/* --- redrives --- */

static bool is_through(struct fake *fake)
{
    return all_answered_and_committed(fake) && fake_count(fake, LANE_RECORD_ASIDE) == 0;
}

static void test_a_redrive_opens_its_lane_and_the_others_follow(void **state)
{
    struct fake *fake = *state;
    park(fake, "poison");
    fake_open_gate(fake);
    int64_t redrive = say_redrive(fake, 1, 0, 1);
    fake_until(fake, is_through, 10);
    assert_answer(fake, redrive, LANE_CARRIED_OUT, "done at attempt 1");
    fake_assert_effects_of(fake, "a", "1 2 4 ");
    assert_int_equal(fake->letters.count, 1);
    int64_t again = say_redrive(fake, 1, 0, 2);
    fake_until(fake, has_answers, 10);
    assert_answer(fake, again, LANE_NOTHING_TO_DO, "event 1 was not tried");
    fake_assert_effects_of(fake, "a", "1 2 4 ");
    fake_stop(fake);
    assert_non_null(strstr(buf_cstr(&fake->lines), "redriven: 1 dead event is done, 0"));
}

static void test_a_redrive_that_fails_leaves_a_new_letter_and_its_lane_closed(void **state)
{
    struct fake *fake = *state;
    fake->settings.story = note_story;
    park(fake, "poison");
    int64_t first = say_redrive(fake, 1, 0, 1);
    fake_until(fake, has_answers, 10);
    assert_answer(fake, first, LANE_FAILED_AGAIN, "test: as told");
    assert_int_equal(fake->redrive, 1);
    assert_int_equal(fake->letters.count, 2);
    const char *letter = (const char *)fake->letters.items[1].data;
    assert_non_null(strstr(letter, "tidings-dead-redrive=1"));
    assert_non_null(strstr(letter, "tidings-dead-lane=closed"));
    assert_non_null(strstr(letter, "ce_type=Order"));
    fake_assert_effects_of(fake, "a", "");
    fake_open_gate(fake);
    int64_t same = say_redrive(fake, 1, 0, 1); /* who sent it does not know how it ended */
    fake_until(fake, has_answers, 10);
    assert_answer(fake, same, LANE_FAILED_AGAIN, "redrive 1 of event 1 failed before");
    fake_assert_effects_of(fake, "a", "");
    int64_t next = say_redrive(fake, 1, 1, 2);
    fake_until(fake, is_through, 10);
    assert_answer(fake, next, LANE_CARRIED_OUT, "done at attempt 1");
    assert_int_equal(fake->redrive, 2);
    fake_assert_effects_of(fake, "a", "1 2 4 ");
    fake_stop(fake);
    assert_story(fake, "story dead 1: verdict 2 redrive -1 letter 0 closes 1 why -");
    assert_story(fake, "story aside 2: verdict -1 redrive -1 letter -1");
    assert_story(fake, "story redriven 1: verdict 2 redrive 1 letter 1");
    assert_story(fake, "story redriven 1: verdict 0 redrive 2 letter -1");
    assert_story(fake, "story done 2: verdict 0"); /* it was told to wait */
    assert_null(strstr(buf_cstr(&fake->lines), "story done 3"));
}

/* What was left dead by a word is not taken for one that its owner never gave up. */
static void test_what_was_skipped_can_be_redriven_later(void **state)
{
    struct fake *fake = *state;
    park(fake, "poison");
    say(fake, LANE_SAY_SKIP, 1);
    fake_until(fake, is_through, 10);
    fake_kill(fake);
    fake_open_gate(fake);
    fake_start(fake);
    int64_t redrive = say_redrive(fake, 1, 0, 1);
    fake_until(fake, has_answers, 10);
    assert_answer(fake, redrive, LANE_CARRIED_OUT, "done at attempt 1");
    fake_assert_effects_of(fake, "a", "2 4 1 ");
    fake_stop(fake);
}

static bool runs_again(struct fake *fake)
{
    return strstr(buf_cstr(&fake->effects), "a1") != NULL;
}

static void test_a_redrive_goes_on_with_the_next_owner(void **state)
{
    struct fake *fake = *state;
    park(fake, "poison");
    fake_open_gate(fake);
    int64_t redrive = say_redrive(fake, 1, 0, 1);
    fake->fails_appends = 1000;
    fake_until(fake, runs_again, 10); /* it is done, and nobody will know */
    fake_turns(fake, 20, 10);
    assert_int_equal(fake_answer(fake, redrive, NULL), 0);
    fake_kill(fake);
    fake_open_gate(fake);
    fake->fails_appends = 0;
    fake_start(fake);
    fake_until(fake, is_through, 10);
    assert_answer(fake, redrive, LANE_CARRIED_OUT, "done");
    char *effects = fake_effects(fake);
    assert_non_null(strstr(effects, "a1 a2 a4 ")); /* behind repeats of the first */
    free(effects);
    fake_stop(fake);
}

static void test_a_letter_that_is_not_there_or_not_of_the_event_is_refused(void **state)
{
    struct fake *fake = *state;
    park(fake, "poison");
    fake_open_gate(fake);
    fake->fails_letters = 2;
    int64_t gone = say_redrive(fake, 1, 9, 1);
    int64_t other = say_redrive(fake, 4, 0, 1);
    fake_until(fake, has_answers, 100);
    assert_answer(fake, gone, LANE_REFUSED, "there is no dead letter 0:9");
    assert_answer(fake, other, LANE_REFUSED, "0:0 is not of event 4 of orders/0");
    fake_assert_effects_of(fake, "a", "");
    assert_non_null(strstr(buf_cstr(&fake->lines), "the dead letter 0:0 cannot be read (away)"));
    fake_stop(fake);
}

/* Retention takes it while the intake stands. */
static void test_a_skip_of_what_never_comes_is_answered(void **state)
{
    struct fake *fake = *state;
    fake->settings.lanes.intake_events = 2;
    fake->settings.lanes.workers = 1;
    vec_reserve(&fake->partitions[0].events, 9); /* a handler stands in one meanwhile */
    for (int i = 0; i < 9; i++) {
        if (i == 3) { /* it is full, and the others stay where they are */
            fake_start(fake);
            fake_turns(fake, 10, 10);
        }
        fake_publish(fake, 0, "a", i == 0 ? "wait" : "ok");
    }
    fake->start = 8;
    int64_t gone = say(fake, LANE_SAY_SKIP, 7);
    int64_t to_come = say(fake, LANE_SAY_SKIP, 8);
    fake_turns(fake, 10, 10);
    assert_answer(fake, gone, LANE_NOTHING_TO_DO, "the partition begins at 8");
    assert_int_equal(fake_answer(fake, to_come, NULL), 0);
    fake_open_gate(fake);
    fake_until(fake, all_answered_and_committed, 10);
    fake_stop(fake);
}

static void test_of_a_topic_made_again_no_lane_is_meant(void **state)
{
    struct fake *fake = *state;
    park(fake, "reject");
    fake->fails_appends = 1000;
    int64_t skip = say(fake, LANE_SAY_SKIP, 1);
    fake_turns(fake, 10, 10);
    fake->fails_appends = 0;
    fake_make_again(fake, 0);
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "a", "ok");
    fake_until(fake, all_answered_and_committed, 10);
    assert_answer(fake, skip, LANE_REFUSED, "deleted and made again");
    fake_assert_effects_of(fake, "a", "2 4 0 1 "); /* it was carried out, and nobody was told */
    fake_stop(fake);
}

static void test_a_word_can_be_taken_back_while_it_waits(void **state)
{
    struct fake *fake = *state;
    fake_start(fake);
    int64_t skip = say(fake, LANE_SAY_SKIP, 5); /* there is no such event yet */
    fake_turns(fake, 10, 10);
    assert_int_equal(fake_answer(fake, skip, NULL), 0);
    fake_take_back(fake, skip);
    for (int i = 0; i < 8; i++) {
        fake_publish(fake, 0, "a", i == 5 ? "fail 3" : "ok");
    }
    fake_until(fake, fake_all_committed, 10);
    assert_int_equal(fake_answer(fake, skip, NULL), 0);
    fake_assert_effects_of(fake, "a", "0 1 2 3 4 5 6 7 ");
    fake_stop(fake);
}

#define OBEY_TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        OBEY_TEST(test_a_parked_lane_is_opened_without_its_dead_head),
        OBEY_TEST(test_a_lane_is_held_and_let_go_through_a_restart),
        OBEY_TEST(test_what_is_not_answered_the_next_owner_carries_out),
        OBEY_TEST(test_a_head_that_waits_is_skipped_and_stays_skipped),
        OBEY_TEST(test_a_skip_finds_its_head_after_a_restart),
        OBEY_TEST(test_a_head_that_is_done_first_is_not_skipped),
        OBEY_TEST(test_a_redrive_opens_its_lane_and_the_others_follow),
        OBEY_TEST(test_a_redrive_that_fails_leaves_a_new_letter_and_its_lane_closed),
        OBEY_TEST(test_what_was_skipped_can_be_redriven_later),
        OBEY_TEST(test_a_redrive_goes_on_with_the_next_owner),
        OBEY_TEST(test_a_letter_that_is_not_there_or_not_of_the_event_is_refused),
        OBEY_TEST(test_a_skip_of_what_never_comes_is_answered),
        OBEY_TEST(test_of_a_topic_made_again_no_lane_is_meant),
        OBEY_TEST(test_a_word_can_be_taken_back_while_it_waits),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
