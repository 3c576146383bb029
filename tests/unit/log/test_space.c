#include "../unit.h"
#include "log_fixture.h"

#include "base/mem.h"
#include "log/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A disk that fills up: 16 MiB, so that the floor is 1 MiB, the lower limit 256 KiB and the spare
 * 64 KiB. */
enum { TOTAL = 16 << 20, FLOOR = 1 << 20, LOWER = FLOOR / 4, SPARE = 64 << 10, EVENT = 10000 };

struct disk {
    struct fixture *fixture;
    struct file_ops ops;
    struct space *space;
    char spare_path[96];
    int64_t free;
    int looks;
    bool silent;     /* does not tell what is free */
    bool names_full; /* no new name fits while the spare is there */
};

static int disk_fstatvfs(void *context, int fd, struct statvfs *out)
{
    struct disk *disk = context;
    (void)fd;
    disk->looks++;
    *out = (struct statvfs){
        .f_blocks = TOTAL, .f_bavail = (fsblkcnt_t)disk->free, .f_frsize = 1, .f_bsize = 1};
    errno = EIO;
    return disk->silent ? -1 : 0;
}

static bool take(struct disk *disk, int64_t bytes)
{
    if (bytes > disk->free) {
        errno = ENOSPC;
        return false;
    }
    disk->free -= bytes;
    return true;
}

static ssize_t disk_pwritev(void *context, int fd, const struct iovec *iov, int count,
                            int64_t position)
{
    int64_t bytes = 0;
    for (int i = 0; i < count; i++) {
        bytes += (int64_t)iov[i].iov_len;
    }
    const struct file_ops *real = file_ops_system();
    return take(context, bytes) ? real->pwritev(real->context, fd, iov, count, position) : -1;
}

static int disk_fallocate(void *context, int fd, int64_t size)
{
    const struct file_ops *real = file_ops_system();
    return take(context, size) ? real->fallocate(real->context, fd, size) : -1;
}

static int disk_open(void *context, const char *path, int flags, int mode)
{
    struct disk *disk = context;
    const struct file_ops *real = file_ops_system();
    if (disk->names_full && (flags & O_CREAT) != 0 && access(disk->spare_path, F_OK) == 0) {
        errno = ENOSPC;
        return -1;
    }
    return real->open(real->context, path, flags, mode);
}

static int disk_unlink(void *context, const char *path)
{
    struct disk *disk = context;
    struct stat status;
    if (stat(path, &status) == 0) {
        disk->free += status.st_size;
    }
    return unlink(path);
}

static void open_space(struct disk *disk)
{
    disk->space = space_new(&disk->ops, &disk->fixture->clock, -1, disk->spare_path);
    disk->fixture->env.space = disk->space;
}

static int setup(void **state)
{
    struct disk *disk = mem_new(struct disk);
    if (fixture_setup(state) != 0) {
        return -1;
    }
    disk->fixture = *state;
    disk->ops = *file_ops_system();
    disk->ops.context = disk;
    disk->ops.fstatvfs = disk_fstatvfs;
    disk->ops.pwritev = disk_pwritev;
    disk->ops.fallocate = disk_fallocate;
    disk->ops.unlink = disk_unlink;
    disk->ops.open = disk_open;
    disk->free = TOTAL;
    snprintf(disk->spare_path, sizeof disk->spare_path, "%s/spare", disk->fixture->dir);
    disk->fixture->env.files = &disk->ops;
    *state = disk;
    return 0;
}

static int teardown(void **state)
{
    struct disk *disk = *state;
    void *fixture = disk->fixture;
    int result = fixture_teardown(&fixture);
    space_free(disk->space);
    free(disk);
    return result;
}

static enum err append(struct disk *disk, bool reserve)
{
    struct buf bytes = {0};
    struct batch batch;
    build_batch(&(struct batch_spec){.timestamp = 1000, .value_bytes = EVENT}, &bytes, &batch);
    struct log_append append = {.batches = &batch, .batch_count = 1, .reserve = reserve};
    enum err err = log_append(disk->fixture->log, &append, &disk->fixture->reason);
    if (err == ERR_NONE) {
        space_note_written(disk->space, bytes.size); /* as the flusher does */
    }
    buf_deinit(&bytes);
    return err;
}

/* Appends until it is refused; returns how many were taken. */
static int fill(struct disk *disk, bool reserve)
{
    int count = 0;
    while (append(disk, reserve) == ERR_NONE) {
        count++;
        assert_true(count < TOTAL / EVENT);
    }
    return count;
}

static void events_stop_at_the_floor_and_state_at_the_lower_limit(void **state)
{
    struct disk *disk = *state;
    open_space(disk);
    fixture_open(disk->fixture, NULL);
    assert_int_equal(space_state(disk->space), SPACE_OK);
    int64_t count = fill(disk, false);
    assert_int_equal(space_state(disk->space), SPACE_LOW);
    assert_in_range(disk->free, FLOOR - 2 * EVENT, FLOOR);
    assert_non_null(strstr(disk->fixture->reason.text, "nearly full"));
    assert_int_equal(append(disk, false), ERR_NO_SPACE);
    int64_t more = fill(disk, true);
    assert_in_range(more, (FLOOR - LOWER) / EVENT - 5, (FLOOR - LOWER) / EVENT);
    assert_in_range(disk->free, LOWER, LOWER + 2 * EVENT);
    assert_int_equal(append(disk, false), ERR_NO_SPACE);
    assert_int_equal(log_end_offset(disk->fixture->log), count + more);
    assert_int_equal(read_all(disk->fixture, 0, count + more, 100000), count + more);
}

static void writes_go_on_when_there_is_space_again(void **state)
{
    struct disk *disk = *state;
    open_space(disk);
    fixture_open(disk->fixture, NULL);
    fill(disk, false);
    fill(disk, true);
    disk->free = LOWER - 1; /* somebody else writes, too */
    assert_int_equal(append(disk, true), ERR_NO_SPACE);
    assert_int_equal(space_state(disk->space), SPACE_FULL);
    disk->free = FLOOR - 1;
    assert_int_equal(append(disk, false), ERR_NO_SPACE);
    assert_int_equal(append(disk, true), ERR_NONE);
    disk->free = FLOOR + 5 * EVENT;
    assert_int_equal(append(disk, false), ERR_NONE);
    assert_int_equal(space_state(disk->space), SPACE_OK);
}

/* Somebody else took it all since the last look. */
static void a_write_that_finds_no_space_is_noticed(void **state)
{
    struct disk *disk = *state;
    open_space(disk);
    fixture_open(disk->fixture, NULL);
    disk->free = 0;
    assert_int_equal(append(disk, true), ERR_NO_SPACE);
    assert_int_equal(space_state(disk->space), SPACE_FULL);
    assert_int_equal(log_end_offset(disk->fixture->log), 0);
    disk->free = TOTAL;
    assert_int_equal(append(disk, false), ERR_NONE);
    assert_int_equal(space_state(disk->space), SPACE_OK);
}

/* A record of the state that would not leave the lower limit alone. */
static void large_records_of_the_state_do_not_pass_the_limit(void **state)
{
    struct disk *disk = *state;
    struct reason reason;
    open_space(disk);
    disk->free = LOWER + 1000;
    space_note_written(disk->space, TOTAL);
    assert_int_equal(space_check(disk->space, SPACE_FOR_STATE, 1000, &reason), ERR_NONE);
    assert_int_equal(space_check(disk->space, SPACE_FOR_STATE, 1001, &reason), ERR_NO_SPACE);
    assert_int_equal(space_check(disk->space, SPACE_FOR_EVENTS, 0, &reason), ERR_NO_SPACE);
}

static void it_looks_sooner_the_less_is_left(void **state)
{
    struct disk *disk = *state;
    struct fixture *fixture = disk->fixture;
    disk->free = FLOOR + 1000;
    open_space(disk);
    int before = disk->looks;
    space_note_written(disk->space, 400);
    assert_int_equal(disk->looks, before);
    space_note_written(disk->space, 100); /* half of what was left */
    assert_int_equal(disk->looks, before + 1);
    space_note_written(disk->space, 1);
    assert_int_equal(disk->looks, before + 1);
    fixture->now_ms += 20;
    space_note_written(disk->space, 1);
    assert_int_equal(disk->looks, before + 2);
}

static void a_file_system_that_does_not_answer_changes_nothing(void **state)
{
    struct disk *disk = *state;
    open_space(disk);
    disk->silent = true;
    disk->free = 0;
    space_note_written(disk->space, TOTAL);
    assert_int_equal(space_state(disk->space), SPACE_OK);
    disk->silent = false;
    space_note_written(disk->space, TOTAL);
    assert_int_equal(space_state(disk->space), SPACE_FULL);
    disk->silent = true;
    disk->free = TOTAL;
    struct reason reason;
    assert_int_equal(space_check(disk->space, SPACE_FOR_STATE, 1, &reason), ERR_NO_SPACE);
}

static void the_spare_is_given_up_once_and_made_anew(void **state)
{
    struct disk *disk = *state;
    open_space(disk);
    assert_int_equal(size_of(disk->spare_path), SPARE);
    assert_int_equal(disk->free, TOTAL - SPARE);
    assert_false(space_spare_is_due(disk->space));
    disk->free = 0;
    assert_true(space_give_up_spare(disk->space));
    assert_int_equal(disk->free, SPARE);
    assert_int_equal(size_of(disk->spare_path), -1);
    assert_false(space_give_up_spare(disk->space));
    disk->free = FLOOR + SPARE - 1;
    assert_false(space_spare_is_due(disk->space));
    space_keep_spare(disk->space);
    assert_int_equal(size_of(disk->spare_path), -1);
    disk->free = FLOOR + SPARE;
    assert_true(space_spare_is_due(disk->space));
    space_keep_spare(disk->space);
    assert_int_equal(size_of(disk->spare_path), SPARE);
    assert_false(space_spare_is_due(disk->space));
}

static void a_start_keeps_the_spare_unless_it_needs_it(void **state)
{
    struct disk *disk = *state;
    open_space(disk);
    space_free(disk->space);
    disk->free = SPARE; /* full, but a start has what it needs */
    open_space(disk);
    assert_int_equal(size_of(disk->spare_path), SPARE);
    space_free(disk->space);
    disk->free = SPARE - 1;
    open_space(disk);
    assert_int_equal(size_of(disk->spare_path), -1);
    assert_int_equal(space_state(disk->space), SPACE_FULL);
}

static void a_stop_uses_the_spare_only_when_it_needs_it(void **state)
{
    struct disk *disk = *state;
    open_space(disk);
    disk->free = SPARE; /* full for everybody, but as much as the spare is there */
    space_make_room(disk->space);
    assert_int_equal(size_of(disk->spare_path), SPARE);
    disk->free = SPARE - 1;
    space_make_room(disk->space);
    assert_int_equal(size_of(disk->spare_path), -1);
    space_make_room(disk->space); /* there is none any more */
    space_make_room(NULL);
}

/* A crash between making the file and giving it its size. */
static void an_empty_spare_is_none(void **state)
{
    struct disk *disk = *state;
    FILE *file = fopen(disk->spare_path, "wb");
    assert_non_null(file);
    fclose(file);
    open_space(disk);
    assert_int_equal(size_of(disk->spare_path), SPARE);
}

/* What is old cannot go before a new segment is begun. */
static void retention_may_use_the_spare(void **state)
{
    struct disk *disk = *state;
    struct fixture *fixture = disk->fixture;
    open_space(disk);
    fixture->config.retention_ms = 1;
    fixture_open(fixture, NULL);
    append_many(fixture, 2, 10);
    assert_int_equal(log_flush(fixture->log, NULL), ERR_NONE);
    fixture->now_ms += 1000000000;
    disk->names_full = true;
    assert_int_equal(log_retention_start(fixture->log, 2), 2);
    assert_int_equal(size_of(disk->spare_path), -1);
    assert_int_equal(log_set_start_offset(fixture->log, 2, NULL), ERR_NONE);
    assert_int_equal(log_size_bytes(fixture->log), 0);
}

static void nobody_looks_after_space(void **state)
{
    (void)state;
    struct reason reason;
    space_note_written(NULL, 1);
    assert_int_equal(space_check(NULL, SPACE_FOR_EVENTS, INT64_MAX, &reason), ERR_NONE);
    assert_false(space_give_up_spare(NULL));
    assert_false(space_spare_is_due(NULL));
    space_free(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(events_stop_at_the_floor_and_state_at_the_lower_limit),
        TEST(writes_go_on_when_there_is_space_again),
        TEST(a_write_that_finds_no_space_is_noticed),
        TEST(large_records_of_the_state_do_not_pass_the_limit),
        TEST(it_looks_sooner_the_less_is_left),
        TEST(a_file_system_that_does_not_answer_changes_nothing),
        TEST(the_spare_is_given_up_once_and_made_anew),
        TEST(a_start_keeps_the_spare_unless_it_needs_it),
        TEST(a_stop_uses_the_spare_only_when_it_needs_it),
        TEST(an_empty_spare_is_none),
        TEST(retention_may_use_the_spare),
        cmocka_unit_test(nobody_looks_after_space),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
