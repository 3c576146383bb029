#ifndef TIDINGS_API_CONFIG_RESOURCE_H
#define TIDINGS_API_CONFIG_RESOURCE_H

#include "api/api.h"

/* Codes of ConfigResource.Type (KIP-133) and of config sources (KIP-226). */
enum {
    CONFIG_RESOURCE_TOPIC = 2,
    CONFIG_RESOURCE_BROKER = 4,
    CONFIG_RESOURCE_BROKER_LOGGER = 8,   /* KIP-412; has none here */
    CONFIG_RESOURCE_CLIENT_METRICS = 16, /* KIP-714; has none here */
    CONFIG_RESOURCE_GROUP = 32,          /* KIP-848 */
    CONFIG_SOURCE_TOPIC = 1,
    CONFIG_SOURCE_STATIC_BROKER = 4,
    CONFIG_SOURCE_DEFAULT = 5,
    CONFIG_SOURCE_GROUP = 8,
};

/* Whether `name` names this server: its node id. */
bool config_is_this_server(const struct api_server *server, struct slice name);

/* The settings that a topic or a group may have of its own. */
const struct settings_table *config_settings(int8_t resource_type);

/* ERR_CONFIG when there is no setting of this name. */
CHECKED enum err config_check_name(const struct settings_table *table, struct slice name,
                                   struct reason *reason);

/* The topic: a reference, or NULL with the code and the reason. */
struct topic *config_find_topic(struct api_server *server, struct slice name, int16_t *code,
                                struct reason *reason);

/* ERR_INVALID when a setting is named more than once. */
CHECKED enum err config_check_repeated(struct api_request *request, const struct slice *names,
                                       int32_t count, struct reason *reason);

/* Whether the client may describe or change (operation) a resource's settings: a topic's, a
 * group's, the server's. Of other types there are none. Sets *code and the reason when not. */
CHECKED bool config_allows(const struct api_request *request, enum api_operation operation,
                           int8_t resource_type, struct slice resource_name, int16_t *code,
                           struct reason *reason);

/*
 * Changes the own settings of a topic or a group by `edit`, which sees them as no other change can
 * alter them meanwhile. Sets *code and the reason; for anything else, refuses with a reason that
 * says how to change it.
 */
void config_change(struct api_request *request, int8_t resource_type, struct slice resource_name,
                   catalogue_edit *edit, void *context, bool validate_only, int16_t *code,
                   struct reason *reason);

#endif
