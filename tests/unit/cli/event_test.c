#include "../unit.h"

#include "base/time_text.h"
#include "cli/event_reader.h"
#include "cli/filter.h"
#include "client/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Feeds the text through a pipe in pieces of step bytes and joins key=value of all events by |. */
static enum err read_all(enum event_format format, const char *separator, const char *text,
                         size_t size, size_t step, struct buf *out, struct reason *reason)
{
    struct event_reader reader = {.format = format, .key_separator = separator};
    struct arena arena = {0};
    struct event event;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    size_t written = 0;
    enum err err;
    buf_clear(out);
    for (;;) {
        err = event_reader_next(&reader, &arena, &event, reason);
        if (err == ERR_AGAIN) {
            size_t some = size - written < step ? size - written : step;
            if (some == 0 && pipes[1] >= 0) {
                close(pipes[1]);
                pipes[1] = -1;
            } else if (some > 0) {
                assert_int_equal(write(pipes[1], text + written, some), some);
                written += some;
            }
            assert_int_equal(event_reader_fill(&reader, pipes[0], NULL), ERR_NONE);
            continue;
        }
        if (err != ERR_NONE) {
            break;
        }
        if (!slice_is_null(event.key)) {
            buf_printf(out, "%.*s=", SLICE_ARGS(event.key));
        }
        buf_printf(out, "%.*s|", SLICE_ARGS(event.value));
    }
    buf_cstr(out);
    close(pipes[0]);
    if (pipes[1] >= 0) {
        close(pipes[1]);
    }
    event_reader_deinit(&reader);
    arena_deinit(&arena);
    return err;
}

static void test_reader_cuts_events(void **state)
{
    (void)state;
    static const struct {
        enum event_format format;
        const char *separator;
        const char *text;
        size_t size;
        const char *events;
    } cases[] = {{EVENT_LINES, NULL, "a\nbc\n", 5, "a|bc|"},
                 {EVENT_LINES, NULL, "a\n\nbc", 5, "a||bc|"},
                 {EVENT_LINES, NULL, "a\r\nb\r", 5, "a|b|"},
                 {EVENT_LINES, NULL, "", 0, ""},
                 {EVENT_LINES, ":", "k:v:w\nq:\n", 9, "k=v:w|q=|"},
                 {EVENT_LINES, "->", "k->v\n", 5, "k=v|"},
                 {EVENT_NUL, NULL, "a\nb\0c", 5, "a\nb|c|"},
                 {EVENT_WHOLE, NULL, "a\nb\n", 4, "a\nb\n|"},
                 {EVENT_WHOLE, NULL, "", 0, "|"},
                 {EVENT_JSON, NULL, "{\"key\":\"k\",\"value\":\"v\"}\n \n{}\n", 28, "k=v||"}};
    struct buf out = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t step = 1; step < 30; step += 7) {
            assert_int_equal(read_all(cases[i].format, cases[i].separator, cases[i].text,
                                      cases[i].size, step, &out, NULL),
                             ERR_NOT_FOUND);
            assert_string_equal(buf_cstr(&out), cases[i].events);
        }
    }
    buf_deinit(&out);
}

static void test_reader_names_the_line(void **state)
{
    (void)state;
    struct buf out = {0};
    struct reason reason;
    assert_int_equal(read_all(EVENT_LINES, ":", "k:v\nnokey\n", 10, 100, &out, &reason),
                     ERR_INVALID);
    assert_string_equal(buf_cstr(&out), "k=v|");
    assert_non_null(strstr(reason.text, "line 2"));
    assert_int_equal(read_all(EVENT_JSON, NULL, "{}\n{}\n{]\n", 9, 2, &out, &reason), ERR_INVALID);
    assert_non_null(strstr(reason.text, "line 3: no JSON"));
    buf_deinit(&out);
}

static void test_filter(void **state)
{
    (void)state;
    struct event_header binary[] = {{"ce_type", slice_str("order.placed")}};
    struct event_header structured[] = {
        {"content-type", slice_str("application/cloudevents+json; charset=utf-8")}};
    struct event plain = {.key = slice_str("k"), .value = slice_str("v")};
    struct event placed = plain;
    placed.headers = binary;
    placed.header_count = 1;
    struct event whole = {.value = slice_str("{\"specversion\":\"1.0\",\"id\":\"1\","
                                             "\"source\":\"/shop\",\"type\":\"order.placed\"}")};
    whole.headers = structured;
    whole.header_count = 1;
    struct filter any = {0};
    assert_true(filter_accepts(&any, &plain));
    struct filter type = {0};
    text_list_add(&type.types, "order.paid");
    assert_false(filter_accepts(&type, &plain));
    assert_false(filter_accepts(&type, &placed));
    assert_false(filter_accepts(&type, &whole));
    text_list_add(&type.types, "order.placed");
    assert_true(filter_accepts(&type, &placed));
    assert_true(filter_accepts(&type, &whole));
    whole.header_count = 0; /* the same bytes, but nothing says that they are a CloudEvent */
    assert_false(filter_accepts(&type, &whole));
    whole.header_count = 1;
    whole.value = slice_str("not json");
    assert_false(filter_accepts(&type, &whole));
    struct filter key = {.key = "k"};
    assert_true(filter_accepts(&key, &plain));
    assert_false(filter_accepts(&key, &whole));
    key.key = "other";
    assert_false(filter_accepts(&key, &plain));
    text_list_deinit(&type.types);
}

/* What is written directly must be what jansson makes of the same event. */
static void assert_same_json(const struct event *event)
{
    struct buf line = {0};
    json_t *json = event_to_json(event);
    char *expected = json_dumps(json, JSON_COMPACT);
    event_to_json_line(event, &line);
    assert_string_equal(buf_cstr(&line), expected);
    buf_deinit(&line);
    free(expected);
    json_decref(json);
}

static void test_json_lines_are_the_same_objects(void **state)
{
    (void)state;
    uint8_t ascii[128];
    for (size_t i = 0; i < sizeof ascii; i++) {
        ascii[i] = (uint8_t)i;
    }
    struct slice values[] = {{0},
                             slice_str(""),
                             slice_str("plain"),
                             slice_str("\"quoted\" and \\ and / and \x7f"),
                             slice_of(ascii, sizeof ascii),
                             slice_str("\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\x89"),
                             slice_str("cut short \xe2\x82"),
                             slice_str("\xed\xa0\x80 a surrogate"),
                             slice_str("\xc0\x80 overlong"),
                             slice_str("\xff")};
    enum { COUNT = sizeof values / sizeof values[0] };
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            struct event_header headers[] = {{"a", values[i]},
                                             {"b", values[j]},
                                             {"a", values[j]},
                                             {"\xc3\xa9 \"", values[i]},
                                             {"a", slice_str("third")}};
            struct event event = {.topic = "t.x_y-1",
                                  .partition = (int32_t)i - 1,
                                  .offset = INT64_MAX - (int64_t)j,
                                  .timestamp_ms = (int64_t)i * 86399999999 - 1,
                                  .key = values[i],
                                  .value = values[j],
                                  .headers = headers,
                                  .header_count = j % 6};
            assert_same_json(&event);
        }
    }
}

static void test_odd_headers_go_the_long_way(void **state)
{
    (void)state;
    struct event_header headers[100];
    for (size_t i = 0; i < 100; i++) {
        headers[i] = (struct event_header){i % 2 == 0 ? "same" : "other", slice_str("v")};
    }
    struct event event = event_blank();
    event.topic = "t";
    event.headers = headers;
    event.header_count = 100;
    assert_same_json(&event);
    event.header_count = 3;
    headers[1].name = "\xff";
    assert_same_json(&event);
}

static void test_times_as_the_library_writes_them(void **state)
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
        cmocka_unit_test(test_json_lines_are_the_same_objects),
        cmocka_unit_test(test_odd_headers_go_the_long_way),
        cmocka_unit_test(test_times_as_the_library_writes_them),
        cmocka_unit_test(test_reader_cuts_events),
        cmocka_unit_test(test_reader_names_the_line),
        cmocka_unit_test(test_filter),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
