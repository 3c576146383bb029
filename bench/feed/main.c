#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/random.h"
#include "batch/batch.h"
#include "batch/compression.h"
#include "bus/index/event_index.h"
#include "bus/index/event_terms.h"
#include "stream/log_feed.h"
#include "topic/topic.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * bench-feed [--dir DIR] [--json] [--mb N] [--compression gzip|snappy|lz4|zstd]: what it costs to
 * follow a bus.
 *
 * Writes N MB (1000) of CloudEvents into a log of four partitions, 100 to a batch, each with a
 * value of 200 bytes, seven headers and a key; then reads them by the feed, and again with an index
 * of them. Told is processor time of the one thread that does it. Everything is in the page cache.
 */
enum { PARTITIONS = 4, EVENTS_A_BATCH = 100, VALUE_BYTES = 200 };

struct bench {
    const char *dir;
    int64_t bytes;
    enum batch_compression compression;
    bool json;
    struct overrides no_defaults;
    struct flusher *flusher;
    struct catalogue *catalogue;
    struct topic *topic;
    int64_t written;
    int64_t events;
    struct random random;
};

static void stop_on(enum err err, const struct reason *reason)
{
    if (err != ERR_NONE) {
        fprintf(stderr, "bench-feed: %s\n", reason->text);
        exit(1);
    }
}

static double thread_cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_flushed(void *context, struct log *log)
{
    (void)context;
    log_call_user(log, partition_on_flushed);
}

static void open_bus(struct bench *bench)
{
    struct reason reason = {""};
    struct catalogue_recovery recovery;
    struct flush_handler flushed = {.on_flushed = on_flushed};
    stop_on(file_remove_tree(file_ops_system(), bench->dir, &reason), &reason);
    stop_on(file_make_dir(file_ops_system(), bench->dir, &reason), &reason);
    int dir_fd = open(bench->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    stop_on(flusher_new(file_ops_system(), dir_fd, NULL, &flushed, &bench->flusher, &reason),
            &reason);
    struct catalogue_config config = {
        .data_dir = bench->dir,
        .topic_defaults = &bench->no_defaults,
        .log_env = {.files = file_ops_system(), .clock = clock_system(), .flusher = bench->flusher},
        .open_threads = 1,
    };
    stop_on(catalogue_open(&config, &bench->catalogue, &recovery, &reason), &reason);
    struct topic_creation creation = {.name = slice_str("orders"), .partition_count = PARTITIONS};
    stop_on(catalogue_create(bench->catalogue, &creation, &bench->topic, &reason), &reason);
}

static const char *random_id(struct bench *bench, char text[40])
{
    snprintf(text, 40, "%016" PRIx64 "%016" PRIx64, random_next(&bench->random),
             random_next(&bench->random));
    return text;
}

static void add_event(struct bench *bench, struct batch_builder *builder)
{
    static const char value[VALUE_BYTES] = "{\"total\": 12.50, \"lines\": [";
    char id[40], correlation[40], cause[40], trace[40], traceparent[64], key[32];
    snprintf(traceparent, sizeof traceparent, "00-%s-00f067aa0ba902b7-01", random_id(bench, trace));
    snprintf(key, sizeof key, "customer-%d", (int)random_below(&bench->random, 100000));
    struct record_header headers[] = {
        {slice_str("ce_specversion"), slice_str("1.0")},
        {slice_str("ce_id"), slice_str(random_id(bench, id))},
        {slice_str("ce_source"), slice_str("/order-intake")},
        {slice_str("ce_type"), slice_str("OrderPlaced")},
        {slice_str("ce_correlationid"), slice_str(random_id(bench, correlation))},
        {slice_str("ce_causationid"), slice_str(random_id(bench, cause))},
        {slice_str("traceparent"), slice_str(traceparent)},
    };
    batch_builder_add(builder, clock_wall_ms(clock_system()), slice_str(key),
                      slice_of(value, sizeof value), headers, 7);
}

static void append_batch(struct bench *bench, int partition)
{
    struct batch_builder builder;
    struct reason reason = {""};
    struct buf bytes = {0};
    struct batch batch;
    batch_builder_init(&builder);
    builder.compression = bench->compression;
    for (int i = 0; i < EVENTS_A_BATCH; i++) {
        add_event(bench, &builder);
    }
    stop_on(batch_builder_finish(&builder, &bytes, &reason), &reason);
    stop_on(batch_parse(buf_slice(&bytes), &batch, &reason), &reason);
    struct log_append append = {.batches = &batch, .batch_count = 1};
    stop_on(partition_append(topic_partition(bench->topic, partition), &append, &reason), &reason);
    bench->written += (int64_t)bytes.size;
    bench->events += EVENTS_A_BATCH;
    batch_builder_deinit(&builder);
    buf_deinit(&bytes);
}

static void write_all(struct bench *bench)
{
    struct reason reason = {""};
    for (int i = 0; bench->written < bench->bytes; i++) {
        append_batch(bench, i % PARTITIONS);
    }
    for (int i = 0; i < PARTITIONS; i++) {
        struct partition *partition = topic_partition(bench->topic, i);
        stop_on(log_flush(partition->log, &reason), &reason);
        partition_on_flushed(partition);
    }
}

static int64_t from_start(void *context, const struct feed_source *source)
{
    (void)context, (void)source;
    return FEED_FROM_START;
}

/* Adds the piece to the index, if there is one. */
static void index_piece(struct event_index *index, const struct feed_piece *piece,
                        struct arena *arena)
{
    struct reason reason = {""};
    struct event_source source = {.topic = piece->source.topic,
                                  .partition = piece->source.partition};
    memcpy(source.topic_id, piece->source.topic_id, sizeof source.topic_id);
    for (size_t i = 0; index != NULL && i < piece->count; i++) {
        struct event_terms terms;
        event_terms_of(&piece->events[i].event, arena, &terms);
        stop_on(event_index_add(index, &source, piece->events[i].event.offset, terms.items,
                                terms.count, &reason),
                &reason);
        arena_reset(arena);
    }
}

/* Processor seconds to read everything, and to index it if there is an index. */
static double follow(struct bench *bench, struct event_index *index)
{
    struct reason reason = {""};
    struct feed_piece piece;
    struct arena arena = {0};
    int64_t events = 0;
    struct feed *feed = log_feed_new(bench->catalogue, from_start, NULL);
    double start = thread_cpu_s();
    do {
        stop_on(feed_next(feed, 0, &piece, &reason), &reason);
        events += (int64_t)piece.count;
        index_piece(index, &piece, &arena);
    } while (piece.kind != FEED_NOTHING);
    double took = thread_cpu_s() - start;
    feed_free(feed);
    arena_deinit(&arena);
    if (events != bench->events) {
        fprintf(stderr, "bench-feed: %" PRId64 " of %" PRId64 " events came\n", events,
                bench->events);
        exit(1);
    }
    return took;
}

static void parse(int argc, char **argv, struct bench *bench)
{
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        bool known = true;
        if (strcmp(argv[i], "--json") == 0) {
            bench->json = true;
        } else if (strcmp(argv[i], "--dir") == 0 && has_value) {
            bench->dir = argv[++i];
        } else if (strcmp(argv[i], "--mb") == 0 && has_value) {
            bench->bytes = strtoll(argv[++i], NULL, 10) * 1000000;
        } else if (strcmp(argv[i], "--compression") == 0 && has_value) {
            known = compression_parse(argv[++i], &bench->compression);
        } else {
            known = false;
        }
        if (!known || bench->bytes < 1) {
            fprintf(stderr, "bench-feed [--dir DIR] [--json] [--mb N] [--compression CODEC]\n");
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {.dir = "bench-feed.tmp", .bytes = 1000000000, .random = {1}};
    struct reason reason = {""};
    struct event_index *index;
    bool begun_anew;
    parse(argc, argv, &bench);
    logger_set_level(LOG_LEVEL_WARN);
    open_bus(&bench);
    write_all(&bench);
    (void)follow(&bench, NULL); /* so that all is in the page cache, and checked */
    double feed_s = follow(&bench, NULL);
    char *index_dir = mem_sprintf("%s/index", bench.dir);
    struct event_index_config config = {.files = file_ops_system(), .dir = index_dir};
    stop_on(event_index_open(&config, &index, &begun_anew, &reason), &reason);
    double index_s = follow(&bench, index);
    double gb = (double)bench.written / 1e9;
    double events = (double)bench.events;
    printf(bench.json ? "{\"events\": %.0f, \"gb\": %.3f, \"feed_cpu_s_a_gb\": %.3f, "
                        "\"feed_events_a_cpu_s\": %.0f, \"index_cpu_s_a_gb\": %.3f, "
                        "\"index_events_a_cpu_s\": %.0f}\n"
                      : "%.0f events, %.3f GB\nfed: %.3f CPU seconds a GB, %.0f events a second\n"
                        "fed and indexed: %.3f CPU seconds a GB, %.0f events a second\n",
           events, gb, feed_s / gb, events / feed_s, index_s / gb, events / index_s);
    event_index_close(index);
    free(index_dir);
    topic_unref(bench.topic);
    flusher_free(bench.flusher);
    stop_on(catalogue_close(bench.catalogue, &reason), &reason);
    stop_on(file_remove_tree(file_ops_system(), bench.dir, &reason), &reason);
    return 0;
}
