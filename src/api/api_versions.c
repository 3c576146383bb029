#include "wire/generated/api_versions.h"
#include "api/handlers.h"
#include "txn/txn.h"

/* Clients that know transactions v2 use them when they are finalized here (KIP-584, KIP-890). */
static void add_features(struct api_request *request, struct api_versions_response *response)
{
    struct slice name = slice_str("transaction.version");
    response->supported_features = api_alloc(request, 1, sizeof *response->supported_features);
    response->supported_features_count = 1;
    response->supported_features[0] = (struct api_versions_response_supported_feature){
        .name = name, .max_version = TXN_VERSION_2};
    response->finalized_features = api_alloc(request, 1, sizeof *response->finalized_features);
    response->finalized_features_count = 1;
    response->finalized_features[0] = (struct api_versions_response_finalized_feature){
        .name = name, .max_version_level = TXN_VERSION_2, .min_version_level = TXN_VERSION_2};
    response->finalized_features_epoch = 0;
}

/*
 * An ApiVersions of a version that is not served is answered in version 0 with error 35 and the
 * list, so that the client can ask again (KIP-511).
 */
enum err handle_api_versions(struct api_request *request, struct reason *reason)
{
    struct api_versions_response response;
    api_versions_response_init(&response);
    if (api_version(request) > request->entry->highest_version || api_version(request) < 0) {
        response.error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
        request->header.api_version = 0;
    } else {
        struct api_versions_request body;
        enum err err = api_versions_request_decode(&request->body, api_version(request), &body);
        if (err != ERR_NONE) {
            return err;
        }
    }
    (void)reason;
    struct api_versions_response_api_key *keys =
        api_alloc(request, (size_t)api_table_count, sizeof *keys);
    for (int i = 0; i < api_table_count; i++) {
        keys[i] = (struct api_versions_response_api_key){
            .api_key = api_table[i].key,
            .min_version = api_table[i].lowest_version,
            .max_version = api_table[i].highest_version,
        };
    }
    response.api_keys = keys;
    response.api_keys_count = api_table_count;
    add_features(request, &response);
    API_REPLY(request, api_versions_response_encode, &response);
    return ERR_NONE;
}
