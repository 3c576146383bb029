#include "limit.h"

#include "base/mem.h"

#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* bench-limit: see limit.h for what is measured and how. */

enum {
    LARGE_BYTES = 1 << 20,
    SMALL_BYTES = 16 << 10,
    /* Events of 100 bytes, with some 10 bytes of record around each, in a batch of 16 KiB. */
    SMALL_EVENTS = 148,
    MIB_MAX = 32768,
    FLUSH_EACH_BYTES = 4 << 20,
};

static const char help[] =
    "bench-limit - what one thread of this machine can do with no protocol at all\n"
    "\n"
    "  bench-limit [--dir DIR] [--mib N] [--repeat N] [--cold] [--json]\n"
    "\n"
    "  --dir DIR   where its files go (they are removed); measure the disk that the\n"
    "              broker will use. Default: the current directory\n"
    "  --mib N     bytes of one run in MiB, 16..32768. Default: 1024\n"
    "  --repeat N  every figure is the median of N runs, 1..100. Default: 5\n"
    "  --cold      count the first run too: for a caller that repeats\n"
    "  --json      print JSON\n"
    "\n"
    "ingest: receive over loopback, CRC-32C, write to a file. egress: sendfile from the\n"
    "page cache over loopback. flush: append 1 KiB and fdatasync. A run ends after 4 s.\n"
    "CPU is that of the measured side only, in seconds per GB (10^9 bytes), with the\n"
    "least and the most of the runs behind it. A first run warms up and is not counted.\n";

/* Of one kind of load: medians of its runs, and between what its CPU cost lay. */
struct summary {
    double bytes_per_second;
    double cpu_per_gb; /* seconds per 10^9 bytes */
    double cpu_per_gb_min;
    double cpu_per_gb_max;
};

enum load_kind {
    INGEST_LARGE,
    EGRESS_LARGE,
    INGEST_SMALL,
    EGRESS_SMALL,
    INGEST_FLUSHED,
    EGRESS_FLUSHED,
    LOAD_COUNT
};

static const struct {
    const char *text;
    const char *json;
    size_t message_bytes;
} kinds[LOAD_COUNT] = {
    [INGEST_LARGE] = {"ingest, 1 MiB messages", "ingest_1m", LARGE_BYTES},
    [EGRESS_LARGE] = {"egress, 1 MiB messages", "egress_1m", LARGE_BYTES},
    [INGEST_SMALL] = {"ingest, 16 KiB messages", "ingest_16k", SMALL_BYTES},
    [EGRESS_SMALL] = {"egress, 16 KiB messages", "egress_16k", SMALL_BYTES},
    [INGEST_FLUSHED] = {"ingest, flush each 4 MiB", "ingest_1m_flushed", LARGE_BYTES},
    [EGRESS_FLUSHED] = {"egress of that", "egress_1m_flushed", LARGE_BYTES},
};

/* All that is measured. */
struct results {
    struct limit_flush flush;
    struct summary loads[LOAD_COUNT];
};

static struct summary summarise(const struct limit_load *loads, int count)
{
    double rates[LIMIT_REPETITIONS_MAX];
    double costs[LIMIT_REPETITIONS_MAX];
    for (int i = 0; i < count; i++) {
        rates[i] = loads[i].bytes / loads[i].seconds;
        costs[i] = loads[i].cpu_seconds / loads[i].bytes * 1e9;
    }
    double median = limit_median(costs, count); /* sorts */
    return (struct summary){
        .bytes_per_second = limit_median(rates, count),
        .cpu_per_gb = median,
        .cpu_per_gb_min = costs[0],
        .cpu_per_gb_max = costs[count - 1],
    };
}

static enum err measure_pair(const struct limit_options *options, size_t message_bytes,
                             size_t flush_bytes, struct limit_load *ingest,
                             struct limit_load *egress, struct reason *reason)
{
    struct limit_files files;
    enum err err = limit_ingest(options, message_bytes, flush_bytes, &files, ingest, reason);
    if (err == ERR_NONE) {
        err = limit_egress(options, message_bytes, &files, egress, reason);
    }
    limit_files_deinit(&files);
    return err;
}

/*
 * The first run is not counted: in a virtual machine the first touch of memory by the page cache
 * was seen to cost ten times a later one (3.0 against 0.3 CPU seconds per GB), and what is measured
 * first would look slow. For the same reason the sizes take turns. Whoever is compared with these
 * figures must be warmed up too.
 */
static enum err measure_loads(const struct limit_options *options, struct summary *summaries,
                              struct reason *reason)
{
    struct limit_load loads[LOAD_COUNT][LIMIT_REPETITIONS_MAX];
    struct limit_load ignored;
    enum err err = ERR_NONE;
    if (options->warms_up) {
        err = measure_pair(options, LARGE_BYTES, 0, &ignored, &ignored, reason);
    }
    for (int i = 0; i < options->repetitions && err == ERR_NONE; i++) {
        err = measure_pair(options, LARGE_BYTES, 0, &loads[INGEST_LARGE][i],
                           &loads[EGRESS_LARGE][i], reason);
        if (err == ERR_NONE) {
            err = measure_pair(options, SMALL_BYTES, 0, &loads[INGEST_SMALL][i],
                               &loads[EGRESS_SMALL][i], reason);
        }
        if (err == ERR_NONE) {
            err = measure_pair(options, LARGE_BYTES, FLUSH_EACH_BYTES, &loads[INGEST_FLUSHED][i],
                               &loads[EGRESS_FLUSHED][i], reason);
        }
    }
    for (int kind = 0; kind < LOAD_COUNT && err == ERR_NONE; kind++) {
        summaries[kind] = summarise(loads[kind], options->repetitions);
    }
    return err;
}

static enum err measure_flush(const struct limit_options *options, struct limit_flush *flush,
                              struct reason *reason)
{
    double p50[LIMIT_REPETITIONS_MAX];
    double p99[LIMIT_REPETITIONS_MAX];
    double max[LIMIT_REPETITIONS_MAX];
    double counted = 0;
    for (int i = 0; i < options->repetitions; i++) {
        enum err err = limit_flush(options, flush, reason);
        if (err != ERR_NONE) {
            return err;
        }
        p50[i] = flush->p50_us;
        p99[i] = flush->p99_us;
        max[i] = flush->max_us;
        counted += flush->count;
    }
    *flush = (struct limit_flush){
        .p50_us = limit_median(p50, options->repetitions),
        .p99_us = limit_median(p99, options->repetitions),
        .max_us = limit_median(max, options->repetitions),
        .count = counted,
    };
    return ERR_NONE;
}

/* Flushes first: what the loads leave to be written back would slow them. */
static enum err measure(const struct limit_options *options, struct results *results,
                        struct reason *reason)
{
    enum err err = measure_flush(options, &results->flush, reason);
    return err != ERR_NONE ? err : measure_loads(options, results->loads, reason);
}

static double events_per_second(const struct summary *load)
{
    return load->bytes_per_second / SMALL_BYTES * SMALL_EVENTS;
}

static double cpu_per_million_events(const struct summary *load)
{
    return load->cpu_per_gb / 1e9 * SMALL_BYTES / SMALL_EVENTS * 1e6;
}

/* Something else ran, or memory was touched first: the median then says little. */
static bool unsteady(const struct summary *load)
{
    return load->cpu_per_gb_max > 1.5 * load->cpu_per_gb_min;
}

static json_t *load_json(const struct summary *load, size_t message_bytes)
{
    json_t *object =
        json_pack("{s:I,s:f,s:f,s:f,s:f,s:b}", "message_bytes", (json_int_t)message_bytes,
                  "bytes_per_second", load->bytes_per_second, "cpu_seconds_per_gb",
                  load->cpu_per_gb, "cpu_seconds_per_gb_min", load->cpu_per_gb_min,
                  "cpu_seconds_per_gb_max", load->cpu_per_gb_max, "unsteady", unsteady(load));
    if (message_bytes == SMALL_BYTES) {
        json_object_set_new(object, "events_per_second", json_real(events_per_second(load)));
        json_object_set_new(object, "cpu_seconds_per_million_events",
                            json_real(cpu_per_million_events(load)));
    }
    return object;
}

static void print_json(const struct limit_options *options, const struct results *results)
{
    const struct limit_flush *flush = &results->flush;
    json_t *root =
        json_pack("{s:s,s:s,s:I,s:I,s:i,s:{s:f,s:f,s:f,s:I}}", "bench", "limit", "directory",
                  options->directory, "cpus", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
                  "bytes_per_run", (json_int_t)options->bytes, "repetitions", options->repetitions,
                  "flush", "p50_us", flush->p50_us, "p99_us", flush->p99_us, "max_us",
                  flush->max_us, "count", (json_int_t)flush->count);
    for (int kind = 0; kind < LOAD_COUNT; kind++) {
        json_object_set_new(root, kinds[kind].json,
                            load_json(&results->loads[kind], kinds[kind].message_bytes));
    }
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(root);
}

static void print_text(const struct limit_options *options, const struct results *results)
{
    printf("limit of this machine: %ld CPUs, files in %s, %llu MiB a run, median of %d\n",
           sysconf(_SC_NPROCESSORS_ONLN), options->directory,
           (unsigned long long)(options->bytes >> 20), options->repetitions);
    for (int kind = 0; kind < LOAD_COUNT; kind++) {
        const struct summary *load = &results->loads[kind];
        printf("%-25s %6.0f MB/s  %.3f CPU s/GB (%.3f..%.3f)", kinds[kind].text,
               load->bytes_per_second / 1e6, load->cpu_per_gb, load->cpu_per_gb_min,
               load->cpu_per_gb_max);
        if (kinds[kind].message_bytes == SMALL_BYTES) {
            printf("  %.1f M events/s  %.4f CPU s/M events", events_per_second(load) / 1e6,
                   cpu_per_million_events(load));
        }
        puts(unsteady(load) ? "  UNSTEADY: measure again on a quiet machine" : "");
    }
    printf("%-25s p50 %.0f us, p99 %.0f us, max %.0f us (%.0f flushes)\n",
           "append 1 KiB + fdatasync", results->flush.p50_us, results->flush.p99_us,
           results->flush.max_us, results->flush.count);
}

/* A whole number within bounds; ends the process with a usage error otherwise. */
static long parse_number(const char *option, const char *text, long min, long max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "bench-limit: %s %s: expected a number in %ld..%ld\n", option, text, min,
                max);
        exit(2);
    }
    return value;
}

static bool parse_options(int count, char **arguments, struct limit_options *options)
{
    static const struct option known[] = {
        {"dir", required_argument, NULL, 'd'},
        {"mib", required_argument, NULL, 'm'},
        {"repeat", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {"cold", no_argument, NULL, 'c'},
        {0},
    };
    bool json = false;
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
        case 'd':
            options->directory = optarg;
            break;
        case 'm':
            options->bytes = (uint64_t)parse_number("--mib", optarg, 16, MIB_MAX) << 20;
            break;
        case 'r':
            options->repetitions = (int)parse_number("--repeat", optarg, 1, LIMIT_REPETITIONS_MAX);
            break;
        case 'j':
            json = true;
            break;
        case 'c':
            options->warms_up = false;
            break;
        default:
            fputs(help, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
    if (optind != count) {
        fprintf(stderr, "bench-limit: unexpected argument %s; see --help\n", arguments[optind]);
        exit(2);
    }
    return json;
}

static enum err check_room(const struct limit_options *options, struct reason *reason)
{
    struct statvfs room;
    if (statvfs(options->directory, &room) != 0) {
        return reason_errno(reason, "cannot use %s", options->directory);
    }
    uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
    if (free_bytes < options->bytes + options->bytes / 8) {
        return reason_fail(reason, ERR_NO_SPACE,
                           "%s has %llu MiB free, a run needs %llu MiB; use --dir or --mib",
                           options->directory, (unsigned long long)(free_bytes >> 20),
                           (unsigned long long)(options->bytes >> 20));
    }
    return ERR_NONE;
}

int main(int count, char **arguments)
{
    struct limit_options options = {.directory = ".",
                                    .bytes = 1u << 30,
                                    .run_max_ms = 4000,
                                    .repetitions = 5,
                                    .warms_up = true};
    struct results results = {0};
    struct reason reason = {{0}};
    bool json = parse_options(count, arguments, &options);
    signal(SIGPIPE, SIG_IGN);
    enum err err = check_room(&options, &reason);
    if (err == ERR_NONE) {
        err = measure(&options, &results, &reason);
    }
    if (err != ERR_NONE) {
        fprintf(stderr, "bench-limit: %s\n", reason.text);
        return 1;
    }
    if (json) {
        print_json(&options, &results);
    } else {
        print_text(&options, &results);
    }
    return 0;
}
