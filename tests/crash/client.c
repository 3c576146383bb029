#include "base/mem.h"
#include "batch/batch.h"
#include "crash.h"
#include "wire/codec.h"
#include "wire/generated/create_topics.h"
#include "wire/generated/delete_topics.h"
#include "wire/generated/init_producer_id.h"
#include "wire/generated/list_offsets.h"
#include "wire/generated/offset_commit.h"
#include "wire/generated/offset_fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_S = 60 };

bool client_connect(struct client *client, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = ANSWER_S};
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    client->next_correlation = client->next_answer = 0;
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        client_close(client);
        return false;
    }
    return true;
}

void client_close(struct client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
}

void client_deinit(struct client *client)
{
    client_close(client);
    buf_deinit(&client->out);
    buf_deinit(&client->in);
    arena_deinit(&client->arena);
}

/* The codec of "<name>_request" or "<name>_response" of an API. */
static const struct wire_codec *find_codec(int16_t key, const char *kind)
{
    const char *name = wire_api_find(key)->name;
    char wanted[64];
    size_t size = 0;
    for (const char *at = name; *at != '\0'; at++) {
        if (at != name && *at >= 'A' && *at <= 'Z') {
            wanted[size++] = '_';
        }
        wanted[size++] = (char)(*at | 0x20);
    }
    snprintf(wanted + size, sizeof wanted - size, "_%s", kind);
    for (int i = 0; i < wire_codecs_count; i++) {
        if (strcmp(wire_codecs[i].name, wanted) == 0) {
            return &wire_codecs[i];
        }
    }
    crash_fail("no codec %s", wanted);
}

bool client_send(struct client *client, int16_t key, int16_t version, const void *request)
{
    struct wire_writer writer;
    struct wire_request_header header = {
        .api_key = key,
        .api_version = version,
        .correlation_id = client->next_correlation++,
        .client_id = slice_str("crash"),
    };
    buf_clear(&client->out);
    wire_writer_init(&writer, &client->out);
    size_t begin = wire_frame_begin(&writer);
    wire_request_header_encode(&writer, &header);
    find_codec(key, "request")->encode(&writer, version, request);
    wire_frame_end(&writer, begin);
    if (writer.err != ERR_NONE) {
        crash_fail("cannot encode a request of API %d: %s", key, err_name(writer.err));
    }
    for (size_t sent = 0; sent < client->out.size;) {
        ssize_t now =
            send(client->fd, client->out.data + sent, client->out.size - sent, MSG_NOSIGNAL);
        if (now <= 0) {
            return false;
        }
        sent += (size_t)now;
    }
    return true;
}

static bool receive_all(struct client *client, size_t size)
{
    buf_clear(&client->in);
    uint8_t *to = buf_extend(&client->in, size);
    for (size_t have = 0; have < size;) {
        ssize_t got = recv(client->fd, to + have, size - have, 0);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            crash_fail("no answer in %d s", ANSWER_S);
        }
        if (got <= 0) {
            return false;
        }
        have += (size_t)got;
    }
    return true;
}

bool client_receive(struct client *client, int16_t key, int16_t version, void *response)
{
    if (!receive_all(client, 4)) {
        return false;
    }
    if (!receive_all(client, load_be32(client->in.data))) {
        return false;
    }
    struct wire_reader reader;
    int32_t correlation;
    arena_reset(&client->arena);
    wire_reader_init(&reader, buf_slice(&client->in), &client->arena);
    enum err err = wire_response_header_decode(&reader, key, version, &correlation);
    if (err == ERR_NONE && correlation != client->next_answer++) {
        crash_fail("the answer to request %d came when %d was due", correlation,
                   client->next_answer - 1);
    }
    if (err == ERR_NONE) {
        err = find_codec(key, "response")->decode(&reader, version, response);
    }
    if (err != ERR_NONE || !wire_reader_at_end(&reader)) {
        crash_fail("the answer of API %d is malformed: %s", key, err_name(err));
    }
    return true;
}

bool client_call(struct client *client, int16_t key, int16_t version, const void *request,
                 void *response)
{
    return client_send(client, key, version, request) &&
           client_receive(client, key, version, response);
}

int16_t client_create_topic(struct client *client, const struct topic_plan *plan)
{
    struct create_topics_request_config setting = {.name = slice_str(plan->setting),
                                                   .value = slice_str(plan->value)};
    struct create_topics_request_topic topic;
    create_topics_request_topic_init(&topic);
    topic.name = slice_str(plan->name);
    topic.num_partitions = plan->partitions;
    topic.replication_factor = 1;
    topic.configs = &setting;
    topic.configs_count = plan->setting != NULL;
    struct create_topics_request request;
    create_topics_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    struct create_topics_response response;
    if (!client_call(client, API_KEY_CREATE_TOPICS, 7, &request, &response)) {
        return CLIENT_BROKEN;
    }
    return response.topics[0].error_code;
}

int16_t client_delete_topic(struct client *client, const char *name)
{
    struct slice names = slice_str(name);
    struct delete_topics_request request;
    delete_topics_request_init(&request);
    request.topic_names = &names;
    request.topic_names_count = 1;
    request.timeout_ms = 60000;
    struct delete_topics_response response;
    if (!client_call(client, API_KEY_DELETE_TOPICS, 5, &request, &response)) {
        return CLIENT_BROKEN;
    }
    return response.responses[0].error_code;
}

int64_t client_init_producer(struct client *client)
{
    struct init_producer_id_request request;
    init_producer_id_request_init(&request);
    request.transactional_id = (struct slice){0};
    struct init_producer_id_response response;
    if (!client_call(client, API_KEY_INIT_PRODUCER_ID, 4, &request, &response)) {
        return -1;
    }
    if (response.error_code != 0) {
        crash_fail("InitProducerId answered error %d", response.error_code);
    }
    return response.producer_id;
}

bool client_end_offset(struct client *client, const char *topic, int32_t partition, int64_t *end)
{
    struct list_offsets_request_partition wanted;
    list_offsets_request_partition_init(&wanted);
    wanted.partition_index = partition;
    wanted.timestamp = -1;
    struct list_offsets_request_topic in = {slice_str(topic), &wanted, 1};
    struct list_offsets_request request;
    list_offsets_request_init(&request);
    request.replica_id = -1;
    request.topics = &in;
    request.topics_count = 1;
    struct list_offsets_response response;
    if (!client_call(client, API_KEY_LIST_OFFSETS, 7, &request, &response)) {
        return false;
    }
    if (response.topics[0].partitions[0].error_code != 0) {
        crash_fail("ListOffsets of %s-%d answered error %d", topic, partition,
                   response.topics[0].partitions[0].error_code);
    }
    *end = response.topics[0].partitions[0].offset;
    return true;
}

bool client_commit(struct client *client, const char *group, const char *topic, int32_t partition,
                   int64_t offset, int16_t *code)
{
    struct offset_commit_request_partition in;
    offset_commit_request_partition_init(&in);
    in.partition_index = partition;
    in.committed_offset = offset;
    struct offset_commit_request_topic topics = {
        .name = slice_str(topic), .partitions = &in, .partitions_count = 1};
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = slice_str(group);
    request.topics = &topics;
    request.topics_count = 1;
    struct offset_commit_response response;
    if (!client_call(client, API_KEY_OFFSET_COMMIT, 8, &request, &response)) {
        return false;
    }
    *code = response.topics[0].partitions[0].error_code;
    return true;
}

bool client_committed(struct client *client, const char *group, const char *topic,
                      int32_t partition, int64_t *offset)
{
    struct offset_fetch_request_topic in = {slice_str(topic), &partition, 1};
    struct offset_fetch_request request;
    offset_fetch_request_init(&request);
    request.group_id = slice_str(group);
    request.topics = &in;
    request.topics_count = 1;
    struct offset_fetch_response response;
    if (!client_call(client, API_KEY_OFFSET_FETCH, 7, &request, &response)) {
        return false;
    }
    if (response.error_code != 0 || response.topics[0].partitions[0].error_code != 0) {
        crash_fail("OffsetFetch of %s answered error %d/%d", group, response.error_code,
                   response.topics[0].partitions[0].error_code);
    }
    *offset = response.topics[0].partitions[0].committed_offset;
    return true;
}

void batch_build(const struct batch_plan *plan, struct buf *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    struct batch_builder builder;
    batch_builder_init(&builder);
    builder.producer_id = plan->producer_id;
    builder.producer_epoch = 0;
    builder.base_sequence = (int32_t)plan->first;
    uint8_t *value = mem_alloc((size_t)plan->value_bytes);
    memset(value, 'v', (size_t)plan->value_bytes);
    for (int32_t i = 0; i < plan->count; i++) {
        store_be32(value, (uint32_t)plan->producer);
        store_be32(value + 4, (uint32_t)plan->partition);
        store_be64(value + 8, (uint64_t)(plan->first + i));
        batch_builder_add(&builder, now_ms, (struct slice){0},
                          slice_of(value, (size_t)plan->value_bytes), NULL, 0);
    }
    struct reason reason;
    if (batch_builder_finish(&builder, out, &reason) != ERR_NONE) {
        crash_fail("cannot build a batch: %s", reason.text);
    }
    batch_builder_deinit(&builder);
    free(value);
}
