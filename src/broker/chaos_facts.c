#include "broker/chaos_facts.h"

#include "topic/topic.h"
#include "wire/generated/add_offsets_to_txn.h"
#include "wire/generated/add_partitions_to_txn.h"
#include "wire/generated/consumer_group_heartbeat.h"
#include "wire/generated/create_topics.h"
#include "wire/generated/delete_records.h"
#include "wire/generated/delete_topics.h"
#include "wire/generated/end_txn.h"
#include "wire/generated/fetch.h"
#include "wire/generated/find_coordinator.h"
#include "wire/generated/heartbeat.h"
#include "wire/generated/init_producer_id.h"
#include "wire/generated/join_group.h"
#include "wire/generated/leave_group.h"
#include "wire/generated/list_offsets.h"
#include "wire/generated/metadata.h"
#include "wire/generated/offset_commit.h"
#include "wire/generated/offset_fetch.h"
#include "wire/generated/produce.h"
#include "wire/generated/sync_group.h"
#include "wire/generated/txn_offset_commit.h"

#include <string.h>

struct reading {
    struct api_request const *request;
    struct wire_reader reader;
    int16_t version;
    struct chaos_facts *facts;
};

static void add_topic(struct reading *in, struct slice name)
{
    if (!slice_is_null(name) && name.size > 0 && in->facts->topic_count < CHAOS_NAMES_MOST) {
        in->facts->topics[in->facts->topic_count++] = name;
    }
}

static void add_group(struct reading *in, struct slice name)
{
    if (!slice_is_null(name) && in->facts->group_count < CHAOS_NAMES_MOST) {
        in->facts->groups[in->facts->group_count++] = name;
    }
}

/* A topic that a client names by its id. */
static void add_topic_id(struct reading *in, const struct wire_uuid *uuid)
{
    struct topic_id id;
    memcpy(id.bytes, uuid->bytes, sizeof id.bytes);
    struct topic *topic = catalogue_find_id(in->request->server->catalogue, &id);
    if (topic == NULL) {
        return;
    }
    size_t size = strlen(topic->name);
    const uint8_t *copy = arena_dup(in->reader.arena, topic->name, size);
    if (copy != NULL) {
        add_topic(in, slice_of(copy, size));
    }
    topic_unref(topic);
}

static void read_produce(struct reading *in)
{
    struct produce_request body;
    if (produce_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        in->facts->transactional_id = body.transactional_id;
        in->facts->is_unanswered = body.acks == 0;
        for (int32_t i = 0; i < body.topic_data_count; i++) {
            add_topic(in, body.topic_data[i].name);
        }
    }
}

static void read_fetch(struct reading *in)
{
    enum { NO_NAMES_VERSION = 13 };
    struct fetch_request body;
    if (fetch_request_decode(&in->reader, in->version, &body) != ERR_NONE) {
        return;
    }
    for (int32_t i = 0; i < body.topics_count; i++) {
        if (in->version >= NO_NAMES_VERSION) {
            add_topic_id(in, &body.topics[i].topic_id);
        } else {
            add_topic(in, body.topics[i].topic);
        }
    }
}

static void read_list_offsets(struct reading *in)
{
    struct list_offsets_request body;
    if (list_offsets_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        for (int32_t i = 0; i < body.topics_count; i++) {
            add_topic(in, body.topics[i].name);
        }
    }
}

static void read_metadata(struct reading *in)
{
    struct metadata_request body;
    if (metadata_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        for (int32_t i = 0; i < body.topics_count; i++) {
            if (slice_is_null(body.topics[i].name)) {
                add_topic_id(in, &body.topics[i].topic_id);
            } else {
                add_topic(in, body.topics[i].name);
            }
        }
    }
}

static void read_offset_commit(struct reading *in)
{
    struct offset_commit_request body;
    if (offset_commit_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        add_group(in, body.group_id);
        for (int32_t i = 0; i < body.topics_count; i++) {
            add_topic(in, body.topics[i].name);
        }
    }
}

static void read_offset_fetch(struct reading *in)
{
    enum { GROUPS_VERSION = 8 };
    struct offset_fetch_request body;
    if (offset_fetch_request_decode(&in->reader, in->version, &body) != ERR_NONE) {
        return;
    }
    if (in->version < GROUPS_VERSION) {
        add_group(in, body.group_id);
    }
    for (int32_t i = 0; i < body.topics_count; i++) {
        add_topic(in, body.topics[i].name);
    }
    for (int32_t g = 0; g < body.groups_count; g++) {
        add_group(in, body.groups[g].group_id);
        for (int32_t i = 0; i < body.groups[g].topics_count; i++) {
            add_topic(in, body.groups[g].topics[i].name);
        }
    }
}

static void read_find_coordinator(struct reading *in)
{
    enum { OF_GROUP = 0, OF_TRANSACTION = 1, KEYS_VERSION = 4 };
    struct find_coordinator_request body;
    if (find_coordinator_request_decode(&in->reader, in->version, &body) != ERR_NONE) {
        return;
    }
    const struct slice *keys = in->version < KEYS_VERSION ? &body.key : body.coordinator_keys;
    int32_t count = in->version < KEYS_VERSION ? 1 : body.coordinator_keys_count;
    for (int32_t i = 0; i < count; i++) {
        if (body.key_type == OF_GROUP) {
            add_group(in, keys[i]);
        } else if (body.key_type == OF_TRANSACTION) {
            in->facts->transactional_id = keys[i];
        }
    }
}

/* Requests that name one group, in the field group_id. */
#define READ_GROUP(api)                                                                            \
    static void read_##api(struct reading *in)                                                     \
    {                                                                                              \
        struct api##_request body;                                                                 \
        if (api##_request_decode(&in->reader, in->version, &body) == ERR_NONE) {                   \
            add_group(in, body.group_id);                                                          \
        }                                                                                          \
    }
READ_GROUP(join_group)
READ_GROUP(heartbeat)
READ_GROUP(leave_group)
READ_GROUP(sync_group)
READ_GROUP(consumer_group_heartbeat)

static void read_init_producer_id(struct reading *in)
{
    struct init_producer_id_request body;
    if (init_producer_id_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        in->facts->transactional_id = body.transactional_id;
    }
}

static void read_add_partitions_to_txn(struct reading *in)
{
    enum { TRANSACTIONS_VERSION = 4 };
    struct add_partitions_to_txn_request body;
    if (add_partitions_to_txn_request_decode(&in->reader, in->version, &body) != ERR_NONE) {
        return;
    }
    if (in->version < TRANSACTIONS_VERSION) {
        in->facts->transactional_id = body.v3_and_below_transactional_id;
    }
    for (int32_t i = 0; i < body.v3_and_below_topics_count; i++) {
        add_topic(in, body.v3_and_below_topics[i].name);
    }
    for (int32_t t = 0; t < body.transactions_count; t++) {
        in->facts->transactional_id = body.transactions[t].transactional_id;
        for (int32_t i = 0; i < body.transactions[t].topics_count; i++) {
            add_topic(in, body.transactions[t].topics[i].name);
        }
    }
}

static void read_add_offsets_to_txn(struct reading *in)
{
    struct add_offsets_to_txn_request body;
    if (add_offsets_to_txn_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        in->facts->transactional_id = body.transactional_id;
        add_group(in, body.group_id);
    }
}

static void read_end_txn(struct reading *in)
{
    struct end_txn_request body;
    if (end_txn_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        in->facts->transactional_id = body.transactional_id;
    }
}

static void read_txn_offset_commit(struct reading *in)
{
    struct txn_offset_commit_request body;
    if (txn_offset_commit_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        in->facts->transactional_id = body.transactional_id;
        add_group(in, body.group_id);
        for (int32_t i = 0; i < body.topics_count; i++) {
            add_topic(in, body.topics[i].name);
        }
    }
}

static void read_create_topics(struct reading *in)
{
    struct create_topics_request body;
    if (create_topics_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        for (int32_t i = 0; i < body.topics_count; i++) {
            add_topic(in, body.topics[i].name);
        }
    }
}

static void read_delete_topics(struct reading *in)
{
    struct delete_topics_request body;
    if (delete_topics_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        for (int32_t i = 0; i < body.topics_count; i++) {
            add_topic(in, body.topics[i].name);
        }
        for (int32_t i = 0; i < body.topic_names_count; i++) {
            add_topic(in, body.topic_names[i]);
        }
    }
}

static void read_delete_records(struct reading *in)
{
    struct delete_records_request body;
    if (delete_records_request_decode(&in->reader, in->version, &body) == ERR_NONE) {
        for (int32_t i = 0; i < body.topics_count; i++) {
            add_topic(in, body.topics[i].name);
        }
    }
}

static const struct {
    int16_t key;
    void (*read)(struct reading *in);
} readers[] = {
    {API_KEY_PRODUCE, read_produce},
    {API_KEY_FETCH, read_fetch},
    {API_KEY_LIST_OFFSETS, read_list_offsets},
    {API_KEY_METADATA, read_metadata},
    {API_KEY_OFFSET_COMMIT, read_offset_commit},
    {API_KEY_OFFSET_FETCH, read_offset_fetch},
    {API_KEY_FIND_COORDINATOR, read_find_coordinator},
    {API_KEY_JOIN_GROUP, read_join_group},
    {API_KEY_HEARTBEAT, read_heartbeat},
    {API_KEY_LEAVE_GROUP, read_leave_group},
    {API_KEY_SYNC_GROUP, read_sync_group},
    {API_KEY_CONSUMER_GROUP_HEARTBEAT, read_consumer_group_heartbeat},
    {API_KEY_INIT_PRODUCER_ID, read_init_producer_id},
    {API_KEY_ADD_PARTITIONS_TO_TXN, read_add_partitions_to_txn},
    {API_KEY_ADD_OFFSETS_TO_TXN, read_add_offsets_to_txn},
    {API_KEY_END_TXN, read_end_txn},
    {API_KEY_TXN_OFFSET_COMMIT, read_txn_offset_commit},
    {API_KEY_CREATE_TOPICS, read_create_topics},
    {API_KEY_DELETE_TOPICS, read_delete_topics},
    {API_KEY_DELETE_RECORDS, read_delete_records},
};

void chaos_facts_read(const struct api_request *request, struct arena *arena,
                      struct chaos_facts *facts)
{
    struct reading in = {
        .request = request,
        .reader = request->body,
        .version = api_version(request),
        .facts = facts,
    };
    in.reader.arena = arena;
    facts->api_key = request->completion.api_key;
    facts->is_unanswered = false;
    facts->client_id = request->client_id;
    facts->transactional_id = (struct slice){0};
    facts->topic_count = facts->group_count = 0;
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (readers[i].key == facts->api_key) {
            readers[i].read(&in);
        }
    }
}
