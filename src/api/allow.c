#include "api/allow.h"

#include "api/api.h"
#include "security/authorizer.h"

#include <assert.h>

/* Operations that a kind of resource knows. */
static const int32_t operations_of[] = {
    [API_TOPIC] = 1 << API_READ | 1 << API_WRITE | 1 << API_CREATE | 1 << API_DELETE |
                  1 << API_ALTER | 1 << API_DESCRIBE | 1 << API_DESCRIBE_CONFIGS |
                  1 << API_ALTER_CONFIGS,
    [API_GROUP] = 1 << API_READ | 1 << API_DELETE | 1 << API_DESCRIBE,
    [API_CLUSTER] = 1 << API_CREATE | 1 << API_ALTER | 1 << API_DESCRIBE | 1 << API_CLUSTER_ACTION |
                    1 << API_DESCRIBE_CONFIGS | 1 << API_ALTER_CONFIGS | 1 << API_IDEMPOTENT_WRITE,
    [API_TRANSACTIONAL_ID] = 1 << API_WRITE | 1 << API_DESCRIBE,
};

static bool is_in_row(const struct api_entry *entry, enum api_operation operation,
                      enum api_resource_kind kind)
{
    for (int i = 0; i < API_PERMISSIONS; i++) {
        if (entry->asks[i].operation == operation && entry->asks[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static const struct api_authorizer *authorizer_of(const struct api_request *request)
{
    return atomic_load_explicit(&request->server->authorizer, memory_order_acquire);
}

bool api_allows(const struct api_request *request, enum api_operation operation,
                struct api_resource resource)
{
    const struct api_authorizer *authorizer = authorizer_of(request);
    if (authorizer == NULL) {
        return true;
    }
    assert(is_in_row(request->entry, operation, resource.kind));
    return authorizer->allows(authorizer->context, request->connection, operation, resource);
}

static bool allows_by_rules(void *context, const struct api_connection *who,
                            enum api_operation operation, struct api_resource resource)
{
    const struct acl_question question = {
        .kind = (int8_t)resource.kind,
        .operation = (int8_t)operation,
        .name = resource.name,
        .principal = slice_str(who->principal),
        .host = api_connection_host(who),
    };
    return who->is_own || authorizer_allows(context, &question);
}

struct api_authorizer api_authorizer_by(struct authorizer *rules)
{
    return (struct api_authorizer){.context = rules, .allows = allows_by_rules};
}

int32_t api_allowed_operations(const struct api_request *request, struct api_resource resource)
{
    const struct api_authorizer *authorizer = authorizer_of(request);
    if (authorizer == NULL) {
        return operations_of[resource.kind];
    }
    int32_t allowed = 0;
    for (int operation = API_READ; operation <= API_IDEMPOTENT_WRITE; operation++) {
        int32_t bit = operations_of[resource.kind] & 1 << operation;
        if (bit != 0 && authorizer->allows(authorizer->context, request->connection,
                                           (enum api_operation)operation, resource)) {
            allowed |= bit;
        }
    }
    return allowed;
}

int32_t api_cluster_operations(const struct api_request *request)
{
    return api_allows(request, API_DESCRIBE, api_cluster())
               ? api_allowed_operations(request, api_cluster())
               : 0;
}
