#include "cli/story/why.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bus/story/story_json.h"
#include "cli/base/progress.h"
#include "cli/bus/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scanning {
    struct progress progress;
    bool is_quiet;
};

static bool on_progress(void *context, const char *topic, int64_t done, int64_t total)
{
    struct scanning *scanning = context;
    char things[300];
    if (!scanning->is_quiet) {
        snprintf(things, sizeof things, "events of %.249s", topic);
        progress_show_count(&scanning->progress, "read", things, done, total);
    }
    return true;
}

/* Without an index: the log is read, here. */
static int ask_log(const struct why_options *options, const struct why_asked *asked, bool is_quiet,
                   json_t **story)
{
    struct connection_settings settings = bus_settings(&options->bus);
    struct scanning scanning = {.is_quiet = is_quiet};
    struct story_scan scan = {.connection = &settings,
                              .from_ms = asked->from_ms,
                              .last = options->last,
                              .progress = on_progress,
                              .context = &scanning};
    struct story_sources sources = {.connection = &settings, .finder = story_finder_of_scan(&scan)};
    struct story_question question = asked->question;
    struct connection *connection;
    struct client_error error;
    struct story found;
    int code = bus_open(&options->bus, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    connection_close(connection);
    question.timeout_ms = options->bus.timeout_ms;
    progress_init(&scanning.progress);
    enum client_status status = story_ask(&sources, &question, &found, &error);
    progress_clear(&scanning.progress);
    if (status == CLIENT_OK) {
        *story = story_to_json(&found);
    } else if (status == CLIENT_NOT_FOUND) {
        code = is_quiet ? EXIT_NOT_FOUND : cli_fail(EXIT_NOT_FOUND, error.hint, "%s", error.text);
    } else {
        code = bus_fail(&error, "find the event");
    }
    story_deinit(&found);
    return code;
}

/* --- by the bus layer --- */

static void add(char **path, const char *name, const char *value)
{
    if (value != NULL) {
        char *part = http_client_path("%s=%s", name, value);
        char *longer = mem_sprintf("%s%c%s", *path, strchr(*path, '?') != NULL ? '&' : '?', part);
        free(part);
        free(*path);
        *path = longer;
    }
}

static void add_number(char **path, const char *name, int64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)number);
    add(path, name, number >= 0 ? text : NULL);
}

static char *path_of(const struct why_options *options, const struct story_question *question)
{
    enum { MOST_MS = 60000 };
    bool has_id = question->id != NULL && question->id[0] != '\0';
    char *path =
        has_id ? http_client_path("/v1/events/%s/story", question->id) : mem_strdup("/v1/story");
    add(&path, "source", question->source);
    add(&path, "trace", question->trace);
    add(&path, "correlation", question->correlation);
    add(&path, "key", options->key);
    add(&path, "topic", question->topic);
    add(&path, "group", question->group);
    add_number(&path, "partition", question->partition);
    add_number(&path, "offset", question->offset);
    add_number(&path, "max", question->events_max > 0 ? (int64_t)question->events_max : -1);
    add_number(&path, "timeout_ms",
               options->bus.timeout_ms < MOST_MS ? options->bus.timeout_ms : MOST_MS);
    return path;
}

static int fail_problem(const json_t *problem, unsigned status)
{
    const char *title = json_string_value(json_object_get(problem, "title"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *what = detail != NULL ? detail : title;
    return cli_fail(status == 404 ? EXIT_NOT_FOUND : EXIT_FAILED, NULL, "%s",
                    what != NULL ? what : "the bus layer does not answer the question");
}

/* False: it cannot say, and the log is to be asked. */
static bool ask_layer(const struct why_options *options, const struct why_asked *asked,
                      bool is_quiet, json_t **story, int *code)
{
    char *path = path_of(options, &asked->question);
    json_t *answer = NULL;
    unsigned status = 0;
    *code = http_ask_json(&options->bus, "GET", path, NULL, &status, &answer);
    free(path);
    if (status == 503) {
        json_decref(answer);
        return false;
    }
    if (status == 200) {
        *story = answer;
        *code = EXIT_OK;
        return true;
    }
    if (status != 0 && !(is_quiet && status == 404)) {
        *code = fail_problem(answer, status);
    } else if (status == 404) {
        *code = EXIT_NOT_FOUND;
    }
    json_decref(answer);
    return true;
}

int why_ask(const struct why_options *options, const struct why_asked *asked, bool is_quiet,
            json_t **story)
{
    int code;
    *story = NULL;
    bool has_layer = !options->is_scan && http_client_url(&options->bus, NULL);
    if (has_layer && ask_layer(options, asked, is_quiet, story, &code)) {
        return code;
    }
    if (!is_quiet && !options->is_scan) {
        cli_warn("%s: the log is read instead",
                 has_layer ? "the bus layer cannot answer now"
                           : "no bus layer is known (tidings bus makes one for any cluster, --url "
                             "names one)");
    }
    return ask_log(options, asked, is_quiet, story);
}
