#include "base/mem.h"
#include "wire/generated/produce.h"
#include "world.h"

#include <stdlib.h>
#include <time.h>

/* The pause keeps the logs small enough to be read again after each kill. */
enum { PRODUCE_VERSION = 9, PAUSE_NS = 500000, COORDINATOR_NOT_AVAILABLE = 15 };

/* An idempotent producer: it sends again, in order, whatever was not acknowledged. */
struct producer {
    struct world *world;
    int32_t index;
    int16_t acks;
    int64_t producer_id; /* -1: not asked for yet */
    struct random random;
    struct client client;
    struct {
        int32_t partition;
        size_t batch; /* index in its stream */
    } window[WINDOW];
    int in_flight;
};

static bool send_batch(struct producer *producer, int32_t partition, size_t index)
{
    struct world *world = producer->world;
    pthread_mutex_lock(&world->ledger_lock);
    struct sent_batch sent = world->streams[partition][producer->index].batches[index];
    pthread_mutex_unlock(&world->ledger_lock);
    struct batch_plan plan = {
        .producer_id = producer->producer_id,
        .producer = producer->index,
        .partition = partition,
        .first = sent.first,
        .count = sent.count,
        .value_bytes = 16 + (int32_t)(sent.first * 37 % 300), /* the same when sent again */
    };
    struct buf batch = {0};
    batch_build(&plan, &batch);
    struct produce_request_partition data;
    produce_request_partition_init(&data);
    data.index = partition;
    data.records.bytes = buf_slice(&batch);
    struct produce_request_topic topic = {slice_str(LOAD_TOPIC), &data, 1};
    struct produce_request request;
    produce_request_init(&request);
    request.acks = producer->acks;
    request.timeout_ms = 60000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    bool sent_all = client_send(&producer->client, API_KEY_PRODUCE, PRODUCE_VERSION, &request);
    buf_deinit(&batch);
    return sent_all;
}

static bool send_new(struct producer *producer)
{
    struct world *world = producer->world;
    int32_t partition = (int32_t)random_below(&producer->random, PARTITIONS);
    pthread_mutex_lock(&world->ledger_lock);
    struct stream *stream = &world->streams[partition][producer->index];
    if (stream->count == stream->capacity) {
        stream->capacity = stream->capacity ? stream->capacity * 2 : 1024;
        stream->batches = mem_realloc(stream->batches, stream->capacity * sizeof *stream->batches);
    }
    size_t index = stream->count++;
    int32_t count = (int32_t)random_below(&producer->random, 60) + 1;
    stream->batches[index] = (struct sent_batch){stream->next, count, -1};
    stream->next += count;
    pthread_mutex_unlock(&world->ledger_lock);
    producer->window[producer->in_flight].partition = partition;
    producer->window[producer->in_flight].batch = index;
    producer->in_flight++;
    return send_batch(producer, partition, index);
}

static void acknowledge(struct producer *producer, int64_t offset)
{
    struct world *world = producer->world;
    int32_t partition = producer->window[0].partition;
    pthread_mutex_lock(&world->ledger_lock);
    struct stream *stream = &world->streams[partition][producer->index];
    struct sent_batch *sent = &stream->batches[producer->window[0].batch];
    sent->acked_offset = offset;
    stream->acked++;
    stream->acked_to = sent->first + sent->count;
    if (offset + sent->count > world->acked_end[partition]) {
        world->acked_end[partition] = offset + sent->count;
    }
    pthread_mutex_unlock(&world->ledger_lock);
    producer->in_flight--;
    memmove(producer->window, producer->window + 1,
            (size_t)producer->in_flight * sizeof producer->window[0]);
}

static bool receive_one(struct producer *producer)
{
    struct produce_response response;
    if (!client_receive(&producer->client, API_KEY_PRODUCE, PRODUCE_VERSION, &response)) {
        return false;
    }
    const struct produce_response_partition *answer = &response.responses[0].partition_responses[0];
    if (answer->error_code != 0 || answer->index != producer->window[0].partition) {
        crash_fail("producer %d: partition %d answered error %d: %.*s", producer->index,
                   answer->index, answer->error_code, SLICE_ARGS(answer->error_message));
    }
    acknowledge(producer, answer->base_offset);
    return true;
}

/* Until the connection breaks (true) or the test is over (false). */
static bool produce_on(struct producer *producer, uint16_t port)
{
    if (!client_connect(&producer->client, port)) {
        return true;
    }
    if (producer->producer_id < 0) {
        producer->producer_id = client_init_producer(&producer->client);
        if (producer->producer_id < 0) {
            return true;
        }
    }
    for (int i = 0; i < producer->in_flight; i++) {
        if (!send_batch(producer, producer->window[i].partition, producer->window[i].batch)) {
            return true;
        }
    }
    for (;;) {
        bool stopping = world_stopping(producer->world);
        if (!stopping && producer->in_flight < WINDOW) {
            if (!send_new(producer)) {
                return true;
            }
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        } else if (producer->in_flight > 0) {
            if (!receive_one(producer)) {
                return true;
            }
        } else {
            return false;
        }
    }
}

static void *run_producer(void *argument)
{
    struct producer *producer = argument;
    uint64_t seen = 0;
    uint16_t port;
    do {
        client_close(&producer->client);
        gate_pass(producer->world, &seen, &port);
    } while (produce_on(producer, port));
    client_deinit(&producer->client);
    free(producer);
    return NULL;
}

static void *run_consumer(void *argument)
{
    struct world *world = argument;
    struct client client = {.fd = -1};
    uint64_t seen = 0;
    uint16_t port;
    while (!world_stopping(world)) {
        gate_pass(world, &seen, &port);
        bool good = client_connect(&client, port);
        while (good && !world_stopping(world)) {
            good = readers_fetch(world, &client, world->readers, 100);
        }
        client_close(&client);
    }
    client_deinit(&client);
    return NULL;
}

static bool commit_next(struct world *world, struct client *client, int32_t partition)
{
    pthread_mutex_lock(&world->ledger_lock);
    int64_t offset = ++world->commits_sent[partition];
    pthread_mutex_unlock(&world->ledger_lock);
    int16_t code;
    if (!client_commit(client, LOAD_GROUP, LOAD_TOPIC, partition, offset, &code)) {
        return false;
    }
    if (code == COORDINATOR_NOT_AVAILABLE && world->stops_cleanly) {
        return true; /* the coordinator stops before the connections do */
    }
    if (code != 0) {
        crash_fail("commit to partition %d answered error %d", partition, code);
    }
    pthread_mutex_lock(&world->ledger_lock);
    world->commits_acked[partition] = offset;
    pthread_mutex_unlock(&world->ledger_lock);
    return true;
}

static void *run_committer(void *argument)
{
    struct world *world = argument;
    struct client client = {.fd = -1};
    uint64_t seen = 0;
    uint16_t port;
    int32_t partition = 0;
    while (!world_stopping(world)) {
        gate_pass(world, &seen, &port);
        bool good = client_connect(&client, port);
        while (good && !world_stopping(world)) {
            good = commit_next(world, &client, partition++ % PARTITIONS);
        }
        client_close(&client);
    }
    client_deinit(&client);
    return NULL;
}

static void start_thread(struct world *world, void *(*run)(void *), void *argument)
{
    if (pthread_create(&world->threads[world->thread_count++], NULL, run, argument) != 0) {
        crash_fail("cannot start a thread");
    }
}

void load_start(struct world *world)
{
    for (int i = 0; i < world->producers; i++) {
        struct producer *producer = mem_new(struct producer);
        producer->world = world;
        producer->index = i;
        /* What is in the page cache outlives a kill, but not a power failure. */
        producer->acks = i % 2 == 1 && !world->loses_tail ? 1 : -1;
        producer->producer_id = -1;
        producer->random.state = random_next(&world->random);
        producer->client.fd = -1;
        start_thread(world, run_producer, producer);
    }
    start_thread(world, run_consumer, world);
    start_thread(world, run_committer, world);
}
