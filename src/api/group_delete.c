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
    struct group_waiter waiter = api_group_waiter(request);
    conn_hold(request->conn, request->token);
    group_coordinator_delete(request->server->groups, &waiter, body.groups_names,
                             (size_t)body.groups_names_count);
    api_request_free(request);
    return ERR_NONE;
}
