#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/time_text.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CloudEvents 1.0, Kafka protocol binding, binary mode: attributes are headers named ce_*. */

static void header_add_text(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    rd_kafka_header_add(headers, name, -1, value, (ssize_t)strlen(value));
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static void headers_add_cause(rd_kafka_headers_t *headers, const struct tidings_message *message,
                              const struct tidings_event *cause)
{
    const char *correlation = message->correlation_id;
    const char *causation = message->causation_id;
    if (cause != NULL && correlation == NULL) {
        correlation = is_set(cause->correlation_id) ? cause->correlation_id : cause->id;
    }
    if (cause != NULL && causation == NULL) {
        causation = cause->id;
    }
    if (is_set(correlation)) {
        header_add_text(headers, "ce_correlationid", correlation);
    }
    if (is_set(causation)) {
        header_add_text(headers, "ce_causationid", causation);
    }
}

rd_kafka_headers_t *event_encode_headers(const struct tidings *service,
                                         const struct tidings_message *message,
                                         const struct tidings_event *cause)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8 + message->header_count);
    char id[UUID_TEXT_SIZE], now[TIME_TEXT_SIZE];
    random_uuid_text(id);
    time_format(clock_wall_ms(clock_system()), now);
    header_add_text(headers, "ce_specversion", "1.0");
    header_add_text(headers, "ce_id", is_set(message->id) ? message->id : id);
    header_add_text(headers, "ce_source",
                    is_set(message->source) ? message->source : service->source);
    header_add_text(headers, "ce_type", message->type);
    header_add_text(headers, "ce_time", is_set(message->time) ? message->time : now);
    if (is_set(message->subject)) {
        header_add_text(headers, "ce_subject", message->subject);
    }
    headers_add_cause(headers, message, cause);
    if (is_set(message->content_type)) {
        header_add_text(headers, "content-type", message->content_type);
    } else if (message->data != NULL) {
        header_add_text(headers, "content-type", "application/json");
    }
    for (size_t i = 0; i < message->header_count; i++) {
        const struct tidings_header *header = &message->headers[i];
        rd_kafka_header_add(headers, header->name, -1, header->value,
                            header->value != NULL ? (ssize_t)header->value_size : 0);
    }
    return headers;
}

/* Where the text of a CloudEvents header belongs in the event, or NULL. */
static const char **event_field(struct tidings_event *event, const char *header_name)
{
    const struct {
        const char *name;
        const char **field;
    } fields[] = {
        {"ce_id", &event->id},
        {"ce_source", &event->source},
        {"ce_type", &event->type},
        {"ce_subject", &event->subject},
        {"ce_time", &event->time},
        {"ce_correlationid", &event->correlation_id},
        {"ce_causationid", &event->causation_id},
        {"content-type", &event->content_type},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(header_name, fields[i].name) == 0) {
            return fields[i].field;
        }
    }
    return NULL;
}

/* librdkafka keeps header names and values NUL-terminated, so they are borrowed as they are. */
static void event_decode_headers(const rd_kafka_message_t *message, struct decoded_event *decoded)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    struct tidings_event *event = &decoded->event;
    event->header_count = rd_kafka_header_cnt(headers);
    decoded->headers = mem_new_array(struct tidings_header, event->header_count);
    for (size_t i = 0; i < event->header_count; i++) {
        struct tidings_header *header = &decoded->headers[i];
        rd_kafka_header_get_all(headers, i, &header->name, &header->value, &header->value_size);
        const char **field = event_field(event, header->name);
        if (field != NULL && header->value != NULL) {
            *field = header->value;
        }
    }
    event->headers = decoded->headers;
}

void event_decode(const rd_kafka_message_t *message, int attempt, struct decoded_event *decoded)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    size_t place_size = strlen(topic) + 40;
    decoded->headers = NULL;
    decoded->texts = mem_alloc(place_size + message->key_len + 1 + message->len + 1);
    snprintf(decoded->texts, place_size, "%s/%d/%lld", topic, (int)message->partition,
             (long long)message->offset);
    decoded->event = (struct tidings_event){
        .id = "",
        .source = "",
        .type = "",
        .subject = "",
        .time = "",
        .content_type = "",
        .correlation_id = "",
        .causation_id = "",
        .topic = topic,
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
        .attempt = attempt,
    };
    struct tidings_event *event = &decoded->event;
    char *key = decoded->texts + place_size, *data = key + message->key_len + 1;
    if (message->key != NULL) {
        memcpy(key, message->key, message->key_len);
        key[message->key_len] = '\0';
        event->key = key;
        event->key_size = message->key_len;
    }
    if (message->payload != NULL) {
        memcpy(data, message->payload, message->len);
        data[message->len] = '\0';
        event->data = data;
        event->data_size = message->len;
    }
    event_decode_headers(message, decoded);
    if (event->id[0] == '\0') {
        event->id = decoded->texts;
    }
}

void event_deinit(struct decoded_event *decoded)
{
    free(decoded->headers);
    free(decoded->texts);
}

const void *tidings_event_header(const struct tidings_event *event, const char *name, size_t *size)
{
    for (size_t i = event->header_count; i-- > 0;) {
        if (strcmp(event->headers[i].name, name) == 0) {
            *size = event->headers[i].value_size;
            return event->headers[i].value;
        }
    }
    *size = 0;
    return NULL;
}
