#include "cli/base/cli.h"

#include "base/clock.h"
#include "cli/base/interrupt.h"
#include "cli/base/output.h"
#include "cli/base/output_text.h"
#include "cli/bus/delivery.h"
#include "cli/event/publish_options.h"
#include "client/admin/admin.h"
#include "client/publisher/publisher.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct publishing {
    const struct publish_options *options;
    struct publisher *publisher;
    struct delivery delivery;
    struct interrupt interrupt;
    struct event_reader reader;
    struct arena arena; /* of one event */
    int fd;
    uint64_t total_bytes; /* of the input, 0 when unknown */
    bool shows_progress;
    bool has_shown; /* a progress line stands on the terminal */
    int64_t shown_ms;
    int32_t partition_count;
    struct reason input_error; /* "" when the input was fine */
};

static int64_t now_ms(void)
{
    return clock_wall_ms(clock_system());
}

static void on_done(void *context, const struct publication *publication)
{
    struct publishing *publishing = context;
    if (publication->status == CLIENT_OK) {
        delivery_acknowledge(&publishing->delivery, publication->partition, publication->offset,
                             publication->size_bytes);
        return;
    }
    delivery_fail(&publishing->delivery, (uint64_t)(uintptr_t)publication->context,
                  publication->error);
}

static void show_progress(struct publishing *publishing, bool is_last)
{
    enum { EVERY_MS = 500 };
    int64_t now = now_ms();
    if (!publishing->shows_progress || (!is_last && now - publishing->shown_ms < EVERY_MS)) {
        return;
    }
    bool is_terminal = isatty(STDERR_FILENO) && !isatty(publishing->fd);
    if (is_last && is_terminal && !publishing->has_shown) {
        return; /* too short to be worth a line */
    }
    char text[256];
    delivery_progress(&publishing->delivery, publishing->reader.read_bytes, publishing->total_bytes,
                      now, text, sizeof text);
    fputs(is_terminal ? "\r\033[K" : "", stderr);
    output_text(stderr, "%s", text);
    fputs(!is_terminal || is_last ? "\n" : "", stderr);
    publishing->shown_ms = now;
    publishing->has_shown = true;
}

/* Serves acknowledgements and progress; waits up to wait_ms for the former. */
static void serve(struct publishing *publishing, int wait_ms)
{
    publisher_serve(publishing->publisher, wait_ms);
    show_progress(publishing, false);
}

/* Hands one event over, waiting for room in the queue. A refusal is noted as its failure. */
static void publish_event(struct publishing *publishing, struct event *event)
{
    enum { ROOM_WAIT_MS = 100 };
    struct delivery *delivery = &publishing->delivery;
    struct client_error error;
    enum client_status status;
    publish_options_complete(publishing->options, event, now_ms(), &publishing->arena);
    event->topic = delivery->topic;
    delivery->sent++;
    if (event->partition >= publishing->partition_count) {
        client_fail(&error, CLIENT_NOT_FOUND, NULL, "topic %s has no partition %d, only 0 to %d",
                    delivery->topic, (int)event->partition, (int)publishing->partition_count - 1);
        delivery_fail(delivery, delivery->sent, &error);
        return;
    }
    while ((status = publisher_publish(publishing->publisher, event,
                                       (void *)(uintptr_t)delivery->sent, &error)) == CLIENT_FULL &&
           !interrupt_is_raised(&publishing->interrupt)) {
        serve(publishing, ROOM_WAIT_MS);
    }
    if (status != CLIENT_OK) {
        delivery_fail(delivery, delivery->sent, &error);
    }
}

static void publish_arguments(struct publishing *publishing)
{
    const struct text_list *messages = &publishing->options->messages;
    for (size_t i = 0; i < messages->count && !publishing->delivery.is_hopeless; i++) {
        struct event event = {.partition = -1, .offset = -1, .timestamp_ms = -1};
        event.value = slice_str(messages->items[i]);
        publish_event(publishing, &event);
        arena_reset(&publishing->arena);
    }
}

/* True: there may be more events to take. */
static bool fill(struct publishing *publishing)
{
    enum { SERVE_MS = 100 };
    for (;;) {
        switch (interrupt_wait(&publishing->interrupt, publishing->fd, SERVE_MS)) {
        case WAIT_RAISED:
            return false;
        case WAIT_READABLE:
            serve(publishing, 0);
            return event_reader_fill(&publishing->reader, publishing->fd,
                                     &publishing->input_error) == ERR_NONE;
        case WAIT_TIMED_OUT:
            serve(publishing, 0);
            if (publishing->delivery.is_hopeless) {
                return false;
            }
        }
    }
}

static void publish_input(struct publishing *publishing)
{
    enum { SERVE_EVERY = 1000 };
    if (isatty(publishing->fd) && !publishing->options->is_quiet) {
        output_text(stderr, "Type events, one a line; end with Ctrl-D.\n");
    }
    while (!publishing->delivery.is_hopeless && !interrupt_is_raised(&publishing->interrupt)) {
        struct event event;
        enum err err = event_reader_next(&publishing->reader, &publishing->arena, &event,
                                         &publishing->input_error);
        if (err == ERR_AGAIN) {
            if (!fill(publishing)) {
                return;
            }
            continue;
        }
        if (err != ERR_NONE) {
            return;
        }
        publish_event(publishing, &event);
        arena_reset(&publishing->arena);
        if (publishing->delivery.sent % SERVE_EVERY == 0) {
            serve(publishing, 0);
        }
    }
}

static void publish_tombstone(struct publishing *publishing)
{
    struct event event = {.partition = -1, .offset = -1, .timestamp_ms = -1};
    publish_event(publishing, &event);
}

/* Waits for every acknowledgement; each event ends by its time-out at the latest. */
static void wait_for_all(struct publishing *publishing)
{
    enum { STEP_MS = 100 };
    while (publisher_flush(publishing->publisher, STEP_MS) == CLIENT_TIMED_OUT) {
        show_progress(publishing, false);
    }
    publishing->delivery.end_ms = now_ms();
    show_progress(publishing, true);
}

static int open_input(struct publishing *publishing)
{
    const struct publish_options *options = publishing->options;
    publishing->fd = -1;
    if (options->messages.count > 0 || options->is_tombstone) {
        return EXIT_OK;
    }
    publishing->reader.format = options->format;
    publishing->reader.key_separator = options->key_separator;
    if (options->file == NULL || strcmp(options->file, "-") == 0) {
        publishing->fd = STDIN_FILENO;
    } else {
        publishing->fd = open(options->file, O_RDONLY | O_CLOEXEC);
        struct reason reason;
        if (publishing->fd < 0) {
            (void)!reason_errno(&reason, "cannot open '%.150s'", options->file);
            return cli_fail(EXIT_FAILED, "check the path given with --file", "%s", reason.text);
        }
    }
    struct stat status;
    if (fstat(publishing->fd, &status) == 0 && S_ISREG(status.st_mode)) {
        publishing->total_bytes = (uint64_t)status.st_size;
    }
    /* On a terminal where events are typed a progress line would wipe what is being typed. */
    publishing->shows_progress =
        options->has_progress ||
        (isatty(STDERR_FILENO) && !isatty(publishing->fd) && !options->is_quiet);
    return EXIT_OK;
}

static bool is_yes(const char *question)
{
    char *line = NULL;
    size_t size = 0;
    output_text(stderr, "%s [y/N] ", question);
    bool yes = getline(&line, &size, stdin) > 0 && (line[0] == 'y' || line[0] == 'Y');
    free(line);
    return yes;
}

/* The topic does not exist: a slip of the keys, or a new one. */
static int make_topic(const struct publish_options *options, struct connection *connection)
{
    struct admin_new_topic topic = {.name = options->topic, .partition_count = -1};
    struct admin_outcomes outcomes;
    struct client_error error;
    char question[320];
    snprintf(question, sizeof question, "Topic '%.249s' does not exist. Make it?", options->topic);
    bool may_ask = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    if (!options->may_create && !(may_ask && is_yes(question))) {
        return cli_fail(EXIT_NOT_FOUND,
                        "see the topics with 'tidings topic list'; --create makes a new one",
                        "topic '%s' does not exist", options->topic);
    }
    enum client_status status = admin_create_topics(connection, &topic, 1, &outcomes, &error);
    const struct client_error *why = status != CLIENT_OK ? &error : &outcomes.items[0].error;
    /* Another one may have made it meanwhile. */
    int code = why->status == CLIENT_CONFLICT || (status == CLIENT_OK && why->status == CLIENT_OK)
                   ? EXIT_OK
                   : bus_fail(why, "create topic '%s'", options->topic);
    admin_outcomes_deinit(&outcomes);
    return code;
}

static int check_topic(struct publishing *publishing)
{
    const struct publish_options *options = publishing->options;
    struct connection *connection = publisher_connection(publishing->publisher);
    struct admin_topics topics;
    struct client_error error;
    int code = EXIT_OK;
    enum client_status status = admin_topic(connection, options->topic, false, &topics, &error);
    if (status == CLIENT_NOT_FOUND) {
        admin_topics_deinit(&topics);
        code = make_topic(options, connection);
        if (code != EXIT_OK) {
            return code;
        }
        status = admin_topic(connection, options->topic, true, &topics, &error);
    }
    if (status != CLIENT_OK) {
        code = bus_fail(&error, "look up topic '%s'", options->topic);
    } else {
        publishing->partition_count = (int32_t)topics.items[0].partitions.count;
    }
    if (code == EXIT_OK && options->partition >= publishing->partition_count) {
        code = cli_fail(EXIT_NOT_FOUND, "leave --partition out to let the key choose",
                        "topic '%s' has no partition %d, only 0 to %d", options->topic,
                        (int)options->partition, (int)publishing->partition_count - 1);
    }
    admin_topics_deinit(&topics);
    return code;
}

static int open_bus(struct publishing *publishing)
{
    enum { LINGER_MS = 5, EVENT_BYTES = 100000000 /* the bus has its own limit */ };
    const struct publish_options *options = publishing->options;
    struct client_error error;
    struct publisher_settings settings = {
        .connection = bus_settings(&options->bus),
        .compression = options->compression,
        .linger_ms = LINGER_MS,
        .event_max_bytes = EVENT_BYTES,
        .done = on_done,
        .done_context = publishing,
    };
    if (publisher_open(&settings, &publishing->publisher, &error) != CLIENT_OK) {
        return bus_fail_open(&error);
    }
    int code = bus_reach(publisher_connection(publishing->publisher));
    return code == EXIT_OK ? check_topic(publishing) : code;
}

static int report(struct publishing *publishing)
{
    struct delivery *delivery = &publishing->delivery;
    int code = delivery_exit_code(delivery);
    if (publishing->options->bus.is_json) {
        output_json(delivery_to_json(delivery));
    } else {
        FILE *nowhere = publishing->options->is_quiet ? fopen("/dev/null", "w") : NULL;
        delivery_print(delivery, nowhere != NULL ? nowhere : stdout, stderr);
        if (nowhere != NULL) {
            fclose(nowhere);
        }
    }
    if (publishing->input_error.text[0] != '\0') {
        code = cli_fail(EXIT_FAILED, "the events before it were published", "stopped reading: %s",
                        publishing->input_error.text);
    }
    if (delivery->is_hopeless && publishing->fd >= 0) {
        cli_warn("stopped reading the input after event %llu", (unsigned long long)delivery->sent);
    }
    if (publishing->interrupt.is_raised) {
        code = cli_fail(EXIT_FAILED, NULL, "interrupted after %llu event%s",
                        (unsigned long long)delivery->sent, plural_s(delivery->sent));
    }
    return output_finish(code);
}

int cli_publish(int argc, char **argv)
{
    struct publish_options options;
    int code;
    if (!publish_options_parse(&options, argc, argv, &code)) {
        return code;
    }
    struct publishing publishing = {.options = &options};
    interrupt_init(&publishing.interrupt);
    delivery_init(&publishing.delivery, options.topic, now_ms());
    code = open_input(&publishing);
    if (code == EXIT_OK) {
        code = open_bus(&publishing);
    }
    if (code == EXIT_OK) {
        publishing.delivery.start_ms = publishing.shown_ms = now_ms();
        if (options.is_tombstone) {
            publish_tombstone(&publishing);
        } else if (publishing.fd >= 0) {
            publish_input(&publishing);
        } else {
            publish_arguments(&publishing);
        }
        wait_for_all(&publishing);
        code = report(&publishing);
    }
    if (publishing.fd > STDIN_FILENO) {
        close(publishing.fd);
    }
    publisher_close(publishing.publisher);
    event_reader_deinit(&publishing.reader);
    arena_deinit(&publishing.arena);
    delivery_deinit(&publishing.delivery);
    interrupt_deinit(&publishing.interrupt);
    publish_options_deinit(&options);
    return code;
}
