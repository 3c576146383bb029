#include "../unit.h"
#include "fake_bus.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "bus/watch/commit_follower.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The history of commits as it comes out of a feed, over restarts, damage and a place that cannot
 * be written. */
static const int64_t BEGAN_MS = 1700000000000;

struct test {
    char dir[64];
    char *path;
    struct fake_bus bus;
    struct watch *watch;
    struct commit_history *history;
    struct commit_follower *follower;
};

static uint8_t *put_text(uint8_t *to, const char *text)
{
    store_be16(to, (uint16_t)strlen(text));
    memcpy(to + 2, text, strlen(text));
    return to + 2 + strlen(text);
}

/* Commits of "email" for partition 0 of "orders": at offset n of the log, n + 1, n seconds later.
 * Each tenth record is of a kind that nobody knows. */
static void fill(struct event *event, int source, int64_t offset, struct fake_slot *slot)
{
    (void)source;
    store_be16(slot->key, offset % 10 == 9 ? 99 : 1);
    uint8_t *at = put_text(put_text(slot->key + 2, "email"), "orders");
    store_be32(at, 0);
    event->key = slice_of(slot->key, (size_t)(at + 4 - slot->key));
    store_be16(slot->value, 3);
    store_be64(slot->value + 2, (uint64_t)offset + 1);
    store_be32(slot->value + 10, 0);
    at = put_text(slot->value + 14, "");
    store_be64(at, (uint64_t)(BEGAN_MS + offset * 1000));
    event->value = slice_of(slot->value, (size_t)(at + 8 - slot->value));
}

static void start(struct test *test)
{
    struct reason reason = {""};
    struct watch_settings watch = {
        .open_feed = fake_bus_open_feed, .context = &test->bus, .tick_ms = 1, .retry_ms = 1};
    struct commit_follower_settings settings = {.retry_ms = 1};
    test->watch = watch_new(&watch);
    test->history = commit_history_new(test->path);
    test->follower = commit_follower_new(&settings, test->history, test->watch);
    assert_int_equal(watch_start(test->watch, &reason), ERR_NONE);
}

static void stop(struct test *test)
{
    assert_true(watch_stop(test->watch, 30000));
    commit_follower_free(test->follower);
    commit_history_close(test->history);
    watch_free(test->watch);
}

static struct test *begin(void)
{
    struct test *test = mem_new(struct test);
    strcpy(test->dir, "/tmp/tidings-follower-XXXXXX");
    assert_non_null(mkdtemp(test->dir));
    test->path = mem_sprintf("%s/commits.db", test->dir);
    fake_bus_init(&test->bus);
    test->bus.fill = fill;
    test->bus.sources[0].topic = "__consumer_offsets";
    start(test);
    return test;
}

static void end(struct test *test)
{
    stop(test);
    assert_int_equal(file_remove_tree(file_ops_system(), test->dir, NULL), ERR_NONE);
    fake_bus_deinit(&test->bus);
    free(test->path);
    free(test);
}

static bool has_passed(struct test *test, int64_t offset, struct commit_answer *answer)
{
    struct reason reason;
    struct commit_key key = {slice_str("email"), slice_str("orders"), 0};
    return commit_history_find(test->history, &key, offset, answer, &reason) == ERR_NONE &&
           answer->state == COMMIT_PASSED;
}

static void test_a_commit_tells_when_an_event_was_passed(void **state)
{
    struct test *test = begin();
    struct commit_answer answer;
    (void)state;
    fake_bus_publish(&test->bus, 0, 105);
    wait_until(has_passed(test, 104, &answer));
    assert_true(has_passed(test, 50, &answer));
    assert_int_equal(answer.passed_ms, BEGAN_MS + 50000);
    assert_int_equal(answer.not_before_ms, BEGAN_MS + 48000); /* 49 is of no kind that is known */
    assert_false(has_passed(test, 105, &answer));
    wait_until(commit_follower_state(test->follower).level_ms > 0);
    assert_int_equal(commit_follower_state(test->follower).commits, 95);
    end(test);
}

static void test_it_goes_on_where_it_was_stopped(void **state)
{
    struct test *test = begin();
    struct commit_answer answer;
    (void)state;
    fake_bus_publish(&test->bus, 0, 50);
    wait_until(has_passed(test, 48, &answer));
    wait_until(commit_follower_state(test->follower).commits == 45);
    stop(test);
    start(test);
    fake_bus_publish(&test->bus, 0, 5);
    wait_until(has_passed(test, 54, &answer));
    assert_int_equal(commit_follower_state(test->follower).commits, 5);
    assert_true(has_passed(test, 7, &answer));
    assert_int_equal(answer.passed_ms, BEGAN_MS + 7000);
    end(test);
}

static void test_a_damaged_file_is_made_anew(void **state)
{
    struct test *test = begin();
    struct commit_answer answer;
    (void)state;
    fake_bus_publish(&test->bus, 0, 50);
    wait_until(has_passed(test, 48, &answer));
    stop(test);
    int fd = open(test->path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "this is no database", 19, 0), 19);
    close(fd);
    start(test);
    wait_until(has_passed(test, 48, &answer));
    assert_int_equal(commit_follower_state(test->follower).begun_anew, 1);
    end(test);
}

static void test_a_place_that_cannot_be_used_is_waited_for(void **state)
{
    struct test *test = begin();
    struct commit_answer answer;
    (void)state;
    stop(test);
    assert_int_equal(file_remove_tree(file_ops_system(), test->dir, NULL), ERR_NONE);
    start(test);
    wait_until(commit_follower_state(test->follower).is_failing);
    fake_bus_publish(&test->bus, 0, 50);
    assert_false(has_passed(test, 0, &answer));
    assert_int_equal(mkdir(test->dir, 0700), 0);
    wait_until(has_passed(test, 48, &answer));
    wait_until(!commit_follower_state(test->follower).is_failing);
    end(test);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_commit_tells_when_an_event_was_passed),
        cmocka_unit_test(test_it_goes_on_where_it_was_stopped),
        cmocka_unit_test(test_a_damaged_file_is_made_anew),
        cmocka_unit_test(test_a_place_that_cannot_be_used_is_waited_for),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
