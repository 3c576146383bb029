#include "base/movable_clock.h"
#include "base/time_text.h"
#include "cli/base/cli.h"
#include "cli/base/options.h"
#include "cli/base/output.h"
#include "cli/server/test_server.h"

#include <inttypes.h>
#include <stdio.h>

struct clock_settings {
    struct test_server_options server;
    int64_t advance_ms; /* -1: it is read only */
    bool keep_sessions;
};

static const struct help_page page = {
    .name = "tidings clock",
    .usage = "[OPTIONS]",
    .about =
        "For tests: tells what time it is for a bus, and moves that forward, so that a test need\n"
        "not wait for what comes with time. When the command ends, all that is due by then is\n"
        "done: members whose session is over are out of their groups, transactions that took too\n"
        "long are aborted, retention has removed events, offsets of empty groups and idle\n"
        "producers are forgotten. Compaction that is due has begun. What the bus stamps\n"
        "(message.timestamp.type=LogAppendTime) carries the new time.\n"
        "\n"
        "--keep-sessions moves the calendar alone: retention and expiry follow, but nobody is\n"
        "late for a heartbeat and no transaction runs out.\n"
        "\n"
        "It works for a bus that was started with --memory or --test-clock, on its machine. What\n"
        "does not follow: clients' clocks, so the time that a producer stamps on an event; how\n"
        "long a fetch waits; time-outs of connections; what stands beside the bus (stories, map,\n"
        "HTTP). A clock is never moved back: start another bus.",
    .examples =
        "  tidings clock                            what time is it?\n"
        "  tidings clock --advance 45s              sessions of members are over\n"
        "  tidings clock --advance 8d --keep-sessions\n"
        "  tidings clock --advance 15m --data DIR   the bus whose ready line says data=DIR\n",
};

static const struct option_spec specs[] = {
    {'a', "advance", "DURATION", OPTION_DURATION, offsetof(struct clock_settings, advance_ms), 0,
     MOVABLE_CLOCK_MOST_MS, "move it forward by so much (2h, 7d, 500ms)"},
    {'k', "keep-sessions", NULL, OPTION_FLAG, offsetof(struct clock_settings, keep_sessions), 0, 0,
     "move the calendar alone: no session and no transaction runs out"},
};

static long long number(const json_t *answer, const char *name)
{
    return json_integer_value(json_object_get(answer, name));
}

/* "2h 5m" of the two largest units; "0s". */
static const char *in_words(int64_t ms, char text[64])
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t used = 0;
    int told = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof units[0] && told < 2; i++) {
        if (ms >= units[i].ms) {
            used += (size_t)snprintf(text + used, 64 - used, "%s%" PRId64 "%s", told > 0 ? " " : "",
                                     ms / units[i].ms, units[i].name);
            ms %= units[i].ms;
            told++;
        }
    }
    return told > 0 ? text : "0s";
}

static void print(const json_t *answer)
{
    char now[TIME_TEXT_SIZE], ahead[64], timers[64];
    long long ahead_ms = number(answer, "ahead_ms");
    long long timers_ms = number(answer, "timers_ahead_ms");
    output_text(stdout, "%s", time_format(number(answer, "now_ms"), now));
    if (ahead_ms > 0) {
        output_text(stdout, ", %s ahead of this machine", in_words(ahead_ms, ahead));
    }
    if (timers_ms != ahead_ms) {
        output_text(stdout, " (sessions and transactions %s)", in_words(timers_ms, timers));
    }
    output_text(stdout, "\n");
}

static int run(const struct clock_settings *settings)
{
    char line[128] = "clock";
    json_t *answer;
    if (settings->advance_ms >= 0) {
        snprintf(line, sizeof line, "clock {\"advance_ms\": %" PRId64 ", \"calendar_only\": %s}",
                 settings->advance_ms, settings->keep_sessions ? "true" : "false");
    }
    int code = test_server_ask(&settings->server, line, &answer);
    if (code != EXIT_OK) {
        return code;
    }
    if (!json_is_true(json_object_get(answer, "done"))) {
        cli_warn(
            "the clock was moved, but not all that is due is done yet: the bus goes on with it");
    }
    if (settings->server.bus.is_json) {
        output_json(answer);
    } else {
        print(answer);
        json_decref(answer);
    }
    return output_finish(EXIT_OK);
}

int cli_clock(int argc, char **argv)
{
    struct clock_settings settings = {.server = test_server_default(), .advance_ms = -1};
    struct option_set sets[] = {
        {"Options", specs, sizeof specs / sizeof specs[0], &settings},
        test_server_option_set(&settings.server),
        bus_option_set(&settings.server.bus),
    };
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 3, argc, argv, &arguments, &code)) {
        code = arguments.count > 0
                   ? options_fail(&page, "clock takes no argument '%s'", arguments.items[0])
               : settings.keep_sessions && settings.advance_ms < 0
                   ? options_fail(&page, "--keep-sessions goes with --advance DURATION")
                   : run(&settings);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 3);
    return code;
}
