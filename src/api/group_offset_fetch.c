#include "wire/generated/offset_fetch.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "group/coordinator.h"

/* stable: the reader wants no offset that an open transaction may change (KIP-447). */
static void fill_partition(const struct group_offset *from, bool stable, enum err err,
                           struct offset_fetch_response_group_partition *to)
{
    if (err == ERR_NONE && stable && from->unstable) {
        to->partition_index = from->partition;
        to->committed_offset = -1;
        to->committed_leader_epoch = -1;
        to->metadata = WIRE_EMPTY;
        to->error_code = api_error_code(ERR_UNSTABLE_OFFSET);
        return;
    }
    to->partition_index = from->partition;
    to->committed_offset = from->offset;
    to->committed_leader_epoch = from->leader_epoch;
    to->metadata = from->metadata;
    to->error_code = api_error_code(err);
}

/* The partitions that were asked for, in their order. */
static enum err fetch_some(struct api_request *request,
                           const struct offset_fetch_request_group *group, bool stable,
                           bool old_errors, struct offset_fetch_response_group *out)
{
    out->topics = api_alloc(request, (size_t)group->topics_count, sizeof *out->topics);
    enum err err = ERR_NONE;
    for (int32_t t = 0; t < group->topics_count; t++) {
        const struct offset_fetch_request_group_topic *in = &group->topics[t];
        struct offset_fetch_response_group_topic *topic = &out->topics[out->topics_count++];
        size_t count = (size_t)in->partition_indexes_count;
        struct group_offset *offsets = api_alloc(request, count, sizeof *offsets);
        for (size_t i = 0; i < count; i++) {
            offsets[i] = (struct group_offset){
                .topic = in->name,
                .partition = in->partition_indexes[i],
                .offset = -1,
                .leader_epoch = -1,
                .metadata = WIRE_EMPTY,
            };
        }
        bool allowed = api_allows(request, API_DESCRIBE, api_topic(in->name));
        err = group_coordinator_fetch(request->server->groups, group->group_id, &request->arena,
                                      offsets, allowed ? count : 0);
        topic->name = in->name;
        topic->partitions = api_alloc(request, count, sizeof *topic->partitions);
        topic->partitions_count = in->partition_indexes_count;
        for (size_t i = 0; i < count; i++) {
            fill_partition(&offsets[i], stable, old_errors ? err : ERR_NONE, &topic->partitions[i]);
            if (!allowed) {
                topic->partitions[i].error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
            }
        }
    }
    return err;
}

/* Version 1, which has no error of the whole: each partition that was asked for has it. */
static void refuse_each(struct api_request *request, const struct offset_fetch_request_group *group,
                        enum err err, struct offset_fetch_response_group *out)
{
    out->topics = api_alloc(request, (size_t)group->topics_count, sizeof *out->topics);
    out->topics_count = group->topics_count;
    for (int32_t t = 0; t < group->topics_count; t++) {
        const struct offset_fetch_request_group_topic *in = &group->topics[t];
        struct offset_fetch_response_group_topic *topic = &out->topics[t];
        topic->name = in->name;
        topic->partitions_count = in->partition_indexes_count;
        topic->partitions =
            api_alloc(request, (size_t)in->partition_indexes_count, sizeof *topic->partitions);
        for (int32_t i = 0; i < in->partition_indexes_count; i++) {
            const struct group_offset none = {.topic = in->name,
                                              .partition = in->partition_indexes[i],
                                              .offset = -1,
                                              .leader_epoch = -1,
                                              .metadata = WIRE_EMPTY};
            fill_partition(&none, false, err, &topic->partitions[i]);
        }
    }
}

/* All that the group has committed; they come sorted by topic. */
static enum err fetch_all(struct api_request *request,
                          const struct offset_fetch_request_group *group, bool stable,
                          struct offset_fetch_response_group *out)
{
    struct group_offset *offsets;
    size_t count;
    enum err err = group_coordinator_fetch_all(request->server->groups, group->group_id,
                                               &request->arena, &offsets, &count);
    out->topics = api_alloc(request, count, sizeof *out->topics);
    for (size_t begin = 0, end; begin < count; begin = end) {
        end = begin + 1;
        while (end < count && slice_equal(offsets[end].topic, offsets[begin].topic)) {
            end++;
        }
        if (!api_allows(request, API_DESCRIBE, api_topic(offsets[begin].topic))) {
            continue;
        }
        struct offset_fetch_response_group_topic *topic = &out->topics[out->topics_count++];
        topic->name = offsets[begin].topic;
        topic->partitions = api_alloc(request, end - begin, sizeof *topic->partitions);
        topic->partitions_count = (int32_t)(end - begin);
        for (size_t i = begin; i < end; i++) {
            fill_partition(&offsets[i], stable, ERR_NONE, &topic->partitions[i - begin]);
        }
    }
    return err;
}

static void fetch_group(struct api_request *request, const struct offset_fetch_request_group *group,
                        bool stable, struct offset_fetch_response_group *out)
{
    bool old_errors = api_version(request) < 2; /* no error of the whole: each partition has it */
    offset_fetch_response_group_init(out);
    out->group_id = group->group_id;
    bool allowed = api_allows(request, API_DESCRIBE, api_group(group->group_id));
    enum err err = !allowed
                       ? ERR_GROUP_DENIED
                       : group_coordinator_check_fetch(request->server->groups, group->group_id,
                                                       group->member_id, group->member_epoch);
    if (err != ERR_NONE && old_errors && group->topics_count > 0) {
        refuse_each(request, group, err, out);
    }
    if (err == ERR_NONE) {
        err = group->topics == NULL && group->topics_count < 0
                  ? fetch_all(request, group, stable, out)
                  : fetch_some(request, group, stable, old_errors, out);
    }
    out->error_code = api_error_code(err);
    if (err != ERR_NONE && !old_errors) {
        out->topics_count = 0;
    }
}

/* Versions 1 to 7: one group, in fields of the request itself. */
static void fetch_single(struct api_request *request, const struct offset_fetch_request *body,
                         struct offset_fetch_response *response)
{
    struct offset_fetch_request_group group;
    offset_fetch_request_group_init(&group);
    group.group_id = body->group_id;
    group.topics_count = body->topics_count;
    if (body->topics_count >= 0) {
        group.topics = api_alloc(request, (size_t)body->topics_count, sizeof *group.topics);
        for (int32_t t = 0; t < body->topics_count; t++) {
            group.topics[t] = (struct offset_fetch_request_group_topic){
                .name = body->topics[t].name,
                .partition_indexes = body->topics[t].partition_indexes,
                .partition_indexes_count = body->topics[t].partition_indexes_count,
            };
        }
    }
    struct offset_fetch_response_group found;
    fetch_group(request, &group, body->require_stable, &found);
    response->error_code = found.error_code;
    response->topics_count = found.topics_count;
    response->topics = api_alloc(request, (size_t)found.topics_count, sizeof *response->topics);
    for (int32_t t = 0; t < found.topics_count; t++) {
        const struct offset_fetch_response_group_topic *from = &found.topics[t];
        struct offset_fetch_response_topic *to = &response->topics[t];
        to->name = from->name;
        to->partitions_count = from->partitions_count;
        to->partitions = api_alloc(request, (size_t)from->partitions_count, sizeof *to->partitions);
        for (int32_t i = 0; i < from->partitions_count; i++) {
            to->partitions[i] = (struct offset_fetch_response_partition){
                .partition_index = from->partitions[i].partition_index,
                .committed_offset = from->partitions[i].committed_offset,
                .committed_leader_epoch = from->partitions[i].committed_leader_epoch,
                .metadata = from->partitions[i].metadata,
                .error_code = from->partitions[i].error_code,
            };
        }
    }
}

/* Not a reactor's work: all offsets of a group, which may be 100,000, and those of large groups. */
static bool is_slow(const struct api_request *request, const struct offset_fetch_request *body)
{
    bool slow = api_version(request) < 8 &&
                (body->topics_count < 0 || api_is_of_large_group(request, body->group_id));
    for (int32_t i = 0; i < body->groups_count && !slow; i++) {
        slow = body->groups[i].topics_count < 0 ||
               api_is_of_large_group(request, body->groups[i].group_id);
    }
    return slow && request->conn != NULL;
}

enum err handle_offset_fetch(struct api_request *request, struct reason *reason)
{
    struct offset_fetch_request body;
    struct wire_reader whole = request->body;
    enum err err = offset_fetch_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (is_slow(request, &body)) {
        return api_handle_slowly(request, whole);
    }
    struct offset_fetch_response response;
    offset_fetch_response_init(&response);
    request->arena.limit_bytes = 0; /* the limit is for decoding what a peer sent */
    if (api_version(request) >= 8) {
        response.groups = api_alloc(request, (size_t)body.groups_count, sizeof *response.groups);
        response.groups_count = body.groups_count;
        for (int32_t i = 0; i < body.groups_count; i++) {
            fetch_group(request, &body.groups[i], body.require_stable, &response.groups[i]);
            err = api_check_size(request, reason);
            if (err != ERR_NONE) {
                return err;
            }
        }
    } else {
        fetch_single(request, &body, &response);
    }
    API_REPLY(request, offset_fetch_response_encode, &response);
    return ERR_NONE;
}
