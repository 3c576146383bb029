#include "../unit.h"

#include "base/time_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t NOON_MS = INT64_C(1769947200000); /* 2026-02-01T12:00:00Z */

static void test_a_duration_is_a_sum_of_numbers_with_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"500ms", 500},    {"30s", 30000},     {"5m", 300000}, {"2h", 7200000},
                {"1d", 86400000},  {"1h30m", 5400000}, {"10", 10000},  {"0", 0},
                {"1w", 604800000}, {"1m1s1ms", 61001}};
    static const char *const bad[] = {
        "", "s", "1x", "-1h", "1h ", "99999999999999999999d", "99999999999w"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(duration_parse(good[i].text, &ms, NULL), ERR_NONE);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(duration_parse(bad[i], &ms, NULL), ERR_INVALID);
    }
}

static void test_a_time_is_read_in_the_forms_that_people_type(void **state)
{
    (void)state;
    setenv("TZ", "UTC-3", 1); /* three hours east */
    tzset();
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"2026-02-01T12:00:00Z", NOON_MS},
                {"2026-02-01 12:00:00.250Z", NOON_MS + 250},
                {"2026-02-01T14:00:00+02:00", NOON_MS},
                {"2026-02-01T10:30-0130", NOON_MS},
                {"2026-02-01T12:00:00.123456789Z", NOON_MS + 123},
                {"2026-02-01T15:00", NOON_MS}, /* local */
                {"now", NOON_MS},
                {"-1h", NOON_MS - 3600000},
                {"@1769947200000", NOON_MS}};
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-02-30",
                                      "2026-13-01",
                                      "2026-02-01T25:00",
                                      "2026-02-01T12",
                                      "2026-02-01T12:00:00Zx",
                                      "2026-02-01T12:00+99:00",
                                      "@",
                                      "1969-12-31T23:59:59Z",
                                      "yesterday"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(time_parse(good[i].text, NOON_MS, &ms, NULL), ERR_NONE);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(time_parse(bad[i], NOON_MS, &ms, NULL), ERR_INVALID);
    }
    char text[TIME_TEXT_SIZE];
    assert_string_equal(time_format(NOON_MS + 7, text), "2026-02-01T12:00:00.007Z");
    assert_string_equal(time_format(-1, text), "1969-12-31T23:59:59.999Z");
}

static void test_a_time_is_written_as_the_c_library_does(void **state)
{
    (void)state;
    static const int64_t times_ms[] = {0,
                                       1,
                                       999,
                                       1000,
                                       86399999,
                                       86400000,
                                       951782400000 /* 2000-02-29 */,
                                       1709164800000,
                                       1740787200000,
                                       4107542400000 /* 2100-03-01 */,
                                       253402300799999,
                                       253402300800000};
    for (size_t i = 0; i < sizeof times_ms / sizeof times_ms[0]; i++) {
        for (int64_t ms = times_ms[i] - 86400000; ms <= times_ms[i]; ms += 43200000) {
            char text[TIME_TEXT_SIZE], expected[64];
            time_t seconds = (time_t)(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
            struct tm tm;
            assert_non_null(gmtime_r(&seconds, &tm));
            size_t size = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
            snprintf(expected + size, sizeof expected - size, ".%03dZ",
                     (int)(ms - (int64_t)seconds * 1000));
            assert_string_equal(time_format(ms, text), expected);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_duration_is_a_sum_of_numbers_with_units),
        cmocka_unit_test(test_a_time_is_read_in_the_forms_that_people_type),
        cmocka_unit_test(test_a_time_is_written_as_the_c_library_does),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
