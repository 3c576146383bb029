#include "client/reader_inside.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Partitions come and go, and progress is committed before they do. */

/*
 * While a JoinGroup or SyncGroup is on its way librdkafka holds back what is sent behind it, and a
 * commit so delayed arrives with the generation of before: the bus refuses it, and librdkafka
 * gives up all its partitions. So periodic commits wait until the group stands again.
 */
enum { API_JOIN_GROUP = 11, API_SYNC_GROUP = 14 };

static rd_kafka_resp_err_t on_request_sent(rd_kafka_t *rk, int socket, const char *broker,
                                           int32_t broker_id, int16_t api, int16_t version,
                                           int32_t correlation, size_t size, void *opaque)
{
    struct reader *reader = opaque;
    if (api == API_JOIN_GROUP) {
        atomic_store(&reader->is_joining, true);
    }
    if (api == API_JOIN_GROUP || api == API_SYNC_GROUP) {
        atomic_store(&reader->is_assigning, false);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_response_received(rd_kafka_t *rk, int socket, const char *broker,
                                                int32_t broker_id, int16_t api, int16_t version,
                                                int32_t correlation, size_t size, int64_t rtt,
                                                rd_kafka_resp_err_t code, void *opaque)
{
    struct reader *reader = opaque;
    if (api == API_JOIN_GROUP) {
        atomic_store(&reader->is_assigning, true);
    }
    if (api == API_SYNC_GROUP) {
        atomic_store(&reader->is_joining, false);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque,
                                  char *text, size_t text_size)
{
    rd_kafka_resp_err_t code =
        rd_kafka_interceptor_add_on_request_sent(rk, "tidings", on_request_sent, opaque);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = rd_kafka_interceptor_add_on_response_received(rk, "tidings", on_response_received,
                                                             opaque);
    }
    return code;
}

/* --- commits --- */

/* The bus answered a commit. */
static void commit_answered(struct reader *reader, rd_kafka_resp_err_t code,
                            const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct reader_partition *partition = reader_find(reader, at->topic, at->partition);
        if (partition == NULL) {
            continue;
        }
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR && at->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            partition->stored = at->offset;
        } else {
            partition->committed = -1; /* the next commit sends it again */
        }
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__NO_OFFSET) {
        return;
    }
    struct client_error what;
    client_fail_code(&what, code, NULL);
    snprintf(what.text, sizeof what.text,
             "progress could not be written down (%s); events since then may come again",
             rd_kafka_err2str(code));
    reader_notice(reader, &what);
}

/* Answers of commits that nobody waits for. */
static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                      rd_kafka_topic_partition_list_t *list, void *opaque)
{
    (void)rk;
    commit_answered(opaque, code, list);
}

/* There is news to commit. */
static bool has_news(const struct reader_partition *partition)
{
    return partition->mark >= 0 && partition->mark != partition->committed &&
           partition->place_at_ms == 0;
}

/*
 * A bus forgets a topic's commits when it deletes the topic. So when one is missing that it had,
 * the topic was made anew, and what was read since may have begun in the middle of it: the commit
 * would hide that for good. (Topic ids, KIP-516, would tell it at once; librdkafka 2.0.2 has none.)
 */
static void check_stored(struct reader *reader)
{
    enum { PATIENCE_MS = 2000 };
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)HASH_COUNT(reader->partitions) + 1);
    for (const struct reader_partition *p = reader->partitions; p != NULL; p = p->hh.next) {
        if (has_news(p) && p->stored >= 0) {
            rd_kafka_topic_partition_list_add(list, p->topic, p->number);
        }
    }
    bool is_known =
        list->cnt > 0 && rd_kafka_committed(reader->connection.rk, list, PATIENCE_MS) == 0;
    for (int i = 0; is_known && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct reader_partition *partition = reader_find(reader, at->topic, at->partition);
        if (at->err == RD_KAFKA_RESP_ERR_NO_ERROR && at->offset < 0) {
            partition->is_reborn = true;
            reader_misplaced(reader, partition, partition->stored);
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* Adds where the partition stands, if that is news. */
static void add_mark(struct reader_partition *partition, rd_kafka_topic_partition_list_t *list)
{
    if (!has_news(partition)) {
        return;
    }
    rd_kafka_topic_partition_t *element =
        rd_kafka_topic_partition_list_add(list, partition->topic, partition->number);
    element->offset = partition->mark;
    if (partition->metadata != NULL) {
        element->metadata = strdup(partition->metadata); /* librdkafka frees it */
        element->metadata_size = strlen(partition->metadata);
    }
    partition->committed = partition->mark;
}

/* How long an answer is waited for now. */
static int patience_ms(const struct reader *reader)
{
    int64_t left_ms = reader->close_by_ms - clock_mono_ms(clock_system());
    int most_ms = reader->connection.timeout_ms;
    return reader->close_by_ms == 0 || left_ms > most_ms ? most_ms : left_ms > 0 ? (int)left_ms : 0;
}

rd_kafka_resp_err_t reader_commit_list(struct reader *reader,
                                       const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_queue_t *answers = rd_kafka_queue_new(reader->connection.rk);
    rd_kafka_resp_err_t code =
        rd_kafka_commit_queue(reader->connection.rk, list, answers, NULL, NULL);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_event_t *answer = rd_kafka_queue_poll(answers, patience_ms(reader));
        code = answer != NULL ? rd_kafka_event_error(answer) : RD_KAFKA_RESP_ERR__TIMED_OUT;
        rd_kafka_event_destroy(answer);
    }
    rd_kafka_queue_destroy(answers);
    return code;
}

/* Sends and destroys the list. */
static enum client_status send_commit(struct reader *reader, rd_kafka_topic_partition_list_t *list,
                                      bool wait, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    if (list->cnt > 0) {
        rd_kafka_resp_err_t code = wait ? reader_commit_list(reader, list)
                                        : rd_kafka_commit(reader->connection.rk, list, 1);
        if (wait || code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            commit_answered(reader, code, list);
        }
        status = connection_fail(&reader->connection, error, code, NULL);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

enum client_status reader_commit(struct reader *reader, bool wait, struct client_error *error)
{
    if (reader->callbacks.before_commit != NULL) {
        reader->callbacks.before_commit(reader->context);
    }
    check_stored(reader);
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)HASH_COUNT(reader->partitions) + 1);
    for (struct reader_partition *p = reader->partitions; p != NULL; p = p->hh.next) {
        add_mark(p, list);
    }
    return send_commit(reader, list, wait, error);
}

void reader_commit_due(struct reader *reader)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    if (now_ms >= reader->next_commit_ms && !atomic_load(&reader->is_joining)) {
        reader->next_commit_ms = now_ms + reader->commit_interval_ms;
        (void)reader_commit(reader, false, NULL); /* a refusal is a notice */
    }
}

/* --- rebalances --- */

static struct topic_partitions partitions_of(const rd_kafka_topic_partition_list_t *list)
{
    struct topic_partitions partitions = {0};
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        topic_partitions_add(&partitions, at->topic, at->partition, at->offset);
    }
    return partitions;
}

static void take(struct reader *reader, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        if (reader_find(reader, list->elems[i].topic, list->elems[i].partition) == NULL) {
            reader_hold(reader, list->elems[i].topic, list->elems[i].partition);
        }
    }
    reader_place(reader, list);
    if (reader->callbacks.assigned != NULL) {
        struct topic_partitions partitions = partitions_of(list);
        reader->callbacks.assigned(reader->context, &partitions);
        topic_partitions_deinit(&partitions);
    }
}

static void give(struct reader *reader, rd_kafka_topic_partition_list_t *list, bool is_lost)
{
    if (reader->callbacks.revoked != NULL) {
        struct topic_partitions partitions = partitions_of(list);
        reader->callbacks.revoked(reader->context, &partitions, is_lost);
        topic_partitions_deinit(&partitions);
    }
    if (!is_lost) {
        check_stored(reader);
    }
    rd_kafka_topic_partition_list_t *marks = rd_kafka_topic_partition_list_new(list->cnt + 1);
    for (int i = 0; !is_lost && i < list->cnt; i++) {
        struct reader_partition *partition =
            reader_find(reader, list->elems[i].topic, list->elems[i].partition);
        if (partition != NULL) {
            add_mark(partition, marks);
        }
    }
    (void)send_commit(reader, marks, true, NULL); /* a refusal is a notice */
    rd_kafka_resume_partitions(reader->connection.rk, list);
    for (int i = 0; i < list->cnt; i++) {
        struct reader_partition *partition =
            reader_find(reader, list->elems[i].topic, list->elems[i].partition);
        if (partition != NULL) {
            reader_drop(reader, partition);
        }
    }
}

/* Tells librdkafka that the change is accepted. */
static rd_kafka_error_t *accept_change(struct reader *reader, bool is_assignment,
                                       const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_t *rk = reader->connection.rk;
    if (!reader->is_eager) {
        return is_assignment ? rd_kafka_incremental_assign(rk, list)
                             : rd_kafka_incremental_unassign(rk, list);
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(rk, is_assignment ? list : NULL);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? NULL
               : rd_kafka_error_new(code, "%s", rd_kafka_err2str(code));
}

/* Called by librdkafka inside rd_kafka_consumer_poll and _close: on the taking thread. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct reader *reader = opaque;
    bool is_assignment = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (is_assignment) {
        take(reader, list);
    } else {
        give(reader, list, rd_kafka_assignment_lost(rk));
        atomic_store(&reader->is_joining, true); /* giving partitions back ends in a new join */
    }
    rd_kafka_error_t *failure = accept_change(reader, is_assignment, list);
    if (failure != NULL) {
        struct client_error what;
        client_fail(&what, CLIENT_UNREACHABLE, NULL, "partitions could not be taken over: %s",
                    rd_kafka_error_string(failure));
        reader_notice(reader, &what);
        rd_kafka_error_destroy(failure);
    }
}

void reader_group_configure(struct reader *reader, rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    rd_kafka_conf_interceptor_add_on_new(conf, "tidings", on_new, reader);
}

enum client_status reader_group_join(struct reader *reader, struct client_error *error)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)reader->topic_count + 1);
    for (size_t i = 0; i < reader->topic_count; i++) {
        rd_kafka_topic_partition_list_add(list, reader->topics[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_poll_set_consumer(reader->connection.rk);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(reader->connection.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return connection_fail(&reader->connection, error, code, NULL);
}

/*
 * librdkafka 2.0.2 ends the process when a leader of cooperative-sticky is closed before it has
 * assigned ("assignor_state" is asserted when it is freed). Its own thread is at that for a moment
 * after JoinGroup was answered, so let it get to SyncGroup.
 */
static void await_assignment(const struct reader *reader)
{
    enum { MOST_MS = 1000 };
    const struct timespec a_moment = {.tv_nsec = 1000000};
    for (int i = 0; i < MOST_MS && atomic_load(&reader->is_assigning); i++) {
        nanosleep(&a_moment, NULL);
    }
}

enum client_status reader_group_leave(struct reader *reader, struct client_error *error)
{
    rd_kafka_t *rk = reader->connection.rk;
    await_assignment(reader);
    rd_kafka_queue_t *farewell = rd_kafka_queue_new(rk);
    rd_kafka_error_t *failure = rd_kafka_consumer_close_queue(rk, farewell);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (failure != NULL) {
        code = rd_kafka_error_code(failure);
        rd_kafka_error_destroy(failure);
    }
    while (code == RD_KAFKA_RESP_ERR_NO_ERROR && !rd_kafka_consumer_closed(rk)) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(farewell, 100);
        if (event != NULL && rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE) {
            on_rebalance(rk, rd_kafka_event_error(event),
                         rd_kafka_event_topic_partition_list(event), reader);
        }
        rd_kafka_event_destroy(event);
        if (patience_ms(reader) == 0 && !rd_kafka_consumer_closed(rk)) {
            code = RD_KAFKA_RESP_ERR__TIMED_OUT;
            reader->connection.is_stuck = true;
        }
    }
    rd_kafka_queue_destroy(farewell);
    return connection_fail(&reader->connection, error, code, NULL);
}
