#include "wire/generated/incremental_alter_configs.h"

#include "api/config_resource.h"
#include "api/handlers.h"

#include <string.h>

/* Operations of KIP-339. */
enum { OPERATION_SET = 0, OPERATION_DELETE = 1, OPERATION_APPEND = 2, OPERATION_SUBTRACT = 3 };

static bool list_has(const char *list, struct slice item)
{
    for (const char *at = list; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (slice_equal(slice_of(at, size), item)) {
            return true;
        }
        at += size + (at[size] == ',');
    }
    return false;
}

/* What lists are merged from: each item is compared with all. */
enum { LISTS_MAX_BYTES = 8192 };

/* The items of list without those of `without`, then the new ones of `with`. */
static void merge_lists(struct buf *out, const char *list, const char *without, const char *with)
{
    const char *sources[] = {list, with};
    for (size_t i = 0; i < 2; i++) {
        for (const char *at = sources[i]; *at != '\0';) {
            size_t size = strcspn(at, ",");
            struct slice item = slice_of(at, size);
            if (size > 0 && !list_has(without, item) && (i == 0 || !list_has(list, item))) {
                buf_append_str(out, out->size > 0 ? "," : "");
                buf_append_slice(out, item);
            }
            at += size + (at[size] == ',');
        }
    }
}

static enum err change_list(struct api_request *request, const struct settings_table *table,
                            struct overrides *overrides,
                            const struct incremental_alter_configs_request_config *change,
                            struct reason *reason)
{
    const struct setting *row = settings_find(table, change->name);
    if (row == NULL || row->type != SETTING_LIST) {
        return reason_fail(reason, ERR_CONFIG, "setting '%.*s' is no list: set it as a whole",
                           SLICE_ARGS(change->name));
    }
    enum topic_config_source source;
    const char *now = topic_config_value(row, catalogue_topic_defaults(request->server->catalogue),
                                         overrides, &source);
    if (strlen(now) + change->value.size > LISTS_MAX_BYTES) {
        return reason_fail(reason, ERR_CONFIG,
                           "setting '%.*s' would be changed in a list of more than %d bytes: set "
                           "it as a whole",
                           SLICE_ARGS(change->name), LISTS_MAX_BYTES);
    }
    char *items = arena_cstr(&request->arena, change->value);
    struct buf merged = {0};
    bool append = change->config_operation == OPERATION_APPEND;
    merge_lists(&merged, now, append ? "" : items, append ? items : "");
    overrides_set(overrides, change->name, buf_slice(&merged));
    buf_deinit(&merged);
    return ERR_NONE;
}

static enum err change_one(struct api_request *request, const struct settings_table *table,
                           struct overrides *overrides,
                           const struct incremental_alter_configs_request_config *change,
                           struct reason *reason)
{
    struct slice name = change->name;
    if (change->config_operation == OPERATION_DELETE) {
        overrides_remove(overrides, name); /* what is not there, unknown or not, need not go */
        return ERR_NONE;
    }
    enum err err = config_check_name(table, name, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (slice_is_null(change->value)) {
        return reason_fail(reason, ERR_INVALID, "setting '%.*s' has no value", SLICE_ARGS(name));
    }
    if (change->config_operation == OPERATION_SET) {
        overrides_set(overrides, name, change->value);
        return ERR_NONE;
    }
    if (change->config_operation == OPERATION_APPEND ||
        change->config_operation == OPERATION_SUBTRACT) {
        return change_list(request, table, overrides, change, reason);
    }
    return reason_fail(reason, ERR_CONFIG, "unknown operation %d on setting '%.*s'",
                       change->config_operation, SLICE_ARGS(name));
}

struct changes {
    struct api_request *request;
    const struct incremental_alter_configs_request_resource *in;
};

static enum err change_all(void *context, struct overrides *overrides, struct reason *reason)
{
    const struct changes *changes = context;
    int32_t count = changes->in->configs_count;
    struct slice *names = api_alloc(changes->request, (size_t)count, sizeof *names);
    for (int32_t i = 0; i < count; i++) {
        names[i] = changes->in->configs[i].name;
    }
    enum err err = config_check_repeated(changes->request, names, count, reason);
    for (int32_t i = 0; err == ERR_NONE && i < count; i++) {
        err = change_one(changes->request, config_settings(changes->in->resource_type), overrides,
                         &changes->in->configs[i], reason);
    }
    return err;
}

static void alter_one(struct api_request *request,
                      const struct incremental_alter_configs_request_resource *in,
                      bool validate_only, struct incremental_alter_configs_response_resource *out)
{
    incremental_alter_configs_response_resource_init(out);
    out->resource_type = in->resource_type;
    out->resource_name = in->resource_name;
    struct reason reason = {.text = ""};
    struct changes changes = {request, in};
    config_change(request, in->resource_type, in->resource_name, change_all, &changes,
                  validate_only, &out->error_code, &reason);
    out->error_message = api_reason(request, &reason);
}

/* From the request to its answer. */
struct incremental_alter_configs_call {
    struct incremental_alter_configs_request body;
    struct incremental_alter_configs_response response;
    int32_t next;
};

/* A resource a turn. */
static enum err alter_next(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct incremental_alter_configs_call *call = request->state;
    if (call->next < call->body.resources_count) {
        alter_one(request, &call->body.resources[call->next], call->body.validate_only,
                  &call->response.responses[call->next]);
        call->next++;
    }
    if (call->next < call->body.resources_count) {
        return api_go_on_slowly(request, alter_next);
    }
    API_REPLY(request, incremental_alter_configs_response_encode, &call->response);
    return ERR_NONE;
}

enum err handle_incremental_alter_configs(struct api_request *request, struct reason *reason)
{
    struct incremental_alter_configs_call *call = api_alloc_state(request, sizeof *call);
    enum err err =
        incremental_alter_configs_request_decode(&request->body, api_version(request), &call->body);
    if (err != ERR_NONE) {
        return err;
    }
    incremental_alter_configs_response_init(&call->response);
    call->response.responses =
        api_alloc(request, (size_t)call->body.resources_count, sizeof *call->response.responses);
    call->response.responses_count = call->body.resources_count;
    return alter_next(request, reason);
}
