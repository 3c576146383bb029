#include "../unit.h"

#include "base/utf8.h"
#include "cli/story/why_view.h"

/* How a story is drawn. */

static const char story_text[] =
    "{\"now\": \"2026-02-01T12:00:10.000Z\", \"horizon\": [\"what is not known\"], \"events\": ["
    " {\"topic\": \"orders\", \"partition\": 0, \"offset\": 42, \"presence\": \"there\","
    "  \"parent\": null, \"depth\": 0, \"link\": {\"how\": \"root\"}, \"asked\": true,"
    "  \"timestamp\": \"2026-02-01T12:00:00.000Z\", \"key\": \"42\", \"id\": \"o-1\","
    "  \"source\": \"/shop\", \"type\": \"order.placed\", \"publishers\": [], \"groups\": ["
    "   {\"group\": \"billing\", \"state\": \"passed\", \"evidence\": \"passed\","
    "    \"at\": \"2026-02-01T12:00:00.027Z\", \"notes\": []},"
    "   {\"group\": \"stock\", \"state\": \"waiting\", \"evidence\": \"told\", \"attempt\": 2,"
    "    \"attempts_most\": 5, \"next_try\": \"2026-02-01T12:00:14.000Z\","
    "    \"error_class\": \"Timeout\", \"message\": \"the bank \\u001b[31m is away\","
    "    \"notes\": [{\"text\": \"a guess\", \"evidence\": \"inferred\"}]}]},"
    " {\"topic\": \"mails\", \"partition\": 1, \"offset\": 7, \"presence\": \"there\","
    "  \"parent\": 0, \"depth\": 1, \"link\": {\"how\": \"causation\"},"
    "  \"timestamp\": \"2026-02-01T12:00:05.000Z\", \"type\": \"mail\\n\\u202esent\","
    "  \"publishers\": [{\"name\": \"\\u0007client\", \"from\": \"clients\"}],"
    "  \"groups\": [], \"nobody_subscribes\": true}]}";

static char *draw(const char *json, struct why_look look)
{
    struct buf text = {0};
    json_t *story = json_loads(json, 0, NULL);
    assert_non_null(story);
    why_view(story, &look, &text);
    json_decref(story);
    char *drawn = strdup(buf_cstr(&text));
    buf_deinit(&text);
    return drawn;
}

static void test_it_says_who_did_what_and_names_the_evidence(void **state)
{
    (void)state;
    char *drawn = draw(story_text, (struct why_look){.columns = 80});
    static const char *const wanted[] = {
        "order.placed from /shop <",
        "orders/0/42, key 42, id o-1",
        "+ billing      passed by 12:00:00.027, after 27 ms",
        "~ stock        waits: attempt 2 of 5 failed; next try in 4.0 s",
        "Timeout: the bank \\x1b[31m is away",
        "a guess (inferred)",
        "`- mail\\n\\xe2\\x80\\xaesent",
        "nobody subscribes to mail",
        "what is not known",
        "2 events, 2026-02-01, times in UTC"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (strstr(drawn, wanted[i]) == NULL) {
            fail_msg("'%s' is not in\n%s", wanted[i], drawn);
        }
    }
    free(drawn);
}

/* No line is longer than the terminal is wide, and nothing does something to it. */
static void check_lines(const char *drawn, int columns)
{
    char *copy = strdup(drawn), *rest = copy;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        for (const char *at = line; *at != '\0';) {
            size_t size = utf8_printable(slice_str(at));
            assert_true(size > 0);
            at += size;
        }
        if ((int)utf8_length(line) > columns) {
            fail_msg("over %d columns: '%s'", columns, line);
        }
    }
    free(copy);
}

static void test_it_fits_the_terminal_and_does_nothing_to_it(void **state)
{
    (void)state;
    static const int widths[] = {40, 60, 80, 132};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        for (int has_utf8 = 0; has_utf8 < 2; has_utf8++) {
            char *drawn = draw(story_text,
                               (struct why_look){.columns = widths[i], .has_utf8 = has_utf8 != 0});
            check_lines(drawn, widths[i]);
            free(drawn);
        }
    }
}

static void test_an_answer_that_lacks_everything_is_drawn(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "{\"events\": [{}]}",
        "{\"events\": [{\"groups\": [{}], \"parent\": 5}]}",
        "{\"events\": [{\"groups\": null, \"parent\": 0, \"nobody_subscribes\": true}]}",
        "{\"events\": [{\"publishers\": [{\"name\": \"x\"}], \"copy_of\": 0}]}",
        "{\"events\": 3, \"horizon\": \"x\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *drawn = draw(texts[i], (struct why_look){.columns = 80});
        check_lines(drawn, 80);
        free(drawn);
    }
}

/* From a layer that is none of ours. */
static void test_odd_numbers_are_drawn(void **state)
{
    (void)state;
    static const char *const numbers[] = {"9223372036854775807", "-9223372036854775808", "-1", "0"};
    static const char *const times[] = {"9999-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "x"};
    static const char *const states[] = {"handling", "waiting", "not-yet",  "done",
                                         "behind",   "dead",    "filtered", "not-subscribed"};
    for (size_t i = 0; i < 4 * 3 * 8; i++) {
        const char *number = numbers[i % 4], *time = times[i / 4 % 3], *of = states[i / 12];
        char text[1000];
        snprintf(
            text, sizeof text,
            "{\"now\": \"%s\", \"events\": [{\"topic\": \"t\", \"partition\": %s, \"offset\": "
            "%s, \"parent\": null, \"depth\": %s, \"timestamp\": \"%s\", \"groups\": [{"
            "\"group\": \"g\", \"state\": \"%s\", \"at\": \"%s\", \"took_ms\": %s, \"before\": "
            "%s, \"left_ms\": %s, \"attempt\": %s, \"next_try\": \"%s\", \"behind\": %s}]}]}",
            time, number, number, number, time, of, times[(i + 1) % 3], number, number, number,
            number, times[(i + 2) % 3], number);
        free(draw(text, (struct why_look){.columns = 80}));
    }
}

static void test_durations_are_said_in_their_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {{-5, "0 ms"},       {27, "27 ms"},      {3100, "3.1 s"},   {61000, "61 s"},
                {600000, "10 min"}, {7200000, "2.0 h"}, {259200000, "3 d"}};
    char text[32];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(why_duration(rows[i].ms, text), rows[i].text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_says_who_did_what_and_names_the_evidence),
        cmocka_unit_test(test_it_fits_the_terminal_and_does_nothing_to_it),
        cmocka_unit_test(test_an_answer_that_lacks_everything_is_drawn),
        cmocka_unit_test(test_odd_numbers_are_drawn),
        cmocka_unit_test(test_durations_are_said_in_their_unit),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
