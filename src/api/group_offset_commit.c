#include "wire/generated/offset_commit.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "api/offset_topic.h"
#include "group/coordinator.h"

/* The commits of one topic; those of partitions that do not exist are only echoed. */
static size_t add_topic(struct api_request *request, struct slice group,
                        const struct offset_commit_request_topic *in,
                        struct group_offset_commit *out)
{
    struct offset_topic topic;
    offset_topic_find(request, in->name, NULL, &topic);
    offset_topic_count(request, group, &topic, in->partitions_count);
    for (int32_t i = 0; i < in->partitions_count; i++) {
        const struct offset_commit_request_partition *from = &in->partitions[i];
        out[i] = offset_topic_commit(&topic, from->partition_index);
        out[i].offset = from->committed_offset;
        out[i].leader_epoch = from->committed_leader_epoch;
        out[i].metadata = from->committed_metadata;
    }
    offset_topic_release(&topic);
    return (size_t)in->partitions_count;
}

/* The group is not the client's to commit to. */
static void deny_all(struct api_request *request, const struct offset_commit_request *body)
{
    struct offset_commit_response response;
    offset_commit_response_init(&response);
    response.topics = api_alloc(request, (size_t)body->topics_count, sizeof *response.topics);
    response.topics_count = body->topics_count;
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct offset_commit_request_topic *in = &body->topics[t];
        struct offset_commit_response_topic *out = &response.topics[t];
        out->name = in->name;
        out->partitions = api_alloc(request, (size_t)in->partitions_count, sizeof *out->partitions);
        out->partitions_count = in->partitions_count;
        for (int32_t i = 0; i < in->partitions_count; i++) {
            out->partitions[i] = (struct offset_commit_response_partition){
                .partition_index = in->partitions[i].partition_index,
                .error_code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED,
            };
        }
    }
    API_REPLY(request, offset_commit_response_encode, &response);
}

enum err handle_offset_commit(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct offset_commit_request body;
    struct wire_reader whole = request->body;
    enum err err = offset_commit_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (api_is_of_large_group(request, body.group_id)) {
        return api_handle_slowly(request, whole);
    }
    if (!api_allows(request, API_READ, api_group(body.group_id))) {
        deny_all(request, &body);
        return ERR_NONE;
    }
    size_t count = 0;
    for (int32_t t = 0; t < body.topics_count; t++) {
        count += (size_t)body.topics[t].partitions_count;
    }
    struct group_offset_commit *offsets = api_alloc(request, count, sizeof *offsets);
    size_t filled = 0;
    for (int32_t t = 0; t < body.topics_count; t++) {
        filled += add_topic(request, body.group_id, &body.topics[t], offsets + filled);
    }
    struct group_commit_request commit = {
        .waiter = request->completion,
        .release = api_group_release(request),
        .member_id = body.member_id,
        .instance_id = body.group_instance_id,
        .generation = body.generation_id_or_member_epoch,
        .retention_ms = body.retention_time_ms,
        .client_id = request->client_id,
        .client_host = slice_str(request->connection->peer),
        .offsets = offsets,
        .count = count,
    };
    api_hold(request); /* an OffsetFetch that follows must see it */
    group_coordinator_commit(request->server->groups, body.group_id, &commit);
    return ERR_NONE;
}
