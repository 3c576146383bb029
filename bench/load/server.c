#include "load.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wire/codec.h"
#include "wire/generated/api_versions.h"
#include "wire/generated/create_topics.h"
#include "wire/generated/delete_topics.h"
#include "wire/generated/list_offsets.h"
#include "wire/generated/metadata.h"
#include "wire/header.h"
#include "wire/kafka_error.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TOPIC_TIMEOUT_MS = 60000 };

static const struct wire_codec *find_codec(const char *name, const char *part)
{
    char whole[64];
    snprintf(whole, sizeof whole, "%s_%s", name, part);
    for (int i = 0; i < wire_codecs_count; i++) {
        if (strcmp(wire_codecs[i].name, whole) == 0) {
            return &wire_codecs[i];
        }
    }
    return NULL;
}

static enum err encode(struct buf *frame, const char *name, int16_t key, int16_t version,
                       const void *request)
{
    struct wire_writer writer;
    struct wire_request_header header = {
        .api_key = key, .api_version = version, .client_id = slice_str("bench-load")};
    wire_writer_init(&writer, frame);
    size_t begin = wire_frame_begin(&writer);
    wire_request_header_encode(&writer, &header);
    find_codec(name, "request")->encode(&writer, version, request);
    wire_frame_end(&writer, begin);
    enum err err = writer.err;
    wire_writer_deinit(&writer);
    return err;
}

enum err load_call(struct load_conn *conn, const char *name, int16_t key, int16_t version,
                   const void *request, void *response, struct arena *arena, struct reason *reason)
{
    struct buf frame = {0};
    struct slice answer;
    struct wire_reader reader;
    int32_t correlation_id;
    enum err err = encode(&frame, name, key, version, request);
    if (err != ERR_NONE) {
        buf_deinit(&frame);
        return reason_fail(reason, err, "cannot encode %s version %d", name, version);
    }
    err = load_conn_send(conn, &(struct iovec){frame.data, frame.size}, 1, reason);
    buf_deinit(&frame);
    if (err == ERR_NONE) {
        err = load_conn_frame(conn, &answer, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    wire_reader_init(&reader, answer, arena);
    err = wire_response_header_decode(&reader, key, version, &correlation_id);
    if (err == ERR_NONE) {
        err = find_codec(name, "response")->decode(&reader, version, response);
    }
    return err == ERR_NONE ? ERR_NONE
                           : reason_fail(reason, err, "%s version %d: the answer is %s", name,
                                         version, err_name(err));
}

/* The highest version of each API that this program has a codec for and the server serves. */
static void note_versions(struct load_server *server, const struct api_versions_response *response)
{
    memset(server->highest, -1, sizeof server->highest);
    for (int32_t i = 0; i < response->api_keys_count; i++) {
        const struct api_versions_response_api_key *range = &response->api_keys[i];
        const struct wire_api_info *known = wire_api_find(range->api_key);
        if (known != NULL && range->api_key >= 0 && range->api_key < LOAD_VERSIONS) {
            int16_t highest = range->max_version < known->highest_version ? range->max_version
                                                                          : known->highest_version;
            bool common = highest >= range->min_version && highest >= known->lowest_version;
            server->highest[range->api_key] = common ? highest : -1;
        }
    }
}

enum err load_server_open(const struct sockaddr_in *address, struct load_server *server,
                          struct reason *reason)
{
    struct load_conn conn;
    struct arena arena = {0};
    struct api_versions_request request;
    struct api_versions_response response;
    server->address = *address;
    enum err err = load_conn_open(address, &conn, reason);
    if (err != ERR_NONE) {
        return err;
    }
    api_versions_request_init(&request);
    err = load_call(&conn, "api_versions", API_KEY_API_VERSIONS, 0, &request, &response, &arena,
                    reason);
    if (err == ERR_NONE && response.error_code != 0) {
        err = reason_fail(reason, ERR_IO, "ApiVersions: %s", kafka_error_name(response.error_code));
    }
    if (err == ERR_NONE) {
        note_versions(server, &response);
    }
    load_conn_close(&conn);
    arena_deinit(&arena);
    return err;
}

/* *ready: the topic is known and each of its partitions has a leader. */
static enum err topic_is_ready(const struct load_server *server, struct load_conn *conn,
                               const char *topic, int partitions, bool *ready,
                               struct reason *reason)
{
    struct arena arena = {0};
    struct metadata_request request;
    struct metadata_response response;
    struct metadata_request_topic wanted = {.name = slice_str(topic)};
    metadata_request_init(&request);
    request.topics = &wanted;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    *ready = false;
    enum err err = load_call(conn, "metadata", API_KEY_METADATA, server->highest[API_KEY_METADATA],
                             &request, &response, &arena, reason);
    if (err == ERR_NONE && response.topics_count == 1 && response.topics[0].error_code == 0) {
        int led = 0;
        for (int32_t i = 0; i < response.topics[0].partitions_count; i++) {
            led += response.topics[0].partitions[i].leader_id >= 0;
        }
        *ready = led >= partitions;
    }
    arena_deinit(&arena);
    return err;
}

/* *ready: each partition answers ListOffsets. A leader may be named before it is at work. */
static enum err partitions_answer(const struct load_server *server, struct load_conn *conn,
                                  const char *topic, int partitions, bool *ready,
                                  struct reason *reason)
{
    enum { LATEST = -1 };
    struct arena arena = {0};
    struct list_offsets_request request;
    struct list_offsets_response response;
    struct list_offsets_request_topic wanted;
    list_offsets_request_init(&request);
    list_offsets_request_topic_init(&wanted);
    wanted.name = slice_str(topic);
    wanted.partitions = arena_alloc_array(&arena, (size_t)partitions, sizeof *wanted.partitions);
    wanted.partitions_count = partitions;
    for (int i = 0; i < partitions; i++) {
        list_offsets_request_partition_init(&wanted.partitions[i]);
        wanted.partitions[i].partition_index = i;
        wanted.partitions[i].timestamp = LATEST;
    }
    request.replica_id = -1;
    request.topics = &wanted;
    request.topics_count = 1;
    enum err err =
        load_call(conn, "list_offsets", API_KEY_LIST_OFFSETS, server->highest[API_KEY_LIST_OFFSETS],
                  &request, &response, &arena, reason);
    *ready = err == ERR_NONE && response.topics_count == 1;
    for (int32_t i = 0; *ready && i < response.topics[0].partitions_count; i++) {
        *ready = response.topics[0].partitions[i].error_code == 0;
    }
    arena_deinit(&arena);
    return err;
}

static enum err wait_until_ready(const struct load_server *server, struct load_conn *conn,
                                 const char *topic, int partitions, struct reason *reason)
{
    int64_t deadline_ns = clock_now_ns() + (int64_t)TOPIC_TIMEOUT_MS * 1000000;
    for (;;) {
        bool ready;
        enum err err = topic_is_ready(server, conn, topic, partitions, &ready, reason);
        if (err == ERR_NONE && ready) {
            err = partitions_answer(server, conn, topic, partitions, &ready, reason);
        }
        if (err != ERR_NONE || ready) {
            return err;
        }
        if (clock_now_ns() > deadline_ns) {
            return reason_fail(reason, ERR_TIMEOUT, "topic %s has no leaders", topic);
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static enum err topic_result(const char *what, const char *topic, int32_t count, int16_t code,
                             struct slice message, struct reason *reason)
{
    if (count != 1) {
        return reason_fail(reason, ERR_CORRUPT, "%s %s: %d results", what, topic, count);
    }
    return code == 0 ? ERR_NONE
                     : reason_fail(reason, ERR_IO, "%s %s: %s %.*s", what, topic,
                                   kafka_error_name(code), SLICE_ARGS(message));
}

enum err load_topic_create(const struct load_server *server, const char *topic, int partitions,
                           struct reason *reason)
{
    struct load_conn conn;
    struct arena arena = {0};
    struct create_topics_request request;
    struct create_topics_response response;
    struct create_topics_request_topic wanted;
    enum err err = load_conn_open(&server->address, &conn, reason);
    if (err != ERR_NONE) {
        return err;
    }
    create_topics_request_init(&request);
    create_topics_request_topic_init(&wanted);
    wanted.name = slice_str(topic);
    wanted.num_partitions = partitions;
    wanted.replication_factor = 1;
    request.topics = &wanted;
    request.topics_count = 1;
    request.timeout_ms = TOPIC_TIMEOUT_MS;
    err = load_call(&conn, "create_topics", API_KEY_CREATE_TOPICS,
                    server->highest[API_KEY_CREATE_TOPICS], &request, &response, &arena, reason);
    if (err == ERR_NONE) {
        err = topic_result(
            "create topic", topic, response.topics_count,
            response.topics_count == 1 ? response.topics[0].error_code : 0,
            response.topics_count == 1 ? response.topics[0].error_message : WIRE_EMPTY, reason);
    }
    if (err == ERR_NONE) {
        err = wait_until_ready(server, &conn, topic, partitions, reason);
    }
    load_conn_close(&conn);
    arena_deinit(&arena);
    return err;
}

enum err load_topic_delete(const struct load_server *server, const char *topic,
                           struct reason *reason)
{
    enum { NAMES_HIGHEST = 5 }; /* later versions may name a topic by its id */
    struct load_conn conn;
    struct arena arena = {0};
    struct delete_topics_request request;
    struct delete_topics_response response;
    struct slice name = slice_str(topic);
    int16_t version = server->highest[API_KEY_DELETE_TOPICS];
    enum err err = load_conn_open(&server->address, &conn, reason);
    if (err != ERR_NONE) {
        return err;
    }
    delete_topics_request_init(&request);
    request.topic_names = &name;
    request.topic_names_count = 1;
    request.timeout_ms = TOPIC_TIMEOUT_MS;
    err = load_call(&conn, "delete_topics", API_KEY_DELETE_TOPICS,
                    version < NAMES_HIGHEST ? version : NAMES_HIGHEST, &request, &response, &arena,
                    reason);
    if (err == ERR_NONE) {
        err = topic_result("delete topic", topic, response.responses_count,
                           response.responses_count == 1 ? response.responses[0].error_code : 0,
                           WIRE_EMPTY, reason);
    }
    load_conn_close(&conn);
    arena_deinit(&arena);
    return err;
}
