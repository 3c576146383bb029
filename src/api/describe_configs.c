#include "wire/generated/describe_configs.h"

#include "api/config_resource.h"
#include "api/handlers.h"

#include <string.h>

struct listing {
    struct api_request *request;
    const struct describe_configs_request *body;
    const struct describe_configs_request_resource *resource;
    struct describe_configs_response_result *result;
};

static bool is_wanted(const struct describe_configs_request_resource *resource, const char *name)
{
    if (resource->configuration_keys_count <= 0) {
        return true;
    }
    for (int32_t i = 0; i < resource->configuration_keys_count; i++) {
        if (slice_equal_str(resource->configuration_keys[i], name)) {
            return true;
        }
    }
    return false;
}

/* Null for what is told to nobody. */
static struct slice shown(struct listing *listing, int8_t type, const char *value)
{
    return type == SETTING_PASSWORD ? (struct slice){0}
                                    : api_keep(listing->request, slice_str(value));
}

static void add_synonym(struct listing *listing, struct describe_configs_response_config *out,
                        const char *name, const char *value, int8_t source)
{
    struct describe_configs_response_synonym *synonym = &out->synonyms[out->synonyms_count++];
    synonym->name = slice_str(name);
    synonym->value = shown(listing, out->config_type, value);
    synonym->source = source;
}

static struct describe_configs_response_config *add_row(struct listing *listing,
                                                        const struct setting *row,
                                                        const char *value, int8_t source)
{
    struct describe_configs_response_config *out =
        &listing->result->configs[listing->result->configs_count++];
    describe_configs_response_config_init(out);
    out->name = slice_str(row->name);
    out->is_sensitive = row->type == SETTING_PASSWORD;
    out->value = shown(listing, (int8_t)row->type, value);
    out->is_default = source == CONFIG_SOURCE_DEFAULT;
    out->config_source = source;
    out->config_type = (int8_t)row->type;
    out->documentation =
        listing->body->include_documentation ? slice_str(row->help) : (struct slice){0};
    if (listing->body->include_synonyms) {
        out->synonyms = api_alloc(listing->request, 3, sizeof *out->synonyms);
    }
    return out;
}

static void list_topic_settings(struct listing *listing, const struct overrides *own)
{
    static const int8_t sources[] = {
        [TOPIC_CONFIG_OWN] = CONFIG_SOURCE_TOPIC,
        [TOPIC_CONFIG_SERVER] = CONFIG_SOURCE_STATIC_BROKER,
        [TOPIC_CONFIG_DEFAULT] = CONFIG_SOURCE_DEFAULT,
    };
    const struct settings_table *table = topic_settings();
    const struct overrides *server = catalogue_topic_defaults(listing->request->server->catalogue);
    listing->result->configs =
        api_alloc(listing->request, table->count, sizeof *listing->result->configs);
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *row = &table->rows[i];
        if (!is_wanted(listing->resource, row->name)) {
            continue;
        }
        enum topic_config_source source;
        const char *value = topic_config_value(row, server, own, &source);
        struct describe_configs_response_config *out =
            add_row(listing, row, value, sources[source]);
        if (out->synonyms == NULL) {
            continue;
        }
        if (source == TOPIC_CONFIG_OWN) {
            add_synonym(listing, out, row->name, value, CONFIG_SOURCE_TOPIC);
        }
        const char *broker_name = row->broker_name != NULL ? row->broker_name : row->name;
        const char *of_server = overrides_get(server, row->name);
        if (of_server != NULL) {
            add_synonym(listing, out, broker_name, of_server, CONFIG_SOURCE_STATIC_BROKER);
        }
        add_synonym(listing, out, broker_name, row->default_value, CONFIG_SOURCE_DEFAULT);
    }
}

static void list_server_settings(struct listing *listing)
{
    const struct api_server *server = listing->request->server;
    const struct settings_table *table = server->settings;
    listing->result->configs =
        api_alloc(listing->request, table->count, sizeof *listing->result->configs);
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *row = &table->rows[i];
        if (!is_wanted(listing->resource, row->name)) {
            continue;
        }
        const char *given = overrides_get(server->overrides, row->name);
        if (given == NULL && strcmp(row->name, "http.advertised.url") == 0) {
            given = atomic_load(&server->http_url); /* known only since it listens */
        }
        struct describe_configs_response_config *out =
            add_row(listing, row, given != NULL ? given : row->default_value,
                    given != NULL ? CONFIG_SOURCE_STATIC_BROKER : CONFIG_SOURCE_DEFAULT);
        out->read_only = true;
        if (out->synonyms != NULL && given != NULL) {
            add_synonym(listing, out, row->name, given, CONFIG_SOURCE_STATIC_BROKER);
        }
        if (out->synonyms != NULL) {
            add_synonym(listing, out, row->name, row->default_value, CONFIG_SOURCE_DEFAULT);
        }
    }
}

static void list_group_settings(struct listing *listing, const struct overrides *own)
{
    const struct settings_table *table = config_settings(CONFIG_RESOURCE_GROUP);
    const struct overrides *server = listing->request->server->overrides;
    listing->result->configs =
        api_alloc(listing->request, table->count, sizeof *listing->result->configs);
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *row = &table->rows[i];
        if (!is_wanted(listing->resource, row->name)) {
            continue;
        }
        const char *of_group = overrides_get(own, row->name);
        const char *of_server = overrides_get(server, row->broker_name);
        const char *value = of_group != NULL    ? of_group
                            : of_server != NULL ? of_server
                                                : row->default_value;
        int8_t source = of_group != NULL    ? CONFIG_SOURCE_GROUP
                        : of_server != NULL ? CONFIG_SOURCE_STATIC_BROKER
                                            : CONFIG_SOURCE_DEFAULT;
        struct describe_configs_response_config *out = add_row(listing, row, value, source);
        if (out->synonyms == NULL) {
            continue;
        }
        if (of_group != NULL) {
            add_synonym(listing, out, row->name, of_group, CONFIG_SOURCE_GROUP);
        }
        if (of_server != NULL) {
            add_synonym(listing, out, row->broker_name, of_server, CONFIG_SOURCE_STATIC_BROKER);
        }
        add_synonym(listing, out, row->broker_name, row->default_value, CONFIG_SOURCE_DEFAULT);
    }
}

static void describe_group(struct listing *listing)
{
    struct overrides own;
    if (listing->resource->resource_name.size == 0) {
        listing->result->error_code = KAFKA_ERROR_INVALID_REQUEST;
        listing->result->error_message = slice_str("the group id is empty");
        return;
    }
    catalogue_group_overrides(listing->request->server->catalogue, listing->resource->resource_name,
                              &own);
    list_group_settings(listing, &own);
    overrides_deinit(&own);
}

static void describe_topic(struct listing *listing)
{
    struct api_request *request = listing->request;
    struct slice name = listing->resource->resource_name;
    struct reason reason = {.text = ""};
    struct topic *topic =
        config_find_topic(request->server, name, &listing->result->error_code, &reason);
    if (topic == NULL) {
        listing->result->error_message = api_reason(request, &reason);
        return;
    }
    struct overrides own;
    catalogue_overrides(request->server->catalogue, topic, &own);
    list_topic_settings(listing, &own);
    overrides_deinit(&own);
    topic_unref(topic);
}

static void describe_resource(struct listing *listing)
{
    const struct describe_configs_request_resource *resource = listing->resource;
    struct describe_configs_response_result *result = listing->result;
    describe_configs_response_result_init(result);
    result->resource_type = resource->resource_type;
    result->resource_name = resource->resource_name;
    struct reason reason = {.text = ""};
    if (!config_allows(listing->request, API_DESCRIBE_CONFIGS, resource->resource_type,
                       resource->resource_name, &result->error_code, &reason)) {
        result->error_message = api_reason(listing->request, &reason);
    } else if (resource->resource_type == CONFIG_RESOURCE_TOPIC) {
        describe_topic(listing);
    } else if (resource->resource_type == CONFIG_RESOURCE_GROUP) {
        describe_group(listing);
    } else if (resource->resource_type != CONFIG_RESOURCE_BROKER) {
        result->error_code = KAFKA_ERROR_INVALID_REQUEST;
        result->error_message = api_text(listing->request, "resource type %d has no settings here",
                                         resource->resource_type);
    } else if (resource->resource_name.size == 0 ||
               config_is_this_server(listing->request->server, resource->resource_name)) {
        list_server_settings(listing);
    } else {
        result->error_code = KAFKA_ERROR_INVALID_REQUEST;
        result->error_message = api_text(listing->request, "there is no server '%.*s', only %d",
                                         SLICE_ARGS(resource->resource_name),
                                         (int)listing->request->server->config.node_id);
    }
}

enum err handle_describe_configs(struct api_request *request, struct reason *reason)
{
    struct describe_configs_request body;
    enum err err = describe_configs_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct describe_configs_response response;
    describe_configs_response_init(&response);
    response.results = api_alloc(request, (size_t)body.resources_count, sizeof *response.results);
    response.results_count = body.resources_count;
    for (int32_t i = 0; i < body.resources_count; i++) {
        struct listing listing = {request, &body, &body.resources[i], &response.results[i]};
        describe_resource(&listing);
        err = api_check_size(request, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    API_REPLY(request, describe_configs_response_encode, &response);
    return ERR_NONE;
}
