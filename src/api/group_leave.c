#include "wire/generated/leave_group.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "group/coordinator.h"

/* Before version 3: one member, whose error is the request's. */
static void leave_single(struct api_request *request, const struct leave_group_request *body,
                         struct leave_group_response *response)
{
    struct group_leaving member = {.member_id = body->member_id};
    enum err err = group_coordinator_leave(request->server->groups, body->group_id, &member, 1);
    response->error_code = api_error_code(err != ERR_NONE ? err : member.err);
}

static void leave_many(struct api_request *request, const struct leave_group_request *body,
                       struct leave_group_response *response)
{
    int32_t count = body->members_count;
    struct group_leaving *members = api_alloc(request, (size_t)count, sizeof *members);
    for (int32_t i = 0; i < count; i++) {
        members[i].member_id = body->members[i].member_id;
        members[i].instance_id = body->members[i].group_instance_id;
        members[i].reason = body->members[i].reason;
    }
    enum err err =
        group_coordinator_leave(request->server->groups, body->group_id, members, (size_t)count);
    response->error_code = api_error_code(err);
    response->members = api_alloc(request, (size_t)count, sizeof *response->members);
    response->members_count = err == ERR_NONE ? count : 0;
    for (int32_t i = 0; i < response->members_count; i++) {
        response->members[i] = (struct leave_group_response_member){
            .member_id = members[i].member_id,
            .group_instance_id = members[i].instance_id,
            .error_code = api_error_code(members[i].err),
        };
    }
}

enum err handle_leave_group(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct leave_group_request body;
    struct wire_reader whole = request->body;
    enum err err = leave_group_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (api_is_of_large_group(request, body.group_id)) {
        return api_handle_slowly(request, whole);
    }
    if (!api_allows(request, API_READ, api_group(body.group_id))) {
        struct leave_group_response denied;
        leave_group_response_init(&denied);
        denied.error_code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
        API_REPLY(request, leave_group_response_encode, &denied);
        return ERR_NONE;
    }
    struct leave_group_response response;
    leave_group_response_init(&response);
    if (api_version(request) >= 3) {
        leave_many(request, &body, &response);
    } else {
        leave_single(request, &body, &response);
    }
    API_REPLY(request, leave_group_response_encode, &response);
    return ERR_NONE;
}
