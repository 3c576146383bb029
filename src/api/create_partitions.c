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

/* From the request to its answer. */
struct create_partitions_call {
    struct create_partitions_request body;
    struct create_partitions_response response;
    const bool *repeated;
    int32_t next;
    struct catalogue_change *change; /* that is on its way */
};

static void end_change(struct api_request *request, struct create_partitions_call *call,
                       struct create_partitions_response_result *out)
{
    struct reason reason = {.text = ""};
    out->error_code = admin_error_code(catalogue_change_end(call->change, NULL, &reason));
    out->error_message = api_reason(request, &reason);
    call->change = NULL;
}

static void begin_known(struct api_request *request, struct create_partitions_call *call,
                        struct topic *topic, struct create_partitions_response_result *out)
{
    const struct create_partitions_request_topic *in = &call->body.topics[call->next];
    struct reason reason = {.text = ""};
    if (topic->internal) {
        out->error_code = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        reason_set(&reason, "'%s' is the server's own topic", topic->name);
    } else if (check_assignments(request, topic, in, &reason) != ERR_NONE) {
        out->error_code = KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT;
    } else {
        out->error_code = admin_error_code(catalogue_grow_begin(request->server->catalogue, topic,
                                                                in->count, call->body.validate_only,
                                                                &call->change, &reason));
    }
    out->error_message = api_reason(request, &reason);
}

/* Begins to add partitions, or says why not. */
static void begin_one(struct api_request *request, struct create_partitions_call *call,
                      struct create_partitions_response_result *out)
{
    struct slice name = call->body.topics[call->next].name;
    create_partitions_response_result_init(out);
    out->name = name;
    if (call->repeated[call->next]) {
        out->error_code = KAFKA_ERROR_INVALID_REQUEST;
        out->error_message = slice_str("the topic is in the request twice");
        return;
    }
    if (!api_allows(request, API_ALTER, api_topic(name))) {
        out->error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        out->error_message = slice_str("this client may not change the topic");
        return;
    }
    struct topic *topic = catalogue_find(request->server->catalogue, name);
    if (topic == NULL) {
        out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        out->error_message = api_text(request, "topic '%.*s' does not exist", SLICE_ARGS(name));
        return;
    }
    begin_known(request, call, topic, out);
    topic_unref(topic);
}

/* A topic, or a piece of one, a turn. */
static enum err grow_some(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct create_partitions_call *call = request->state;
    if (call->next < call->body.topics_count) {
        struct create_partitions_response_result *out = &call->response.results[call->next];
        if (call->change == NULL) {
            begin_one(request, call, out);
        }
        if (call->change != NULL && !catalogue_change_step(call->change)) {
            end_change(request, call, out);
        }
        call->next += call->change == NULL;
    }
    if (call->next < call->body.topics_count) {
        return api_go_on_slowly(request, grow_some);
    }
    API_REPLY(request, create_partitions_response_encode, &call->response);
    return ERR_NONE;
}

enum err handle_create_partitions(struct api_request *request, struct reason *reason)
{
    struct create_partitions_call *call = api_alloc_state(request, sizeof *call);
    struct create_partitions_request *body = &call->body;
    enum err err = create_partitions_request_decode(&request->body, api_version(request), body);
    if (err != ERR_NONE) {
        return err;
    }
    create_partitions_response_init(&call->response);
    call->response.results =
        api_alloc(request, (size_t)body->topics_count, sizeof *call->response.results);
    call->response.results_count = body->topics_count;
    struct slice *names = api_alloc(request, (size_t)body->topics_count, sizeof *names);
    for (int32_t i = 0; i < body->topics_count; i++) {
        names[i] = body->topics[i].name;
    }
    call->repeated = admin_find_repeated(request, names, body->topics_count);
    return grow_some(request, reason);
}
