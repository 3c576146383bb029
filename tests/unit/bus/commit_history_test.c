#include "../unit.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/vec.h"
#include "bus/watch/commit_history.h"
#include "bus/watch/commit_record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Commits of some groups, noted as they come, over crashes; what is said of an event later is
 * compared with what the list of all commits says.
 */
enum { KEYS = 4, EXACT_MS = 2000 };

struct commit {
    int64_t offset, time_ms;
};

struct world {
    char dir[64];
    char *path;
    struct commit_history *history;
    VEC(struct commit) commits[KEYS];
    VEC(int) order; /* whose each of them is, as in the topic of commits */
    int64_t now_ms;
    struct random random;
};

static struct commit_key key_of(int which)
{
    static const char *const groups[KEYS] = {"email", "email", "shipping", ""};
    static const char *const topics[KEYS] = {"orders", "stock", "orders", "orders"};
    return (struct commit_key){slice_str(groups[which]), slice_str(topics[which]), which % 2};
}

static void open_history(struct world *world)
{
    struct reason reason = {""};
    if (commit_history_open(world->path, &world->history, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
}

static struct world *begin(uint64_t seed)
{
    struct world *world = mem_new(struct world);
    strcpy(world->dir, "/tmp/tidings-commits-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->path = mem_sprintf("%s/commits.db", world->dir);
    world->random.state = seed;
    world->now_ms = 1700000000000;
    open_history(world);
    return world;
}

static void end(struct world *world)
{
    commit_history_close(world->history);
    assert_int_equal(file_remove_tree(file_ops_system(), world->dir, NULL), ERR_NONE);
    for (int i = 0; i < KEYS; i++) {
        vec_deinit(&world->commits[i]);
    }
    vec_deinit(&world->order);
    free(world->path);
    free(world);
}

static int below(struct world *world, int bound)
{
    return (int)random_below(&world->random, (uint64_t)bound);
}

/* A commit that moves the offset on, mostly; or back; or takes it away. */
static void commit(struct world *world)
{
    int which = below(world, KEYS);
    size_t count = world->commits[which].count;
    int64_t last = count == 0 ? 0 : world->commits[which].items[count - 1].offset;
    int what = below(world, 30);
    int64_t offset = what == 0 ? -1 : what == 1 ? below(world, 20) : last + below(world, 10);
    world->now_ms += below(world, 3) == 0 ? below(world, 5000) : below(world, 300);
    vec_push(&world->commits[which], (struct commit){offset, world->now_ms});
    vec_push(&world->order, which);
}

/* Notes what stands behind the place that the history knows. */
static void catch_up(struct world *world)
{
    size_t seen[KEYS] = {0};
    int64_t next = commit_history_read(world->history, 0);
    for (size_t i = 0; i < world->order.count; i++) {
        int which = world->order.items[i];
        const struct commit *commit = &world->commits[which].items[seen[which]++];
        if ((int64_t)i >= next) {
            struct commit_key key = key_of(which);
            commit_history_note(world->history, &key, commit->offset, commit->time_ms);
        }
    }
    commit_history_set_read(world->history, 0, (int64_t)world->order.count);
}

static int64_t committed_at(const struct world *world, int which, int64_t time_ms)
{
    int64_t offset = -1;
    for (size_t i = 0; i < world->commits[which].count; i++) {
        const struct commit *commit = &world->commits[which].items[i];
        offset = commit->time_ms <= time_ms ? commit->offset : offset;
    }
    return offset;
}

/* When the group came beyond the offset for the last time before `until_ms`; 0: never. */
static int64_t passed_before(const struct world *world, int which, int64_t offset, int64_t until_ms)
{
    int64_t passed_ms = 0;
    bool is_beyond = false;
    for (size_t i = 0; i < world->commits[which].count; i++) {
        const struct commit *commit = &world->commits[which].items[i];
        if (commit->time_ms <= until_ms && commit->offset > offset && !is_beyond) {
            passed_ms = commit->time_ms;
        }
        is_beyond = commit->offset > offset;
    }
    return passed_ms;
}

static void check_one(struct world *world, int which, int64_t offset)
{
    struct commit_key key = key_of(which);
    struct commit_answer answer;
    struct reason reason = {""};
    size_t count = world->commits[which].count;
    assert_int_equal(commit_history_find(world->history, &key, offset, &answer, &reason), ERR_NONE);
    if (count == 0) {
        assert_int_equal(answer.state, COMMIT_NEVER);
        return;
    }
    int64_t now = world->commits[which].items[count - 1].offset;
    assert_int_equal(answer.offset, now);
    assert_int_equal(answer.state, now > offset ? COMMIT_PASSED : COMMIT_BEFORE);
    if (now > offset) {
        int64_t truth_ms = passed_before(world, which, offset, INT64_MAX);
        assert_in_range(answer.passed_ms, truth_ms, truth_ms + EXACT_MS);
        assert_true(committed_at(world, which, answer.passed_ms) > offset);
        assert_int_equal(answer.went_back_ms, 0);
    } else if (answer.passed_ms > 0) {
        assert_true(committed_at(world, which, answer.passed_ms) > offset);
        assert_true(answer.went_back_ms >= answer.passed_ms);
        assert_true(committed_at(world, which, answer.went_back_ms) <= offset);
    } else {
        assert_int_equal(passed_before(world, which, offset, INT64_MAX), 0);
    }
    if (answer.not_before_ms > 0) {
        assert_true(committed_at(world, which, answer.not_before_ms) <= offset ||
                    answer.not_before_ms == answer.passed_ms);
    }
}

static void check_all(struct world *world)
{
    for (int which = 0; which < KEYS; which++) {
        for (int64_t offset = 0; offset < 60; offset += 1 + below(world, 3)) {
            check_one(world, which, offset);
        }
    }
}

static void test_what_is_said_agrees_with_the_commits(void **state)
{
    struct world *world = begin(1);
    (void)state;
    for (int i = 0; i < 40; i++) {
        check_all(world);
        for (int j = 0; j < 20; j++) {
            commit(world);
        }
        catch_up(world);
    }
    end(world);
}

static void test_a_crash_loses_nothing_that_is_not_read_again(void **state)
{
    struct world *world = begin(2);
    (void)state;
    for (int i = 0; i < 40; i++) {
        for (int j = 0; j < 20; j++) {
            commit(world);
        }
        catch_up(world);
        if (below(world, 2) == 0) {
            assert_int_equal(commit_history_flush(world->history, NULL), ERR_NONE);
        }
        commit_history_close(world->history); /* without a flush */
        open_history(world);
        catch_up(world);
        check_all(world);
    }
    end(world);
}

static void note(struct world *world, int64_t offset, int64_t time_ms)
{
    struct commit_key key = key_of(0);
    commit_history_note(world->history, &key, offset, time_ms);
}

static struct commit_answer ask(struct world *world, int64_t offset)
{
    struct commit_key key = key_of(0);
    struct commit_answer answer;
    assert_int_equal(commit_history_find(world->history, &key, offset, &answer, NULL), ERR_NONE);
    return answer;
}

static void test_a_reset_leaves_known_what_was_before(void **state)
{
    struct world *world = begin(3);
    (void)state;
    note(world, 10, 1000);
    note(world, 20, 5000);
    note(world, 5, 9000); /* somebody had it begin again */
    struct commit_answer answer = ask(world, 7);
    assert_int_equal(answer.state, COMMIT_BEFORE);
    assert_int_equal(answer.passed_ms, 1000);
    assert_int_equal(answer.went_back_ms, 9000);
    answer = ask(world, 15);
    assert_int_equal(answer.passed_ms, 5000);
    assert_int_equal(answer.not_before_ms, 1000);
    answer = ask(world, 3);
    assert_int_equal(answer.state, COMMIT_PASSED);
    assert_int_equal(answer.passed_ms, 1000); /* all the time since */
    answer = ask(world, 25);
    assert_int_equal(answer.state, COMMIT_BEFORE);
    assert_int_equal(answer.passed_ms, 0);
    assert_int_equal(answer.went_back_ms, 0);
    end(world);
}

static void test_many_commits_a_second_are_few_steps_and_exact_to_two_seconds(void **state)
{
    struct world *world = begin(10);
    (void)state;
    for (int i = 1; i <= 300; i++) {
        note(world, i, 1000000 + i * 100);
    }
    for (int i = 0; i < 300; i++) {
        assert_in_range(ask(world, i).passed_ms, 1000000 + (i + 1) * 100,
                        1000000 + (i + 1) * 100 + EXACT_MS);
    }
    end(world);
}

static void test_old_steps_are_thinned_and_what_is_said_stays_true(void **state)
{
    struct world *world = begin(4);
    const int64_t hour_ms = 3600000;
    (void)state;
    for (int i = 0; i <= 600; i++) {
        note(world, i, 1000000 + i * 2000); /* twenty minutes */
    }
    assert_int_equal(commit_history_thin(world->history, 1000000 + 3 * hour_ms, 24 * hour_ms, NULL),
                     ERR_NONE);
    for (int i = 0; i < 600; i += 7) {
        struct commit_answer answer = ask(world, i);
        assert_in_range(answer.passed_ms, 1000000 + (i + 1) * 2000,
                        1000000 + (i + 1) * 2000 + 62000);
    }
    commit_history_close(world->history);
    open_history(world);
    assert_int_equal(ask(world, 599).passed_ms, 1000000 + 600 * 2000);
    assert_int_equal(
        commit_history_thin(world->history, 1000000 + 50 * hour_ms, 24 * hour_ms, NULL), ERR_NONE);
    assert_int_equal(ask(world, 10).passed_ms, 1000000 + 600 * 2000); /* by then, at the latest */
    assert_int_equal(ask(world, 600).state, COMMIT_BEFORE);
    end(world);
}

struct seen {
    bool email, shipping, nameless, other;
};

static bool see(void *context, struct slice group)
{
    struct seen *seen = context;
    bool *which = slice_equal_str(group, "email")      ? &seen->email
                  : slice_equal_str(group, "shipping") ? &seen->shipping
                  : group.size == 0                    ? &seen->nameless
                                                       : &seen->other;
    *which = true;
    return true;
}

static void test_the_groups_of_a_partition_are_told(void **state)
{
    struct world *world = begin(5);
    struct seen seen = {false};
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        struct commit_key key = key_of(i);
        commit_history_note(world->history, &key, 1, 1000);
    }
    commit_history_groups(world->history, slice_str("orders"), 0, see, &seen);
    assert_true(seen.email && seen.shipping && !seen.nameless && !seen.other);
    end(world);
}

static void test_a_spoilt_file_is_told(void **state)
{
    struct world *world = begin(6);
    struct reason reason = {""};
    (void)state;
    note(world, 10, 1000);
    commit_history_close(world->history);
    world->history = NULL;
    int fd = open(world->path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "this is no database", 19, 0), 19);
    close(fd);
    assert_int_equal(commit_history_open(world->path, &world->history, &reason), ERR_CORRUPT);
    assert_true(reason.text[0] != '\0');
    commit_history_remove(world->path);
    open_history(world);
    assert_int_equal(ask(world, 3).state, COMMIT_NEVER);
    end(world);
}

static void test_the_file_is_for_its_owner_only(void **state)
{
    struct world *world = begin(7);
    struct stat status;
    (void)state;
    note(world, 10, 1000);
    assert_int_equal(commit_history_flush(world->history, NULL), ERR_NONE);
    assert_int_equal(stat(world->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    end(world);
}

/* --- records --- */

static void append_text(struct buf *buf, const char *text)
{
    buf_append_be16(buf, (uint16_t)strlen(text));
    buf_append_str(buf, text);
}

static struct buf make_key(int16_t version)
{
    struct buf key = {0};
    buf_append_be16(&key, (uint16_t)version);
    append_text(&key, "email");
    append_text(&key, "orders");
    buf_append_be32(&key, 3);
    return key;
}

static struct buf make_value(int16_t version)
{
    struct buf value = {0};
    buf_append_be16(&value, (uint16_t)version);
    buf_append_be64(&value, 42);
    if (version >= 3) {
        buf_append_be32(&value, 7);
    }
    if (version >= 4) {
        buf_append_u8(&value, 5);
        buf_append_str(&value, "note");
    } else {
        append_text(&value, "note");
    }
    buf_append_be64(&value, 1700000000123);
    if (version == 1) {
        buf_append_be64(&value, 1800000000000);
    }
    if (version >= 4) {
        buf_append_u8(&value, 0);
    }
    return value;
}

static void test_commits_of_all_versions_are_read(void **state)
{
    (void)state;
    for (int16_t version = 0; version <= 4; version++) {
        struct buf key = make_key(version % 2);
        struct buf value = make_value(version);
        struct commit_record record;
        commit_record_read(buf_slice(&key), buf_slice(&value), &record);
        assert_int_equal(record.kind, COMMIT_RECORD_OFFSET);
        assert_true(slice_equal_str(record.group, "email"));
        assert_true(slice_equal_str(record.topic, "orders"));
        assert_int_equal(record.partition, 3);
        assert_int_equal(record.offset, 42);
        assert_int_equal(record.time_ms, 1700000000123);
        commit_record_read(buf_slice(&key), slice_of(NULL, 0), &record);
        assert_int_equal(record.kind, COMMIT_RECORD_GONE);
        buf_deinit(&key);
        buf_deinit(&value);
    }
}

static void test_any_other_bytes_are_about_something_else(void **state)
{
    struct random random = {9};
    (void)state;
    for (int16_t version = 0; version <= 6; version++) {
        struct buf key = make_key(version > 4 ? 2 : 1);
        struct buf value = make_value(version);
        struct commit_record record;
        for (size_t size = 0; size < key.size; size++) {
            commit_record_read(slice_of(key.data, size), buf_slice(&value), &record);
            assert_int_equal(record.kind, COMMIT_RECORD_OTHER);
        }
        size_t needed = value.size - (version == 1 ? 8 : version >= 4 ? 1 : 0);
        for (size_t size = 0; size < needed; size++) {
            commit_record_read(buf_slice(&key), slice_of(value.data, size), &record);
            assert_int_equal(record.kind, COMMIT_RECORD_OTHER);
        }
        for (int i = 0; i < 2000; i++) {
            uint8_t *at = random_below(&random, 2) == 0 ? key.data : value.data;
            size_t size = at == key.data ? key.size : value.size;
            at[random_below(&random, size)] = (uint8_t)random_next(&random);
            commit_record_read(buf_slice(&key), buf_slice(&value), &record);
        }
        buf_deinit(&key);
        buf_deinit(&value);
    }
}

static void test_odd_times_and_offsets_overflow_nothing(void **state)
{
    (void)state;
    static const int64_t odd[] = {INT64_MIN, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    enum { ODDS = sizeof odd / sizeof odd[0] };
    struct world *world = begin(1);
    struct reason reason = {""};
    struct commit_key key = key_of(0);
    for (int i = 0; i < 500; i++) {
        struct commit_answer answer;
        int64_t offset = odd[below(world, ODDS)];
        commit_history_note(world->history, &key, offset < -1 ? -1 : offset,
                            odd[below(world, ODDS)]);
        assert_int_equal(
            commit_history_find(world->history, &key, odd[below(world, ODDS)], &answer, &reason),
            ERR_NONE);
        assert_int_equal(commit_history_thin(world->history, INT64_MAX / 2, 1, &reason), ERR_NONE);
    }
    end(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_said_agrees_with_the_commits),
        cmocka_unit_test(test_a_crash_loses_nothing_that_is_not_read_again),
        cmocka_unit_test(test_a_reset_leaves_known_what_was_before),
        cmocka_unit_test(test_many_commits_a_second_are_few_steps_and_exact_to_two_seconds),
        cmocka_unit_test(test_old_steps_are_thinned_and_what_is_said_stays_true),
        cmocka_unit_test(test_odd_times_and_offsets_overflow_nothing),
        cmocka_unit_test(test_the_groups_of_a_partition_are_told),
        cmocka_unit_test(test_a_spoilt_file_is_told),
        cmocka_unit_test(test_the_file_is_for_its_owner_only),
        cmocka_unit_test(test_commits_of_all_versions_are_read),
        cmocka_unit_test(test_any_other_bytes_are_about_something_else),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
