#include "../unit.h"

#include "bus/story/story_module.h"

/* What the routes answer to questions that cannot be answered. */

static struct http_answer ask(const char *target)
{
    static const struct connection_settings nobody = {
        .bootstrap_servers = "127.0.0.1:1", .client_id = "test", .timeout_ms = 200};
    struct bus_parts parts = {.connection = &nobody, .asker = bus_asker_new(&nobody)};
    struct http_answer answer;
    size_t count;
    void *module = story_make(&parts);
    const struct http_route *routes = story_routes(module, &count);
    http_try(routes, count, "GET", target, NULL, slice_of(NULL, 0), &answer);
    story_free(module);
    bus_asker_free(parts.asker);
    return answer;
}

static void test_a_question_that_is_none_says_what_to_ask(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/v1/story",
        "/v1/story?id=a&key=b",
        "/v1/story?topic=orders",
        "/v1/story?topic=orders&partition=0",
        "/v1/story?topic=orders&offset=5",
        "/v1/story?partition=0&offset=5",
        "/v1/story?topic=orders&partition=-1&offset=5",
        "/v1/story?topic=orders&partition=0&offset=x",
        "/v1/story?trace=xyz",
        "/v1/story?id=a&max=0",
        "/v1/story?id=a&max=99999",
        "/v1/story?id=a&what=else",
        "/v1/events/a/story?timeout_ms=1",
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct http_answer answer = ask(targets[i]);
        if (answer.status != 400) {
            fail_msg("%s: %u", targets[i], answer.status);
        }
        assert_non_null(answer.json);
        assert_non_null(json_object_get(answer.json, "detail"));
        http_answer_deinit(&answer);
    }
}

static void test_a_bus_that_is_away_is_told(void **state)
{
    (void)state;
    static const char *const targets[] = {"/v1/events/a%2Fb/story?source=%2Fshop",
                                          "/v1/story?topic=orders&partition=0&offset=5"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct http_answer answer = ask(targets[i]);
        assert_int_equal(answer.status, 503);
        http_answer_deinit(&answer);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_that_is_none_says_what_to_ask),
        cmocka_unit_test(test_a_bus_that_is_away_is_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
