#include "base/clock.h"
#include "base/mem.h"
#include "cli/base/output.h"
#include "cli/base/terminal.h"
#include "cli/bus/http_client.h"
#include "cli/live/top_view.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

struct top_options {
    struct bus_options bus;
    int64_t interval_ms;
    bool is_once;
};

static const struct help_page page = {
    .name = "tidings top",
    .usage = "[OPTIONS]",
    .about =
        "Shows topics, groups and clients while they work: events a second in and out, lag, how\n"
        "long that is in time, members, errors. Keys: ? tells them, q ends. While the bus is away\n"
        "the last that was known stays, with the time since when. --once prints one frame as text\n"
        "(or JSON) after two looks, an interval apart, with the waiting time of up to 20 groups\n"
        "that are behind. Clients are known where a bus layer tells them, as in 'tidings serve'.",
    .examples = "  tidings top\n"
                "  tidings top --once --json | jq '.groups[] | select(.lag > 0).group'\n",
};

static const struct option_spec specs[] = {
    {'i', "interval", "DURATION", OPTION_DURATION, offsetof(struct top_options, interval_ms), 100,
     3600000, "between two looks at the bus (default: 1s)"},
    {0, "once", NULL, OPTION_FLAG, offsetof(struct top_options, is_once), 0, 0,
     "print one frame and end"},
};

/* --- the thread that asks --- */

struct asker {
    const struct top_options *options;
    struct connection *connection;
    struct top_clients_source clients; /* the thread's */
    pthread_mutex_t lock;              /* guards the next two */
    struct top_sample *fresh;          /* not taken yet; NULL: none */
    bool is_ended;                     /* it is to stop */
    pthread_cond_t end;                /* signalled with is_ended */
    int news_fd;                       /* an eventfd: there is something fresh */
};

/* Waits for the interval; false: it is to stop. */
static bool asker_wait(struct asker *asker)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t ns = until.tv_nsec + asker->options->interval_ms % 1000 * 1000000;
    until.tv_sec += asker->options->interval_ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&asker->lock);
    int code = 0;
    while (!asker->is_ended && code == 0) {
        code = pthread_cond_timedwait(&asker->end, &asker->lock, &until);
    }
    bool goes_on = !asker->is_ended;
    pthread_mutex_unlock(&asker->lock);
    return goes_on;
}

static void *asker_run(void *context)
{
    struct asker *asker = context;
    do {
        struct top_sample *sample =
            top_sample_new(asker->connection, &asker->options->bus, &asker->clients, false);
        pthread_mutex_lock(&asker->lock);
        struct top_sample *old = asker->fresh;
        asker->fresh = sample;
        pthread_mutex_unlock(&asker->lock);
        top_sample_free(old);
        eventfd_write(asker->news_fd, 1);
    } while (asker_wait(asker));
    return NULL;
}

static struct top_sample *asker_take(struct asker *asker)
{
    eventfd_t count;
    (void)eventfd_read(asker->news_fd, &count);
    pthread_mutex_lock(&asker->lock);
    struct top_sample *sample = asker->fresh;
    asker->fresh = NULL;
    pthread_mutex_unlock(&asker->lock);
    return sample;
}

/* --- what is known --- */

struct known {
    struct top_history history;
    struct top_sample *owned[TOP_HISTORY]; /* the same */
    struct top_head head;
    char why[256];
};

/* Takes the sample: into the history, or, when it failed, as why the bus is away. */
static void known_add(struct known *known, struct top_sample *sample)
{
    struct top_history *history = &known->history;
    if (sample->error.status != CLIENT_OK) {
        snprintf(known->why, sizeof known->why, "%.255s", sample->error.text);
        known->head.why = known->why;
        known->head.away_ms = known->head.away_ms < 0 ? sample->wall_ms : known->head.away_ms;
        top_sample_free(sample);
        return;
    }
    known->head.away_ms = -1;
    if (history->count == TOP_HISTORY) {
        top_sample_free(known->owned[--history->count]);
    }
    memmove(known->owned + 1, known->owned, history->count * sizeof *known->owned);
    known->owned[0] = sample;
    history->count++;
    if (history->count > TOP_RATE_LOOKS + 1) { /* they may be many */
        top_clients_deinit(&known->owned[TOP_RATE_LOOKS + 1]->clients);
    }
    for (size_t i = 0; i < history->count; i++) {
        history->samples[i] = known->owned[i];
    }
}

static void known_deinit(struct known *known)
{
    for (size_t i = 0; i < known->history.count; i++) {
        top_sample_free(known->owned[i]);
    }
}

/* --- live --- */

struct live {
    struct asker asker;
    struct known known;
    struct top_choice choice;
    struct terminal terminal;
    int signal_fd;
    sigset_t before; /* the mask to go back to */
};

static void draw(struct live *live)
{
    int rows, columns;
    struct buf lines = {0}, screen = {0};
    terminal_size(&rows, &columns);
    top_frame(&lines, &live->known.history, &live->known.head, &live->choice, rows, columns);
    buf_append_str(&screen, "\033[H");
    for (size_t i = 0; i < lines.size; i++) {
        if (lines.data[i] == '\n') {
            buf_append_str(&screen, "\033[K\n");
        } else {
            buf_append_u8(&screen, lines.data[i]);
        }
    }
    buf_append_str(&screen, "\033[K\033[J");
    for (size_t done = 0; done < screen.size;) {
        ssize_t some = write(STDOUT_FILENO, screen.data + done, screen.size - done);
        if (some < 0 && errno != EINTR) {
            break;
        }
        done += some > 0 ? (size_t)some : 0;
    }
    buf_deinit(&lines);
    buf_deinit(&screen);
}

/* False: the person wants to end, or the terminal is gone. */
static bool take_keys(struct live *live)
{
    char bytes[256];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    bool goes_on = got > 0 || (got < 0 && errno == EINTR);
    for (size_t used = 0; goes_on && got > 0 && used < (size_t)got;) {
        enum top_key key;
        char text;
        used += top_key_read(bytes + used, (size_t)got - used, &key, &text);
        struct top_rows rows = top_rows(&live->known.history, &live->choice);
        goes_on = top_key_take(&live->choice, key, text, &rows);
        vec_deinit(&rows);
    }
    return goes_on;
}

/* False: it ends the command. */
static bool take_signal(struct live *live)
{
    struct signalfd_siginfo info;
    if (read(live->signal_fd, &info, sizeof info) != sizeof info || info.ssi_signo == SIGWINCH ||
        info.ssi_signo == SIGCONT) {
        return true;
    }
    if (info.ssi_signo == SIGTSTP) { /* and from here on when it is continued */
        terminal_leave(&live->terminal);
        kill(getpid(), SIGSTOP);
        return terminal_enter(&live->terminal);
    }
    return false;
}

static void loop(struct live *live)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = live->signal_fd, .events = POLLIN},
                           {.fd = live->asker.news_fd, .events = POLLIN}};
    bool goes_on = true;
    while (goes_on) {
        draw(live);
        if (poll(fds, 3, -1) < 0) {
            continue;
        }
        if (fds[2].revents != 0) {
            struct top_sample *sample = asker_take(&live->asker);
            if (sample != NULL) {
                known_add(&live->known, sample);
            }
        }
        if (fds[1].revents != 0) {
            goes_on = take_signal(live);
        }
        if (goes_on && fds[0].revents != 0) {
            goes_on = take_keys(live);
        }
    }
}

static void take_signals(struct live *live)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigaddset(&set, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &set, &live->before); /* before there are threads */
    signal(SIGPIPE, SIG_IGN);
    live->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    assert(live->signal_fd >= 0);
}

/* The thread may wait for the bus: it is given up after that, with all it holds. */
static void asker_end(struct asker *asker, pthread_t thread)
{
    enum { GRACE_MS = 300 };
    struct timespec until;
    pthread_mutex_lock(&asker->lock);
    asker->is_ended = true;
    pthread_cond_signal(&asker->end);
    pthread_mutex_unlock(&asker->lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += GRACE_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (pthread_timedjoin_np(thread, NULL, &until) != 0) {
        _exit(output_finish(EXIT_OK));
    }
}

static int run_live(const struct top_options *options)
{
    struct live live = {.asker = {.options = options,
                                  .lock = PTHREAD_MUTEX_INITIALIZER,
                                  .end = PTHREAD_COND_INITIALIZER},
                        .known = {.head = {.away_ms = -1}}};
    pthread_t thread;
    take_signals(&live);
    int code = bus_open(&options->bus, &live.asker.connection);
    if (code == EXIT_OK && !terminal_enter(&live.terminal)) {
        code = cli_fail(EXIT_USAGE, "without one: tidings top --once",
                        "standard input and output are no terminal");
    }
    if (code == EXIT_OK) {
        live.known.head.address = connection_bootstrap(live.asker.connection);
        live.asker.news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        pthread_create(&thread, NULL, asker_run, &live.asker);
        loop(&live);
        terminal_leave(&live.terminal);
        asker_end(&live.asker, thread);
        top_sample_free(live.asker.fresh);
        top_clients_source_deinit(&live.asker.clients);
        close(live.asker.news_fd);
    }
    known_deinit(&live.known);
    connection_close(live.asker.connection);
    close(live.signal_fd);
    sigprocmask(SIG_SETMASK, &live.before, NULL);
    return code;
}

/* --- once --- */

static int run_once(const struct top_options *options)
{
    struct known known = {.head = {.away_ms = -1}};
    struct connection *connection;
    struct top_clients_source clients = {0};
    int code = bus_open(&options->bus, &connection);
    for (int i = 0; code == EXIT_OK && i < 2; i++) {
        struct top_sample *sample = top_sample_new(connection, &options->bus, &clients, i == 1);
        if (sample->error.status != CLIENT_OK) {
            code = bus_fail(&sample->error, "look at topics and groups");
            top_sample_free(sample);
        } else {
            known_add(&known, sample);
        }
        if (code == EXIT_OK && i == 0) {
            poll(NULL, 0, (int)options->interval_ms);
        }
    }
    if (code == EXIT_OK && options->bus.is_json) {
        output_json(top_json(&known.history));
    } else if (code == EXIT_OK) {
        struct buf text = {0};
        known.head.address = connection_bootstrap(connection);
        top_print(&text, &known.history, &known.head);
        fwrite(text.data, 1, text.size, stdout);
        buf_deinit(&text);
    }
    known_deinit(&known);
    top_clients_source_deinit(&clients);
    connection_close(connection);
    return output_finish(code);
}

int cli_top(int argc, char **argv)
{
    enum { WAIT_MS = 5000 };
    struct top_options options = {.bus = bus_options_default(), .interval_ms = 1000};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus),
                                http_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    options.bus.timeout_ms = WAIT_MS;
    if (options_parse(&page, sets, 3, argc, argv, &arguments, &code)) {
        code = arguments.count > 0
                   ? options_fail(&page, "top takes no argument '%s'", arguments.items[0])
               : options.is_once ? run_once(&options)
               : options.bus.is_json
                   ? options_fail(&page, "--json goes with --once: one frame for programs")
                   : run_live(&options);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 3);
    return code;
}
