#include "../unit.h"

#include "base/buf.h"
#include "base/random.h"
#include "bus/spec/schema_infer.h"

/* Schemas inferred from values: whatever came has to fit, within bounds. */

/* --- a small validator of what schema_infer_json may say, written apart from it --- */

static bool fits(const json_t *schema, const json_t *value);

static bool is_kind(const char *kind, const json_t *value)
{
    return (strcmp(kind, "object") == 0 && json_is_object(value)) ||
           (strcmp(kind, "array") == 0 && json_is_array(value)) ||
           (strcmp(kind, "string") == 0 && json_is_string(value)) ||
           (strcmp(kind, "number") == 0 && json_is_number(value)) ||
           (strcmp(kind, "integer") == 0 && json_is_integer(value)) ||
           (strcmp(kind, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(kind, "null") == 0 && json_is_null(value));
}

static bool fits_type(const json_t *type, const json_t *value)
{
    if (type == NULL) {
        return true;
    }
    for (size_t i = 0; i < json_array_size(type); i++) {
        if (is_kind(json_string_value(json_array_get(type, i)), value)) {
            return true;
        }
    }
    return json_is_string(type) && is_kind(json_string_value(type), value);
}

static bool fits_enum(const json_t *values, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(values); i++) {
        if (json_equal(json_array_get(values, i), (json_t *)(uintptr_t)value)) {
            return true;
        }
    }
    return values == NULL;
}

static bool fits_format(const char *format, const json_t *value)
{
    if (format == NULL || !json_is_string(value)) {
        return true;
    }
    unsigned bit = strcmp(format, "date-time") == 0 ? SCHEMA_DATE_TIME
                   : strcmp(format, "uuid") == 0    ? SCHEMA_UUID
                                                    : SCHEMA_URI;
    return (schema_formats_of(json_string_value(value), json_string_length(value)) & 1u << bit) !=
           0;
}

static bool fits_object(const json_t *schema, const json_t *value)
{
    const json_t *required = json_object_get(schema, "required");
    const char *name;
    json_t *property;
    for (size_t i = 0; i < json_array_size(required); i++) {
        if (json_object_get(value, json_string_value(json_array_get(required, i))) == NULL) {
            return false;
        }
    }
    json_object_foreach(json_object_get(schema, "properties"), name, property)
    {
        const json_t *member = json_object_get(value, name);
        if (member != NULL && !fits(property, member)) {
            return false;
        }
    }
    return true;
}

static bool fits(const json_t *schema, const json_t *value)
{
    const json_t *items = json_object_get(schema, "items");
    if (!fits_type(json_object_get(schema, "type"), value) ||
        !fits_enum(json_object_get(schema, "enum"), value) ||
        !fits_format(json_string_value(json_object_get(schema, "format")), value)) {
        return false;
    }
    for (size_t i = 0; items != NULL && i < json_array_size(value); i++) {
        if (!fits(items, json_array_get(value, i))) {
            return false;
        }
    }
    return !json_is_object(value) || fits_object(schema, value);
}

/* --- helpers --- */

static json_t *load(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    if (json == NULL) {
        fail_msg("%s: %s", text, error.text);
    }
    return json;
}

static void take(struct schema_infer *infer, const char *text)
{
    json_t *json = load(text);
    schema_infer_take(infer, json);
    json_decref(json);
}

static void expect(const struct schema_infer *infer, const char *expected)
{
    json_t *schema = schema_infer_json(infer), *wanted = load(expected);
    char *text = json_dumps(schema, JSON_SORT_KEYS);
    if (!json_equal(schema, wanted)) {
        fail_msg("%s is not %s", text, expected);
    }
    free(text);
    json_decref(schema);
    json_decref(wanted);
}

/* The schema of these values, ended by NULL, is the last text. */
static void expect_of(const char *const *values, const char *expected)
{
    struct schema_infer *infer = schema_infer_new();
    for (; *values != NULL; values++) {
        take(infer, *values);
    }
    expect(infer, expected);
    schema_infer_free(infer);
}

#define EXPECT(expected, ...) expect_of((const char *const[]){__VA_ARGS__, NULL}, expected)

/* --- tests --- */

static void test_types_are_told_as_narrow_as_they_came(void **state)
{
    (void)state;
    EXPECT("{\"type\":\"integer\"}", "1", "-7");
    EXPECT("{\"type\":\"number\"}", "1", "1.5");
    EXPECT("{\"type\":[\"string\",\"null\"]}", "\"a b\"", "null");
    EXPECT("{\"type\":[\"array\",\"boolean\"],\"items\":{\"type\":\"integer\"}}", "[]", "[1]",
           "true");
    EXPECT("{\"type\":\"array\"}", "[]");
}

static void test_what_was_in_every_object_is_required(void **state)
{
    (void)state;
    EXPECT("{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"integer\"},"
           "\"b\":{\"type\":[\"boolean\",\"null\"]}}}",
           "{\"a\":1,\"b\":true}", "{\"a\":2}", "{\"a\":3,\"b\":null}");
    EXPECT("{\"type\":\"object\",\"properties\":{\"late\":{\"type\":\"integer\"}}}", "{}",
           "{\"late\":1}");
}

static void test_a_format_is_told_when_all_strings_fit_it(void **state)
{
    (void)state;
    EXPECT("{\"type\":\"string\",\"format\":\"date-time\"}", "\"2026-02-28T12:00:00Z\"",
           "\"2024-02-29T23:59:59.123+02:00\"");
    EXPECT("{\"type\":\"string\",\"format\":\"uuid\"}", "\"f81d4fae-7dec-41d0-a765-00a0c91e6bf6\"");
    EXPECT("{\"type\":\"string\",\"format\":\"uri\"}", "\"https://a.example/b?c=%20\"",
           "\"urn:shop:1\"");
    EXPECT("{\"type\":\"string\"}", "\"2026-02-28T12:00:00Z\"", "\"tomorrow\"");
}

static void test_what_only_looks_like_a_format_is_none(void **state)
{
    static const char *const texts[] = {"2026-02-29T12:00:00Z",
                                        "2026-13-01T12:00:00Z",
                                        "2026-01-01T24:00:00Z",
                                        "2026-01-01 12:00:00Z",
                                        "2026-01-01T12:00:00",
                                        "2026-01-01T12:00:00.Z",
                                        "f81d4fae-7dec-41d0-a765-00a0c91e6bf",
                                        "g81d4fae-7dec-41d0-a765-00a0c91e6bf6",
                                        "note: not one",
                                        "http://a b",
                                        "http://a/%zz",
                                        "://a",
                                        "urn:"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (schema_formats_of(texts[i], strlen(texts[i])) != 0) {
            fail_msg("'%s' has a format", texts[i]);
        }
    }
}

/* A string of the member that comes so often. */
static void take_often(struct schema_infer *infer, const char *name, const char *word, int times)
{
    for (int i = 0; i < times; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"%s\":\"%s\"}", name, word);
        take(infer, text);
    }
}

static void test_few_words_that_come_again_are_an_enum(void **state)
{
    (void)state;
    struct schema_infer *infer = schema_infer_new();
    take_often(infer, "state", "placed", 19);
    take_often(infer, "state", "cancelled", 1);
    expect(infer, "{\"type\":\"object\",\"required\":[\"state\"],\"properties\":{\"state\":{"
                  "\"type\":\"string\",\"enum\":[\"cancelled\",\"placed\"]}}}");
    take_often(infer, "state", "two words", 1);
    expect(infer, "{\"type\":\"object\",\"required\":[\"state\"],\"properties\":{\"state\":{"
                  "\"type\":\"string\"}}}");
    schema_infer_free(infer);
}

static void test_words_of_people_and_secrets_never_show(void **state)
{
    static const char *const names[] = {"firstName", "password", "apiKey", "e-mail", "userGroup"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct schema_infer *infer = schema_infer_new();
        take_often(infer, names[i], "Ada", 50);
        take_often(infer, names[i], "Grace", 50);
        json_t *schema = schema_infer_json(infer);
        char *text = json_dumps(schema, 0);
        assert_null(strstr(text, "Ada"));
        free(text);
        json_decref(schema);
        schema_infer_free(infer);
    }
}

static void test_an_object_of_many_names_is_a_dictionary_that_keeps_what_is_always_there(
    void **state)
{
    (void)state;
    struct schema_infer *infer = schema_infer_new();
    for (int i = 0; i < 200; i++) {
        char text[100];
        snprintf(text, sizeof text, "{\"at\":1,\"stock-%d\":2}", i);
        take(infer, text);
    }
    expect(infer, "{\"type\":\"object\",\"required\":[\"at\"],\"properties\":{\"at\":{\"type\":"
                  "\"integer\"}}}");
    schema_infer_free(infer);
    EXPECT("{\"type\":\"object\",\"properties\":{}}", "{\"ada@example.com\":1}");
    EXPECT("{\"type\":\"object\",\"properties\":{}}", "{\"1\":1,\"ada\":1}", "{\"2\":1}");
    EXPECT("{\"type\":\"object\",\"required\":[\"n\"],\"properties\":{\"n\":{\"type\":\"null\"}}}",
           "{\"1\":1,\"n\":null}", "{\"2\":1,\"n\":null}");
    EXPECT("{\"type\":\"object\",\"required\":[\"@type\"],\"properties\":{\"@type\":{\"type\":"
           "\"integer\"}}}",
           "{\"@type\":1}");
}

static void test_depth_and_number_of_places_are_bounded(void **state)
{
    (void)state;
    struct schema_infer *infer = schema_infer_new();
    struct buf text = {0};
    for (int i = 0; i < 500; i++) {
        buf_append_str(&text, "{\"a\":[");
    }
    for (int i = 0; i < 500; i++) {
        buf_append_str(&text, "]}");
    }
    take(infer, buf_cstr(&text));
    buf_clear(&text);
    for (int i = 0; i < 60; i++) { /* 60 * 60 places */
        buf_printf(&text, "%s\"n%d\":{", i == 0 ? "{" : ",", i);
        for (int j = 0; j < 60; j++) {
            buf_printf(&text, "%s\"m%d\":\"x\"", j == 0 ? "" : ",", j);
        }
        buf_append_str(&text, "}");
    }
    buf_append_str(&text, "}");
    take(infer, buf_cstr(&text));
    json_t *schema = schema_infer_json(infer), *value = load(buf_cstr(&text));
    char *dumped = json_dumps(schema, 0);
    assert_true(strlen(dumped) < 64 << 10);
    assert_true(fits(schema, value));
    free(dumped);
    json_decref(value);
    json_decref(schema);
    buf_deinit(&text);
    schema_infer_free(infer);
}

/* --- whatever came fits --- */

static json_t *random_value(struct random *random, int depth);

static json_t *random_string(struct random *random)
{
    static const char *const texts[] = {"placed",
                                        "paid",
                                        "sent",
                                        "",
                                        "a b",
                                        "\xc3\xa9",
                                        "2026-02-28T12:00:00Z",
                                        "https://a.example/",
                                        "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"};
    return json_string(texts[random_below(random, sizeof texts / sizeof texts[0])]);
}

static json_t *random_object(struct random *random, int depth)
{
    json_t *object = json_object();
    uint64_t kinds = random_below(random, 20) == 0 ? 300 : 8;
    for (uint64_t count = random_below(random, 8); count > 0; count--) {
        char name[40];
        snprintf(name, sizeof name, "m%d", (int)random_below(random, kinds));
        json_object_set_new(object, name, random_value(random, depth + 1));
    }
    return object;
}

static json_t *random_value(struct random *random, int depth)
{
    json_t *array;
    switch (random_below(random, depth < 14 ? 9 : 5)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(random_below(random, 2));
    case 2:
        return json_integer((json_int_t)random_below(random, 100));
    case 3:
        return json_real(0.5);
    case 4:
    case 5:
        return random_string(random);
    case 6:
        array = json_array();
        for (uint64_t count = random_below(random, 4); count > 0; count--) {
            json_array_append_new(array, random_value(random, depth + 1));
        }
        return array;
    default:
        return random_object(random, depth);
    }
}

/* One row of values, with what was known kept and taken up again in the middle. */
static void try_seed(uint64_t seed)
{
    struct random random = {seed};
    struct schema_infer *infer = schema_infer_new();
    json_t *values = json_array();
    int count = 1 + (int)random_below(&random, 40);
    for (int i = 0; i < count; i++) {
        json_t *value = random_value(&random, 0);
        schema_infer_take(infer, value);
        json_array_append_new(values, value);
        if (i == count / 2) {
            json_t *kept = schema_infer_keep(infer);
            schema_infer_free(infer);
            infer = schema_infer_restore(kept);
            assert_non_null(infer);
            json_decref(kept);
        }
    }
    json_t *schema = schema_infer_json(infer);
    for (int i = 0; i < count; i++) {
        if (!fits(schema, json_array_get(values, (size_t)i))) {
            char *text = json_dumps(schema, 0);
            char *value = json_dumps(json_array_get(values, (size_t)i), JSON_ENCODE_ANY);
            fail_msg("seed %llu: %s does not fit %s", (unsigned long long)seed, value, text);
        }
    }
    json_decref(schema);
    json_decref(values);
    schema_infer_free(infer);
}

static void test_every_value_that_came_fits_the_schema(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        try_seed(seed);
    }
}

static void test_what_is_kept_says_the_same_and_rubbish_is_refused(void **state)
{
    (void)state;
    struct schema_infer *infer = schema_infer_new();
    take(infer, "{\"a\":[{\"b\":\"x\"},{\"b\":null,\"c\":1.5}],\"d\":\"2026-02-28T12:00:00Z\"}");
    json_t *kept = schema_infer_keep(infer);
    struct schema_infer *again = schema_infer_restore(kept);
    json_t *before = schema_infer_json(infer), *after = schema_infer_json(again);
    assert_true(json_equal(before, after));
    json_object_set_new(kept, "objects", json_integer(0)); /* fewer than had a member */
    assert_null(schema_infer_restore(kept));
    json_decref(kept);
    json_decref(before);
    json_decref(after);
    schema_infer_free(infer);
    schema_infer_free(again);
    kept = load("{\"kinds\":1}");
    assert_null(schema_infer_restore(kept));
    json_decref(kept);
    assert_null(schema_infer_restore(NULL));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_are_told_as_narrow_as_they_came),
        cmocka_unit_test(test_what_was_in_every_object_is_required),
        cmocka_unit_test(test_a_format_is_told_when_all_strings_fit_it),
        cmocka_unit_test(test_what_only_looks_like_a_format_is_none),
        cmocka_unit_test(test_few_words_that_come_again_are_an_enum),
        cmocka_unit_test(test_words_of_people_and_secrets_never_show),
        cmocka_unit_test(
            test_an_object_of_many_names_is_a_dictionary_that_keeps_what_is_always_there),
        cmocka_unit_test(test_depth_and_number_of_places_are_bounded),
        cmocka_unit_test(test_every_value_that_came_fits_the_schema),
        cmocka_unit_test(test_what_is_kept_says_the_same_and_rubbish_is_refused),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
