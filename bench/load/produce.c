#include "load.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

enum { IOV_MAX_COUNT = 64 };

/* One connection's part of a produce run, on a thread of its own. */
struct producer {
    const struct load_options *options;
    const struct load_server *server;
    pthread_t thread;
    pthread_barrier_t *start;
    struct load_conn conn;
    struct load_request *requests; /* sent in turn */
    int request_count;
    uint64_t bytes;      /* to send */
    uint64_t sent_count; /* of requests */
    uint64_t acked_count;
    uint64_t acked_bytes;
    uint64_t acked_events;
    uint64_t sent_bytes;
    int64_t *sent_ns; /* by request number modulo in_flight */
    struct load_times times;
    struct arena arena;
    enum err err;
    struct reason reason;
};

/* Sends as many requests as may be without an answer, some in one system call. */
static enum err send_more(struct producer *producer, int64_t deadline_ns)
{
    const struct load_options *options = producer->options;
    struct iovec iov[IOV_MAX_COUNT];
    size_t count = 0;
    int64_t now_ns = clock_now_ns();
    if (now_ns > deadline_ns) {
        producer->bytes = producer->sent_bytes;
    }
    while (count < IOV_MAX_COUNT && producer->sent_bytes < producer->bytes &&
           producer->sent_count - producer->acked_count < (uint64_t)options->in_flight) {
        const struct load_request *request =
            &producer->requests[producer->sent_count % (uint64_t)producer->request_count];
        iov[count++] = (struct iovec){request->frame.data, request->frame.size};
        producer->sent_ns[producer->sent_count % (uint64_t)options->in_flight] = now_ns;
        producer->sent_count++;
        producer->sent_bytes += request->bytes;
    }
    return count > 0 ? load_conn_send(&producer->conn, iov, count, &producer->reason) : ERR_NONE;
}

/* Waits for one answer and takes those that came with it. */
static enum err take_answers(struct producer *producer)
{
    const struct load_options *options = producer->options;
    do {
        struct slice frame;
        enum err err = load_conn_frame(&producer->conn, &frame, &producer->reason);
        if (err == ERR_NONE) {
            err = load_response_check(producer->server, frame, &producer->arena, &producer->reason);
        }
        if (err != ERR_NONE) {
            return err;
        }
        uint64_t number = producer->acked_count++;
        const struct load_request *request =
            &producer->requests[number % (uint64_t)producer->request_count];
        producer->acked_bytes += request->bytes;
        producer->acked_events += request->events;
        load_times_add(&producer->times,
                       clock_now_ns() - producer->sent_ns[number % (uint64_t)options->in_flight]);
    } while (load_conn_has_frame(&producer->conn));
    return ERR_NONE;
}

static void *producer_run(void *context)
{
    struct producer *producer = context;
    pthread_barrier_wait(producer->start);
    int64_t deadline_ns = clock_now_ns() + producer->options->run_max_ms * 1000000;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && (producer->sent_bytes < producer->bytes ||
                               producer->acked_count < producer->sent_count)) {
        err = send_more(producer, deadline_ns);
        if (err == ERR_NONE && producer->acked_count < producer->sent_count) {
            err = take_answers(producer);
        }
    }
    producer->err = err;
    return NULL;
}

/* The requests of one connection: together they cover its share of the partitions. */
static enum err make_requests(struct producer *producer, int index, struct reason *reason)
{
    const struct load_options *options = producer->options;
    int share = options->partitions / options->connections;
    int first = share * index;
    if (share == 0) {
        share = 1;
        first = index % options->partitions;
    }
    int batches = options->request_batches < share ? options->request_batches : share;
    producer->request_count = (share + batches - 1) / batches;
    producer->requests = mem_new_array(struct load_request, (size_t)producer->request_count);
    for (int i = 0; i < producer->request_count; i++) {
        int left = share - i * batches;
        enum err err =
            load_request_make(producer->server, options, first + i * batches,
                              left < batches ? left : batches, &producer->requests[i], reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    return ERR_NONE;
}

static enum err producer_init(struct producer *producer, const struct load_options *options,
                              const struct load_server *server, pthread_barrier_t *start, int index,
                              struct reason *reason)
{
    *producer = (struct producer){
        .options = options,
        .server = server,
        .start = start,
        .bytes = options->bytes / (uint64_t)options->connections,
        .sent_ns = mem_new_array(int64_t, (size_t)options->in_flight),
    };
    enum err err = load_conn_open(&server->address, &producer->conn, reason);
    return err == ERR_NONE ? make_requests(producer, index, reason) : err;
}

static void producer_deinit(struct producer *producer)
{
    for (int i = 0; i < producer->request_count; i++) {
        load_request_deinit(&producer->requests[i]);
    }
    load_conn_close(&producer->conn);
    load_times_deinit(&producer->times);
    arena_deinit(&producer->arena);
    free(producer->requests);
    free(producer->sent_ns);
}

static enum err run_producers(struct producer *producers, const struct load_options *options,
                              struct load_meter *before, struct load_meter *after,
                              pthread_barrier_t *start, struct reason *reason)
{
    for (int i = 0; i < options->connections; i++) {
        if (pthread_create(&producers[i].thread, NULL, producer_run, &producers[i]) != 0) {
            return reason_fail(reason, ERR_LIMIT, "cannot start thread %d", i);
        }
    }
    enum err err = load_meter_read(options->server_pid, before, reason);
    pthread_barrier_wait(start);
    for (int i = 0; i < options->connections; i++) {
        pthread_join(producers[i].thread, NULL);
        if (err == ERR_NONE && producers[i].err != ERR_NONE) {
            err = producers[i].err;
            *reason = producers[i].reason;
        }
    }
    return err == ERR_NONE ? load_meter_read(options->server_pid, after, reason) : err;
}

static void report(const struct producer *producers, const struct load_options *options,
                   const struct load_meter *before, const struct load_meter *after, json_t *result)
{
    struct load_times times = {0};
    uint64_t bytes = 0;
    uint64_t events = 0;
    for (int i = 0; i < options->connections; i++) {
        bytes += producers[i].acked_bytes;
        events += producers[i].acked_events;
        load_times_append(&times, &producers[i].times);
    }
    load_meter_json(result, before, after, options->server_pid, bytes, events);
    json_object_set_new(result, "batch_bytes",
                        json_integer((json_int_t)producers[0].requests[0].batch_size));
    json_object_set_new(result, "request_us", load_times_json(&times));
    load_times_deinit(&times);
}

enum err load_produce(const struct load_options *options, json_t *result, struct reason *reason)
{
    struct load_server server;
    struct load_meter before;
    struct load_meter after;
    pthread_barrier_t start;
    struct producer *producers = mem_new_array(struct producer, (size_t)options->connections);
    int made = 0;
    enum err err = load_server_open(&options->address, &server, reason);
    pthread_barrier_init(&start, NULL, (unsigned)options->connections + 1);
    while (made < options->connections && err == ERR_NONE) {
        err = producer_init(&producers[made], options, &server, &start, made, reason);
        made++;
    }
    if (err == ERR_NONE) {
        err = run_producers(producers, options, &before, &after, &start, reason);
    }
    if (err == ERR_NONE) {
        report(producers, options, &before, &after, result);
        json_object_set_new(result, "produce_version",
                            json_integer(server.highest[API_KEY_PRODUCE]));
    }
    for (int i = 0; i < made; i++) {
        producer_deinit(&producers[i]);
    }
    pthread_barrier_destroy(&start);
    free(producers);
    return err;
}
