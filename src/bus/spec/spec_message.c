#include "bus/spec/spec_message.h"

#include "base/utf8.h"
#include "base/vec.h"
#include "bus/spec/schema_infer.h"

#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = SPEC_HEADERS_MAX };

/* A header or attribute, by its name as a header: "ce_id". */
struct field {
    char *name;
    uint64_t count;
};

struct spec_message {
    uint64_t seen, structured, keys, keys_of_bytes, no_value, not_json, too_large;
    VEC(struct field) fields;
    char content_type[SPEC_CONTENT_TYPE_BYTES + 1]; /* the last that was said */
    struct schema_infer *payload;
    uint64_t payloads; /* that it was inferred from */
};

struct spec_message *spec_message_new(void)
{
    struct spec_message *message = mem_new(struct spec_message);
    message->payload = schema_infer_new();
    return message;
}

void spec_message_free(struct spec_message *message)
{
    if (message != NULL) {
        for (size_t i = 0; i < message->fields.count; i++) {
            free(message->fields.items[i].name);
        }
        vec_deinit(&message->fields);
        schema_infer_free(message->payload);
        free(message);
    }
}

uint64_t spec_message_seen(const struct spec_message *message)
{
    return message->seen;
}

/* --- events --- */

static bool is_text(struct slice bytes)
{
    while (bytes.size > 0) {
        size_t size = utf8_sequence(bytes);
        if (size == 0) {
            return false;
        }
        bytes = slice_of(bytes.data + size, bytes.size - size);
    }
    return true;
}

static bool is_attribute(const char *name)
{
    size_t size = strlen(name);
    return strncmp(name, "ce_", 3) == 0 && size > 3 && size <= SPEC_HEADER_BYTES &&
           is_text(slice_str(name));
}

static void take_field(struct spec_message *message, const char *name, uint64_t count)
{
    for (size_t i = 0; i < message->fields.count; i++) {
        if (strcmp(message->fields.items[i].name, name) == 0) {
            message->fields.items[i].count += count;
            return;
        }
    }
    if (message->fields.count < FIELDS_MAX) {
        vec_push(&message->fields, (struct field){mem_strdup(name), count});
    }
}

/* Each name once, however often the record has it. */
static void take_headers(struct spec_message *message, const struct event *event)
{
    for (size_t i = 0; i < event->header_count; i++) {
        const struct event_header *header = &event->headers[i];
        if (is_attribute(header->name) && event_header_find(event, header->name) == header) {
            take_field(message, header->name, 1);
        }
    }
    const struct event_header *type = event_header_find(event, "content-type");
    if (type != NULL && type->value.size > 0 && type->value.size <= SPEC_CONTENT_TYPE_BYTES &&
        is_text(type->value)) {
        memset(message->content_type, 0, sizeof message->content_type);
        slice_copy(message->content_type, type->value);
        message->content_type[strcspn(message->content_type, "\r\n")] = '\0';
    }
}

static void take_payload(struct spec_message *message, struct slice value)
{
    json_error_t error;
    if (slice_is_null(value)) {
        message->no_value++;
        return;
    }
    if (value.size > SPEC_PAYLOAD_MOST) {
        message->too_large++;
        return;
    }
    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *json = json_loadb((const char *)value.data, value.size, flags, &error);
    if (json == NULL && json_error_code(&error) == json_error_numeric_overflow) {
        json = json_loadb((const char *)value.data, value.size, flags | JSON_DECODE_INT_AS_REAL,
                          &error);
    }
    if (json == NULL) {
        message->not_json++;
        return;
    }
    message->payloads++;
    schema_infer_take(message->payload, json);
    json_decref(json);
}

/* Whether it was a structured one, which is the binary one that says the same now. */
static bool unwrap(struct event *event, struct arena *arena)
{
    return event->value.size <= SPEC_PAYLOAD_MOST && event_mode(event) == EVENT_STRUCTURED &&
           event_unwrap(event, arena, NULL) == ERR_NONE;
}

void spec_message_take(struct spec_message *message, const struct event *given, struct arena *arena)
{
    struct event event = *given;
    message->structured += unwrap(&event, arena);
    message->seen++;
    if (!slice_is_null(event.key)) {
        message->keys++;
        message->keys_of_bytes += !is_text(event.key);
    }
    take_headers(message, &event);
    take_payload(message, event.value);
}

char *spec_message_id(const struct event *given, struct arena *arena)
{
    struct event event = *given;
    struct buf id = {0};
    (void)unwrap(&event, arena);
    const struct event_header *type = event_header_find(&event, "ce_type");
    bool has_type = type != NULL && type->value.size > 0;
    buf_append_str(&id, has_type ? "type:" : "topic:");
    utf8_escape(&id, has_type ? type->value : slice_str(event.topic));
    return buf_cstr(&id);
}

/* --- as a Message Object --- */

static json_t *field_json(const char *name)
{
    if (strcmp(name, "ce_specversion") == 0) {
        return json_pack("{s:s, s:s}", "type", "string", "const", "1.0");
    }
    if (strcmp(name, "ce_time") == 0) {
        return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
    }
    return json_pack("{s:s}", "type", "string");
}

/* An object of the attributes, each name without its first `skip` letters. */
static json_t *fields_json(const struct spec_message *message, const char *name, bool is_topic,
                           size_t skip)
{
    json_t *properties = json_object(), *required = json_array();
    for (size_t i = 0; i < message->fields.count; i++) {
        const struct field *field = &message->fields.items[i];
        json_t *schema = strcmp(field->name, "ce_type") == 0 && !is_topic
                             ? json_pack("{s:s, s:s}", "type", "string", "const", name)
                             : field_json(field->name);
        json_object_set_new(properties, field->name + skip, schema);
        if (field->count == message->seen) {
            json_array_append_new(required, json_string(field->name + skip));
        }
    }
    json_t *json = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
    if (json_array_size(required) > 0) {
        json_object_set(json, "required", required);
    }
    json_decref(required);
    return json;
}

static json_t *payload_json(const struct spec_message *message)
{
    json_t *schema = message->payloads > 0 && message->not_json == 0
                         ? schema_infer_json(message->payload)
                         : json_object();
    json_t *type = json_object_get(schema, "type");
    if (message->no_value > 0 && json_is_string(type)) { /* tombstones */
        json_object_set_new(schema, "type", json_pack("[O, s]", type, "null"));
    } else if (message->no_value > 0 && json_is_array(type)) {
        json_array_append_new(type, json_string("null"));
    }
    return schema;
}

/* The whole of a structured CloudEvent. */
static json_t *envelope_json(const struct spec_message *message, const char *name, bool is_topic)
{
    json_t *json = fields_json(message, name, is_topic, 3);
    json_t *properties = json_object_get(json, "properties");
    json_object_set_new(properties, "data", payload_json(message));
    if (message->no_value == 0) {
        json_array_append_new(json_object_get(json, "required"), json_string("data"));
    }
    return json;
}

static json_t *counts_json(const struct spec_message *message)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "events", (json_int_t)message->seen, "structured",
                     (json_int_t)message->structured, "without-value",
                     (json_int_t)message->no_value, "not-json", (json_int_t)message->not_json,
                     "too-large", (json_int_t)message->too_large);
}

json_t *spec_message_json(const struct spec_message *message, const char *name, bool is_topic)
{
    bool is_structured = message->structured > 0 && message->structured == message->seen;
    json_t *json = json_pack("{s:s}", "name", name);
    if (is_structured) {
        json_object_set_new(json, "contentType", json_string("application/cloudevents+json"));
        json_object_set_new(json, "payload", envelope_json(message, name, is_topic));
    } else {
        const char *type = message->content_type[0] != '\0' ? message->content_type
                           : message->payloads > 0 && message->not_json == 0
                               ? "application/json"
                               : "application/octet-stream";
        json_object_set_new(json, "contentType", json_string(type));
        if (message->fields.count > 0) {
            json_object_set_new(json, "headers", fields_json(message, name, is_topic, 0));
        }
        json_object_set_new(json, "payload", payload_json(message));
    }
    json_t *kafka = json_pack("{s:s}", "bindingVersion", "0.5.0");
    if (message->keys > 0 && message->keys_of_bytes == 0) {
        json_object_set_new(kafka, "key", json_pack("{s:s}", "type", "string"));
    }
    json_object_set_new(json, "bindings", json_pack("{s:o}", "kafka", kafka));
    json_object_set_new(json, "x-seen", counts_json(message));
    return json;
}

/* --- keeping --- */

json_t *spec_message_keep(const struct spec_message *message)
{
    json_t *fields = json_object();
    for (size_t i = 0; i < message->fields.count; i++) {
        json_object_set_new(fields, message->fields.items[i].name,
                            json_integer((json_int_t)message->fields.items[i].count));
    }
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:o}", "seen",
        (json_int_t)message->seen, "structured", (json_int_t)message->structured, "keys",
        (json_int_t)message->keys, "keys_of_bytes", (json_int_t)message->keys_of_bytes, "no_value",
        (json_int_t)message->no_value, "not_json", (json_int_t)message->not_json, "too_large",
        (json_int_t)message->too_large, "payloads", (json_int_t)message->payloads, "content_type",
        message->content_type, "fields", fields, "payload", schema_infer_keep(message->payload));
}

static bool read_counts(struct spec_message *message, const json_t *kept)
{
    const struct {
        const char *name;
        uint64_t *to;
    } counts[] = {{"seen", &message->seen},         {"structured", &message->structured},
                  {"keys", &message->keys},         {"keys_of_bytes", &message->keys_of_bytes},
                  {"no_value", &message->no_value}, {"not_json", &message->not_json},
                  {"payloads", &message->payloads}, {"too_large", &message->too_large}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const json_t *count = json_object_get(kept, counts[i].name);
        if (!json_is_integer(count) || json_integer_value(count) < 0) {
            return false;
        }
        *counts[i].to = (uint64_t)json_integer_value(count);
    }
    return true;
}

struct spec_message *spec_message_restore(const json_t *kept)
{
    struct spec_message *message = mem_new(struct spec_message);
    const char *type = json_string_value(json_object_get(kept, "content_type"));
    const char *name;
    json_t *count;
    message->payload = schema_infer_restore(json_object_get(kept, "payload"));
    if (message->payload == NULL || !read_counts(message, kept) || type == NULL ||
        strlen(type) > SPEC_CONTENT_TYPE_BYTES) {
        spec_message_free(message);
        return NULL;
    }
    strcpy(message->content_type, type);
    json_object_foreach(json_object_get(kept, "fields"), name, count)
    {
        if (is_attribute(name) && json_integer_value(count) > 0) {
            take_field(message, name, (uint64_t)json_integer_value(count));
        }
    }
    return message;
}
