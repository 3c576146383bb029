#include "wire/generated/describe_client_quotas.h"

#include "api/handlers.h"

/* KIP-546: no quota matches any filter. */
enum err handle_describe_client_quotas(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct describe_client_quotas_request body;
    enum err err =
        describe_client_quotas_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_DESCRIBE_CONFIGS, api_cluster())) {
        struct describe_client_quotas_response denied;
        describe_client_quotas_response_init(&denied);
        denied.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
        API_REPLY(request, describe_client_quotas_response_encode, &denied);
        return ERR_NONE;
    }
    struct describe_client_quotas_response response;
    describe_client_quotas_response_init(&response);
    response.entries = api_alloc(request, 0, sizeof *response.entries); /* empty, not null */
    API_REPLY(request, describe_client_quotas_response_encode, &response);
    return ERR_NONE;
}
