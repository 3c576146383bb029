#include "wire/generated/create_partitions.h"

#include "api/handlers.h"
#include "api/topic_admin.h"

static enum err check_assignments(struct api_request *request, const struct topic *topic,
                                  const struct create_partitions_request_topic *in,
                                  struct reason *reason)
{
    int64_t added = (int64_t)in->count - topic_partition_count(topic);
    if (in->assignments_count < 0 || added <= 0) {
        return ERR_NONE; /* nothing assigned, or refused by its count */
    }
    if (in->assignments_count != added) {
        return reason_fail(reason, ERR_INVALID, "%d partitions are added but %d are assigned",
                           (int)added, (int)in->assignments_count);
    }
    enum err err = ERR_NONE;
    for (int32_t i = 0; err == ERR_NONE && i < (int32_t)added; i++) {
        err = admin_check_replicas(request->server, in->assignments[i].broker_ids,
                                   in->assignments[i].broker_ids_count,
                                   topic_partition_count(topic) + i, reason);
    }
    return err;
}

static void grow_one(struct api_request *request, const struct create_partitions_request_topic *in,
                     bool validate_only, struct create_partitions_response_result *out)
{
    create_partitions_response_result_init(out);
    out->name = in->name;
    if (!api_allows(request, API_ALTER, api_topic(in->name))) {
        out->error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        out->error_message = slice_str("this client may not change the topic");
        return;
    }
    struct topic *topic = catalogue_find(request->server->catalogue, in->name);
    if (topic == NULL) {
        out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        out->error_message = api_text(request, "topic '%.*s' does not exist", SLICE_ARGS(in->name));
        return;
    }
    struct reason reason = {.text = ""};
    if (topic->internal) {
        out->error_code = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        reason_set(&reason, "'%s' is the server's own topic", topic->name);
    } else if (check_assignments(request, topic, in, &reason) != ERR_NONE) {
        out->error_code = KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT;
    } else {
        out->error_code = admin_error_code(catalogue_add_partitions(
            request->server->catalogue, topic, in->count, validate_only, &reason));
    }
    out->error_message = api_reason(request, &reason);
    topic_unref(topic);
}

enum err handle_create_partitions(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct create_partitions_request body;
    enum err err = create_partitions_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct create_partitions_response response;
    create_partitions_response_init(&response);
    response.results = api_alloc(request, (size_t)body.topics_count, sizeof *response.results);
    response.results_count = body.topics_count;
    struct slice *names = api_alloc(request, (size_t)body.topics_count, sizeof *names);
    for (int32_t i = 0; i < body.topics_count; i++) {
        names[i] = body.topics[i].name;
    }
    const bool *repeated = admin_find_repeated(request, names, body.topics_count);
    for (int32_t i = 0; i < body.topics_count; i++) {
        if (repeated[i]) {
            create_partitions_response_result_init(&response.results[i]);
            response.results[i].name = names[i];
            response.results[i].error_code = KAFKA_ERROR_INVALID_REQUEST;
            response.results[i].error_message = slice_str("the topic is in the request twice");
            continue;
        }
        grow_one(request, &body.topics[i], body.validate_only, &response.results[i]);
    }
    API_REPLY(request, create_partitions_response_encode, &response);
    return ERR_NONE;
}
