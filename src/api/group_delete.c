#include "wire/generated/delete_groups.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "group/coordinator.h"

enum err handle_delete_groups(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct delete_groups_request body;
    enum err err = delete_groups_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    size_t count = (size_t)body.groups_names_count;
    struct group_delete_result *wanted = api_alloc(request, count, sizeof *wanted);
    for (size_t i = 0; i < count; i++) {
        struct slice id = body.groups_names[i];
        bool allowed = api_allows(request, API_DELETE, api_group(id));
        wanted[i] = (struct group_delete_result){id, allowed ? ERR_NONE : ERR_GROUP_DENIED};
    }
    group_coordinator_delete(request->server->groups, &request->completion, wanted, count,
                             api_group_release(request));
    return ERR_NONE;
}
