#include "cli/source.h"

#include "base/mem.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static struct source_partition *find(struct source *source, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < source->partition_count; i++) {
        struct source_partition *at = &source->partitions[i];
        if (at->partition == partition && strcmp(at->topic, topic) == 0) {
            return at;
        }
    }
    return NULL;
}

static const char *keep_name(struct source *source, const char *topic)
{
    for (size_t i = 0; i < source->names.count; i++) {
        if (strcmp(source->names.items[i], topic) == 0) {
            return source->names.items[i];
        }
    }
    char *copy = mem_strdup(topic);
    text_list_add(&source->names, copy);
    return copy;
}

void source_track(struct source *source, const rd_kafka_topic_partition_list_t *list,
                  const struct admin_bounds *bounds)
{
    size_t count = source->partition_count + (size_t)list->cnt;
    source->partitions = mem_realloc(source->partitions, (count + 1) * sizeof *source->partitions);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        source->partitions[source->partition_count++] = (struct source_partition){
            .topic = keep_name(source, at->topic),
            .partition = at->partition,
            .end = bounds[i].end,
            .is_done = source->options->until_end && at->offset >= bounds[i].end,
        };
    }
}

void source_forget(struct source *source, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        struct source_partition *at = find(source, list->elems[i].topic, list->elems[i].partition);
        if (at != NULL) {
            *at = source->partitions[--source->partition_count];
        }
    }
}

/* All wanted partitions of a topic, from its metadata. */
static int list_partitions(struct source *source, const char *topic,
                           rd_kafka_topic_partition_list_t *list)
{
    const struct rd_kafka_metadata *metadata;
    int code = client_metadata(source->client, topic, false, &metadata);
    if (code != EXIT_OK) {
        return code;
    }
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    int64_t wanted = source->options->partition;
    if (wanted >= count) {
        return cli_fail(EXIT_NOT_FOUND, NULL, "topic '%s' has no partition %d, only 0 to %d", topic,
                        (int)wanted, count - 1);
    }
    for (int i = 0; i < count; i++) {
        if (wanted < 0 || wanted == i) {
            rd_kafka_topic_partition_list_add(list, topic, i);
        }
    }
    return EXIT_OK;
}

static int start_partition(struct source *source, const rd_kafka_topic_partition_t *at)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(source->client->rk, at->topic, NULL);
    int code = EXIT_OK;
    if (topic == NULL ||
        rd_kafka_consume_start_queue(topic, at->partition, at->offset, source->queue) != 0) {
        code = bus_fail(source->client, rd_kafka_last_error(), NULL, "read %s partition %d",
                        at->topic, (int)at->partition);
    }
    if (topic != NULL) {
        rd_kafka_topic_destroy(topic); /* the started partition keeps its own hold */
    }
    return code;
}

static int start_direct(struct source *source, rd_kafka_topic_partition_list_t *list)
{
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, (size_t)list->cnt + 1);
    int code = offsets_bounds(source->client, list, bounds);
    if (code == EXIT_OK) {
        code = offsets_resolve(source->client, list, &source->options->from, bounds);
    }
    if (code == EXIT_OK) {
        source_track(source, list, bounds);
        source->queue = rd_kafka_queue_new(source->client->rk);
    }
    for (int i = 0; code == EXIT_OK && i < list->cnt; i++) {
        if (!source->partitions[i].is_done) {
            code = start_partition(source, &list->elems[i]);
        }
    }
    free(bounds);
    return code;
}

static int start_group(struct source *source)
{
    const struct text_list *topics = &source->options->topics;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)topics->count);
    for (size_t i = 0; i < topics->count; i++) {
        rd_kafka_topic_partition_list_add(list, topics->items[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_poll_set_consumer(source->client->rk);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(source->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return bus_fail(source->client, err, NULL, "join group '%s'", source->options->group);
    }
    return EXIT_OK;
}

static rd_kafka_conf_t *make_conf(const struct source_options *options)
{
    rd_kafka_conf_t *conf = client_conf_new(options->client);
    client_conf_set(conf, "enable.partition.eof", "true");
    client_conf_set(conf, "fetch.wait.max.ms", "500");
    client_conf_set(conf, "allow.auto.create.topics", "false");
    client_conf_set(conf, "auto.offset.reset", "earliest");
    if (options->group != NULL) {
        client_conf_set(conf, "enable.auto.offset.store", "false");
        client_conf_set(conf, "auto.commit.interval.ms", "1000");
        client_conf_set(conf, "group.id", options->group);
        rd_kafka_conf_set_rebalance_cb(conf, source_on_rebalance);
    }
    return conf;
}

int source_open(struct source *source, const struct source_options *options)
{
    *source = (struct source){.options = options};
    int code = client_open(options->client, RD_KAFKA_CONSUMER, make_conf(options), source,
                           &source->client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (size_t i = 0; code == EXIT_OK && i < options->topics.count; i++) {
        code = list_partitions(source, options->topics.items[i], list);
    }
    if (code == EXIT_OK) {
        source->client->warns_of_outages = true;
        code = options->group != NULL ? start_group(source) : start_direct(source, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

/* Errors that librdkafka mends by itself. */
static bool is_passing(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__TRANSPORT || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
           err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED ||
           err == RD_KAFKA_RESP_ERR__RESOLVE || err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           err == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           err == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
           err == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
           err == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

/* Deals with what is no event: the end of a partition, or an error. */
static void on_signal(struct source *source, const rd_kafka_message_t *message, int *code)
{
    const char *topic = message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : NULL;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        struct source_partition *at = find(source, topic, message->partition);
        if (at != NULL && source->options->until_end && message->offset >= at->end) {
            at->is_done = true;
        }
        return;
    }
    if (!is_passing(message->err)) {
        *code = bus_fail(source->client, message->err, rd_kafka_message_errstr(message), "read %s",
                         topic != NULL ? topic : "events");
    }
}

rd_kafka_message_t *source_take(struct source *source, int timeout_ms, int *code)
{
    *code = EXIT_OK;
    rd_kafka_message_t *message;
    if (source->queue != NULL) {
        rd_kafka_poll(source->client->rk, 0);
        message = rd_kafka_consume_queue(source->queue, timeout_ms);
    } else {
        message = rd_kafka_consumer_poll(source->client->rk, timeout_ms);
    }
    if (source->failure != EXIT_OK) {
        *code = source->failure;
    }
    if (message == NULL) {
        return NULL;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        on_signal(source, message, code);
        rd_kafka_message_destroy(message);
        return NULL;
    }
    source->client->is_down = false;
    struct source_partition *at =
        find(source, rd_kafka_topic_name(message->rkt), message->partition);
    if (at != NULL && source->options->until_end && message->offset >= at->end) {
        at->is_done = true;
        rd_kafka_message_destroy(message);
        return NULL;
    }
    return message;
}

void source_processed(struct source *source, const rd_kafka_message_t *message)
{
    struct source_partition *at =
        find(source, rd_kafka_topic_name(message->rkt), message->partition);
    if (at != NULL && source->options->until_end && message->offset + 1 >= at->end) {
        at->is_done = true;
    }
    if (source->options->group != NULL) {
        /* Refused only when the partition is no longer ours: then another member reads it again. */
        rd_kafka_offset_store(message->rkt, message->partition, message->offset);
    }
}

bool source_is_done(const struct source *source)
{
    if (!source->options->until_end || (source->options->group != NULL && !source->is_assigned)) {
        return false;
    }
    for (size_t i = 0; i < source->partition_count; i++) {
        if (!source->partitions[i].is_done) {
            return false;
        }
    }
    return true;
}

static int leave_group(struct source *source)
{
    int code = EXIT_OK;
    rd_kafka_resp_err_t err = rd_kafka_commit(source->client->rk, NULL, 0);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR__NO_OFFSET) {
        code = bus_fail(source->client, err, NULL, "commit the offsets of group '%s'",
                        source->options->group);
    }
    err = rd_kafka_consumer_close(source->client->rk);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && code == EXIT_OK) {
        code = bus_fail(source->client, err, NULL, "leave group '%s'", source->options->group);
    }
    return code;
}

static void stop_direct(struct source *source)
{
    for (size_t i = 0; i < source->partition_count; i++) {
        rd_kafka_topic_t *topic =
            rd_kafka_topic_new(source->client->rk, source->partitions[i].topic, NULL);
        if (topic != NULL) {
            rd_kafka_consume_stop(topic, source->partitions[i].partition);
            rd_kafka_topic_destroy(topic);
        }
    }
    rd_kafka_queue_destroy(source->queue);
}

int source_close(struct source *source)
{
    int code = EXIT_OK;
    if (source->client != NULL && source->queue != NULL) {
        stop_direct(source);
    } else if (source->client != NULL && source->options->group != NULL) {
        code = leave_group(source);
    }
    client_close(source->client);
    free(source->partitions);
    for (size_t i = 0; i < source->names.count; i++) {
        free((void *)(uintptr_t)source->names.items[i]);
    }
    text_list_deinit(&source->names);
    *source = (struct source){0};
    return code;
}
