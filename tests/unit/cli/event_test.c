#include "../unit.h"

#include "cli/base64.h"
#include "cli/event.h"
#include "cli/event_reader.h"
#include "cli/filter.h"
#include "cli/output.h"
#include "cli/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *dump(const struct event *event)
{
    json_t *json = event_to_json(event);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void test_json_shape(void **state)
{
    (void)state;
    struct event_header headers[] = {
        {"a", slice_str("1")}, {"b", slice_of("\xff", 1)}, {"a", {NULL, 0}}};
    struct event event = {.topic = "t",
                          .partition = 2,
                          .offset = 7,
                          .timestamp_ms = 1769947200123,
                          .key = slice_str("k"),
                          .value = slice_of("\x00\xfe", 2),
                          .headers = headers,
                          .header_count = 3};
    char *text = dump(&event);
    assert_string_equal(text, "{\"topic\":\"t\",\"partition\":2,\"offset\":7,"
                              "\"timestamp\":\"2026-02-01T12:00:00.123Z\",\"key\":\"k\","
                              "\"headers\":{\"a\":[\"1\",null],\"b\":{\"base64\":\"/w==\"}},"
                              "\"value\":\"AP4=\",\"value_encoding\":\"base64\"}");
    free(text);
}

static void test_json_round_trip(void **state)
{
    (void)state;
    struct event_header headers[] = {
        {"a", slice_str("1")}, {"a", slice_of("\xff\x00", 2)}, {"c", {NULL, 0}}};
    struct event event = {.topic = "t",
                          .partition = 1,
                          .offset = 3,
                          .timestamp_ms = 5,
                          .key = slice_of("\x80", 1),
                          .value = slice_str(""),
                          .headers = headers,
                          .header_count = 3};
    struct arena arena = {0};
    struct event back;
    char *text = dump(&event);
    assert_int_equal(event_from_json(slice_str(text), &arena, &back, NULL), ERR_NONE);
    assert_int_equal(back.partition, 1);
    assert_int_equal(back.timestamp_ms, 5);
    assert_true(slice_equal(back.key, event.key));
    assert_int_equal(back.value.size, 0);
    assert_false(slice_is_null(back.value));
    assert_int_equal(back.header_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(back.headers[i].name, headers[i].name);
        assert_true(slice_equal(back.headers[i].value, headers[i].value));
        assert_int_equal(slice_is_null(back.headers[i].value), slice_is_null(headers[i].value));
    }
    free(text);
    arena_deinit(&arena);
}

static void test_json_input(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event event;
    struct reason reason;
    assert_int_equal(
        event_from_json(slice_str("{\"value\":{\"a\": 1}, \"key\": 5}"), &arena, &event, NULL),
        ERR_NONE);
    assert_true(slice_equal_str(event.value, "{\"a\":1}"));
    assert_true(slice_equal_str(event.key, "5"));
    assert_int_equal(event.partition, -1);
    assert_int_equal(event.timestamp_ms, -1);
    assert_int_equal(
        event_from_json(slice_str("{\"key\":\"k\",\"value\":null}"), &arena, &event, NULL),
        ERR_NONE);
    assert_true(slice_is_null(event.value));
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {{"{\"valu\":1}", "\"valu\""},
               {"[1]", "JSON object"},
               {"{", "no JSON"},
               {"{\"headers\":[1]}", "\"headers\""},
               {"{\"partition\":-5}", "\"partition\""},
               {"{\"timestamp\":\"soon\"}", "soon"},
               {"{\"timestamp\":true}", "\"timestamp\""},
               {"{\"value\":\"%%\",\"value_encoding\":\"base64\"}", "base 64"},
               {"{\"value\":1,\"value\":2}", "duplicate"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(event_from_json(slice_str(bad[i].text), &arena, &event, &reason),
                         ERR_INVALID);
        assert_non_null(strstr(reason.text, bad[i].why));
    }
    arena_deinit(&arena);
}

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
    struct event whole = {.value = slice_str("{\"type\":\"order.placed\"}")};
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

static void test_lines_are_safe_on_a_terminal(void **state)
{
    (void)state;
    struct event_header headers[] = {{"ce_type", slice_str("x\033y")}};
    struct event event = {.topic = "t",
                          .partition = 0,
                          .offset = 1,
                          .timestamp_ms = 0,
                          .key = slice_str("k"),
                          .value = slice_of("a\nb\033[31m\xc3\xa4\xff\xc2\x9b", 13),
                          .headers = headers,
                          .header_count = 1};
    struct buf line = {0};
    event_to_line(&event, &line);
    assert_string_equal(buf_cstr(&line), "1970-01-01T00:00:00.000Z  t[0]@1  key=k  type=x\\x1by  "
                                         "a\\nb\\x1b[31m\xc3\xa4\\xff\\xc2\\x9b");
    buf_clear(&line);
    event.value = (struct slice){0};
    event.key = (struct slice){0};
    event.header_count = 0;
    event_to_line(&event, &line);
    assert_string_equal(buf_cstr(&line), "1970-01-01T00:00:00.000Z  t[0]@1  (null)");
    buf_deinit(&line);
}

static bool is_utf8(struct slice bytes)
{
    for (size_t i = 0; i < bytes.size;) {
        size_t size = utf8_sequence(slice_of(bytes.data + i, bytes.size - i));
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(is_utf8(slice_of("a\0\xe2\x82\xac\xf0\x9f\x98\x80", 9)));
    static const char *const bad[] = {
        "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(is_utf8(slice_str(bad[i])));
    }
    assert_int_equal(utf8_length("a\xc3\xa4"), 2);
}

static void test_base64(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    struct arena arena = {0};
    struct slice bytes;
    for (size_t i = 0; i < 5; i++) {
        struct buf text = {0};
        base64_encode(&text, slice_str(pairs[i][0]));
        assert_string_equal(buf_cstr(&text), pairs[i][1]);
        assert_true(base64_decode(&arena, buf_slice(&text), &bytes));
        assert_true(slice_equal_str(bytes, pairs[i][0]));
        buf_deinit(&text);
    }
    static const char *const bad[] = {"Zg", "Zg=", "Z===", "Zg==Zg==", "Z g=", "===="};
    for (size_t i = 0; i < 6; i++) {
        assert_false(base64_decode(&arena, slice_str(bad[i]), &bytes));
    }
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_shape),
        cmocka_unit_test(test_json_round_trip),
        cmocka_unit_test(test_json_input),
        cmocka_unit_test(test_reader_cuts_events),
        cmocka_unit_test(test_reader_names_the_line),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_lines_are_safe_on_a_terminal),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_base64),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
