#include "cli/base/cli.h"

#include "base/clock.h"
#include "cli/base/colour.h"
#include "cli/base/interrupt.h"
#include "cli/base/output.h"
#include "cli/bus/event_print.h"
#include "cli/bus/filter.h"
#include "cli/bus/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct subscribe_options {
    struct bus_options bus;
    struct text_list topics;
    const char *from;
    const char *to;
    const char *group;
    int64_t partition;
    struct filter filter;
    int64_t max_count; /* 0: no limit */
    bool until_end;
    bool has_headers;
    bool is_value_only;
    bool is_nul;
    const char *template;
    const char *colour;
};

static const struct help_page page = {
    .name = "tidings subscribe",
    .usage = "TOPIC... [OPTIONS]",
    .about =
        "Prints the events of one or more topics: from the start unless --from says otherwise,\n"
        "and then as they come, until Ctrl-C. A topic that begins with ^ is a regular expression\n"
        "(RE2's syntax): all topics whose names begin so, end them with $ for whole names. Topics\n"
        "made later are read from their start, unless there is an end (--to, --until-end).\n"
        "Without --group it reads all partitions and leaves no trace. With --group it joins the\n"
        "consumer group, shares the partitions with the other members, goes on where the group\n"
        "left off (--from counts at its first start only), and commits what it printed.\n"
        "With --to or --until-end it ends with 6 when the bus gives nothing for --timeout though\n"
        "events up to that place were there when reading began.",
    .examples =
        "  tidings subscribe orders                            everything, then follow\n"
        "  tidings subscribe orders --from end                 only what comes from now on\n"
        "  tidings subscribe orders --from -10 --until-end     the last ten of each partition\n"
        "  tidings subscribe orders --from -1h --headers       since an hour ago\n"
        "  tidings subscribe orders --from 2026-02-01T12:00:00Z --type order.placed\n"
        "  tidings subscribe orders --group shipping           as a member of a group\n"
        "  tidings subscribe orders --from 2026-02-01 --to 2026-02-02   one day\n"
        "  tidings subscribe '^orders\\.' --source /shop --header tenant=a\n"
        "  tidings subscribe orders --until-end --json | jq -r .value\n"
        "  tidings subscribe orders --format '%o %k %{ce_type}\\n'\n"
        "  tidings subscribe images --max 1 --value-only > cat.png\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct subscribe_options, topics), 0, 0,
     "a topic, like an argument (repeat it)"},
    {'f', "from", "PLACE", OPTION_TEXT, offsetof(struct subscribe_options, from), 0, 0,
     "start, end, an OFFSET (42), the last N of each partition (-10),\n"
     "or a time: -1h, 2026-02-01T12:00:00Z, 2026-02-01 (default: start)"},
    {0, "to", "PLACE", OPTION_TEXT, offsetof(struct subscribe_options, to), 0, 0,
     "stop before this place: as for --from"},
    {'g', "group", "GROUP", OPTION_TEXT, offsetof(struct subscribe_options, group), 0, 0,
     "read as a member of this consumer group"},
    {'p', "partition", "N", OPTION_INTEGER, offsetof(struct subscribe_options, partition), 0,
     INT32_MAX, "only this partition (not with --group)"},
    {0, "type", "TYPE", OPTION_TEXTS, offsetof(struct subscribe_options, filter.types), 0, 0,
     "only CloudEvents of this type (repeat it for several)"},
    {0, "source", "SOURCE", OPTION_TEXTS, offsetof(struct subscribe_options, filter.sources), 0, 0,
     "only CloudEvents of this source (repeat it for several)"},
    {0, "header", "NAME=VALUE", OPTION_TEXTS, offsetof(struct subscribe_options, filter.headers), 0,
     0, "only events with this header, or with NAME and any value\n(repeat it: all of them)"},
    {'k', "key", "KEY", OPTION_TEXT, offsetof(struct subscribe_options, filter.key), 0, 0,
     "only events of this key"},
    {'n', "max", "N", OPTION_INTEGER, offsetof(struct subscribe_options, max_count), 1, INT64_MAX,
     "stop after printing N events"},
    {'e', "until-end", NULL, OPTION_FLAG, offsetof(struct subscribe_options, until_end), 0, 0,
     "stop where the topic ended when reading began"},
    {'H', "headers", NULL, OPTION_FLAG, offsetof(struct subscribe_options, has_headers), 0, 0,
     "print headers below each event"},
    {'v', "value-only", NULL, OPTION_FLAG, offsetof(struct subscribe_options, is_value_only), 0, 0,
     "print values, each followed by a line break: byte for byte unless\non a terminal"},
    {'0', "null", NULL, OPTION_FLAG, offsetof(struct subscribe_options, is_nul), 0, 0,
     "with --value-only: a NUL byte after each value instead"},
    {'F', "format", "TEMPLATE", OPTION_TEXT, offsetof(struct subscribe_options, template), 0, 0,
     "print each event so: %t topic, %p partition, %o offset, %T ms since\n"
     "1970, %d time, %k key, %s value, %S its size, %h headers, %{NAME} a\n"
     "header, %% \\n \\t \\r \\0 \\\\"},
    {0, "colour", "WHEN", OPTION_TEXT, offsetof(struct subscribe_options, colour), 0, 0,
     "auto (on a terminal, unless $NO_COLOR is set; the default), always, never"},
};

enum { SET_COUNT = 2 };

static void make_sets(struct subscribe_options *options, struct option_set sets[SET_COUNT])
{
    sets[0] = (struct option_set){"Options", specs, sizeof specs / sizeof specs[0], options};
    sets[1] = bus_option_set(&options->bus);
}

static int check_look(const struct subscribe_options *options)
{
    struct reason reason;
    if (options->is_value_only && (options->bus.is_json || options->has_headers)) {
        return options_fail(&page, "--value-only prints neither --json nor --headers");
    }
    if (options->is_nul && !options->is_value_only) {
        return options_fail(&page, "--null goes with --value-only");
    }
    if (options->template != NULL &&
        (options->is_value_only || options->bus.is_json || options->has_headers)) {
        return options_fail(&page, "--format says all: no --json, --value-only or --headers");
    }
    if (options->template != NULL && event_template_check(options->template, &reason) != ERR_NONE) {
        return options_fail(&page, "--format: %s", reason.text);
    }
    if (!colour_is_word(options->colour)) {
        return options_fail(&page, "--colour is auto, always or never, not '%s'", options->colour);
    }
    return EXIT_OK;
}

/* What has been printed leaves the process. */
static bool flush_output(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}

static int check(struct subscribe_options *options, struct source_options *source)
{
    struct reason reason;
    int64_t now_ms = clock_wall_ms(clock_system());
    if (options->topics.count == 0) {
        return options_fail(&page, "subscribe to which topic? Usage: tidings subscribe TOPIC");
    }
    if (options->group != NULL && options->partition >= 0) {
        return options_fail(&page, "a group assigns the partitions: leave --partition out");
    }
    if (options->group != NULL && options->group[0] == '\0') {
        return options_fail(&page, "--group needs a name");
    }
    if (options->to != NULL && options->until_end) {
        return options_fail(&page, "--until-end is --to end: give one of them");
    }
    const char *from = options->from != NULL ? options->from : "start";
    if (position_parse(from, now_ms, &source->from, &reason) != ERR_NONE) {
        return options_fail(&page, "--from: %s", reason.text);
    }
    const char *to = options->to != NULL ? options->to : "end";
    if (position_parse(to, now_ms, &source->to, &reason) != ERR_NONE) {
        return options_fail(&page, "--to: %s", reason.text);
    }
    source->bus = &options->bus;
    source->topics = options->topics;
    source->group = options->group;
    source->partition = options->partition;
    source->has_to = options->to != NULL || options->until_end;
    source->flush = flush_output;
    return check_look(options);
}

static struct event_print print_of(const struct subscribe_options *options)
{
    return (struct event_print){
        .look = options->template != NULL ? LOOK_TEMPLATE
                : options->is_value_only  ? LOOK_VALUE
                : options->bus.is_json    ? LOOK_JSON
                                          : LOOK_LINE,
        .has_headers = options->has_headers,
        .has_colours = colour_is_wanted(options->colour),
        .is_nul = options->is_nul,
        .is_terminal = isatty(STDOUT_FILENO) != 0,
        .template = options->template,
    };
}

struct subscription {
    const struct subscribe_options *options;
    struct event_print print;
    struct source source;
    struct interrupt interrupt;
    struct buf text;
    int64_t printed;
};

static void handle(struct subscription *subscription, struct received *received)
{
    const struct event *event = &received->event;
    if (filter_accepts(&subscription->options->filter, event)) {
        buf_clear(&subscription->text);
        event_print(&subscription->print, event, &subscription->text);
        fwrite_unlocked(subscription->text.data, 1, subscription->text.size, stdout);
        subscription->printed++;
    }
    source_handled(&subscription->source, received);
}

/* Output leaves when nothing more is at hand, and no system call is made an event. */
static int read_all(struct subscription *subscription)
{
    enum { WAIT_MS = 100, LOOK_EVERY = 256 };
    const struct subscribe_options *options = subscription->options;
    bool is_idle = false;
    int code = EXIT_OK;
    for (unsigned turn = 0; code == EXIT_OK && !source_is_done(&subscription->source); turn++) {
        struct received *received;
        if ((is_idle || turn % LOOK_EVERY == 0) &&
            (interrupt_is_raised(&subscription->interrupt) || ferror(stdout))) {
            break;
        }
        code = source_take(&subscription->source, is_idle ? WAIT_MS : 0, &received);
        if (received != NULL) {
            handle(subscription, received);
        } else if (!is_idle) {
            fflush(stdout); /* nothing more at hand: show what there is */
        }
        is_idle = received == NULL;
        if (options->max_count != 0 && subscription->printed >= options->max_count) {
            break;
        }
    }
    return code;
}

/* Output that a signal ends when nobody takes it. */
struct output {
    struct interrupt *interrupt;
    FILE *before;      /* stdout of before */
    int fd;            /* of that */
    int pipe_fd;       /* the same pipe, but its writes do not wait; -1: none */
    size_t step_bytes; /* written at once without waiting, where there is room at all */
};

/* stdio's write, by fopencookie. What is not written is not committed, as its flush fails. */
static ssize_t write_output(void *cookie, const char *data, size_t size)
{
    enum { GRACE_MS = 100 };
    const struct output *output = cookie;
    int fd = output->pipe_fd >= 0 ? output->pipe_fd : output->fd;
    for (size_t done = 0; done < size;) {
        if (!interrupt_wait_output(output->interrupt, output->fd, GRACE_MS)) {
            errno = EINTR;
            return 0;
        }
        size_t left = size - done;
        ssize_t written =
            write(fd, data + done, left < output->step_bytes ? left : output->step_bytes);
        if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return 0;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    return (ssize_t)size;
}

/* How to write without waiting: O_NONBLOCK on the descriptor would be seen by all who share it, so
 * a pipe is opened once more. Files and devices do not wait. */
static void find_step(struct output *output)
{
    struct stat about = {0};
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", output->fd);
    bool can_wait = fstat(output->fd, &about) != 0 || S_ISSOCK(about.st_mode) || isatty(output->fd);
    if (S_ISFIFO(about.st_mode)) {
        output->pipe_fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        can_wait = output->pipe_fd < 0;
    }
    output->step_bytes = can_wait ? PIPE_BUF : SIZE_MAX;
}

/* Makes stdout write by write_output, until close_output. A stream without a file stays. */
static void open_output(struct output *output, struct interrupt *interrupt)
{
    enum { OUTPUT_BYTES = 1 << 18 };
    *output = (struct output){
        .interrupt = interrupt, .before = stdout, .fd = fileno(stdout), .pipe_fd = -1};
    FILE *stream = output->fd >= 0
                       ? fopencookie(output, "w", (cookie_io_functions_t){.write = write_output})
                       : NULL;
    if (stream != NULL) {
        find_step(output);
        stdout = stream;
        setvbuf(stdout, NULL, _IOFBF, OUTPUT_BYTES);
    }
}

static void close_output(const struct output *output)
{
    if (stdout != output->before) {
        fclose(stdout);
        stdout = output->before;
    }
    if (output->pipe_fd >= 0) {
        close(output->pipe_fd);
    }
}

/* The end of the output; that a signal cut it is no failure. */
static int finish_output(struct interrupt *interrupt, int code)
{
    return interrupt_is_raised(interrupt) && !flush_output() ? code : output_finish(code);
}

static int run(const struct subscribe_options *options, const struct source_options *from)
{
    struct subscription subscription = {.options = options, .print = print_of(options)};
    interrupt_init(&subscription.interrupt);
    struct output output;
    open_output(&output, &subscription.interrupt);
    int code = source_open(&subscription.source, from);
    if (code == EXIT_OK) {
        code = read_all(&subscription);
        code = finish_output(&subscription.interrupt, code);
    }
    if (code == EXIT_OK && isatty(STDERR_FILENO) && isatty(STDOUT_FILENO)) {
        output_text(stderr, "%lld event%s\n", (long long)subscription.printed,
                    plural_s((uint64_t)subscription.printed));
    }
    int close_code = source_close(&subscription.source);
    close_output(&output);
    interrupt_deinit(&subscription.interrupt);
    buf_deinit(&subscription.text);
    return code != EXIT_OK ? code : close_code;
}

int cli_subscribe(int argc, char **argv)
{
    struct subscribe_options options = {.bus = bus_options_default(), .partition = -1};
    struct source_options source = {0};
    struct option_set sets[SET_COUNT];
    int code;
    make_sets(&options, sets);
    if (options_parse(&page, sets, SET_COUNT, argc, argv, &options.topics, &code)) {
        code = check(&options, &source);
        if (code == EXIT_OK) {
            code = run(&options, &source);
        }
    }
    options_deinit(sets, SET_COUNT);
    return code;
}
