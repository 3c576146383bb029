#include "wire/generated/consumer_group_heartbeat.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "group/coordinator.h"

/* Whether the client may know of all topics that it names. */
static bool may_see_topics(struct api_request *request,
                           const struct consumer_group_heartbeat_request *body)
{
    for (int32_t i = 0; i < body->subscribed_topic_names_count; i++) {
        if (!api_allows(request, API_DESCRIBE, api_topic(body->subscribed_topic_names[i]))) {
            return false;
        }
    }
    return true;
}

enum err handle_consumer_group_heartbeat(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct consumer_group_heartbeat_request body;
    enum err err =
        consumer_group_heartbeat_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_READ, api_group(body.group_id))) {
        struct consumer_group_heartbeat_response denied;
        consumer_group_heartbeat_response_init(&denied);
        denied.error_code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
        API_REPLY(request, consumer_group_heartbeat_response_encode, &denied);
        return ERR_NONE;
    }
    if (!may_see_topics(request, &body)) {
        struct consumer_group_heartbeat_response denied;
        consumer_group_heartbeat_response_init(&denied);
        denied.error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        API_REPLY(request, consumer_group_heartbeat_response_encode, &denied);
        return ERR_NONE;
    }
    size_t owned_count = body.topic_partitions_count > 0 ? (size_t)body.topic_partitions_count : 0;
    struct group_topic_partitions *owned = NULL;
    if (owned_count > 0) {
        owned = api_alloc(request, owned_count, sizeof *owned);
    }
    for (size_t i = 0; i < owned_count; i++) {
        owned[i] = (struct group_topic_partitions){
            .topic = body.topic_partitions[i].topic_id,
            .partitions = body.topic_partitions[i].partitions,
            .count = (size_t)body.topic_partitions[i].partitions_count,
        };
    }
    struct slice client_id = request->client_id;
    struct consumer_heartbeat_request heartbeat = {
        .waiter = request->completion,
        .member_id = body.member_id,
        .member_epoch = body.member_epoch,
        .instance_id = body.instance_id,
        .rack_id = body.rack_id,
        .rebalance_timeout_ms = body.rebalance_timeout_ms,
        .has_topics = body.subscribed_topic_names_count >= 0,
        .topics = body.subscribed_topic_names,
        .topic_count =
            body.subscribed_topic_names_count > 0 ? (size_t)body.subscribed_topic_names_count : 0,
        .regex = body.subscribed_topic_regex,
        .assignor = body.server_assignor,
        .has_owned = body.topic_partitions_count >= 0,
        .owned = owned,
        .owned_count = owned_count,
        .client_id = slice_is_null(client_id) ? WIRE_EMPTY : client_id,
        .client_host = api_client_host(request),
    };
    group_coordinator_consumer_heartbeat(request->server->groups, body.group_id, &heartbeat);
    api_request_free(request);
    return ERR_NONE;
}
