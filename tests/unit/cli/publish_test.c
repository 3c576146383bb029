#include "../unit.h"

#include "cli/base/cli.h"
#include "cli/bus/delivery.h"
#include "cli/event/publish_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Splits the line at blanks and parses it as the arguments of publish. */
static bool parse(struct publish_options *options, char *line, int *code, char told[512])
{
    char *words[32];
    int count = 0;
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    words[count] = NULL;
    FILE *real = stderr;
    memset(told, 0, 512);
    stderr = fmemopen(told, 511, "w");
    bool is_on = publish_options_parse(options, count, words, code);
    fclose(stderr);
    stderr = real;
    return is_on;
}

static const char *value_of(const struct event *event, const char *name, char text[128])
{
    const struct event_header *header = event_header_find(event, name);
    if (header == NULL) {
        return NULL;
    }
    snprintf(text, 128, "%.*s", SLICE_ARGS(header->value));
    return text;
}

static void test_options_complete_an_event(void **state)
{
    (void)state;
    char line[] = "publish orders hello -k 42 -H a=1 -H b=x=y -p 3 --timestamp @1000 --ce-type "
                  "order.placed --ce-subject s --content-type text/plain";
    struct publish_options options;
    struct arena arena = {0};
    char told[512], text[128];
    int code;
    assert_true(parse(&options, line, &code, told));
    assert_string_equal(options.topic, "orders");
    assert_int_equal(options.messages.count, 1);
    struct event event = {.partition = -1, .timestamp_ms = -1};
    publish_options_complete(&options, &event, 5000, &arena);
    assert_true(slice_equal_str(event.key, "42"));
    assert_int_equal(event.partition, 3);
    assert_int_equal(event.timestamp_ms, 1000);
    assert_string_equal(value_of(&event, "a", text), "1");
    assert_string_equal(value_of(&event, "b", text), "x=y");
    assert_string_equal(value_of(&event, "ce_specversion", text), "1.0");
    assert_string_equal(value_of(&event, "ce_type", text), "order.placed");
    assert_string_equal(value_of(&event, "ce_source", text), "/tidings/cli");
    assert_string_equal(value_of(&event, "ce_subject", text), "s");
    assert_string_equal(value_of(&event, "ce_time", text), "1970-01-01T00:00:01.000Z");
    assert_string_equal(value_of(&event, "content-type", text), "text/plain");
    char first[128];
    snprintf(first, sizeof first, "%s", value_of(&event, "ce_id", text));
    assert_int_equal(strlen(first), 36);
    struct event next = {.partition = -1, .timestamp_ms = -1};
    publish_options_complete(&options, &next, 5000, &arena);
    assert_string_not_equal(value_of(&next, "ce_id", text), first);
    arena_deinit(&arena);
    publish_options_deinit(&options);
}

static void test_an_events_own_values_win(void **state)
{
    (void)state;
    char line[] = "publish orders -k 42 -H a=1 -p 3 --ce-type t";
    struct publish_options options;
    struct arena arena = {0};
    char told[512], text[128];
    int code;
    assert_true(parse(&options, line, &code, told));
    struct event_header own[] = {{"a", slice_str("mine")}, {"ce_type", slice_str("own")}};
    struct event event = {.partition = 1,
                          .timestamp_ms = 7,
                          .key = slice_str("k"),
                          .headers = own,
                          .header_count = 2};
    publish_options_complete(&options, &event, 5000, &arena);
    assert_true(slice_equal_str(event.key, "k"));
    assert_int_equal(event.partition, 1);
    assert_int_equal(event.timestamp_ms, 7);
    assert_string_equal(value_of(&event, "a", text), "mine");
    assert_string_equal(value_of(&event, "ce_type", text), "own");
    assert_string_equal(value_of(&event, "ce_specversion", text), "1.0");
    arena_deinit(&arena);
    publish_options_deinit(&options);
}

static void test_options_that_do_not_go_together_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *told;
    } cases[] = {{"publish", "which topic"},
                 {"publish t a -f x", "not both"},
                 {"publish t a -K :", "for --file and standard input"},
                 {"publish t -i csv", "--input is lines"},
                 {"publish t -i json -K :", "--key-separator needs"},
                 {"publish t a -z brotli", "--compression is"},
                 {"publish t a --timestamp soon", "'soon' is no time"},
                 {"publish t a -H novalue", "--header needs NAME=VALUE"},
                 {"publish t a --ce-source /x", "needs --ce-type"},
                 {"publish t --ce-type x --ce-id 1", "single event"},
                 {"publish t --tombstone", "needs --key"},
                 {"publish t a --tombstone -k k", "give no other"},
                 {"publish t a -p -1", "--partition must be between"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct publish_options options;
        char line[128], told[512];
        int code;
        snprintf(line, sizeof line, "%s", cases[i].line);
        assert_false(parse(&options, line, &code, told));
        assert_int_equal(code, EXIT_USAGE);
        assert_non_null(strstr(told, cases[i].told));
    }
}

static void test_what_was_acknowledged_is_counted_by_partition(void **state)
{
    (void)state;
    struct delivery delivery;
    delivery_init(&delivery, "t", 1000);
    delivery.sent = 3;
    delivery_acknowledge(&delivery, 2, 10, 5);
    delivery_acknowledge(&delivery, 2, 11, 5);
    assert_int_equal(delivery_exit_code(&delivery), EXIT_FAILED); /* one is still out */
    delivery_acknowledge(&delivery, 0, 4, 5);
    assert_int_equal(delivery_exit_code(&delivery), EXIT_OK);
    delivery.end_ms = 1500;
    json_t *json = delivery_to_json(&delivery);
    assert_int_equal(json_integer_value(json_object_get(json, "acknowledged")), 3);
    assert_int_equal(json_integer_value(json_object_get(json, "bytes")), 15);
    json_t *partitions = json_object_get(json, "partitions");
    assert_int_equal(json_array_size(partitions), 2);
    json_t *last = json_array_get(partitions, 1);
    assert_int_equal(json_integer_value(json_object_get(last, "partition")), 2);
    assert_int_equal(json_integer_value(json_object_get(last, "first_offset")), 10);
    assert_int_equal(json_integer_value(json_object_get(last, "last_offset")), 11);
    json_decref(json);
    delivery_deinit(&delivery);
}

static void test_the_first_failures_are_named(void **state)
{
    (void)state;
    enum { MESSAGE_TOO_LARGE = 10, MESSAGE_TIMED_OUT = -192 /* librdkafka's */ };
    struct client_error too_large, timed_out;
    client_fail_code(&too_large, MESSAGE_TOO_LARGE, "too large");
    client_fail_code(&timed_out, MESSAGE_TIMED_OUT, "timed out");
    struct delivery delivery;
    delivery_init(&delivery, "t", 0);
    for (uint64_t i = 1; i <= DELIVERY_FAILURES_KEPT + 2; i++) {
        delivery.sent++;
        delivery_fail(&delivery, i, &too_large);
    }
    assert_false(delivery.is_hopeless);
    assert_int_equal(delivery_exit_code(&delivery), EXIT_FAILED);
    char out[256] = "", errors[2048] = "";
    FILE *out_file = fmemopen(out, sizeof out, "w");
    FILE *error_file = fmemopen(errors, sizeof errors, "w");
    delivery_print(&delivery, out_file, error_file);
    fclose(out_file);
    fclose(error_file);
    assert_non_null(strstr(errors, "22 events were NOT acknowledged"));
    assert_non_null(strstr(errors, "  event 1: too large\n"));
    assert_non_null(strstr(errors, "and 2 more"));
    assert_non_null(strstr(errors, "hint: raise the topic's limit"));
    delivery_fail(&delivery, 99, &timed_out);
    assert_true(delivery.is_hopeless);
    delivery_deinit(&delivery);
}

static void test_the_progress_line_tells_how_far_and_how_fast(void **state)
{
    (void)state;
    struct delivery delivery;
    char text[256];
    delivery_init(&delivery, "t", 1000);
    for (int i = 0; i < 4; i++) {
        delivery_acknowledge(&delivery, 0, i, 500);
    }
    delivery_progress(&delivery, 30, 120, 3000, text, sizeof text);
    assert_string_equal(text, " 25 %  4 events acknowledged, 2.0 kB, 2 events/s");
    delivery_deinit(&delivery);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_complete_an_event),
        cmocka_unit_test(test_an_events_own_values_win),
        cmocka_unit_test(test_options_that_do_not_go_together_are_told),
        cmocka_unit_test(test_what_was_acknowledged_is_counted_by_partition),
        cmocka_unit_test(test_the_first_failures_are_named),
        cmocka_unit_test(test_the_progress_line_tells_how_far_and_how_fast),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
