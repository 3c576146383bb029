#include "wire/generated/alter_configs.h"

#include "api/config_resource.h"
#include "api/handlers.h"

/* AlterConfigs replaces all of a topic's own settings by those in the request (KIP-133). */
struct replacement {
    struct api_request *request;
    const struct alter_configs_request_resource *in;
};

static enum err replace(void *context, struct overrides *overrides, struct reason *reason)
{
    const struct replacement *replacement = context;
    const struct alter_configs_request_resource *in = replacement->in;
    struct slice *names = api_alloc(replacement->request, (size_t)in->configs_count, sizeof *names);
    for (int32_t i = 0; i < in->configs_count; i++) {
        names[i] = in->configs[i].name;
    }
    enum err repeated =
        config_check_repeated(replacement->request, names, in->configs_count, reason);
    if (repeated != ERR_NONE) {
        return repeated;
    }
    overrides_deinit(overrides);
    *overrides = (struct overrides){0};
    for (int32_t i = 0; i < in->configs_count; i++) {
        enum err err =
            config_check_name(config_settings(in->resource_type), in->configs[i].name, reason);
        if (err != ERR_NONE) {
            return err;
        }
        if (slice_is_null(in->configs[i].value)) {
            return reason_fail(reason, ERR_INVALID, "setting '%.*s' has no value",
                               SLICE_ARGS(in->configs[i].name));
        }
        overrides_set(overrides, in->configs[i].name, in->configs[i].value);
    }
    return ERR_NONE;
}

static void alter_one(struct api_request *request, const struct alter_configs_request_resource *in,
                      bool validate_only, struct alter_configs_response_resource *out)
{
    alter_configs_response_resource_init(out);
    out->resource_type = in->resource_type;
    out->resource_name = in->resource_name;
    struct reason reason = {.text = ""};
    struct replacement replacement = {request, in};
    config_change(request, in->resource_type, in->resource_name, replace, &replacement,
                  validate_only, &out->error_code, &reason);
    out->error_message = api_reason(request, &reason);
}

/* From the request to its answer. */
struct alter_configs_call {
    struct alter_configs_request body;
    struct alter_configs_response response;
    int32_t next;
};

/* A resource a turn. */
static enum err alter_next(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct alter_configs_call *call = request->state;
    if (call->next < call->body.resources_count) {
        alter_one(request, &call->body.resources[call->next], call->body.validate_only,
                  &call->response.responses[call->next]);
        call->next++;
    }
    if (call->next < call->body.resources_count) {
        return api_go_on_slowly(request, alter_next);
    }
    API_REPLY(request, alter_configs_response_encode, &call->response);
    return ERR_NONE;
}

enum err handle_alter_configs(struct api_request *request, struct reason *reason)
{
    struct alter_configs_call *call = api_alloc_state(request, sizeof *call);
    enum err err = alter_configs_request_decode(&request->body, api_version(request), &call->body);
    if (err != ERR_NONE) {
        return err;
    }
    alter_configs_response_init(&call->response);
    call->response.responses =
        api_alloc(request, (size_t)call->body.resources_count, sizeof *call->response.responses);
    call->response.responses_count = call->body.resources_count;
    return alter_next(request, reason);
}
