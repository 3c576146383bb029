#include "../unit.h"

#include "base/mem.h"
#include "bus/spec/spec_book.h"
#include "bus/spec/spec_compare.h"
#include "bus/spec/spec_write.h"

#include <unistd.h>

/* The AsyncAPI document of a bus, and what a change of it breaks. */

static json_t *load(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    if (json == NULL) {
        fail_msg("%s: %s", text, error.text);
    }
    return json;
}

/* --- what breaks --- */

enum { BREAKS = 1, BASELINE = 2, LENIENT = 4, NOBODY = 8 };

/* What happens when this was and that becomes: the kinds of differences, in order. */
struct rule {
    const char *was, *becomes; /* schemas of the payload */
    const char *kinds;         /* "lost a.b, null c" */
    unsigned flags;
};

#define OBJECT(required, properties)                                                               \
    "{\"type\":\"object\",\"required\":[" required "],\"properties\":{" properties "}}"

static const char integer[] = OBJECT("\"a\"", "\"a\":{\"type\":\"integer\"}");

static const struct rule rules[] = {
    {integer, integer, "", 0},
    {integer, OBJECT("\"a\"", "\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}"), "", 0},
    {integer, OBJECT("\"a\",\"b\"", "\"a\":{\"type\":\"integer\"},\"b\":{}"), "", 0},
    {integer, OBJECT("", "\"b\":{\"type\":\"string\"}"), "lost a", BREAKS},
    {integer, OBJECT("", "\"b\":{\"type\":\"string\"}"), "lost a", NOBODY},
    {integer, OBJECT("", "\"b\":{\"type\":\"string\"}"), "lost a", BREAKS | LENIENT},
    {integer, "{\"type\":\"object\",\"additionalProperties\":false}", "lost a", BREAKS},
    {integer, "{\"type\":\"object\"}", "unsaid ", 0},
    {integer, "{}", "unsaid ", 0},
    {integer, "true", "unsaid ", 0},
    {integer, "{\"oneOf\":[{\"type\":\"object\"}]}", "unsaid ", 0},
    {integer, OBJECT("", "\"a\":{\"type\":\"integer\"}"), "missing a", BREAKS},
    {integer, OBJECT("", "\"a\":{\"type\":\"integer\"}"), "missing a", LENIENT},
    {integer, OBJECT("\"a\"", "\"a\":{\"type\":\"string\"}"), "type a", BREAKS},
    {integer, OBJECT("\"a\"", "\"a\":{\"type\":\"string\"}"), "type a", BREAKS | LENIENT},
    {integer, OBJECT("\"a\"", "\"a\":{\"type\":\"number\"}"), "type a", BREAKS},
    {integer, OBJECT("\"a\"", "\"a\":{\"type\":\"number\"}"), "type a", LENIENT},
    {integer, OBJECT("\"a\"", "\"a\":{\"type\":[\"integer\",\"null\"]}"), "null a", BREAKS},
    {integer, OBJECT("\"a\"", "\"a\":{\"type\":[\"integer\",\"null\"]}"), "null a", LENIENT},
    {integer, OBJECT("\"a\"", "\"a\":{\"type\":\"null\"}"), "type a", BREAKS | LENIENT},
    {integer, "{\"type\":\"array\"}", "type ", BREAKS},
    {OBJECT("\"a\"", "\"a\":{\"type\":\"number\"}"), integer, "", 0},
    {OBJECT("\"a\"", "\"a\":{\"type\":[\"integer\",\"null\"]}"), integer, "", 0},
    {OBJECT("", "\"a\":{\"type\":\"integer\"}"), integer, "", 0},
    {OBJECT("", "\"a\":{\"type\":\"integer\"}"), OBJECT("", "\"b\":{}"), "lost a", BREAKS},
    {OBJECT("", "\"a\":{\"type\":\"integer\"}"), OBJECT("", "\"b\":{}"), "", BASELINE},
    {integer, OBJECT("", "\"b\":{}"), "lost a", BREAKS | BASELINE},
    {OBJECT("\"o\"", "\"o\":" OBJECT("\"p\"", "\"p\":{\"type\":\"string\"}")),
     OBJECT("\"o\"", "\"o\":" OBJECT("", "\"q\":{\"type\":\"string\"}")), "lost o.p", BREAKS},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
     "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "type []", BREAKS},
    {"{\"type\":\"string\",\"format\":\"uuid\"}", "{\"type\":\"string\",\"format\":\"uri\"}",
     "format ", BREAKS},
    {"{\"type\":\"string\",\"format\":\"uuid\"}", "{\"type\":\"string\"}", "", 0},
    {"{\"type\":\"string\",\"enum\":[\"a\"]}", "{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}",
     "values ", 0},
    {"{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}", "{\"enum\":[\"a\"]}", "", 0},
    {integer, "{\"$ref\":\"#/components/schemas/a~1b%20c\"}", "type a", BREAKS},
    {integer, "{\"$ref\":\"#/components/schemas/loop\"}", "unsaid ", 0},
    {integer, "{\"$ref\":\"other.json#/a\"}", "unsaid ", 0},
};

static json_t *document(const char *payload, bool has_consumer)
{
    char *text = mem_sprintf(
        "{\"asyncapi\":\"3.0.0\",\"channels\":{\"orders\":{\"address\":\"orders\",\"messages\":{"
        "\"m\":{\"$ref\":\"#/components/messages/OrderPlaced\"}}}},\"operations\":{\"r\":{"
        "\"action\":\"%s\",\"x-service\":\"billing\",\"messages\":[{\"$ref\":"
        "\"#/channels/orders/messages/m\"}],\"bindings\":{\"kafka\":{\"groupId\":{\"enum\":["
        "\"billing-group\"]}}}}},\"components\":{\"schemas\":{\"a/b c\":" OBJECT(
            "\"a\"", "\"a\":{\"type\":\"boolean\"}") ",\"loop\":{\"$ref\":\"#/components/schemas/"
                                                     "loop\"}},\"messages\":{\"OrderPlaced\":{"
                                                     "\"payload\":%s}}}}",
        has_consumer ? "receive" : "send", payload);
    json_t *json = load(text);
    free(text);
    return json;
}

static void kinds_of(const json_t *report, char text[400])
{
    const json_t *type = json_array_get(json_object_get(report, "types"), 0);
    const json_t *differences = json_object_get(type, "differences");
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(differences); i++) {
        const json_t *difference = json_array_get(differences, i);
        size += (size_t)snprintf(text + size, 400 - size, "%s%s %s", i > 0 ? ", " : "",
                                 json_string_value(json_object_get(difference, "kind")),
                                 json_string_value(json_object_get(difference, "field")));
    }
}

static void try_rule(const struct rule *rule)
{
    bool is_baseline = (rule->flags & BASELINE) != 0;
    struct spec_compare_options options = {is_baseline, (rule->flags & LENIENT) != 0};
    bool has_consumer = (rule->flags & NOBODY) == 0;
    json_t *observed = document(is_baseline ? rule->becomes : rule->was, has_consumer);
    json_t *file = document(is_baseline ? rule->was : rule->becomes, false), *report;
    struct reason reason;
    char kinds[400];
    assert_int_equal(spec_compare(observed, file, &options, &report, &reason), ERR_NONE);
    kinds_of(report, kinds);
    bool breaks = json_is_true(json_object_get(report, "breaks"));
    if (strcmp(kinds, rule->kinds) != 0 || breaks != ((rule->flags & BREAKS) != 0)) {
        fail_msg("%s becomes %s: '%s', %s", rule->was, rule->becomes, kinds,
                 breaks ? "breaks" : "passes");
    }
    json_decref(report);
    json_decref(observed);
    json_decref(file);
}

static void test_what_breaks_is_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        try_rule(&rules[i]);
    }
}

static void test_who_breaks_is_named_with_service_and_group(void **state)
{
    (void)state;
    struct spec_compare_options options = {false, false};
    json_t *observed = document(integer, true), *file = document("{\"type\":\"array\"}", false);
    json_t *report, *wanted = load("[{\"service\":\"billing\",\"groups\":[\"billing-group\"]}]");
    struct reason reason;
    assert_int_equal(spec_compare(observed, file, &options, &report, &reason), ERR_NONE);
    const json_t *type = json_array_get(json_object_get(report, "types"), 0);
    assert_string_equal(json_string_value(json_object_get(type, "type")), "OrderPlaced");
    assert_true(json_equal(json_object_get(type, "consumers"), wanted));
    json_decref(wanted);
    json_decref(report);
    json_decref(observed);
    json_decref(file);
}

static void expect_kinds(const json_t *observed, const json_t *file, const char *expected)
{
    struct spec_compare_options options = {false, false};
    struct reason reason;
    json_t *report;
    char kinds[400];
    assert_int_equal(spec_compare(observed, file, &options, &report, &reason), ERR_NONE);
    kinds_of(report, kinds);
    assert_string_equal(kinds, expected);
    json_decref(report);
}

static void test_another_topic_and_another_content_type_break(void **state)
{
    (void)state;
    json_t *observed = document(integer, true), *file = document(integer, false);
    json_t *channel = json_object_get(json_object_get(file, "channels"), "orders");
    json_object_set_new(observed, "defaultContentType", json_string("application/json"));
    json_object_set_new(file, "defaultContentType", json_string("application/JSON; charset=utf-8"));
    expect_kinds(observed, file, "");
    json_object_set_new(channel, "address", json_string("orders.v2"));
    json_object_set_new(file, "defaultContentType", json_string("avro/binary"));
    expect_kinds(observed, file, "moved , content ");
    json_decref(observed);
    json_decref(file);
}

/* As in the documents of AsyncAPI's own examples. */
static void test_addresses_with_parameters_are_those_of_topics(void **state)
{
    static const struct {
        const char *address;
        bool is_same;
    } rows[] = {{"orders", true},     {"{name}", true},       {"or{x}", true},
                {"{a}d{b}s", true},   {"o{x}e{y}s", true},    {"orders{x}", false},
                {"{x}orders", false}, {"{a}{b}{c}{d}", true}, {"{a}{b}{c}{d}{e}{f}{g}", false},
                {"order", false},     {"{x", false},          {"", false},
                {"or{x}rs.v2", false}};
    (void)state;
    json_t *observed = document(integer, true), *file = document(integer, false);
    json_t *channel = json_object_get(json_object_get(file, "channels"), "orders");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_object_set_new(channel, "address", json_string(rows[i].address));
        expect_kinds(observed, file, rows[i].is_same ? "" : "moved ");
    }
    json_decref(observed);
    json_decref(file);
}

/* Those of CloudEvents are in no document that somebody writes, and other ones not on the bus. */
static void test_of_headers_those_count_that_both_name(void **state)
{
    (void)state;
    json_t *observed = document(integer, true), *file = document(integer, false);
    json_t *on_bus = json_object_get(
        json_object_get(json_object_get(observed, "components"), "messages"), "OrderPlaced");
    json_t *in_file = json_object_get(
        json_object_get(json_object_get(file, "components"), "messages"), "OrderPlaced");
    json_object_set_new(
        on_bus, "headers",
        load(OBJECT("\"ce_id\",\"ce_type\"",
                    "\"ce_id\":{\"type\":\"string\"},\"ce_type\":{\"type\":\"string\"}")));
    json_object_set_new(in_file, "headers",
                        load(OBJECT("\"mine\"", "\"mine\":{\"type\":\"integer\"}")));
    expect_kinds(observed, file, "");
    json_object_set_new(in_file, "headers",
                        load(OBJECT("", "\"mine\":{\"type\":\"integer\"},"
                                        "\"ce_id\":{\"type\":\"integer\"}")));
    expect_kinds(observed, file, "missing headers.ce_id, type headers.ce_id");
    json_decref(observed);
    json_decref(file);
}

static void test_events_without_a_type_are_the_only_message_of_their_topic(void **state)
{
    static const char bus[] =
        "{\"asyncapi\":\"3.0.0\",\"channels\":{\"plain\":{\"address\":\"plain\",\"messages\":{"
        "\"plain\":{\"name\":\"plain\",\"payload\":{\"type\":\"object\",\"required\":[\"a\"],"
        "\"properties\":{\"a\":{\"type\":\"integer\"}}}}}}}}";
    static const char one[] =
        "{\"asyncapi\":\"3.0.0\",\"channels\":{\"c\":{\"address\":\"plain\",\"messages\":{"
        "\"Turned\":{\"payload\":{\"type\":\"object\",\"properties\":{\"b\":{}}}}}}}}";
    static const char two[] =
        "{\"asyncapi\":\"3.0.0\",\"channels\":{\"c\":{\"address\":\"plain\",\"messages\":{"
        "\"Turned\":{\"payload\":{}},\"Dimmed\":{\"payload\":{}}}}}}";
    struct spec_compare_options options = {false, false};
    struct reason reason;
    json_t *observed = load(bus), *file = load(one), *others = load(two), *report;
    (void)state;
    assert_int_equal(spec_compare(observed, file, &options, &report, &reason), ERR_NONE);
    assert_int_equal(json_array_size(json_object_get(report, "types")), 1);
    assert_int_equal(json_array_size(json_object_get(report, "only_in_file")), 0);
    assert_int_equal(json_array_size(json_object_get(report, "only_on_bus")), 0);
    json_decref(report);
    assert_int_equal(spec_compare(observed, others, &options, &report, &reason), ERR_NONE);
    assert_int_equal(json_array_size(json_object_get(report, "types")), 0);
    assert_int_equal(json_array_size(json_object_get(report, "only_in_file")), 2);
    assert_int_equal(json_array_size(json_object_get(report, "only_on_bus")), 1);
    json_decref(report);
    json_decref(observed);
    json_decref(file);
    json_decref(others);
}

static void test_what_is_no_document_of_asyncapi_3_is_refused(void **state)
{
    static const char *const texts[] = {"{}", "[]", "{\"asyncapi\":\"2.6.0\"}",
                                        "{\"openapi\":\"3.0.0\"}"};
    (void)state;
    struct spec_compare_options options = {false, false};
    json_t *observed = document(integer, true), *report;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct reason reason;
        json_t *file = load(texts[i]);
        assert_int_equal(spec_compare(observed, file, &options, &report, &reason), ERR_INVALID);
        assert_null(report);
        json_decref(file);
    }
    json_decref(observed);
}

static void test_types_of_one_side_alone_are_listed_and_pass(void **state)
{
    (void)state;
    struct spec_compare_options options = {false, false};
    json_t *observed = document(integer, true), *report;
    json_t *file = load("{\"asyncapi\":\"3.1.0\",\"components\":{\"messages\":{\"New\":{}}}}");
    struct reason reason;
    assert_int_equal(spec_compare(observed, file, &options, &report, &reason), ERR_NONE);
    assert_true(json_is_false(json_object_get(report, "breaks")));
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(report, "only_in_file"), 0)), "New");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(report, "only_on_bus"), 0)),
        "OrderPlaced");
    json_decref(report);
    json_decref(observed);
    json_decref(file);
}

/* --- what is written --- */

static void take_event(struct spec_book *book, const char *type, const char *value, int64_t offset)
{
    struct event_header headers[] = {{"ce_specversion", slice_str("1.0")},
                                     {"ce_id", slice_str("1")},
                                     {"ce_type", slice_str(type)},
                                     {"content-type", slice_str("application/json")}};
    struct feed_event event = {.event = event_blank(), .producer_id = -1};
    event.event.topic = "orders";
    event.event.offset = offset;
    event.event.key = slice_str("k");
    event.event.value = value != NULL ? slice_str(value) : (struct slice){0};
    event.event.headers = headers;
    event.event.header_count = type != NULL ? 4 : 0;
    struct feed_piece piece = {.kind = FEED_EVENTS,
                               .source = {.topic = "orders", .topic_id = {1}},
                               .events = &event,
                               .count = 1,
                               .next_offset = offset + 1,
                               .damaged_from = -1};
    spec_book_take(book, &piece, 1000 * (offset + 1));
}

static const char map_text[] =
    "{\"at\":\"2026-02-01T12:00:00Z\",\"nodes\":["
    "{\"id\":\"service:shop\",\"kind\":\"service\",\"name\":\"shop\",\"state\":\"fresh\",\"names\":"
    "{\"client\":[\"shop-1\"],\"group\":[]}},"
    "{\"id\":\"service:bill it\",\"kind\":\"service\",\"name\":\"bill it\",\"state\":\"gone\","
    "\"names\":{\"client\":[],\"group\":[\"billing\"]}},"
    "{\"id\":\"type:OrderPlaced\",\"kind\":\"type\",\"name\":\"OrderPlaced\",\"topics\":["
    "\"orders\"]}],\"edges\":["
    "{\"kind\":\"publishes\",\"from\":\"service:shop\",\"to\":\"type:OrderPlaced\"},"
    "{\"kind\":\"consumes\",\"from\":\"type:OrderPlaced\",\"to\":\"service:bill it\"},"
    "{\"kind\":\"causes\",\"from\":\"type:OrderPlaced\",\"to\":\"type:OrderPlaced\"}]}";

static json_t *written(const struct spec_book *book)
{
    json_t *map = load(map_text), *messages = spec_book_messages(book);
    json_t *topics = load("{\"orders\":{\"partitions\":3}}");
    struct spec_parts parts = {map, messages, topics, "a.example:9092,b.example:9092", "kafka"};
    json_t *json = spec_write(&parts);
    json_decref(map);
    json_decref(messages);
    json_decref(topics);
    return json;
}

/* The value at a path of names, each before a '|'. */
static const json_t *at(const json_t *json, const char *path)
{
    char name[200];
    while (*path != '\0' && json != NULL) {
        size_t size = strcspn(path, "|");
        snprintf(name, sizeof name, "%.*s", (int)size, path);
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(name))
                                   : json_object_get(json, name);
        path += size + (path[size] == '|');
    }
    return json;
}

static void expect_at(const json_t *json, const char *path, const char *expected)
{
    json_t *wanted = load(expected);
    const json_t *found = at(json, path);
    if (!json_equal((json_t *)(uintptr_t)found, wanted)) {
        char *text = json_dumps(json, JSON_INDENT(1));
        fail_msg("%s is not %s in %s", path, expected, text);
    }
    json_decref(wanted);
}

static void test_topics_types_and_services_become_channels_messages_and_operations(void **state)
{
    (void)state;
    struct spec_book *book = spec_book_new();
    take_event(book, "OrderPlaced", "{\"total\":1,\"note\":null}", 0);
    take_event(book, "OrderPlaced", "{\"total\":2}", 1);
    json_t *json = written(book);
    expect_at(json, "asyncapi", "\"3.0.0\"");
    expect_at(json, "servers|bus-2|host", "\"b.example:9092\"");
    expect_at(json, "channels|orders|address", "\"orders\"");
    expect_at(json, "channels|orders|bindings|kafka",
              "{\"partitions\":3,\"bindingVersion\":\"0.5.0\"}");
    expect_at(json, "components|messages|OrderPlaced|payload|required", "[\"total\"]");
    expect_at(json, "components|messages|OrderPlaced|headers|properties|ce_type",
              "{\"type\":\"string\",\"const\":\"OrderPlaced\"}");
    expect_at(json, "components|messages|OrderPlaced|bindings|kafka|key", "{\"type\":\"string\"}");
    expect_at(json, "operations|shop.send.orders|bindings|kafka|clientId|enum", "[\"shop-1\"]");
    char *key = spec_key("bill it"), *path = mem_sprintf("operations|%s.receive.orders", key);
    assert_string_not_equal(key, "bill it");
    expect_at(at(json, path), "x-service", "\"bill it\"");
    expect_at(at(json, path), "bindings|kafka|groupId|enum", "[\"billing\"]");
    expect_at(at(json, path), "messages",
              "[{\"$ref\":\"#/channels/orders/messages/OrderPlaced\"}]");
    free(path);
    free(key);
    json_decref(json);
    spec_book_free(book);
}

static void test_a_document_compared_with_itself_is_the_same(void **state)
{
    (void)state;
    struct spec_book *book = spec_book_new();
    take_event(book, "OrderPlaced", "{\"total\":1,\"lines\":[{\"sku\":\"a b\"}]}", 0);
    json_t *json = written(book);
    expect_kinds(json, json, "");
    json_decref(json);
    spec_book_free(book);
}

static void test_what_is_no_json_a_tombstone_or_structured_is_told_so(void **state)
{
    (void)state;
    struct spec_book *book = spec_book_new();
    take_event(book, NULL, "\xff\xfe", 0);
    json_t *messages = spec_book_messages(book);
    expect_at(messages, "topic:orders|contentType", "\"application/octet-stream\"");
    expect_at(messages, "topic:orders|payload", "{}");
    expect_at(messages, "topic:orders|x-seen|not-json", "1");
    json_decref(messages);
    take_event(book, "Gone", "{\"a\":1}", 1);
    take_event(book, "Gone", NULL, 2);
    take_event(book, "Big", "123456789012345678901234567890", 3);
    messages = spec_book_messages(book);
    expect_at(messages, "type:Gone|payload|type", "[\"object\",\"null\"]");
    expect_at(messages, "type:Big|payload", "{\"type\":\"number\"}");
    json_decref(messages);
    spec_book_free(book);
}

static void test_what_is_known_outlives_a_restart_and_damage_begins_anew(void **state)
{
    (void)state;
    char path[] = "/tmp/tidings-spec-XXXXXX";
    int fd = mkstemp(path);
    struct feed_source source = {.topic = "orders", .topic_id = {1}};
    struct spec_book *book = spec_book_new(), *again = spec_book_new();
    struct reason reason;
    assert_true(fd >= 0);
    take_event(book, "OrderPlaced", "{\"total\":1}", 6);
    assert_true(spec_book_is_dirty(book));
    assert_int_equal(spec_book_save(book, path, &reason), ERR_NONE);
    assert_false(spec_book_is_dirty(book));
    assert_int_equal(spec_book_load(again, path, &reason), ERR_NONE);
    assert_int_equal(spec_book_next(again, &source), 7);
    source.topic_id[0] = 2; /* made again under its name */
    assert_int_equal(spec_book_next(again, &source), -1);
    json_t *before = spec_book_messages(book), *after = spec_book_messages(again);
    assert_true(json_equal(before, after));
    json_decref(before);
    json_decref(after);
    spec_book_free(again);
    again = spec_book_new();
    assert_int_equal(write(fd, "{", 1), 1);
    assert_int_equal(truncate(path, 40), 0);
    assert_int_equal(spec_book_load(again, path, &reason), ERR_CORRUPT);
    assert_int_equal(spec_book_next(again, &source), -1);
    unlink(path);
    assert_int_equal(spec_book_load(again, path, &reason), ERR_NOT_FOUND);
    close(fd);
    spec_book_free(again);
    spec_book_free(book);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_breaks_is_as_the_table_says),
        cmocka_unit_test(test_who_breaks_is_named_with_service_and_group),
        cmocka_unit_test(test_another_topic_and_another_content_type_break),
        cmocka_unit_test(test_addresses_with_parameters_are_those_of_topics),
        cmocka_unit_test(test_of_headers_those_count_that_both_name),
        cmocka_unit_test(test_events_without_a_type_are_the_only_message_of_their_topic),
        cmocka_unit_test(test_what_is_no_document_of_asyncapi_3_is_refused),
        cmocka_unit_test(test_types_of_one_side_alone_are_listed_and_pass),
        cmocka_unit_test(test_topics_types_and_services_become_channels_messages_and_operations),
        cmocka_unit_test(test_a_document_compared_with_itself_is_the_same),
        cmocka_unit_test(test_what_is_no_json_a_tombstone_or_structured_is_told_so),
        cmocka_unit_test(test_what_is_known_outlives_a_restart_and_damage_begins_anew),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
