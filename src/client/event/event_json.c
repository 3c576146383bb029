#include "client/event/event.h"

#include "base/base64.h"
#include "base/time_text.h"

#include <stdlib.h>
#include <string.h>

/* Text when it is UTF-8, else NULL. */
static json_t *text_or_null(struct slice bytes)
{
    return json_stringn((const char *)bytes.data, bytes.size);
}

static json_t *base64_text(struct slice bytes)
{
    struct buf text = {0};
    base64_encode(&text, bytes);
    json_t *json = json_stringn(buf_cstr(&text), text.size);
    buf_deinit(&text);
    return json;
}

void event_set_bytes(json_t *object, const char *name, const char *encoding_name,
                     struct slice bytes)
{
    if (slice_is_null(bytes)) {
        json_object_set_new(object, name, json_null());
        return;
    }
    json_t *text = text_or_null(bytes);
    if (text != NULL) {
        json_object_set_new(object, name, text);
        return;
    }
    json_object_set_new(object, name, base64_text(bytes));
    json_object_set_new(object, encoding_name, json_string("base64"));
}

static json_t *header_value(struct slice bytes)
{
    if (slice_is_null(bytes)) {
        return json_null();
    }
    json_t *text = text_or_null(bytes);
    return text != NULL ? text : json_pack("{s:o}", "base64", base64_text(bytes));
}

static json_t *headers_to_json(const struct event *event)
{
    json_t *object = json_object();
    for (size_t i = 0; i < event->header_count; i++) {
        const char *name = event->headers[i].name;
        json_t *value = header_value(event->headers[i].value);
        json_t *earlier = json_object_get(object, name);
        if (json_is_array(earlier)) {
            json_array_append_new(earlier, value);
        } else if (earlier != NULL) {
            json_t *list = json_array();
            json_array_append(list, earlier);
            json_array_append_new(list, value);
            json_object_set_new(object, name, list);
        } else if (json_object_set_new(object, name, value) != 0) {
            /* A name that is no UTF-8 cannot be a JSON name; show that something was there. */
            json_object_set_new(object, "(unprintable)", json_true());
        }
    }
    return object;
}

json_t *event_to_json(const struct event *event)
{
    json_t *object = json_object();
    char time[TIME_TEXT_SIZE];
    json_object_set_new(object, "topic", json_string(event->topic));
    json_object_set_new(object, "partition", json_integer(event->partition));
    json_object_set_new(object, "offset", json_integer(event->offset));
    json_object_set_new(object, "timestamp",
                        event->timestamp_ms < 0
                            ? json_null()
                            : json_string(time_format(event->timestamp_ms, time)));
    event_set_bytes(object, "key", "key_encoding", event->key);
    json_object_set_new(object, "headers", headers_to_json(event));
    event_set_bytes(object, "value", "value_encoding", event->value);
    return object;
}

static struct slice arena_text(struct arena *arena, const char *text, size_t size)
{
    /* One byte more, so that an empty text is not the null slice. */
    char *copy = arena_cstr(arena, slice_of(text, size));
    return slice_of(copy, size);
}

static enum err bytes_from_json(const json_t *value, const char *name, bool is_base64,
                                struct arena *arena, struct slice *bytes, struct reason *reason)
{
    *bytes = (struct slice){0};
    if (value == NULL || json_is_null(value)) {
        return ERR_NONE;
    }
    if (json_is_string(value)) {
        struct slice text = slice_of(json_string_value(value), json_string_length(value));
        if (!is_base64) {
            *bytes = arena_text(arena, json_string_value(value), text.size);
        } else if (!base64_decode(arena, text, bytes)) {
            return reason_fail(reason, ERR_INVALID, "\"%.60s\" is no base 64", name);
        }
        return ERR_NONE;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL) {
        return reason_fail(reason, ERR_INVALID, "\"%.60s\" is no JSON value", name);
    }
    *bytes = arena_text(arena, text, strlen(text));
    free(text);
    return ERR_NONE;
}

static enum err header_from_json(const char *name, const json_t *value, struct arena *arena,
                                 struct event *event, struct reason *reason)
{
    const json_t *encoded = json_object_get(value, "base64");
    bool is_base64 = json_is_string(encoded) && json_object_size(value) == 1;
    struct event_header *header = &event->headers[event->header_count];
    header->name = (const char *)arena_text(arena, name, strlen(name)).data;
    event->header_count++;
    return bytes_from_json(is_base64 ? encoded : value, name, is_base64, arena, &header->value,
                           reason);
}

static enum err headers_from_json(json_t *headers, struct arena *arena, struct event *event,
                                  struct reason *reason)
{
    if (headers == NULL || json_is_null(headers)) {
        return ERR_NONE;
    }
    if (!json_is_object(headers)) {
        return reason_fail(reason, ERR_INVALID,
                           "\"headers\" must be an object of names and values");
    }
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(headers, name, value)
    {
        count += json_is_array(value) ? json_array_size(value) : 1;
    }
    event->headers = arena_alloc_array(arena, count + 1, sizeof *event->headers);
    enum err err = ERR_NONE;
    json_object_foreach(headers, name, value)
    {
        if (!json_is_array(value)) {
            err = header_from_json(name, value, arena, event, reason);
        }
        for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
            err = header_from_json(name, json_array_get(value, i), arena, event, reason);
        }
        if (err != ERR_NONE) {
            return err;
        }
    }
    return ERR_NONE;
}

static enum err timestamp_from_json(const json_t *value, int64_t *timestamp_ms,
                                    struct reason *reason)
{
    *timestamp_ms = -1;
    if (value == NULL || json_is_null(value)) {
        return ERR_NONE;
    }
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *timestamp_ms = json_integer_value(value);
        return ERR_NONE;
    }
    if (json_is_string(value)) {
        return time_parse(json_string_value(value), 0, timestamp_ms, reason);
    }
    return reason_fail(reason, ERR_INVALID,
                       "\"timestamp\" must be ISO 8601 text or milliseconds since 1970");
}

static enum err check_members(json_t *object, struct reason *reason)
{
    static const char *const known[] = {"topic",     "partition",    "offset",
                                        "timestamp", "key",          "headers",
                                        "value",     "key_encoding", "value_encoding"};
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && strcmp(name, known[i]) != 0) {
            i++;
        }
        if (i == sizeof known / sizeof known[0]) {
            return reason_fail(reason, ERR_INVALID,
                               "unknown member \"%.60s\" (an event has key, value, headers, "
                               "partition, timestamp)",
                               name);
        }
    }
    return ERR_NONE;
}

static bool is_base64(const json_t *object, const char *encoding_name)
{
    const char *encoding = json_string_value(json_object_get(object, encoding_name));
    return encoding != NULL && strcmp(encoding, "base64") == 0;
}

static enum err members_from_json(json_t *object, struct arena *arena, struct event *event,
                                  struct reason *reason)
{
    const json_t *partition = json_object_get(object, "partition");
    if (partition != NULL && !json_is_null(partition)) {
        json_int_t number = json_is_integer(partition) ? json_integer_value(partition) : -2;
        if (number < -1 || number > INT32_MAX) {
            return reason_fail(reason, ERR_INVALID, "\"partition\" must be a partition number");
        }
        event->partition = (int32_t)number;
    }
    enum err err = check_members(object, reason);
    if (err == ERR_NONE) {
        err =
            timestamp_from_json(json_object_get(object, "timestamp"), &event->timestamp_ms, reason);
    }
    if (err == ERR_NONE) {
        err = bytes_from_json(json_object_get(object, "key"), "key",
                              is_base64(object, "key_encoding"), arena, &event->key, reason);
    }
    if (err == ERR_NONE) {
        err = bytes_from_json(json_object_get(object, "value"), "value",
                              is_base64(object, "value_encoding"), arena, &event->value, reason);
    }
    if (err == ERR_NONE) {
        err = headers_from_json(json_object_get(object, "headers"), arena, event, reason);
    }
    return err;
}

enum err event_from_json(struct slice text, struct arena *arena, struct event *event,
                         struct reason *reason)
{
    *event = (struct event){.partition = -1, .offset = -1, .timestamp_ms = -1};
    json_error_t error;
    json_t *object = json_loadb((const char *)text.data, text.size,
                                JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (object == NULL) {
        return reason_fail(reason, ERR_INVALID, "no JSON: %s (column %d)", error.text,
                           error.column);
    }
    enum err err = json_is_object(object)
                       ? members_from_json(object, arena, event, reason)
                       : reason_fail(reason, ERR_INVALID,
                                     "an event is a JSON object such as {\"key\": \"k\", "
                                     "\"value\": \"v\"}");
    json_decref(object);
    return err;
}
