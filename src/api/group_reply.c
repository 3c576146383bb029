#include "api/group_reply.h"

#include "api/api.h"
#include "group/coordinator.h"
#include "wire/generated/consumer_group_heartbeat.h"
#include "wire/generated/delete_groups.h"
#include "wire/generated/join_group.h"
#include "wire/generated/offset_commit.h"
#include "wire/generated/offset_delete.h"
#include "wire/generated/sync_group.h"
#include "wire/generated/txn_offset_commit.h"

struct slice api_client_host(struct api_request *request)
{
    const char *peer = request->connection->peer;
    const char *colon = strrchr(peer, ':');
    size_t size = colon != NULL ? (size_t)(colon - peer) : strlen(peer);
    if (size >= 2 && peer[0] == '[' && peer[size - 1] == ']') {
        peer++;
        size -= 2;
    }
    return api_text(request, "/%.*s", (int)size, peer);
}

static void *reply_alloc(struct group_reply *reply, size_t count, size_t size)
{
    return arena_alloc_array(&reply->arena, count > 0 ? count : 1, size);
}

static void encode_join(struct group_reply *reply, struct wire_writer *writer)
{
    struct join_group_response response;
    join_group_response_init(&response);
    response.error_code = api_error_code(reply->err);
    response.generation_id = reply->join.generation;
    response.protocol_type = reply->join.protocol_type;
    response.protocol_name = reply->join.protocol;
    response.leader = reply->join.leader;
    response.skip_assignment = reply->join.skip_assignment;
    response.member_id = reply->join.member_id;
    response.members_count = (int32_t)reply->join.member_count;
    response.members = reply_alloc(reply, reply->join.member_count, sizeof *response.members);
    for (size_t i = 0; i < reply->join.member_count; i++) {
        const struct group_join_member *member = &reply->join.members[i];
        response.members[i] = (struct join_group_response_member){
            .member_id = member->member_id,
            .group_instance_id = member->instance_id,
            .metadata = member->metadata,
        };
    }
    join_group_response_encode(writer, reply->waiter.api_version, &response);
}

static void encode_sync(struct group_reply *reply, struct wire_writer *writer)
{
    struct sync_group_response response;
    sync_group_response_init(&response);
    response.error_code = api_error_code(reply->err);
    response.protocol_type = reply->sync.protocol_type;
    response.protocol_name = reply->sync.protocol;
    response.assignment = reply->sync.assignment;
    sync_group_response_encode(writer, reply->waiter.api_version, &response);
}

/* The end of the run of results that share the topic of items[begin]. */
static size_t run_end(const struct group_partition_result *items, size_t count, size_t begin)
{
    size_t end = begin + 1;
    while (end < count && slice_equal(items[end].topic, items[begin].topic) &&
           wire_uuid_equal(items[end].topic_id, items[begin].topic_id)) {
        end++;
    }
    return end;
}

static void encode_commit(struct group_reply *reply, struct wire_writer *writer)
{
    const struct group_partition_result *items = reply->partitions.items;
    size_t count = reply->partitions.count;
    struct offset_commit_response response;
    offset_commit_response_init(&response);
    response.topics = reply_alloc(reply, count, sizeof *response.topics);
    for (size_t begin = 0, end; begin < count; begin = end) {
        struct offset_commit_response_topic *topic = &response.topics[response.topics_count++];
        end = run_end(items, count, begin);
        topic->name = items[begin].topic;
        topic->partitions = reply_alloc(reply, end - begin, sizeof *topic->partitions);
        for (size_t i = begin; i < end; i++) {
            topic->partitions[topic->partitions_count++] =
                (struct offset_commit_response_partition){
                    .partition_index = items[i].partition,
                    .error_code = api_error_code(items[i].err),
                };
        }
    }
    offset_commit_response_encode(writer, reply->waiter.api_version, &response);
}

static void encode_txn_commit(struct group_reply *reply, struct wire_writer *writer)
{
    const struct group_partition_result *items = reply->partitions.items;
    size_t count = reply->partitions.count;
    struct txn_offset_commit_response response;
    txn_offset_commit_response_init(&response);
    response.topics = reply_alloc(reply, count, sizeof *response.topics);
    for (size_t begin = 0, end; begin < count; begin = end) {
        struct txn_offset_commit_response_topic *topic = &response.topics[response.topics_count++];
        end = run_end(items, count, begin);
        topic->name = items[begin].topic;
        topic->topic_id = items[begin].topic_id;
        topic->partitions = reply_alloc(reply, end - begin, sizeof *topic->partitions);
        for (size_t i = begin; i < end; i++) {
            enum err err = items[i].err;
            if (err == ERR_LOADING && reply->waiter.api_version < 2) {
                err =
                    ERR_COORDINATOR_UNAVAILABLE; /* producers of then know no other (KAFKA-7296) */
            }
            topic->partitions[topic->partitions_count++] =
                (struct txn_offset_commit_response_partition){
                    .partition_index = items[i].partition,
                    .error_code = api_error_code(err),
                };
        }
    }
    txn_offset_commit_response_encode(writer, reply->waiter.api_version, &response);
}

static void encode_offset_delete(struct group_reply *reply, struct wire_writer *writer)
{
    const struct group_partition_result *items = reply->partitions.items;
    size_t count = reply->err == ERR_NONE ? reply->partitions.count : 0;
    struct offset_delete_response response;
    offset_delete_response_init(&response);
    response.error_code = api_error_code(reply->err);
    response.topics = reply_alloc(reply, count, sizeof *response.topics);
    for (size_t begin = 0, end; begin < count; begin = end) {
        struct offset_delete_response_topic *topic = &response.topics[response.topics_count++];
        end = run_end(items, count, begin);
        topic->name = items[begin].topic;
        topic->partitions = reply_alloc(reply, end - begin, sizeof *topic->partitions);
        for (size_t i = begin; i < end; i++) {
            topic->partitions[topic->partitions_count++] =
                (struct offset_delete_response_partition){
                    .partition_index = items[i].partition,
                    .error_code = api_error_code(items[i].err),
                };
        }
    }
    offset_delete_response_encode(writer, reply->waiter.api_version, &response);
}

static void encode_delete_groups(struct group_reply *reply, struct wire_writer *writer)
{
    struct delete_groups_response response;
    delete_groups_response_init(&response);
    response.results_count = (int32_t)reply->groups.count;
    response.results = reply_alloc(reply, reply->groups.count, sizeof *response.results);
    for (size_t i = 0; i < reply->groups.count; i++) {
        response.results[i] = (struct delete_groups_response_result){
            .group_id = reply->groups.items[i].group_id,
            .error_code = api_error_code(reply->groups.items[i].err),
        };
    }
    delete_groups_response_encode(writer, reply->waiter.api_version, &response);
}

static void encode_consumer_heartbeat(struct group_reply *reply, struct wire_writer *writer)
{
    struct consumer_group_heartbeat_response response;
    struct consumer_group_heartbeat_response_assignment assignment = {0};
    consumer_group_heartbeat_response_init(&response);
    response.error_code = api_error_code(reply->err);
    response.error_message = reply->consumer.message;
    response.member_id = reply->consumer.member_id;
    response.member_epoch = reply->consumer.member_epoch;
    response.heartbeat_interval_ms = reply->consumer.heartbeat_interval_ms;
    if (reply->consumer.has_assignment) {
        size_t count = reply->consumer.topic_count;
        assignment.topic_partitions =
            reply_alloc(reply, count, sizeof *assignment.topic_partitions);
        for (size_t i = 0; i < count; i++) {
            const struct group_topic_partitions *from = &reply->consumer.topics[i];
            struct consumer_group_heartbeat_response_topic *to =
                &assignment.topic_partitions[assignment.topic_partitions_count++];
            to->topic_id = from->topic;
            to->partitions = (int32_t *)(uintptr_t)from->partitions;
            to->partitions_count = (int32_t)from->count;
        }
        response.assignment = &assignment;
    }
    consumer_group_heartbeat_response_encode(writer, reply->waiter.api_version, &response);
}

/* By the error of the whole, or of what it is about. */
static int32_t find_hold_ms(const struct api_server *server, const struct group_reply *reply)
{
    int32_t hold_ms = api_hold_ms(server, reply->err);
    size_t count = 0;
    switch (reply->kind) {
    case GROUP_REPLY_OFFSET_COMMIT:
    case GROUP_REPLY_TXN_OFFSET_COMMIT:
    case GROUP_REPLY_OFFSET_DELETE:
        count = reply->partitions.count;
        for (size_t i = 0; i < count && hold_ms == 0; i++) {
            hold_ms = api_hold_ms(server, reply->partitions.items[i].err);
        }
        break;
    case GROUP_REPLY_DELETE_GROUPS:
        count = reply->groups.count;
        for (size_t i = 0; i < count && hold_ms == 0; i++) {
            hold_ms = api_hold_ms(server, reply->groups.items[i].err);
        }
        break;
    case GROUP_REPLY_JOIN:
    case GROUP_REPLY_SYNC:
    case GROUP_REPLY_CONSUMER_HEARTBEAT:
        break;
    }
    return hold_ms;
}

void api_group_reply_send(const struct api_server *server, struct group_reply *reply)
{
    static void (*const encoders[])(struct group_reply * reply, struct wire_writer * writer) = {
        [GROUP_REPLY_JOIN] = encode_join,
        [GROUP_REPLY_SYNC] = encode_sync,
        [GROUP_REPLY_OFFSET_COMMIT] = encode_commit,
        [GROUP_REPLY_TXN_OFFSET_COMMIT] = encode_txn_commit,
        [GROUP_REPLY_OFFSET_DELETE] = encode_offset_delete,
        [GROUP_REPLY_DELETE_GROUPS] = encode_delete_groups,
        [GROUP_REPLY_CONSUMER_HEARTBEAT] = encode_consumer_heartbeat,
    };
    struct api_reply out;
    api_reply_begin(&reply->waiter, &out);
    out.hold_ms = find_hold_ms(server, reply);
    encoders[reply->kind](reply, &out.writer);
    api_complete(server->net, &reply->waiter, &out);
    group_reply_free(reply);
}

static void free_request(void *context)
{
    api_request_free(context);
}

struct group_release api_group_release(struct api_request *request)
{
    return (struct group_release){free_request, request};
}

bool api_is_of_large_group(const struct api_request *request, struct slice group_id)
{
    return request->conn != NULL && group_coordinator_is_large(request->server->groups, group_id);
}
