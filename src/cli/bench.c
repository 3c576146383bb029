#include "cli/cli.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "cli/client.h"
#include "cli/interrupt.h"
#include "cli/output.h"

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
    struct client_options client;
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
    struct client *admin;
    struct client *producer;
    struct client *consumer;
    rd_kafka_topic_t *from;
    rd_kafka_queue_t *queue; /* of the consumer, all partitions */
    uint8_t *value;
    int64_t acknowledged;
    int64_t failed;
    rd_kafka_resp_err_t failure; /* the first one */
    double publish_seconds;
    double consume_seconds;
    int64_t consume_start_ns; /* when the bus was first asked */
    atomic_bool stop;         /* the reader ends at the next look */
    int64_t *latency_ns;
    int64_t consumed;
    rd_kafka_resp_err_t consume_failure;
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

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    const struct client *client = opaque;
    struct bench *bench = client->context;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        bench->acknowledged++;
        return;
    }
    if (bench->failed++ == 0) {
        bench->failure = message->err;
    }
}

static int create_topic(struct bench *bench)
{
    char text[256];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(bench->topic, (int)bench->options->partitions, -1, text, sizeof text);
    rd_kafka_AdminOptions_t *admin =
        client_admin_options(bench->admin, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(bench->admin->rk);
    rd_kafka_event_t *event;
    rd_kafka_CreateTopics(bench->admin->rk, &topic, 1, admin, queue);
    int code = client_admin_wait(bench->admin, queue, &event, "create topic '%s'", bench->topic);
    if (code == EXIT_OK) {
        size_t count;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[0]);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            code = bus_fail(bench->admin, err, rd_kafka_topic_result_error_string(results[0]),
                            "create topic '%s'", bench->topic);
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_NewTopic_destroy(topic);
    return code;
}

static int delete_topic(struct bench *bench)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(bench->topic);
    rd_kafka_AdminOptions_t *admin =
        client_admin_options(bench->admin, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(bench->admin->rk);
    rd_kafka_event_t *event;
    rd_kafka_DeleteTopics(bench->admin->rk, &topic, 1, admin, queue);
    int code = client_admin_wait(bench->admin, queue, &event, "delete topic '%s'", bench->topic);
    if (code == EXIT_OK) {
        size_t count;
        const rd_kafka_topic_result_t **results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[0]);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            code = bus_fail(bench->admin, err, rd_kafka_topic_result_error_string(results[0]),
                            "delete topic '%s'", bench->topic);
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_DeleteTopic_destroy(topic);
    return code;
}

static int open_producer(struct bench *bench)
{
    const struct bench_options *options = bench->options;
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%lld", (long long)options->client.timeout_ms);
    rd_kafka_conf_t *conf = client_conf_new(&options->client);
    client_conf_set(conf, "acks", options->acks);
    client_conf_set(conf, "compression.codec", options->compression);
    client_conf_set(conf, "message.timeout.ms", timeout);
    if (options->rate > 0) {
        client_conf_set(conf, "linger.ms", "0");
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return client_open(&options->client, RD_KAFKA_PRODUCER, conf, bench, &bench->producer);
}

/* Reads each partition from its start, without a group. */
static int open_consumer(struct bench *bench)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_conf_t *conf = client_conf_new(&bench->options->client);
    if (bench->options->rate > 0) {
        client_conf_set(conf, "fetch.wait.max.ms", "100");
    }
    int code =
        client_open(&bench->options->client, RD_KAFKA_CONSUMER, conf, bench, &bench->consumer);
    if (code == EXIT_OK) {
        code = client_metadata(bench->consumer, bench->topic, true, &metadata);
    }
    if (code != EXIT_OK) {
        return code;
    }
    rd_kafka_metadata_destroy(metadata);
    bench->from = rd_kafka_topic_new(bench->consumer->rk, bench->topic, NULL);
    bench->queue = rd_kafka_queue_new(bench->consumer->rk);
    bench->consume_start_ns = clock_now_ns();
    for (int32_t i = 0; i < bench->options->partitions; i++) {
        if (rd_kafka_consume_start_queue(bench->from, i, 0, bench->queue) != 0) {
            return bus_fail(bench->consumer, rd_kafka_last_error(), NULL, "read topic '%s'",
                            bench->topic);
        }
    }
    return EXIT_OK;
}

static void close_consumer(struct bench *bench)
{
    if (bench->queue != NULL) {
        for (int32_t i = 0; i < bench->options->partitions; i++) {
            rd_kafka_consume_stop(bench->from, i);
        }
        rd_kafka_queue_destroy(bench->queue);
        rd_kafka_topic_destroy(bench->from);
    }
    client_close(bench->consumer);
}

/* Waits until the event is due, serving acknowledgements meanwhile. */
static void wait_until(struct bench *bench, int64_t due_ns)
{
    rd_kafka_poll(bench->producer->rk, 0);
    int64_t left_ns = due_ns - clock_now_ns();
    if (left_ns > 0) {
        struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
        nanosleep(&left, NULL);
    }
}

/* Hands one event over, waiting for room; false when it was refused for good. */
static bool publish_one(struct bench *bench, rd_kafka_topic_t *to)
{
    enum { ROOM_WAIT_MS = 100 };
    while (rd_kafka_produce(to, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, bench->value,
                            (size_t)bench->options->size_bytes, NULL, 0, NULL) != 0) {
        rd_kafka_resp_err_t err = rd_kafka_last_error();
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL || interrupt_is_raised(&bench->interrupt)) {
            bench->failed++;
            bench->failure = err;
            return false;
        }
        rd_kafka_poll(bench->producer->rk, ROOM_WAIT_MS);
    }
    return true;
}

/* Publishes all events and waits for their acknowledgements. */
static void publish(struct bench *bench)
{
    enum { SERVE_EVERY = 1000, STEP_MS = 100 };
    const struct bench_options *options = bench->options;
    rd_kafka_topic_t *to = rd_kafka_topic_new(bench->producer->rk, bench->topic, NULL);
    int64_t start_ns = clock_now_ns();
    for (int64_t i = 0; i < options->events && bench->failed == 0; i++) {
        int64_t due_ns = clock_now_ns();
        if (options->rate > 0) {
            due_ns = start_ns + i * 1000000000 / options->rate;
            wait_until(bench, due_ns);
        } else if (i % SERVE_EVERY == 0) {
            rd_kafka_poll(bench->producer->rk, 0);
        }
        if (i % SERVE_EVERY == 0 && interrupt_is_raised(&bench->interrupt)) {
            break;
        }
        memcpy(bench->value, &due_ns, sizeof due_ns);
        if (!publish_one(bench, to)) {
            break;
        }
    }
    while (rd_kafka_outq_len(bench->producer->rk) > 0) {
        rd_kafka_flush(bench->producer->rk, STEP_MS);
    }
    bench->publish_seconds = seconds_since(start_ns);
    rd_kafka_topic_destroy(to);
}

static void take(struct bench *bench, const rd_kafka_message_t *message, int64_t now_ns)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            bench->consume_failure = message->err;
        }
        return;
    }
    int64_t due_ns;
    if (bench->latency_ns != NULL && bench->consumed < bench->options->events) {
        memcpy(&due_ns, message->payload, sizeof due_ns);
        bench->latency_ns[bench->consumed] = now_ns - due_ns;
    }
    bench->consumed++;
}

/* Reads until all events are there, the reader is stopped, or nothing came for the time-out. */
static void *consume(void *context)
{
    enum { TAKE_MAX = 1000, WAIT_MS = 100 };
    struct bench *bench = context;
    rd_kafka_message_t *messages[TAKE_MAX];
    int64_t last_ns = clock_now_ns();
    int64_t timeout_ns = bench->options->client.timeout_ms * 1000000;
    while (bench->consumed < bench->options->events && !atomic_load(&bench->stop) &&
           bench->consume_failure == RD_KAFKA_RESP_ERR_NO_ERROR) {
        /* A large batch waits until it is full: ask for one where latency counts. */
        ssize_t count = rd_kafka_consume_batch_queue(bench->queue, WAIT_MS, messages,
                                                     bench->options->rate > 0 ? 1 : TAKE_MAX);
        int64_t now_ns = clock_now_ns();
        for (ssize_t i = 0; i < count; i++) {
            take(bench, messages[i], now_ns);
            rd_kafka_message_destroy(messages[i]);
        }
        if (count > 0) {
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
        return bus_fail(bench->producer, bench->failure, NULL, "publish all events (%lld failed)",
                        (long long)bench->failed);
    }
    if (bench->consume_failure != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return bus_fail(bench->consumer, bench->consume_failure, NULL, "read topic '%s'",
                        bench->topic);
    }
    if (bench->consumed < bench->options->events) {
        return cli_fail(EXIT_TIMED_OUT, "wait longer with --timeout",
                        "read %lld of %lld events, then none came", (long long)bench->consumed,
                        (long long)bench->options->events);
    }
    return EXIT_OK;
}

static int load(struct bench *bench)
{
    if (bench->options->rate == 0) {
        publish(bench);
        int code = bench->failed > 0 ? EXIT_OK : open_consumer(bench);
        if (code == EXIT_OK && bench->failed == 0) {
            consume(bench);
        }
        return code == EXIT_OK ? check(bench) : code;
    }
    pthread_t reader;
    int code = open_consumer(bench);
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
    printf("%s in %.2f s: %.0f events/s, %s/s\n", what, seconds, events / seconds,
           output_size(events * (double)bench->options->size_bytes / seconds, rate));
}

static void print_text(const struct bench *bench)
{
    const struct bench_options *options = bench->options;
    printf("%lld event%s of %lld bytes, %lld partition%s, acks %s, compression %s\n",
           (long long)options->events, output_plural((uint64_t)options->events),
           (long long)options->size_bytes, (long long)options->partitions,
           output_plural((uint64_t)options->partitions), options->acks, options->compression);
    print_flow(bench, "published", bench->publish_seconds);
    print_flow(bench, "consumed ", bench->consume_seconds);
    if (bench->latency_ns != NULL) {
        printf("publish to consume: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, max %.2f ms\n",
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
    int code = client_open_admin(&options->client, &bench.admin);
    if (code == EXIT_OK) {
        code = create_topic(&bench);
    }
    if (code == EXIT_OK) {
        code = open_producer(&bench);
        code = code == EXIT_OK ? load(&bench) : code;
        close_consumer(&bench);
        client_close(bench.producer);
        int deleted = delete_topic(&bench);
        code = code == EXIT_OK ? deleted : code;
    }
    if (code == EXIT_OK) {
        if (bench.latency_ns != NULL) {
            qsort(bench.latency_ns, (size_t)bench.consumed, sizeof *bench.latency_ns, compare);
        }
        options->client.is_json ? print_json(&bench) : print_text(&bench);
        code = output_finish(code);
    }
    client_close(bench.admin);
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
    struct bench_options options = {.client = client_options_default(),
                                    .events = 200000,
                                    .size_bytes = 100,
                                    .partitions = 1,
                                    .acks = "all",
                                    .compression = "none"};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                client_option_set(&options.client)};
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
