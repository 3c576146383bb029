#include "load.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "canary.h"
#include "fetcher.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/*
 * Publish-to-consume latency at a fixed rate. Each event carries the time at which it should have
 * been sent, so that a server which holds the sender up is charged for every event that waited
 * (no coordinated omission). One event a request, acknowledgements are not waited for. The first
 * second warms up and is not counted.
 */
enum { STAMP_BYTES = 8, PENDING_MAX = 1 << 16, CRC_POSITION = 17, CRC_FROM = 21 };
static const int64_t warm_up_ns = 1000000000;

/* Of events: when each was due, and for how long it waited from then on. */
struct waits {
    struct load_times due;
    struct load_times took;
};

struct sender {
    const struct load_options *options;
    const struct load_server *server;
    pthread_t thread;
    struct load_conn conn;
    struct load_request request;
    size_t stamp_position; /* of the time in the frame */
    int rate;
    int64_t start_ns;
    int64_t end_ns;
    int64_t *due_ns; /* of requests without an answer, by number modulo PENDING_MAX */
    uint64_t sent_count;
    uint64_t acked_count;
    struct waits waits; /* from when it was due to its acknowledgement */
    struct arena arena;
    enum err err;
    struct reason reason;
};

struct receiver {
    pthread_t thread;
    struct load_conn conn;
    struct fetcher fetcher;
    int64_t start_ns;
    atomic_llong last_offset; /* ends before it; -1 while unknown */
    struct waits waits;
    enum err err;
    struct reason reason;
};

static void waits_add(struct waits *waits, int64_t due_ns, int64_t now_ns)
{
    load_times_add(&waits->due, due_ns);
    load_times_add(&waits->took, now_ns - due_ns);
}

static void waits_deinit(struct waits *waits)
{
    load_times_deinit(&waits->due);
    load_times_deinit(&waits->took);
}

/* NULL canary: of all. */
static json_t *waits_json(const struct waits *waits, const struct canary *canary)
{
    struct load_times kept = {0};
    for (size_t i = 0; i < waits->due.count; i++) {
        int64_t due_ns = waits->due.ns[i];
        if (canary == NULL || !canary_was_away(canary, due_ns, due_ns + waits->took.ns[i])) {
            load_times_add(&kept, waits->took.ns[i]);
        }
    }
    json_t *json = load_times_json(&kept);
    if (json != NULL) {
        json_object_set_new(json, "left_out",
                            json_integer((json_int_t)(waits->due.count - kept.count)));
    }
    load_times_deinit(&kept);
    return json;
}

/* The time goes into the event, and the batch gets its CRC anew. */
static void stamp(struct sender *sender, int64_t due_ns)
{
    uint8_t *frame = sender->request.frame.data;
    uint8_t *batch = frame + sender->request.batch_position;
    memcpy(frame + sender->stamp_position, &due_ns, sizeof due_ns);
    store_be32(batch + CRC_POSITION,
               crc32c(0, batch + CRC_FROM, sender->request.batch_size - CRC_FROM));
}

static int64_t due_at(const struct sender *sender, uint64_t number)
{
    return sender->start_ns + (int64_t)(number * 1000000000 / (uint64_t)sender->rate);
}

static enum err send_due(struct sender *sender)
{
    while (sender->sent_count - sender->acked_count < PENDING_MAX) {
        int64_t due_ns = due_at(sender, sender->sent_count);
        if (due_ns > clock_now_ns() || due_ns >= sender->end_ns) {
            return ERR_NONE;
        }
        stamp(sender, due_ns);
        sender->due_ns[sender->sent_count++ % PENDING_MAX] = due_ns;
        struct iovec iov = {sender->request.frame.data, sender->request.frame.size};
        enum err err = load_conn_send(&sender->conn, &iov, 1, &sender->reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    return ERR_NONE;
}

static enum err take_acks(struct sender *sender)
{
    enum err err = load_conn_fill(&sender->conn, &sender->reason);
    while (err == ERR_NONE && load_conn_has_frame(&sender->conn)) {
        struct slice frame;
        err = load_conn_frame(&sender->conn, &frame, &sender->reason);
        if (err == ERR_NONE) {
            err = load_response_check(sender->server, frame, &sender->arena, &sender->reason);
        }
        int64_t due_ns = sender->due_ns[sender->acked_count++ % PENDING_MAX];
        if (due_ns - sender->start_ns >= warm_up_ns) {
            waits_add(&sender->waits, due_ns, clock_now_ns());
        }
    }
    return err;
}

static void *sender_run(void *context)
{
    struct sender *sender = context;
    enum err err = ERR_NONE;
    prctl(PR_SET_TIMERSLACK, 1);
    for (;;) {
        err = send_due(sender);
        int64_t next_ns = due_at(sender, sender->sent_count);
        bool done = next_ns >= sender->end_ns;
        if (err != ERR_NONE || (done && sender->acked_count == sender->sent_count)) {
            break;
        }
        int64_t wait_ns = done ? 1000000000 : next_ns - clock_now_ns();
        struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
        struct pollfd wanted = {.fd = sender->conn.fd, .events = POLLIN};
        if (wait_ns > 0 && ppoll(&wanted, 1, &wait, NULL) > 0) {
            err = take_acks(sender);
        }
        if (err != ERR_NONE) {
            break;
        }
    }
    sender->err = err;
    return NULL;
}

static enum err note_batches(struct receiver *receiver, struct slice records, size_t stamp_in_batch)
{
    int64_t now_ns = clock_now_ns();
    while (records.size > 0) {
        struct batch batch;
        int64_t due_ns;
        enum err err = batch_parse(records, &batch, &receiver->reason);
        if (err == ERR_TRUNCATED) {
            break; /* the end of the response tore it; it comes again */
        }
        if (err != ERR_NONE) {
            return err;
        }
        memcpy(&due_ns, batch.bytes.data + stamp_in_batch, sizeof due_ns);
        if (due_ns - receiver->start_ns >= warm_up_ns) {
            waits_add(&receiver->waits, due_ns, now_ns);
        }
        receiver->fetcher.offset = batch_last_offset(&batch) + 1;
        records = slice_of(records.data + batch.bytes.size, records.size - batch.bytes.size);
    }
    return ERR_NONE;
}

struct receiver_context {
    struct receiver *receiver;
    size_t stamp_in_batch;
};

static void *receiver_run(void *context)
{
    const struct receiver_context *own = context;
    struct receiver *receiver = own->receiver;
    enum err err = ERR_NONE;
    for (;;) {
        long long last = atomic_load(&receiver->last_offset);
        if (err != ERR_NONE || (last >= 0 && receiver->fetcher.offset >= last)) {
            break;
        }
        struct fetch_head head;
        const uint8_t *bytes;
        err = fetcher_ask(&receiver->fetcher, &receiver->conn, &receiver->reason);
        if (err == ERR_NONE) {
            err = fetcher_head(&receiver->fetcher, &receiver->conn, &head, &receiver->reason);
        }
        if (err == ERR_NONE) {
            err = load_conn_peek(&receiver->conn, (size_t)head.records_bytes + head.tail_bytes,
                                 &bytes, &receiver->reason);
        }
        if (err == ERR_NONE) {
            err = note_batches(receiver, slice_of(bytes, head.records_bytes), own->stamp_in_batch);
        }
        if (err == ERR_NONE) {
            err = load_conn_discard(&receiver->conn, (uint64_t)head.records_bytes + head.tail_bytes,
                                    &receiver->reason);
        }
    }
    receiver->err = err;
    return NULL;
}

static enum err sender_init(struct sender *sender, const struct load_options *options,
                            const struct load_server *server, int partition, int rate,
                            int64_t start_ns, struct reason *reason)
{
    *sender = (struct sender){
        .options = options,
        .server = server,
        .rate = rate,
        .start_ns = start_ns,
        .end_ns = start_ns + options->run_max_ms * 1000000,
        .due_ns = mem_new_array(int64_t, PENDING_MAX),
    };
    enum err err = load_conn_open(&server->address, &sender->conn, reason);
    if (err == ERR_NONE) {
        err = load_request_make(server, options, partition, 1, &sender->request, reason);
    }
    if (err == ERR_NONE) { /* the value is the last but the count of headers */
        sender->stamp_position =
            sender->request.batch_position + sender->request.batch_size - 1 - options->event_bytes;
    }
    return err;
}

static void sender_deinit(struct sender *sender)
{
    load_request_deinit(&sender->request);
    load_conn_close(&sender->conn);
    waits_deinit(&sender->waits);
    arena_deinit(&sender->arena);
    free(sender->due_ns);
}

/* Runs all threads to their end. */
static enum err run_all(struct sender *senders, int sender_count, struct receiver *receiver,
                        struct reason *reason)
{
    struct receiver_context context = {receiver, senders[0].stamp_position -
                                                     senders[0].request.batch_position};
    bool started = pthread_create(&receiver->thread, NULL, receiver_run, &context) == 0;
    for (int i = 0; i < sender_count && started; i++) {
        started = pthread_create(&senders[i].thread, NULL, sender_run, &senders[i]) == 0;
    }
    if (!started) {
        return reason_fail(reason, ERR_LIMIT, "cannot start the threads");
    }
    enum err err = ERR_NONE;
    for (int i = 0; i < sender_count; i++) {
        pthread_join(senders[i].thread, NULL);
        if (senders[i].err != ERR_NONE) {
            err = senders[i].err;
            *reason = senders[i].reason;
        }
    }
    atomic_store(&receiver->last_offset, err == ERR_NONE ? (long long)senders[0].sent_count : 0);
    pthread_join(receiver->thread, NULL);
    if (err == ERR_NONE && receiver->err != ERR_NONE) {
        err = receiver->err;
        *reason = receiver->reason;
    }
    return err;
}

static void report(const struct load_options *options, struct sender *senders, int sender_count,
                   struct receiver *receiver, const struct load_meter *before,
                   const struct load_meter *after, const struct canary *canary, json_t *result)
{
    const struct canary *asked = options->canary_cpu >= 0 ? canary : NULL;
    uint64_t events = 0;
    for (int i = 0; i < sender_count; i++) {
        events += senders[i].sent_count;
    }
    load_meter_json(result, before, after, options->server_pid, 0, events);
    json_object_set_new(result, "consume_us", waits_json(&receiver->waits, asked));
    json_object_set_new(result, "acknowledge_us", waits_json(&senders[0].waits, asked));
}

enum err load_latency(const struct load_options *options, json_t *result, struct reason *reason)
{
    struct load_options one = *options;
    struct load_server server;
    struct load_meter before;
    struct load_meter after;
    struct sender senders[2] = {{.conn = {.fd = -1}}, {.conn = {.fd = -1}}};
    int sender_count = options->load_rate > 0 ? 2 : 1;
    struct canary canary = {0};
    struct receiver receiver = {.conn = {.fd = -1}, .last_offset = -1};
    int64_t start_ns = clock_now_ns() + 200000000;
    one.batch_events = 1;
    enum err err = load_server_open(&options->address, &server, reason);
    if (err == ERR_NONE) {
        err = sender_init(&senders[0], &one, &server, 0, options->rate, start_ns, reason);
    }
    if (err == ERR_NONE && sender_count == 2) {
        err = sender_init(&senders[1], &one, &server, 1, options->load_rate, start_ns, reason);
    }
    if (err == ERR_NONE) {
        err = load_conn_open(&server.address, &receiver.conn, reason);
    }
    if (err == ERR_NONE) {
        receiver.start_ns = start_ns;
        err = fetcher_init(&receiver.fetcher, &server, &one, 0, reason);
    }
    if (err == ERR_NONE) {
        err = load_meter_read(options->server_pid, &before, reason);
    }
    bool has_canary = false;
    if (err == ERR_NONE && options->canary_cpu >= 0) {
        has_canary = canary_start(&canary, options->canary_cpu);
        err = has_canary ? ERR_NONE : reason_fail(reason, ERR_LIMIT, "cannot start the canary");
    }
    if (err == ERR_NONE) {
        err = run_all(senders, sender_count, &receiver, reason);
    }
    if (has_canary) {
        canary_stop(&canary);
    }
    if (err == ERR_NONE) {
        err = load_meter_read(options->server_pid, &after, reason);
    }
    if (err == ERR_NONE) {
        report(options, senders, sender_count, &receiver, &before, &after, &canary, result);
    }
    sender_deinit(&senders[0]);
    sender_deinit(&senders[1]);
    load_conn_close(&receiver.conn);
    fetcher_deinit(&receiver.fetcher);
    waits_deinit(&receiver.waits);
    canary_deinit(&canary);
    return err;
}
