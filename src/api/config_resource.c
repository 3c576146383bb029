#include "api/config_resource.h"

#include "group/consumer_config.h"
#include "group/coordinator.h"

#include <stdio.h>

bool config_is_this_server(const struct api_server *server, struct slice name)
{
    char id[16];
    snprintf(id, sizeof id, "%d", (int)server->config.node_id);
    return slice_equal_str(name, id);
}

const struct settings_table *config_settings(int8_t resource_type)
{
    return resource_type == CONFIG_RESOURCE_GROUP ? consumer_settings() : topic_settings();
}

enum err config_check_name(const struct settings_table *table, struct slice name,
                           struct reason *reason)
{
    if (settings_find(table, name) == NULL) {
        return reason_fail(reason, ERR_CONFIG, "unknown %s setting '%.*s'", table->what,
                           SLICE_ARGS(name));
    }
    return ERR_NONE;
}

struct topic *config_find_topic(struct api_server *server, struct slice name, int16_t *code,
                                struct reason *reason)
{
    struct topic *topic = catalogue_find(server->catalogue, name);
    if (topic != NULL) {
        return topic;
    }
    if (topic_check_name(name, reason) != ERR_NONE) {
        *code = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
    } else {
        *code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        reason_set(reason, "topic '%.*s' does not exist", SLICE_ARGS(name));
    }
    return NULL;
}

enum err config_check_repeated(struct api_request *request, const struct slice *names,
                               int32_t count, struct reason *reason)
{
    const int32_t *first = api_first_of_equal(request, names, count);
    for (int32_t i = 0; i < count; i++) {
        if (first[i] != i) {
            return reason_fail(reason, ERR_INVALID, "setting '%.*s' is given twice",
                               SLICE_ARGS(names[i]));
        }
    }
    return ERR_NONE;
}

/* The edit of a group's settings, which must fit the server's afterwards. */
struct group_edit {
    const struct group_config *server;
    catalogue_edit *edit;
    void *context;
};

static enum err edit_group(void *context, struct overrides *own, struct reason *reason)
{
    const struct group_edit *group = context;
    struct consumer_config config;
    enum err err = group->edit(group->context, own, reason);
    return err == ERR_NONE ? consumer_config_build(group->server, own, &config, reason) : err;
}

static void change_group(struct api_server *server, struct slice name, catalogue_edit *edit,
                         void *context, bool validate_only, int16_t *code, struct reason *reason)
{
    struct group_edit group = {
        .server = group_coordinator_settings(server->groups), .edit = edit, .context = context};
    *code = api_error_code(catalogue_edit_group_overrides(server->catalogue, name, edit_group,
                                                          &group, validate_only, reason));
    group_coordinator_reconfigure(server->groups, name);
}

bool config_allows(const struct api_request *request, enum api_operation operation,
                   int8_t resource_type, struct slice resource_name, int16_t *code,
                   struct reason *reason)
{
    struct api_resource resource;
    switch (resource_type) {
    case CONFIG_RESOURCE_TOPIC:
        resource = api_topic(resource_name);
        *code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        break;
    case CONFIG_RESOURCE_GROUP:
        resource = api_group(resource_name);
        *code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
        break;
    case CONFIG_RESOURCE_BROKER:
        resource = api_cluster();
        *code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
        break;
    default:
        return true; /* refused by its type */
    }
    if (!api_allows(request, operation, resource)) {
        reason_set(reason, "this client may not %s these settings",
                   operation == API_ALTER_CONFIGS ? "change" : "see");
        return false;
    }
    *code = KAFKA_ERROR_NONE;
    return true;
}

void config_change(struct api_request *request, int8_t resource_type, struct slice resource_name,
                   catalogue_edit *edit, void *context, bool validate_only, int16_t *code,
                   struct reason *reason)
{
    if (!config_allows(request, API_ALTER_CONFIGS, resource_type, resource_name, code, reason)) {
        return;
    }
    *code = KAFKA_ERROR_INVALID_REQUEST;
    if (resource_type == CONFIG_RESOURCE_BROKER) {
        reason_set(reason, "server settings are read at start: change the configuration file or "
                           "--set, then restart");
        return;
    }
    if (resource_type == CONFIG_RESOURCE_GROUP) {
        change_group(request->server, resource_name, edit, context, validate_only, code, reason);
        return;
    }
    if (resource_type != CONFIG_RESOURCE_TOPIC) {
        reason_set(reason, "resource type %d has no settings here", resource_type);
        return;
    }
    struct topic *topic = config_find_topic(request->server, resource_name, code, reason);
    if (topic == NULL) {
        return;
    }
    *code = api_error_code(catalogue_edit_overrides(request->server->catalogue, topic, edit,
                                                    context, validate_only, reason));
    topic_unref(topic);
}
