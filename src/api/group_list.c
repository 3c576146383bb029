#include "wire/generated/list_groups.h"

#include "api/handlers.h"
#include "group/coordinator.h"

#include <strings.h>

/* No filter lets everything through; names compare without case (KIP-518, KIP-848). */
static bool passes(const struct slice *filter, int32_t count, const char *value)
{
    for (int32_t i = 0; i < count; i++) {
        if (filter[i].size == strlen(value) &&
            strncasecmp((const char *)filter[i].data, value, filter[i].size) == 0) {
            return true;
        }
    }
    return count <= 0;
}

enum err handle_list_groups(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct list_groups_request body;
    enum err err = list_groups_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct list_groups_response response;
    list_groups_response_init(&response);
    struct group_listing *groups;
    size_t count;
    request->arena.limit_bytes = 0; /* the limit is for decoding what a peer sent */
    err = group_coordinator_list(request->server->groups, &request->arena, &groups, &count);
    response.error_code = api_error_code(err);
    response.groups = api_alloc(request, count, sizeof *response.groups);
    bool all = api_allows(request, API_DESCRIBE, api_cluster());
    for (size_t i = 0; i < count; i++) {
        if (!all && !api_allows(request, API_DESCRIBE, api_group(groups[i].group_id))) {
            continue;
        }
        const char *state = group_state_name(groups[i].state);
        const char *type = groups[i].consumer ? "consumer" : "classic";
        if (passes(body.states_filter, body.states_filter_count, state) &&
            passes(body.types_filter, body.types_filter_count, type)) {
            response.groups[response.groups_count++] = (struct list_groups_response_group){
                .group_id = groups[i].group_id,
                .protocol_type = groups[i].protocol_type,
                .group_state = slice_str(state),
                .group_type = slice_str(type),
            };
        }
    }
    API_REPLY(request, list_groups_response_encode, &response);
    return ERR_NONE;
}
