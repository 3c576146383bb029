#include "wire/generated/create_acls.h"
#include "wire/generated/delete_acls.h"
#include "wire/generated/describe_acls.h"

#include "api/handlers.h"

/* ACLs (KIP-11, KIP-290): there are none, so these answer as Kafka does without an authorizer. */

static struct slice no_acls(void)
{
    return slice_str("this server keeps no ACLs: whoever can connect may do everything");
}

/* What each change of ACLs gets: the code, and the words for it in *message. */
static int16_t refuse_change(const struct api_request *request, struct slice *message)
{
    bool allowed = api_allows(request, API_ALTER, api_cluster());
    *message = allowed ? no_acls() : slice_str("this client may not change ACLs");
    return allowed ? KAFKA_ERROR_SECURITY_DISABLED : KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
}

enum err handle_describe_acls(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct describe_acls_request body;
    enum err err = describe_acls_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_DESCRIBE, api_cluster())) {
        struct describe_acls_response denied;
        describe_acls_response_init(&denied);
        denied.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
        API_REPLY(request, describe_acls_response_encode, &denied);
        return ERR_NONE;
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
    struct slice message;
    int16_t code = refuse_change(request, &message);
    struct create_acls_response response;
    create_acls_response_init(&response);
    response.results = api_alloc(request, (size_t)body.creations_count, sizeof *response.results);
    response.results_count = body.creations_count;
    for (int32_t i = 0; i < body.creations_count; i++) {
        response.results[i] =
            (struct create_acls_response_result){.error_code = code, .error_message = message};
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
    struct slice message;
    int16_t code = refuse_change(request, &message);
    struct delete_acls_response response;
    delete_acls_response_init(&response);
    response.filter_results =
        api_alloc(request, (size_t)body.filters_count, sizeof *response.filter_results);
    response.filter_results_count = body.filters_count;
    for (int32_t i = 0; i < body.filters_count; i++) {
        response.filter_results[i] = (struct delete_acls_response_filter_result){
            .error_code = code, .error_message = message};
    }
    API_REPLY(request, delete_acls_response_encode, &response);
    return ERR_NONE;
}
