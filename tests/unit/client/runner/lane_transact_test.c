#include "../../unit.h"

#include "lane_fake.h"

/* Commits with what events caused, on a bus in memory: each event counts once, whatever fails. */

static int setup(void **state)
{
    fake_setup(state);
    struct fake *fake = *state;
    fake->settings.transacts = true;
    fake->settings.lanes.commit_interval_ms = 100;
    return 0;
}

static bool is_held(struct fake *fake)
{
    return fake->held != NULL;
}

/* What was published of a key, as "1 2 3 ". */
static void assert_published(struct fake *fake, const char *key, const char *expected)
{
    char *all = strdup(buf_cstr(&fake->published)), *rest = all, *word;
    char *its = calloc(1, strlen(all) + 1);
    size_t size = strlen(key);
    while ((word = strsep(&rest, " ")) != NULL) {
        if (strncmp(word, key, size) == 0 && word[size] == '/') {
            strcat(strcat(its, word + size + 1), " ");
        }
    }
    assert_string_equal(its, expected);
    free(its);
    free(all);
}

static void publish_two_keys(struct fake *fake)
{
    for (int i = 0; i < 6; i++) {
        fake_publish(fake, 0, i % 2 == 0 ? "a" : "b", "ok");
    }
}

static void assert_each_once(struct fake *fake)
{
    assert_published(fake, "a", "0 2 4 ");
    assert_published(fake, "b", "1 3 5 ");
}

static void test_what_events_cause_counts_with_the_commit(void **state)
{
    struct fake *fake = *state;
    publish_two_keys(fake);
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    assert_each_once(fake);
    assert_int_equal(fake->refused + fake->given_back, 0);
    fake_stop(fake);
    assert_int_equal(fake->lines.size, 0);
}

/* Many events a transaction, and none is made for an event alone while others come. */
static void test_keys_share_a_transaction(void **state)
{
    struct fake *fake = *state;
    char key[16];
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "k%d", i);
        fake_publish(fake, 0, key, "ok");
    }
    fake_start(fake);
    fake_until(fake, fake_all_committed, 1);
    assert_true(fake->largest > 50);
    assert_true(fake->transactions < 20);
    fake_stop(fake);
}

static void test_what_fails_is_not_seen(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "fail 3");
    fake_publish(fake, 0, "a", "ok");
    fake_start(fake);
    fake_until(fake, fake_all_committed, 50);
    assert_published(fake, "a", "0 1 ");
    fake_stop(fake);
}

static void test_an_aborted_transaction_is_sent_again(void **state)
{
    struct fake *fake = *state;
    publish_two_keys(fake);
    fake->outcomes[0] = fake->outcomes[1] = fake->outcomes[2] = LANE_ABORTED;
    fake_start(fake);
    fake_turns(fake, 20, 20); /* owned by now */
    fake->outcome_count = 3;
    fake_publish(fake, 0, "c", "ok");
    fake_turns(fake, 200, 10);
    assert_true(fake_all_committed(fake));
    assert_each_once(fake);
    assert_published(fake, "c", "6 ");
    assert_int_equal(fake->refused + fake->given_back, 0);
    char *effects = fake_effects(fake);
    assert_null(strstr(strstr(effects, "c6") + 1, "c6")); /* its handler is not called again */
    free(effects);
    fake_stop(fake);
    assert_non_null(strstr(buf_cstr(&fake->lines), "are not committed"));
    assert_non_null(strstr(buf_cstr(&fake->lines), "committed again"));
}

static void refuse_one(struct fake *fake, bool knows)
{
    char key[16];
    fake->knows_refused = knows;
    fake->refused_offset = 7;
    fake->settings.lanes.attempts = 3;
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "k%d", i % 20);
        fake_publish(fake, 0, key, "ok");
    }
    fake_start(fake);
}

static bool has_letter(struct fake *fake)
{
    return fake->letters.count > 0;
}

static bool others_are_done(struct fake *fake)
{
    size_t count = 0;
    for (const char *at = buf_cstr(&fake->published); (at = strchr(at, ' ')) != NULL; at++) {
        count++;
    }
    return count >= 38;
}

/* An attempt of the event that caused it, and of no other one. */
static void assert_one_refused(struct fake *fake)
{
    fake_until(fake, others_are_done, 10);
    for (int i = 0; i < 30 && !has_letter(fake); i++) { /* others succeed meanwhile */
        fake_publish(fake, 0, "other", "ok");
        fake_turns(fake, 10, 20);
    }
    assert_true(has_letter(fake));
    assert_non_null(strstr(buf_cstr(&fake->letters.items[0]), "k7 "));
    assert_non_null(strstr(buf_cstr(&fake->letters.items[0]), "was not kept: too large"));
    assert_int_equal(fake->refused, 3);
    assert_published(fake, "k7", "");
    assert_published(fake, "k6", "6 26 ");
    assert_published(fake, "k8", "8 28 ");
    fake_stop(fake);
}

static void test_what_is_refused_is_an_attempt_of_its_cause(void **state)
{
    refuse_one(*state, true);
    assert_one_refused(*state);
}

static void test_what_is_refused_together_is_found_by_halves(void **state)
{
    refuse_one(*state, false);
    assert_one_refused(*state);
}

static void end_unknown(struct fake *fake, bool was_committed)
{
    publish_two_keys(fake);
    fake->holds = true;
    fake_start(fake);
    fake_until(fake, is_held, 10);
    fake->outcomes[0] = LANE_UNKNOWN;
    fake->outcome_count = 1;
    fake->commits_unknown = was_committed;
    fake_go_on(fake);
    fake_until(fake, fake_all_committed, 10);
    assert_each_once(fake);
    fake_stop(fake);
    assert_non_null(strstr(buf_cstr(&fake->lines), "is not known for sure"));
}

static void test_one_that_was_committed_unheard_is_not_done_again(void **state)
{
    end_unknown(*state, true);
}

static void test_one_that_was_lost_is_done_again(void **state)
{
    end_unknown(*state, false);
}

/* Killed between the commit and its answer. */
static void test_who_comes_next_does_not_repeat_what_was_committed(void **state)
{
    struct fake *fake = *state;
    publish_two_keys(fake);
    fake_start(fake);
    fake_turns(fake, 20, 20);
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "b", "ok");
    fake->holds = true;
    fake_until(fake, is_held, 10);
    fake_kill(fake); /* it is refused then */
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    assert_published(fake, "a", "0 2 4 6 ");
    assert_published(fake, "b", "1 3 5 7 ");
    assert_true(fake->given_back > 0);
    fake_stop(fake);
}

static void test_a_partition_that_goes_is_committed_before(void **state)
{
    struct fake *fake = *state;
    publish_two_keys(fake);
    fake_start(fake);
    fake_turns(fake, 5, 0); /* the clock stands */
    fake_revoke(fake, 0, false);
    int64_t committed = fake->partitions[0].committed;
    size_t published = fake->published.size;
    fake_turns(fake, 5, 100);
    assert_int_equal(fake->published.size, published);
    fake_assign(fake, 0);
    fake_until(fake, fake_all_committed, 10);
    assert_true(committed > 0 || published == 0);
    assert_each_once(fake);
    fake_stop(fake);
}

static void test_the_end_commits_what_is_done(void **state)
{
    struct fake *fake = *state;
    fake_start(fake);
    fake_turns(fake, 10, 20);
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "b", "later");
    fake_turns(fake, 5, 0);
    fake_say_later(fake);
    fake_stop(fake);
    assert_published(fake, "a", "0 ");
    assert_published(fake, "b", "1 ");
    assert_true(fake_all_committed(fake));
}

/* Its text has no room for what is done: records say it, until the offset is behind. */
static void test_what_the_commit_cannot_tell_is_recorded(void **state)
{
    struct fake *fake = *state;
    char key[16];
    fake->settings.lanes.metadata_bytes = 40;
    fake->settings.lanes.workers = 40;
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "k%d", i);
        fake_publish(fake, 0, key, i % 2 == 0 ? "wait" : "ok");
    }
    fake_start(fake);
    fake_turns(fake, 30, 20);
    assert_true(fake_count(fake, LANE_RECORD_DONE) > 0);
    fake_kill(fake);
    fake_open_gate(fake);
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    for (int i = 0; i < 60; i++) {
        char once[16];
        snprintf(key, sizeof key, "k%d", i);
        snprintf(once, sizeof once, "%d ", i);
        assert_published(fake, key, once);
    }
    fake_turns(fake, 30, 100);
    assert_int_equal(fake_count(fake, LANE_RECORD_DONE), 0);
    assert_int_equal(fake_count(fake, LANE_RECORD_FORGET), 0);
    fake_stop(fake);
}

static bool is_set_aside(struct fake *fake)
{
    return fake_count(fake, LANE_RECORD_ASIDE) == 2;
}

static bool is_one_recorded(struct fake *fake)
{
    return strstr(buf_cstr(&fake->published), "p/1 ") != NULL;
}

/* Behind a poison event that is skipped two were set aside; killed as soon as the first of them is
 * committed. */
static void test_what_was_set_aside_is_done_once(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "p", "poison");
    fake_publish(fake, 0, "p", "ok");
    fake_publish(fake, 0, "p", "ok");
    fake_publish(fake, 0, "q", "ok");
    fake_start(fake);
    fake_until(fake, is_set_aside, 20);
    const struct lane_word skip = {
        .verb = LANE_SAY_SKIP, .name = {.key = slice_str("p"), .offset = -1}, .letter = {-1, -1}};
    fake_say(fake, &skip);
    fake_until(fake, is_one_recorded, 20);
    fake_kill(fake);
    fake_start(fake);
    fake_until(fake, fake_all_committed, 20);
    fake_turns(fake, 60, 100);
    assert_published(fake, "p", "1 2 ");
    assert_int_equal(fake_count(fake, LANE_RECORD_ASIDE), 0);
    assert_int_equal(fake_count(fake, LANE_RECORD_DONE), 0);
    fake_stop(fake);
}

static bool is_redriven(struct fake *fake)
{
    return strstr(buf_cstr(&fake->published), "p/0 ") != NULL;
}

/* Killed when its transaction is committed, and its lane not opened yet. */
static void test_a_redrive_that_was_committed_opens_its_lane(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "p", "poison");
    fake_publish(fake, 0, "p", "ok");
    fake_start(fake);
    fake_until(fake, has_letter, 20);
    fake_turns(fake, 30, 100);
    fake_open_gate(fake);
    fake->holds = true;
    const struct lane_word redrive = {.verb = LANE_SAY_REDRIVE,
                                      .name = {.key = slice_str("p"), .offset = -1},
                                      .letter = {0, 0},
                                      .number = 1};
    int64_t word = fake_say(fake, &redrive);
    fake_until(fake, is_held, 20);
    fake_go_on(fake);
    assert_true(is_redriven(fake));
    fake->fails_appends = 1000; /* it dies before it could write more */
    fake_kill(fake);
    fake->fails_appends = 0;
    fake_open_gate(fake);
    fake_start(fake);
    fake_until(fake, fake_all_committed, 20);
    fake_turns(fake, 60, 100);
    assert_published(fake, "p", "0 1 ");
    assert_int_equal(fake_answer(fake, word, NULL), LANE_CARRIED_OUT);
    assert_int_equal(fake_count(fake, LANE_RECORD_NOTE), 0);
    fake_stop(fake);
}

static void test_of_a_lost_partition_nothing_is_published(void **state)
{
    struct fake *fake = *state;
    publish_two_keys(fake);
    fake_start(fake);
    fake->holds = true;
    fake_turns(fake, 10, 20);
    fake_revoke(fake, 0, true);
    fake_go_on(fake);
    fake_turns(fake, 5, 100);
    assert_int_equal(fake->published.size, 0);
    fake_assign(fake, 0);
    fake_until(fake, fake_all_committed, 10);
    assert_each_once(fake);
    fake_stop(fake);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_events_cause_counts_with_the_commit, setup,
                                        fake_teardown),
        cmocka_unit_test_setup_teardown(test_keys_share_a_transaction, setup, fake_teardown),
        cmocka_unit_test_setup_teardown(test_what_fails_is_not_seen, setup, fake_teardown),
        cmocka_unit_test_setup_teardown(test_an_aborted_transaction_is_sent_again, setup,
                                        fake_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_refused_is_an_attempt_of_its_cause, setup,
                                        fake_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_refused_together_is_found_by_halves, setup,
                                        fake_teardown),
        cmocka_unit_test_setup_teardown(test_one_that_was_committed_unheard_is_not_done_again,
                                        setup, fake_teardown),
        cmocka_unit_test_setup_teardown(test_one_that_was_lost_is_done_again, setup, fake_teardown),
        cmocka_unit_test_setup_teardown(test_who_comes_next_does_not_repeat_what_was_committed,
                                        setup, fake_teardown),
        cmocka_unit_test_setup_teardown(test_a_partition_that_goes_is_committed_before, setup,
                                        fake_teardown),
        cmocka_unit_test_setup_teardown(test_the_end_commits_what_is_done, setup, fake_teardown),
        cmocka_unit_test_setup_teardown(test_what_the_commit_cannot_tell_is_recorded, setup,
                                        fake_teardown),
        cmocka_unit_test_setup_teardown(test_what_was_set_aside_is_done_once, setup, fake_teardown),
        cmocka_unit_test_setup_teardown(test_a_redrive_that_was_committed_opens_its_lane, setup,
                                        fake_teardown),
        cmocka_unit_test_setup_teardown(test_of_a_lost_partition_nothing_is_published, setup,
                                        fake_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
