#include "../../unit.h"

#include "lane_fake.h"

/* The runner of key lanes on a bus in memory. */

static bool has_mark(struct fake *fake)
{
    return fake_count(fake, LANE_RECORD_MARK) > 0;
}

static bool has_letter(struct fake *fake)
{
    return fake->letters.count > 0;
}

static void test_keys_are_handled_in_order_and_committed(void **state)
{
    struct fake *fake = *state;
    for (int i = 0; i < 9; i++) {
        fake_publish(fake, 0, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : NULL, "ok");
    }
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    fake_assert_effects_of(fake, "a", "0 3 6 ");
    fake_assert_effects_of(fake, "b", "1 4 7 ");
    assert_int_equal(fake_count(fake, LANE_RECORD_MARK), 1);
    assert_int_equal(fake_count(fake, LANE_RECORD_ASIDE), 0);
    fake_stop(fake);
    assert_int_equal(fake->lines.size, 0);
}

static void test_what_nobody_handles_is_passed(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "foreign");
    fake_publish(fake, 0, "a", "ok");
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    fake_assert_effects(fake, "a1 ");
    fake_stop(fake);
}

static void test_a_failing_event_holds_back_its_key_only(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "fail 3");
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "b", "ok");
    fake_publish(fake, 0, "b", "ok");
    fake_start(fake);
    fake_until(fake, fake_all_committed, 50);
    fake_assert_effects_of(fake, "a", "0 1 ");
    fake_assert_effects(fake, "b2 b3 a0 a1 ");
    assert_int_equal(fake->letters.count, 0);
    fake_stop(fake);
}

enum { SHORT_ONES = 300 };

static void publish_short(struct fake *fake, int count)
{
    char key[16];
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "k%d", i);
        fake_publish(fake, 0, key, "ok");
    }
}

static size_t count_effects(struct fake *fake)
{
    size_t count = 0;
    for (const char *at = buf_cstr(&fake->effects); (at = strchr(at, ' ')) != NULL; at++) {
        count++;
    }
    return count;
}

static bool all_but_one_are_done(struct fake *fake)
{
    return count_effects(fake) == (size_t)2 * SHORT_ONES;
}

/* Short events are handed over many at a time; one that hangs among them keeps no other one. */
static void test_one_that_hangs_among_short_ones_keeps_nobody(void **state)
{
    struct fake *fake = *state;
    fake->settings.lanes.workers = 2;
    publish_short(fake, SHORT_ONES);
    fake_publish(fake, 0, "hangs", "wait");
    publish_short(fake, SHORT_ONES);
    fake_start(fake);
    fake_until(fake, all_but_one_are_done, 1);
    fake_turns(fake, 3, 1000);
    assert_int_equal(fake->partitions[0].committed, SHORT_ONES);
    fake_open_gate(fake);
    fake_until(fake, fake_all_committed, 10);
    fake_stop(fake);
}

static bool two_are_later(struct fake *fake)
{
    return fake->later.count == 2;
}

/* A worker is free for the next lane while what its handler says is to come; the lane waits. */
static void test_a_word_that_comes_later_holds_back_its_lane_only(void **state)
{
    struct fake *fake = *state;
    fake->settings.lanes.workers = 1;
    fake_publish(fake, 0, "a", "later");
    fake_publish(fake, 0, "b", "later");
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "c", "ok");
    fake_start(fake);
    fake_until(fake, two_are_later, 10);
    fake_turns(fake, 20, 500);
    fake_assert_effects(fake, "a0 b1 c3 ");
    assert_int_equal(fake->partitions[0].committed, 0);
    fake_say_later(fake);
    fake_until(fake, fake_all_committed, 10);
    fake_assert_effects(fake, "a0 b1 c3 a2 ");
    fake_stop(fake);
}

/* It may come after the partition is lost, and then changes nothing. */
static void test_a_word_that_comes_too_late_changes_nothing(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "later");
    fake_publish(fake, 0, "b", "later");
    fake_start(fake);
    fake_until(fake, two_are_later, 10);
    fake_revoke(fake, 0, true);
    fake_say_later(fake);
    fake_turns(fake, 3, 10);
    fake_stop(fake);
    assert_int_equal(fake->partitions[0].committed, 0);
}

static void publish_poison(struct fake *fake)
{
    fake_publish(fake, 0, "b", "ok");
    fake_publish(fake, 0, "a", "reject");
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "b", "ok");
    fake_publish(fake, 0, "a", "ok");
}

static bool is_parked(struct fake *fake)
{
    return fake_all_committed(fake) && fake_count(fake, LANE_RECORD_ASIDE) == 2;
}

static void test_a_poison_key_is_parked_and_the_others_go_on(void **state)
{
    struct fake *fake = *state;
    publish_poison(fake);
    fake_start(fake);
    fake_until(fake, is_parked, 10);
    fake_stop(fake);
    fake_assert_effects(fake, "b0 b3 ");
    assert_int_equal(fake->letters.count, 1);
    const char *letter = (const char *)fake->letters.items[0].data;
    const char *const parts[] = {
        "dlq.email a reject ce_type=Order", "__dlq.errors.topic=orders",
        "__dlq.errors.partition=0",         "__dlq.errors.offset=1",
        "__dlq.errors.group=email",         "__dlq.errors.delivery.count=1",
        "__dlq.errors.message=as told",     "tidings-dead-first-failure=2023",
        "tidings-dead-last-failure=2023",   "tidings-dead-handler=orders",
        "tidings-dead-error-class=test",    "tidings-dead-lane=closed"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_non_null(strstr(letter, parts[i]));
    }
    const char *lines = buf_cstr(&fake->lines);
    assert_non_null(strstr(lines, "given up: 1 event that closed its lane"));
    assert_non_null(strstr(lines, "the last orders/0@1 (key a); see dlq.email"));
    assert_non_null(strstr(lines, "set aside: 2 events behind others of the key; 1 lane is open"));
}

static void test_a_parked_lane_is_parked_after_a_restart(void **state)
{
    struct fake *fake = *state;
    publish_poison(fake);
    fake_start(fake);
    fake_until(fake, is_parked, 10);
    fake_kill(fake);
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "b", "ok");
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    fake_assert_effects(fake, "b0 b3 b6 ");
    assert_int_equal(fake_count(fake, LANE_RECORD_ASIDE), 3);
    assert_int_equal(fake->letters.count, 1);
    fake_turns(fake, 20, 1000);
    assert_int_equal(fake_count(fake, LANE_RECORD_MARK), 1); /* that of before is erased */
    fake_stop(fake);
}

static void test_of_a_topic_made_again_nothing_is_remembered(void **state)
{
    struct fake *fake = *state;
    publish_poison(fake);
    fake_start(fake);
    fake_until(fake, is_parked, 10);
    fake_make_again(fake, 0);
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "b", "ok");
    fake_until(fake, fake_all_committed, 10);
    fake_assert_effects_of(fake, "a", "0 ");
    fake_assert_effects_of(fake, "b", "0 3 1 ");
    assert_non_null(
        strstr(buf_cstr(&fake->lines), "what was set aside of it is forgotten (2 events)"));
    fake_turns(fake, 20, 100);
    for (int kind = LANE_RECORD_ASIDE; kind <= LANE_RECORD_REDRIVEN; kind++) {
        assert_int_equal(fake_count(fake, (enum lane_record_kind)kind), 0);
    }
    fake_stop(fake);
}

static void test_without_key_a_poison_event_is_skipped(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, NULL, "reject");
    fake_publish(fake, 0, NULL, "ok");
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    fake_stop(fake);
    fake_assert_effects(fake, "1 ");
    assert_non_null(strstr((const char *)fake->letters.items[0].data, "tidings-dead-lane=open"));
    assert_non_null(
        strstr(buf_cstr(&fake->lines), "given up: 0 events that closed their lane, 1 other,"));
}

/* A lane that waits for long is set aside, and comes back from there. */
static void publish_slow(struct fake *fake, const char *value)
{
    fake_publish(fake, 0, "b", "ok");
    fake_publish(fake, 0, "a", value);
    fake_publish(fake, 0, "a", "ok");
    for (int i = 0; i < 40; i++) {
        fake_publish(fake, 0, "b", "ok"); /* so that it is no outage */
    }
    fake->settings.lanes.aside_after_ms = 1000;
}

static bool is_drained(struct fake *fake)
{
    return fake_all_committed(fake) && fake->lanes.count > 1 &&
           fake_count(fake, LANE_RECORD_ASIDE) == 0 && fake_count(fake, LANE_RECORD_FORGET) == 0 &&
           fake_count(fake, LANE_RECORD_NOTE) == 0 && fake_count(fake, LANE_RECORD_CLOSE) == 0 &&
           fake_count(fake, LANE_RECORD_REASON) == 0;
}

/* Publishes one more of b now and then: somebody succeeds. */
static bool is_drained_with_others(struct fake *fake)
{
    if (fake->now_ms % 7 == 0 && fake->partitions[0].events.count < 1000) {
        fake_publish(fake, 0, "b", "ok");
    }
    return fake_count(fake, LANE_RECORD_ASIDE) == 0 && fake->lanes.count > 4 && is_drained(fake);
}

static void test_a_lane_set_aside_comes_back_in_order_and_leaves_nothing(void **state)
{
    struct fake *fake = *state;
    publish_slow(fake, "fail 6");
    fake_start(fake);
    fake_until(fake, is_drained_with_others, 101);
    fake_assert_effects_of(fake, "a", "1 2 ");
    assert_int_equal(fake->letters.count, 0);
    fake_stop(fake);
}

static void test_an_event_set_aside_that_cannot_be_read_is_read_later(void **state)
{
    struct fake *fake = *state;
    publish_slow(fake, "fail 6");
    fake->fails_loads = 2;
    fake_start(fake);
    fake_until(fake, is_drained_with_others, 101);
    fake_assert_effects_of(fake, "a", "1 2 ");
    assert_non_null(strstr(buf_cstr(&fake->lines), "cannot be read (away)"));
    fake_stop(fake);
}

static void test_a_dead_letter_from_aside_says_why(void **state)
{
    struct fake *fake = *state;
    publish_slow(fake, "fail 1000");
    fake->settings.lanes.attempts = 4;
    fake->settings.lanes.aside_after_ms = 300;
    fake_start(fake);
    for (int i = 0; i < 4000 && fake->letters.count == 0; i++) {
        fake_publish(fake, 0, "b", "ok");
        fake_turns(fake, 1, 101);
    }
    assert_int_equal(fake->letters.count, 1);
    const char *letter = (const char *)fake->letters.items[0].data;
    assert_non_null(strstr(letter, "__dlq.errors.message=as told"));
    assert_non_null(strstr(letter, "__dlq.errors.delivery.count="));
    assert_non_null(strstr(letter, "tidings-dead-last-failure="));
    fake_stop(fake);
}

static void test_a_record_that_cannot_be_written_stalls_and_loses_nothing(void **state)
{
    struct fake *fake = *state;
    fake_start(fake);
    fake_until(fake, has_mark, 10);
    publish_poison(fake);
    fake->fails_appends = 7;
    fake_until(fake, has_letter, 10);
    fake_turns(fake, 30, 100);
    assert_int_equal(fake->partitions[0].committed, 1);
    fake_until(fake, is_parked, 1000);
    fake_assert_effects(fake, "b0 b3 ");
    const char *first = strstr(buf_cstr(&fake->lines), "cannot be written (no room)");
    assert_non_null(first);
    assert_null(strstr(first + 1, "cannot be written (no room)"));
    assert_non_null(strstr(first, "written again"));
    fake_stop(fake);
}

static void test_a_dead_letter_that_cannot_be_written_stalls_the_commit(void **state)
{
    struct fake *fake = *state;
    publish_poison(fake);
    fake->fails_burials = 3;
    fake_start(fake);
    fake_turns(fake, 200, 10);
    assert_int_equal(fake->partitions[0].committed, 1);
    assert_int_equal(fake->letters.count, 0);
    fake_until(fake, is_parked, 100);
    assert_int_equal(fake->letters.count, 1);
    assert_non_null(strstr(buf_cstr(&fake->lines),
                           "the dead letter of orders/0@1 (key a) cannot be written to dlq.email"));
    fake_stop(fake);
}

static bool is_told_down(struct fake *fake)
{
    return strstr(buf_cstr(&fake->lines), "handler orders is down") != NULL;
}

static void test_an_outage_is_told_once_and_so_is_its_end(void **state)
{
    struct fake *fake = *state;
    char key[8];
    for (int i = 0; i < 30; i++) {
        snprintf(key, sizeof key, "k%d-", i);
        fake_publish(fake, 0, key, "away");
    }
    fake_start(fake);
    fake_until(fake, is_told_down, 10);
    fake_turns(fake, 100, 1000);
    assert_int_equal(fake->partitions[0].committed, 0);
    fake_open_gate(fake);
    fake_until(fake, fake_all_committed, 100);
    fake_stop(fake);
    assert_int_equal(fake->letters.count, 0);
    const char *down = strstr(buf_cstr(&fake->lines), "handler orders is down");
    assert_null(strstr(down + 1, "handler orders is down"));
    assert_non_null(strstr(down, "handler orders is up again after"));
}

static void test_an_event_may_end_the_service(void **state)
{
    struct fake *fake = *state;
    struct client_error error;
    enum client_status status = CLIENT_OK;
    fake_publish(fake, 0, "a", "reject");
    fake->settings.lanes.with_key = LANE_STOP;
    fake_start(fake);
    for (int i = 0; i < 20000 && status == CLIENT_OK; i++) {
        status = lane_runner_turn(fake->runner, 5, &error);
        fake->now_ms += 10;
    }
    assert_int_equal(status, CLIENT_FATAL);
    assert_non_null(strstr(error.text, "orders/0@0 (key a) is given up (as told)"));
    fake_stop(fake);
    assert_int_equal(fake->letters.count, 0);
    assert_int_equal(fake->partitions[0].committed, 0);
}

static bool is_warned(struct fake *fake)
{
    return strstr(buf_cstr(&fake->lines), "the topic's retention comes near") != NULL;
}

static bool is_blocked_and_full(struct fake *fake)
{
    return fake->blocked == 1 && fake->partitions[0].is_paused;
}

static void test_retention_that_comes_near_is_told_while_the_intake_is_paused(void **state)
{
    struct fake *fake = *state;
    for (int i = 0; i < 2000; i++) {
        fake_publish(fake, 0, "a", i == 0 ? "wait" : "ok");
    }
    fake->settings.lanes.waiting_events = 1000;
    fake->settings.lanes.intake_events = 1000;
    fake->settings.lanes.aside_bytes = 1;
    fake_start(fake);
    fake_until(fake, is_blocked_and_full, 10);
    fake_turns(fake, 30, 60000); /* nothing is taken: nothing is told */
    assert_false(is_warned(fake));
    fake->start = 10;
    fake_turns(fake, 30, 60000); /* ten offsets in an hour: far away */
    assert_false(is_warned(fake));
    fake->start = 900;
    fake_turns(fake, 2, 60000);
    assert_true(is_warned(fake));
    const char *first = strstr(buf_cstr(&fake->lines), "comes near: it has reached 900, 900");
    assert_non_null(first);
    fake_turns(fake, 10, 60000);
    assert_null(strstr(strstr(buf_cstr(&fake->lines), "comes near") + 1, "comes near"));
    fake_open_gate(fake);
    fake_until(fake, fake_all_committed, 10);
    fake_stop(fake);
}

/* A log that is long is not in memory as a whole. */
static void test_who_reads_records_waits_for_room(void **state)
{
    struct fake *fake = *state;
    int posted = 0;
    fake_start(fake);
    fake_turns(fake, 1, 10);
    while (posted <= 100000 && lane_runner_has_room(fake->runner, 0)) {
        struct lane_mail *mail = lane_mail_new(LANE_MAIL_RECORD, NULL);
        mail->share = (struct lane_share){"orders", 0, 1000}; /* of an ownership that ended */
        lane_runner_post(fake->runner, mail);
        posted++;
    }
    assert_true(posted > 9000 && posted <= 10000); /* beside what the bus told */
    fake_turns(fake, 1, 10);
    assert_true(lane_runner_has_room(fake->runner, 0));
    fake_stop(fake);
}

static void test_a_run_ends_when_it_is_told(void **state)
{
    struct fake *fake = *state;
    struct client_error error;
    fake_start(fake);
    lane_runner_stop(fake->runner);
    assert_int_equal(lane_runner_run(fake->runner, &error), CLIENT_OK);
    lane_runner_free(fake->runner);
}

enum { STREAM_EVENTS = 5000, STREAM_HANGS = 4000, STREAM_LATER = 4500 };

static int words_of(const char *text)
{
    int count = 0;
    for (; *text != '\0'; text++) {
        count += *text == ' ';
    }
    return count;
}

/* Opens the gate when all others are done, and ends the run when these are, too. */
static void *watch_stream(void *argument)
{
    struct fake *fake = argument;
    pthread_mutex_lock(&fake->lock);
    while (words_of(buf_cstr(&fake->effects)) < STREAM_EVENTS - 2) {
        pthread_cond_wait(&fake->changed, &fake->lock);
    }
    pthread_mutex_unlock(&fake->lock);
    fake_open_gate(fake);
    pthread_mutex_lock(&fake->lock);
    while (words_of(buf_cstr(&fake->effects)) < STREAM_EVENTS) {
        pthread_cond_wait(&fake->changed, &fake->lock);
    }
    pthread_mutex_unlock(&fake->lock);
    lane_runner_stop(fake->runner);
    return NULL;
}

/* Those of a key, so many, came in the order of their offsets. */
static void assert_ascending(struct fake *fake, const char *key, int expected)
{
    char *effects = fake_effects(fake), *rest = effects, *word;
    int last = -1, count = 0;
    while ((word = strsep(&rest, " ")) != NULL) {
        if (strncmp(word, key, strlen(key)) == 0) {
            int offset = atoi(word + strlen(key));
            assert_true(offset > last);
            last = offset;
            count++;
        }
    }
    assert_int_equal(count, expected);
    free(effects);
}

/* Whoever reads handles short ones itself, and somebody else reads when one of them hangs. */
static void test_one_that_hangs_in_a_dense_stream_holds_up_its_lane_alone(void **state)
{
    struct fake *fake = *state;
    pthread_t watcher;
    struct client_error error;
    char key[16];
    for (int i = 0; i < STREAM_EVENTS; i++) {
        snprintf(key, sizeof key, "k%d-", i % 50);
        bool is_slow = i == STREAM_HANGS || i == STREAM_LATER;
        fake_publish(fake, 0, is_slow ? "slow-" : key, i == STREAM_HANGS ? "wait" : "ok");
    }
    fake_start(fake);
    assert_int_equal(pthread_create(&watcher, NULL, watch_stream, fake), 0);
    assert_int_equal(lane_runner_run(fake->runner, &error), CLIENT_OK);
    pthread_join(watcher, NULL);
    lane_runner_free(fake->runner);
    fake_assert_effects_of(fake, "slow-", "4000 4500 ");
    assert_ascending(fake, "k7-", STREAM_EVENTS / 50);
    assert_int_equal(fake->partitions[0].committed, STREAM_EVENTS);
}

static void assert_refused(struct fake *fake, const char *why)
{
    struct client_error error;
    struct lane_runner *runner;
    assert_int_equal(lane_runner_new(&fake->settings, &runner, &error), CLIENT_INVALID);
    assert_null(runner);
    assert_non_null(strstr(error.text, why));
    lane_settings_init(&fake->settings.lanes);
}

static void test_a_wrong_setting_names_itself(void **state)
{
    struct fake *fake = *state;
    fake->settings.lanes.workers = 0;
    assert_refused(fake, "workers: 0 is not within 1 and 10000");
    fake->settings.lanes.backoff_max_ms = 100;
    assert_refused(fake, "longest back-off: 100");
    fake->settings.lanes.metadata_bytes = 39;
    assert_refused(fake, "bytes of a commit's text: 39");
    fake->settings.lanes.handler_count = 2;
    static const char *const one[] = {"orders", NULL};
    fake->settings.handler_names = one;
    assert_refused(fake, "handler 1 has no name");
    fake->settings.group = "";
    assert_refused(fake, "the group has no name");
    fake->settings.group = "email";
    fake->settings.handle = NULL;
    assert_refused(fake, "nobody handles events");
}

#define RUNNER_TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(int argc, char **argv)
{

    const struct CMUnitTest tests[] = {
        RUNNER_TEST(test_keys_are_handled_in_order_and_committed),
        RUNNER_TEST(test_what_nobody_handles_is_passed),
        RUNNER_TEST(test_a_failing_event_holds_back_its_key_only),
        RUNNER_TEST(test_one_that_hangs_among_short_ones_keeps_nobody),
        RUNNER_TEST(test_a_word_that_comes_later_holds_back_its_lane_only),
        RUNNER_TEST(test_a_word_that_comes_too_late_changes_nothing),
        RUNNER_TEST(test_a_poison_key_is_parked_and_the_others_go_on),
        RUNNER_TEST(test_a_parked_lane_is_parked_after_a_restart),
        RUNNER_TEST(test_of_a_topic_made_again_nothing_is_remembered),
        RUNNER_TEST(test_without_key_a_poison_event_is_skipped),
        RUNNER_TEST(test_a_lane_set_aside_comes_back_in_order_and_leaves_nothing),
        RUNNER_TEST(test_an_event_set_aside_that_cannot_be_read_is_read_later),
        RUNNER_TEST(test_a_dead_letter_from_aside_says_why),
        RUNNER_TEST(test_a_record_that_cannot_be_written_stalls_and_loses_nothing),
        RUNNER_TEST(test_a_dead_letter_that_cannot_be_written_stalls_the_commit),
        RUNNER_TEST(test_an_outage_is_told_once_and_so_is_its_end),
        RUNNER_TEST(test_an_event_may_end_the_service),
        RUNNER_TEST(test_retention_that_comes_near_is_told_while_the_intake_is_paused),
        RUNNER_TEST(test_who_reads_records_waits_for_room),
        RUNNER_TEST(test_a_run_ends_when_it_is_told),
        RUNNER_TEST(test_one_that_hangs_in_a_dense_stream_holds_up_its_lane_alone),
        RUNNER_TEST(test_a_wrong_setting_names_itself),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
