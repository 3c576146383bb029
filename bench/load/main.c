#include "load.h"

#include "batch/compression.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "bench-load - load for a server of the Kafka protocol, and what the server paid for it\n"
    "\n"
    "  bench-load MODE --bootstrap ADDRESS:PORT [OPTIONS]\n"
    "\n"
    "MODE is one of\n"
    "  create, delete  the topic\n"
    "  produce         prepared batches, some requests in flight on each connection\n"
    "  fetch           reads a partition again and again and throws the bytes away\n"
    "  latency         from the time an event was due to the time a consumer has it\n"
    "  connections     opens idle connections and sees how the server grows\n"
    "\n"
    "  --topic NAME         default: bench\n"
    "  --partitions N       of the topic, default 1\n"
    "  --connections N      default 1; each has a thread (produce, fetch) and its own partitions\n"
    "  --batch-bytes N      of a record batch at most, default 1048576\n"
    "  --event-bytes N      of an event's value, default 1024\n"
    "  --batch-events N     of a batch, instead of --batch-bytes\n"
    "  --compression NAME   of the batches: gzip, snappy, lz4, zstd; values are then like text\n"
    "  --request-batches N  partitions that one produce request covers, default 1\n"
    "  --acks all|1         default all\n"
    "  --in-flight N        produce requests without an answer, default 4\n"
    "  --mib N              a run ends after so many MiB, default 1024\n"
    "  --seconds N          or after so long, default 20\n"
    "  --fetch-bytes N      of one fetch at most, default 1048576\n"
    "  --rate N             latency: measured events a second, default 1000\n"
    "  --load-rate N        latency: events a second to partition 1 beside them, default 0\n"
    "  --canary N           latency: leaves out what waited while this processor was away; for\n"
    "                       real-time priorities\n"
    "  --server-pid N       adds the server's CPU time and memory\n"
    "\n"
    "Prints one JSON object.\n";

static const char *const mode_names[] = {
    [LOAD_PRODUCE] = "produce",         [LOAD_FETCH] = "fetch",   [LOAD_LATENCY] = "latency",
    [LOAD_CONNECTIONS] = "connections", [LOAD_CREATE] = "create", [LOAD_DELETE] = "delete",
};

static const struct option known[] = {
    {"bootstrap", required_argument, NULL, 'b'},
    {"topic", required_argument, NULL, 't'},
    {"partitions", required_argument, NULL, 'p'},
    {"connections", required_argument, NULL, 'c'},
    {"batch-bytes", required_argument, NULL, 'B'},
    {"event-bytes", required_argument, NULL, 'e'},
    {"batch-events", required_argument, NULL, 'E'},
    {"compression", required_argument, NULL, 'C'},
    {"request-batches", required_argument, NULL, 'r'},
    {"acks", required_argument, NULL, 'a'},
    {"in-flight", required_argument, NULL, 'i'},
    {"mib", required_argument, NULL, 'm'},
    {"seconds", required_argument, NULL, 's'},
    {"fetch-bytes", required_argument, NULL, 'f'},
    {"rate", required_argument, NULL, 'R'},
    {"load-rate", required_argument, NULL, 'L'},
    {"canary", required_argument, NULL, 'y'},
    {"server-pid", required_argument, NULL, 'P'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static _Noreturn void fail_usage(const char *what, const char *value)
{
    fprintf(stderr, "bench-load: %s %s; see --help\n", what, value);
    exit(2);
}

static long number(const char *text, long min, long max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "bench-load: %s: expected a number in %ld..%ld\n", text, min, max);
        exit(2);
    }
    return value;
}

static enum load_mode parse_mode(const char *text)
{
    for (size_t i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++) {
        if (strcmp(mode_names[i], text) == 0) {
            return (enum load_mode)i;
        }
    }
    fail_usage("unknown mode", text);
}

static void parse_address(const char *text, struct sockaddr_in *address)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : sizeof host;
    if (size < sizeof host) {
        memcpy(host, text, size);
        host[size] = '\0';
        address->sin_family = AF_INET;
        address->sin_port = htons((uint16_t)number(colon + 1, 1, 65535));
        if (inet_pton(AF_INET, host, &address->sin_addr) == 1) {
            return;
        }
    }
    fail_usage("--bootstrap wants a numeric address and a port, not", text);
}

static void set_option(struct load_options *options, int letter, const char *value)
{
    switch (letter) {
    case 'b':
        parse_address(value, &options->address);
        break;
    case 't':
        options->topic = value;
        break;
    case 'p':
        options->partitions = (int)number(value, 1, 100000);
        break;
    case 'c':
        options->connections = (int)number(value, 1, LOAD_CONNECTIONS_MAX);
        break;
    case 'B':
        options->batch_bytes = (size_t)number(value, 100, 1 << 28);
        break;
    case 'e':
        options->event_bytes = (size_t)number(value, 8, 1 << 27);
        break;
    case 'E':
        options->batch_events = (int)number(value, 1, 1 << 20);
        break;
    case 'C':
        if (!compression_parse(value, &options->compression)) {
            fail_usage("unknown compression", value);
        }
        break;
    case 'r':
        options->request_batches = (int)number(value, 1, 100000);
        break;
    case 'a':
        options->acks = strcmp(value, "all") == 0 ? -1 : (int)number(value, 1, 1);
        break;
    case 'i':
        options->in_flight = (int)number(value, 1, 1 << 20);
        break;
    case 'm':
        options->bytes = (uint64_t)number(value, 1, 1 << 22) << 20;
        break;
    case 's':
        options->run_max_ms = number(value, 1, 86400) * 1000;
        break;
    case 'f':
        options->fetch_bytes = (int)number(value, 1, 1 << 30);
        break;
    case 'R':
        options->rate = (int)number(value, 1, 1000000);
        break;
    case 'L':
        options->load_rate = (int)number(value, 0, 1000000);
        break;
    case 'y':
        options->canary_cpu = (int)number(value, 0, CPU_SETSIZE - 1);
        break;
    case 'P':
        options->server_pid = (pid_t)number(value, 1, 1 << 30);
        break;
    default:
        fputs(help, letter == 'h' ? stdout : stderr);
        exit(letter == 'h' ? 0 : 2);
    }
}

static void parse(int count, char **arguments, struct load_options *options)
{
    int letter;
    while ((letter = getopt_long(count, arguments, "", known, NULL)) != -1) {
        set_option(options, letter, optarg);
    }
    if (optind != count - 1) {
        fputs(help, stderr);
        exit(2);
    }
    options->mode = parse_mode(arguments[optind]);
    if (options->address.sin_port == 0) {
        fail_usage("say where the server is with", "--bootstrap");
    }
    if (options->mode == LOAD_LATENCY && options->load_rate > 0 && options->partitions < 2) {
        fail_usage("--load-rate needs", "--partitions 2");
    }
}

static enum err topic_only(const struct load_options *options, struct reason *reason)
{
    struct load_server server;
    enum err err = load_server_open(&options->address, &server, reason);
    if (err != ERR_NONE) {
        return err;
    }
    return options->mode == LOAD_CREATE
               ? load_topic_create(&server, options->topic, options->partitions, reason)
               : load_topic_delete(&server, options->topic, reason);
}

static enum err run(const struct load_options *options, json_t *result, struct reason *reason)
{
    switch (options->mode) {
    case LOAD_PRODUCE:
        return load_produce(options, result, reason);
    case LOAD_FETCH:
        return load_fetch(options, result, reason);
    case LOAD_LATENCY:
        return load_latency(options, result, reason);
    case LOAD_CONNECTIONS:
        return load_connections(options, result, reason);
    default:
        return topic_only(options, reason);
    }
}

int main(int count, char **arguments)
{
    struct load_options options = {
        .topic = "bench",
        .partitions = 1,
        .connections = 1,
        .batch_bytes = 1 << 20,
        .event_bytes = 1024,
        .request_batches = 1,
        .acks = -1,
        .in_flight = 4,
        .bytes = 1u << 30,
        .run_max_ms = 20000,
        .fetch_bytes = 1 << 20,
        .rate = 1000,
        .canary_cpu = -1,
    };
    struct reason reason = {{0}};
    parse(count, arguments, &options);
    signal(SIGPIPE, SIG_IGN);
    json_t *result = json_pack("{s:s}", "mode", mode_names[options.mode]);
    enum err err = run(&options, result, &reason);
    if (err != ERR_NONE) {
        fprintf(stderr, "bench-load: %s: %s\n", mode_names[options.mode], reason.text);
    } else {
        json_dumpf(result, stdout, JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    json_decref(result);
    return err == ERR_NONE ? 0 : 1;
}
