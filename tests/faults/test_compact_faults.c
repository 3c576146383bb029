#include "../unit/log/compact_fixture.h"
#include "../unit/unit.h"
#include "fault_files.h"

#include "base/mem.h"
#include "log/log_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Compaction killed at every file operation: the operation and all after it fail, the crash leaves
 * any part of what was not synced, and what the next start finds must hold every newest record.
 */

/* One history and where it dies. */
struct history {
    struct fixture *fixture;
    struct fault_files *faults;
    struct random random;
    struct log_state known;
    char new_dir[96];
};

/* Into one new segment, or into several. */
static const int64_t segment_sizes[] = {1 << 20, 420};

static void begin_history(struct history *history, struct fixture *fixture, uint64_t seed)
{
    history->fixture = fixture;
    history->random = (struct random){.state = seed};
    history->faults = mem_new(struct fault_files);
    assert_int_equal(mkdir(fixture->log_dir, 0755), 0);
    fault_files_init(history->faults, fixture->log_dir, &history->random);
    fixture->env.files = &history->faults->ops;
    fixture->config.index_interval_bytes = 100;
    fixture_open(fixture, NULL);
}

static void end_history(struct history *history)
{
    fault_files_deinit(history->faults);
    free(history->faults);
}

/* Four closed segments with everything that compaction knows, and an active one. */
static void fill_log(struct fixture *fixture)
{
    struct kv_batch txn = {.producer_id = 7, .transactional = true};
    struct kv_batch producer = {.producer_id = 8, .codec = BATCH_COMPRESSION_LZ4};
    append_kv(fixture, &producer, (struct kv[]){{"a", "1"}, {"b", "1"}, {"c", "1"}}, 3);
    append_kv(fixture, &txn, (struct kv[]){{"a", "x"}, {"t", "x"}}, 2);
    put_marker(fixture, 7, 0, false);
    roll(fixture);
    txn.sequence = 2;
    append_kv(fixture, &txn, (struct kv[]){{"t", "1"}, {"b", "2"}}, 2);
    put(fixture, "d", "1");
    roll(fixture);
    put_marker(fixture, 7, 0, true);
    put(fixture, "d", NULL);
    put(fixture, "e", "1");
    put(fixture, "c", "2");
    roll(fixture);
    for (int i = 0; i < 12; i++) {
        put(fixture, i % 2 ? "f" : "g", i >= 10 ? "new" : "old");
    }
    roll(fixture);
    put(fixture, "a", "active");
}

static void set_segment_bytes(struct fixture *fixture, int64_t segment_bytes)
{
    fixture->config.segment_bytes = segment_bytes;
    log_set_config(fixture->log, &fixture->config);
}

static bool holds(const char *text, const char *record)
{
    return strstr(text, record) != NULL;
}

/* What must be there whatever was compacted or not. */
static void check_newest(const char *text)
{
    static const char *const records[] = {"0:a=1 ",  "6:t=1 ",    "7:b=2 ",    "11:e=1 ",
                                          "12:c=2 ", "24:f=new ", "23:g=new ", "25:a=active "};
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        if (!holds(text, records[i])) {
            fail_msg("'%s' is gone: %s", records[i], text);
        }
    }
}

static void check_no_leftovers(const char *dir)
{
    DIR *entries = opendir(dir);
    assert_non_null(entries);
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strstr(entry->d_name, ".cleaned") != NULL || strstr(entry->d_name, ".swap") != NULL) {
            fail_msg("%s was left over", entry->d_name);
        }
    }
    closedir(entries);
}

static void check_producers(struct fixture *fixture)
{
    struct log_append append;
    struct batch_spec again = {.producer_id = 8, .records = 3};
    assert_int_equal(append_spec(fixture, &again, &append), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(append.base_offset, 0);
    again = (struct batch_spec){.producer_id = 7, .records = 2, .sequence = 2};
    assert_int_equal(append_spec(fixture, &again, &append), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(append.base_offset, 6);
    assert_int_equal(log_first_unstable_offset(fixture->log), INT64_MAX);
}

/* Opens what the crash left, on the machine's own files. */
static void check_after_crash(struct history *history, const struct log_state *known,
                              const char *expected)
{
    struct fixture after = *history->fixture;
    after.log = NULL;
    after.env.files = file_ops_system();
    snprintf(after.log_dir, sizeof after.log_dir, "%.79s", history->new_dir);
    fixture_open(&after, known);
    check_no_leftovers(after.log_dir);
    assert_int_equal(after.recovery.damaged_batches, 0);
    assert_int_equal(after.recovery.truncated_bytes, 0);
    assert_int_equal(log_end_offset(after.log), 26);
    check_newest(log_text(&after));
    check_producers(&after);
    struct log_state state;
    assert_int_equal(log_checkpoint(after.log, &state, NULL), ERR_NONE); /* indexes of all */
    compact(&after);
    assert_string_equal(log_text(&after), expected);
    check_producers(&after);
    fixture_kill(&after);
    fixture_open(&after, NULL);
    assert_string_equal(log_text(&after), expected);
    fixture_kill(&after);
}

static void crash(struct history *history, enum fault_crash how, const struct log_state *known,
                  const char *expected)
{
    char command[160];
    snprintf(history->new_dir, sizeof history->new_dir, "%s/after", history->fixture->dir);
    assert_int_equal(mkdir(history->new_dir, 0755), 0);
    fault_files_crash(history->faults, how, history->new_dir);
    check_after_crash(history, known, expected);
    snprintf(command, sizeof command, "rm -rf %s", history->new_dir);
    assert_int_equal(system(command), 0);
}

/* Plays one history that dies at the given operation; true when it was over before. */
static bool play(uint64_t seed, long operation, enum fault_crash how, bool with_checkpoint,
                 int64_t segment_bytes, const char *expected)
{
    void *state;
    struct history history;
    fixture_setup(&state);
    struct fixture *fixture = state;
    begin_history(&history, fixture, seed);
    fill_log(fixture);
    assert_int_equal(log_checkpoint(fixture->log, &history.known, NULL), ERR_NONE);
    set_segment_bytes(fixture, segment_bytes);
    history.faults->left = operation;
    struct compact_limits limits = roomy_limits();
    struct compact_result result;
    limits.io_bytes = 150;
    enum err err = try_compact(fixture, &limits, &result);
    bool over = history.faults->left > 0;
    if (over) {
        assert_int_equal(err, ERR_NONE);
    }
    /* Whoever reads on sees a whole log, even while the disk fails. */
    check_newest(log_text(fixture));
    crash(&history, how, with_checkpoint ? &history.known : NULL, expected);
    fixture_teardown(&state);
    end_history(&history);
    return over;
}

/* The log after a compaction that nothing disturbs. */
static void compacted_text(int64_t segment_bytes, char *to, size_t size)
{
    void *state;
    fixture_setup(&state);
    struct fixture *fixture = state;
    fixture_open(fixture, NULL);
    fill_log(fixture);
    set_segment_bytes(fixture, segment_bytes);
    compact(fixture);
    snprintf(to, size, "%s", log_text(fixture));
    check_newest(to);
    assert_false(holds(to, "old"));
    assert_false(holds(to, "=x"));
    fixture_teardown(&state);
}

static void play_size(uint64_t seed, enum fault_crash how, int64_t segment_bytes)
{
    char expected[1000];
    compacted_text(segment_bytes, expected, sizeof expected);
    long operation = 0;
    bool over = false;
    while (!over) {
        over = play(seed, operation, how, true, segment_bytes, expected);
        (void)play(seed, operation, how, false, segment_bytes, expected);
        operation++;
    }
    assert_true(operation > 25); /* it did die all along the way */
    print_message("%ld file operations\n", operation - 1);
}

static void play_all(uint64_t seed, enum fault_crash how)
{
    for (size_t i = 0; i < sizeof segment_sizes / sizeof segment_sizes[0]; i++) {
        play_size(seed, how, segment_sizes[i]);
    }
}

static void killed_process(void **state)
{
    (void)state;
    play_all(7, FAULT_CRASH_PROCESS);
}

static void dead_machine_lost_names(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        play_all(seed, FAULT_CRASH_NAMES);
    }
}

static void dead_machine_lost_all(void **state)
{
    (void)state;
    play_all(7, FAULT_CRASH_LOSE);
}

static void dead_machine_tore(void **state)
{
    (void)state;
    play_all(7, FAULT_CRASH_TEAR);
}

static void dead_machine_lost_blocks(void **state)
{
    (void)state;
    play_all(7, FAULT_CRASH_BLOCKS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_process),           cmocka_unit_test(dead_machine_lost_names),
        cmocka_unit_test(dead_machine_lost_all),    cmocka_unit_test(dead_machine_tore),
        cmocka_unit_test(dead_machine_lost_blocks),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
