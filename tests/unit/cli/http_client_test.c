#include "../unit.h"

#include "bus/http/http.h"
#include "cli/bus/http_client.h"

#include <unistd.h>

/* The command's client against the real server. */

static void say_thing(void *context, const struct http_request *request, struct http_reply *reply)
{
    const char *id = http_segment(request, "id");
    (void)context;
    if (strcmp(id, "none") == 0) {
        http_problem(reply, 404, "Not found", "there is no thing '%s'; see the things", id);
    } else {
        http_reply_json(reply, 200,
                        json_pack("{s:s, s:s, s:i}", "id", id, "method", http_method(request),
                                  "bytes", (int)http_body(request).size));
    }
}

static const struct http_route routes[] = {
    {"GET", "/things/{id}", say_thing, NULL, "A thing.", NULL, NULL, NULL, 0, false},
    {"POST", "/things/{id}", say_thing, NULL, "Change it.", NULL, NULL, NULL, 1000, false},
};

static struct http *serve(struct bus_options *options, char url[128])
{
    struct http_settings settings = {.listener = "127.0.0.1:0"};
    struct reason reason = {{0}};
    struct http *http;
    if (http_open(&settings, &http, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    http_add_routes(http, routes, sizeof routes / sizeof routes[0]);
    assert_int_equal(http_start(http, &reason), ERR_NONE);
    *options = bus_options_default();
    snprintf(url, 128, "http://%s/", http_address(http));
    options->url = url;
    return http;
}

/* Standard error of what runs between: what was said there; free it. */
static int hide_errors(FILE **said)
{
    int kept = dup(STDERR_FILENO);
    *said = tmpfile();
    assert_non_null(*said);
    dup2(fileno(*said), STDERR_FILENO);
    return kept;
}

static char *show_errors(int kept, FILE *said)
{
    char *text = calloc(1, 4096);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(said);
    (void)!fread(text, 1, 4095, said);
    fclose(said);
    return text;
}

static void test_what_is_there_comes_as_json(void **state)
{
    struct bus_options options;
    char url[128];
    struct http *http = serve(&options, url);
    json_t *out;
    char *path = http_client_path("/things/%s?q=100%%", "a/b ä?");
    (void)state;
    assert_string_equal(path, "/things/a%2Fb%20%C3%A4%3F?q=100%");
    free(path);
    path = http_client_path("/things/%s", "a/b ä?");
    assert_int_equal(http_get_json(&options, path, &out), EXIT_OK);
    assert_string_equal(json_string_value(json_object_get(out, "id")), "a/b ä?");
    json_decref(out);
    free(path);
    http_free(http);
}

static void test_a_problem_is_told_in_its_own_words(void **state)
{
    struct bus_options options;
    char url[128];
    struct http *http = serve(&options, url);
    json_t *out;
    FILE *said;
    (void)state;
    int kept = hide_errors(&said);
    int code = http_get_json(&options, "/things/none", &out);
    char *text = show_errors(kept, said);
    assert_int_equal(code, EXIT_NOT_FOUND);
    assert_null(out);
    assert_string_equal(text, "tidings: there is no thing 'none'; see the things\n");
    free(text);
    http_free(http);
    kept = hide_errors(&said);
    code = http_get_json(&options, "/things/x", &out);
    text = show_errors(kept, said);
    assert_int_equal(code, EXIT_UNREACHABLE);
    assert_non_null(strstr(text, "hint: name it with --url"));
    free(text);
}

static void test_a_status_can_be_looked_at(void **state)
{
    struct bus_options options;
    char url[128];
    struct http *http = serve(&options, url);
    json_t *out, *body = json_pack("{s:i}", "a", 1);
    unsigned status;
    (void)state;
    assert_int_equal(http_ask_json(&options, "POST", "/things/x", body, &status, &out), EXIT_OK);
    assert_int_equal(status, 200);
    assert_int_equal(json_integer_value(json_object_get(out, "bytes")), 7);
    json_decref(out);
    assert_int_equal(http_ask_json(&options, "POST", "/things/x", NULL, &status, &out), EXIT_OK);
    assert_int_equal(status, 200);
    json_decref(out);
    assert_int_equal(http_ask_json(&options, "GET", "/things/none", NULL, &status, &out), EXIT_OK);
    assert_int_equal(status, 404);
    assert_non_null(json_object_get(out, "detail"));
    json_decref(out);
    json_decref(body);
    http_free(http);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_there_comes_as_json),
        cmocka_unit_test(test_a_problem_is_told_in_its_own_words),
        cmocka_unit_test(test_a_status_can_be_looked_at),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
