#include "../unit.h"

#include "base/mem.h"
#include "topic/data_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    close(fds[1]);
    assert_int_equal(open_dir(dir, &fds[2], &fds[3], &reason), ERR_NONE);
    close(fds[0]);
    close(fds[2]);
    close(fds[3]);
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
        TEST(test_parents_are_made),
        TEST(test_a_file_in_the_way_is_named),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
