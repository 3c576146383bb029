#include "wire/generated/txn_offset_commit.h"

#include "api/group_reply.h"
#include "api/handlers.h"
#include "api/offset_topic.h"
#include "api/txn_reply.h"
#include "group/coordinator.h"
#include "txn/coordinator.h"

/* The commits of one topic; those of partitions that do not exist are only echoed. */
static size_t add_topic(struct api_request *request, struct slice group,
                        const struct txn_offset_commit_request_topic *in,
                        struct group_offset_commit *out)
{
    struct offset_topic topic;
    offset_topic_find(request, in->name,
                      api_version(request) >= TXN_KIP_1319_VERSION ? &in->topic_id : NULL, &topic);
    offset_topic_count(request, group, &topic, in->partitions_count);
    for (int32_t i = 0; i < in->partitions_count; i++) {
        const struct txn_offset_commit_request_partition *from = &in->partitions[i];
        out[i] = offset_topic_commit(&topic, from->partition_index);
        out[i].offset = from->committed_offset;
        out[i].leader_epoch = from->committed_leader_epoch;
        out[i].metadata = from->committed_metadata;
    }
    offset_topic_release(&topic);
    return (size_t)in->partitions_count;
}

/* From these versions on the request adds the group's partition to the transaction itself, and its
 * sender knows the error that says to abort (KIP-890). */
enum { ADDING_VERSION = 5, ABORTABLE_VERSION = 4 };

/* Enters the transaction, whose end then comes behind the offsets in the log (KIP-890). */
static enum err enter(struct api_request *request, const struct txn_offset_commit_request *body,
                      struct txn_session *session, struct reason *reason)
{
    if (!api_allows(request, API_WRITE, api_transactional_id(body->transactional_id))) {
        return ERR_TRANSACTIONAL_ID_DENIED;
    }
    if (!api_allows(request, API_READ, api_group(body->group_id))) {
        return ERR_GROUP_DENIED;
    }
    if (body->group_id.size == 0) { /* before its partition gets into the transaction */
        return reason_fail(reason, ERR_INVALID_GROUP, "the group id is empty");
    }
    struct txn_producer producer = {body->producer_id, body->producer_epoch};
    struct txn_partition offsets = {
        .topic = slice_str(GROUP_OFFSETS_TOPIC),
        .index = group_coordinator_partition(request->server->groups, body->group_id),
    };
    bool adds = api_version(request) >= ADDING_VERSION;
    enum err err =
        txn_session_enter(request->server->txns, body->transactional_id, producer,
                          adds ? TXN_VERSION_2 : TXN_VERSION_1, &offsets, 1, session, reason);
    if (err == ERR_NONE && !txn_session_has(session, offsets.topic, offsets.index)) {
        txn_session_leave(session);
        bool old = api_version(request) < ABORTABLE_VERSION;
        err = reason_fail(reason, old ? ERR_INVALID_TXN_STATE : ERR_TXN_ABORTABLE,
                          "the offsets of group '%.*s' are not in the open transaction",
                          SLICE_ARGS(body->group_id));
    }
    return err == ERR_TXN_PRODUCER_FENCED ? ERR_PRODUCER_FENCED : err;
}

static enum err commit_offsets(struct api_request *request, struct reason *reason)
{
    const struct txn_offset_commit_request *body = request->state;
    size_t count = 0;
    for (int32_t t = 0; t < body->topics_count; t++) {
        count += (size_t)body->topics[t].partitions_count;
    }
    struct group_offset_commit *offsets = api_alloc(request, count, sizeof *offsets);
    size_t filled = 0;
    for (int32_t t = 0; t < body->topics_count; t++) {
        filled += add_topic(request, body->group_id, &body->topics[t], offsets + filled);
    }
    struct group_txn_commit_request commit = {
        .waiter = request->completion,
        .release = api_group_release(request),
        .producer_id = body->producer_id,
        .producer_epoch = body->producer_epoch,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .generation = body->generation_id_or_member_epoch,
        .client_id = request->client_id,
        .client_host = slice_str(request->connection->peer),
        .offsets = offsets,
        .count = count,
    };
    struct txn_session session = {0};
    enum err err = enter(request, body, &session, reason);
    if (err == ERR_NONE) {
        group_coordinator_txn_commit(request->server->groups, body->group_id, &commit);
    } else {
        bool is_denied = err == ERR_TRANSACTIONAL_ID_DENIED || err == ERR_GROUP_DENIED;
        for (size_t i = 0; is_denied && i < filled; i++) {
            offsets[i].err = err; /* nor is it told which topics there are */
        }
        group_coordinator_txn_refuse(request->server->groups, &commit, err);
    }
    txn_session_leave(&session);
    return ERR_NONE;
}

enum err handle_txn_offset_commit(struct api_request *request, struct reason *reason)
{
    struct wire_reader whole = request->body;
    struct txn_offset_commit_request *body = api_alloc_state(request, sizeof *body);
    enum err err = txn_offset_commit_request_decode(&request->body, api_version(request), body);
    if (err != ERR_NONE) {
        return err;
    }
    if (api_is_of_large_group(request, body->group_id)) {
        return api_handle_slowly(request, whole);
    }
    return api_version(request) >= ADDING_VERSION
               ? api_txn_after_end(request, body->transactional_id, commit_offsets, reason)
               : commit_offsets(request, reason);
}
