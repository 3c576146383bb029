#include "cli/bus/raw_bus.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/connection/connection.h"
#include "wire/generated/metadata.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* --- bytes on their way --- */

static enum err wait_for(int fd, short events, int64_t until_ms, struct reason *reason)
{
    int64_t left_ms = until_ms - clock_mono_ms(clock_system());
    struct pollfd waiting = {.fd = fd, .events = events};
    int ready = left_ms > 0 ? poll(&waiting, 1, (int)left_ms) : 0;
    if (ready == 0) {
        return reason_fail(reason, ERR_TIMEOUT, "no answer in time");
    }
    return ready > 0 || errno == EINTR ? ERR_NONE : reason_errno(reason, "poll");
}

/* Sends (is_out) or receives all of it. */
static enum err carry(int fd, bool is_out, uint8_t *bytes, size_t size, int64_t until_ms,
                      struct reason *reason)
{
    enum err err = ERR_NONE;
    while (err == ERR_NONE && size > 0) {
        ssize_t moved = is_out ? send(fd, bytes, size, MSG_NOSIGNAL) : recv(fd, bytes, size, 0);
        if (moved > 0) {
            bytes += moved;
            size -= (size_t)moved;
        } else if (moved == 0) {
            err = reason_fail(reason, ERR_CLOSED, "the broker closed the connection");
        } else if (errno == EAGAIN || errno == EINTR) {
            err = wait_for(fd, is_out ? POLLOUT : POLLIN, until_ms, reason);
        } else {
            err = reason_errno(reason, "connection");
        }
    }
    return err;
}

static enum err receive(int fd, int64_t until_ms, const struct raw_request *request,
                        struct raw_answer *answer, struct reason *reason)
{
    uint8_t head[4];
    int32_t correlation = 0;
    enum err err = carry(fd, false, head, sizeof head, until_ms, reason);
    if (err == ERR_NONE && load_be32(head) > ANSWER_MOST_BYTES) {
        err = reason_fail(reason, ERR_TOO_LARGE, "the answer is too large");
    }
    if (err == ERR_NONE) {
        size_t size = load_be32(head);
        err = carry(fd, false, buf_extend(&answer->bytes, size), size, until_ms, reason);
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

static enum err exchange(int fd, int64_t until_ms, const struct raw_request *request,
                         struct raw_answer *answer, struct reason *reason)
{
    *answer = (struct raw_answer){.arena = {.limit_bytes = ANSWER_MOST_BYTES}};
    if (request->writer.err != ERR_NONE) {
        return reason_fail(reason, request->writer.err, "the question is too large");
    }
    store_be32(request->bytes.data, (uint32_t)(request->bytes.size - 4));
    enum err err = carry(fd, true, request->bytes.data, request->bytes.size, until_ms, reason);
    return err == ERR_NONE ? receive(fd, until_ms, request, answer, reason) : err;
}

enum err raw_bus_ask(struct raw_bus *bus, size_t broker, const struct raw_request *request,
                     struct raw_answer *answer, struct reason *reason)
{
    struct raw_broker *at = &bus->brokers.items[broker];
    int64_t left_ms = bus->until_ms - clock_mono_ms(clock_system());
    enum err err = ERR_NONE;
    *answer = (struct raw_answer){0};
    if (at->is_lost || left_ms <= 0) {
        return reason_fail(reason, ERR_TIMEOUT, "%.100s does not answer", at->address);
    }
    if (at->fd < 0) {
        err = connection_dial(at->address, (int)left_ms, &at->fd, reason);
    }
    if (err == ERR_NONE) {
        err = exchange(at->fd, bus->until_ms, request, answer, reason);
    }
    if (err != ERR_NONE && at->fd >= 0) { /* what comes there now fits no question */
        close(at->fd);
        at->fd = -1;
    }
    at->is_lost = err == ERR_TIMEOUT;
    return err;
}

/* --- who there is --- */

/* The last value of a property that begins so, or NULL. */
static const char *property(const struct bus_options *options, const char *name)
{
    const char *value = NULL;
    size_t size = strlen(name);
    for (size_t i = 0; i < options->properties.count; i++) {
        const char *text = options->properties.items[i];
        if (strncmp(text, name, size) == 0 && text[size] == '=') {
            value = text + size + 1;
        }
    }
    return value;
}

static void take_brokers(struct raw_bus *bus, const struct metadata_response *metadata)
{
    for (int32_t i = 0; i < metadata->brokers_count; i++) {
        const struct metadata_response_broker *from = &metadata->brokers[i];
        struct buf address = {0};
        bool is_ipv6 = slice_find(from->host, ':') != NULL;
        buf_printf(&address, is_ipv6 ? "[%.*s]:%d" : "%.*s:%d", SLICE_ARGS(from->host), from->port);
        vec_push(&bus->brokers, (struct raw_broker){.id = from->node_id,
                                                    .address = mem_strdup(buf_cstr(&address)),
                                                    .fd = -1});
        buf_deinit(&address);
    }
}

/* Metadata of no topic. */
static enum err ask_brokers(struct raw_bus *bus, int fd, struct reason *reason)
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
    enum err err = exchange(fd, bus->until_ms, &request, &answer, reason);
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

enum err raw_bus_init(struct raw_bus *bus, const struct bus_options *options, struct reason *reason)
{
    struct connection_settings settings = bus_settings(options);
    int wait_ms = settings.timeout_ms < WAIT_MOST_MS ? settings.timeout_ms : WAIT_MOST_MS;
    const char *security = property(options, "security.protocol");
    const char *replaced = property(options, "bootstrap.servers");
    int fd = -1;
    *bus =
        (struct raw_bus){.options = options, .until_ms = clock_mono_ms(clock_system()) + wait_ms};
    if (security != NULL && strcasecmp(security, "plaintext") != 0) {
        return reason_fail(reason, ERR_UNSUPPORTED,
                           "this is asked over plain connections only, not by %.20s", security);
    }
    enum err err = connection_dial(replaced != NULL ? replaced : settings.bootstrap_servers,
                                   wait_ms, &fd, reason);
    if (err == ERR_NONE) {
        err = ask_brokers(bus, fd, reason);
        close(fd);
    }
    return err;
}

void raw_bus_deinit(struct raw_bus *bus)
{
    for (size_t i = 0; i < bus->brokers.count; i++) {
        free(bus->brokers.items[i].address);
        if (bus->brokers.items[i].fd >= 0) {
            close(bus->brokers.items[i].fd);
        }
    }
    vec_deinit(&bus->brokers);
}
