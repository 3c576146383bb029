#include "client/reader/reader_inside.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Partitions come and go, and progress is committed before they do. */

/* --- rebalances --- */

static struct topic_partitions partitions_of(const rd_kafka_topic_partition_list_t *list)
{
    struct topic_partitions partitions = {0};
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct topic_partition *added =
            topic_partitions_add(&partitions, at->topic, at->partition, at->offset);
        if (at->metadata != NULL) {
            added->metadata = mem_strndup(at->metadata, at->metadata_size);
        }
    }
    return partitions;
}

/*
 * librdkafka may find while it joins that the group does not know it any more, and joins under
 * another member id without saying that what it holds is lost: others may have had that meanwhile.
 */
static bool is_other_member(const struct reader *reader)
{
    char *id = rd_kafka_memberid(reader->connection.rk);
    bool is_other = reader->member_id != NULL && (id == NULL || strcmp(id, reader->member_id) != 0);
    rd_kafka_mem_free(reader->connection.rk, id);
    return is_other && reader->partitions != NULL;
}

static void note_member_id(struct reader *reader)
{
    reader->was_replaced = reader->was_replaced || is_other_member(reader);
    char *id = rd_kafka_memberid(reader->connection.rk);
    free(reader->member_id);
    reader->member_id = mem_strdup(id);
    rd_kafka_mem_free(reader->connection.rk, id);
}

bool reader_was_replaced(struct reader *reader)
{
    bool was_replaced = reader->was_replaced;
    reader->was_replaced = false;
    return was_replaced;
}

static void take(struct reader *reader, rd_kafka_topic_partition_list_t *list)
{
    note_member_id(reader);
    if (reader->close_by_ms != 0) {
        return; /* they are given back at once, and nobody answers while the handle is closing */
    }
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
    is_lost = is_lost || (reader->commits_elsewhere && is_other_member(reader));
    if (reader->callbacks.revoked != NULL) {
        struct topic_partitions partitions = partitions_of(list);
        reader->callbacks.revoked(reader->context, &partitions, is_lost);
        topic_partitions_deinit(&partitions);
    }
    if (!is_lost) {
        reader_commit_before_leaving(reader, list);
    }
    rd_kafka_resume_partitions(reader->connection.rk, list);
    for (int i = 0; i < list->cnt; i++) {
        struct reader_partition *partition =
            reader_find(reader, list->elems[i].topic, list->elems[i].partition);
        if (partition != NULL) {
            reader_drop(reader, partition);
        }
    }
}

void reader_group_lose(struct reader *reader)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)HASH_COUNT(reader->partitions) + 1);
    for (const struct reader_partition *p = reader->partitions; p != NULL; p = p->hh.next) {
        rd_kafka_topic_partition_list_add(list, p->topic, p->number);
    }
    if (list->cnt > 0) {
        give(reader, list, true);
        rd_kafka_pause_partitions(reader->connection.rk, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* Tells librdkafka that the change is accepted. */
static rd_kafka_error_t *accept_change(rd_kafka_t *rk, bool is_eager, bool is_assignment,
                                       const rd_kafka_topic_partition_list_t *list)
{
    if (!is_eager) {
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
    reader->is_rebalancing = true;
    if (is_assignment) {
        atomic_store(&reader->handle->was_assigned, true);
        take(reader, list);
    } else {
        give(reader, list, rd_kafka_assignment_lost(rk));
        atomic_store(&reader->handle->is_joining,
                     true); /* giving partitions back ends in a new join */
    }
    rd_kafka_error_t *failure = accept_change(rk, reader->is_eager, is_assignment, list);
    reader->is_rebalancing = false;
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
    char strategy[256];
    size_t size = sizeof strategy;
    reader->handle->heartbeat_ms = reader->heartbeat_ms;
    reader->handle->is_sticky = rd_kafka_conf_get(conf, "partition.assignment.strategy", strategy,
                                                  &size) != RD_KAFKA_CONF_OK ||
                                strstr(strategy, "sticky") != NULL;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, reader_on_commit);
    reader_calm_watch(reader->handle, conf);
}

enum client_status reader_group_join(struct reader *reader, struct client_error *error)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)reader->topic_count + 1);
    for (size_t i = 0; i < reader->topic_count; i++) {
        rd_kafka_topic_partition_list_add(list, reader->topics[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(reader->connection.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return connection_fail(&reader->connection, error, code, NULL);
}

/*
 * librdkafka 2.0.2 ends the process when it frees a member of cooperative-sticky that has joined
 * and was never given partitions ("assignor_state" is asserted). What it has just joined it is
 * mostly given soon, so let it get to SyncGroup; else see reader_free_handle.
 */
static void await_assignment(const struct reader *reader)
{
    enum { MOST_MS = 1000 };
    const struct timespec a_moment = {.tv_nsec = 1000000};
    for (int i = 0; i < MOST_MS && atomic_load(&reader->handle->is_assigning) &&
                    reader_patience_ms(reader) > 0;
         i++) {
        nanosleep(&a_moment, NULL);
    }
}

/* Handles that cannot be freed: they have left their groups, and stay until the process ends. */
static _Atomic(struct reader_handle *) abandoned;

/*
 * A handle whose group was not left in order. To free it librdkafka waits for what the bus was
 * asked for: nothing when no bus is there, but one that hangs is waited for some seconds, or a
 * minute. So that is done beside: it needs nothing but the handle, as nobody asks for its callbacks
 * any more. What librdkafka asks for before, to have the partitions back, is answered there, too:
 * else it would never let go of the handle.
 */
struct stuck {
    pthread_mutex_t lock; /* guards the next two */
    pthread_cond_t over;
    bool is_over, is_left;
    struct reader_handle *handle;
    rd_kafka_t *rk;
    struct kafka_aside *left; /* calls in it that have not returned */
};

static void stuck_free(struct stuck *stuck)
{
    pthread_cond_destroy(&stuck->over);
    pthread_mutex_destroy(&stuck->lock);
    free(stuck);
}

static void answer_owed(const struct reader_handle *handle, rd_kafka_t *rk)
{
    enum { TURN_MS = 100, MOST_TURNS = 1200 };
    for (int i = 0; i < MOST_TURNS && !rd_kafka_consumer_closed(rk); i++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(handle->farewell, TURN_MS);
        if (event != NULL && rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE) {
            bool is_assignment =
                rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
            rd_kafka_error_t *failure = accept_change(rk, handle->is_eager, is_assignment,
                                                      rd_kafka_event_topic_partition_list(event));
            if (failure != NULL) {
                rd_kafka_error_destroy(failure);
            }
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(handle->farewell);
}

static void *destroy_stuck(void *argument)
{
    struct stuck *stuck = argument;
    if (stuck->handle->farewell != NULL) {
        answer_owed(stuck->handle, stuck->rk);
    }
    kafka_left_wait(stuck->left);
    rd_kafka_destroy_flags(stuck->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(stuck->handle);
    pthread_mutex_lock(&stuck->lock);
    stuck->is_over = true;
    bool is_left = stuck->is_left;
    pthread_cond_signal(&stuck->over);
    pthread_mutex_unlock(&stuck->lock);
    if (is_left) {
        stuck_free(stuck);
    }
    return NULL;
}

/* It is over, or goes on by itself: the last one frees. */
static void leave_stuck(struct stuck *stuck)
{
    enum { MOMENT_MS = 200 };
    struct timespec until = cond_after_ms(MOMENT_MS);
    pthread_mutex_lock(&stuck->lock);
    while (!stuck->is_over && pthread_cond_timedwait(&stuck->over, &stuck->lock, &until) == 0) {
    }
    bool is_over = stuck->is_over;
    stuck->is_left = true;
    pthread_mutex_unlock(&stuck->lock);
    if (is_over) {
        stuck_free(stuck);
    }
}

static void free_stuck(struct reader_handle *handle, rd_kafka_t *rk, struct kafka_aside *left)
{
    struct stuck *stuck = mem_new(struct stuck);
    pthread_t thread;
    stuck->handle = handle;
    stuck->rk = rk;
    stuck->left = left;
    pthread_mutex_init(&stuck->lock, NULL);
    cond_init(&stuck->over);
    if (pthread_create(&thread, NULL, destroy_stuck, stuck) == 0) {
        pthread_detach(thread);
        leave_stuck(stuck);
    } else {
        destroy_stuck(stuck);
        stuck_free(stuck);
    }
}

void reader_free_handle(struct connection *connection, struct reader_handle *handle, rd_kafka_t *rk,
                        bool is_stuck)
{
    reader_forget_kept(handle);
    if (handle->is_sticky && atomic_load(&handle->has_joined) &&
        !atomic_load(&handle->was_assigned)) {
        handle->rk = rk;
        handle->next = atomic_load(&abandoned);
        while (!atomic_compare_exchange_weak(&abandoned, &handle->next, handle)) {
        }
        return;
    }
    struct kafka_aside *left = kafka_left(connection, rk);
    if (is_stuck || left != NULL) {
        free_stuck(handle, rk, left);
    } else {
        rd_kafka_destroy(rk);
        free(handle);
    }
}

/* The bus has had its time, and so has what comes without it: librdkafka asks for the partitions.
 */
static bool is_stuck(struct reader *reader, bool has_event)
{
    enum { OWED_MS = 200 };
    int64_t late_ms = clock_mono_ms(clock_system()) - reader->close_by_ms;
    const struct deadline *deadline = reader->connection.deadline;
    if (deadline_has_begun(deadline)) {
        late_ms = clock_mono_ms(clock_system()) - atomic_load(&deadline->by_ms);
    }
    return reader_patience_ms(reader) == 0 &&
           ((!has_event && reader->partitions == NULL) || late_ms > OWED_MS);
}

/* What it asks for from now on is answered by reader_free_handle. */
static void give_up_leaving(struct reader *reader, rd_kafka_queue_t *farewell)
{
    reader->connection.is_stuck = true;
    reader->handle->farewell = farewell;
    reader->handle->is_eager = reader->is_eager;
    reader_group_lose(reader);
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
        bool has_event = event != NULL;
        rd_kafka_event_destroy(event);
        if (is_stuck(reader, has_event) && !rd_kafka_consumer_closed(rk)) {
            code = RD_KAFKA_RESP_ERR__TIMED_OUT;
            give_up_leaving(reader, farewell);
            farewell = NULL;
        }
    }
    if (farewell != NULL) {
        rd_kafka_queue_destroy(farewell);
    }
    return connection_fail(&reader->connection, error, code, NULL);
}
