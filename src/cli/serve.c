#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/settings.h"
#include "broker/server.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/setting_text.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct serve_settings {
    const char *data_dir;
    struct text_list listen;
    const char *config_file;
    struct text_list set;
    int64_t ready_fd;
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
    {0, "settings", NULL, OPTION_FLAG, offsetof(struct serve_settings, print_settings), 0, 0,
     "list every setting with its default and meaning, then end"},
};

static const struct help_page page = {
    .name = "tidings serve",
    .usage = "[OPTIONS]",
    .about =
        "Runs the bus: an event log that speaks the Kafka protocol. It needs no other server.\n"
        "When clients can connect, one line is printed: ready listen=HOST:PORT data=DIR pid=N\n"
        "SIGTERM or Ctrl-C stops it cleanly; after a kill -9 nothing acknowledged is lost.",
    .examples = "  tidings serve\n"
                "  tidings serve --data /var/lib/tidings --listen :9092\n"
                "  tidings serve --listen 127.0.0.1:0 --set log.retention.ms=1h\n",
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

/* The settings from file and options, the strongest last. Returns an exit code. */
static int collect(const struct serve_settings *settings, struct overrides *out)
{
    struct reason reason;
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
    if (settings->data_dir != NULL) {
        overrides_set(out, slice_str("log.dirs"), slice_str(settings->data_dir));
    }
    if (settings->listen.count > 0) {
        struct buf list = {0};
        for (size_t i = 0; i < settings->listen.count; i++) {
            buf_append_str(&list, i > 0 ? "," : "");
            buf_append_str(&list, settings->listen.items[i]);
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

static void announce(const struct server *server, int64_t ready_fd)
{
    char *line = mem_sprintf("ready listen=%s data=%s pid=%d\n", server_addresses(server),
                             server_data_dir(server), (int)getpid());
    fputs(line, stdout);
    fflush(stdout);
    if (ready_fd >= 0) {
        if (write((int)ready_fd, line, strlen(line)) < 0) {
            cli_warn("cannot write to --ready-fd %d", (int)ready_fd);
        }
        close((int)ready_fd);
    }
    notify_systemd("READY=1");
    free(line);
}

static int serve(const struct overrides *overrides, int64_t ready_fd)
{
    /* Blocked before any thread exists, so that only sigwait below takes them. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP); /* a closed terminal: stop as cleanly */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    struct server *server;
    struct reason reason = {.text = ""};
    enum err err = server_start(overrides, &server, &reason);
    if (err != ERR_NONE) {
        int code =
            cli_fail(err == ERR_CONFIG                        ? EXIT_USAGE
                     : err == ERR_LOCKED || err == ERR_EXISTS ? EXIT_CONFLICT
                                                              : EXIT_FAILED,
                     err == ERR_CONFIG   ? "tidings serve --settings lists every setting"
                     : err == ERR_EXISTS ? "choose another with --listen HOST:PORT; 0 is any free"
                                         : NULL,
                     "cannot serve: %s", reason.text);
        fflush(NULL);
        _exit(code); /* its threads may run already: nothing they use is taken from under them */
    }
    announce(server, ready_fd);
    int got;
    sigwait(&signals, &got);
    notify_systemd("STOPPING=1");
    err = server_stop(server, &reason);
    if (err != ERR_NONE) {
        return cli_fail(EXIT_FAILED, "the next start checks the logs; nothing acknowledged is lost",
                        "stopped, but not cleanly: %s", reason.text);
    }
    return EXIT_OK;
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
    } else if (goes_on && settings.print_settings) {
        server_print_settings();
    } else if (goes_on) {
        code = collect(&settings, &overrides);
        if (code == EXIT_OK) {
            code = serve(&overrides, settings.ready_fd);
        }
    }
    overrides_deinit(&overrides);
    options_deinit(&set, 1);
    text_list_deinit(&arguments);
    return code;
}
