#include "client/reader/reader_inside.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Where partitions begin, and where they go on when their position is gone. */

enum { AGAIN_MS = 1000 };

/* --- what there was when reading began --- */

static void learn_topics(struct reader *reader)
{
    enum { PATIENCE_MS = 1000 }; /* nothing is taken meanwhile */
    const struct rd_kafka_metadata *metadata;
    if (kafka_ask_metadata_by(&reader->connection, reader->connection.rk, true, NULL, PATIENCE_MS,
                              &metadata) != 0) {
        return;
    }
    for (int i = 0; i < metadata->topic_cnt; i++) {
        vec_push(&reader->known,
                 (struct known_topic){.name = mem_strdup(metadata->topics[i].topic),
                                      .partition_count = metadata->topics[i].partition_cnt});
    }
    rd_kafka_metadata_destroy(metadata);
    reader->knows_topics = true;
}

/* Whether the partition was there before this reader began: only then can it begin behind events.
 */
static bool was_there(const struct reader *reader, const char *topic, int32_t number)
{
    for (size_t i = 0; i < reader->known.count; i++) {
        if (strcmp(reader->known.items[i].name, topic) == 0) {
            return number < reader->known.items[i].partition_count;
        }
    }
    return !reader->knows_topics;
}

/* --- beginnings --- */

enum client_status reader_all_partitions(struct reader *reader, struct topic_partitions *all)
{
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; status == CLIENT_OK && i < reader->topic_count; i++) {
        struct admin_topics found;
        status = admin_topic(&reader->connection, reader->topics[i], false, &found, NULL);
        for (size_t j = 0; status == CLIENT_OK && j < found.items[0].partitions.count; j++) {
            topic_partitions_add(all, reader->topics[i], found.items[0].partitions.items[j].id, -1);
        }
        admin_topics_deinit(&found);
        status = status == CLIENT_NOT_FOUND ? CLIENT_OK : status;
    }
    return status;
}

/* Whether the group has a commit for any of them. */
static enum client_status has_begun(struct reader *reader, const struct topic_partitions *all,
                                    bool *begun)
{
    rd_kafka_topic_partition_list_t *list = kafka_list_new(all);
    rd_kafka_resp_err_t code =
        kafka_ask_committed(&reader->connection, list, connection_timeout_ms(&reader->connection));
    *begun = false;
    for (int i = 0; i < list->cnt; i++) {
        *begun |= list->elems[i].offset >= 0;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return client_status_of(code);
}

/* Sets offsets: at `from` where the partition was there before, else at its start. */
static enum client_status resolve(struct reader *reader, struct topic_partitions *partitions,
                                  const struct position *from)
{
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, partitions->count + 1);
    enum client_status status = admin_bounds(&reader->connection, partitions, bounds, NULL);
    if (status == CLIENT_OK) {
        status = position_resolve(&reader->connection, partitions, from, bounds, NULL);
    }
    for (size_t i = 0; status == CLIENT_OK && i < partitions->count; i++) {
        struct topic_partition *at = &partitions->items[i];
        if (from->kind == POSITION_START) {
            continue;
        }
        const struct topic_partition *named =
            topic_partitions_find(&reader->begin, at->topic, at->partition);
        if (!was_there(reader, at->topic, at->partition)) {
            at->offset = bounds[i].start;
        } else if (named != NULL) {
            at->offset = named->offset;
        }
    }
    free(bounds);
    return status;
}

/* Writes beginnings down. One that cannot be written is tried again as the partition's mark. */
static void commit_beginnings(struct reader *reader, const struct topic_partitions *beginnings)
{
    rd_kafka_topic_partition_list_t *list = kafka_list_new(beginnings);
    bool is_written =
        list->cnt > 0 && reader_commit_list(reader, list) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(list);
    for (size_t i = 0; i < beginnings->count; i++) {
        const struct topic_partition *at = &beginnings->items[i];
        struct reader_partition *partition = reader_find(reader, at->topic, at->partition);
        if (partition != NULL && partition->mark < 0) {
            partition->mark = reader->commits_elsewhere ? -1 : at->offset;
            partition->committed = is_written ? at->offset : -1;
            partition->stored = partition->committed;
        }
    }
}

/*
 * Finds out where these partitions begin that have no commit. At the first start of a group that
 * does not begin at the start, all partitions of its topics begin now, not only this member's: by
 * that the other members, and whoever comes later, see that the group has begun.
 */
static enum client_status place_fresh(struct reader *reader, struct topic_partitions *fresh)
{
    static const struct position start = {.kind = POSITION_START};
    if (reader->from.kind == POSITION_START) {
        enum client_status status = resolve(reader, fresh, &start);
        if (status == CLIENT_OK) {
            commit_beginnings(reader, fresh);
        }
        return status;
    }
    struct topic_partitions all = {0};
    bool begun = false;
    enum client_status status = reader_all_partitions(reader, &all);
    if (status == CLIENT_OK) {
        status = has_begun(reader, &all, &begun);
    }
    struct topic_partitions *beginnings = begun ? fresh : &all;
    if (status == CLIENT_OK) {
        status = resolve(reader, beginnings, begun ? &start : &reader->from);
    }
    if (status == CLIENT_OK) {
        commit_beginnings(reader, beginnings);
    }
    for (size_t i = 0; status == CLIENT_OK && i < fresh->count; i++) {
        struct topic_partition *at = &fresh->items[i];
        const struct topic_partition *found =
            topic_partitions_find(beginnings, at->topic, at->partition);
        at->offset = found != NULL ? found->offset : -1;
    }
    topic_partitions_deinit(&all);
    return status;
}

void reader_place(struct reader *reader, rd_kafka_topic_partition_list_t *list)
{
    struct topic_partitions fresh = {0};
    int most_ms = connection_timeout_ms(&reader->connection);
    if (list->cnt == 0 || kafka_ask_committed(&reader->connection, list, most_ms) != 0) {
        for (int i = 0; i < list->cnt; i++) {
            list->elems[i].offset = RD_KAFKA_OFFSET_STORED;
        }
        return;
    }
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct reader_partition *partition = reader_find(reader, at->topic, at->partition);
        if (at->offset < 0) {
            topic_partitions_add(&fresh, at->topic, at->partition, -1);
        } else {
            partition->stored = at->offset;
        }
    }
    bool is_placed = fresh.count == 0 || place_fresh(reader, &fresh) == CLIENT_OK;
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->offset < 0) {
            const struct topic_partition *found =
                topic_partitions_find(&fresh, at->topic, at->partition);
            at->offset = is_placed && found->offset >= 0 ? found->offset : RD_KAFKA_OFFSET_STORED;
        }
    }
    topic_partitions_deinit(&fresh);
}

enum client_status reader_begin(struct reader *reader, const char *topic, int32_t number,
                                int64_t *offset, struct client_error *error)
{
    const struct reader_partition *partition = reader_find(reader, topic, number);
    struct topic_partitions one = {0};
    if (partition == NULL || partition->place_at_ms != 0) {
        return client_fail(error, CLIENT_NOT_FOUND, NULL, "%s partition %d has no position yet",
                           topic, (int)number);
    }
    topic_partitions_add(&one, topic, number, -1);
    enum client_status status = place_fresh(reader, &one);
    *offset = one.items[0].offset;
    topic_partitions_deinit(&one);
    if (status == CLIENT_OK && *offset < 0) {
        status = CLIENT_UNREACHABLE;
    }
    return status == CLIENT_OK
               ? status
               : client_fail(error, status, NULL, "where %s partition %d begins cannot be told",
                             topic, (int)number);
}

/* --- lost positions --- */

/* Where to go on, and what is missing; false: cannot be found out now. */
static bool find_place(struct reader *reader, const struct reader_partition *partition,
                       int64_t *offset, struct reader_gap *gap)
{
    struct topic_partitions one = {0};
    struct admin_bounds bounds;
    topic_partitions_add(&one, partition->topic, partition->number, -1);
    *gap = (struct reader_gap){.topic = NULL};
    bool is_found;
    if (partition->lost_at < 0 && reader->is_group) {
        is_found = place_fresh(reader, &one) == CLIENT_OK && one.items[0].offset >= 0;
        *offset = one.items[0].offset;
    } else {
        is_found = admin_bounds(&reader->connection, &one, &bounds, NULL) == CLIENT_OK;
        *offset = bounds.start;
        *gap = (struct reader_gap){
            .topic = partition->topic,
            .partition = partition->number,
            .from = partition->lost_at,
            .to = bounds.start,
            .is_new_topic = is_found && (partition->is_reborn || partition->lost_at > bounds.start),
        };
    }
    topic_partitions_deinit(&one);
    return is_found;
}

/* librdkafka does not seek in a partition whose position it gave up: it has to begin anew. */
static bool restart_direct(struct reader *reader, const struct reader_partition *partition,
                           int64_t offset)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(reader->connection.rk, partition->topic, NULL);
    bool is_started =
        topic != NULL && rd_kafka_consume_stop(topic, partition->number) == 0 &&
        rd_kafka_consume_start_queue(topic, partition->number, offset, reader->queue) == 0;
    if (topic != NULL) {
        rd_kafka_topic_destroy(topic);
    }
    return is_started;
}

static bool restart_group(struct reader *reader, const struct reader_partition *partition,
                          int64_t offset)
{
    rd_kafka_t *rk = reader->connection.rk;
    rd_kafka_topic_partition_list_t *list = NULL;
    bool is_started = false;
    if (reader->is_eager) {
        is_started = rd_kafka_assignment(rk, &list) == 0 && rd_kafka_position(rk, list) == 0;
        for (int i = 0; is_started && i < list->cnt; i++) {
            rd_kafka_topic_partition_t *at = &list->elems[i];
            bool is_it =
                at->partition == partition->number && strcmp(at->topic, partition->topic) == 0;
            at->offset = is_it ? offset : at->offset < 0 ? RD_KAFKA_OFFSET_STORED : at->offset;
        }
        is_started = is_started && rd_kafka_assign(rk, list) == 0;
    } else {
        list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
            offset;
        rd_kafka_error_t *failure = rd_kafka_incremental_unassign(rk, list);
        failure = failure == NULL ? rd_kafka_incremental_assign(rk, list) : failure;
        is_started = failure == NULL;
        if (failure != NULL) {
            rd_kafka_error_destroy(failure);
        }
    }
    if (list != NULL) {
        rd_kafka_topic_partition_list_destroy(list);
    }
    return is_started;
}

static void place_again(struct reader *reader, struct reader_partition *partition)
{
    int64_t offset;
    struct reader_gap gap;
    if (!find_place(reader, partition, &offset, &gap) ||
        !(reader->is_group ? restart_group(reader, partition, offset)
                           : restart_direct(reader, partition, offset))) {
        partition->place_at_ms = clock_mono_ms(clock_system()) + AGAIN_MS;
        return;
    }
    partition->place_at_ms = 0;
    reader->misplaced_count--;
    if (gap.is_new_topic) {
        partition->mark = -1; /* of the topic of before */
        partition->committed = -1;
        partition->stored = -1;
        partition->is_reborn = false;
        partition->epoch = ++reader->last_epoch;
    }
    if (gap.topic != NULL && reader->callbacks.gone != NULL) {
        reader->callbacks.gone(reader->context, &gap);
    }
}

void reader_place_due(struct reader *reader)
{
    if (reader->knows_topics && reader->misplaced_count == 0) {
        return;
    }
    int64_t now_ms = clock_mono_ms(clock_system());
    if (!reader->knows_topics && now_ms >= reader->know_at_ms) {
        learn_topics(reader);
        reader->know_at_ms = clock_mono_ms(clock_system()) + AGAIN_MS;
    }
    for (struct reader_partition *p = reader->partitions; p != NULL; p = p->hh.next) {
        if (p->place_at_ms != 0 && now_ms >= p->place_at_ms) {
            place_again(reader, p);
        }
    }
}
