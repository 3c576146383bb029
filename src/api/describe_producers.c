#include "wire/generated/describe_producers.h"

#include "api/handlers.h"
#include "base/mem.h"
#include "base/vec.h"
#include "log/producer_state.h"
#include "topic/topic.h"

#include <stdlib.h>

/* What the log of a partition knows of its producers (KIP-664): how to find an open transaction. */

/* Copies, so that nothing of the request is done under the log's lock. */
struct copied {
    VEC_FIELDS(struct describe_producers_response_producer);
};

static void copy_producer(void *context, const struct producer_entry *entry)
{
    struct copied *copied = context;
    struct describe_producers_response_producer *out = vec_add(copied);
    describe_producers_response_producer_init(out);
    out->producer_id = entry->producer_id;
    out->producer_epoch = entry->epoch;
    if (entry->batch_count > 0) {
        out->last_sequence = entry->batches[entry->batch_count - 1].last_sequence;
    }
    out->last_timestamp = entry->last_timestamp;
    out->coordinator_epoch = entry->coordinator_epoch;
    out->current_txn_start_offset = entry->txn_first_offset;
}

static void describe(struct api_request *request, struct topic *topic,
                     struct describe_producers_response_partition *out)
{
    struct partition *partition = topic_partition(topic, out->partition_index);
    if (partition == NULL) {
        out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        out->error_message = api_text(request, "topic '%s' has no partition %d", topic->name,
                                      (int)out->partition_index);
        return;
    }
    struct copied copied = {.count = 0};
    struct reason ignored; /* loading has logged it */
    if (partition_load(partition, &ignored) == ERR_NONE) {
        log_each_producer(partition->log, copy_producer, &copied);
    }
    out->active_producers_count = (int32_t)copied.count;
    out->active_producers = api_alloc(request, copied.count, sizeof *out->active_producers);
    for (size_t i = 0; i < copied.count; i++) {
        out->active_producers[i] = copied.items[i];
    }
    vec_deinit(&copied);
}

static enum err answer_topic(struct api_request *request,
                             const struct describe_producers_request_topic *in,
                             struct describe_producers_response_topic *out, struct reason *reason)
{
    struct reason why = {.text = ""};
    int16_t code = KAFKA_ERROR_NONE;
    struct topic *topic = NULL;
    if (!api_allows(request, API_READ, api_topic(in->name))) {
        code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        reason_set(&why, "this client may not read the topic");
    } else if (topic_check_name(in->name, &why) != ERR_NONE) {
        code = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
    } else {
        topic = catalogue_find(request->server->catalogue, in->name);
        code = topic == NULL ? KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION : code;
    }
    describe_producers_response_topic_init(out);
    out->name = in->name;
    out->partitions_count = in->partition_indexes_count;
    out->partitions =
        api_alloc(request, (size_t)in->partition_indexes_count, sizeof *out->partitions);
    enum err err = ERR_NONE;
    for (int32_t i = 0; i < in->partition_indexes_count && err == ERR_NONE; i++) {
        struct describe_producers_response_partition *answer = &out->partitions[i];
        describe_producers_response_partition_init(answer);
        answer->partition_index = in->partition_indexes[i];
        answer->error_code = code;
        if (topic != NULL) {
            describe(request, topic, answer);
            err = api_check_size(request, reason);
        } else {
            answer->error_message = why.text[0] != '\0' ? api_reason(request, &why)
                                                        : slice_str("there is no such topic");
        }
    }
    if (topic != NULL) {
        topic_unref(topic);
    }
    return err;
}

enum err handle_describe_producers(struct api_request *request, struct reason *reason)
{
    struct describe_producers_request body;
    enum err err = describe_producers_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct describe_producers_response response;
    describe_producers_response_init(&response);
    response.topics = api_alloc(request, (size_t)body.topics_count, sizeof *response.topics);
    response.topics_count = body.topics_count;
    for (int32_t i = 0; i < body.topics_count; i++) {
        err = answer_topic(request, &body.topics[i], &response.topics[i], reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    API_REPLY(request, describe_producers_response_encode, &response);
    return ERR_NONE;
}
