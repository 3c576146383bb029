#include "wire/generated/consumer_group_describe.h"

#include "api/handlers.h"
#include "group/coordinator.h"

/* Values of MemberType (KIP-1099). */
enum { MEMBER_CLASSIC = 0, MEMBER_CONSUMER = 1 };

static struct consumer_group_describe_response_assignment list_assignment(
    struct api_request *request, const struct consumer_partitions_description *from, size_t count)
{
    struct consumer_group_describe_response_assignment out = {
        .topic_partitions = api_alloc(request, count, sizeof *out.topic_partitions),
        .topic_partitions_count = (int32_t)count,
    };
    for (size_t i = 0; i < count; i++) {
        out.topic_partitions[i] = (struct consumer_group_describe_response_topic){
            .topic_id = from[i].topic_id,
            .topic_name = from[i].topic,
            .partitions = from[i].partitions,
            .partitions_count = (int32_t)from[i].count,
        };
    }
    return out;
}

static void describe_member(struct api_request *request,
                            const struct consumer_member_description *from,
                            struct consumer_group_describe_response_member *to)
{
    consumer_group_describe_response_member_init(to);
    to->member_id = from->member_id;
    to->instance_id = from->instance_id;
    to->rack_id = from->rack_id;
    to->member_epoch = from->epoch;
    to->client_id = from->client_id;
    to->client_host = from->client_host;
    to->subscribed_topic_names = from->topics;
    to->subscribed_topic_names_count = (int32_t)from->topic_count;
    to->subscribed_topic_regex = from->regex;
    to->assignment = list_assignment(request, from->assigned, from->assigned_count);
    to->target_assignment = list_assignment(request, from->target, from->target_count);
    to->member_type = from->classic ? MEMBER_CLASSIC : MEMBER_CONSUMER;
}

static bool may_see(struct api_request *request, const struct consumer_partitions_description *of,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!api_allows(request, API_DESCRIBE, api_topic(of[i].topic))) {
            return false;
        }
    }
    return true;
}

/* Whether the client may know of all topics of the members. */
static bool may_see_topics(struct api_request *request, const struct consumer_description *found)
{
    for (size_t i = 0; i < found->member_count; i++) {
        const struct consumer_member_description *member = &found->members[i];
        if (!may_see(request, member->assigned, member->assigned_count) ||
            !may_see(request, member->target, member->target_count)) {
            return false;
        }
        for (size_t t = 0; t < member->topic_count; t++) {
            if (!api_allows(request, API_DESCRIBE, api_topic(member->topics[t]))) {
                return false;
            }
        }
    }
    return true;
}

static void describe_one(struct api_request *request, struct slice group_id, bool operations,
                         struct consumer_group_describe_response_group *out)
{
    struct consumer_description found;
    consumer_group_describe_response_group_init(out);
    out->group_id = group_id;
    if (!api_allows(request, API_DESCRIBE, api_group(group_id))) {
        out->error_code = KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
        return;
    }
    enum err err = group_coordinator_consumer_describe(request->server->groups, group_id,
                                                       &request->arena, &found);
    out->error_code = api_error_code(err);
    if (err == ERR_GROUP_NOT_FOUND) {
        out->error_message =
            api_text(request, "Group %.*s is not a consumer group.", SLICE_ARGS(group_id));
    }
    if (err != ERR_NONE) {
        return;
    }
    if (!may_see_topics(request, &found)) {
        out->error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        out->error_message = slice_str("the group has topics that this client may not see");
        return;
    }
    out->group_state = slice_str(group_state_name(found.state));
    out->group_epoch = found.epoch;
    out->assignment_epoch = found.assignment_epoch;
    out->assignor_name = slice_str(found.assignor);
    out->members = api_alloc(request, found.member_count, sizeof *out->members);
    out->members_count = (int32_t)found.member_count;
    for (size_t i = 0; i < found.member_count; i++) {
        describe_member(request, &found.members[i], &out->members[i]);
    }
    if (operations) {
        out->authorized_operations = api_allowed_operations(request, api_group(group_id));
    }
}

enum err handle_consumer_group_describe(struct api_request *request, struct reason *reason)
{
    struct consumer_group_describe_request body;
    enum err err =
        consumer_group_describe_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct consumer_group_describe_response response;
    consumer_group_describe_response_init(&response);
    request->arena.limit_bytes = 0; /* the limit is for decoding what a peer sent */
    response.groups = api_alloc(request, (size_t)body.group_ids_count, sizeof *response.groups);
    response.groups_count = body.group_ids_count;
    for (int32_t i = 0; i < body.group_ids_count; i++) {
        describe_one(request, body.group_ids[i], body.include_authorized_operations,
                     &response.groups[i]);
        err = api_check_size(request, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    API_REPLY(request, consumer_group_describe_response_encode, &response);
    return ERR_NONE;
}
