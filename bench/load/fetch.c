#include "load.h"

#include "base/clock.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "fetcher.h"

#include <pthread.h>
#include <stdlib.h>

/* One connection's part of a fetch run, on a thread of its own. */
struct reader {
    const struct load_options *options;
    pthread_t thread;
    pthread_barrier_t *start;
    struct load_conn conn;
    struct fetcher fetcher;
    uint64_t bytes; /* to read */
    uint64_t got_bytes;
    uint64_t got_events;
    enum err err;
    struct reason reason;
};

/*
 * How many events the records hold, told from their first batch alone: all batches of such a topic
 * are alike. A torn batch at the end is asked for again.
 */
static enum err count_events(struct reader *reader, const struct fetch_head *head, uint64_t *events,
                             struct reason *reason)
{
    const uint8_t *bytes;
    struct batch first = {0};
    *events = 0;
    if (head->records_bytes < BATCH_HEADER_BYTES) {
        return ERR_NONE;
    }
    enum err err = load_conn_peek(&reader->conn, BATCH_HEADER_BYTES, &bytes, reason);
    if (err != ERR_NONE) {
        return err;
    }
    uint64_t batch_bytes = BATCH_LENGTH_OVERHEAD + (uint64_t)load_be32(bytes + 8);
    first.base_offset = (int64_t)load_be64(bytes);
    first.record_count = (int32_t)load_be32(bytes + 57);
    if (first.base_offset != reader->fetcher.offset) {
        return reason_fail(reason, ERR_CORRUPT, "asked for offset %lld, got a batch of offset %lld",
                           (long long)reader->fetcher.offset, (long long)first.base_offset);
    }
    *events = head->records_bytes / batch_bytes * (uint64_t)first.record_count;
    return ERR_NONE;
}

/* Asks for the next records as soon as the head tells where they begin, then drops the body. */
static enum err read_one(struct reader *reader, int64_t deadline_ns)
{
    struct fetch_head head;
    uint64_t events;
    struct reason *reason = &reader->reason;
    enum err err = fetcher_head(&reader->fetcher, &reader->conn, &head, reason);
    if (err == ERR_NONE) {
        err = count_events(reader, &head, &events, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    reader->got_events += events;
    reader->got_bytes += head.records_bytes;
    reader->fetcher.offset += (int64_t)events;
    if (reader->fetcher.offset >= head.high_watermark) {
        reader->fetcher.offset = 0; /* the end: once more from the start */
    }
    if (clock_now_ns() > deadline_ns) {
        reader->bytes = 0;
    }
    if (reader->got_bytes < reader->bytes) {
        err = fetcher_ask(&reader->fetcher, &reader->conn, reason);
    }
    return err == ERR_NONE
               ? load_conn_discard(&reader->conn, head.records_bytes + head.tail_bytes, reason)
               : err;
}

static void *reader_run(void *context)
{
    struct reader *reader = context;
    pthread_barrier_wait(reader->start);
    int64_t deadline_ns = clock_now_ns() + reader->options->run_max_ms * 1000000;
    enum err err = fetcher_ask(&reader->fetcher, &reader->conn, &reader->reason);
    while (err == ERR_NONE && reader->got_bytes < reader->bytes) {
        err = read_one(reader, deadline_ns);
    }
    reader->err = err;
    return NULL;
}

static enum err run_readers(struct reader *readers, const struct load_options *options,
                            struct load_meter *before, struct load_meter *after,
                            pthread_barrier_t *start, struct reason *reason)
{
    for (int i = 0; i < options->connections; i++) {
        if (pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]) != 0) {
            return reason_fail(reason, ERR_LIMIT, "cannot start thread %d", i);
        }
    }
    enum err err = load_meter_read(options->server_pid, before, reason);
    pthread_barrier_wait(start);
    for (int i = 0; i < options->connections; i++) {
        pthread_join(readers[i].thread, NULL);
        if (err == ERR_NONE && readers[i].err != ERR_NONE) {
            err = readers[i].err;
            *reason = readers[i].reason;
        }
    }
    return err == ERR_NONE ? load_meter_read(options->server_pid, after, reason) : err;
}

static enum err reader_init(struct reader *reader, const struct load_options *options,
                            const struct load_server *server, pthread_barrier_t *start, int index,
                            struct reason *reason)
{
    enum { HEAD_BYTES = 512 }; /* what is copied of a response; the rest is dropped in the kernel */
    *reader = (struct reader){
        .options = options,
        .start = start,
        .bytes = options->bytes / (uint64_t)options->connections,
    };
    enum err err = load_conn_open(&server->address, &reader->conn, reason);
    if (err == ERR_NONE) {
        reader->conn.receive_bytes = HEAD_BYTES;
        err = fetcher_init(&reader->fetcher, server, options, index % options->partitions, reason);
    }
    return err;
}

enum err load_fetch(const struct load_options *options, json_t *result, struct reason *reason)
{
    struct load_server server;
    struct load_meter before;
    struct load_meter after;
    pthread_barrier_t start;
    uint64_t bytes = 0;
    uint64_t events = 0;
    struct reader *readers = mem_new_array(struct reader, (size_t)options->connections);
    int made = 0;
    enum err err = load_server_open(&options->address, &server, reason);
    pthread_barrier_init(&start, NULL, (unsigned)options->connections + 1);
    while (made < options->connections && err == ERR_NONE) {
        err = reader_init(&readers[made], options, &server, &start, made, reason);
        made++;
    }
    if (err == ERR_NONE) {
        err = run_readers(readers, options, &before, &after, &start, reason);
    }
    for (int i = 0; i < made; i++) {
        bytes += readers[i].got_bytes;
        events += readers[i].got_events;
        load_conn_close(&readers[i].conn);
        fetcher_deinit(&readers[i].fetcher);
    }
    if (err == ERR_NONE) {
        load_meter_json(result, &before, &after, options->server_pid, bytes, events);
    }
    pthread_barrier_destroy(&start);
    free(readers);
    return err;
}
