#include "wire/generated/offset_delete.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "group/coordinator.h"

enum err handle_offset_delete(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct offset_delete_request body;
    enum err err = offset_delete_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_DELETE, api_group(body.group_id))) {
        struct offset_delete_response denied;
        offset_delete_response_init(&denied);
        denied.error_code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
        API_REPLY(request, offset_delete_response_encode, &denied);
        return ERR_NONE;
    }
    size_t count = 0;
    for (int32_t t = 0; t < body.topics_count; t++) {
        count += (size_t)body.topics[t].partitions_count;
    }
    struct group_partition *partitions = api_alloc(request, count, sizeof *partitions);
    size_t filled = 0;
    for (int32_t t = 0; t < body.topics_count; t++) {
        bool allowed = api_allows(request, API_READ, api_topic(body.topics[t].name));
        struct topic *topic = catalogue_find(request->server->catalogue, body.topics[t].name);
        for (int32_t i = 0; i < body.topics[t].partitions_count; i++) {
            int32_t index = body.topics[t].partitions[i].partition_index;
            bool exists = topic != NULL && topic_partition(topic, index) != NULL;
            partitions[filled++] = (struct group_partition){
                .topic = body.topics[t].name,
                .partition = index,
                .err = !allowed ? ERR_TOPIC_DENIED
                       : exists ? ERR_NONE
                                : ERR_NOT_FOUND,
            };
        }
        if (topic != NULL) {
            topic_unref(topic);
        }
    }
    struct group_offset_delete_request deletion = {
        .waiter = request->completion,
        .release = api_group_release(request),
        .partitions = partitions,
        .count = count,
    };
    group_coordinator_offset_delete(request->server->groups, body.group_id, &deletion);
    return ERR_NONE;
}
