#include "wire/generated/describe_topic_partitions.h"

#include "api/handlers.h"

#include <stdlib.h>
#include <string.h>

/* The largest page, whatever the client asks for (max.request.partition.size.limit). */
enum { PAGE_LIMIT = 2000 };

/* One page over topics in the order of their names (KIP-966). */
struct page {
    struct api_request *request;
    struct describe_topic_partitions_response response;
    struct describe_topic_partitions_response_cursor cursor;
    int32_t *node;
    int32_t room;           /* partitions that still fit */
    struct topic_list *all; /* or NULL: the topics were named */
};

static void add_partitions(struct page *page, const struct topic *topic, int32_t first,
                           struct describe_topic_partitions_response_topic *out)
{
    int32_t end = topic_partition_count(topic);
    if (end - first > page->room) {
        end = first + page->room;
        page->cursor.topic_name = out->name;
        page->cursor.partition_index = end;
        page->response.next_cursor = &page->cursor;
    }
    if (end <= first) {
        return;
    }
    out->partitions = api_alloc(page->request, (size_t)(end - first), sizeof *out->partitions);
    out->partitions_count = end - first;
    page->room -= end - first;
    for (int32_t i = first; i < end; i++) {
        struct describe_topic_partitions_response_partition *partition =
            &out->partitions[i - first];
        describe_topic_partitions_response_partition_init(partition);
        partition->partition_index = i;
        partition->leader_id = *page->node;
        partition->leader_epoch = 0;
        partition->replica_nodes = page->node;
        partition->replica_nodes_count = 1;
        partition->isr_nodes = page->node;
        partition->isr_nodes_count = 1;
        partition->eligible_leader_replicas_count = 0;
        partition->last_known_elr_count = 0;
        if (log_is_offline(topic_partition(topic, i)->log)) { /* without an error, as in Kafka */
            partition->leader_id = API_NO_LEADER;
            partition->offline_replicas = page->node;
            partition->offline_replicas_count = 1;
        }
    }
}

static void add_topic(struct page *page, struct slice name, int32_t first_partition)
{
    struct describe_topic_partitions_response_topic *out =
        &page->response.topics[page->response.topics_count];
    if (page->room <= 0) {
        page->cursor.topic_name = name;
        page->cursor.partition_index = 0;
        page->response.next_cursor = &page->cursor;
        return;
    }
    page->response.topics_count++;
    describe_topic_partitions_response_topic_init(out);
    out->name = name;
    if (!api_allows(page->request, API_DESCRIBE, api_topic(name))) {
        out->error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    struct topic *topic = catalogue_find(page->request->server->catalogue, name);
    if (topic == NULL) {
        struct reason reason;
        out->error_code = topic_check_name(name, &reason) == ERR_NONE
                              ? KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                              : KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        return;
    }
    memcpy(out->topic_id.bytes, topic->id.bytes, sizeof out->topic_id.bytes);
    out->is_internal = topic->internal;
    out->topic_authorized_operations = api_allowed_operations(page->request, api_topic(name));
    add_partitions(page, topic, first_partition, out);
    topic_unref(topic);
}

static int compare_slices(const void *a, const void *b)
{
    const struct slice *left = a;
    const struct slice *right = b;
    return slice_compare(*left, *right);
}

/* The names asked for, or all, sorted. */
static struct slice *wanted_names(struct page *page,
                                  const struct describe_topic_partitions_request *body,
                                  size_t *count)
{
    struct api_request *request = page->request;
    struct slice *names;
    if (body->topics_count > 0) {
        *count = (size_t)body->topics_count;
        names = api_alloc(request, *count, sizeof *names);
        for (size_t i = 0; i < *count; i++) {
            names[i] = body->topics[i].name;
        }
        qsort(names, *count, sizeof *names, compare_slices);
        return names;
    }
    page->all = catalogue_list(request->server->catalogue);
    names = api_alloc(request, page->all->count, sizeof *names);
    *count = 0;
    for (size_t i = 0; i < page->all->count; i++) {
        struct slice name = slice_str(page->all->items[i]->name);
        if (api_allows(request, API_DESCRIBE, api_topic(name))) {
            names[(*count)++] = name;
        }
    }
    return names;
}

/* A cursor points into the topics asked for. */
static bool is_cursor_good(const struct describe_topic_partitions_request *body)
{
    bool named = body->topics_count == 0;
    for (int32_t i = 0; i < body->topics_count && !named; i++) {
        named = slice_equal(body->topics[i].name, body->cursor->topic_name);
    }
    return named && body->cursor->partition_index >= 0;
}

static void refuse_all(struct api_request *request,
                       const struct describe_topic_partitions_request *body)
{
    struct describe_topic_partitions_response response;
    describe_topic_partitions_response_init(&response);
    size_t count = (size_t)body->topics_count;
    response.topics = api_alloc(request, count, sizeof *response.topics);
    response.topics_count = body->topics_count;
    for (size_t i = 0; i < count; i++) {
        describe_topic_partitions_response_topic_init(&response.topics[i]);
        response.topics[i].name = body->topics[i].name;
        response.topics[i].error_code = KAFKA_ERROR_INVALID_REQUEST;
    }
    API_REPLY(request, describe_topic_partitions_response_encode, &response);
}

enum err handle_describe_topic_partitions(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct describe_topic_partitions_request body;
    enum err err =
        describe_topic_partitions_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (body.cursor != NULL && !is_cursor_good(&body)) {
        refuse_all(request, &body);
        return ERR_NONE;
    }
    int32_t limit = body.response_partition_limit;
    struct page page = {
        .request = request,
        .node = api_alloc(request, 1, sizeof(int32_t)),
        .room = limit < 1            ? 1
                : limit < PAGE_LIMIT ? limit
                                     : PAGE_LIMIT,
    };
    *page.node = request->server->config.node_id;
    describe_topic_partitions_response_init(&page.response);
    size_t count;
    struct slice *names = wanted_names(&page, &body, &count);
    page.response.topics = api_alloc(request, count, sizeof *page.response.topics);
    for (size_t i = 0; i < count && page.response.next_cursor == NULL; i++) {
        if (i > 0 && slice_equal(names[i], names[i - 1])) {
            continue;
        }
        int order = body.cursor != NULL ? compare_slices(&names[i], &body.cursor->topic_name) : 1;
        if (order >= 0) {
            add_topic(&page, names[i], order == 0 ? body.cursor->partition_index : 0);
        }
    }
    API_REPLY(request, describe_topic_partitions_response_encode, &page.response);
    if (page.all != NULL) {
        topic_list_unref(page.all);
    }
    return ERR_NONE;
}
