#include "wire/generated/heartbeat.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "group/coordinator.h"

enum err handle_heartbeat(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct heartbeat_request body;
    struct wire_reader whole = request->body;
    enum err err = heartbeat_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (api_is_of_large_group(request, body.group_id)) {
        return api_handle_slowly(request, whole);
    }
    if (!api_allows(request, API_READ, api_group(body.group_id))) {
        struct heartbeat_response denied;
        heartbeat_response_init(&denied);
        denied.error_code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
        API_REPLY(request, heartbeat_response_encode, &denied);
        return ERR_NONE;
    }
    struct heartbeat_response response;
    heartbeat_response_init(&response);
    response.error_code = api_error_code(
        group_coordinator_heartbeat(request->server->groups, body.group_id, body.member_id,
                                    body.group_instance_id, body.generation_id));
    API_REPLY(request, heartbeat_response_encode, &response);
    return ERR_NONE;
}
