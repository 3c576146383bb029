#include "load.h"

#include "base/clock.h"
#include "base/mem.h"

#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * bench-transactions: transactional producers of librdkafka, as services have them. Each thread has
 * a producer with a transactional id of its own and runs one transaction after the other: begin,
 * some events to each partition, commit. What is timed is begin to commit, as the service sees it.
 */

static const char help[] =
    "bench-transactions - transactions by librdkafka, and what the server paid for them\n"
    "\n"
    "  bench-transactions --bootstrap ADDRESS:PORT --topic NAME [OPTIONS]\n"
    "\n"
    "  --topic NAME         exists, with as many partitions or more\n"
    "  --partitions N       that each transaction writes to, default 2\n"
    "  --producers N        default 1; each is a thread with a transactional id\n"
    "  --events N           of one transaction, default 10\n"
    "  --event-bytes N      of an event's value, default 100\n"
    "  --seconds N          of the run, default 6\n"
    "  --server-pid N       adds the server's CPU time and memory\n"
    "\n"
    "Prints one JSON object.\n";

enum { TIMEOUT_MS = 30000, WARM_UP = 3 };

struct options {
    const char *bootstrap;
    const char *topic;
    int partitions;
    int producers;
    int events;
    int event_bytes;
    int seconds;
    pid_t server_pid;
};

struct producer {
    const struct options *options;
    int number;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    struct load_times times; /* of its transactions */
    struct reason reason;    /* empty: it ended well */
    pthread_t thread;
};

/* All begin at once, when each has its producer id and a connection to all it needs. */
struct start {
    pthread_barrier_t ready;
    atomic_bool stop;
};

static struct start start;

static const struct option known[] = {
    {"bootstrap", required_argument, NULL, 'b'},
    {"topic", required_argument, NULL, 't'},
    {"partitions", required_argument, NULL, 'p'},
    {"producers", required_argument, NULL, 'n'},
    {"events", required_argument, NULL, 'e'},
    {"event-bytes", required_argument, NULL, 'B'},
    {"seconds", required_argument, NULL, 's'},
    {"server-pid", required_argument, NULL, 'P'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench-transactions: %s: %s\n", what, why);
    exit(1);
}

static int number(const char *text, int least)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least || value > 1000000000) {
        fprintf(stderr, "bench-transactions: %s: expected a number from %d on\n", text, least);
        exit(2);
    }
    return (int)value;
}

static void parse(int argc, char **argv, struct options *options)
{
    int option;
    *options = (struct options){
        .partitions = 2, .producers = 1, .events = 10, .event_bytes = 100, .seconds = 6};
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'b':
            options->bootstrap = optarg;
            break;
        case 't':
            options->topic = optarg;
            break;
        case 'p':
            options->partitions = number(optarg, 1);
            break;
        case 'n':
            options->producers = number(optarg, 1);
            break;
        case 'e':
            options->events = number(optarg, 1);
            break;
        case 'B':
            options->event_bytes = number(optarg, 0);
            break;
        case 's':
            options->seconds = number(optarg, 1);
            break;
        case 'P':
            options->server_pid = number(optarg, 1);
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (options->bootstrap == NULL || options->topic == NULL || optind < argc) {
        fputs(help, stderr);
        exit(2);
    }
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) {
        fail(name, why);
    }
}

static enum err check(struct producer *producer, const char *what, rd_kafka_error_t *error)
{
    if (error == NULL) {
        return ERR_NONE;
    }
    enum err err =
        reason_fail(&producer->reason, ERR_IO, "%s: %s", what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return err;
}

static enum err open_producer(struct producer *producer)
{
    char why[256];
    char id[64];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(id, sizeof id, "bench-transactions-%d", producer->number);
    set(conf, "bootstrap.servers", producer->options->bootstrap);
    set(conf, "transactional.id", id);
    set(conf, "linger.ms", "0");
    producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (producer->rk == NULL) {
        fail("librdkafka", why);
    }
    producer->topic = rd_kafka_topic_new(producer->rk, producer->options->topic, NULL);
    return check(producer, "init", rd_kafka_init_transactions(producer->rk, TIMEOUT_MS));
}

static enum err send_events(struct producer *producer)
{
    const struct options *options = producer->options;
    uint8_t *value = mem_zalloc((size_t)options->event_bytes + 1);
    enum err err = ERR_NONE;
    for (int i = 0; i < options->events && err == ERR_NONE; i++) {
        if (rd_kafka_produce(producer->topic, i % options->partitions, RD_KAFKA_MSG_F_COPY, value,
                             (size_t)options->event_bytes, NULL, 0, NULL) != 0) {
            err = reason_fail(&producer->reason, ERR_IO, "publish: %s",
                              rd_kafka_err2str(rd_kafka_last_error()));
        }
    }
    free(value);
    return err;
}

static enum err run_one(struct producer *producer, bool counts)
{
    int64_t begin_ns = clock_now_ns();
    enum err err = check(producer, "begin", rd_kafka_begin_transaction(producer->rk));
    if (err == ERR_NONE) {
        err = send_events(producer);
    }
    if (err == ERR_NONE) {
        err = check(producer, "commit", rd_kafka_commit_transaction(producer->rk, TIMEOUT_MS));
    }
    if (err == ERR_NONE && counts) {
        load_times_add(&producer->times, clock_now_ns() - begin_ns);
    }
    return err;
}

static void *run(void *argument)
{
    struct producer *producer = argument;
    enum err err = open_producer(producer);
    for (int i = 0; i < WARM_UP && err == ERR_NONE; i++) {
        err = run_one(producer, false);
    }
    pthread_barrier_wait(&start.ready); /* who starts the clock */
    pthread_barrier_wait(&start.ready); /* it was started */
    while (err == ERR_NONE && !atomic_load(&start.stop)) {
        err = run_one(producer, true);
    }
    return NULL;
}

static void report(const struct options *options, struct producer *producers,
                   const struct load_meter *before, const struct load_meter *after)
{
    struct load_times all = {0};
    for (int i = 0; i < options->producers; i++) {
        load_times_append(&all, &producers[i].times);
    }
    double seconds = (double)(after->now_ns - before->now_ns) / 1e9;
    double cpu = after->cpu_seconds - before->cpu_seconds;
    json_t *result = json_pack("{s:i,s:i,s:i}", "producers", options->producers, "events_each",
                               options->events, "partitions_each", options->partitions);
    json_object_set_new(result, "transactions", json_integer((json_int_t)all.count));
    json_object_set_new(result, "transactions_per_second", json_real((double)all.count / seconds));
    load_meter_json(result, before, after, options->server_pid, 0,
                    (uint64_t)all.count * (uint64_t)options->events);
    if (options->server_pid > 0 && all.count > 0) {
        json_object_set_new(json_object_get(result, "server"), "cpu_seconds_per_1000_transactions",
                            json_real(cpu / (double)all.count * 1e3));
    }
    json_object_set_new(result, "transaction_us", load_times_json(&all));
    json_dumpf(result, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(result);
    load_times_deinit(&all);
}

static void read_meter(const struct options *options, struct load_meter *meter)
{
    struct reason reason;
    if (load_meter_read(options->server_pid, meter, &reason) != ERR_NONE) {
        fail("meter", reason.text);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct load_meter before;
    struct load_meter after;
    parse(argc, argv, &options);
    struct producer *producers = mem_new_array(struct producer, (size_t)options.producers);
    pthread_barrier_init(&start.ready, NULL, (unsigned)options.producers + 1);
    for (int i = 0; i < options.producers; i++) {
        producers[i].options = &options;
        producers[i].number = i;
        if (pthread_create(&producers[i].thread, NULL, run, &producers[i]) != 0) {
            fail("threads", "the system gives no more");
        }
    }
    pthread_barrier_wait(&start.ready);
    read_meter(&options, &before);
    pthread_barrier_wait(&start.ready);
    struct timespec length = {.tv_sec = options.seconds};
    nanosleep(&length, NULL);
    atomic_store(&start.stop, true);
    for (int i = 0; i < options.producers; i++) {
        pthread_join(producers[i].thread, NULL);
    }
    read_meter(&options, &after);
    report(&options, producers, &before, &after);
    for (int i = 0; i < options.producers; i++) {
        if (producers[i].reason.text[0] != '\0') {
            fail("a producer", producers[i].reason.text);
        }
        load_times_deinit(&producers[i].times);
        rd_kafka_topic_destroy(producers[i].topic);
        rd_kafka_destroy(producers[i].rk);
    }
    free(producers);
    return 0;
}
