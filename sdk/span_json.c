#include "span.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * OTLP's JSON (opentelemetry-proto, ExportTraceServiceRequest): ids in hexadecimal, 64-bit numbers
 * as text, enums as numbers. Names of attributes are those of the semantic conventions for
 * messaging and for CloudEvents.
 */

enum { KIND_PRODUCER = 4, KIND_CONSUMER = 5, STATUS_ERROR = 2, FLAG_SAMPLED = 1 };

/* Texts come from anywhere. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    if (json == NULL) {
        struct buf escaped = {0};
        utf8_escape(&escaped, slice_str(text));
        json = json_string(buf_cstr(&escaped));
        buf_deinit(&escaped);
    }
    return json;
}

static void add(json_t *attributes, const char *name, const char *type, json_t *value)
{
    json_array_append_new(
        attributes, json_pack("{s:o, s:{s:o}}", "key", text_json(name), "value", type, value));
}

static void add_text(json_t *attributes, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        add(attributes, name, "stringValue", text_json(text));
    }
}

static json_t *number_json(int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    return json_string(text);
}

static void add_number(json_t *attributes, const char *name, int64_t number)
{
    if (number >= 0) {
        add(attributes, name, "intValue", number_json(number));
    }
}

static json_t *attributes_of(const struct span_resource *resource, const struct span *span)
{
    bool is_send = span->kind == SPAN_SEND;
    json_t *to = json_array();
    char partition[16];
    snprintf(partition, sizeof partition, "%d", (int)span->partition);
    add_text(to, "messaging.system", "kafka");
    add_text(to, "messaging.operation.name", is_send ? "send" : "process");
    add_text(to, "messaging.operation.type", is_send ? "send" : "process");
    add_text(to, "messaging.destination.name", span->topic);
    add_text(to, "messaging.destination.partition.id", span->partition >= 0 ? partition : "");
    add_number(to, "messaging.kafka.offset", span->offset);
    add_text(to, "messaging.kafka.message.key", span->key);
    add_text(to, "messaging.message.id", span->id);
    add_text(to, "messaging.message.conversation_id", span->correlation_id);
    add_number(to, "messaging.message.body.size", span->size);
    add_text(to, "messaging.client.id", resource->client_id);
    add_text(to, "cloudevents.event_id", span->id);
    add_text(to, "cloudevents.event_source", span->source);
    add_text(to, "cloudevents.event_type", span->type);
    if (!is_send) {
        add_text(to, "messaging.consumer.group.name", resource->group);
        add_text(to, "tidings.handler", span->handler);
        add_text(to, "tidings.verdict", span->verdict);
        add_number(to, "tidings.attempt", span->attempt);
    }
    add_text(to, "error.type", span->error_class);
    return to;
}

static json_t *link_json(const struct span *span)
{
    json_t *link = json_pack("{s:s, s:s, s:i}", "traceId", span->link.trace_id, "spanId",
                             span->link.span_id, "flags", span->link.is_sampled ? FLAG_SAMPLED : 0);
    if (span->link_state[0] != '\0') {
        json_object_set_new(link, "traceState", text_json(span->link_state));
    }
    return link;
}

static json_t *span_json(const struct span_resource *resource, const struct span *span)
{
    json_t *json = json_object();
    struct buf name = {0};
    buf_printf(&name, "%s %s", span->kind == SPAN_SEND ? "send" : "process", span->topic);
    json_object_set_new(json, "traceId", json_string(span->trace.trace_id));
    json_object_set_new(json, "spanId", json_string(span->trace.span_id));
    if (span->parent_id[0] != '\0') {
        json_object_set_new(json, "parentSpanId", json_string(span->parent_id));
    }
    json_object_set_new(json, "flags", json_integer(FLAG_SAMPLED));
    json_object_set_new(json, "name", text_json(buf_cstr(&name)));
    json_object_set_new(json, "kind",
                        json_integer(span->kind == SPAN_SEND ? KIND_PRODUCER : KIND_CONSUMER));
    json_object_set_new(json, "startTimeUnixNano", number_json(span->start_ns));
    json_object_set_new(json, "endTimeUnixNano", number_json(span->end_ns));
    json_object_set_new(json, "attributes", attributes_of(resource, span));
    if (span->link.trace_id[0] != '\0') {
        json_object_set_new(json, "links", json_pack("[o]", link_json(span)));
    }
    if (span->error_class[0] != '\0') {
        json_object_set_new(
            json, "status",
            json_pack("{s:i, s:o}", "code", STATUS_ERROR, "message", text_json(span->error_text)));
    }
    buf_deinit(&name);
    return json;
}

static json_t *resource_json(const struct span_resource *resource)
{
    json_t *attributes = json_array();
    struct arena arena = {0};
    const char *text = resource->attributes, *name, *value;
    add_text(attributes, "service.name", resource->service_name);
    add_text(attributes, "service.instance.id", resource->instance);
    add_text(attributes, "telemetry.sdk.name", "libtidings");
    add_text(attributes, "telemetry.sdk.language", "cpp"); /* none of its values is C */
    add_text(attributes, "telemetry.sdk.version", TIDINGS_VERSION);
    while (text != NULL && span_pair(&text, &arena, &name, &value)) {
        if (strcmp(name, "service.name") != 0) {
            add_text(attributes, name, value);
        }
    }
    arena_deinit(&arena);
    return json_pack("{s:o}", "attributes", attributes);
}

void spans_encode(const struct span_resource *resource, const struct span *spans, struct buf *json)
{
    json_t *list = json_array();
    for (const struct span *span = spans; span != NULL; span = span->next) {
        json_array_append_new(list, span_json(resource, span));
    }
    json_t *all = json_pack("{s:[{s:o, s:[{s:{s:s, s:s}, s:o}]}]}", "resourceSpans", "resource",
                            resource_json(resource), "scopeSpans", "scope", "name", "libtidings",
                            "version", TIDINGS_VERSION, "spans", list);
    char *text = json_dumps(all, JSON_COMPACT);
    buf_append_str(json, text);
    free(text);
    json_decref(all);
}
