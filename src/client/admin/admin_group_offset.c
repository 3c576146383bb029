#include "client/admin/admin_request.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Committed offsets of groups. */

static enum client_status fail_partition(const rd_kafka_topic_partition_t *at,
                                         struct client_error *error)
{
    enum client_status status = client_fail_code(error, at->err, NULL);
    if (status != CLIENT_OK && error != NULL) {
        size_t used = strlen(error->text);
        snprintf(error->text + used, sizeof error->text - used, ": %s partition %d", at->topic,
                 (int)at->partition);
    }
    return status;
}

static void drop_uncommitted(struct topic_partitions *offsets)
{
    struct topic_partitions kept = {0};
    for (size_t i = 0; i < offsets->count; i++) {
        if (offsets->items[i].offset >= 0) {
            vec_push(&kept, offsets->items[i]);
        } else {
            free(offsets->items[i].topic);
            free(offsets->items[i].metadata);
        }
    }
    vec_deinit(offsets);
    *offsets = kept;
}

/* The offsets in an answer, by topic and partition. */
static enum client_status take_offsets(rd_kafka_event_t *event, struct topic_partitions *offsets,
                                       struct client_error *error)
{
    size_t count;
    const rd_kafka_group_result_t **results = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(results[0]);
    enum client_status status = admin_fail(rd_kafka_group_result_error(results[0]), error);
    for (int i = 0; status == CLIENT_OK && list != NULL && i < list->cnt; i++) {
        status = fail_partition(&list->elems[i], error);
    }
    if (status == CLIENT_OK) {
        admin_take_list(offsets, list);
        drop_uncommitted(offsets);
        topic_partitions_sort(offsets);
    }
    return status;
}

static void send_list_offsets(struct admin_request *request, const char *group,
                              const struct topic_partitions *partitions)
{
    rd_kafka_topic_partition_list_t *wanted =
        partitions != NULL ? kafka_list_new(partitions) : NULL;
    rd_kafka_ListConsumerGroupOffsets_t *asked =
        rd_kafka_ListConsumerGroupOffsets_new(group, wanted);
    rd_kafka_ListConsumerGroupOffsets(request->rk, &asked, 1, request->options, request->queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    if (wanted != NULL) {
        rd_kafka_topic_partition_list_destroy(wanted);
    }
}

struct offsets_request {
    struct kafka_asking by;
    struct admin_request request;
};

/* *asked is made when this succeeds. */
static enum client_status begin(struct connection *connection, const char *group,
                                struct offsets_request *asked, struct client_error *error)
{
    enum client_status status = kafka_group_begin(connection, group, &asked->by, error);
    if (status == CLIENT_OK) {
        asked->request = admin_request_begin_by(connection, asked->by.rk,
                                                RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    }
    return status;
}

static void end(struct connection *connection, struct offsets_request *asked, bool has_moved)
{
    bool is_over = has_moved || asked->request.is_given_up;
    admin_request_end(&asked->request);
    kafka_group_end(connection, &asked->by, is_over);
}

/* Who was asked is the group's coordinator no longer; librdkafka would ask it again and again. */
static bool has_moved(const struct client_error *error)
{
    return error->code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

/* The group's coordinator moves, or is just being made: librdkafka does not ask again by itself. */
static bool is_moving(const struct client_error *error)
{
    return has_moved(error) || error->code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
           error->code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

static enum client_status ask(struct connection *connection, const char *group,
                              const struct topic_partitions *partitions,
                              struct topic_partitions *offsets, struct client_error *error)
{
    struct offsets_request asked;
    enum client_status status = begin(connection, group, &asked, error);
    if (status != CLIENT_OK) {
        return status;
    }
    send_list_offsets(&asked.request, group, partitions);
    status = admin_request_wait(&asked.request, error);
    if (status == CLIENT_OK) {
        status = take_offsets(asked.request.event, offsets, error);
    }
    end(connection, &asked, status != CLIENT_OK && has_moved(error));
    return status;
}

/* Whether to ask again because of that; waits a little before. */
static bool goes_on(const struct connection *connection, int64_t until_ms,
                    const struct client_error *error)
{
    static const struct timespec pause = {.tv_nsec = 100000000};
    bool may_come = is_moving(error) && clock_mono_ms(clock_system()) < until_ms &&
                    connection_timeout_ms(connection) > 0;
    if (may_come) {
        nanosleep(&pause, NULL);
    }
    return may_come;
}

enum client_status admin_group_offsets(struct connection *connection, const char *group,
                                       const struct topic_partitions *partitions,
                                       struct topic_partitions *offsets, struct client_error *error)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + connection_timeout_ms(connection);
    struct client_error why = {0};
    enum client_status status;
    *offsets = (struct topic_partitions){0};
    while ((status = ask(connection, group, partitions, offsets, &why)) != CLIENT_OK &&
           goes_on(connection, until_ms, &why)) {
    }
    if (status != CLIENT_OK && error != NULL) {
        *error = why;
    }
    return status;
}

/* An answer of ask_all. */
static void take_answer(rd_kafka_event_t *event, enum client_status status,
                        const struct client_error *error, struct admin_group_answer *answer)
{
    if (status != CLIENT_OK) {
        answer->error = *error;
    } else {
        (void)take_offsets(event, &answer->offsets, &answer->error);
    }
}

/* librdkafka 2.0.2 takes one group a call, so there is a call for each before the first answer. */
static enum client_status ask_all(struct connection *connection, const char *const *names,
                                  size_t count, struct admin_group_answer *answers,
                                  struct client_error *error)
{
    struct offsets_request asked;
    enum client_status status = begin(connection, names[0], &asked, error);
    size_t open = 0;
    if (status != CLIENT_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        if (answers[i].error.status == CLIENT_OK) {
            rd_kafka_AdminOptions_set_opaque(asked.request.options, &answers[i]);
            send_list_offsets(&asked.request, names[i], NULL);
            open++;
        }
    }
    for (; open > 0 && status == CLIENT_OK; open--) {
        status = admin_request_wait(&asked.request, error);
        if (asked.request.event != NULL) { /* what it says of one does not end the others */
            struct admin_group_answer *answer = rd_kafka_event_opaque(asked.request.event);
            take_answer(asked.request.event, status, error, answer);
            status = CLIENT_OK;
            admin_request_next(&asked.request);
        }
    }
    bool moved = false;
    for (size_t i = 0; i < count; i++) {
        moved |= answers[i].error.status != CLIENT_OK && has_moved(&answers[i].error);
    }
    end(connection, &asked, moved);
    return status;
}

enum client_status admin_list_all_offsets(struct connection *connection, const char *const *names,
                                          size_t count, struct admin_group_answer *answers,
                                          struct client_error *error)
{
    enum client_status status = ask_all(connection, names, count, answers, error);
    for (size_t i = 0; status == CLIENT_OK && i < count; i++) {
        struct admin_group_answer *answer = &answers[i];
        bool was_described = answer->group.state != NULL;
        if (was_described && answer->error.status != CLIENT_OK && is_moving(&answer->error)) {
            answer->error = (struct client_error){.status = CLIENT_OK};
            topic_partitions_deinit(&answer->offsets);
            answer->error.status =
                admin_group_offsets(connection, names[i], NULL, &answer->offsets, &answer->error);
        }
    }
    return status;
}

static enum client_status take_altered(const rd_kafka_event_t *event, struct client_error *error)
{
    size_t count;
    const rd_kafka_group_result_t **results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result((rd_kafka_event_t *)(uintptr_t)event),
        &count);
    const rd_kafka_topic_partition_list_t *moved = rd_kafka_group_result_partitions(results[0]);
    enum client_status status = admin_fail(rd_kafka_group_result_error(results[0]), error);
    for (int i = 0; status == CLIENT_OK && moved != NULL && i < moved->cnt; i++) {
        status = fail_partition(&moved->elems[i], error);
    }
    return status;
}

static enum client_status alter(struct connection *connection, const char *group,
                                const struct topic_partitions *offsets, struct client_error *error)
{
    struct kafka_asking by;
    enum client_status status = kafka_group_begin(connection, group, &by, error);
    if (status != CLIENT_OK) {
        return status;
    }
    struct admin_request request =
        admin_request_begin_by(connection, by.rk, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    rd_kafka_topic_partition_list_t *list = kafka_list_new(offsets);
    rd_kafka_AlterConsumerGroupOffsets_t *wanted =
        rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    rd_kafka_AlterConsumerGroupOffsets(by.rk, &wanted, 1, request.options, request.queue);
    status = admin_request_wait(&request, error);
    if (status == CLIENT_OK) {
        status = take_altered(request.event, error);
    }
    rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(list);
    admin_request_end(&request);
    kafka_group_end(connection, &by,
                    request.is_given_up || (status != CLIENT_OK && has_moved(error)));
    return status;
}

enum client_status admin_set_group_offsets(struct connection *connection, const char *group,
                                           const struct topic_partitions *offsets,
                                           struct client_error *error)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + connection_timeout_ms(connection);
    struct client_error why = {0};
    enum client_status status;
    while ((status = alter(connection, group, offsets, &why)) != CLIENT_OK &&
           goes_on(connection, until_ms, &why)) {
    }
    if (status != CLIENT_OK && error != NULL) {
        *error = why;
    }
    return status;
}
