#include "wire/generated/join_group.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "group/coordinator.h"

enum err handle_join_group(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct join_group_request body;
    struct wire_reader whole = request->body;
    int16_t version = api_version(request);
    enum err err = join_group_request_decode(&request->body, version, &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (api_is_of_large_group(request, body.group_id)) {
        return api_handle_slowly(request, whole);
    }
    if (!api_allows(request, API_READ, api_group(body.group_id))) {
        struct join_group_response denied;
        join_group_response_init(&denied);
        denied.error_code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
        API_REPLY(request, join_group_response_encode, &denied);
        return ERR_NONE;
    }
    struct group_protocol_offer *offers =
        api_alloc(request, (size_t)body.protocols_count, sizeof *offers);
    for (int32_t i = 0; i < body.protocols_count; i++) {
        offers[i] = (struct group_protocol_offer){
            .name = body.protocols[i].name,
            .metadata = body.protocols[i].metadata,
        };
    }
    struct slice client_id = request->client_id;
    struct group_join_request join = {
        .waiter = request->completion,
        .release = api_group_release(request),
        .member_id = body.member_id,
        .instance_id = body.group_instance_id,
        .client_id = slice_is_null(client_id) ? WIRE_EMPTY : client_id,
        .client_host = api_client_host(request),
        .protocol_type = body.protocol_type,
        .reason = body.reason,
        .protocols = offers,
        .protocol_count = (size_t)body.protocols_count,
        .session_timeout_ms = body.session_timeout_ms,
        .rebalance_timeout_ms = version >= 1 ? body.rebalance_timeout_ms : body.session_timeout_ms,
        .member_id_required = version >= 4 && slice_is_null(body.group_instance_id),
        .can_skip_assignment = version >= 9,
    };
    api_connection_joins(request->connection, body.group_id, body.session_timeout_ms,
                         clock_wall_ms(request->server->clock));
    group_coordinator_join(request->server->groups, body.group_id, &join);
    return ERR_NONE;
}
