#include "cli/why.h"

#include "base/clock.h"
#include "bus/story_json.h"
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

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

int why_ask(const struct why_options *options, const struct why_asked *asked, bool is_quiet,
            json_t **story)
{
    *story = NULL;
    return ask_log(options, asked, is_quiet, story);
}
