#include "client.h"

#include <stdio.h>
#include <string.h>

enum { BATCH_MAX = 256, COLLECT_NS = 100 * 1000 * 1000, WAIT_MS = 30000 };

/*
 * Consume, transform, produce, exactly once (KIP-447): the outputs and the offsets of their inputs
 * are one transaction, which the group's generation guards.
 */
struct batch {
    rd_kafka_message_t *messages[BATCH_MAX];
    int count;
};

static void batch_clear(struct batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        rd_kafka_message_destroy(batch->messages[i]);
    }
    batch->count = 0;
}

/* What comes within a moment. What came before partitions were taken away is somebody else's. */
static void collect(struct client *client, struct batch *batch)
{
    int64_t until_ns = client_now_ns() + COLLECT_NS;
    while (batch->count < client->options.batch && batch->count < BATCH_MAX &&
           client_now_ns() < until_ns && !client_stopping()) {
        client->dropped = false;
        rd_kafka_message_t *message = consumer_next(client, 20);
        if (client->dropped) {
            batch_clear(batch); /* a message that came with it is of the new assignment */
        }
        if (message != NULL) {
            batch->messages[batch->count++] = message;
        }
    }
}

static bool send_outputs(struct client *client, const struct batch *batch, const char *txn)
{
    for (int i = 0; i < batch->count; i++) {
        const rd_kafka_message_t *message = batch->messages[i];
        char input[128];
        char key[16];
        snprintf(input, sizeof input, "%s/%d/%lld", rd_kafka_topic_name(message->rkt),
                 message->partition, (long long)message->offset);
        snprintf(key, sizeof key, "%.*s", (int)message->key_len, (const char *)message->key);
        if (!producer_send(client, client->options.output, key, txn, input)) {
            return false;
        }
    }
    return true;
}

/* The position behind the batch, logged as a part of the transaction. */
static bool send_offsets(struct client *client, const struct batch *batch, const char *txn)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(4);
    for (int i = 0; i < batch->count; i++) {
        const rd_kafka_message_t *message = batch->messages[i];
        const char *topic = rd_kafka_topic_name(message->rkt);
        rd_kafka_topic_partition_t *at =
            rd_kafka_topic_partition_list_find(offsets, topic, message->partition);
        if (at == NULL) {
            at = rd_kafka_topic_partition_list_add(offsets, topic, message->partition);
        }
        at->offset = message->offset + 1;
    }
    for (int i = 0; i < offsets->cnt; i++) {
        client_log(client, "offset %s %s %s %d %lld", txn, client->options.group,
                   offsets->elems[i].topic, offsets->elems[i].partition,
                   (long long)offsets->elems[i].offset);
    }
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(client->consumer);
    rd_kafka_error_t *error;
    bool again;
    do {
        error = rd_kafka_send_offsets_to_transaction(client->producer, offsets, group, WAIT_MS);
        again = error != NULL && rd_kafka_error_is_retriable(error) &&
                !rd_kafka_error_txn_requires_abort(error);
        if (error != NULL) {
            client_say(client, "send_offsets: %s", rd_kafka_error_string(error));
            rd_kafka_error_destroy(error);
        }
    } while (again && !client_stopping());
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
    return error == NULL;
}

/* False: the library gave up, or the position is lost. */
static bool transform(struct client *client, const struct batch *batch)
{
    char name[VALUE_MAX];
    bool committed = false;
    if (!transaction_begin(client, name, sizeof name)) {
        return false;
    }
    bool whole = send_outputs(client, batch, name) && send_offsets(client, batch, name);
    bool wanted = (int)client_random(client, 100) >= client->options.abort_percent;
    if (!transaction_end(client, name, whole && wanted, &committed)) {
        return false;
    }
    if (committed) {
        client_count(client, batch->count);
    }
    return committed || consumer_rewind(client);
}

int run_transform(struct client *client)
{
    struct batch batch = {.count = 0};
    bool good = transactions_open(client);
    if (!good) {
        return client_stopping() ? 0 : EXIT_GIVEN_UP;
    }
    consumer_open(client, "read_committed");
    while (good && !client_stopping()) {
        collect(client, &batch);
        if (batch.count > 0) {
            good = transform(client, &batch);
        }
        batch_clear(&batch);
    }
    consumer_leave(client);
    rd_kafka_destroy(client->producer);
    return good || client_stopping() ? 0 : EXIT_GIVEN_UP;
}
