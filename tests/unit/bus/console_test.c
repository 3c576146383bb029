#include "../unit.h"

#include "bus/console/console.h"
#include "bus/console/console_rates.h"
#include "bus/http/http.h"
#include "bus/watch/bus_parts.h"

/* The console over routes that answer what a test says, without a bus. */

#define HOSTILE "<img src=x onerror=alert(1)>\"'&"

struct world {
    struct http *http;
    struct connection_settings bus;
    struct bus_parts parts;
    void *console;
    const struct http_route *routes;
    size_t count;
    char *seen; /* the last target of /v1/story */
};

/* context: the answer as JSON text; "404": a problem. */
static void say(void *context, const struct http_request *request, struct http_reply *reply)
{
    const char *text = context;
    (void)request;
    if (strcmp(text, "404") == 0) {
        http_problem(reply, 404, "No such " HOSTILE, "there is no %s", HOSTILE);
    } else {
        json_t *json = json_loads(text, 0, NULL);
        assert_non_null(json);
        http_reply_json(reply, 200, json);
    }
}

static void open_world(struct world *world, const struct http_route *answers, size_t count)
{
    struct http_settings settings = {.listener = "127.0.0.1:0"};
    *world = (struct world){.bus = {.bootstrap_servers = "127.0.0.1:1"}};
    assert_int_equal(http_open(&settings, &world->http, NULL), ERR_NONE);
    world->parts = (struct bus_parts){.connection = &world->bus, .http = world->http};
    world->console = console_make(&world->parts);
    world->routes = console_routes(world->console, &world->count);
    http_add_routes(world->http, answers, count);
    http_add_routes(world->http, world->routes, world->count);
}

static void close_world(struct world *world)
{
    console_free(world->console);
    http_free(world->http);
}

/* The page as text; free it. status 0: 200, or 502 where the answer has not what it needs. */
static char *open_page(struct world *world, const char *target, unsigned status)
{
    struct http_answer answer;
    http_try(world->routes, world->count, "GET", target, NULL, slice_str(""), &answer);
    char *text = strdup(buf_cstr(&answer.body));
    if (answer.status != status &&
        !(status == 0 && (answer.status == 200 || answer.status == 502))) {
        fail_msg("%s: %u, not %u: %s", target, answer.status, status, text);
    }
    assert_null(strstr(text, "<img src=x"));
    http_answer_deinit(&answer);
    return text;
}

static void check_has(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) {
        fail_msg("no \"%s\" in %s", words, text);
    }
}

static char *story_of_groups(void)
{
    static const char *const states[] = {
        "passed", "done",     "redriven",  "dead",      "gone",      "not-yet", "waiting",
        "behind", "handling", "redriving", "sent-back", "discarded", "skipped", "unknown"};
    json_t *groups = json_array();
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        json_array_append_new(
            groups,
            json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:s,s:s,s:s,s:s,s:s,s:{s:i,s:i},s:[{s:s,s:s}]}",
                      "group", HOSTILE, "state", states[i], "evidence", "told", "at",
                      "2026-02-01T12:00:00.500Z", "before", 1200, "attempt", 2, "attempts_most", 5,
                      "next_try", "2026-02-01T12:00:01.000Z", "error_class", HOSTILE, "message",
                      HOSTILE, "who", HOSTILE, "why", HOSTILE, "dead_letter", "partition", 1,
                      "offset", 7, "notes", "text", "a note", "evidence", "inferred"));
    }
    json_t *story = json_pack(
        "{s:s,s:s,s:b,s:[s],s:[{s:s,s:i,s:i,s:s,s:n,s:i,s:{s:s},s:s,s:s,s:b,s:[{s:s,s:s}],s:o},"
        "{s:s,s:i,s:i,s:s,s:i,s:i,s:{s:s,s:s,s:s,s:b},s:n,s:s}]}",
        "now", "2026-02-01T12:00:02.000Z", "indexed_until", "2026-02-01T12:00:02.000Z", "cut", 1,
        "horizon", "older ones of " HOSTILE " are gone", "events", "topic", "orders", "partition",
        0, "offset", 3, "presence", "there", "parent", "depth", 0, "link", "how", "root",
        "timestamp", "2026-02-01T12:00:00.000Z", "type", HOSTILE, "asked", 1, "publishers", "name",
        HOSTILE, "evidence", "recorded", "groups", groups, "topic", "mails", "partition", 0,
        "offset", 1, "presence", "aborted", "parent", 0, "depth", 12, "link", "how", "key",
        "evidence", "inferred", "note", "a guess", "cause_not_found", 1, "groups", "timestamp",
        "2026-02-01T12:00:01.000Z");
    assert_non_null(story);
    char *text = json_dumps(story, 0);
    json_decref(story);
    return text;
}

static void test_a_story_says_each_state_and_escapes_it(void **state)
{
    (void)state;
    struct world world;
    char *story = story_of_groups();
    const struct http_route answers[] = {
        {.method = "GET", .path = "/v1/story", .handle = say, .context = story, .summary = "x"}};
    open_world(&world, answers, 1);
    char *text = open_page(&world, "/story?q=o-1", 200);
    check_has(text, "redrive asked for");
    check_has(text, "1,200 before it");
    check_has(text, "attempt 2 of 5");
    check_has(text, "letter 1:7");
    check_has(text, "after 500 ms");
    check_has(text, "its transaction was aborted");
    check_has(text, "it names a cause that was not found");
    check_has(text, "Its groups could not be read");
    check_has(text, "&lt;img src=x onerror=alert(1)&gt;");
    check_has(text, "tidings why o-1");
    check_has(text, "href=\"/topics/orders/0/3\"");
    free(text);
    free(open_page(&world, "/story?q=orders:0:3", 200));
    free(open_page(&world, "/story?q=0123456789abcdef0123456789abcdef", 200));
    free(open_page(&world, "/story?q=%3Cimg%20src=x%20onerror=alert(1)%3E", 200));
    free(story);
    close_world(&world);
}

static void test_a_story_that_is_not_known(void **state)
{
    (void)state;
    struct world world;
    const struct http_route answers[] = {{.method = "GET",
                                          .path = "/v1/story",
                                          .handle = say,
                                          .context = (void *)(uintptr_t) "404",
                                          .summary = "x"}};
    open_world(&world, answers, 1);
    char *text = open_page(&world, "/story?q=o-1", 404);
    check_has(text, "there is no &lt;img");
    free(text);
    close_world(&world);
}

static const char map_text[] =
    "{\"at\":\"2026-02-01T12:00:00Z\",\"watched_since\":\"2026-02-01T11:00:00Z\",\"gone_by\":"
    "\"sessions\",\"groups_error\":null,\"left_out\":3,\"format\":\"svg\",\"text\":\"<svg "
    "xmlns='x' "
    "viewBox=\\\"0 0 800 400\\\" width='800'><style>.a{}</style><rect class='paper'/></svg>\\n\","
    "\"nodes\":[{\"id\":\"service:shop\",\"kind\":\"service\",\"name\":\"<img "
    "src=x>shop\",\"state\":"
    "\"failing\",\"why\":\"<img "
    "src=x>\",\"rate\":2.5,\"members\":2},{\"id\":\"type:placed\",\"kind\":"
    "\"type\",\"name\":\"placed\",\"state\":\"fresh\",\"rate\":2.5,\"topics\":[\"orders\"]}],"
    "\"edges\":[{\"kind\":\"publishes\",\"from\":\"service:shop\",\"to\":\"type:placed\",\"state\":"
    "\"fresh\",\"guessed_from\":\"<img "
    "src=x>\"},{\"kind\":\"consumes\",\"from\":\"type:placed\",\"to\":"
    "\"service:gone\",\"lag\":1500,\"given_up\":2}],"
    "\"added\":[{\"kind\":\"causes\",\"from\":\"type:<img "
    "src=x>\",\"to\":\"type:b\",\"state\":\"new\"}]}";

static const char clients_text[] =
    "[{\"client_id\":\"<img src=x>\",\"principal\":\"User:a\",\"software\":\"<img src=x>\","
    "\"software_version\":\"1\",\"address\":\"127.0.0.1\",\"connections\":2,\"gone_since\":null,"
    "\"flows\":["
    "{\"did\":\"produced\",\"topic\":\"<img "
    "src=x>\",\"events\":1500},{\"did\":\"committed\",\"topic\":"
    "\"t\",\"group\":\"..\",\"events\":1}]},{\"gone_since\":\"2026-02-01T12:00:00Z\"}]";

static const char alerts_text[] =
    "[{\"kind\":\"loop\",\"type\":\"<img src=x>\",\"text\":\"<img src=x> goes round\",\"since\":"
    "\"2026-02-01T12:00:00Z\",\"over\":null},{\"kind\":\"loop\",\"type\":\"b\",\"text\":\"b was "
    "one\","
    "\"over\":\"2026-02-01T12:00:00Z\"}]";

static void test_map_clients_and_alerts(void **state)
{
    (void)state;
    struct world world;
    const char *paths[] = {"/v1/map", "/v1/clients", "/v1/alerts", "/v1/topics", "/v1/groups"};
    const char *texts[] = {map_text, clients_text, alerts_text, "{\"topics\":[{\"name\":\"a\"}]}",
                           "{\"groups\":[]}"};
    struct http_route answers[5];
    for (int i = 0; i < 5; i++) {
        answers[i] = (struct http_route){.method = "GET",
                                         .path = paths[i],
                                         .handle = say,
                                         .context = (void *)(uintptr_t)texts[i],
                                         .summary = "x"};
    }
    open_world(&world, answers, 5);
    char *text = open_page(&world, "/map?zoom=150", 200);
    check_has(text, "width=\"1200\" height=\"600\"><rect class='paper'/></svg>");
    assert_null(strstr(text, "<style"));
    check_has(text, "&lt;img src=x&gt;shop");
    check_has(text, "lag 1,500");
    check_has(text, "2 given up");
    check_has(text, ">service:gone<"); /* of which there is no node */
    check_has(text, "3 facts had no place");
    free(text);
    text = open_page(&world, "/map?diff=7d", 200);
    check_has(text, "type:&lt;img src=x&gt; causes type:b");
    check_has(text, "tidings map --diff 7d");
    free(text);
    text = open_page(&world, "/clients", 200);
    check_has(text, "&lt;img src=x&gt; 1");
    check_has(text, "href=\"/group?name=..\"");
    check_has(text, "1,500");
    free(text);
    text = open_page(&world, "/alerts", 200);
    check_has(text, "&lt;img src=x&gt; goes round");
    free(text);
    text = open_page(&world, "/", 200);
    check_has(text, "goes round");
    assert_null(strstr(text, "b was one"));
    free(text);
    close_world(&world);
}

static void test_without_a_route_there_is_no_page_of_it(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, NULL, 0);
    char *text = open_page(&world, "/story?q=o-1", 404);
    check_has(text, "there is no /v1/story here");
    assert_null(strstr(text, "href=\"/story\""));
    free(text);
    free(open_page(&world, "/topics", 404));
    free(open_page(&world, "/", 404));
    close_world(&world);
}

/* JSON that says less, or something else, than the pages look for. */
static void test_answers_that_are_not_as_expected(void **state)
{
    static const char *const texts[] = {"{}", "[]",
                                        "{\"topics\":[{}],\"groups\":[{}],\"events\":[{}]}",
                                        "{\"topics\":7,\"groups\":[7],\"events\":[[]]}"};
    static const char *const paths[] = {
        "/v1/topics", "/v1/groups",         "/v1/topics/{topic}",
        "/v1/story",  "/v1/groups/{group}", "/v1/topics/{topic}/events",
        "/v1/map",    "/v1/clients",        "/v1/alerts",
        "/readyz"};
    static const char *const pages[] = {"/",
                                        "/topics",
                                        "/groups",
                                        "/topics/x",
                                        "/groups/x",
                                        "/story?q=x",
                                        "/dead-letters",
                                        "/settings",
                                        "/topics/x?tab=partitions",
                                        "/topics/x?tab=groups",
                                        "/topics/x?tab=settings",
                                        "/map",
                                        "/map?diff=1d",
                                        "/clients",
                                        "/alerts"};
    enum { PATHS = sizeof paths / sizeof paths[0] };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct world world;
        struct http_route answers[PATHS];
        for (size_t j = 0; j < PATHS; j++) {
            answers[j] = (struct http_route){.method = "GET",
                                             .path = paths[j],
                                             .handle = say,
                                             .context = (void *)(uintptr_t)texts[i],
                                             .summary = "x"};
        }
        open_world(&world, answers, PATHS);
        for (size_t j = 0; j < sizeof pages / sizeof pages[0]; j++) {
            free(open_page(&world, pages[j], 0));
        }
        close_world(&world);
    }
}

static void test_rates_are_what_was_seen(void **state)
{
    (void)state;
    struct console_rates *rates = console_rates_new();
    double values[4];
    assert_true(console_rates_now(rates, "a", 1000) < 0);
    console_rates_sample(rates, "a", 100, 1000);
    assert_true(console_rates_now(rates, "a", 1000) < 0);
    console_rates_sample(rates, "a", 105, 1100); /* too soon */
    console_rates_sample(rates, "a", 120, 3000);
    assert_true(console_rates_now(rates, "a", 3000) == 10);
    console_rates_sample(rates, "a", 120, 5000);
    assert_true(console_rates_now(rates, "a", 5000) == 5);
    assert_int_equal(console_rates_list(rates, "a", values, 4), 2);
    assert_true(values[0] == 10 && values[1] == 0);
    assert_true(console_rates_now(rates, "a", 5000 + RATES_SPAN_MS) < 0); /* nobody looked */
    console_rates_sample(rates, "a", 7, 9000);                            /* made anew */
    assert_true(console_rates_now(rates, "a", 9000) < 0);
    for (int i = 0; i < RATES_NAMES_MAX + 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        console_rates_sample(rates, name, i, 9000 + i);
    }
    assert_int_equal(console_rates_list(rates, "a", values, 4), 0);
    for (int i = 0; i < 3 * RATES_KEPT; i++) {
        console_rates_sample(rates, "ring", i * 3, 20000 + i * 1000);
    }
    assert_true(console_rates_now(rates, "ring", 20000 + (3 * RATES_KEPT - 1) * 1000) == 3);
    assert_int_equal(console_rates_list(rates, "ring", values, 4), 4);
    console_rates_free(rates);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_story_says_each_state_and_escapes_it),
        cmocka_unit_test(test_a_story_that_is_not_known),
        cmocka_unit_test(test_map_clients_and_alerts),
        cmocka_unit_test(test_without_a_route_there_is_no_page_of_it),
        cmocka_unit_test(test_answers_that_are_not_as_expected),
        cmocka_unit_test(test_rates_are_what_was_seen),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
