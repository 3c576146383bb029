#include "client/reader/reader_inside.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* What is read, from the beginning on and when more is to be read. */

enum client_status reader_add(struct reader *reader, const struct topic_partitions *partitions,
                              struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; status == CLIENT_OK && i < partitions->count; i++) {
        const struct topic_partition *at = &partitions->items[i];
        if (reader_find(reader, at->topic, at->partition) != NULL) {
            continue;
        }
        rd_kafka_topic_t *topic = rd_kafka_topic_new(reader->connection.rk, at->topic, NULL);
        if (topic == NULL ||
            rd_kafka_consume_start_queue(topic, at->partition, at->offset, reader->queue) != 0) {
            status = connection_fail(&reader->connection, error, rd_kafka_last_error(), NULL);
        } else {
            reader_hold(reader, at->topic, at->partition);
        }
        if (topic != NULL) {
            rd_kafka_topic_destroy(topic); /* the started partition keeps its own hold */
        }
    }
    return status;
}

void reader_set_topics(struct reader *reader, const char *const *topics, size_t count)
{
    for (size_t i = 0; i < reader->topic_count; i++) {
        free(reader->topics[i]);
    }
    free(reader->topics);
    reader->topics = count > 0 ? mem_new_array(char *, count) : NULL;
    reader->topic_count = count;
    for (size_t i = 0; i < count; i++) {
        reader->topics[i] = mem_strdup(topics[i]);
    }
}

enum client_status reader_subscribe(struct reader *reader, const char *const *topics, size_t count,
                                    struct client_error *error)
{
    reader_set_topics(reader, topics, count);
    bool is_fenced = reader->fence.look_at_ms != 0; /* then it joins again by itself */
    return is_fenced ? CLIENT_OK : reader_group_join(reader, error);
}

/* --- for who commits in transactions --- */

/*
 * librdkafka's own thread moves its membership on, and a rebalance that it has gone through without
 * us leaves what we hold ours until we have given it back. But when the group does not know it any
 * more it joins as another member, and others may have what is held: only the member that
 * partitions were given to commits for them. What it says while it is out has no member id, and
 * would be taken by the bus for a commit without group.
 */
void reader_membership(struct reader *reader, struct buf *member)
{
    rd_kafka_t *rk = reader->connection.rk;
    rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(rk);
    char *id = rd_kafka_memberid(rk);
    void *bytes = NULL;
    size_t size;
    bool is_member = metadata != NULL && id != NULL && id[0] != '\0' && reader->member_id != NULL &&
                     strcmp(id, reader->member_id) == 0 && !rd_kafka_assignment_lost(rk) &&
                     reader->fence.look_at_ms == 0;
    if (is_member) {
        rd_kafka_error_t *failure = rd_kafka_consumer_group_metadata_write(metadata, &bytes, &size);
        if (failure == NULL) {
            buf_append(member, bytes, size);
        } else {
            rd_kafka_error_destroy(failure);
        }
    }
    rd_kafka_mem_free(rk, bytes);
    rd_kafka_mem_free(rk, id);
    if (metadata != NULL) {
        rd_kafka_consumer_group_metadata_destroy(metadata);
    }
}

/* What is read as committed settles what is pending, too: librdkafka asks for that. */
enum client_status reader_committed(struct reader *reader, struct topic_partitions *partitions,
                                    struct client_error *error)
{
    rd_kafka_topic_partition_list_t *list = kafka_list_new(partitions);
    rd_kafka_resp_err_t code =
        kafka_ask_committed(&reader->connection, list, connection_timeout_ms(&reader->connection));
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct topic_partition *to = &partitions->items[i]; /* in their order */
        to->offset = at->offset;
        free(to->metadata);
        to->metadata = at->metadata != NULL ? mem_strndup(at->metadata, at->metadata_size) : NULL;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return connection_fail(&reader->connection, error, code, NULL);
}

void reader_renew(struct reader *reader, const char *topic, int32_t number)
{
    struct reader_partition *partition = reader_find(reader, topic, number);
    if (partition != NULL) {
        partition->epoch = ++reader->last_epoch;
    }
}

void reader_note_reborn(struct reader *reader, const char *topic, int32_t number)
{
    struct reader_partition *partition = reader_find(reader, topic, number);
    if (partition != NULL && !partition->is_reborn) {
        partition->is_reborn = true;
        reader_misplaced(reader, partition, partition->stored);
    }
}

bool reader_has_stored(struct reader *reader, const char *topic, int32_t number)
{
    const struct reader_partition *partition = reader_find(reader, topic, number);
    return partition != NULL && partition->stored >= 0;
}

bool reader_is_reborn(struct reader *reader, const char *topic, int32_t number)
{
    const struct reader_partition *partition = reader_find(reader, topic, number);
    return partition != NULL && partition->is_reborn;
}

void reader_note_stored(struct reader *reader, const char *topic, int32_t number, int64_t offset)
{
    struct reader_partition *partition = reader_find(reader, topic, number);
    if (partition != NULL && !partition->is_reborn) {
        partition->stored = offset;
    }
}
