#include "../unit.h"

#include "base/mem.h"
#include "topic/data_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dir(void **state)
{
    char *dir = mem_strdup("/tmp/tidings-dir-XXXXXX");
    *state = dir;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    char *command = mem_sprintf("rm -rf %s", (char *)*state);
    int result = system(command);
    free(command);
    free(*state);
    return result;
}

static enum err open_dir(const char *path, int *dir_fd, int *lock_fd, struct reason *reason)
{
    reason->text[0] = '\0';
    int made;
    return data_dir_open(file_ops_system(), path, dir_fd, lock_fd, &made, reason);
}

static void test_one_process_at_a_time_has_it(void **state)
{
    const char *dir = *state;
    int fds[4];
    struct reason reason;
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_int_equal(open_dir(dir, &fds[0], &fds[1], &reason), ERR_NONE);
    assert_int_equal(open_dir(dir, &fds[2], &fds[3], &reason), ERR_LOCKED);
    assert_non_null(strstr(reason.text, pid));
    assert_non_null(strstr(reason.text, dir));
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(open_dir(dir, &fds[2], &fds[3], &reason), ERR_NONE);
    close(fds[2]);
    close(fds[3]);
}

static void test_a_removed_lock_file_lets_nobody_in(void **state)
{
    const char *dir = *state;
    int fds[4];
    struct reason reason;
    char *lock = mem_sprintf("%s/lock", dir);
    assert_int_equal(open_dir(dir, &fds[0], &fds[1], &reason), ERR_NONE);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(open_dir(dir, &fds[2], &fds[3], &reason), ERR_LOCKED);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(open_dir(dir, &fds[2], &fds[3], &reason), ERR_NONE);
    close(fds[2]);
    close(fds[3]);
    free(lock);
}

static unsigned mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (unsigned)status.st_mode & 07777;
}

static void open_and_close(const char *dir)
{
    int fds[2];
    struct reason reason;
    assert_int_equal(open_dir(dir, &fds[0], &fds[1], &reason), ERR_NONE);
    close(fds[0]);
    close(fds[1]);
}

static void test_an_own_directory_is_closed_to_others(void **state)
{
    char *fresh = mem_sprintf("%s/fresh", (char *)*state);
    char *empty = mem_sprintf("%s/empty", (char *)*state);
    char *older = mem_sprintf("%s/older", (char *)*state);
    char *catalogue = mem_sprintf("%s/older/tidings.db", (char *)*state);
    char *lock = mem_sprintf("%s/fresh/lock", (char *)*state);
    assert_int_equal(mkdir(empty, 0777), 0);
    assert_int_equal(mkdir(older, 0755), 0);
    close(open(catalogue, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    open_and_close(fresh);
    open_and_close(empty);
    open_and_close(older);
    assert_int_equal(mode_of(fresh), 0700);
    assert_int_equal(mode_of(empty), 0700);
    assert_int_equal(mode_of(older), 0700);
    assert_int_equal(mode_of(lock), 0600);
    free(fresh);
    free(empty);
    free(older);
    free(catalogue);
    free(lock);
}

static void test_a_directory_with_other_uses_keeps_its_mode(void **state)
{
    char *dir = mem_sprintf("%s/shared", (char *)*state);
    char *other = mem_sprintf("%s/shared/other", (char *)*state);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(chmod(dir, 01777), 0); /* as /tmp is */
    close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    open_and_close(dir);
    assert_int_equal(mode_of(dir), 01777);
    free(dir);
    free(other);
}

static void test_parents_are_made(void **state)
{
    char *deep = mem_sprintf("%s/a/b/c", (char *)*state);
    int dir_fd;
    int lock_fd;
    struct reason reason;
    assert_int_equal(open_dir(deep, &dir_fd, &lock_fd, &reason), ERR_NONE);
    assert_true(file_exists(deep));
    close(dir_fd);
    close(lock_fd);
    free(deep);
}

static void test_a_file_in_the_way_is_named(void **state)
{
    char *file = mem_sprintf("%s/file", (char *)*state);
    char *below = mem_sprintf("%s/file/data", (char *)*state);
    int dir_fd;
    int lock_fd;
    struct reason reason;
    close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    assert_int_equal(open_dir(file, &dir_fd, &lock_fd, &reason), ERR_IO);
    assert_non_null(strstr(reason.text, file));
    assert_int_equal(open_dir(below, &dir_fd, &lock_fd, &reason), ERR_IO);
    assert_non_null(strstr(reason.text, file));
    free(file);
    free(below);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_dir, remove_dir)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_process_at_a_time_has_it),
        TEST(test_a_removed_lock_file_lets_nobody_in),
        TEST(test_an_own_directory_is_closed_to_others),
        TEST(test_a_directory_with_other_uses_keeps_its_mode),
        TEST(test_parents_are_made),
        TEST(test_a_file_in_the_way_is_named),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
