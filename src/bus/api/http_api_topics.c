#include "bus/api/http_api_inside.h"

#include "bus/event/json_word.h"

#include <string.h>

static json_t *partitions_json(const struct topic_ends *ends)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ends->topic->partitions.count; i++) {
        const struct admin_partition *at = &ends->topic->partitions.items[i];
        bool is_known = ends->error.status == CLIENT_OK;
        json_array_append_new(
            list,
            json_pack("{s:i, s:i, s:o, s:o}", "partition", (int)at->id, "leader", (int)at->leader,
                      "start", http_api_number(is_known ? ends->bounds[i].start : -1), "end",
                      http_api_number(is_known ? ends->bounds[i].end : -1)));
    }
    return list;
}

/* Offsets between start and end: events, and what compaction and transactions leave. */
static int64_t offset_count(const struct topic_ends *ends)
{
    int64_t count = 0;
    for (size_t i = 0; i < ends->topic->partitions.count; i++) {
        if (ends->error.status != CLIENT_OK) {
            return -1;
        }
        count += ends->bounds[i].end - ends->bounds[i].start;
    }
    return count;
}

static json_t *summary_json(const struct topic_ends *ends)
{
    json_t *json =
        json_pack("{s:o, s:b, s:i, s:o}", "name", json_utf8(ends->topic->name), "internal",
                  ends->topic->is_internal, "partition_count", (int)ends->topic->partitions.count,
                  "offsets", http_api_number(offset_count(ends)));
    if (ends->error.status != CLIENT_OK) {
        json_object_set_new(json, "error", json_utf8(ends->error.text));
    }
    return json;
}

static void say_topics(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_api *api = context;
    const char *internal = http_query(request, "internal");
    bool wants_internal = internal != NULL && strcmp(internal, "false") != 0;
    const struct cluster_view *view = cluster_look(api->cluster, 0);
    if (view->error.status != CLIENT_OK) {
        http_api_fail(reply, &view->error, "the topics are not known");
    } else {
        json_t *list = json_array();
        for (size_t i = 0; i < view->ends.count; i++) {
            if (wants_internal || !view->ends.items[i].topic->is_internal) {
                json_array_append_new(list, summary_json(&view->ends.items[i]));
            }
        }
        http_reply_json(
            reply, 200,
            json_pack("{s:o, s:o}", "topics", list, "at", http_api_time(view->taken_ms)));
    }
    cluster_done(view);
}

/* --- one --- */

static json_t *readers_json(const struct cluster_view *view, const char *topic)
{
    json_t *list = json_array();
    for (size_t i = 0; i < view->group_count; i++) {
        const struct cluster_group *group = &view->groups[i];
        int64_t lag = 0;
        bool reads = false;
        for (size_t j = 0; j < group->progress.count; j++) {
            const struct cluster_progress *at = &group->progress.items[j];
            if (strcmp(at->topic, topic) == 0) {
                reads = true;
                lag = lag < 0 || at->lag < 0 ? -1 : lag + at->lag;
            }
        }
        if (reads) {
            json_array_append_new(
                list, json_pack("{s:o, s:s, s:i, s:o}", "name", json_utf8(group->name), "state",
                                group->about.state != NULL ? group->about.state : "Unknown",
                                "member_count", (int)group->about.members.count, "lag",
                                http_api_number(lag)));
        }
    }
    return list;
}

static json_t *settings_json(struct http_api *api, const char *topic)
{
    struct admin_topic_settings settings = {0};
    struct client_error error;
    json_t *json = json_object();
    struct connection *connection = cluster_connection(api->cluster, &error);
    if (connection == NULL ||
        admin_topic_settings(connection, topic, &settings, &error) != CLIENT_OK) {
        json_decref(json);
        json = json_null(); /* not known */
    }
    for (size_t i = 0; i < settings.count; i++) {
        const struct admin_topic_setting *at = &settings.items[i];
        json_object_set_new(
            json, at->name,
            json_pack("{s:o, s:b}", "value", json_utf8(at->value), "own", at->is_own));
    }
    admin_topic_settings_deinit(&settings);
    return json;
}

static void say_topic(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_api *api = context;
    const char *name = http_segment(request, "topic");
    const struct cluster_view *view = cluster_look(api->cluster, 0);
    const struct topic_ends *ends = cluster_topic(view, name);
    if (view->error.status != CLIENT_OK) {
        http_api_fail(reply, &view->error, "the topic is not known");
    } else if (ends == NULL) {
        http_problem(
            reply, 404, "Not found",
            "topic '%s' does not exist; /v1/topics lists those that do, and 'tidings topic "
            "create TOPIC' makes one",
            name);
    } else {
        json_t *json = summary_json(ends);
        json_object_set_new(json, "partitions", partitions_json(ends));
        json_object_set_new(json, "groups", readers_json(view, name));
        json_object_set_new(json, "settings", settings_json(api, name));
        json_object_set_new(json, "at", http_api_time(view->taken_ms));
        http_reply_json(reply, 200, json);
    }
    cluster_done(view);
}

void http_api_topics(struct http_api *api)
{
    static const struct http_parameter list_query[] = {
        {"internal", "boolean", "Name the bus's own topics as well."}, {0}};
    static const struct http_parameter none[] = {{0}};
    http_api_add(api, &(struct http_route){.method = "GET",
                                           .path = "/v1/topics",
                                           .handle = say_topics,
                                           .summary = "All topics, by name.",
                                           .query = list_query});
    http_api_add(api, &(struct http_route){
                          .method = "GET",
                          .path = "/v1/topics/{topic}",
                          .handle = say_topic,
                          .summary = "One topic: its partitions, settings, and who reads it.",
                          .query = none});
}
