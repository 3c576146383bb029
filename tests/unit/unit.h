#ifndef TIDINGS_TESTS_UNIT_H
#define TIDINGS_TESTS_UNIT_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The main of a program of unit tests:
 *
 *     int main(int argc, char **argv)
 *     {
 *         const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_torn_tail_is_cut), ...};
 *         return unit_run(tests, NULL, NULL, argc, argv);
 *     }
 *
 * A test is named by a sentence: test_a_torn_tail_is_cut is told as "a torn tail is cut". With an
 * argument only the tests run that it fits, where * stands for anything: 'a torn tail*'; --list
 * names them all.
 */
#define unit_run(tests, setup, teardown, argc, argv)                                               \
    unit_run_tests((tests), sizeof(tests) / sizeof(tests)[0], (setup), (teardown), (argc), (argv))

/* The name of a test's function, or a pattern for some, as a sentence. Free it. */
static inline char *unit_sentence(const char *name)
{
    static const char prefix[] = "test_";
    size_t skip = strncmp(name, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
    char *sentence = strdup(name + skip);
    for (char *at = sentence; *at != '\0'; at++) {
        *at = *at == '_' ? ' ' : *at;
    }
    return sentence;
}

static inline int unit_list(const struct CMUnitTest *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        puts(tests[i].name);
    }
    return 0;
}

/* Has only what fits the pattern run; false when that is nothing. */
static inline bool unit_filter(const struct CMUnitTest *tests, size_t count, const char *pattern)
{
    size_t fitting = 0;
    for (size_t i = 0; i < count; i++) {
        fitting += fnmatch(pattern, tests[i].name, 0) == 0;
    }
    cmocka_set_test_filter(pattern);
    return fitting > 0;
}

/* The exit code of the program: 0 when all that ran passed. */
static inline int unit_run_tests(const struct CMUnitTest *given, size_t count,
                                 CMFixtureFunction setup, CMFixtureFunction teardown, int argc,
                                 char **argv)
{
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    char *pattern = argc > 1 ? unit_sentence(argv[1]) : NULL;
    int result = 2;
    for (size_t i = 0; i < count; i++) {
        tests[i] = given[i];
        tests[i].name = unit_sentence(given[i].name);
    }
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        result = unit_list(tests, count);
    } else if (pattern == NULL || unit_filter(tests, count, pattern)) {
        result = _cmocka_run_group_tests("tests", tests, count, setup, teardown);
    } else {
        fprintf(stderr, "no test fits '%s': see %s --list\n", pattern, argv[0]);
    }
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)tests[i].name);
    }
    free(tests);
    free(pattern);
    return result;
}

#endif
