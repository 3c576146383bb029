#include "../unit.h"

#include "base/prometheus.h"

#include <locale.h>
#include <math.h>

static void test_a_metric_with_labels(void **state)
{
    struct buf text = {0};
    (void)state;
    prometheus_head(&text, "a_total", "counter", "Of a.");
    prometheus_name(&text, "a_total");
    prometheus_label(&text, "x", "q\"b\\s\nl");
    prometheus_label_number(&text, "n", -7);
    prometheus_value(&text, 1e15);
    prometheus_name(&text, "a_total");
    prometheus_value(&text, 0.5);
    prometheus_one(&text, "b", "gauge", "Of b.", -3);
    assert_string_equal(buf_cstr(&text),
                        "# HELP a_total Of a.\n# TYPE a_total counter\n"
                        "a_total{x=\"q\\\"b\\\\s\\nl\",n=\"-7\"} 1000000000000000\n"
                        "a_total 0.5\n"
                        "# HELP b Of b.\n# TYPE b gauge\nb -3\n");
    buf_deinit(&text);
}

static void test_a_label_is_utf8(void **state)
{
    struct buf text = {0};
    (void)state;
    prometheus_name(&text, "a");
    prometheus_label(&text, "x", "\xc3\xa4\xff\xc3");
    prometheus_label(&text, "empty", "");
    prometheus_value(&text, 1);
    assert_string_equal(buf_cstr(&text),
                        "a{x=\"\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\",empty=\"\"} 1\n");
    buf_deinit(&text);
}

static void test_fractions_are_as_short_as_reads_back_the_same(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0.068409, " 0.068409\n"},
                {0.1 + 0.2, " 0.30000000000000004\n"},
                {1e-7, " 1e-07\n"},
                {1.5e300, " 1.5e+300\n"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf text = {0};
        prometheus_value(&text, rows[i].value);
        assert_string_equal(buf_cstr(&text), rows[i].text);
        buf_deinit(&text);
    }
}

static void test_fractions_have_a_point_in_each_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
    struct buf text = {0};
    (void)state;
    prometheus_value(&text, NAN);
    prometheus_value(&text, -INFINITY);
    assert_string_equal(buf_cstr(&text), " NaN\n -Inf\n");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (setlocale(LC_NUMERIC, names[i]) != NULL) { /* those that this machine has */
            buf_clear(&text);
            prometheus_value(&text, 1.5e300);
            prometheus_value(&text, -0.25);
            assert_string_equal(buf_cstr(&text), " 1.5e+300\n -0.25\n");
        }
    }
    (void)setlocale(LC_NUMERIC, "C");
    buf_deinit(&text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_metric_with_labels), cmocka_unit_test(test_a_label_is_utf8),
        cmocka_unit_test(test_fractions_are_as_short_as_reads_back_the_same),
        cmocka_unit_test(test_fractions_have_a_point_in_each_locale)};
    return unit_run(tests, NULL, NULL, argc, argv);
}
