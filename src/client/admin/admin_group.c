#include "client/admin/admin_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OFFSETS_AT_ONCE = 250 };

/* --- listing --- */

void admin_group_listings_deinit(struct admin_group_listings *groups)
{
    for (size_t i = 0; i < groups->count; i++) {
        free(groups->items[i].name);
    }
    vec_deinit(groups);
}

static int by_name(const void *a, const void *b)
{
    const struct admin_group_listing *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static rd_kafka_resp_err_t take_listings(const rd_kafka_ListConsumerGroups_result_t *result,
                                         struct admin_group_listings *groups,
                                         struct client_error *error)
{
    size_t error_count, count;
    const rd_kafka_error_t **errors =
        rd_kafka_ListConsumerGroups_result_errors(result, &error_count);
    if (error_count > 0) {
        (void)admin_fail(errors[0], error);
        return rd_kafka_error_code(errors[0]);
    }
    const rd_kafka_ConsumerGroupListing_t **found =
        rd_kafka_ListConsumerGroups_result_valid(result, &count);
    for (size_t i = 0; i < count; i++) {
        vec_push(groups, (struct admin_group_listing){
                             .name = mem_strdup(rd_kafka_ConsumerGroupListing_group_id(found[i])),
                             .state = rd_kafka_consumer_group_state_name(
                                 rd_kafka_ConsumerGroupListing_state(found[i]))});
    }
    if (groups->count > 1) {
        qsort(groups->items, groups->count, sizeof *groups->items, by_name);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

enum client_status admin_groups(struct connection *connection, struct admin_group_listings *groups,
                                struct client_error *error)
{
    struct kafka_asking all;
    *groups = (struct admin_group_listings){0};
    enum client_status status = kafka_all_begin(connection, &all, error);
    if (status != CLIENT_OK) {
        return status;
    }
    struct admin_request request =
        admin_request_begin_all(connection, &all, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    rd_kafka_ListConsumerGroups(all.rk, request.options, request.queue);
    status = admin_request_wait(&request, error);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (status == CLIENT_OK) {
        code =
            take_listings(rd_kafka_event_ListConsumerGroups_result(request.event), groups, error);
        status = client_status_of(code);
    }
    admin_request_end(&request);
    kafka_all_end(connection, &all, code);
    return status;
}

/* --- one group --- */

void admin_group_deinit(struct admin_group *group)
{
    for (size_t i = 0; i < group->members.count; i++) {
        struct admin_member *member = &group->members.items[i];
        free(member->id);
        free(member->client_id);
        free(member->instance_id);
        free(member->host);
        topic_partitions_deinit(&member->partitions);
    }
    vec_deinit(&group->members);
    free(group->assignor);
    *group = (struct admin_group){0};
}

enum client_status admin_group(struct connection *connection, const char *name,
                               struct admin_group *group, struct client_error *error)
{
    struct admin_group_answer answer = {.error = {.status = CLIENT_OK}};
    enum client_status status = admin_describe(connection, &name, 1, &answer, &answer.error);
    *group = answer.group;
    if (error != NULL) {
        *error = answer.error;
    }
    return status == CLIENT_OK ? answer.error.status : status;
}

void admin_describe_groups(struct connection *connection, const char *const *names, size_t count,
                           struct admin_group_answer *answers)
{
    struct client_error error;
    for (size_t i = 0; i < count; i++) {
        answers[i] = (struct admin_group_answer){.error = {.status = CLIENT_OK}};
    }
    if (count == 0) {
        return;
    }
    enum client_status status = admin_describe(connection, names, count, answers, &error);
    for (size_t from = 0; status == CLIENT_OK && from < count; from += OFFSETS_AT_ONCE) {
        size_t some = count - from < OFFSETS_AT_ONCE ? count - from : OFFSETS_AT_ONCE;
        status = admin_list_all_offsets(connection, names + from, some, answers + from, &error);
    }
    for (size_t i = 0; i < count; i++) {
        if (status != CLIENT_OK && answers[i].error.status == CLIENT_OK) {
            answers[i].error = error;
        }
        if (answers[i].error.status != CLIENT_OK) {
            admin_group_deinit(&answers[i].group);
            topic_partitions_deinit(&answers[i].offsets);
        }
    }
}

enum client_status admin_delete_groups(struct connection *connection, const char *const *names,
                                       size_t count, struct admin_outcomes *outcomes,
                                       struct client_error *error)
{
    struct kafka_asking by;
    *outcomes = (struct admin_outcomes){0};
    enum client_status status =
        kafka_group_begin(connection, count > 0 ? names[0] : "none", &by, error);
    if (status != CLIENT_OK) {
        return status;
    }
    rd_kafka_DeleteGroup_t **groups = mem_new_array(rd_kafka_DeleteGroup_t *, count + 1);
    for (size_t i = 0; i < count; i++) {
        groups[i] = rd_kafka_DeleteGroup_new(names[i]);
    }
    struct admin_request request =
        admin_request_begin_by(connection, by.rk, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
    rd_kafka_DeleteGroups(by.rk, groups, count, request.options, request.queue);
    status = admin_request_wait(&request, error);
    if (status == CLIENT_OK) {
        size_t result_count;
        const rd_kafka_group_result_t **results = rd_kafka_DeleteGroups_result_groups(
            rd_kafka_event_DeleteGroups_result(request.event), &result_count);
        for (size_t i = 0; i < result_count; i++) {
            const rd_kafka_error_t *why = rd_kafka_group_result_error(results[i]);
            admin_note(outcomes, rd_kafka_group_result_name(results[i]),
                       why != NULL ? rd_kafka_error_code(why) : RD_KAFKA_RESP_ERR_NO_ERROR,
                       why != NULL ? rd_kafka_error_string(why) : NULL);
        }
    }
    admin_request_end(&request);
    kafka_group_end(connection, &by, request.is_given_up);
    rd_kafka_DeleteGroup_destroy_array(groups, count);
    free(groups);
    return status;
}
