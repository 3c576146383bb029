#include "wire/generated/write_txn_markers.h"

#include "api/handlers.h"
#include "base/logger.h"
#include "base/mem.h"
#include "group/coordinator.h"
#include "stream/produce.h"
#include "topic/topic.h"

/*
 * Ends transactions in the partitions that the request names, whatever the coordinator of this
 * server knows of them: how an operator ends a transaction that nobody ends (KIP-664). Answered
 * once the markers are on disk.
 */
struct marker_call {
    struct api_request *request;
    struct produce_item *items; /* in the order of the response's partitions */
    size_t item_count;
    bool *commits; /* by marker */
    bool denied;   /* the client may not end transactions of others: each partition says so */
    struct write_txn_markers_response response;
    struct produce_wait wait;
};

static void append_marker(struct marker_call *call, struct slice topic, int32_t index,
                          const struct write_txn_markers_request_marker *in)
{
    struct produce_item *item = &call->items[call->item_count++];
    struct partition_marker marker = {
        .producer_id = in->producer_id,
        .producer_epoch = in->producer_epoch,
        .coordinator_epoch = in->coordinator_epoch,
        .commit = in->transaction_result,
    };
    if (call->denied) {
        return;
    }
    item->partition = api_find_partition(call->request->server, topic, index);
    if (item->partition == NULL) {
        item->err = ERR_NOT_FOUND;
        return;
    }
    item->err = partition_append_marker(item->partition, &marker, &item->reason);
    item->end_offset = marker.end_offset;
    if (item->err == ERR_CLOSED && partition_gone(item->partition)) {
        item->err = ERR_NOT_FOUND;
    }
}

static void append_topic(struct marker_call *call,
                         const struct write_txn_markers_request_marker *marker,
                         const struct write_txn_markers_request_topic *in,
                         struct write_txn_markers_response_topic *out)
{
    write_txn_markers_response_topic_init(out);
    out->name = api_keep(call->request, in->name);
    out->partitions_count = in->partition_indexes_count;
    out->partitions =
        api_alloc(call->request, (size_t)in->partition_indexes_count, sizeof *out->partitions);
    for (int32_t i = 0; i < in->partition_indexes_count; i++) {
        write_txn_markers_response_partition_init(&out->partitions[i]);
        out->partitions[i].partition_index = in->partition_indexes[i];
        append_marker(call, in->name, in->partition_indexes[i], marker);
    }
}

static void say_forced(const struct write_txn_markers_request_marker *in)
{
    LOG_INFO("api", "a request ends transactions by force",
             "producer_id=%lld epoch=%d result=%s topics=%d", (long long)in->producer_id,
             in->producer_epoch, in->transaction_result ? "commit" : "abort",
             (int)in->topics_count);
}

static void append_all(struct marker_call *call, const struct write_txn_markers_request *body)
{
    struct api_request *request = call->request;
    size_t items = 0;
    for (int32_t m = 0; m < body->markers_count; m++) {
        for (int32_t t = 0; t < body->markers[m].topics_count; t++) {
            items += (size_t)body->markers[m].topics[t].partition_indexes_count;
        }
    }
    call->items = api_alloc(request, items, sizeof *call->items);
    write_txn_markers_response_init(&call->response);
    call->response.markers_count = body->markers_count;
    call->response.markers =
        api_alloc(request, (size_t)body->markers_count, sizeof *call->response.markers);
    call->commits = api_alloc(request, (size_t)body->markers_count, sizeof *call->commits);
    for (int32_t m = 0; m < body->markers_count; m++) {
        const struct write_txn_markers_request_marker *in = &body->markers[m];
        struct write_txn_markers_response_marker *out = &call->response.markers[m];
        write_txn_markers_response_marker_init(out);
        if (!call->denied) {
            say_forced(in);
        }
        call->commits[m] = in->transaction_result;
        out->producer_id = in->producer_id;
        out->topics_count = in->topics_count;
        out->topics = api_alloc(request, (size_t)in->topics_count, sizeof *out->topics);
        for (int32_t t = 0; t < in->topics_count; t++) {
            append_topic(call, in, &in->topics[t], &out->topics[t]);
        }
    }
}

/* The marker is on disk, or not. Offsets that the transaction held count from then on. */
static void settle(struct marker_call *call, struct produce_item *item, int32_t marker)
{
    struct partition *partition = item->partition;
    if (partition == NULL) {
        return;
    }
    produce_settle(item);
    if (item->err == ERR_NONE &&
        slice_equal_str(slice_str(partition->topic->name), GROUP_OFFSETS_TOPIC)) {
        group_coordinator_txn_end(call->request->server->groups, partition->index,
                                  call->response.markers[marker].producer_id,
                                  call->commits[marker]);
    }
    partition_unref(partition);
}

static void answer(struct marker_call *call)
{
    size_t next = 0;
    for (int32_t m = 0; m < call->response.markers_count; m++) {
        struct write_txn_markers_response_marker *marker = &call->response.markers[m];
        for (int32_t t = 0; t < marker->topics_count; t++) {
            for (int32_t i = 0; i < marker->topics[t].partitions_count; i++) {
                struct produce_item *item = &call->items[next++];
                settle(call, item, m);
                marker->topics[t].partitions[i].error_code =
                    call->denied ? KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED
                                 : api_error_code(item->err);
            }
        }
    }
    API_REPLY(call->request, write_txn_markers_response_encode, &call->response);
}

static void on_flushed(struct produce_wait *wait)
{
    answer(container_of(wait, struct marker_call, wait));
}

enum err handle_write_txn_markers(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct write_txn_markers_request body;
    enum err err = write_txn_markers_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct marker_call *call = api_alloc(request, 1, sizeof *call);
    call->request = request;
    call->denied = !api_allows(request, API_ALTER, api_cluster()) &&
                   !api_allows(request, API_CLUSTER_ACTION, api_cluster());
    append_all(call, &body);
    struct flush_target *targets = api_alloc(request, call->item_count, sizeof *targets);
    call->wait.done = on_flushed;
    request->conn = NULL;
    if (!produce_wait_begin(&call->wait, request->server->flusher, api_reactor(request),
                            call->items, call->item_count, targets)) {
        answer(call);
    }
    return ERR_NONE;
}
