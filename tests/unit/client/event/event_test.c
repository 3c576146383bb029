#include "../../unit.h"

#include "base/utf8.h"
#include "client/event/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *dump(const struct event *event)
{
    json_t *json = event_to_json(event);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void test_an_event_has_one_json_shape(void **state)
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

static void test_json_gives_back_the_same_event(void **state)
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

static void test_json_input_is_read_or_refused_with_a_reason(void **state)
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
    event_to_line(&event, NULL, &line);
    assert_string_equal(buf_cstr(&line), "1970-01-01T00:00:00.000Z  t[0]@1  key=k  type=x\\x1by  "
                                         "a\\nb\\x1b[31m\xc3\xa4\\xff\\xc2\\x9b");
    buf_clear(&line);
    event.value = (struct slice){0};
    event.key = (struct slice){0};
    event.header_count = 0;
    event_to_line(&event, NULL, &line);
    assert_string_equal(buf_cstr(&line), "1970-01-01T00:00:00.000Z  t[0]@1  (null)");
    buf_deinit(&line);
}

static const char *header_text(const struct event *event, const char *name)
{
    const struct event_header *header = event_header_find(event, name);
    return header != NULL ? (const char *)header->value.data : NULL;
}

/* An event whose value is the envelope. */
static struct event structured(const char *envelope)
{
    static struct event_header headers[] = {
        {"trace", {(const uint8_t *)"t", 1}},
        {"ce_id", {(const uint8_t *)"repeated", 8}},
        {"content-type", {(const uint8_t *)"application/cloudevents+json; charset=utf-8", 43}}};
    return (struct event){.topic = "t",
                          .key = slice_str("k"),
                          .value = slice_str(envelope),
                          .headers = headers,
                          .header_count = 3};
}

static void test_a_structured_event_becomes_a_binary_one(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event event = structured(
        "{ \"specversion\" : \"1.0\", \"id\":\"A-\\u00e4\", \"source\":\"/shop\", "
        "\"type\":\"placed\", \"big\":123456789012345678901234567890, \"flag\":true, "
        "\"none\":null, \"data\" : {\"a\": [1.10, \"}\\\"\"], \"n\":12345678901234567890} }");
    assert_int_equal(event_mode(&event), EVENT_STRUCTURED);
    assert_int_equal(event_unwrap(&event, &arena, NULL), ERR_NONE);
    assert_int_equal(event_mode(&event), EVENT_BINARY);
    assert_string_equal(header_text(&event, "trace"), "t");
    assert_string_equal(header_text(&event, "ce_id"), "A-\xc3\xa4");
    assert_string_equal(header_text(&event, "ce_big"), "123456789012345678901234567890");
    assert_string_equal(header_text(&event, "ce_flag"), "true");
    assert_null(header_text(&event, "ce_none"));
    assert_string_equal(header_text(&event, "content-type"), "application/json");
    assert_int_equal(event.header_count, 8);
    assert_true(
        slice_equal_str(event.value, "{\"a\": [1.10, \"}\\\"\"], \"n\":12345678901234567890}"));
    assert_true(slice_equal_str(event.key, "k"));
    arena_deinit(&arena);
}

static void test_structured_data_is_read_by_its_content_type(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *content_type;
        const char *data;
    } cases[] = {
        {"", NULL, NULL},
        {",\"data\":null", NULL, NULL},
        {",\"data\":\"a\\nb\"", "application/json", "\"a\\nb\""},
        {",\"datacontenttype\":\"text/plain\",\"data\":\"a\\nb\"", "text/plain", "a\nb"},
        {",\"data\":\"x\",\"datacontenttype\":\"application/vnd.x+json; v=1\"",
         "application/vnd.x+json; v=1", "\"x\""},
        {",\"datacontenttype\":\"text/plain\",\"data\":[ 1 ]", "text/plain", "[ 1 ]"},
        {",\"datacontenttype\":\"image/png\",\"data_base64\":\"Zm9v\"", "image/png", "foo"},
        {",\"datacontenttype\":\"text/plain\"", "text/plain", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena = {0};
        char text[256];
        snprintf(text, sizeof text,
                 "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"%s}",
                 cases[i].members);
        struct event event = structured(text);
        assert_int_equal(event_unwrap(&event, &arena, NULL), ERR_NONE);
        struct event_attributes attributes = event_attributes(&event);
        assert_int_equal(attributes.content_type == NULL, cases[i].content_type == NULL);
        if (cases[i].content_type != NULL) {
            assert_string_equal(attributes.content_type, cases[i].content_type);
        }
        assert_int_equal(slice_is_null(event.value), cases[i].data == NULL);
        assert_true(slice_equal_str(event.value, cases[i].data));
        arena_deinit(&arena);
    }
}

static void test_bad_envelopes_are_refused_whole(void **state)
{
    (void)state;
#define START "{\"specversion\":\"1.0\",\"source\":\"s\""
    static const struct {
        const char *text;
        enum err err;
        const char *why;
    } cases[] = {
        {"{", ERR_INVALID, "no JSON"},
        {"[1]", ERR_INVALID, "object"},
        {START ",\"id\":\"1\"}", ERR_INVALID, "\"type\""},
        {START ",\"id\":\"\",\"type\":\"t\"}", ERR_INVALID, "\"id\""},
        {"{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"}", ERR_UNSUPPORTED,
         "0.3"},
        {START ",\"id\":\"1\",\"type\":\"t\",\"data_base64\":\"%\"}", ERR_INVALID, "base 64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena = {0};
        struct reason reason;
        struct event event = structured(cases[i].text);
        struct event before = event;
        assert_int_equal(event_unwrap(&event, &arena, &reason), cases[i].err);
        assert_non_null(strstr(reason.text, cases[i].why));
        assert_memory_equal(&event, &before, sizeof event);
        arena_deinit(&arena);
    }
    struct arena arena = {0};
    struct reason reason;
    struct event_header avro[] = {{"content-type", slice_str("application/cloudevents+avro")}};
    struct event event = {.headers = avro, .header_count = 1, .value = slice_str("x")};
    assert_int_equal(event_unwrap(&event, &arena, &reason), ERR_UNSUPPORTED);
    assert_non_null(strstr(reason.text, "cloudevents+avro"));
    struct event plain = {.value = slice_str("x")};
    assert_int_equal(event_unwrap(&plain, &arena, NULL), ERR_NONE);
    assert_int_equal(event_mode(&plain), EVENT_PLAIN);
    assert_int_equal(event_wrap(&plain, &arena, NULL), ERR_INVALID);
    arena_deinit(&arena);
}

static void test_binary_becomes_structured_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *content_type;
        struct slice data;
        const char *member;
    } cases[] = {
        {"application/json", {(const uint8_t *)"{\"a\": 1.10}", 11}, "\"data\":{\"a\": 1.10}"},
        {"application/json", {(const uint8_t *)"{broken", 7}, "\"data_base64\":"},
        {"text/plain", {(const uint8_t *)"a\"b", 3}, "\"data\":\"a\\\"b\""},
        {"image/png", {(const uint8_t *)"\xff\x00", 2}, "\"data_base64\":\"/wA=\""},
        {NULL, {NULL, 0}, "\"id\":\"1\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena = {0};
        struct event event = event_blank();
        struct event_attributes attributes = {
            .id = "1", .source = "/s", .type = "t", .content_type = cases[i].content_type};
        event.value = cases[i].data;
        event_header_room(&event, EVENT_ATTRIBUTES_MAX + 1, &arena);
        event_header_add(&event, "mine", slice_str("m"));
        event_attributes_add(&event, 0, &attributes);
        struct event before = event;
        assert_int_equal(event_wrap(&event, &arena, NULL), ERR_NONE);
        assert_int_equal(event_mode(&event), EVENT_STRUCTURED);
        assert_int_equal(event.header_count, 2);
        assert_non_null(strstr((const char *)event.value.data, cases[i].member));
        assert_int_equal(event_unwrap(&event, &arena, NULL), ERR_NONE);
        assert_int_equal(event.header_count, before.header_count);
        for (size_t h = 0; h < before.header_count; h++) {
            const struct event_header *header = event_header_find(&event, before.headers[h].name);
            assert_non_null(header);
            assert_true(slice_equal(header->value, before.headers[h].value));
        }
        assert_true(slice_equal(event.value, before.value));
        assert_int_equal(slice_is_null(event.value), slice_is_null(before.value));
        arena_deinit(&arena);
    }
}

static void test_attributes_are_read_and_added(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event event = event_blank();
    assert_null(event_attributes(&event).id);
    event_header_room(&event, EVENT_ATTRIBUTES_MAX + 1, &arena);
    event_header_add(&event, "ce_subject", slice_str("mine"));
    struct event_attributes all = {.id = "1",
                                   .source = "/s",
                                   .type = "t",
                                   .subject = "given",
                                   .time = "2026-02-01T12:00:00Z",
                                   .content_type = "text/plain",
                                   .correlation_id = "first",
                                   .causation_id = "before"};
    event_attributes_add(&event, 1, &all);
    assert_int_equal(event.header_count, 9); /* subject was there */
    struct event_attributes read = event_attributes(&event);
    assert_string_equal(read.subject, "mine");
    assert_string_equal(read.id, "1");
    assert_string_equal(read.source, "/s");
    assert_string_equal(read.type, "t");
    assert_string_equal(read.time, "2026-02-01T12:00:00Z");
    assert_string_equal(read.content_type, "text/plain");
    assert_string_equal(read.correlation_id, "first");
    assert_string_equal(read.causation_id, "before");
    assert_string_equal(event.headers[1].name, "ce_specversion");
    arena_deinit(&arena);
}

/* What is written directly must be what jansson makes of the same event, but for a terminal. */
static void assert_same_json(const struct event *event)
{
    struct buf line = {0};
    json_t *json = event_to_json(event);
    char *plain = json_dumps(json, JSON_COMPACT);
    struct buf expected = {0};
    utf8_escape_json(&expected, slice_str(plain));
    event_to_json_line(event, &line);
    assert_string_equal(buf_cstr(&line), buf_cstr(&expected));
    buf_deinit(&line);
    buf_deinit(&expected);
    free(plain);
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
                             slice_str("\xc2\x9b\x31m \xe2\x80\xae override \xe2\x80\xa8"),
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_has_one_json_shape),
        cmocka_unit_test(test_json_gives_back_the_same_event),
        cmocka_unit_test(test_json_input_is_read_or_refused_with_a_reason),
        cmocka_unit_test(test_lines_are_safe_on_a_terminal),
        cmocka_unit_test(test_a_structured_event_becomes_a_binary_one),
        cmocka_unit_test(test_structured_data_is_read_by_its_content_type),
        cmocka_unit_test(test_bad_envelopes_are_refused_whole),
        cmocka_unit_test(test_binary_becomes_structured_and_back),
        cmocka_unit_test(test_attributes_are_read_and_added),
        cmocka_unit_test(test_json_lines_are_the_same_objects),
        cmocka_unit_test(test_odd_headers_go_the_long_way),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
