#include "cli/bus/raw_bus.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/bus/raw_sasl.h"
#include "wire/generated/metadata.h"

#include <stdlib.h>
#include <string.h>

enum {
    WAIT_MOST_MS = 10000,
    METADATA_VERSION = 5 /* of those that old and new brokers have */
};

/* Connects and logs in; not open when that fails. */
static enum err open_broker(const struct raw_bus *bus, struct raw_stream *stream,
                            const char *address, int64_t until_ms, struct reason *reason)
{
    enum err err = raw_stream_open(stream, &bus->security, address, until_ms, reason);
    if (err == ERR_NONE) {
        err = raw_sasl_login(stream, &bus->security, until_ms, reason);
    }
    if (err != ERR_NONE) {
        raw_stream_close(stream);
    }
    return err;
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
        err = open_broker(bus, &at->stream, at->address, bus->until_ms, reason);
    }
    if (err == ERR_NONE) {
        err = raw_exchange(&at->stream, request, answer, bus->until_ms, reason);
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
    enum err err = raw_exchange(stream, &request, &answer, until_ms, reason);
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
        err = open_broker(bus, &stream, address, until_ms, reason);
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
