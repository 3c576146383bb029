#include "api/config_resource.h"

#include <stdio.h>

bool config_is_this_server(const struct api_server *server, struct slice name)
{
    char id[16];
    snprintf(id, sizeof id, "%d", (int)server->node_id);
    return slice_equal_str(name, id);
}

enum err config_check_name(struct slice name, struct reason *reason)
{
    if (settings_find(topic_settings(), name) == NULL) {
        return reason_fail(reason, ERR_CONFIG, "unknown topic setting '%.*s'", SLICE_ARGS(name));
    }
    return ERR_NONE;
}

void config_change(struct api_request *request, int8_t resource_type, struct slice resource_name,
                   catalogue_edit *edit, void *context, bool validate_only, int16_t *code,
                   struct reason *reason)
{
    *code = KAFKA_ERROR_INVALID_REQUEST;
    if (resource_type == CONFIG_RESOURCE_BROKER) {
        reason_set(reason, "server settings are read at start: change the configuration file or "
                           "--set, then restart");
        return;
    }
    if (resource_type != CONFIG_RESOURCE_TOPIC) {
        reason_set(reason, "resource type %d has no settings here", resource_type);
        return;
    }
    struct topic *topic = catalogue_find(request->server->catalogue, resource_name);
    if (topic == NULL) {
        *code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        reason_set(reason, "topic '%.*s' does not exist", SLICE_ARGS(resource_name));
        return;
    }
    *code = api_error_code(catalogue_edit_overrides(request->server->catalogue, topic, edit,
                                                    context, validate_only, reason));
    topic_unref(topic);
}
