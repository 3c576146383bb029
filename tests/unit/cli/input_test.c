#include "../unit.h"

#include "cli/bus/event_reader.h"
#include "cli/bus/filter.h"
#include "client/event/event.h"

#include <string.h>
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

static void test_input_is_cut_into_events_at_any_pace(void **state)
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

static void test_the_line_that_is_wrong_is_named(void **state)
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

static void test_only_what_is_asked_for_passes(void **state)
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_is_cut_into_events_at_any_pace),
        cmocka_unit_test(test_the_line_that_is_wrong_is_named),
        cmocka_unit_test(test_only_what_is_asked_for_passes),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
