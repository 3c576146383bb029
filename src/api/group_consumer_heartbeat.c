#include "wire/generated/consumer_group_heartbeat.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "base/pattern.h"
#include "group/coordinator.h"
#include "group/topic_matches.h"
#include "security/authorizer.h"

/* Whether the client may know of all topics that it names. */
static bool may_see_topics(struct api_request *request,
                           const struct consumer_group_heartbeat_request *body)
{
    for (int32_t i = 0; i < body->subscribed_topic_names_count; i++) {
        if (!api_allows(request, API_DESCRIBE, api_topic(body->subscribed_topic_names[i]))) {
            return false;
        }
    }
    return true;
}

/* From the request to its answer. */
struct heartbeat_call {
    struct consumer_group_heartbeat_request body;
    uint64_t version; /* of the catalogue: what the expression matches then is to be known */
    struct reason regex_refusal;
};

static void deny(struct api_request *request, int16_t code)
{
    struct consumer_group_heartbeat_response denied;
    consumer_group_heartbeat_response_init(&denied);
    denied.error_code = code;
    API_REPLY(request, consumer_group_heartbeat_response_encode, &denied);
}

static bool may_see(void *context, struct slice topic)
{
    return api_allows(context, API_DESCRIBE, api_topic(topic));
}

/* A regular expression brings only what the client may know of. */
static struct group_asker asker_of(struct api_request *request)
{
    const struct authorizer *rules = request->server->rules;
    return (struct group_asker){.may_see = may_see,
                                .context = request,
                                .rights_version = rules != NULL ? authorizer_version(rules) : 0};
}

static void beat(struct api_request *request, struct heartbeat_call *call)
{
    const struct consumer_group_heartbeat_request *body = &call->body;
    size_t owned_count =
        body->topic_partitions_count > 0 ? (size_t)body->topic_partitions_count : 0;
    struct group_topic_partitions *owned = NULL;
    if (owned_count > 0) {
        owned = api_alloc(request, owned_count, sizeof *owned);
    }
    for (size_t i = 0; i < owned_count; i++) {
        owned[i] = (struct group_topic_partitions){
            .topic = body->topic_partitions[i].topic_id,
            .partitions = body->topic_partitions[i].partitions,
            .count = (size_t)body->topic_partitions[i].partitions_count,
        };
    }
    struct slice client_id = request->client_id;
    struct consumer_heartbeat_request heartbeat = {
        .waiter = request->completion,
        .release = api_group_release(request),
        .member_id = body->member_id,
        .member_epoch = body->member_epoch,
        .instance_id = body->instance_id,
        .rack_id = body->rack_id,
        .rebalance_timeout_ms = body->rebalance_timeout_ms,
        .has_topics = body->subscribed_topic_names_count >= 0,
        .topics = body->subscribed_topic_names,
        .topic_count =
            body->subscribed_topic_names_count > 0 ? (size_t)body->subscribed_topic_names_count : 0,
        .regex = body->subscribed_topic_regex,
        .assignor = body->server_assignor,
        .has_owned = body->topic_partitions_count >= 0,
        .owned = owned,
        .owned_count = owned_count,
        .client_id = slice_is_null(client_id) ? WIRE_EMPTY : client_id,
        .client_host = api_client_host(request),
        .asker = asker_of(request),
    };
    if (call->regex_refusal.text[0] != '\0') {
        heartbeat.regex_refusal = &call->regex_refusal;
    }
    if (body->member_epoch == 0) {
        api_connection_joins(request->connection, body->group_id, 0,
                             clock_wall_ms(request->server->clock));
    }
    group_coordinator_consumer_heartbeat(request->server->groups, body->group_id, &heartbeat);
}

/* On a worker: what the expression matches, piece by piece, so that the member is answered with it.
 */
static enum err match_some(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct heartbeat_call *call = request->state;
    enum err err;
    struct reason why;
    if (topic_matches_step(request->server->matches, call->body.subscribed_topic_regex,
                           call->version, &err, &why)) {
        return api_go_on_slowly(request, match_some);
    }
    if (err != ERR_NONE) {
        call->regex_refusal = why;
    }
    beat(request, call);
    return ERR_NONE;
}

/* More make computing what each member gets too long for a reactor. */
enum { QUICK_PARTITIONS = 2000 };

/* Whether the heartbeat may have much computed. One that joins or changes what it wants names it.
 */
static bool is_slow(const struct api_request *request,
                    const struct consumer_group_heartbeat_request *body)
{
    int64_t partitions = 0;
    for (int32_t i = 0; i < body->subscribed_topic_names_count; i++) {
        struct topic *topic =
            catalogue_find(request->server->catalogue, body->subscribed_topic_names[i]);
        if (topic != NULL) {
            partitions += topic_partition_count(topic);
            topic_unref(topic);
        }
    }
    return body->subscribed_topic_regex.size > 0 || partitions > QUICK_PARTITIONS ||
           api_is_of_large_group(request, body->group_id);
}

enum err handle_consumer_group_heartbeat(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct wire_reader whole = request->body;
    struct heartbeat_call *call = api_alloc_state(request, sizeof *call);
    struct consumer_group_heartbeat_request *body = &call->body;
    enum err err =
        consumer_group_heartbeat_request_decode(&request->body, api_version(request), body);
    if (err != ERR_NONE) {
        return err;
    }
    if (request->conn != NULL && is_slow(request, body)) {
        return api_handle_slowly(request, whole);
    }
    if (!api_allows(request, API_READ, api_group(body->group_id))) {
        deny(request, KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED);
        return ERR_NONE;
    }
    if (!may_see_topics(request, body)) {
        deny(request, KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED);
        return ERR_NONE;
    }
    if (body->subscribed_topic_regex.size > 0 &&
        body->subscribed_topic_regex.size <= PATTERN_MAX_BYTES &&
        !topic_matches_is_current(request->server->matches, body->subscribed_topic_regex)) {
        call->version = catalogue_version(request->server->catalogue);
        return api_go_on_slowly(request, match_some);
    }
    beat(request, call);
    return ERR_NONE;
}
