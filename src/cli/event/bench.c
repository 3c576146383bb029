#include "cli/base/cli.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "cli/base/interrupt.h"
#include "cli/base/output.h"
#include "cli/bus/bus.h"
#include "client/admin/admin.h"
#include "client/publisher/publisher.h"
#include "client/reader/reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

/*
 * Without --rate: publishes everything, then reads everything, each as fast as it goes. With --rate
 * both at once; each event carries the time at which it was due, so that a bus that holds the
 * publisher up is charged for every event that had to wait.
 */
struct bench_options {
    struct bus_options bus;
    int64_t events;
    int64_t size_bytes;
    int64_t rate;
    int64_t partitions;
    const char *acks;
    const char *compression;
};

struct bench {
    const struct bench_options *options;
    struct interrupt interrupt;
    char topic[64];
    struct connection *admin;
    struct publisher *publisher;
    struct reader *reader;
    uint8_t *value;
    int64_t acknowledged;
    int64_t failed;
    struct client_error failure; /* the first one */
    double publish_seconds;
    double consume_seconds;
    int64_t consume_start_ns; /* when the bus was first asked */
    atomic_bool stop;         /* the reader ends at the next look */
    int64_t *latency_ns;
    int64_t consumed;
    struct client_error consume_failure; /* status CLIENT_OK: none */
};

static const struct help_page page = {
    .name = "tidings bench",
    .usage = "[OPTIONS]",
    .about = "Publishes events to a topic of its own, reads them back and says how fast that was.\n"
             "Works against any bus that speaks the Kafka protocol; the topic is deleted at the\n"
             "end. With --rate it also measures how long an event takes from its publisher to a\n"
             "consumer. The client needs CPU too: on one machine it shares with the bus.",
    .examples = "  tidings bench\n"
                "  tidings bench --events 1000000 --size 200 --compression zstd\n"
                "  tidings bench --rate 5000 --events 50000       latency at 5,000 events/s\n"
                "  tidings bench --partitions 6 --acks 1 --json\n",
};

static const struct option_spec specs[] = {
    {'n', "events", "N", OPTION_INTEGER, offsetof(struct bench_options, events), 1, 1000000000,
     "how many (default: 200000)"},
    {'s', "size", "BYTES", OPTION_INTEGER, offsetof(struct bench_options, size_bytes), 8, 1000000,
     "of an event's value (default: 100)"},
    {'r', "rate", "N", OPTION_INTEGER, offsetof(struct bench_options, rate), 1, 1000000,
     "publish so many a second and measure latency\n(default: as many as go)"},
    {'p', "partitions", "N", OPTION_INTEGER, offsetof(struct bench_options, partitions), 1, 10000,
     "of the topic (default: 1)"},
    {'a', "acks", "all|1|0", OPTION_TEXT, offsetof(struct bench_options, acks), 0, 0,
     "when an event counts as published (default: all)"},
    {'z', "compression", "CODEC", OPTION_TEXT, offsetof(struct bench_options, compression), 0, 0,
     "none, gzip, snappy, lz4 or zstd (default: none)"},
};

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_now_ns() - start_ns) / 1e9;
}

static void on_done(void *context, const struct publication *publication)
{
    struct bench *bench = context;
    if (publication->status == CLIENT_OK) {
        bench->acknowledged++;
    } else if (bench->failed++ == 0) {
        bench->failure = *publication->error;
    }
}

/* The outcome of a request about the one topic. */
static int conclude(struct bench *bench, const char *verb, enum client_status status,
                    const struct client_error *error, struct admin_outcomes *outcomes)
{
    const struct client_error *why = status != CLIENT_OK ? error : &outcomes->items[0].error;
    int code = status == CLIENT_OK && why->status == CLIENT_OK
                   ? EXIT_OK
                   : bus_fail(why, "%s topic '%s'", verb, bench->topic);
    admin_outcomes_deinit(outcomes);
    return code;
}

static int create_topic(struct bench *bench)
{
    struct admin_new_topic topic = {.name = bench->topic,
                                    .partition_count = (int32_t)bench->options->partitions};
    struct admin_outcomes outcomes;
    struct client_error error;
    enum client_status status = admin_create_topics(bench->admin, &topic, 1, &outcomes, &error);
    return conclude(bench, "create", status, &error, &outcomes);
}

static int delete_topic(struct bench *bench)
{
    const char *name = bench->topic;
    struct admin_outcomes outcomes;
    struct client_error error;
    enum client_status status = admin_delete_topics(bench->admin, &name, 1, &outcomes, &error);
    return conclude(bench, "delete", status, &error, &outcomes);
}

static int open_publisher(struct bench *bench)
{
    enum { LINGER_MS = 5 };
    const struct bench_options *options = bench->options;
    struct client_error error;
    struct publisher_settings settings = {
        .connection = bus_settings(&options->bus),
        .acks = options->acks,
        .compression = options->compression,
        .linger_ms = options->rate > 0 ? -1 : LINGER_MS,
        .done = on_done,
        .done_context = bench,
    };
    return publisher_open(&settings, &bench->publisher, &error) == CLIENT_OK
               ? EXIT_OK
               : bus_fail_open(&error);
}

/* Reads each partition from its start, without a group. */
static int open_reader(struct bench *bench)
{
    enum { LATENCY_WAIT_MS = 100 };
    struct topic_partitions partitions = {0};
    struct client_error error;
    for (int32_t i = 0; i < bench->options->partitions; i++) {
        topic_partitions_add(&partitions, bench->topic, i, 0);
    }
    struct reader_settings settings = {
        .connection = bus_settings(&bench->options->bus),
        .partitions = &partitions,
        .fetch_wait_ms = bench->options->rate > 0 ? LATENCY_WAIT_MS : 0,
    };
    bench->consume_start_ns = clock_now_ns();
    enum client_status status = reader_open(&settings, &bench->reader, &error);
    topic_partitions_deinit(&partitions);
    return status == CLIENT_OK ? EXIT_OK : bus_fail_open(&error);
}

/* Waits until the event is due, serving acknowledgements meanwhile. */
static void wait_until(struct bench *bench, int64_t due_ns)
{
    publisher_serve(bench->publisher, 0);
    int64_t left_ns = due_ns - clock_now_ns();
    if (left_ns > 0) {
        struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
        nanosleep(&left, NULL);
    }
}

/* Hands one event over, waiting for room; false when it was refused for good. */
static bool publish_one(struct bench *bench)
{
    enum { ROOM_WAIT_MS = 100 };
    struct client_error error;
    struct event event = event_blank();
    event.topic = bench->topic;
    event.value = slice_of(bench->value, (size_t)bench->options->size_bytes);
    enum client_status status;
    while ((status = publisher_publish(bench->publisher, &event, NULL, &error)) == CLIENT_FULL &&
           !interrupt_is_raised(&bench->interrupt)) {
        publisher_serve(bench->publisher, ROOM_WAIT_MS);
    }
    if (status != CLIENT_OK) {
        bench->failed++;
        bench->failure = error;
    }
    return status == CLIENT_OK;
}

/* Publishes all events and waits for their acknowledgements. */
static void publish(struct bench *bench)
{
    enum { SERVE_EVERY = 1000, STEP_MS = 100 };
    const struct bench_options *options = bench->options;
    int64_t start_ns = clock_now_ns();
    for (int64_t i = 0; i < options->events && bench->failed == 0; i++) {
        int64_t due_ns = clock_now_ns();
        if (options->rate > 0) {
            due_ns = start_ns + i * 1000000000 / options->rate;
            wait_until(bench, due_ns);
        } else if (i % SERVE_EVERY == 0) {
            publisher_serve(bench->publisher, 0);
        }
        if (i % SERVE_EVERY == 0 && interrupt_is_raised(&bench->interrupt)) {
            break;
        }
        memcpy(bench->value, &due_ns, sizeof due_ns);
        if (!publish_one(bench)) {
            break;
        }
    }
    while (publisher_flush(bench->publisher, STEP_MS) == CLIENT_TIMED_OUT) {
    }
    bench->publish_seconds = seconds_since(start_ns);
}

static void take(struct bench *bench, const struct event *event, int64_t now_ns)
{
    int64_t due_ns;
    if (bench->latency_ns != NULL && bench->consumed < bench->options->events) {
        memcpy(&due_ns, event->value.data, sizeof due_ns);
        bench->latency_ns[bench->consumed] = now_ns - due_ns;
    }
    bench->consumed++;
}

/* Reads until all events are there, the reader is stopped, or nothing came for the time-out. */
static void *consume(void *context)
{
    enum { WAIT_MS = 100 };
    struct bench *bench = context;
    int64_t last_ns = clock_now_ns();
    int64_t timeout_ns = bench->options->bus.timeout_ms * 1000000;
    while (bench->consumed < bench->options->events && !atomic_load(&bench->stop)) {
        struct received *received;
        if (reader_take(bench->reader, WAIT_MS, &received, &bench->consume_failure) != CLIENT_OK) {
            break;
        }
        int64_t now_ns = clock_now_ns();
        if (received != NULL) {
            take(bench, &received->event, now_ns);
            received_free(received);
            last_ns = now_ns;
        } else if (now_ns - last_ns > timeout_ns ||
                   (bench->options->rate == 0 && interrupt_is_raised(&bench->interrupt))) {
            break; /* with a rate, the publisher's thread looks for interrupts */
        }
    }
    bench->consume_seconds = (double)(last_ns - bench->consume_start_ns) / 1e9;
    return NULL;
}

static int check(struct bench *bench)
{
    if (bench->interrupt.is_raised) {
        return cli_fail(EXIT_FAILED, NULL, "interrupted");
    }
    if (bench->failed > 0) {
        return bus_fail(&bench->failure, "publish all events (%lld failed)",
                        (long long)bench->failed);
    }
    if (bench->consume_failure.status != CLIENT_OK) {
        return bus_fail(&bench->consume_failure, "read topic '%s'", bench->topic);
    }
    if (bench->consumed < bench->options->events) {
        return cli_fail(EXIT_TIMED_OUT, "wait longer with --timeout",
                        "read %lld of %lld event%s, then none came", (long long)bench->consumed,
                        (long long)bench->options->events,
                        plural_s((uint64_t)bench->options->events));
    }
    return EXIT_OK;
}

static int load(struct bench *bench)
{
    if (bench->options->rate == 0) {
        publish(bench);
        int code = bench->failed > 0 ? EXIT_OK : open_reader(bench);
        if (code == EXIT_OK && bench->failed == 0) {
            consume(bench);
        }
        return code == EXIT_OK ? check(bench) : code;
    }
    pthread_t reader;
    int code = open_reader(bench);
    if (code != EXIT_OK) {
        return code;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    if (pthread_create(&reader, NULL, consume, bench) != 0) {
        return cli_fail(EXIT_FAILED, NULL, "cannot start a thread");
    }
    publish(bench);
    atomic_store(&bench->stop, bench->failed > 0 || bench->interrupt.is_raised);
    pthread_join(reader, NULL);
    return check(bench);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Of sorted latencies, in milliseconds; part 1 is the most. */
static double latency_ms(const struct bench *bench, double part)
{
    int64_t index = (int64_t)((double)bench->consumed * part);
    return (double)bench->latency_ns[index < bench->consumed ? index : bench->consumed - 1] / 1e6;
}

static json_t *flow_json(const struct bench *bench, double seconds)
{
    double events = (double)bench->options->events;
    double bytes = events * (double)bench->options->size_bytes;
    return json_pack("{s:f,s:f,s:f}", "seconds", seconds, "events_per_second", events / seconds,
                     "bytes_per_second", bytes / seconds);
}

static void print_json(const struct bench *bench)
{
    const struct bench_options *options = bench->options;
    json_t *result = json_pack(
        "{s:I,s:I,s:I,s:I,s:s,s:s,s:o,s:o}", "events", (json_int_t)options->events, "size_bytes",
        (json_int_t)options->size_bytes, "partitions", (json_int_t)options->partitions, "rate",
        (json_int_t)options->rate, "acks", options->acks, "compression", options->compression,
        "published", flow_json(bench, bench->publish_seconds), "consumed",
        flow_json(bench, bench->consume_seconds));
    if (bench->latency_ns != NULL) {
        json_object_set_new(result, "latency_ms",
                            json_pack("{s:f,s:f,s:f,s:f}", "p50", latency_ms(bench, 0.5), "p99",
                                      latency_ms(bench, 0.99), "p999", latency_ms(bench, 0.999),
                                      "max", latency_ms(bench, 1)));
    }
    output_json(result);
}

static void print_flow(const struct bench *bench, const char *what, double seconds)
{
    char rate[32];
    double events = (double)bench->options->events;
    output_text(stdout, "%s in %.2f s: %.0f events/s, %s/s\n", what, seconds, events / seconds,
                output_size(events * (double)bench->options->size_bytes / seconds, rate));
}

static void print_text(const struct bench *bench)
{
    const struct bench_options *options = bench->options;
    output_text(stdout, "%lld event%s of %lld bytes, %lld partition%s, acks %s, compression %s\n",
                (long long)options->events, plural_s((uint64_t)options->events),
                (long long)options->size_bytes, (long long)options->partitions,
                plural_s((uint64_t)options->partitions), options->acks, options->compression);
    print_flow(bench, "published", bench->publish_seconds);
    print_flow(bench, "consumed ", bench->consume_seconds);
    if (bench->latency_ns != NULL) {
        output_text(stdout,
                    "publish to consume: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, max %.2f ms\n",
                    latency_ms(bench, 0.5), latency_ms(bench, 0.99), latency_ms(bench, 0.999),
                    latency_ms(bench, 1));
    }
}

/* Letters of which a codec saves about half, as it does of most real events. */
static void make_value(struct bench *bench)
{
    struct random random = {.state = 1};
    bench->value = mem_alloc((size_t)bench->options->size_bytes);
    for (int64_t i = 0; i < bench->options->size_bytes; i++) {
        bench->value[i] = (uint8_t)('a' + random_below(&random, 16));
    }
}

static int run(const struct bench_options *options)
{
    uint8_t id[4];
    struct bench bench = {.options = options};
    interrupt_init(&bench.interrupt);
    random_secure(id, sizeof id);
    snprintf(bench.topic, sizeof bench.topic, "tidings-bench-%02x%02x%02x%02x", id[0], id[1], id[2],
             id[3]);
    make_value(&bench);
    if (options->rate > 0) {
        bench.latency_ns = mem_new_array(int64_t, (size_t)options->events);
    }
    int code = bus_open(&options->bus, &bench.admin);
    if (code == EXIT_OK) {
        code = create_topic(&bench);
    }
    if (code == EXIT_OK) {
        code = open_publisher(&bench);
        code = code == EXIT_OK ? load(&bench) : code;
        (void)reader_close(bench.reader, NULL);
        publisher_close(bench.publisher);
        int deleted = delete_topic(&bench);
        code = code == EXIT_OK ? deleted : code;
    }
    if (code == EXIT_OK) {
        if (bench.latency_ns != NULL) {
            qsort(bench.latency_ns, (size_t)bench.consumed, sizeof *bench.latency_ns, compare);
        }
        options->bus.is_json ? print_json(&bench) : print_text(&bench);
        code = output_finish(code);
    }
    connection_close(bench.admin);
    free(bench.latency_ns);
    free(bench.value);
    interrupt_deinit(&bench.interrupt);
    return code;
}

static int check_options(const struct bench_options *options)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    if (strcmp(options->acks, "all") != 0 && strcmp(options->acks, "1") != 0 &&
        strcmp(options->acks, "0") != 0) {
        return options_fail(&page, "--acks is all, 1 or 0, not '%s'", options->acks);
    }
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (strcmp(options->compression, codecs[i]) == 0) {
            return EXIT_OK;
        }
    }
    return options_fail(&page, "--compression is none, gzip, snappy, lz4 or zstd, not '%s'",
                        options->compression);
}

int cli_bench(int argc, char **argv)
{
    struct bench_options options = {.bus = bus_options_default(),
                                    .events = 200000,
                                    .size_bytes = 100,
                                    .partitions = 1,
                                    .acks = "all",
                                    .compression = "none"};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &arguments, &code)) {
        if (arguments.count > 0) {
            code = options_fail(&page, "unexpected argument '%s'", arguments.items[0]);
        } else {
            code = check_options(&options);
        }
        code = code == EXIT_OK ? run(&options) : code;
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
