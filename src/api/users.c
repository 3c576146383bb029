#include "wire/generated/describe_client_quotas.h"
#include "wire/generated/describe_user_scram_credentials.h"
#include "wire/generated/sasl_handshake.h"

#include "api/handlers.h"

/* Users and their quotas: there are none. */

/* As Kafka answers on a listener without SASL. */
enum err handle_sasl_handshake(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct sasl_handshake_request body;
    enum err err = sasl_handshake_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct sasl_handshake_response response;
    sasl_handshake_response_init(&response);
    response.error_code = KAFKA_ERROR_ILLEGAL_SASL_STATE;
    API_REPLY(request, sasl_handshake_response_encode, &response);
    return ERR_NONE;
}

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

/* KIP-554: nobody has credentials; a user who is asked for twice is told so, once. */
enum err handle_describe_user_scram_credentials(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct describe_user_scram_credentials_request body;
    enum err err =
        describe_user_scram_credentials_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_DESCRIBE, api_cluster())) {
        struct describe_user_scram_credentials_response denied;
        describe_user_scram_credentials_response_init(&denied);
        denied.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
        API_REPLY(request, describe_user_scram_credentials_response_encode, &denied);
        return ERR_NONE;
    }
    int32_t count = body.users_count > 0 ? body.users_count : 0;
    struct slice *names = api_alloc(request, (size_t)count, sizeof *names);
    for (int32_t i = 0; i < count; i++) {
        names[i] = body.users[i].name;
    }
    const int32_t *first = api_first_of_equal(request, names, count);
    struct describe_user_scram_credentials_response response;
    describe_user_scram_credentials_response_init(&response);
    response.results = api_alloc(request, (size_t)count, sizeof *response.results);
    int32_t *place = api_alloc(request, (size_t)count, sizeof *place); /* of a first one's result */
    for (int32_t i = 0; i < count; i++) {
        if (first[i] != i) {
            struct describe_user_scram_credentials_response_result *told =
                &response.results[place[first[i]]];
            told->error_code = KAFKA_ERROR_DUPLICATE_RESOURCE;
            told->error_message = slice_str("this user is asked for more than once");
            continue;
        }
        place[i] = response.results_count++;
        response.results[place[i]] = (struct describe_user_scram_credentials_response_result){
            .user = names[i],
            .error_code = KAFKA_ERROR_RESOURCE_NOT_FOUND,
            .error_message = slice_str("this server has no users"),
        };
    }
    API_REPLY(request, describe_user_scram_credentials_response_encode, &response);
    return ERR_NONE;
}
