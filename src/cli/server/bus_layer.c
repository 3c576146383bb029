#include "bus/bus_layer.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/pattern.h"
#include "cli/bus/bus.h"
#include "client/reader/reader_feed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { STOP_MS = 10000, ANSWER_MS = 5000 };

struct layer_options {
    struct bus_options bus;
    const char *state;
    const char *http;
    const char *exclude;
    bool hides_payloads;
    int64_t history_ms;
};

static const struct help_page page = {
    .name = "tidings bus",
    .usage = "[OPTIONS]",
    .about =
        "Runs what stands beside a bus, alone: index of events, stories, flow map, metrics, HTTP.\n"
        "`tidings serve` has it in its own process; this is for any other Kafka cluster. It reads "
        "all\n"
        "topics (committed events only), writes nothing, and is member of no group. When it "
        "listens,\n"
        "one line is printed: ready state=DIR pid=N http=HOST:PORT\n"
        "The cluster may come later: it is tried again until it answers. SIGTERM or Ctrl-C ends "
        "it.",
    .examples =
        "  tidings bus --bootstrap-server kafka:9092 --state /var/lib/tidings-bus\n"
        "  tidings bus --bootstrap-server kafka:9092 --http :8080 --index-exclude 'logs\\..*'\n"
        "  curl http://127.0.0.1:8080/v1/layer            how far it is\n",
};

static const struct option_spec specs[] = {
    {0, "state", "DIR", OPTION_TEXT, offsetof(struct layer_options, state), 0, 0,
     "keep what is known of the cluster in DIR, one for each cluster; it can be\nlost and is made "
     "again (default: tidings-bus)"},
    {0, "http", "HOST:PORT", OPTION_TEXT, offsetof(struct layer_options, http), 0, 0,
     "serve HTTP here (default: 127.0.0.1:8080, or another free port)"},
    {0, "hide-payloads", NULL, OPTION_FLAG, offsetof(struct layer_options, hides_payloads), 0, 0,
     "tell by HTTP no values of events, and no headers but attributes of\nCloudEvents"},
    {0, "index-exclude", "REGEX", OPTION_TEXT, offsetof(struct layer_options, exclude), 0, 0,
     "do not index topics whose whole name matches"},
    {0, "history", "DURATION", OPTION_DURATION, offsetof(struct layer_options, history_ms), 1000,
     INT64_C(3155760000000), "how long it is known when groups were done with what (default: 30d)"},
};

struct beside {
    struct connection_settings connection;
};

static struct feed *open_feed(void *context, feed_begin *begin, void *begin_context,
                              struct reason *reason)
{
    struct beside *beside = context;
    (void)reason;
    return reader_feed_new(&beside->connection, begin, begin_context);
}

/* One process keeps one directory. Returns an exit code. */
static int lock_state(const char *dir, int *fd)
{
    struct reason reason = {""};
    char *path = mem_sprintf("%s/lock", dir);
    int code = EXIT_OK;
    if (file_make_dir(file_ops_system(), dir, &reason) != ERR_NONE ||
        file_open(file_ops_system(), path, O_RDWR | O_CREAT, fd, &reason) != ERR_NONE) {
        code = cli_fail(EXIT_FAILED, "choose another directory with --state DIR",
                        "cannot keep a state: %s", reason.text);
    } else if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        code = cli_fail(EXIT_CONFLICT, "stop it, or choose another directory with --state DIR",
                        "another process uses %s", dir);
    }
    free(path);
    return code;
}

static void announce(const struct layer_options *options, struct bus_layer *layer)
{
    const char *http = bus_layer_http(layer);
    char *line = mem_sprintf("ready state=%s pid=%d%s%s\n", options->state, (int)getpid(),
                             http[0] != '\0' ? " http=" : "", http);
    fputs(line, stdout);
    fflush(stdout);
    free(line);
}

static int run(const struct layer_options *options)
{
    struct beside beside = {.connection = bus_settings(&options->bus)};
    struct bus_layer *layer;
    struct reason reason = {""};
    sigset_t signals;
    int got;
    int lock = -1;
    int code = lock_state(options->state, &lock);
    if (code != EXIT_OK) {
        return code;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    beside.connection.client_id = "tidings-bus";
    beside.connection.timeout_ms = ANSWER_MS;
    char *dir = mem_sprintf("%s/bus", options->state);
    struct bus_layer_settings settings = {
        .dir = dir,
        .connection = beside.connection,
        .open_feed = open_feed,
        .http_listener = options->http != NULL ? options->http : "127.0.0.1:8080",
        .http_may_move = options->http == NULL,
        .http_hides_payloads = options->hides_payloads,
        .context = &beside,
        .index_exclude = options->exclude,
        .history_retention_ms = options->history_ms,
    };
    if (bus_layer_start(&settings, &layer, &reason) != ERR_NONE) {
        return cli_fail(EXIT_USAGE, NULL, "%s", reason.text);
    }
    announce(options, layer);
    sigwait(&signals, &got);
    if (!bus_layer_stop(layer, STOP_MS)) {
        fflush(NULL);
        _exit(EXIT_FAILED); /* a thread hangs in what an exit would take from it */
    }
    free(dir);
    close(lock);
    return EXIT_OK;
}

int cli_bus(int argc, char **argv)
{
    struct layer_options options = {.bus = bus_options_default(), .state = "tidings-bus"};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    bool goes_on = options_parse(&page, sets, 2, argc, argv, &arguments, &code);
    if (goes_on && arguments.count > 0) {
        code = options_fail(&page, "bus takes no argument '%s'", arguments.items[0]);
    } else if (goes_on) {
        code = run(&options);
    }
    options_deinit(sets, 2);
    text_list_deinit(&arguments);
    return code;
}
