#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scratch.h"
#include "base/settings.h"
#include "broker/server.h"
#include "cli/base/cli.h"
#include "cli/base/detach.h"
#include "cli/base/options.h"
#include "cli/base/setting_text.h"
#include "cli/server/serve_layer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct serve_settings {
    const char *data_dir;
    struct text_list listen;
    const char *config_file;
    struct text_list set;
    int64_t ready_fd;
    const char *ready_file;
    bool memory;
    bool until_eof;
    bool test_clock;
    bool allow_chaos;
    bool detach;
    bool print_settings;
};

static const struct option_spec specs[] = {
    {'d', "data", "DIR", OPTION_TEXT, offsetof(struct serve_settings, data_dir), 0, 0,
     "keep everything in DIR (default: tidings-data)"},
    {'l', "listen", "HOST:PORT", OPTION_TEXTS, offsetof(struct serve_settings, listen), 0, 0,
     "listen here; port 0 picks a free one (repeat it)\n(default: 127.0.0.1:9092; :9092 means "
     "every address)"},
    {'c', "config", "FILE", OPTION_TEXT, offsetof(struct serve_settings, config_file), 0, 0,
     "read name=value settings from FILE"},
    {'s', "set", "NAME=VALUE", OPTION_TEXTS, offsetof(struct serve_settings, set), 0, 0,
     "change one setting; stronger than --config (repeat it)"},
    {0, "ready-fd", "N", OPTION_INTEGER, offsetof(struct serve_settings, ready_fd), 0, 1 << 20,
     "also write the ready line to descriptor N, then close it"},
    {0, "ready-file", "FILE", OPTION_TEXT, offsetof(struct serve_settings, ready_file), 0, 0,
     "also write the ready line to FILE, whole when it is there; removed at\nstart and end"},
    {'m', "memory", NULL, OPTION_FLAG, offsetof(struct serve_settings, memory), 0, 0,
     "for tests: keep nothing; all is in memory and ends with the process.\nListens on "
     "127.0.0.1:0 unless told otherwise; see docs/testing.md"},
    {0, "test-clock", NULL, OPTION_FLAG, offsetof(struct serve_settings, test_clock), 0, 0,
     "for tests: the clock can be moved forward with tidings clock; --memory\nhas it on"},
    {0, "allow-chaos", NULL, OPTION_FLAG, offsetof(struct serve_settings, allow_chaos), 0, 0,
     "for tests: make faults that tidings chaos asks for; --memory has it on"},
    {0, "until-eof", NULL, OPTION_FLAG, offsetof(struct serve_settings, until_eof), 0, 0,
     "stop as well when standard input ends: a pipe from who started it,\nso that it ends with "
     "that, however that ends"},
    {0, "detach", NULL, OPTION_FLAG, offsetof(struct serve_settings, detach), 0, 0,
     "go to the background when clients can connect: the command ends with 0\nthen, or as the "
     "start failed; log lines stay on standard error"},
    {0, "settings", NULL, OPTION_FLAG, offsetof(struct serve_settings, print_settings), 0, 0,
     "list every setting with its default and meaning, then end"},
};

static const struct help_page page = {
    .name = "tidings serve",
    .usage = "[OPTIONS]",
    .about =
        "Runs the bus: an event log that speaks the Kafka protocol. It needs no other server.\n"
        "When clients can connect, one line is printed: ready listen=HOST:PORT data=DIR pid=N\n"
        "With --memory it goes on: storage=memory, or storage=disk where no memory can be had.\n"
        "Behind that stands http=HOST:PORT, where the layer beside the bus (stories, metrics) is.\n"
        "SIGTERM or Ctrl-C stops it cleanly; after a kill -9 nothing acknowledged is lost.",
    .examples =
        "  tidings serve\n"
        "  tidings serve --data /var/lib/tidings --listen :9092\n"
        "  tidings serve --listen 127.0.0.1:0 --set log.retention.ms=1h\n"
        "  tidings serve --detach 2> bus.log           in the background; kill PID stops it\n"
        "  tidings serve --memory                      a bus for a test, on a free port\n",
};

/* 1h and 10MB become the numbers that the settings want. */
static enum err take_units(struct overrides *settings, struct reason *reason)
{
    for (size_t i = 0; i < settings->count; i++) {
        struct override *item = &settings->items[i];
        char text[SETTING_TEXT_SIZE];
        const char *number;
        struct reason why;
        enum err err = setting_number(slice_str(item->name), item->value, text, &number, &why);
        if (err != ERR_NONE) {
            return reason_fail(reason, err, "%s: %s: %s", item->origin, item->name, why.text);
        }
        if (number == text) {
            free(item->value);
            item->value = mem_strdup(text);
        }
    }
    return ERR_NONE;
}

/* What fits a test: it starts at once, takes little, and does at once what elsewhere may wait. */
static void set_for_memory(struct overrides *out)
{
    static const char *const settings[][2] = {
        {"listeners", "127.0.0.1:0"},
        {"num.network.threads", "1"},
        {"background.threads", "2"},
        {"memory.max", "268435456"},
        {"offsets.topic.num.partitions", "1"},
        {"transaction.state.log.num.partitions", "1"},
        {"group.min.session.timeout.ms", "100"},
        {"test.clock.enable", "true"},
        {"chaos.enable", "true"},
        {"log.level", "warn"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        overrides_set(out, slice_str(settings[i][0]), slice_str(settings[i][1]));
    }
}

/* Who says only a port to a bus for tests wants nobody else on it. */
static void add_address(const struct serve_settings *settings, const char *address,
                        struct buf *list)
{
    buf_append_str(list, list->size > 0 ? "," : "");
    buf_append_str(list, settings->memory && address[0] == ':' ? "127.0.0.1" : "");
    buf_append_str(list, address);
}

/* The settings from file and options, the strongest last. Returns an exit code. */
static int collect(const struct serve_settings *settings, struct overrides *out)
{
    struct reason reason;
    if (settings->memory) {
        set_for_memory(out);
    }
    if (settings->config_file != NULL) {
        char *text;
        enum err err =
            file_load_text(file_ops_system(), settings->config_file, 1 << 20, &text, &reason);
        if (err == ERR_NONE) {
            err = overrides_parse(out, settings->config_file, text, &reason);
            free(text);
        }
        if (err == ERR_NONE) {
            err = take_units(out, &reason);
        }
        if (err != ERR_NONE) {
            return cli_fail(EXIT_USAGE,
                            err == ERR_NOT_FOUND
                                ? "check the path given with --config"
                                : "lines are name=value; tidings serve --settings lists the names",
                            "%s", reason.text);
        }
    }
    if (settings->allow_chaos) {
        overrides_set(out, slice_str("chaos.enable"), slice_str("true"));
    }
    if (settings->test_clock) {
        overrides_set(out, slice_str("test.clock.enable"), slice_str("true"));
    }
    if (settings->data_dir != NULL) {
        overrides_set(out, slice_str("log.dirs"), slice_str(settings->data_dir));
    }
    if (settings->listen.count > 0) {
        struct buf list = {0};
        for (size_t i = 0; i < settings->listen.count; i++) {
            add_address(settings, settings->listen.items[i], &list);
        }
        overrides_set(out, slice_str("listeners"), buf_slice(&list));
        buf_deinit(&list);
    }
    for (size_t i = 0; i < settings->set.count; i++) {
        char *name;
        char *value;
        int code = options_split_setting(&page, "set", settings->set.items[i], &name, &value);
        if (code != EXIT_OK) {
            return code;
        }
        overrides_set(out, slice_str(name), slice_str(value));
        free(name);
        free(value);
    }
    return EXIT_OK;
}

/* Tells systemd (sd_notify's protocol: a datagram to NOTIFY_SOCKET). */
static void notify_systemd(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || path[0] == '\0' || strlen(path) >= sizeof address.sun_path) {
        return;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0) {
        cli_warn("cannot notify systemd at %s", path);
    }
    close(fd);
}

/* How the bus is told that it can be reached, and where it keeps its data. */
struct bus {
    const struct serve_settings *settings;
    struct scratch *scratch; /* NULL: a data directory that stays */
};

/* A test that waits for the file sees it whole, or not at all. */
static enum err write_ready_file(const char *path, const char *line, struct reason *reason)
{
    return file_replace_unsynced(file_ops_system(), path, line, strlen(line), reason);
}

static enum err announce(const struct bus *bus, const struct server *server,
                         const struct serve_layer *layer, struct reason *reason)
{
    const char *http = serve_layer_http(layer);
    const char *storage = bus->scratch == NULL              ? ""
                          : scratch_is_memory(bus->scratch) ? " storage=memory"
                                                            : " storage=disk";
    char *line = mem_sprintf("ready listen=%s data=%s pid=%d%s%s%s\n", server_addresses(server),
                             server_data_dir(server), (int)getpid(), storage,
                             http[0] != '\0' ? " http=" : "", http);
    int fd = (int)bus->settings->ready_fd;
    enum err err = ERR_NONE;
    if (bus->settings->ready_file != NULL) {
        err = write_ready_file(bus->settings->ready_file, line, reason);
    }
    if (err == ERR_NONE) {
        fputs(line, stdout);
        fflush(stdout);
        if (bus->settings->detach) {
            detach_ready();
        }
        if (fd >= 0 && write(fd, line, strlen(line)) < 0) {
            cli_warn("cannot write to --ready-fd %d", fd);
        }
        notify_systemd("READY=1");
    }
    if (fd >= 0) {
        close(fd);
    }
    free(line);
    return err;
}

static int fail_start(enum err err, const struct reason *reason)
{
    return cli_fail(err == ERR_CONFIG                        ? EXIT_USAGE
                    : err == ERR_LOCKED || err == ERR_EXISTS ? EXIT_CONFLICT
                                                             : EXIT_FAILED,
                    err == ERR_CONFIG   ? "tidings serve --settings lists every setting"
                    : err == ERR_EXISTS ? "choose another with --listen HOST:PORT; 0 is any free"
                                        : NULL,
                    "cannot serve: %s", reason->text);
}

/* What comes on standard input is not looked at, only its end. */
static bool input_ended(void)
{
    char bytes[256];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    return got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN);
}

/* Until a signal comes, or until standard input ends where that is to end it. */
static void wait_for_end(const struct bus *bus, const sigset_t *signals)
{
    int got;
    struct pollfd polls[] = {{.fd = signalfd(-1, signals, SFD_CLOEXEC), .events = POLLIN},
                             {.fd = STDIN_FILENO, .events = POLLIN}};
    if (polls[0].fd < 0 || !bus->settings->until_eof) {
        sigwait(signals, &got);
    } else {
        do {
            (void)poll(polls, 2, -1);
        } while (polls[0].revents == 0 && (polls[1].revents == 0 || !input_ended()));
    }
    close(polls[0].fd);
}

static int serve(const struct bus *bus, const struct overrides *overrides)
{
    /* Blocked before any thread exists, so that only wait_for_end takes them. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP); /* a closed terminal: stop as cleanly */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    struct server *server;
    struct serve_layer *layer = NULL;
    struct reason reason = {.text = ""};
    enum err err =
        server_start(overrides, bus->scratch != NULL ? file_ops_unsynced() : file_ops_system(),
                     &server, &reason);
    if (err == ERR_NONE) {
        layer = serve_layer_start(server);
        err = announce(bus, server, layer, &reason);
    }
    if (err != ERR_NONE) {
        int code = fail_start(err, &reason);
        fflush(NULL);
        _exit(code); /* its threads may run already: nothing they use is taken from under them */
    }
    wait_for_end(bus, &signals);
    notify_systemd("STOPPING=1");
    bool has_stopped = serve_layer_stop(layer);
    err = server_stop(server, &reason);
    if (bus->settings->ready_file != NULL) {
        (void)!file_unlink(file_ops_system(), bus->settings->ready_file, NULL);
    }
    int code = EXIT_OK;
    if (err != ERR_NONE) {
        code = cli_fail(EXIT_FAILED, "the next start checks the logs; nothing acknowledged is lost",
                        "stopped, but not cleanly: %s", reason.text);
    }
    if (!has_stopped) {
        fflush(NULL);
        _exit(code); /* a thread of the layer's hangs in what an exit would take from it */
    }
    return code;
}

static const char *place_in(const char *variable)
{
    const char *path = getenv(variable);
    return path != NULL ? path : "";
}

/* A bus for a test has nothing beside it unless it is asked for. */
static void leave_out_layer(struct overrides *overrides)
{
    const char *http = overrides_get(overrides, "http.listeners");
    if (http == NULL && overrides_get(overrides, "bus.layer.enable") == NULL) {
        overrides_set(overrides, slice_str("bus.layer.enable"), slice_str("false"));
    }
}

/* A place that ends with the process. Returns an exit code. */
static int take_memory(struct bus *bus, struct overrides *overrides)
{
    const char *chosen = place_in("TIDINGS_MEMORY_DIR");
    const char *const usual[] = {place_in("XDG_RUNTIME_DIR"), "/dev/shm", place_in("TMPDIR"),
                                 "/tmp", NULL};
    const char *const only[] = {chosen, NULL};
    struct reason reason;
    if (overrides_get(overrides, "log.dirs") != NULL) {
        return options_fail(&page, "--memory keeps nothing: it does not go with a data directory "
                                   "(--data, log.dirs)");
    }
    if (scratch_new(chosen[0] != '\0' ? only : usual, "tidings-memory", &bus->scratch, &reason) !=
        ERR_NONE) {
        return cli_fail(EXIT_FAILED, "TIDINGS_MEMORY_DIR names a directory to use",
                        "no place for --memory: %s", reason.text);
    }
    if (!scratch_is_memory(bus->scratch)) {
        cli_warn("there is no memory file system to be used: until this bus ends its events are on "
                 "disk, in %s",
                 scratch_path(bus->scratch));
    }
    char *dir = mem_sprintf("%s/data", scratch_path(bus->scratch));
    overrides_set(overrides, slice_str("log.dirs"), slice_str(dir));
    free(dir);
    return EXIT_OK;
}

static int run(const struct serve_settings *settings, struct overrides *overrides)
{
    struct bus bus = {.settings = settings};
    struct reason reason;
    int code = collect(settings, overrides);
    /* One of before must not be taken for this start's. */
    if (code == EXIT_OK && settings->ready_file != NULL &&
        file_unlink(file_ops_system(), settings->ready_file, &reason) != ERR_NONE) {
        code = cli_fail(EXIT_FAILED, NULL, "--ready-file: %s", reason.text);
    }
    if (code == EXIT_OK && settings->detach && !detach(&code)) {
        return code;
    }
    if (code == EXIT_OK && settings->memory) {
        leave_out_layer(overrides);
        code = take_memory(&bus, overrides);
    }
    if (code == EXIT_OK) {
        code = serve(&bus, overrides);
    }
    scratch_free(bus.scratch);
    return code;
}

int cli_serve(int argc, char **argv)
{
    struct serve_settings settings = {.ready_fd = -1};
    struct option_set set = {"Options", specs, sizeof specs / sizeof specs[0], &settings};
    struct text_list arguments = {0};
    struct overrides overrides = {0};
    int code;
    bool goes_on = options_parse(&page, &set, 1, argc, argv, &arguments, &code);
    if (goes_on && arguments.count > 0) {
        code = options_fail(&page, "serve takes no argument '%s'", arguments.items[0]);
    } else if (goes_on && settings.detach && settings.until_eof) {
        code =
            options_fail(&page, "--detach has no standard input: --until-eof does not go with it");
    } else if (goes_on && settings.print_settings) {
        server_print_settings();
    } else if (goes_on) {
        code = run(&settings, &overrides);
    }
    overrides_deinit(&overrides);
    options_deinit(&set, 1);
    text_list_deinit(&arguments);
    return code;
}
