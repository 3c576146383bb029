#include "wire/generated/delete_topics.h"

#include "api/handlers.h"
#include "group/coordinator.h"

#include <string.h>

/* Who may not describe a topic does not learn from its id what its name is; a name that he gives
 * is refused whether there is such a topic or not. */
static bool check_allowed(struct api_request *request, const struct topic *topic,
                          struct slice named, struct delete_topics_response_topic *out)
{
    if (topic == NULL && slice_is_null(named)) {
        return true; /* an id of nothing */
    }
    struct slice name = topic != NULL ? slice_str(topic->name) : named;
    bool seen = api_allows(request, API_DESCRIBE, api_topic(name));
    if (seen && api_allows(request, API_DELETE, api_topic(name))) {
        return true;
    }
    out->name = seen ? api_keep(request, name) : named;
    out->error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
    out->error_message = slice_str("this client may not delete the topic");
    return false;
}

/* From the request to its answer. */
struct delete_topics_call {
    struct delete_topics_request body;
    struct delete_topics_response response;
    int32_t next;
    struct topic *topic; /* that is being deleted; NULL: none */
    struct catalogue_change *change;
    struct coordinator_walk walk; /* when the change is through: over the groups with its offsets */
};

static void end_change(struct api_request *request, struct delete_topics_call *call)
{
    struct delete_topics_response_topic *out = &call->response.responses[call->next];
    struct reason reason = {.text = ""};
    enum err err = catalogue_change_end(call->change, NULL, &reason);
    out->error_code = api_error_code(err);
    out->error_message = api_reason(request, &reason);
    call->change = NULL;
    if (err == ERR_NONE) {
        group_coordinator_forget_begin(request->server->groups, &call->walk);
    } else {
        topic_unref(call->topic);
        call->topic = NULL;
    }
}

/* One more piece of the deletion that is on its way. */
static void go_on_deleting(struct api_request *request, struct delete_topics_call *call)
{
    if (call->change != NULL) {
        if (!catalogue_change_step(call->change)) {
            end_change(request, call);
        }
    } else if (!group_coordinator_forget_some(&call->walk, slice_str(call->topic->name))) {
        topic_unref(call->topic);
        call->topic = NULL;
    }
}

/* Begins a deletion, or says why not. */
static void begin_one(struct api_request *request, struct delete_topics_call *call,
                      const struct delete_topics_request_topic *in,
                      struct delete_topics_response_topic *out)
{
    struct api_server *server = request->server;
    struct topic *topic;
    delete_topics_response_topic_init(out);
    out->name = in->name;
    out->topic_id = in->topic_id;
    static const struct wire_uuid no_id;
    bool has_id = memcmp(&in->topic_id, &no_id, sizeof no_id) != 0;
    if (has_id != slice_is_null(in->name)) {
        out->error_code = KAFKA_ERROR_INVALID_REQUEST;
        out->error_message = slice_str("a topic is named either by its name or by its id");
        return;
    }
    if (has_id) {
        struct topic_id id;
        memcpy(id.bytes, in->topic_id.bytes, sizeof id.bytes);
        topic = catalogue_find_id(server->catalogue, &id);
        out->error_code = topic == NULL ? KAFKA_ERROR_UNKNOWN_TOPIC_ID : KAFKA_ERROR_NONE;
    } else {
        topic = catalogue_find(server->catalogue, in->name);
        out->error_code = topic == NULL ? KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_ERROR_NONE;
    }
    if (!check_allowed(request, topic, in->name, out)) {
        if (topic != NULL) {
            topic_unref(topic);
        }
        return;
    }
    if (topic == NULL) {
        out->error_message = slice_str("there is no such topic");
        return;
    }
    out->name = api_keep(request, slice_str(topic->name));
    memcpy(out->topic_id.bytes, topic->id.bytes, sizeof out->topic_id.bytes);
    if (topic->internal) {
        out->error_code = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        out->error_message = api_text(request, "'%s' is the server's own topic", topic->name);
    } else {
        struct reason reason = {.text = ""};
        enum err err = catalogue_delete_begin(server->catalogue, topic, &call->change, &reason);
        if (err == ERR_NONE) {
            call->topic = topic;
            return;
        }
        out->error_code = api_error_code(err);
        out->error_message = api_reason(request, &reason);
    }
    topic_unref(topic);
}

static struct delete_topics_request_topic topic_of(const struct api_request *request,
                                                   const struct delete_topics_call *call)
{
    struct delete_topics_request_topic named;
    if (api_version(request) >= 6) {
        return call->body.topics[call->next];
    }
    delete_topics_request_topic_init(&named);
    named.name = call->body.topic_names[call->next];
    return named;
}

/* A topic, or a piece of one, a turn. */
static enum err delete_some(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct delete_topics_call *call = request->state;
    if (call->next < call->response.responses_count) {
        if (call->topic == NULL) {
            struct delete_topics_request_topic named = topic_of(request, call);
            begin_one(request, call, &named, &call->response.responses[call->next]);
        }
        if (call->topic != NULL) {
            go_on_deleting(request, call);
        }
        call->next += call->topic == NULL;
    }
    if (call->next < call->response.responses_count) {
        return api_go_on_slowly(request, delete_some);
    }
    API_REPLY(request, delete_topics_response_encode, &call->response);
    return ERR_NONE;
}

enum err handle_delete_topics(struct api_request *request, struct reason *reason)
{
    struct delete_topics_call *call = api_alloc_state(request, sizeof *call);
    enum err err = delete_topics_request_decode(&request->body, api_version(request), &call->body);
    if (err != ERR_NONE) {
        return err;
    }
    int32_t count =
        api_version(request) < 6 ? call->body.topic_names_count : call->body.topics_count;
    delete_topics_response_init(&call->response);
    call->response.responses = api_alloc(request, (size_t)count, sizeof *call->response.responses);
    call->response.responses_count = count;
    return delete_some(request, reason);
}
