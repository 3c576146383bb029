/* The store's CSV reader. */
#include "csv.h"

#include "../unit.h"

#include <string.h>

struct reading {
    struct csv csv;
    FILE *file;
};

static void reading_start(struct reading *reading, const char *text, size_t size)
{
    reading->file = fmemopen((void *)(uintptr_t)text, size, "r");
    assert_non_null(reading->file);
    csv_init(&reading->csv, reading->file);
}

static void reading_end(struct reading *reading)
{
    csv_deinit(&reading->csv);
    fclose(reading->file);
}

static void expect_record(struct csv *csv, size_t count, const char *const fields[])
{
    assert_true(csv_next(csv));
    assert_int_equal(csv->field_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(csv_field(csv, i), fields[i]);
    }
}

#define EXPECT(csv, ...)                                                                           \
    expect_record(csv, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                     \
                  (const char *[]){__VA_ARGS__})

static void test_fields_are_read_as_they_are_quoted(void **state)
{
    static const char text[] = "\xEF\xBB\xBFone,two,three\r\n"
                               "\"a, b\",\"say \"\"hi\"\"\",\n"
                               "\n"
                               "\"two\nlines\",,x\n"
                               "last,without,end";
    struct reading reading;
    reading_start(&reading, text, sizeof text - 1);
    struct csv *csv = &reading.csv;
    EXPECT(csv, "one", "two", "three");
    EXPECT(csv, "a, b", "say \"hi\"", "");
    assert_int_equal(csv->line, 2);
    EXPECT(csv, "two\nlines", "", "x");
    assert_int_equal(csv->line, 4);
    EXPECT(csv, "last", "without", "end");
    assert_int_equal(csv->line, 6);
    assert_string_equal(csv_field(csv, 3), "");
    assert_false(csv_next(csv));
    assert_null(csv->problem);
    reading_end(&reading);
}

static void test_latin1_becomes_utf8(void **state)
{
    static const char text[] = "CAF\xC9,caf\xC3\xA9\n";
    struct reading reading;
    reading_start(&reading, text, sizeof text - 1);
    EXPECT(&reading.csv, "CAF\xC3\x89", "caf\xC3\xA9");
    reading_end(&reading);
}

static void expect_problem(const char *text, size_t size, const char *problem)
{
    struct reading reading;
    reading_start(&reading, text, size);
    assert_false(csv_next(&reading.csv));
    assert_non_null(reading.csv.problem);
    assert_string_equal(reading.csv.problem, problem);
    EXPECT(&reading.csv, "good"); /* the next line is read all the same */
    reading_end(&reading);
}

static void test_a_bad_record_is_told_and_the_next_one_read(void **state)
{
    static const char behind[] = "\"a\"b,c\ngood\n", zero[] = "a\0b\ngood\n";
    expect_problem(behind, sizeof behind - 1, "text behind a closing quote");
    expect_problem(zero, sizeof zero - 1, "a zero byte");
    expect_problem(",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\ngood\n", 46, "too many fields");
    static const char open_quote[] = "\"never closed\n";
    struct reading reading;
    reading_start(&reading, open_quote, sizeof open_quote - 1);
    assert_false(csv_next(&reading.csv));
    assert_string_equal(reading.csv.problem, "a quote is not closed");
    reading_end(&reading);
}

static void test_a_record_over_the_limit_is_refused(void **state)
{
    static char text[4 * CSV_RECORD_MAX];
    memset(text, 0xE9, sizeof text); /* each byte doubles */
    memcpy(text + 3 * CSV_RECORD_MAX, "\ngood\n", 6);
    expect_problem(text, 3 * CSV_RECORD_MAX + 6, "the record is too long");
    text[CSV_RECORD_MAX - 1] = '\n';
    struct reading reading;
    reading_start(&reading, text, CSV_RECORD_MAX);
    assert_true(csv_next(&reading.csv));
    assert_int_equal(strlen(csv_field(&reading.csv, 0)), 2 * (CSV_RECORD_MAX - 1));
    reading_end(&reading);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_read_as_they_are_quoted),
        cmocka_unit_test(test_latin1_becomes_utf8),
        cmocka_unit_test(test_a_bad_record_is_told_and_the_next_one_read),
        cmocka_unit_test(test_a_record_over_the_limit_is_refused),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
