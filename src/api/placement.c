#include "wire/generated/alter_partition_reassignments.h"
#include "wire/generated/elect_leaders.h"
#include "wire/generated/list_partition_reassignments.h"

#include "api/handlers.h"
#include "api/topic_admin.h"

/* Where partitions live and who leads them: all here, for ever. */

/* Whether there is such a partition; else code and text say what is missing. */
static bool partition_exists(struct api_request *request, struct slice topic, int32_t index,
                             int16_t *code, struct slice *message)
{
    struct partition *partition = api_find_partition(request->server, topic, index);
    if (partition == NULL) {
        *code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        *message = api_text(request, "there is no partition %d of topic '%.*s'", (int)index,
                            SLICE_ARGS(topic));
        return false;
    }
    topic_unref(partition->topic);
    return true;
}

static void elect_one(struct api_request *request, struct slice topic, int32_t index,
                      struct elect_leaders_response_partition *out)
{
    elect_leaders_response_partition_init(out);
    out->partition_id = index;
    if (partition_exists(request, topic, index, &out->error_code, &out->error_message)) {
        out->error_code = KAFKA_ERROR_ELECTION_NOT_NEEDED;
        out->error_message = slice_str("its only replica leads it already");
    }
}

/* KIP-183, KIP-460. For all partitions (null) only those are told that an election was held for:
 * none. */
enum err handle_elect_leaders(struct api_request *request, struct reason *reason)
{
    struct elect_leaders_request body;
    enum err err = elect_leaders_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_ALTER, api_cluster())) {
        struct elect_leaders_response denied;
        elect_leaders_response_init(&denied);
        denied.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
        API_REPLY(request, elect_leaders_response_encode, &denied);
        return ERR_NONE;
    }
    int32_t count = body.topic_partitions_count > 0 ? body.topic_partitions_count : 0;
    struct elect_leaders_response response;
    elect_leaders_response_init(&response);
    response.replica_election_results =
        api_alloc(request, (size_t)count, sizeof *response.replica_election_results);
    response.replica_election_results_count = count;
    for (int32_t i = 0; i < count; i++) {
        const struct elect_leaders_request_topic *in = &body.topic_partitions[i];
        struct elect_leaders_response_topic *out = &response.replica_election_results[i];
        elect_leaders_response_topic_init(out);
        out->topic = in->topic;
        out->partition_result =
            api_alloc(request, (size_t)in->partitions_count, sizeof *out->partition_result);
        out->partition_result_count = in->partitions_count;
        for (int32_t j = 0; j < in->partitions_count; j++) {
            elect_one(request, in->topic, in->partitions[j], &out->partition_result[j]);
        }
        err = api_check_size(request, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    API_REPLY(request, elect_leaders_response_encode, &response);
    return ERR_NONE;
}

/* To where it is already: done. To anywhere else: there is nowhere else. */
static void reassign_one(struct api_request *request, struct slice topic,
                         const struct alter_partition_reassignments_request_partition *in,
                         struct alter_partition_reassignments_response_partition *out)
{
    alter_partition_reassignments_response_partition_init(out);
    out->partition_index = in->partition_index;
    if (!partition_exists(request, topic, in->partition_index, &out->error_code,
                          &out->error_message)) {
        return;
    }
    if (in->replicas_count < 0) {
        out->error_code = KAFKA_ERROR_NO_REASSIGNMENT_IN_PROGRESS;
        out->error_message = slice_str("there is no reassignment to cancel");
        return;
    }
    struct reason reason = {.text = ""};
    if (admin_check_replicas(request->server, in->replicas, in->replicas_count, in->partition_index,
                             &reason) != ERR_NONE) {
        out->error_code = KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT;
        out->error_message = api_reason(request, &reason);
    }
}

/* KIP-455. */
enum err handle_alter_partition_reassignments(struct api_request *request, struct reason *reason)
{
    struct alter_partition_reassignments_request body;
    enum err err =
        alter_partition_reassignments_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_ALTER, api_cluster())) {
        struct alter_partition_reassignments_response denied;
        alter_partition_reassignments_response_init(&denied);
        denied.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
        API_REPLY(request, alter_partition_reassignments_response_encode, &denied);
        return ERR_NONE;
    }
    struct alter_partition_reassignments_response response;
    alter_partition_reassignments_response_init(&response);
    response.responses = api_alloc(request, (size_t)body.topics_count, sizeof *response.responses);
    response.responses_count = body.topics_count;
    for (int32_t i = 0; i < body.topics_count; i++) {
        const struct alter_partition_reassignments_request_topic *in = &body.topics[i];
        struct alter_partition_reassignments_response_topic *out = &response.responses[i];
        alter_partition_reassignments_response_topic_init(out);
        out->name = in->name;
        out->partitions = api_alloc(request, (size_t)in->partitions_count, sizeof *out->partitions);
        out->partitions_count = in->partitions_count;
        for (int32_t j = 0; j < in->partitions_count; j++) {
            reassign_one(request, in->name, &in->partitions[j], &out->partitions[j]);
        }
        err = api_check_size(request, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    API_REPLY(request, alter_partition_reassignments_response_encode, &response);
    return ERR_NONE;
}

/* KIP-455: none is ever under way. */
enum err handle_list_partition_reassignments(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct list_partition_reassignments_request body;
    enum err err =
        list_partition_reassignments_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_DESCRIBE, api_cluster())) {
        struct list_partition_reassignments_response denied;
        list_partition_reassignments_response_init(&denied);
        denied.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
        API_REPLY(request, list_partition_reassignments_response_encode, &denied);
        return ERR_NONE;
    }
    struct list_partition_reassignments_response response;
    list_partition_reassignments_response_init(&response);
    API_REPLY(request, list_partition_reassignments_response_encode, &response);
    return ERR_NONE;
}
