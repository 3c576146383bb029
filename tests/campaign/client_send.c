#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 30000, FLUSH_MS = 1000, IN_FLIGHT_MAX = 2000, PADDING_MAX = 400 };
enum { RARE_ONE_IN = 32, RARE_KEYS = 100000000 };

void producer_open(struct client *client)
{
    char timeout[16];
    snprintf(timeout, sizeof timeout, "%d", client->options.transaction_ms);
    const char *plain[] = {"enable.idempotence", "true", "linger.ms", "5", NULL};
    const char *transactional[] = {"transactional.id",
                                   client->options.transactional_id,
                                   "transaction.timeout.ms",
                                   timeout,
                                   "linger.ms",
                                   "5",
                                   NULL};
    client->producer = client_handle(client, RD_KAFKA_PRODUCER,
                                     client->options.transactional_id ? transactional : plain);
}

static bool given_up(struct client *client)
{
    char why[256];
    rd_kafka_resp_err_t error = rd_kafka_fatal_error(client->producer, why, sizeof why);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_say(client, "given up: %s: %s", rd_kafka_err2name(error), why);
    }
    return error != RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool producer_poll(struct client *client, int timeout_ms)
{
    rd_kafka_poll(client->producer, timeout_ms);
    return !given_up(client);
}

/* The unique value, and something behind it so that events differ in size. */
static size_t make_payload(struct client *client, const char *value, char *payload)
{
    size_t size = (size_t)sprintf(payload, "%s ", value);
    size_t padding = (size_t)client_random(client, PADDING_MAX);
    memset(payload + size, 'x', padding);
    return size + padding;
}

/* One of a few, so that compaction has work; now and then one that hardly comes again, so that a
 * compacted topic has events at its beginning that must not be missing. */
static void make_key(struct client *client, char *key, size_t size)
{
    uint64_t keys = (uint64_t)client->options.keys;
    bool rare = client_random(client, RARE_ONE_IN) == 0;
    uint64_t number = rare ? keys + client_random(client, RARE_KEYS) : client_random(client, keys);
    snprintf(key, size, "k%d", (int)number);
}

bool producer_send(struct client *client, const char *topic, const char *key, const char *txn,
                   const char *input)
{
    char own_key[16];
    char value[VALUE_MAX];
    char payload[VALUE_MAX + PADDING_MAX + 1];
    if (key[0] == '\0') {
        make_key(client, own_key, sizeof own_key);
        key = own_key;
    }
    int partition = atoi(key + 1) % client->options.partitions;
    snprintf(value, sizeof value, "%s:%lld", client->options.process, (long long)client->values++);
    size_t size = make_payload(client, value, payload);
    client_log(client, "send %s %s %d %s %s %s", value, topic, partition, key, txn, input);
    char *opaque = strdup(value);
    const rd_kafka_vu_t message[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key, strlen(key)}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {payload, size}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = opaque},
    };
    rd_kafka_resp_err_t error;
    do {
        rd_kafka_error_t *refusal =
            rd_kafka_produceva(client->producer, message, sizeof message / sizeof message[0]);
        error = rd_kafka_error_code(refusal);
        rd_kafka_error_destroy(refusal);
    } while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL && producer_poll(client, 100));
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_log(client, "failed %s %s", value, rd_kafka_err2name(error));
        free(opaque);
    }
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static int close_producer(struct client *client, bool good)
{
    if (!good) {
        rd_kafka_purge(client->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    }
    while (rd_kafka_flush(client->producer, FLUSH_MS) != RD_KAFKA_RESP_ERR_NO_ERROR &&
           (good = good && !given_up(client))) {
    }
    rd_kafka_destroy(client->producer);
    return good ? 0 : EXIT_GIVEN_UP;
}

/* Idempotent, acks=all, many events under way. */
int run_produce(struct client *client)
{
    const struct options *options = &client->options;
    bool good = true;
    producer_open(client);
    while (good && !client_stopping()) {
        bool full = rd_kafka_outq_len(client->producer) >= IN_FLIGHT_MAX;
        for (int i = 0; i < options->rate / 100 && !full; i++) {
            const char *topic =
                options->topics[client_random(client, (uint64_t)options->topic_count)];
            producer_send(client, topic, "", "-", "-");
        }
        good = producer_poll(client, 10);
    }
    return close_producer(client, good);
}

/* ---- transactions ---- */

/* Says why; true when the call is to be repeated. Takes the error. */
static bool retriable(struct client *client, const char *what, rd_kafka_error_t *error)
{
    bool again = rd_kafka_error_is_retriable(error) != 0;
    client_say(client, "%s: %s: %s%s", what, rd_kafka_error_name(error),
               rd_kafka_error_string(error), again ? "; again" : "");
    rd_kafka_error_destroy(error);
    return again;
}

bool transactions_open(struct client *client)
{
    rd_kafka_error_t *error;
    producer_open(client);
    while ((error = rd_kafka_init_transactions(client->producer, WAIT_MS)) != NULL) {
        if (!retriable(client, "init_transactions", error) || client_stopping()) {
            return false;
        }
    }
    return true;
}

bool transaction_begin(struct client *client, char *name, size_t size)
{
    snprintf(name, size, "%s/%lld", client->options.process, (long long)client->transactions++);
    client_log(client, "begin %s", name);
    rd_kafka_error_t *error = rd_kafka_begin_transaction(client->producer);
    if (error != NULL) {
        retriable(client, "begin_transaction", error);
    }
    return error == NULL;
}

bool transaction_end(struct client *client, const char *name, bool commit, bool *committed)
{
    rd_kafka_error_t *error;
    if (!commit) {
        /* librdkafka 2.0 asks the coordinator to abort what it never began, and then gives up. */
        rd_kafka_flush(client->producer, WAIT_MS);
    }
    client_log(client, "%s %s", commit ? "commit" : "abort", name);
    while ((error = commit ? rd_kafka_commit_transaction(client->producer, WAIT_MS)
                           : rd_kafka_abort_transaction(client->producer, WAIT_MS)) != NULL) {
        bool must_abort = rd_kafka_error_txn_requires_abort(error) != 0;
        const char *why = rd_kafka_error_name(error);
        bool again = retriable(client, commit ? "commit" : "abort", error);
        if (must_abort && commit) {
            commit = false;
            client_log(client, "abort %s", name);
        } else if (!again) {
            client_log(client, "ended %s unknown %s", name, why);
            return false;
        }
    }
    client_log(client, "ended %s %s -", name, commit ? "committed" : "aborted");
    *committed = commit;
    return !given_up(client);
}

static bool one_transaction(struct client *client)
{
    const struct options *options = &client->options;
    char name[VALUE_MAX];
    bool committed = false;
    if (!transaction_begin(client, name, sizeof name)) {
        return false;
    }
    int count = 1 + (int)client_random(client, (uint64_t)options->batch);
    for (int i = 0; i < count; i++) {
        const char *topic = options->topics[client_random(client, (uint64_t)options->topic_count)];
        if (!producer_send(client, topic, "", name, "-")) {
            break; /* the transaction must be aborted: the commit will say so */
        }
        producer_poll(client, i % 4 == 0 ? 1000 * 4 / options->rate : 0);
    }
    bool commit = (int)client_random(client, 100) >= options->abort_percent;
    return transaction_end(client, name, commit, &committed);
}

int run_transact(struct client *client)
{
    bool good = transactions_open(client);
    while (good && !client_stopping()) {
        good = one_transaction(client);
    }
    return close_producer(client, good || client_stopping());
}
