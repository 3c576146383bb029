#include "client.h"

#include <string.h>
#include <time.h>

enum { ASK_MS = 10000 };

#define LEAVE_NS INT64_C(10000000000)

static bool ask_committed(struct client *client, rd_kafka_topic_partition_list_t *partitions)
{
    int64_t since_ns = client_now_ns();
    rd_kafka_resp_err_t error = rd_kafka_committed(client->consumer, partitions, ASK_MS);
    for (int i = 0; i < partitions->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        error = partitions->elems[i].err;
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_say(client, "committed offsets: %s", rd_kafka_err2str(error));
        return false;
    }
    for (int i = 0; i < partitions->cnt; i++) {
        rd_kafka_topic_partition_t *at = &partitions->elems[i];
        int64_t offset = at->offset >= 0 ? at->offset : -1;
        client_log(client, "committed %s %s %d %lld %lld", client->options.group, at->topic,
                   at->partition, (long long)offset, (long long)since_ns);
        at->offset = offset >= 0 ? offset : 0;
    }
    return true;
}

/* Without knowing the committed offsets nothing can be read: asks on and on. False: stopping. */
static bool find_committed(struct client *client, rd_kafka_topic_partition_list_t *partitions)
{
    while (partitions->cnt > 0 && !ask_committed(client, partitions)) {
        if (client_stopping()) {
            return false;
        }
    }
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &partitions->elems[i];
        client_log(client, "start %s %s %d %lld %s", client->options.process, at->topic,
                   at->partition, (long long)at->offset, client->options.isolation);
    }
    return true;
}

/* Reads what was assigned, from the committed offsets on. */
static void resume(struct client *client, rd_kafka_topic_partition_list_t *partitions)
{
    if (!find_committed(client, partitions)) {
        rd_kafka_assign(client->consumer, NULL);
        return;
    }
    rd_kafka_assign(client->consumer, partitions);
    rd_kafka_topic_partition_list_destroy(client->position);
    client->position = rd_kafka_topic_partition_list_copy(partitions);
}

/* What was seen since the last commit. */
static void commit_position(struct client *client)
{
    const rd_kafka_topic_partition_list_t *position = client->position;
    if (position->cnt == 0) {
        return;
    }
    for (int i = 0; i < position->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &position->elems[i];
        client_log(client, "asked %s %s %d %lld", client->options.group, at->topic, at->partition,
                   (long long)at->offset);
    }
    rd_kafka_topic_partition_list_t *sent = rd_kafka_topic_partition_list_copy(position);
    rd_kafka_resp_err_t error = rd_kafka_commit(client->consumer, sent, 0);
    for (int i = 0; i < sent->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *at = &sent->elems[i];
        if (at->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            client_log(client, "stored %s %s %d %lld", client->options.group, at->topic,
                       at->partition, (long long)at->offset);
        }
    }
    rd_kafka_topic_partition_list_destroy(sent);
}

void consumer_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t error,
                           rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct client *client = opaque;
    client->dropped = true;
    if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        resume(client, partitions);
        return;
    }
    if (client->options.transactional_id == NULL && !rd_kafka_assignment_lost(rk)) {
        commit_position(client);
    }
    rd_kafka_assign(rk, NULL);
    rd_kafka_topic_partition_list_destroy(client->position);
    client->position = rd_kafka_topic_partition_list_new(0);
}

static rd_kafka_t *open_handle(struct client *client, const char *isolation, const char *queue_kib)
{
    const char *settings[] = {"group.id",
                              client->options.group,
                              "isolation.level",
                              isolation,
                              "enable.auto.commit",
                              "false",
                              "auto.offset.reset",
                              "error",
                              "session.timeout.ms",
                              "3000",
                              "heartbeat.interval.ms",
                              "500",
                              "check.crcs",
                              "true",
                              "enable.partition.eof",
                              "true",
                              "queued.max.messages.kbytes",
                              queue_kib,
                              NULL};
    rd_kafka_t *handle = client_handle(client, RD_KAFKA_CONSUMER, settings);
    rd_kafka_poll_set_consumer(handle);
    return handle;
}

void consumer_open(struct client *client, const char *isolation)
{
    const struct options *options = &client->options;
    client->position = rd_kafka_topic_partition_list_new(0);
    client->consumer = open_handle(client, isolation, "4096");
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new(options->topic_count);
    for (int i = 0; i < options->topic_count; i++) {
        rd_kafka_topic_partition_list_add(topics, options->topics[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_subscribe(client->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
}

static void see(struct client *client, const rd_kafka_message_t *message)
{
    const char *value = message->payload;
    const char *end = memchr(value, ' ', message->len);
    int size = end != NULL ? (int)(end - value) : (int)message->len;
    const char *topic = rd_kafka_topic_name(message->rkt);
    client_log(client, "see %s %s %d %lld %.*s %.*s", client->options.process, topic,
               message->partition, (long long)message->offset, (int)message->key_len,
               (const char *)message->key, size < VALUE_MAX ? size : VALUE_MAX, value);
    rd_kafka_topic_partition_t *at =
        rd_kafka_topic_partition_list_find(client->position, topic, message->partition);
    if (at != NULL) {
        at->offset = message->offset + 1;
    }
}

rd_kafka_message_t *consumer_next(struct client *client, int timeout_ms)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(client->consumer, timeout_ms);
    if (message == NULL) {
        return NULL;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        see(client, message);
        return message;
    }
    if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        client_say(client, "consumer: %s", rd_kafka_message_errstr(message));
    }
    rd_kafka_message_destroy(message);
    return NULL;
}

bool consumer_rewind(struct client *client)
{
    rd_kafka_topic_partition_list_t *assigned = NULL;
    if (rd_kafka_assignment(client->consumer, &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false;
    }
    bool good = assigned->cnt == 0;
    if (!good && find_committed(client, assigned)) {
        rd_kafka_error_t *error = rd_kafka_seek_partitions(client->consumer, assigned, ASK_MS);
        good = error == NULL;
        for (int i = 0; i < assigned->cnt && good; i++) {
            good = assigned->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        if (error != NULL) {
            client_say(client, "seek: %s", rd_kafka_error_string(error));
            rd_kafka_error_destroy(error);
        }
    }
    rd_kafka_topic_partition_list_destroy(assigned);
    return good;
}

void consumer_leave(struct client *client)
{
    int64_t until_ns = client_now_ns() + LEAVE_NS;
    rd_kafka_unsubscribe(client->consumer);
    while (client->position->cnt > 0 && client_now_ns() < until_ns) {
        rd_kafka_message_t *message = consumer_next(client, 100);
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
    }
    if (client->position->cnt > 0) {
        client_say(client, "goes without leaving the group");
        return;
    }
    consumer_close(client);
}

void consumer_close(struct client *client)
{
    rd_kafka_consumer_close(client->consumer);
    rd_kafka_destroy(client->consumer);
    rd_kafka_topic_partition_list_destroy(client->position);
}

/* A group member that commits after each `batch` events and at the end. */
int run_consume(struct client *client)
{
    const struct options *options = &client->options;
    int since_commit = 0;
    consumer_open(client, options->isolation);
    while (!client_stopping()) {
        rd_kafka_message_t *message = consumer_next(client, 100);
        if (message != NULL) {
            rd_kafka_message_destroy(message);
            client_count(client, 1);
            since_commit++;
        }
        if (since_commit >= options->batch) {
            commit_position(client);
            since_commit = 0;
        }
    }
    commit_position(client);
    consumer_leave(client);
    return 0;
}

/* ---- readers without a group ---- */

static rd_kafka_topic_partition_list_t *all_partitions(const struct options *options)
{
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(16);
    for (int i = 0; i < options->topic_count; i++) {
        for (int p = 0; p < options->partitions; p++) {
            rd_kafka_topic_partition_list_add(all, options->topics[i], p)->offset = 0;
        }
    }
    return all;
}

/*
 * The ends of the logs, whatever is undecided there: a reader of committed data must get as far
 * once all transactions have ended.
 */
static bool find_ends(struct client *client, rd_kafka_topic_partition_list_t *ends,
                      int64_t deadline_ns)
{
    rd_kafka_t *handle = open_handle(client, "read_uncommitted", "64");
    bool good = true;
    for (int i = 0; i < ends->cnt && good; i++) {
        rd_kafka_topic_partition_t *at = &ends->elems[i];
        int64_t low;
        rd_kafka_resp_err_t error;
        do {
            error = rd_kafka_query_watermark_offsets(handle, at->topic, at->partition, &low,
                                                     &at->offset, ASK_MS);
            good = error == RD_KAFKA_RESP_ERR_NO_ERROR;
        } while (!good && !client_stopping() && client_now_ns() < deadline_ns);
        if (!good) {
            client_say(client, "the end of %s-%d: %s", at->topic, at->partition,
                       rd_kafka_err2str(error));
        }
    }
    rd_kafka_destroy(handle);
    return good;
}

/* At the end of a partition: true when it is as far as wanted for the first time. */
static bool reached(struct client *client, rd_kafka_topic_partition_list_t *ends,
                    const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    rd_kafka_topic_partition_t *at =
        rd_kafka_topic_partition_list_find(ends, topic, message->partition);
    if (at == NULL || at->offset < 0 || message->offset < at->offset) {
        return false;
    }
    client_log(client, "end %s %s %d %lld", client->options.process, topic, message->partition,
               (long long)message->offset);
    at->offset = -1;
    return true;
}

/* A reader that is slow, to see that it harms nobody. */
static void dawdle(const struct client *client)
{
    long ms = client->options.slow_ms;
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (ms > 0) {
        nanosleep(&pause, NULL);
    }
}

static int read_on(struct client *client, rd_kafka_topic_partition_list_t *ends,
                   int64_t deadline_ns)
{
    int left = ends->cnt;
    while (!client_stopping() && (client->options.end_s == 0 || left > 0)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client->consumer, 100);
        if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            see(client, message);
            client_count(client, 1);
            dawdle(client);
        } else if (message != NULL && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            left -= reached(client, ends, message);
        } else if (message != NULL) {
            client_say(client, "reader: %s", rd_kafka_message_errstr(message));
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
        if (client->options.end_s > 0 && client_now_ns() > deadline_ns) {
            return EXIT_NOT_REACHED;
        }
    }
    return 0;
}

static void say_missing(struct client *client, const rd_kafka_topic_partition_list_t *ends)
{
    for (int i = 0; i < ends->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &ends->elems[i];
        const rd_kafka_topic_partition_t *position =
            rd_kafka_topic_partition_list_find(client->position, at->topic, at->partition);
        if (at->offset >= 0) {
            client_say(client, "%s reader of %s-%d is stuck at %lld, the log ends at %lld",
                       client->options.isolation, at->topic, at->partition,
                       (long long)position->offset, (long long)at->offset);
        }
    }
}

/* All partitions from their start: to the end as it is now, or on and on. */
int run_read(struct client *client)
{
    const struct options *options = &client->options;
    int64_t deadline_ns = client_now_ns() + (int64_t)options->end_s * 1000000000;
    rd_kafka_topic_partition_list_t *ends = all_partitions(options);
    client->position = all_partitions(options);
    if (options->end_s > 0 && !find_ends(client, ends, deadline_ns)) {
        return EXIT_NOT_REACHED;
    }
    client->consumer =
        open_handle(client, options->isolation, options->slow_ms > 0 ? "64" : "4096");
    for (int i = 0; i < client->position->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &client->position->elems[i];
        client_log(client, "start %s %s %d 0 %s", options->process, at->topic, at->partition,
                   options->isolation);
    }
    rd_kafka_assign(client->consumer, client->position);
    int code = read_on(client, ends, deadline_ns);
    if (code != 0) {
        say_missing(client, ends);
    }
    rd_kafka_topic_partition_list_destroy(ends);
    consumer_close(client);
    return code;
}

/* What the group has committed, for the last look. */
int run_committed(struct client *client)
{
    int64_t deadline_ns = client_now_ns() + (int64_t)client->options.end_s * 1000000000;
    rd_kafka_topic_partition_list_t *all = all_partitions(&client->options);
    client->position = rd_kafka_topic_partition_list_new(0);
    client->consumer = open_handle(client, "read_committed", "64");
    bool known;
    while (!(known = ask_committed(client, all)) && client_now_ns() < deadline_ns &&
           !client_stopping()) {
    }
    rd_kafka_topic_partition_list_destroy(all);
    consumer_close(client);
    return known ? 0 : EXIT_NOT_REACHED;
}
