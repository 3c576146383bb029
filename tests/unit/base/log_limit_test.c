#include "../unit.h"

#include "base/log_limit.h"
#include "base/logger.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one cause may write into the log. */

static unsigned pass_many(struct log_limit *limit, const char *message, int64_t now_ms,
                          unsigned count)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < count; i++) {
        passed += log_limit_pass(limit, "room", message, now_ms);
    }
    return passed;
}

static void a_kind_has_a_burst_and_then_some_lines_a_second(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    assert_int_equal(pass_many(&limit, "a", 5000, 1000), LOG_LIMIT_BURST);
    assert_int_equal(pass_many(&limit, "a", 5000, 1000), 0);
    assert_int_equal(pass_many(&limit, "a", 6000, 1000), LOG_LIMIT_PER_SECOND);
    assert_int_equal(pass_many(&limit, "a", 1000000, 1000), LOG_LIMIT_BURST);
}

static void parts_of_a_second_add_up(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    unsigned passed = 0;
    for (int64_t now_ms = 1000; now_ms < 61000; now_ms++) {
        passed += pass_many(&limit, "a", now_ms, 3);
    }
    assert_in_range(passed, LOG_LIMIT_BURST + 60 * LOG_LIMIT_PER_SECOND - 1,
                    LOG_LIMIT_BURST + 60 * LOG_LIMIT_PER_SECOND);
}

static void kinds_do_not_use_up_each_others_lines(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    assert_int_equal(pass_many(&limit, "a", 0, 1000), LOG_LIMIT_BURST);
    assert_int_equal(pass_many(&limit, "b", 0, 10), 10);
    assert_true(log_limit_pass(&limit, "other room", "a", 0));
    char same[] = "a"; /* the same text elsewhere in the source is the same kind */
    assert_false(log_limit_pass(&limit, "room", same, 0));
}

static void what_is_left_out_is_told_once(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    struct log_limit_kind kind;
    assert_false(log_limit_left_out(&limit, &kind));
    pass_many(&limit, "a", 0, LOG_LIMIT_BURST + 7);
    pass_many(&limit, "b", 0, LOG_LIMIT_BURST);
    pass_many(&limit, "c", 0, LOG_LIMIT_BURST + 1);
    assert_true(log_limit_left_out(&limit, &kind));
    assert_string_equal(kind.message, "a");
    assert_int_equal(kind.left_out, 7);
    assert_true(log_limit_left_out(&limit, &kind));
    assert_string_equal(kind.message, "c");
    assert_int_equal(kind.left_out, 1);
    assert_false(log_limit_left_out(&limit, &kind));
}

static void more_kinds_than_there_is_room_for_share_the_last(void **state)
{
    (void)state;
    struct log_limit *limit = calloc(1, sizeof *limit);
    static char names[LOG_LIMIT_KINDS + 500][8];
    unsigned passed = 0;
    for (unsigned i = 0; i < LOG_LIMIT_KINDS + 500; i++) {
        snprintf(names[i], sizeof names[i], "%u", i);
        passed += log_limit_pass(limit, "room", names[i], 0);
    }
    assert_int_equal(passed, LOG_LIMIT_KINDS - 1 + LOG_LIMIT_BURST);
    free(limit);
}

/* What logger_line and logger_tell_left_out write, caught in a file. */
static char *flood(unsigned lines)
{
    char path[] = "/tmp/log-limit-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    int kept = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    for (unsigned i = 0; i < lines; i++) {
        LOG_ERROR("test", "a line that a request can cause", "number=%u", i);
    }
    LOG_WARN("test", "another line", "number=%d", 1);
    logger_tell_left_out();
    dup2(kept, STDERR_FILENO);
    close(kept);
    off_t size = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    assert_int_equal(pread(file, text, (size_t)size, 0), size);
    close(file);
    return text;
}

static unsigned count_text(const char *text, const char *what)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        count++;
    }
    return count;
}

static void a_flood_of_lines_is_counted_instead_of_written(void **state)
{
    enum { LINES = 20000 };
    (void)state;
    char *text = flood(LINES);
    unsigned written = count_text(text, "msg=\"a line that a request can cause\"");
    assert_in_range(written, LOG_LIMIT_BURST, LINES / 2);
    const char *told = strstr(text, "level=warn room=test msg=\"log lines were left out\" count=");
    assert_non_null(told);
    unsigned left_out = (unsigned)atoi(strstr(told, "count=") + strlen("count="));
    assert_int_equal(written + left_out, LINES);
    assert_non_null(strstr(told, " of=\"a line that a request can cause\"\n"));
    assert_int_equal(count_text(text, "left out"), 1);
    assert_int_equal(count_text(text, "another line"), 1);
    free(text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_has_a_burst_and_then_some_lines_a_second),
        cmocka_unit_test(parts_of_a_second_add_up),
        cmocka_unit_test(kinds_do_not_use_up_each_others_lines),
        cmocka_unit_test(what_is_left_out_is_told_once),
        cmocka_unit_test(more_kinds_than_there_is_room_for_share_the_last),
        cmocka_unit_test(a_flood_of_lines_is_counted_instead_of_written),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
