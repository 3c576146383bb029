#include "wire/generated/api_versions.h"
#include "api/handlers.h"
#include "txn/txn.h"

/*
 * What clients look here for (KIP-584): transactions v2 (KIP-890) and the consumer protocol
 * (KIP-848), which they use when they are finalized; tools read a release from metadata.version.
 */
static void add_features(struct api_request *request, struct api_versions_response *response)
{
    const struct {
        const char *name;
        int16_t least;
        int16_t most;
        bool finalized;
    } features[] = {
        {"group.version", 0, 1, request->server->config.consumer_protocol},
        {"metadata.version", API_METADATA_LEVEL, API_METADATA_LEVEL, true},
        {"transaction.version", 0, TXN_VERSION_2, true},
    };
    int32_t count = sizeof features / sizeof features[0];
    response->supported_features =
        api_alloc(request, (size_t)count, sizeof *response->supported_features);
    response->finalized_features =
        api_alloc(request, (size_t)count, sizeof *response->finalized_features);
    response->finalized_features_epoch = 0;
    for (int32_t i = 0; i < count; i++) {
        struct slice name = slice_str(features[i].name);
        /* Older clients refuse a least version of 0 (KAFKA-17011). */
        if (api_version(request) >= 4 || features[i].least > 0) {
            response->supported_features[response->supported_features_count++] =
                (struct api_versions_response_supported_feature){
                    .name = name,
                    .min_version = features[i].least,
                    .max_version = features[i].most,
                };
        }
        if (features[i].finalized) {
            response->finalized_features[response->finalized_features_count++] =
                (struct api_versions_response_finalized_feature){
                    .name = name,
                    .max_version_level = features[i].most,
                    .min_version_level = features[i].most,
                };
        }
    }
}

/* From this version on clients tell their software's name and version (KIP-511). */
enum { SOFTWARE_VERSION = 3 };

/* Whether the client expected another server or cluster behind this address (KIP-1242). */
static bool is_misrouted(const struct api_server *server, const struct api_versions_request *body)
{
    bool cluster = slice_is_null(body->cluster_id) ||
                   slice_equal_str(body->cluster_id, catalogue_cluster_id(server->catalogue));
    return !cluster || (body->node_id != -1 && body->node_id != server->config.node_id);
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
        request->completion.api_version = 0;
    } else {
        struct api_versions_request body;
        enum err err = api_versions_request_decode(&request->body, api_version(request), &body);
        if (err != ERR_NONE) {
            return err;
        }
        if (api_version(request) >= SOFTWARE_VERSION &&
            !api_connection_set_software(request->connection, body.client_software_name,
                                         body.client_software_version)) {
            response.error_code = KAFKA_ERROR_INVALID_REQUEST;
        } else if (is_misrouted(request->server, &body)) {
            response.error_code = KAFKA_ERROR_REBOOTSTRAP_REQUIRED;
        }
        if (response.error_code != KAFKA_ERROR_NONE) {
            API_REPLY(request, api_versions_response_encode, &response);
            return ERR_NONE;
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
