#include "wire/generated/create_acls.h"
#include "wire/generated/delete_acls.h"
#include "wire/generated/describe_acls.h"

#include "api/handlers.h"

/* ACLs (KIP-11, KIP-290): there are none, so these answer as Kafka does without an authorizer. */

static struct slice no_acls(void)
{
    return slice_str("this server keeps no ACLs: whoever can connect may do everything");
}

enum err handle_describe_acls(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct describe_acls_request body;
    enum err err = describe_acls_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct describe_acls_response response;
    describe_acls_response_init(&response);
    response.error_code = KAFKA_ERROR_SECURITY_DISABLED;
    response.error_message = no_acls();
    API_REPLY(request, describe_acls_response_encode, &response);
    return ERR_NONE;
}

enum err handle_create_acls(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct create_acls_request body;
    enum err err = create_acls_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct create_acls_response response;
    create_acls_response_init(&response);
    response.results = api_alloc(request, (size_t)body.creations_count, sizeof *response.results);
    response.results_count = body.creations_count;
    for (int32_t i = 0; i < body.creations_count; i++) {
        response.results[i] = (struct create_acls_response_result){
            .error_code = KAFKA_ERROR_SECURITY_DISABLED, .error_message = no_acls()};
    }
    API_REPLY(request, create_acls_response_encode, &response);
    return ERR_NONE;
}

enum err handle_delete_acls(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct delete_acls_request body;
    enum err err = delete_acls_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct delete_acls_response response;
    delete_acls_response_init(&response);
    response.filter_results =
        api_alloc(request, (size_t)body.filters_count, sizeof *response.filter_results);
    response.filter_results_count = body.filters_count;
    for (int32_t i = 0; i < body.filters_count; i++) {
        response.filter_results[i] = (struct delete_acls_response_filter_result){
            .error_code = KAFKA_ERROR_SECURITY_DISABLED, .error_message = no_acls()};
    }
    API_REPLY(request, delete_acls_response_encode, &response);
    return ERR_NONE;
}
