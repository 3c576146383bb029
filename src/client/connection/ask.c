#include "client/connection/kafka.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <time.h>

/* Questions to the bus, none of which outlasts the deadline of its connection (aside.c). */

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* --- about topics --- */

struct metadata_call {
    bool all;
    rd_kafka_topic_t *topic; /* NULL: none */
    int timeout_ms;
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code;
};

static void make_metadata(rd_kafka_t *rk, void *argument)
{
    struct metadata_call *call = argument;
    call->code = rd_kafka_metadata(rk, call->all, call->topic, &call->metadata, call->timeout_ms);
}

static void drop_metadata(void *argument)
{
    struct metadata_call *call = argument;
    if (call->code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(call->metadata);
    }
    if (call->topic != NULL) {
        rd_kafka_topic_destroy(call->topic);
    }
    free(call);
}

rd_kafka_resp_err_t kafka_ask_metadata_by(struct connection *connection, rd_kafka_t *rk, bool all,
                                          rd_kafka_topic_t *topic, int most_ms,
                                          const struct rd_kafka_metadata **metadata)
{
    static const struct kafka_call kind = {make_metadata, drop_metadata};
    struct metadata_call *call = mem_new(struct metadata_call);
    *call = (struct metadata_call){
        .all = all, .timeout_ms = most_ms, .code = RD_KAFKA_RESP_ERR__TIMED_OUT};
    if (topic != NULL) { /* the caller's may be gone before the call returns */
        call->topic = rd_kafka_topic_new(rk, rd_kafka_topic_name(topic), NULL);
    }
    if (!kafka_call(connection, rk, &kind, call)) {
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    rd_kafka_resp_err_t code = call->code;
    *metadata = call->metadata;
    call->code = RD_KAFKA_RESP_ERR__TIMED_OUT; /* what came is the caller's */
    drop_metadata(call);
    return code;
}

rd_kafka_resp_err_t kafka_ask_metadata(struct connection *connection, bool all,
                                       rd_kafka_topic_t *topic,
                                       const struct rd_kafka_metadata **metadata)
{
    return kafka_ask_metadata_by(connection, connection->rk, all, topic,
                                 connection_timeout_ms(connection), metadata);
}

/* --- about partitions --- */

struct list_call {
    rd_kafka_topic_partition_list_t *list; /* its own */
    int timeout_ms;
    rd_kafka_error_t *failure; /* of a seek */
    rd_kafka_resp_err_t code;
};

static void make_times(rd_kafka_t *rk, void *argument)
{
    struct list_call *call = argument;
    call->code = rd_kafka_offsets_for_times(rk, call->list, call->timeout_ms);
}

static void make_committed(rd_kafka_t *rk, void *argument)
{
    struct list_call *call = argument;
    call->code = rd_kafka_committed(rk, call->list, call->timeout_ms);
}

static void make_seek(rd_kafka_t *rk, void *argument)
{
    struct list_call *call = argument;
    call->failure = rd_kafka_seek_partitions(rk, call->list, call->timeout_ms);
}

static void drop_list(void *argument)
{
    struct list_call *call = argument;
    rd_kafka_topic_partition_list_destroy(call->list);
    if (call->failure != NULL) {
        rd_kafka_error_destroy(call->failure);
    }
    free(call);
}

/* Answers stand in the list afterwards. */
static rd_kafka_resp_err_t ask(struct connection *connection, const struct kafka_call *kind,
                               rd_kafka_topic_partition_list_t *list, int most_ms,
                               rd_kafka_error_t **failure)
{
    struct list_call *call = mem_new(struct list_call);
    *call =
        (struct list_call){.list = rd_kafka_topic_partition_list_copy(list), .timeout_ms = most_ms};
    if (!kafka_call(connection, connection->rk, kind, call)) {
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    rd_kafka_topic_partition_list_t answers = *call->list;
    rd_kafka_resp_err_t code = call->code;
    *call->list = *list;
    *list = answers;
    if (failure != NULL) {
        *failure = call->failure;
        call->failure = NULL;
    }
    drop_list(call);
    return code;
}

/* Who was asked leads a partition no longer, or does not know yet that it does. */
static bool is_moved(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           code == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH;
}

static bool has_moved(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t *list)
{
    bool has = is_moved(code);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        has |= is_moved(list->elems[i].err);
    }
    return has;
}

/* librdkafka asks for the leaders anew after such an answer, but does not ask them. */
rd_kafka_resp_err_t kafka_ask_times(struct connection *connection,
                                    rd_kafka_topic_partition_list_t *list)
{
    enum { MOVE_MS = 10000 };
    static const struct kafka_call kind = {make_times, drop_list};
    static const struct timespec pause = {.tv_nsec = 100000000};
    rd_kafka_topic_partition_list_t *question = rd_kafka_topic_partition_list_copy(list);
    int64_t until_ms = now_ms() + MOVE_MS;
    rd_kafka_resp_err_t code =
        ask(connection, &kind, list, connection_timeout_ms(connection), NULL);
    while (has_moved(code, list) && now_ms() < until_ms && connection_timeout_ms(connection) > 0) {
        nanosleep(&pause, NULL);
        for (int i = 0; i < list->cnt; i++) { /* an answer stands where the question did */
            list->elems[i].offset = question->elems[i].offset;
            list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        code = ask(connection, &kind, list, connection_timeout_ms(connection), NULL);
    }
    rd_kafka_topic_partition_list_destroy(question);
    return code;
}

rd_kafka_resp_err_t kafka_ask_committed(struct connection *connection,
                                        rd_kafka_topic_partition_list_t *list, int most_ms)
{
    static const struct kafka_call kind = {make_committed, drop_list};
    return ask(connection, &kind, list, most_ms, NULL);
}

rd_kafka_resp_err_t kafka_seek(struct connection *connection, rd_kafka_topic_partition_list_t *list,
                               rd_kafka_error_t **failure)
{
    static const struct kafka_call kind = {make_seek, drop_list};
    *failure = NULL;
    return ask(connection, &kind, list, connection_timeout_ms(connection), failure);
}

/* --- about groups --- */

struct groups_call {
    char *name; /* NULL: all */
    int timeout_ms;
    const struct rd_kafka_group_list *list;
    rd_kafka_resp_err_t code;
};

static void make_groups(rd_kafka_t *rk, void *argument)
{
    struct groups_call *call = argument;
    call->code = rd_kafka_list_groups(rk, call->name, &call->list, call->timeout_ms);
}

static void drop_groups(void *argument)
{
    struct groups_call *call = argument;
    if (call->list != NULL) {
        rd_kafka_group_list_destroy(call->list);
    }
    free(call->name);
    free(call);
}

rd_kafka_resp_err_t kafka_ask_groups(struct connection *connection,
                                     const struct kafka_asking *asking, const char *name,
                                     const struct rd_kafka_group_list **list)
{
    static const struct kafka_call kind = {make_groups, drop_groups};
    struct groups_call *call = mem_new(struct groups_call);
    *call = (struct groups_call){.name = name != NULL ? mem_strdup(name) : NULL,
                                 .timeout_ms = asking->timeout_ms};
    *list = NULL;
    if (!kafka_call(connection, asking->rk, &kind, call)) {
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    rd_kafka_resp_err_t code = call->code;
    *list = call->list;
    call->list = NULL;
    drop_groups(call);
    return code;
}

/* --- answers that come by a queue --- */

rd_kafka_event_t *kafka_await(struct connection *connection, rd_kafka_queue_t *queue,
                              int64_t most_ms)
{
    enum { LOOK_MS = 50 };
    int64_t until_ms = now_ms() + most_ms, left_ms = most_ms;
    rd_kafka_event_t *event = NULL;
    do {
        bool may_begin = connection->deadline != NULL && left_ms > LOOK_MS;
        event = rd_kafka_queue_poll(queue, may_begin ? LOOK_MS : (int)left_ms);
        left_ms = deadline_left_ms(connection->deadline, until_ms - now_ms());
    } while (event == NULL && left_ms > 0);
    return event;
}
