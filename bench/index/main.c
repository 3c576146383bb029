#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "bus/index/event_index.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * bench-index [--dir DIR] [--json] [--events N] [--questions N] [--keep] [--ask]: the index of
 * events.
 *
 * Adds N events (10 million) with five values each, of which all but the key are new ones, as they
 * come from 16 partitions by turns of a hundred; then asks for random ids, each with nothing of the
 * files in the page cache. Told are events a second of processor time (one thread), bytes a value
 * on disk, and how long a question took. DIR needs 25 bytes a value while the largest merge runs.
 * --keep leaves it there, and --ask asks one that was left.
 */
enum { PARTITIONS = 16, TURN = 100, KEYS = 100000 };

struct options {
    const char *dir;
    int64_t events;
    int64_t questions;
    bool json, keeps, asks_only;
};

struct result {
    double cpu_s, wall_s;
    struct event_index_size size;
    int64_t *question_us;
    int64_t memory_kib;
};

static void stop_on(enum err err, const struct reason *reason)
{
    if (err != ERR_NONE) {
        fprintf(stderr, "bench-index: %s\n", reason->text);
        exit(1);
    }
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Values as they are in practice: a UUID, a trace id; the same ones for the same event. */
struct values {
    char text[EVENT_TERMS_MAX][40];
    struct event_term terms[EVENT_TERMS_MAX];
};

static void make_values(int64_t event, struct values *values)
{
    static const enum event_term_kind kinds[EVENT_TERMS_MAX] = {
        EVENT_TERM_ID, EVENT_TERM_CORRELATION, EVENT_TERM_CAUSATION, EVENT_TERM_TRACE,
        EVENT_TERM_KEY};
    for (int i = 0; i < EVENT_TERMS_MAX; i++) {
        struct random random = {(uint64_t)event * 8 + (uint64_t)i};
        char *text = values->text[i];
        uint64_t high = random_next(&random);
        uint64_t low = random_next(&random);
        if (kinds[i] == EVENT_TERM_KEY) {
            snprintf(text, sizeof values->text[i], "customer-%" PRIu64, high % KEYS);
        } else {
            memcpy(text, &high, 8); /* printing would be most of what is measured */
            memcpy(text + 8, &low, 8);
            memcpy(text + 16, &high, 8);
            memcpy(text + 24, &low, 8);
            text[36] = '\0';
        }
        size_t size = kinds[i] == EVENT_TERM_KEY ? strlen(text) : 36;
        values->terms[i] = (struct event_term){kinds[i], slice_of(text, size)};
    }
}

static void place_of(int64_t event, struct event_source *source, int64_t *offset)
{
    int64_t turn = event / TURN;
    *source = (struct event_source){.topic = "orders", .partition = (int32_t)(turn % PARTITIONS)};
    *offset = turn / PARTITIONS * TURN + event % TURN;
}

static void add_all(struct event_index *index, const struct options *options)
{
    struct reason reason = {""};
    struct values values = {0};
    for (int64_t event = 0; event < options->events; event++) {
        struct event_source source;
        int64_t offset;
        place_of(event, &source, &offset);
        make_values(event, &values);
        stop_on(event_index_add(index, &source, offset, values.terms, EVENT_TERMS_MAX, &reason),
                &reason);
    }
    stop_on(event_index_flush(index, &reason), &reason);
}

/* The making of the values alone, which is no part of the index. */
static double values_cpu_s(const struct options *options)
{
    struct values values = {0};
    static volatile char sink; /* so that they are made */
    double before = cpu_seconds();
    for (int64_t event = 0; event < options->events / 10; event++) {
        make_values(event, &values);
        sink = (char)(sink ^ values.text[0][3]);
    }
    return (cpu_seconds() - before) * 10;
}

static enum err forget_file(void *context, const char *name)
{
    char *path = mem_sprintf("%s/%s", (const char *)context, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    free(path);
    return ERR_NONE;
}

static int compare_us(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void ask(struct event_index *index, const struct options *options, struct result *result)
{
    struct random random = {7};
    struct reason reason = {""};
    struct values values = {0};
    char *dir = mem_strdup(options->dir);
    for (int64_t i = 0; i < options->questions; i++) {
        struct event_places places;
        struct event_source source;
        int64_t offset;
        int64_t event = (int64_t)random_below(&random, (uint64_t)options->events);
        make_values(event, &values);
        place_of(event, &source, &offset);
        stop_on(file_list_dir(dir, forget_file, dir, &reason), &reason);
        int64_t start = clock_now_ns();
        stop_on(event_index_find(index, &values.terms[0], 100, &places, &reason), &reason);
        result->question_us[i] = (clock_now_ns() - start) / 1000;
        if (places.items.count != 1 || places.items.items[0].offset != offset ||
            places.items.items[0].partition != source.partition) {
            fprintf(stderr, "bench-index: event %" PRId64 " was not found\n", event);
            exit(1);
        }
        event_places_deinit(&places);
    }
    free(dir);
    qsort(result->question_us, (size_t)options->questions, sizeof *result->question_us, compare_us);
}

static void print(const struct options *options, const struct result *result)
{
    double bytes = (double)result->size.disk_bytes / (double)result->size.entries;
    double rate = (double)options->events / result->cpu_s;
    int64_t p50 = result->question_us[options->questions / 2];
    int64_t p99 = result->question_us[options->questions * 99 / 100];
    printf(options->json
               ? "{\"events\": %" PRId64 ", \"events_per_cpu_s\": %.0f, \"wall_s\": %.1f, "
                 "\"bytes_per_value\": %.2f, \"runs\": %zu, \"memory_kib\": %" PRId64
                 ", \"cold_p50_us\": %" PRId64 ", \"cold_p99_us\": %" PRId64 "}\n"
               : "%" PRId64 " events: %.0f events a second of processor time (%.1f s in "
                 "all), %.2f bytes a value, %zu runs, at most %" PRId64 " KiB of memory\n"
                 "a question with nothing in the page cache: p50 %" PRId64 " us, p99 %" PRId64
                 " us\n",
           options->events, rate, result->wall_s, bytes, result->size.runs, result->memory_kib, p50,
           p99);
}

static void parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--json") == 0) {
            options->json = true;
        } else if (strcmp(argv[i], "--keep") == 0) {
            options->keeps = true;
        } else if (strcmp(argv[i], "--ask") == 0) {
            options->asks_only = options->keeps = true;
        } else if (strcmp(argv[i], "--dir") == 0 && has_value) {
            options->dir = argv[++i];
        } else if (strcmp(argv[i], "--events") == 0 && has_value) {
            options->events = strtoll(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--questions") == 0 && has_value) {
            options->questions = strtoll(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "bench-index [--dir DIR] [--json] [--events N] [--questions N] "
                            "[--keep] [--ask]\n");
            exit(2);
        }
    }
    if (options->events < 1 || options->questions < 1) {
        fprintf(stderr, "bench-index: --events and --questions are at least 1\n");
        exit(2);
    }
}

static void measure_adding(struct event_index *index, const struct options *options,
                           struct result *result)
{
    double values_s = values_cpu_s(options);
    int64_t start = clock_now_ns();
    double before = cpu_seconds();
    add_all(index, options);
    result->cpu_s = cpu_seconds() - before - values_s;
    result->wall_s = (double)(clock_now_ns() - start) / 1e9;
}

int main(int argc, char **argv)
{
    struct options options = {.dir = "bench-index.tmp", .events = 10000000, .questions = 300};
    struct reason reason = {""};
    struct event_index *index;
    struct result result = {.cpu_s = 1e9};
    bool begun_anew;
    struct rusage usage;
    parse(argc, argv, &options);
    if (!options.asks_only) {
        stop_on(file_remove_tree(file_ops_system(), options.dir, &reason), &reason);
    }
    struct event_index_config config = {.files = file_ops_system(), .dir = options.dir};
    stop_on(event_index_open(&config, &index, &begun_anew, &reason), &reason);
    if (!options.asks_only) {
        measure_adding(index, &options, &result);
    }
    getrusage(RUSAGE_SELF, &usage);
    result.memory_kib = usage.ru_maxrss;
    result.size = event_index_size(index);
    result.question_us = mem_new_array(int64_t, (size_t)options.questions);
    ask(index, &options, &result);
    print(&options, &result);
    event_index_close(index);
    free(result.question_us);
    if (!options.keeps) {
        stop_on(file_remove_tree(file_ops_system(), options.dir, &reason), &reason);
    }
    return 0;
}
