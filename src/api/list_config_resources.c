#include "wire/generated/list_config_resources.h"

#include "api/config_resource.h"
#include "api/handlers.h"

#include <stdlib.h>

/* What has settings (KIP-1142): topics, this server, groups with settings of their own. */

struct listing {
    struct api_request *request;
    struct list_config_resources_response *response;
};

static void add(struct listing *listing, struct slice name, int8_t type)
{
    struct list_config_resources_response *response = listing->response;
    response->config_resources[response->config_resources_count++] =
        (struct list_config_resources_response_config_resource){
            .resource_name = api_keep(listing->request, name), .resource_type = type};
}

static bool is_known(int8_t type)
{
    return type == CONFIG_RESOURCE_TOPIC || type == CONFIG_RESOURCE_BROKER ||
           type == CONFIG_RESOURCE_BROKER_LOGGER || type == CONFIG_RESOURCE_CLIENT_METRICS ||
           type == CONFIG_RESOURCE_GROUP;
}

/* No type named is every type. */
static bool is_wanted(const struct list_config_resources_request *body, int8_t type)
{
    for (int32_t i = 0; i < body->resource_types_count; i++) {
        if (body->resource_types[i] == type) {
            return true;
        }
    }
    return body->resource_types_count <= 0;
}

static void list_all(struct listing *listing, const struct list_config_resources_request *body)
{
    struct api_server *server = listing->request->server;
    size_t group_count;
    struct topic_list *topics = catalogue_list(server->catalogue);
    char **groups = catalogue_groups_with_settings(server->catalogue, &group_count);
    listing->response->config_resources =
        api_alloc(listing->request, topics->count + group_count + 1,
                  sizeof *listing->response->config_resources);
    for (size_t i = 0; is_wanted(body, CONFIG_RESOURCE_TOPIC) && i < topics->count; i++) {
        add(listing, slice_str(topics->items[i]->name), CONFIG_RESOURCE_TOPIC);
    }
    if (is_wanted(body, CONFIG_RESOURCE_BROKER)) {
        add(listing, api_text(listing->request, "%d", (int)server->config.node_id),
            CONFIG_RESOURCE_BROKER);
    }
    for (size_t i = 0; is_wanted(body, CONFIG_RESOURCE_GROUP) && i < group_count; i++) {
        add(listing, slice_str(groups[i]), CONFIG_RESOURCE_GROUP);
    }
    topic_list_unref(topics);
    for (size_t i = 0; i < group_count; i++) {
        free(groups[i]);
    }
    free(groups);
}

enum err handle_list_config_resources(struct api_request *request, struct reason *reason)
{
    struct list_config_resources_request body;
    enum err err =
        list_config_resources_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_DESCRIBE_CONFIGS, api_cluster())) {
        struct list_config_resources_response denied;
        list_config_resources_response_init(&denied);
        denied.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
        API_REPLY(request, list_config_resources_response_encode, &denied);
        return ERR_NONE;
    }
    struct list_config_resources_response response;
    list_config_resources_response_init(&response);
    for (int32_t i = 0; i < body.resource_types_count; i++) {
        if (!is_known(body.resource_types[i])) {
            response.error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
        }
    }
    /* Version 0 asks for client metrics, of which there are none. */
    if (api_version(request) > 0 && response.error_code == KAFKA_ERROR_NONE) {
        struct listing listing = {request, &response};
        list_all(&listing, &body);
        err = api_check_size(request, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    API_REPLY(request, list_config_resources_response_encode, &response);
    return ERR_NONE;
}
