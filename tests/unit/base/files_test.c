#include "../unit.h"

#include "base/file.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whole file operations over a file layer that misbehaves, and log lines. */

/* Passes everything to the machine's files, but shortens reads and writes and fails on order. */
struct fake {
    const struct file_ops *real;
    struct random random;
    unsigned interrupts; /* so many next calls fail with EINTR */
    int64_t room_bytes;  /* writes fail with ENOSPC after so many bytes */
    int fail_sync, fail_rename;
    unsigned syncs, dir_syncs, calls;
};

static bool interrupted(struct fake *fake)
{
    fake->calls++;
    if (fake->interrupts == 0) {
        return false;
    }
    fake->interrupts--;
    errno = EINTR;
    return true;
}

static int fake_open(void *context, const char *path, int flags, int mode)
{
    struct fake *fake = context;
    return fake->real->open(fake->real->context, path, flags, mode);
}

static int fake_close(void *context, int fd)
{
    struct fake *fake = context;
    return fake->real->close(fake->real->context, fd);
}

static ssize_t fake_pread(void *context, int fd, void *to, size_t size, int64_t position)
{
    struct fake *fake = context;
    if (interrupted(fake)) {
        return -1;
    }
    return pread(fd, to, 1 + random_below(&fake->random, size), position);
}

static ssize_t fake_pwritev(void *context, int fd, const struct iovec *iov, int count,
                            int64_t position)
{
    struct fake *fake = context;
    if (interrupted(fake)) {
        return -1;
    }
    /* All of some pieces and a part of the next. */
    struct iovec some[16];
    int whole = (int)random_below(&fake->random, (uint64_t)count);
    for (int i = 0; i <= whole; i++) {
        some[i] = iov[i];
    }
    some[whole].iov_len = 1 + random_below(&fake->random, iov[whole].iov_len + 1) / 2;
    if (some[whole].iov_len > iov[whole].iov_len) {
        some[whole].iov_len = iov[whole].iov_len;
    }
    int64_t bytes = 0;
    for (int i = 0; i <= whole; i++) {
        bytes += (int64_t)some[i].iov_len;
    }
    if (bytes > fake->room_bytes) {
        errno = ENOSPC;
        return -1;
    }
    fake->room_bytes -= bytes;
    return pwritev(fd, some, whole + 1, position);
}

static int fake_fdatasync(void *context, int fd)
{
    struct fake *fake = context;
    (void)fd;
    fake->syncs++;
    errno = fake->fail_sync;
    return fake->fail_sync ? -1 : 0;
}

static int fake_rename(void *context, const char *from, const char *to)
{
    struct fake *fake = context;
    errno = fake->fail_rename;
    return fake->fail_rename ? -1 : rename(from, to);
}

static int fake_fsync_dir(void *context, const char *path)
{
    struct fake *fake = context;
    (void)path;
    fake->dir_syncs++;
    return 0;
}

struct place {
    struct fake fake;
    struct file_ops ops;
    char directory[64];
    char path[96];
};

static int setup(void **state)
{
    struct place *place = mem_new(struct place);
    place->fake =
        (struct fake){.real = file_ops_system(), .random = {.state = 42}, .room_bytes = INT64_MAX};
    place->ops = *file_ops_system();
    place->ops.context = &place->fake;
    place->ops.open = fake_open;
    place->ops.close = fake_close;
    place->ops.pread = fake_pread;
    place->ops.pwritev = fake_pwritev;
    place->ops.fdatasync = fake_fdatasync;
    place->ops.rename = fake_rename;
    place->ops.fsync_dir = fake_fsync_dir;
    snprintf(place->directory, sizeof place->directory, "/tmp/tidings-unit-XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    snprintf(place->path, sizeof place->path, "%s/file", place->directory);
    *state = place;
    return 0;
}

static enum err remove_entry(void *context, const char *name)
{
    struct place *place = context;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", place->directory, name);
    return remove(path) == 0 ? ERR_NONE : ERR_IO;
}

static int teardown(void **state)
{
    struct place *place = *state;
    assert_int_equal(file_list_dir(place->directory, remove_entry, place, NULL), ERR_NONE);
    assert_int_equal(rmdir(place->directory), 0);
    free(place);
    return 0;
}

static void test_short_and_interrupted_transfers_are_completed(void **state)
{
    enum { PIECES = 10, BYTES = 5000 };
    struct place *place = *state;
    uint8_t out[BYTES], in[BYTES + 10];
    for (unsigned i = 0; i < BYTES; i++) {
        out[i] = (uint8_t)(i * 13 + i / 256);
    }
    int fd;
    assert_int_equal(file_open(&place->ops, place->path, O_CREAT | O_RDWR, &fd, NULL), ERR_NONE);
    for (int round = 0; round < 50; round++) {
        struct iovec iov[PIECES];
        size_t at = 0;
        for (unsigned i = 0; i < PIECES; i++) {
            size_t size = i == PIECES - 1 ? BYTES - at
                          : i % 4 == 1    ? 0
                                          : random_below(&place->fake.random, (BYTES - at) / 2);
            iov[i] = (struct iovec){out + at, size};
            at += size;
        }
        place->fake.interrupts = 2;
        assert_int_equal(file_write_at(&place->ops, fd, iov, PIECES, 100, NULL), ERR_NONE);
        place->fake.interrupts = 2;
        size_t got = 0;
        assert_int_equal(file_read_at(&place->ops, fd, in, sizeof in, 100, &got, NULL), ERR_NONE);
        assert_int_equal(got, BYTES); /* less than asked: the file ends */
        assert_memory_equal(in, out, BYTES);
    }
    assert_true(place->fake.calls > 300); /* they were short indeed */
    int64_t size;
    assert_int_equal(file_truncate(&place->ops, fd, 150, NULL), ERR_NONE);
    assert_int_equal(file_size(fd, &size, NULL), ERR_NONE);
    assert_int_equal(size, 150);
    file_close(&place->ops, fd);
    file_close(&place->ops, -1); /* no effect */
}

static void test_full_disk_is_told(void **state)
{
    struct place *place = *state;
    char bytes[100] = "some";
    struct iovec iov = {bytes, sizeof bytes};
    struct reason reason;
    int fd;
    assert_int_equal(file_open(&place->ops, place->path, O_CREAT | O_RDWR, &fd, NULL), ERR_NONE);
    place->fake.room_bytes = 60;
    assert_int_equal(file_write_at(&place->ops, fd, &iov, 1, 0, &reason), ERR_NO_SPACE);
    assert_non_null(strstr(reason.text, "No space left"));
    file_close(&place->ops, fd);
}

static void expect_content(struct place *place, const char *text)
{
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(file_load(&place->ops, place->path, 1000, &data, &size, NULL), ERR_NONE);
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text);
    free(data);
}

static void test_replace_is_whole_or_not_at_all(void **state)
{
    struct place *place = *state;
    assert_int_equal(file_replace(&place->ops, place->path, "old text", 8, NULL), ERR_NONE);
    expect_content(place, "old text");
    assert_int_equal(place->fake.syncs, 1);
    assert_int_equal(place->fake.dir_syncs, 1);
    place->fake.fail_sync = EIO;
    assert_int_equal(file_replace(&place->ops, place->path, "new", 3, NULL), ERR_IO);
    expect_content(place, "old text");
    place->fake.fail_sync = 0;
    place->fake.room_bytes = 1;
    assert_int_equal(file_replace(&place->ops, place->path, "new", 3, NULL), ERR_NO_SPACE);
    expect_content(place, "old text");
    place->fake.room_bytes = 1000;
    place->fake.fail_rename = EACCES;
    assert_int_equal(file_replace(&place->ops, place->path, "new", 3, NULL), ERR_IO);
    expect_content(place, "old text");
    place->fake.fail_rename = 0;
    assert_int_equal(file_replace(&place->ops, place->path, "new", 3, NULL), ERR_NONE);
    expect_content(place, "new");
}

static void test_a_file_over_the_limit_is_not_loaded(void **state)
{
    struct place *place = *state;
    char *data = NULL;
    size_t size;
    struct reason reason;
    assert_int_equal(file_load(&place->ops, place->path, 10, &data, &size, &reason), ERR_NOT_FOUND);
    assert_non_null(strstr(reason.text, place->path));
    assert_int_equal(file_replace(&place->ops, place->path, "12345", 5, NULL), ERR_NONE);
    assert_int_equal(file_load(&place->ops, place->path, 4, &data, &size, &reason), ERR_TOO_LARGE);
    assert_int_equal(file_load(&place->ops, place->path, 5, &data, &size, &reason), ERR_NONE);
    free(data);
    assert_int_equal(file_replace(&place->ops, place->path, "", 0, NULL), ERR_NONE);
    expect_content(place, "");
}

static enum err stop_at_second(void *context, const char *name)
{
    (void)name;
    return ++*(unsigned *)context == 2 ? ERR_TIMEOUT : ERR_NONE;
}

static void test_a_text_is_loaded_whole_or_refused(void **state)
{
    struct place *place = *state;
    const struct file_ops *files = &place->ops;
    const char *path = place->path;
    char *text = NULL;
    struct reason reason;
    assert_int_equal(file_replace(files, path, "a=1\nb=2\n", 8, NULL), ERR_NONE);
    assert_int_equal(file_load_text(files, path, 100, &text, &reason), ERR_NONE);
    assert_string_equal(text, "a=1\nb=2\n");
    free(text);
    assert_int_equal(file_replace(files, path, "a=1\n\0b=2\n", 9, NULL), ERR_NONE);
    assert_int_equal(file_load_text(files, path, 100, &text, &reason), ERR_INVALID);
    assert_non_null(strstr(reason.text, "byte 4 is NUL"));
    assert_int_equal(file_load_text(files, place->directory, 100, &text, &reason), ERR_INVALID);
    assert_non_null(strstr(reason.text, "no regular file"));
}

/* Files outside that a link leads to are neither written, listed nor removed. */
static void test_links_lead_nowhere(void **state)
{
    struct place *place = *state;
    const struct file_ops *files = file_ops_system();
    struct reason reason;
    int fd;
    char *outside = mem_sprintf("%s/outside", place->directory);
    char *kept = mem_sprintf("%s/kept", outside);
    char *folder = mem_sprintf("%s/folder", place->directory);
    char *link_to_folder = mem_sprintf("%s/link", folder);
    char *link_to_file = mem_sprintf("%s/file", folder);
    char *followed = mem_sprintf("%s/", link_to_folder);
    unsigned seen = 0;
    assert_int_equal(mkdir(outside, 0700) | mkdir(folder, 0700), 0);
    assert_int_equal(file_replace(files, kept, "kept", 4, NULL), ERR_NONE);
    assert_int_equal(symlink(outside, link_to_folder) | symlink(kept, link_to_file), 0);
    assert_int_equal(file_open(files, link_to_file, O_WRONLY | O_CREAT, &fd, &reason), ERR_INVALID);
    assert_non_null(strstr(reason.text, "symbolic link"));
    assert_int_equal(file_remove_tree(files, link_to_folder, &reason), ERR_INVALID);
    assert_int_equal(file_list_dir(link_to_folder, stop_at_second, &seen, &reason), ERR_INVALID);
    assert_int_equal(file_list_dir(followed, stop_at_second, &seen, &reason), ERR_NONE);
    assert_int_equal(seen, 1);
    assert_int_equal(file_remove_tree(files, folder, &reason), ERR_NONE);
    assert_false(file_exists(folder));
    assert_true(file_exists(kept));
    assert_int_equal(file_remove_tree(files, outside, &reason), ERR_NONE);
    free(outside);
    free(kept);
    free(folder);
    free(link_to_folder);
    free(link_to_file);
    free(followed);
}

static void test_files_are_renamed_listed_and_removed(void **state)
{
    struct place *place = *state;
    char folder[128];
    snprintf(folder, sizeof folder, "%s/folder", place->directory);
    assert_int_equal(file_make_dir(&place->ops, folder, NULL), ERR_NONE);
    assert_int_equal(place->fake.dir_syncs, 1);
    assert_int_equal(file_make_dir(&place->ops, folder, NULL), ERR_NONE);
    assert_true(file_exists(folder));
    assert_false(file_exists(place->path));
    assert_int_equal(file_unlink(&place->ops, place->path, NULL), ERR_NONE);
    assert_int_equal(file_replace(&place->ops, place->path, "x", 1, NULL), ERR_NONE);
    unsigned seen = 0;
    assert_int_equal(file_list_dir(place->directory, stop_at_second, &seen, NULL), ERR_TIMEOUT);
    assert_int_equal(seen, 2);
    assert_int_equal(file_unlink(&place->ops, place->path, NULL), ERR_NONE);
    assert_false(file_exists(place->path));
    struct reason reason;
    assert_int_equal(file_unlink(&place->ops, folder, &reason), ERR_IO);
    assert_non_null(strstr(reason.text, folder));
    assert_int_equal(file_list_dir("/no such folder", stop_at_second, &seen, &reason), ERR_IO);
}

/* Runs log and gives what it wrote to standard error. */
static char *logged(void (*log)(void))
{
    int saved = dup(STDERR_FILENO);
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(saved >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    log();
    dup2(saved, STDERR_FILENO);
    close(saved);
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = mem_zalloc((size_t)size + 1);
    assert_int_equal(pread(fd, text, (size_t)size, 0), size);
    close(fd);
    return text;
}

static void log_forged(void)
{
    LOG_WARN("net", "bad name", "name=\"%s\"", "a\nlevel=error\r\t\x1b[31m\x7f\" level=error");
}

static void test_log_lines_cannot_be_forged(void **state)
{
    (void)state;
    char *text = logged(log_forged);
    assert_non_null(strstr(text, " level=warn room=net msg=\"bad name\" name=\"a\\x0alevel=error"));
    assert_non_null(strstr(text, "\\\" level=error\""));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    for (const char *at = text; at[1] != '\0'; at++) {
        assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
    }
    free(text);
}

static void log_long(void)
{
    char wide[5000];
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    LOG_ERROR("log", "long", "value=%s", wide);
    LOG_ERROR("log", wide, "x=%d", 1);
    LOG_DEBUG("log", "unseen", "x=%d", 1);
}

static void test_long_lines_are_cut_and_levels_kept(void **state)
{
    (void)state;
    char *text = logged(log_long);
    char *second = strchr(text, '\n') + 1;
    assert_in_range(second - text, 500, 1024);
    assert_in_range(strlen(second), 500, 1024);
    assert_ptr_equal(strchr(second, '\n'), second + strlen(second) - 1);
    assert_null(strstr(text, "unseen"));
    free(text);
    enum log_level level = LOG_LEVEL_INFO;
    assert_true(logger_level_parse("error", &level));
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_false(logger_level_parse("loud", &level));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        FILE_TEST(test_short_and_interrupted_transfers_are_completed),
        FILE_TEST(test_full_disk_is_told),
        FILE_TEST(test_replace_is_whole_or_not_at_all),
        FILE_TEST(test_a_file_over_the_limit_is_not_loaded),
        FILE_TEST(test_a_text_is_loaded_whole_or_refused),
        FILE_TEST(test_links_lead_nowhere),
        FILE_TEST(test_files_are_renamed_listed_and_removed),
        cmocka_unit_test(test_log_lines_cannot_be_forged),
        cmocka_unit_test(test_long_lines_are_cut_and_levels_kept),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
