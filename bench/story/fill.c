#include <librdkafka/rdkafka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * bench-story-fill BOOTSTRAP TOPIC EVENTS: publishes EVENTS CloudEvents as bench/story.py wants
 * them: chains of five, each event naming the one before as its cause, the first one as its
 * correlation, and a W3C trace; ids and traces look random and follow from the event's number.
 */
enum { CHAIN = 5 };

static int64_t delivered, refused;

static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *context)
{
    (void)handle;
    (void)context;
    delivered++;
    refused += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* SplitMix64. */
static uint64_t mixed(uint64_t number)
{
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

static void id_of(int64_t event, char to[33])
{
    snprintf(to, 33, "%016" PRIx64 "%016" PRIx64, mixed((uint64_t)event * 2),
             mixed((uint64_t)event * 2 + 1));
}

static void add(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    rd_kafka_header_add(headers, name, -1, value, -1);
}

static rd_kafka_headers_t *headers_of(int64_t event)
{
    char id[33], text[64];
    int64_t first = event - event % CHAIN;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(7);
    id_of(event, id);
    add(headers, "ce_specversion", "1.0");
    add(headers, "ce_id", id);
    add(headers, "ce_source", "/orders");
    add(headers, "ce_type", "order.changed");
    if (event > first) {
        id_of(event - 1, id);
        add(headers, "ce_causationid", id);
    }
    id_of(first, id);
    add(headers, "ce_correlationid", id);
    snprintf(text, sizeof text, "00-%s-%016" PRIx64 "-01", id, mixed((uint64_t)event) | 1);
    add(headers, "traceparent", text);
    return headers;
}

static void publish(rd_kafka_t *handle, const char *topic, int64_t event)
{
    char key[32], value[64];
    int key_size = snprintf(key, sizeof key, "order-%" PRId64, event / CHAIN);
    int value_size = snprintf(value, sizeof value, "{\"number\": %" PRId64 "}", event);
    rd_kafka_headers_t *headers = headers_of(event);
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {key, (size_t)key_size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {value, (size_t)value_size}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_resp_err_t code;
    do {
        rd_kafka_error_t *error = rd_kafka_produceva(handle, parts, sizeof parts / sizeof parts[0]);
        code = error == NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        rd_kafka_poll(handle, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 50 : 0);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "bench-story-fill: %s\n", rd_kafka_err2str(code));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    char why[512];
    static const char *const settings[] = {
        "linger.ms", "50", "compression.type", "lz4", "queue.buffering.max.messages",
        "400000",    NULL};
    if (argc != 4) {
        fprintf(stderr, "bench-story-fill BOOTSTRAP TOPIC EVENTS\n");
        return 2;
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], why, sizeof why);
    for (size_t i = 0; settings[i] != NULL; i += 2) {
        rd_kafka_conf_set(conf, settings[i], settings[i + 1], why, sizeof why);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    int64_t events = strtoll(argv[3], NULL, 10);
    for (int64_t event = 0; handle != NULL && event < events; event++) {
        publish(handle, argv[2], event);
        if (event % 5000000 == 0) {
            fprintf(stderr, "%" PRId64 " million events\n", event / 1000000);
        }
    }
    if (handle == NULL || rd_kafka_flush(handle, 600000) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        delivered != events || refused != 0) {
        fprintf(stderr,
                "bench-story-fill: %" PRId64 " of %" PRId64 " delivered, %" PRId64 " refused\n",
                delivered, events, refused);
        return 1;
    }
    rd_kafka_destroy(handle);
    return 0;
}
