#include "wire/generated/describe_groups.h"

#include "api/handlers.h"
#include "group/coordinator.h"

static void describe_one(struct api_request *request, struct slice group_id, bool operations,
                         struct describe_groups_response_group *out)
{
    struct group_description found;
    bool exists;
    describe_groups_response_group_init(out);
    out->group_id = group_id;
    if (!api_allows(request, API_DESCRIBE, api_group(group_id))) {
        out->error_code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
        return;
    }
    enum err err = group_coordinator_describe(request->server->groups, group_id, &request->arena,
                                              &found, &exists);
    out->error_code = api_error_code(err);
    if (err != ERR_NONE) {
        return;
    }
    out->group_state = slice_str(group_state_name(found.state));
    out->protocol_type = found.protocol_type;
    out->protocol_data = found.protocol;
    out->members = api_alloc(request, found.member_count, sizeof *out->members);
    out->members_count = (int32_t)found.member_count;
    for (size_t i = 0; i < found.member_count; i++) {
        out->members[i] = (struct describe_groups_response_member){
            .member_id = found.members[i].member_id,
            .group_instance_id = found.members[i].instance_id,
            .client_id = found.members[i].client_id,
            .client_host = found.members[i].client_host,
            .member_metadata = found.members[i].metadata,
            .member_assignment = found.members[i].assignment,
        };
    }
    if (operations) {
        out->authorized_operations = api_allowed_operations(request, api_group(group_id));
    }
}

enum err handle_describe_groups(struct api_request *request, struct reason *reason)
{
    struct describe_groups_request body;
    enum err err = describe_groups_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct describe_groups_response response;
    describe_groups_response_init(&response);
    response.groups = api_alloc(request, (size_t)body.groups_count, sizeof *response.groups);
    response.groups_count = body.groups_count;
    for (int32_t i = 0; i < body.groups_count; i++) {
        describe_one(request, body.groups[i], body.include_authorized_operations,
                     &response.groups[i]);
        err = api_check_size(request, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    API_REPLY(request, describe_groups_response_encode, &response);
    return ERR_NONE;
}
