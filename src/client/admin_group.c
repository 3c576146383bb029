#include "client/admin_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static enum client_status take_listings(const rd_kafka_ListConsumerGroups_result_t *result,
                                        struct admin_group_listings *groups,
                                        struct client_error *error)
{
    size_t error_count, count;
    const rd_kafka_error_t **errors =
        rd_kafka_ListConsumerGroups_result_errors(result, &error_count);
    if (error_count > 0) {
        return admin_fail(errors[0], error);
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
    return CLIENT_OK;
}

enum client_status admin_groups(struct connection *connection, struct admin_group_listings *groups,
                                struct client_error *error)
{
    *groups = (struct admin_group_listings){0};
    struct admin_request request =
        admin_request_begin(connection, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    rd_kafka_ListConsumerGroups(connection->rk, request.options, request.queue);
    enum client_status status = admin_request_wait(&request, error);
    if (status == CLIENT_OK) {
        status =
            take_listings(rd_kafka_event_ListConsumerGroups_result(request.event), groups, error);
    }
    admin_request_end(&request);
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

static void take_group(const rd_kafka_ConsumerGroupDescription_t *from, struct admin_group *group)
{
    rd_kafka_consumer_group_state_t state = rd_kafka_ConsumerGroupDescription_state(from);
    group->state = rd_kafka_consumer_group_state_name(state);
    group->is_dead = state == RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
    group->assignor = mem_strdup(rd_kafka_ConsumerGroupDescription_partition_assignor(from));
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(from);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_MemberDescription_t *of = rd_kafka_ConsumerGroupDescription_member(from, i);
        const rd_kafka_MemberAssignment_t *assigned = rd_kafka_MemberDescription_assignment(of);
        struct admin_member *member = vec_add(&group->members);
        member->id = mem_strdup(rd_kafka_MemberDescription_consumer_id(of));
        member->client_id = mem_strdup(rd_kafka_MemberDescription_client_id(of));
        member->instance_id = mem_strdup(rd_kafka_MemberDescription_group_instance_id(of));
        member->host = mem_strdup(rd_kafka_MemberDescription_host(of));
        if (assigned != NULL) {
            admin_take_list(&member->partitions, rd_kafka_MemberAssignment_partitions(assigned));
        }
    }
}

static struct admin_request send_describe(struct connection *connection, const char *const *names,
                                          size_t count)
{
    struct admin_request request =
        admin_request_begin(connection, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_DescribeConsumerGroups(connection->rk, (const char **)(uintptr_t)names, count,
                                    request.options, request.queue);
    return request;
}

/* Fills group and error of answers[i] for the name that was sent as number i. */
static void take_described(const struct admin_request *request, size_t count,
                           struct admin_group_answer *answers)
{
    size_t found_count;
    const rd_kafka_ConsumerGroupDescription_t **found =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(request->event), &found_count);
    for (size_t i = 0; i < found_count && i < count; i++) { /* in the order of the names */
        if (admin_fail(rd_kafka_ConsumerGroupDescription_error(found[i]), &answers[i].error) ==
            CLIENT_OK) {
            take_group(found[i], &answers[i].group);
        }
    }
}

/* The same for names[i]. */
static enum client_status describe(struct connection *connection, const char *const *names,
                                   size_t count, struct admin_group_answer *answers,
                                   struct client_error *error)
{
    if (connection->is_guarded) {
        return admin_describe_guarded(connection, names, count, answers, error);
    }
    struct admin_request request = send_describe(connection, names, count);
    enum client_status status = admin_request_wait(&request, error);
    if (status == CLIENT_OK) {
        take_described(&request, count, answers);
    }
    admin_request_end(&request);
    return status;
}

struct admin_request admin_group_ask(struct connection *connection, const char *name)
{
    return send_describe(connection, &name, 1);
}

bool admin_group_answered(struct admin_request *request, struct admin_group *group)
{
    struct admin_group_answer answer = {.error = {.status = CLIENT_OK}};
    request->event = rd_kafka_queue_poll(request->queue, 0);
    if (request->event != NULL &&
        rd_kafka_event_error(request->event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_described(request, 1, &answer);
    }
    *group = answer.group;
    return request->event != NULL;
}

enum client_status admin_group(struct connection *connection, const char *name,
                               struct admin_group *group, struct client_error *error)
{
    struct admin_group_answer answer = {.error = {.status = CLIENT_OK}};
    enum client_status status = describe(connection, &name, 1, &answer, &answer.error);
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
    enum client_status status = describe(connection, names, count, answers, &error);
    if (status == CLIENT_OK) {
        status = admin_list_all_offsets(connection, names, count, answers, &error);
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
    rd_kafka_DeleteGroup_t **groups = mem_new_array(rd_kafka_DeleteGroup_t *, count + 1);
    *outcomes = (struct admin_outcomes){0};
    for (size_t i = 0; i < count; i++) {
        groups[i] = rd_kafka_DeleteGroup_new(names[i]);
    }
    struct admin_request request = admin_request_begin(connection, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
    rd_kafka_DeleteGroups(connection->rk, groups, count, request.options, request.queue);
    enum client_status status = admin_request_wait(&request, error);
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
    rd_kafka_DeleteGroup_destroy_array(groups, count);
    free(groups);
    return status;
}
