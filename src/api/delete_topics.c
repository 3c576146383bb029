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

static void delete_one(struct api_request *request, const struct delete_topics_request_topic *in,
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
        enum err err = catalogue_delete(server->catalogue, topic, &reason);
        out->error_code = api_error_code(err);
        out->error_message = api_reason(request, &reason);
        if (err == ERR_NONE) {
            group_coordinator_topic_deleted(server->groups, slice_str(topic->name));
        }
    }
    topic_unref(topic);
}

enum err handle_delete_topics(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct delete_topics_request body;
    enum err err = delete_topics_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    bool by_name = api_version(request) < 6;
    int32_t count = by_name ? body.topic_names_count : body.topics_count;
    struct delete_topics_response response;
    delete_topics_response_init(&response);
    response.responses = api_alloc(request, (size_t)count, sizeof *response.responses);
    response.responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct delete_topics_request_topic named;
        if (by_name) {
            delete_topics_request_topic_init(&named);
            named.name = body.topic_names[i];
        } else {
            named = body.topics[i];
        }
        delete_one(request, &named, &response.responses[i]);
    }
    API_REPLY(request, delete_topics_response_encode, &response);
    return ERR_NONE;
}
