#include "cli/cli.h"

#include "base/clock.h"
#include "cli/delivery.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/publish_options.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct publishing {
    const struct publish_options *options;
    struct client *client;
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

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    const struct client *client = opaque;
    struct publishing *publishing = client->context;
    uint64_t event = (uint64_t)(uintptr_t)message->_private;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        delivery_acknowledge(&publishing->delivery, message->partition, message->offset,
                             message->len + message->key_len);
        return;
    }
    const char *why = rd_kafka_err2str(message->err);
    char text[512];
    if (client_is_connection_error(message->err) && client->last_error[0] != '\0') {
        snprintf(text, sizeof text, "%s (%s)", why, client->last_error);
        why = text;
    }
    delivery_fail(&publishing->delivery, event, message->err, why);
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
    fprintf(stderr, is_terminal ? "\r\033[K%s%s" : "%s%s", text,
            !is_terminal || is_last ? "\n" : "");
    publishing->shown_ms = now;
    publishing->has_shown = true;
}

/* Serves acknowledgements and progress; waits up to wait_ms for the former. */
static void serve(struct publishing *publishing, int wait_ms)
{
    rd_kafka_poll(publishing->client->rk, wait_ms);
    show_progress(publishing, false);
}

static rd_kafka_headers_t *make_headers(const struct event *event)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(event->header_count);
    for (size_t i = 0; i < event->header_count; i++) {
        const struct event_header *header = &event->headers[i];
        rd_kafka_header_add(headers, header->name, -1, header->value.data,
                            slice_is_null(header->value) ? -1 : (ssize_t)header->value.size);
    }
    return headers;
}

/* What librdkafka would take for something else, noted as a failure. */
static bool is_refused(struct publishing *publishing, const struct event *event)
{
    struct delivery *delivery = &publishing->delivery;
    if (event->partition >= publishing->partition_count) {
        char why[128];
        snprintf(why, sizeof why, "topic %s has no partition %d, only 0 to %d", delivery->topic,
                 (int)event->partition, (int)publishing->partition_count - 1);
        delivery_fail(delivery, delivery->sent, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, why);
        return true;
    }
    if (event->timestamp_ms == 0) {
        /* librdkafka takes 0 for "now"; better to refuse than to alter. */
        delivery_fail(delivery, delivery->sent, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
                      "timestamp 0 (1970-01-01T00:00:00Z) cannot be sent");
        return true;
    }
    return false;
}

/* Hands one event over, waiting for room in the queue. A refusal is noted as its failure. */
static void publish_event(struct publishing *publishing, struct event *event)
{
    enum { ROOM_WAIT_MS = 100 };
    struct delivery *delivery = &publishing->delivery;
    publish_options_complete(publishing->options, event, now_ms(), &publishing->arena);
    delivery->sent++;
    if (is_refused(publishing, event)) {
        return;
    }
    rd_kafka_headers_t *headers = make_headers(event);
    rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = delivery->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = event->partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)event->value.data, event->value.size}},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)event->key.data, event->key.size}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP,
         .u.i64 = event->timestamp_ms > 0 ? event->timestamp_ms : 0},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)delivery->sent},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_error_t *error;
    while ((error = rd_kafka_produceva(publishing->client->rk, parts,
                                       sizeof parts / sizeof parts[0])) != NULL) {
        rd_kafka_resp_err_t err = rd_kafka_error_code(error);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL && !interrupt_is_raised(&publishing->interrupt)) {
            rd_kafka_error_destroy(error);
            serve(publishing, ROOM_WAIT_MS);
            continue;
        }
        rd_kafka_headers_destroy(headers);
        delivery_fail(delivery, delivery->sent, err, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        return;
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
        fprintf(stderr, "Type events, one a line; end with Ctrl-D.\n");
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
    while (rd_kafka_outq_len(publishing->client->rk) > 0) {
        rd_kafka_flush(publishing->client->rk, STEP_MS);
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

static int open_bus(struct publishing *publishing)
{
    const struct publish_options *options = publishing->options;
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%lld", (long long)options->client.timeout_ms);
    rd_kafka_conf_t *conf = client_conf_new(&options->client);
    client_conf_set(conf, "acks", "all");
    client_conf_set(conf, "enable.idempotence", "true");
    client_conf_set(conf, "partitioner", "murmur2_random");
    client_conf_set(conf, "message.timeout.ms", timeout);
    client_conf_set(conf, "message.max.bytes", "100000000"); /* the bus has its own limit */
    client_conf_set(conf, "compression.codec",
                    options->compression != NULL ? options->compression : "none");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    int code =
        client_open(&options->client, RD_KAFKA_PRODUCER, conf, publishing, &publishing->client);
    const struct rd_kafka_metadata *metadata;
    if (code == EXIT_OK) {
        code = client_metadata(publishing->client, options->topic, true, &metadata);
    }
    if (code != EXIT_OK) {
        return code;
    }
    publishing->partition_count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    if (options->partition >= publishing->partition_count) {
        return cli_fail(EXIT_NOT_FOUND, "leave --partition out to let the key choose",
                        "topic '%s' has no partition %d, only 0 to %d", options->topic,
                        (int)options->partition, (int)publishing->partition_count - 1);
    }
    return EXIT_OK;
}

static int report(struct publishing *publishing)
{
    struct delivery *delivery = &publishing->delivery;
    int code = delivery_exit_code(delivery);
    if (publishing->options->client.is_json) {
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
                        (unsigned long long)delivery->sent, output_plural(delivery->sent));
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
    client_close(publishing.client);
    event_reader_deinit(&publishing.reader);
    arena_deinit(&publishing.arena);
    delivery_deinit(&publishing.delivery);
    interrupt_deinit(&publishing.interrupt);
    publish_options_deinit(&options);
    return code;
}
