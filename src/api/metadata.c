#include "wire/generated/metadata.h"

#include "api/handlers.h"
#include "base/logger.h"

#include <string.h>

struct answer {
    struct api_request *request;
    struct metadata_response_topic *topics;
    int32_t count;
    int32_t *node; /* the one replica of every partition */
};

static void describe_partitions(struct answer *answer, const struct topic *topic,
                                struct metadata_response_topic *out)
{
    int32_t count = topic_partition_count(topic);
    out->partitions = api_alloc(answer->request, (size_t)count, sizeof *out->partitions);
    out->partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct metadata_response_partition *partition = &out->partitions[i];
        metadata_response_partition_init(partition);
        partition->partition_index = i;
        partition->leader_id = *answer->node;
        partition->leader_epoch = 0;
        partition->replica_nodes = answer->node;
        partition->replica_nodes_count = 1;
        partition->isr_nodes = answer->node;
        partition->isr_nodes_count = 1;
        if (log_is_offline(topic_partition(topic, i)->log)) {
            partition->error_code = KAFKA_ERROR_LEADER_NOT_AVAILABLE;
            partition->leader_id = API_NO_LEADER;
            partition->offline_replicas = answer->node;
            partition->offline_replicas_count = 1;
        }
    }
}

static void add_topic(struct answer *answer, const struct topic *topic, bool operations)
{
    struct metadata_response_topic *out = &answer->topics[answer->count++];
    metadata_response_topic_init(out);
    out->name = api_keep(answer->request, slice_str(topic->name));
    memcpy(out->topic_id.bytes, topic->id.bytes, sizeof out->topic_id.bytes);
    out->is_internal = topic->internal;
    if (operations) {
        out->topic_authorized_operations =
            api_allowed_operations(answer->request, api_topic(slice_str(topic->name)));
    }
    describe_partitions(answer, topic, out);
}

static void add_missing(struct answer *answer, const struct metadata_request_topic *wanted,
                        int16_t code)
{
    struct metadata_response_topic *out = &answer->topics[answer->count++];
    metadata_response_topic_init(out);
    out->error_code = code;
    out->name = wanted->name;
    out->topic_id = wanted->topic_id;
    if (slice_is_null(out->name) && api_version(answer->request) < 12) {
        out->name = WIRE_EMPTY;
    }
}

/* By id, whatever name comes with it: Java's client sends an empty one. */
static bool is_by_id(const struct metadata_request_topic *wanted)
{
    return slice_is_null(wanted->name) || !wire_uuid_is_zero(wanted->topic_id);
}

/* The topic asked for: a reference, or NULL with the code for the answer. */
static struct topic *find_wanted(struct api_request *request,
                                 const struct metadata_request_topic *wanted, int16_t *code)
{
    struct catalogue *catalogue = request->server->catalogue;
    if (is_by_id(wanted)) {
        *code = KAFKA_ERROR_UNKNOWN_TOPIC_ID;
        struct topic_id id;
        memcpy(id.bytes, wanted->topic_id.bytes, sizeof id.bytes);
        struct topic *topic = catalogue_find_id(catalogue, &id);
        if (topic != NULL &&
            !api_allows(request, API_DESCRIBE, api_topic(slice_str(topic->name)))) {
            topic_unref(topic); /* nor may the client learn that it exists */
            topic = NULL;
        }
        return topic;
    }
    struct reason reason;
    if (topic_check_name(wanted->name, &reason) != ERR_NONE) {
        *code = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        return NULL;
    }
    if (!api_allows(request, API_DESCRIBE, api_topic(wanted->name))) {
        *code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return NULL;
    }
    *code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    return catalogue_find(catalogue, wanted->name);
}

static void answer_all(struct answer *answer, bool operations)
{
    struct topic_list *topics = catalogue_list(answer->request->server->catalogue);
    answer->topics = api_alloc(answer->request, topics->count, sizeof *answer->topics);
    for (size_t i = 0; i < topics->count; i++) {
        const struct topic *topic = topics->items[i];
        if (api_allows(answer->request, API_DESCRIBE, api_topic(slice_str(topic->name)))) {
            add_topic(answer, topic, operations);
        }
    }
    topic_list_unref(topics);
}

/* A topic that is named again and again is answered once: its partitions may be many. */
static const int32_t *first_named(struct api_request *request, const struct metadata_request *body)
{
    struct slice *names = api_alloc(request, (size_t)body->topics_count, sizeof *names);
    for (int32_t i = 0; i < body->topics_count; i++) {
        const struct metadata_request_topic *topic = &body->topics[i];
        names[i] = is_by_id(topic) ? slice_of(topic->topic_id.bytes, sizeof topic->topic_id.bytes)
                                   : topic->name;
    }
    return api_first_of_equal(request, names, body->topics_count);
}

/* What is asked, on its way to a worker. */
struct metadata_call {
    struct metadata_request body;
    bool all;
    const int32_t *first; /* see first_named; NULL when all are asked for */

    /* topics that have to be made first */
    int32_t next;
    int16_t *refused; /* by topic: why it could not be made, or 0; NULL: none had to */
    struct catalogue_change *change; /* that is on its way */
};

static void answer_wanted(struct answer *answer, const struct metadata_call *call)
{
    const struct metadata_request *body = &call->body;
    answer->topics = api_alloc(answer->request, (size_t)body->topics_count, sizeof *answer->topics);
    for (int32_t i = 0; i < body->topics_count; i++) {
        if (call->first[i] != i) {
            continue;
        }
        int16_t code;
        struct topic *topic = find_wanted(answer->request, &body->topics[i], &code);
        if (topic == NULL) {
            bool refused = call->refused != NULL && call->refused[i] != KAFKA_ERROR_NONE;
            add_missing(answer, &body->topics[i], refused ? call->refused[i] : code);
        } else {
            add_topic(answer, topic, body->include_topic_authorized_operations);
            topic_unref(topic);
        }
    }
}

static enum err answer_call(struct api_request *request, struct reason *reason)
{
    (void)reason;
    const struct metadata_call *call = request->state;
    const struct api_server *server = request->server;
    struct answer answer = {.request = request, .node = api_alloc(request, 1, sizeof(int32_t))};
    *answer.node = server->config.node_id;
    if (call->all) {
        answer_all(&answer, call->body.include_topic_authorized_operations);
    } else {
        answer_wanted(&answer, call);
    }
    struct metadata_response_broker broker = {
        .node_id = server->config.node_id,
        .host = slice_str(request->host),
        .port = request->port,
    };
    struct metadata_response response;
    metadata_response_init(&response);
    response.brokers = &broker;
    response.brokers_count = 1;
    response.cluster_id = slice_str(catalogue_cluster_id(server->catalogue));
    response.controller_id = server->config.node_id;
    response.topics = answer.topics;
    response.topics_count = answer.count;
    if (call->body.include_cluster_authorized_operations) {
        response.cluster_authorized_operations = api_cluster_operations(request);
    }
    API_REPLY(request, metadata_response_encode, &response);
    return ERR_NONE;
}

/* ---- topics that are made because they are asked for ---- */

/* NULL with code NONE: it is named before. */
static struct topic *find_first_named(struct api_request *request, const struct metadata_call *call,
                                      int32_t i, int16_t *code)
{
    *code = KAFKA_ERROR_NONE;
    struct topic *topic =
        call->first[i] == i ? find_wanted(request, &call->body.topics[i], code) : NULL;
    *code = topic != NULL ? KAFKA_ERROR_NONE : *code;
    return topic;
}

/* Whether the topic has to be made first. */
static bool is_to_be_made(struct api_request *request, const struct metadata_call *call, int32_t i)
{
    int16_t code;
    struct topic *topic = find_first_named(request, call, i, &code);
    if (topic != NULL) {
        topic_unref(topic);
    }
    return code == KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

static void note_refused(struct api_request *request, struct metadata_call *call, enum err err,
                         const struct reason *reason)
{
    struct slice name = call->body.topics[call->next].name;
    if (err == ERR_INVALID) {
        call->refused[call->next] = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        return;
    }
    if (err != ERR_EXISTS) {
        call->refused[call->next] = api_error_code(err);
    } else if (!is_to_be_made(request, call, call->next)) {
        return; /* somebody else was quicker */
    }
    LOG_WARN("api", "a topic could not be created", "topic=%.*s reason=\"%s\"", SLICE_ARGS(name),
             reason->text);
}

static void begin_creation(struct api_request *request, struct metadata_call *call)
{
    struct topic_creation creation = {
        .name = call->body.topics[call->next].name,
        .partition_count = request->server->config.default_partitions,
    };
    struct reason reason;
    if (!api_allows(request, API_CREATE, api_cluster()) &&
        !api_allows(request, API_CREATE, api_topic(creation.name))) {
        call->refused[call->next] = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    enum err err =
        catalogue_create_begin(request->server->catalogue, &creation, &call->change, &reason);
    if (err != ERR_NONE) {
        note_refused(request, call, err, &reason);
    }
}

/* A topic, or a piece of one, a turn. */
static enum err create_some(struct api_request *request, struct reason *reason)
{
    struct metadata_call *call = request->state;
    int32_t count = call->body.topics_count;
    if (call->change == NULL) {
        while (call->next < count && !is_to_be_made(request, call, call->next)) {
            call->next++;
        }
        if (call->next < count) {
            begin_creation(request, call);
        }
    }
    if (call->change != NULL && !catalogue_change_step(call->change)) {
        struct reason why;
        enum err err = catalogue_change_end(call->change, NULL, &why);
        call->change = NULL;
        if (err != ERR_NONE) {
            note_refused(request, call, err, &why);
        }
    }
    call->next += call->change == NULL && call->next < count;
    return call->next < count ? api_go_on_slowly(request, create_some)
                              : answer_call(request, reason);
}

/* More are described on a worker. */
enum { QUICK_PARTITIONS = 2000 };

/* What answering comes to. */
struct weight {
    int64_t partitions; /* of the topics that are there */
    bool missing;       /* some topic is not, and may be made */
};

static struct weight weigh(struct api_request *request, const struct metadata_call *call)
{
    struct weight weight = {0};
    for (int32_t i = 0; i < call->body.topics_count; i++) {
        int16_t code = KAFKA_ERROR_NONE;
        struct topic *topic = find_first_named(request, call, i, &code);
        if (topic != NULL) {
            weight.partitions += topic_partition_count(topic);
            topic_unref(topic);
        }
        weight.missing = weight.missing || code == KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return weight;
}

enum err handle_metadata(struct api_request *request, struct reason *reason)
{
    struct metadata_call *call = api_alloc_state(request, sizeof *call);
    struct metadata_request *body = &call->body;
    enum err err = metadata_request_decode(&request->body, api_version(request), body);
    if (err != ERR_NONE) {
        return err;
    }
    call->all = body->topics_count < 0 || (api_version(request) == 0 && body->topics_count == 0);
    if (call->all) {
        return api_go_on_slowly(request, answer_call);
    }
    call->first = first_named(request, body);
    struct weight weight = weigh(request, call);
    if (weight.missing && request->server->config.auto_create_topics &&
        body->allow_auto_topic_creation) {
        call->refused = api_alloc(request, (size_t)body->topics_count, sizeof *call->refused);
        return api_go_on_slowly(request, create_some);
    }
    return weight.partitions > QUICK_PARTITIONS ? api_go_on_slowly(request, answer_call)
                                                : answer_call(request, reason);
}
