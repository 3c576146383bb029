#include "wire/generated/sync_group.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "group/coordinator.h"

enum err handle_sync_group(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct sync_group_request body;
    struct wire_reader whole = request->body;
    enum err err = sync_group_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (api_is_of_large_group(request, body.group_id)) {
        return api_handle_slowly(request, whole);
    }
    if (!api_allows(request, API_READ, api_group(body.group_id))) {
        struct sync_group_response denied;
        sync_group_response_init(&denied);
        denied.error_code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
        API_REPLY(request, sync_group_response_encode, &denied);
        return ERR_NONE;
    }
    if (api_version(request) >= 5 &&
        (slice_is_null(body.protocol_type) || slice_is_null(body.protocol_name))) {
        struct sync_group_response response;
        sync_group_response_init(&response);
        response.error_code = KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL;
        API_REPLY(request, sync_group_response_encode, &response);
        return ERR_NONE;
    }
    struct group_assignment *assignments =
        api_alloc(request, (size_t)body.assignments_count, sizeof *assignments);
    for (int32_t i = 0; i < body.assignments_count; i++) {
        assignments[i] = (struct group_assignment){
            .member_id = body.assignments[i].member_id,
            .assignment = body.assignments[i].assignment,
        };
    }
    struct group_sync_request sync = {
        .waiter = request->completion,
        .release = api_group_release(request),
        .member_id = body.member_id,
        .instance_id = body.group_instance_id,
        .protocol_type = body.protocol_type,
        .protocol = body.protocol_name,
        .generation = body.generation_id,
        .assignments = assignments,
        .assignment_count = (size_t)body.assignments_count,
    };
    group_coordinator_sync(request->server->groups, body.group_id, &sync);
    return ERR_NONE;
}
