#include "bus/api/http_api_inside.h"

#include "bus/event/json_word.h"

#include <string.h>

static json_t *summary_json(const struct cluster_group *group)
{
    size_t topics = 0;
    for (size_t i = 0; i < group->progress.count; i++) {
        const struct cluster_progress *at = &group->progress.items[i];
        topics += i == 0 || strcmp(at[-1].topic, at->topic) != 0;
    }
    json_t *json = json_pack("{s:o, s:s, s:i, s:i, s:o}", "name", json_utf8(group->name), "state",
                             group->about.state != NULL ? group->about.state : "Unknown",
                             "member_count", (int)group->about.members.count, "topic_count",
                             (int)topics, "lag", http_api_number(group->lag));
    if (group->error.status != CLIENT_OK) {
        json_object_set_new(json, "error", json_utf8(group->error.text));
    }
    return json;
}

static void say_groups(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_api *api = context;
    const struct cluster_view *view = cluster_look(api->cluster, 0);
    (void)request;
    if (view->error.status != CLIENT_OK) {
        http_api_fail(reply, &view->error, "the groups are not known");
    } else {
        json_t *list = json_array();
        for (size_t i = 0; i < view->group_count; i++) {
            json_array_append_new(list, summary_json(&view->groups[i]));
        }
        http_reply_json(
            reply, 200,
            json_pack("{s:o, s:o}", "groups", list, "at", http_api_time(view->taken_ms)));
    }
    cluster_done(view);
}

/* --- one --- */

static json_t *members_json(const struct cluster_group *group)
{
    json_t *list = json_array();
    for (size_t i = 0; i < group->about.members.count; i++) {
        const struct admin_member *member = &group->about.members.items[i];
        json_t *partitions = json_array();
        for (size_t j = 0; j < member->partitions.count; j++) {
            const struct topic_partition *at = &member->partitions.items[j];
            json_array_append_new(partitions, json_pack("{s:o, s:i}", "topic", json_utf8(at->topic),
                                                        "partition", (int)at->partition));
        }
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", json_utf8(member->id),
                                        "client_id", json_utf8(member->client_id), "instance_id",
                                        json_utf8(member->instance_id), "host",
                                        json_utf8(member->host), "partitions", partitions));
    }
    return list;
}

static json_t *progress_json(const struct cluster_view *view, const struct cluster_group *group)
{
    json_t *list = json_array();
    for (size_t i = 0; i < group->progress.count; i++) {
        const struct cluster_progress *at = &group->progress.items[i];
        const struct admin_bounds *bounds = cluster_bounds(view, at->topic, at->partition);
        json_array_append_new(list,
                              json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "topic",
                                        json_utf8(at->topic), "partition", (int)at->partition,
                                        "committed", http_api_number(at->committed), "start",
                                        http_api_number(bounds != NULL ? bounds->start : -1), "end",
                                        http_api_number(bounds != NULL ? bounds->end : -1), "lag",
                                        http_api_number(at->lag), "member", json_utf8(at->member)));
    }
    return list;
}

static void say_group(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_api *api = context;
    const char *name = http_segment(request, "group");
    const struct cluster_view *view = cluster_look(api->cluster, 0);
    const struct cluster_group *group = cluster_group(view, name);
    if (view->error.status != CLIENT_OK) {
        http_api_fail(reply, &view->error, "the group is not known");
    } else if (group == NULL) {
        http_problem(reply, 404, "Not found",
                     "group '%s' does not exist; /v1/groups lists those that do", name);
    } else if (group->error.status != CLIENT_OK) {
        http_api_fail(reply, &group->error, "the group is not known");
    } else {
        json_t *json = summary_json(group);
        json_object_set_new(json, "assignor", json_utf8(group->about.assignor));
        json_object_set_new(json, "members", members_json(group));
        json_object_set_new(json, "partitions", progress_json(view, group));
        json_object_set_new(json, "at", http_api_time(view->taken_ms));
        http_reply_json(reply, 200, json);
    }
    cluster_done(view);
}

void http_api_groups(struct http_api *api)
{
    static const struct http_parameter none[] = {{0}};
    http_api_add(api,
                 &(struct http_route){.method = "GET",
                                      .path = "/v1/groups",
                                      .handle = say_groups,
                                      .summary = "All consumer groups, by name, with their lag.",
                                      .query = none});
    http_api_add(api, &(struct http_route){.method = "GET",
                                           .path = "/v1/groups/{group}",
                                           .handle = say_group,
                                           .summary = "One group: its members, commits and lag.",
                                           .query = none});
}
