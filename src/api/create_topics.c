#include "wire/generated/create_topics.h"

#include "api/config_resource.h"
#include "api/handlers.h"
#include "api/topic_admin.h"

#include <string.h>

/* Reads a manual assignment into a partition count. */
static enum err count_assignments(struct api_request *request,
                                  const struct create_topics_request_topic *in, int32_t *count,
                                  struct reason *reason)
{
    bool *seen = api_alloc(request, (size_t)in->assignments_count, sizeof *seen);
    for (int32_t i = 0; i < in->assignments_count; i++) {
        const struct create_topics_request_assignment *assignment = &in->assignments[i];
        int32_t index = assignment->partition_index;
        if (index < 0 || index >= in->assignments_count || seen[index]) {
            return reason_fail(reason, ERR_INVALID,
                               "assigned partitions must be 0 to %d, each once",
                               (int)in->assignments_count - 1);
        }
        seen[index] = true;
        enum err err = admin_check_replicas(request->server, assignment->broker_ids,
                                            assignment->broker_ids_count, index, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    *count = in->assignments_count;
    return ERR_NONE;
}

static void fail(struct api_request *request, struct create_topics_response_topic *out,
                 int16_t code, const struct reason *reason)
{
    out->error_code = code;
    out->error_message = api_reason(request, reason);
}

/* Count, factor and settings of the request in the catalogue's terms; false: *out says why not. */
static bool read_wanted(struct api_request *request, const struct create_topics_request_topic *in,
                        struct topic_creation *creation, struct create_topics_response_topic *out)
{
    struct reason reason = {.text = ""};
    creation->partition_count =
        in->num_partitions == -1 ? request->server->config.default_partitions : in->num_partitions;
    if (topic_check_name(in->name, &reason) != ERR_NONE) {
        fail(request, out, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION, &reason);
        return false;
    }
    bool assigned = in->assignments_count > 0;
    if (assigned && (in->num_partitions != -1 || in->replication_factor != -1)) {
        reason_set(&reason, "partition count and replication factor must be -1 when partitions are "
                            "assigned one by one");
        fail(request, out, KAFKA_ERROR_INVALID_REQUEST, &reason);
        return false;
    }
    if (assigned) {
        if (count_assignments(request, in, &creation->partition_count, &reason) != ERR_NONE) {
            fail(request, out, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT, &reason);
            return false;
        }
    } else if (in->replication_factor != -1 && in->replication_factor != 1) {
        reason_set(&reason, "replication factor %d: there is one server, so it can only be 1",
                   in->replication_factor);
        fail(request, out, KAFKA_ERROR_INVALID_REPLICATION_FACTOR, &reason);
        return false;
    }
    for (int32_t i = 0; i < in->configs_count; i++) {
        if (slice_is_null(in->configs[i].value)) {
            reason_set(&reason, "setting '%.*s' has no value", SLICE_ARGS(in->configs[i].name));
            fail(request, out, KAFKA_ERROR_INVALID_CONFIG, &reason);
            return false;
        }
        if (config_check_name(config_settings(CONFIG_RESOURCE_TOPIC), in->configs[i].name,
                              &reason) != ERR_NONE) {
            fail(request, out, KAFKA_ERROR_INVALID_CONFIG, &reason);
            return false;
        }
        overrides_set(&creation->overrides, in->configs[i].name, in->configs[i].value);
    }
    return true;
}

static void describe_settings(struct api_request *request, const struct overrides *own,
                              struct create_topics_response_topic *out)
{
    const struct settings_table *table = topic_settings();
    const struct overrides *server = catalogue_topic_defaults(request->server->catalogue);
    out->configs = api_alloc(request, table->count, sizeof *out->configs);
    out->configs_count = (int32_t)table->count;
    for (size_t i = 0; i < table->count; i++) {
        enum topic_config_source source;
        const char *value = topic_config_value(&table->rows[i], server, own, &source);
        create_topics_response_config_init(&out->configs[i]);
        out->configs[i].name = slice_str(table->rows[i].name);
        out->configs[i].value = api_keep(request, slice_str(value));
        out->configs[i].config_source = source == TOPIC_CONFIG_OWN      ? 1
                                        : source == TOPIC_CONFIG_SERVER ? 4
                                                                        : 5;
    }
}

/* From the request to its answer. */
struct create_topics_call {
    struct create_topics_request body;
    struct create_topics_response response;
    const bool *repeated;
    int32_t next;
    struct topic_creation creation; /* that is on its way */
    struct catalogue_change *change;
};

static void fail_creation(struct api_request *request, const struct topic_creation *creation,
                          enum err err, const struct reason *reason,
                          struct create_topics_response_topic *out)
{
    bool partitions =
        creation->partition_count < 1 || creation->partition_count > TOPIC_MAX_PARTITIONS;
    fail(request, out,
         err != ERR_INVALID ? api_error_code(err)
         : partitions       ? KAFKA_ERROR_INVALID_PARTITIONS
                            : KAFKA_ERROR_INVALID_TOPIC_EXCEPTION,
         reason);
}

static void describe_creation(struct api_request *request, const struct topic_creation *creation,
                              struct create_topics_response_topic *out)
{
    struct reason ignored;
    out->error_message = (struct slice){0};
    out->num_partitions = creation->partition_count;
    out->replication_factor = 1;
    if (!api_allows(request, API_DESCRIBE_CONFIGS, api_topic(creation->name))) {
        out->topic_config_error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        out->num_partitions = -1;
        out->replication_factor = -1;
    } else if (api_check_size(request, &ignored) == ERR_NONE) { /* else left out: null */
        describe_settings(request, &creation->overrides, out);
    }
}

static void end_change(struct api_request *request, struct create_topics_call *call,
                       struct create_topics_response_topic *out)
{
    struct topic *topic;
    struct reason reason = {.text = ""};
    enum err err = catalogue_change_end(call->change, &topic, &reason);
    if (err != ERR_NONE) {
        fail_creation(request, &call->creation, err, &reason, out);
    } else {
        describe_creation(request, &call->creation, out);
    }
    if (topic != NULL) {
        memcpy(out->topic_id.bytes, topic->id.bytes, sizeof out->topic_id.bytes);
        topic_unref(topic);
    }
    call->change = NULL;
}

/* Begins a creation, or says why not. */
static void begin_one(struct api_request *request, struct create_topics_call *call,
                      const struct create_topics_request_topic *in,
                      struct create_topics_response_topic *out)
{
    struct reason reason = {.text = ""};
    create_topics_response_topic_init(out);
    out->name = in->name;
    call->creation =
        (struct topic_creation){.name = in->name, .validate_only = call->body.validate_only};
    if (call->repeated[call->next]) {
        reason_set(&reason, "the request names this topic more than once");
        fail(request, out, KAFKA_ERROR_INVALID_REQUEST, &reason);
    } else if (!api_allows(request, API_CREATE, api_cluster()) &&
               !api_allows(request, API_CREATE, api_topic(in->name))) {
        reason_set(&reason, "this client may not create the topic");
        fail(request, out, KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED, &reason);
    } else if (read_wanted(request, in, &call->creation, out)) {
        enum err err = catalogue_create_begin(request->server->catalogue, &call->creation,
                                              &call->change, &reason);
        if (err != ERR_NONE) {
            fail_creation(request, &call->creation, err, &reason, out);
        }
    }
}

/* A topic, or a piece of one, a turn. */
static enum err create_some(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct create_topics_call *call = request->state;
    if (call->next < call->body.topics_count) {
        struct create_topics_response_topic *out = &call->response.topics[call->next];
        if (call->change == NULL) {
            begin_one(request, call, &call->body.topics[call->next], out);
        }
        if (call->change != NULL && !catalogue_change_step(call->change)) {
            end_change(request, call, out);
        }
        if (call->change == NULL) {
            overrides_deinit(&call->creation.overrides);
            call->next++;
        }
    }
    if (call->next < call->body.topics_count) {
        return api_go_on_slowly(request, create_some);
    }
    API_REPLY(request, create_topics_response_encode, &call->response);
    return ERR_NONE;
}

enum err handle_create_topics(struct api_request *request, struct reason *reason)
{
    struct create_topics_call *call = api_alloc_state(request, sizeof *call);
    struct create_topics_request *body = &call->body;
    enum err err = create_topics_request_decode(&request->body, api_version(request), body);
    if (err != ERR_NONE) {
        return err;
    }
    create_topics_response_init(&call->response);
    call->response.topics =
        api_alloc(request, (size_t)body->topics_count, sizeof *call->response.topics);
    call->response.topics_count = body->topics_count;
    struct slice *names = api_alloc(request, (size_t)body->topics_count, sizeof *names);
    for (int32_t i = 0; i < body->topics_count; i++) {
        names[i] = body->topics[i].name;
    }
    call->repeated = admin_find_repeated(request, names, body->topics_count);
    return create_some(request, reason);
}
