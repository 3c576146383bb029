#include "cli/bus/raw_bus.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wire/generated/metadata.h"

#include <stdlib.h>
#include <string.h>

enum {
    WAIT_MOST_MS = 10000,
    ANSWER_MOST_BYTES = 256 << 20,
    CORRELATION = 1,
    METADATA_VERSION = 5 /* of those that old and new brokers have */
};

/* --- requests and answers --- */

void raw_request_init(struct raw_request *request, int16_t api_key, int16_t version)
{
    *request = (struct raw_request){.api_key = api_key, .version = version};
    const struct wire_request_header header = {.api_key = api_key,
                                               .api_version = version,
                                               .correlation_id = CORRELATION,
                                               .client_id = slice_str(CONNECTION_COMMAND)};
    buf_append_be32(&request->bytes, 0); /* the size, when it is known */
    wire_writer_init(&request->writer, &request->bytes);
    wire_request_header_encode(&request->writer, &header);
}

void raw_request_deinit(struct raw_request *request)
{
    wire_writer_deinit(&request->writer);
    buf_deinit(&request->bytes);
}

void raw_answer_deinit(struct raw_answer *answer)
{
    arena_deinit(&answer->arena);
    buf_deinit(&answer->bytes);
}

/* --- a question and its answer --- */

static enum err receive(struct raw_stream *stream, int64_t until_ms,
                        const struct raw_request *request, struct raw_answer *answer,
                        struct reason *reason)
{
    uint8_t head[4];
    int32_t correlation = 0;
    enum err err = raw_stream_receive(stream, head, sizeof head, until_ms, reason);
    if (err == ERR_NONE && load_be32(head) > ANSWER_MOST_BYTES) {
        err = reason_fail(reason, ERR_TOO_LARGE, "the answer is too large");
    }
    if (err == ERR_NONE) {
        size_t size = load_be32(head);
        err = raw_stream_receive(stream, buf_extend(&answer->bytes, size), size, until_ms, reason);
    }
    if (err == ERR_NONE) {
        wire_reader_init(&answer->reader, buf_slice(&answer->bytes), &answer->arena);
        err = wire_response_header_decode(&answer->reader, request->api_key, request->version,
                                          &correlation);
    }
    if (err == ERR_NONE && correlation != CORRELATION) {
        err = reason_fail(reason, ERR_CORRUPT, "the answer is to another question");
    }
    return err;
}

static enum err exchange(struct raw_stream *stream, int64_t until_ms,
                         const struct raw_request *request, struct raw_answer *answer,
                         struct reason *reason)
{
    *answer = (struct raw_answer){.arena = {.limit_bytes = ANSWER_MOST_BYTES}};
    if (request->writer.err != ERR_NONE) {
        return reason_fail(reason, request->writer.err, "the question is too large");
    }
    store_be32(request->bytes.data, (uint32_t)(request->bytes.size - 4));
    enum err err =
        raw_stream_send(stream, request->bytes.data, request->bytes.size, until_ms, reason);
    return err == ERR_NONE ? receive(stream, until_ms, request, answer, reason) : err;
}

enum err raw_bus_ask(struct raw_bus *bus, size_t broker, const struct raw_request *request,
                     struct raw_answer *answer, struct reason *reason)
{
    struct raw_broker *at = &bus->brokers.items[broker];
    enum err err = ERR_NONE;
    *answer = (struct raw_answer){0};
    if (at->is_lost || bus->until_ms <= clock_mono_ms(clock_system())) {
        return reason_fail(reason, ERR_TIMEOUT, "%.100s does not answer", at->address);
    }
    if (!raw_stream_is_open(&at->stream)) {
        err = raw_stream_open(&at->stream, &bus->security, at->address, bus->until_ms, reason);
    }
    if (err == ERR_NONE) {
        err = exchange(&at->stream, bus->until_ms, request, answer, reason);
    }
    if (err != ERR_NONE) { /* what comes there now fits no question */
        raw_stream_close(&at->stream);
    }
    at->is_lost = err == ERR_TIMEOUT;
    return err;
}

/* --- who there is --- */

static void take_brokers(struct raw_bus *bus, const struct metadata_response *metadata)
{
    for (int32_t i = 0; i < metadata->brokers_count; i++) {
        const struct metadata_response_broker *from = &metadata->brokers[i];
        struct buf address = {0};
        bool is_ipv6 = slice_find(from->host, ':') != NULL;
        buf_printf(&address, is_ipv6 ? "[%.*s]:%d" : "%.*s:%d", SLICE_ARGS(from->host), from->port);
        vec_push(&bus->brokers, (struct raw_broker){.id = from->node_id,
                                                    .address = mem_strdup(buf_cstr(&address)),
                                                    .stream = raw_stream_none()});
        buf_deinit(&address);
        if (from->node_id == metadata->controller_id) {
            bus->controller = bus->brokers.count - 1;
        }
    }
}

/* Metadata of no topic. */
static enum err ask_brokers(struct raw_bus *bus, struct raw_stream *stream, int64_t until_ms,
                            struct reason *reason)
{
    struct raw_request request;
    struct raw_answer answer;
    struct metadata_request body;
    struct metadata_response metadata;
    struct metadata_request_topic none;
    metadata_request_init(&body);
    body.topics = &none;
    body.allow_auto_topic_creation = false;
    raw_request_init(&request, API_KEY_METADATA, METADATA_VERSION);
    metadata_request_encode(&request.writer, METADATA_VERSION, &body);
    enum err err = exchange(stream, until_ms, &request, &answer, reason);
    if (err == ERR_NONE) {
        err = metadata_response_decode(&answer.reader, METADATA_VERSION, &metadata);
    }
    if (err == ERR_NONE) {
        take_brokers(bus, &metadata);
    }
    raw_answer_deinit(&answer);
    raw_request_deinit(&request);
    return err;
}

/* By when one address must have answered, so that there is time for those behind it. */
static int64_t share_of(const struct raw_bus *bus, const char *addresses)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    int64_t count = 1;
    for (; *addresses != '\0'; addresses++) {
        count += *addresses == ',';
    }
    return now_ms + (bus->until_ms - now_ms) / count;
}

/* Of the first address that answers. */
static enum err find_brokers(struct raw_bus *bus, struct reason *reason)
{
    enum err err = reason_fail(reason, ERR_INVALID, "no address given");
    for (const char *at = bus->security.bootstrap; err != ERR_NONE && *at != '\0';) {
        size_t size = strcspn(at, ",");
        char *address = mem_strndup(at, size);
        int64_t until_ms = share_of(bus, at);
        struct raw_stream stream;
        err = raw_stream_open(&stream, &bus->security, address, until_ms, reason);
        if (err == ERR_NONE) {
            err = ask_brokers(bus, &stream, until_ms, reason);
        }
        raw_stream_close(&stream);
        free(address);
        at += size + (at[size] == ',');
    }
    return err;
}

enum err raw_bus_init(struct raw_bus *bus, const struct bus_options *options, struct reason *reason)
{
    int64_t most_ms = options->timeout_ms < WAIT_MOST_MS ? options->timeout_ms : WAIT_MOST_MS;
    return raw_bus_init_for(bus, options, most_ms, reason);
}

enum err raw_bus_init_for(struct raw_bus *bus, const struct bus_options *options, int64_t most_ms,
                          struct reason *reason)
{
    *bus = (struct raw_bus){.until_ms = clock_mono_ms(clock_system()) + most_ms};
    enum err err = raw_security_init(&bus->security, options, reason);
    return err == ERR_NONE ? find_brokers(bus, reason) : err;
}

void raw_bus_deinit(struct raw_bus *bus)
{
    for (size_t i = 0; i < bus->brokers.count; i++) {
        free(bus->brokers.items[i].address);
        raw_stream_close(&bus->brokers.items[i].stream);
    }
    vec_deinit(&bus->brokers);
    raw_security_deinit(&bus->security);
}
