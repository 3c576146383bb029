#include "client/event/event.h"

#include "base/base64.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* CloudEvents 1.0: the Kafka protocol binding and the JSON event format. */

#define STRUCTURED_TYPE "application/cloudevents"
#define JSON_TYPE       "application/json"

static bool begins_with(struct slice text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && strncasecmp((const char *)text.data, prefix, size) == 0;
}

/* A content type up to its parameters. */
static struct slice media_type(const struct event *event)
{
    const struct event_header *header = event_header_find(event, "content-type");
    struct slice type = header != NULL ? header->value : (struct slice){0};
    size_t size = 0;
    while (size < type.size && strchr("; \t", type.data[size]) == NULL) {
        size++;
    }
    return slice_of(type.data, size);
}

enum event_mode event_mode(const struct event *event)
{
    if (event->header_count == 0) {
        return EVENT_PLAIN;
    }
    if (begins_with(media_type(event), STRUCTURED_TYPE)) {
        return EVENT_STRUCTURED;
    }
    return event_header_find(event, "ce_specversion") != NULL ||
                   event_header_find(event, "ce_type") != NULL
               ? EVENT_BINARY
               : EVENT_PLAIN;
}

/* application/json, text/json, application/vnd.x+json (RFC 6838, 4.2.8). */
static bool is_json_type(struct slice type)
{
    static const char *const ends[] = {"/json", "+json"};
    for (size_t i = 0; i < 2; i++) {
        if (type.size >= 5 && begins_with(slice_of(type.data + type.size - 5, 5), ends[i])) {
            return true;
        }
    }
    return false;
}

/* --- the text of an object's members, of JSON that was parsed before --- */

static const uint8_t *skip_blanks(const uint8_t *at)
{
    return at + strspn((const char *)at, " \t\r\n");
}

static const uint8_t *skip_string(const uint8_t *at)
{
    for (at++; *at != '"'; at++) {
        at += *at == '\\';
    }
    return at + 1;
}

static const uint8_t *skip_value(const uint8_t *at)
{
    int depth = 0;
    do {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            depth--;
        } else if (depth == 0) {
            return at + strcspn((const char *)at, ",]} \t\r\n"); /* a number or a word */
        }
        at++;
    } while (depth > 0);
    return at;
}

/* The next member from *at on, which stands behind '{' or a member; false at the end. */
static bool next_member(const uint8_t **at, struct slice *name, struct slice *value)
{
    const uint8_t *here = skip_blanks(*at);
    here = *here == ',' ? skip_blanks(here + 1) : here;
    if (*here != '"') {
        return false;
    }
    const uint8_t *end = skip_string(here);
    *name = slice_of(here + 1, (size_t)(end - here) - 2);
    here = skip_blanks(skip_blanks(end) + 1); /* over the colon */
    end = skip_value(here);
    *value = slice_of(here, (size_t)(end - here));
    *at = end;
    return true;
}

/* --- structured to binary --- */

static struct slice text_of(const json_t *json, struct arena *arena)
{
    size_t size = json_string_length(json);
    return slice_of(arena_cstr(arena, slice_of(json_string_value(json), size)), size);
}

/* A text's characters, or the JSON text of a number or truth value. */
static struct slice attribute_value(const json_t *json, struct slice raw, struct arena *arena)
{
    return json_is_string(json) ? text_of(json, arena) : slice_of(arena_cstr(arena, raw), raw.size);
}

static enum err take_data(const json_t *body, const char *name, struct slice raw, bool is_json,
                          struct arena *arena, struct slice *data, struct reason *reason)
{
    const json_t *value = json_object_get(body, name);
    if (strcmp(name, "data_base64") == 0) {
        struct slice text = slice_of(json_string_value(value), json_string_length(value));
        if (!json_is_string(value) || !base64_decode(arena, text, data)) {
            return reason_fail(reason, ERR_INVALID, "data_base64 is no base 64");
        }
    } else if (json_is_string(value) && !is_json) {
        *data = text_of(value, arena);
    } else {
        *data = slice_of(arena_cstr(arena, raw), raw.size);
    }
    return ERR_NONE;
}

static enum err take_members(const json_t *body, const char *text, struct event *event,
                             struct arena *arena, struct reason *reason)
{
    const json_t *type = json_object_get(body, "datacontenttype");
    struct slice content_type = json_is_string(type) ? text_of(type, arena) : slice_str(JSON_TYPE);
    struct slice main_type = slice_of(content_type.data, 0);
    while (main_type.size < content_type.size && content_type.data[main_type.size] != ';') {
        main_type.size++;
    }
    const uint8_t *at = skip_blanks((const uint8_t *)text) + 1;
    struct slice name, raw;
    enum err err = ERR_NONE;
    event->value = (struct slice){0};
    while (err == ERR_NONE && next_member(&at, &name, &raw)) {
        const char *member = arena_cstr(arena, name);
        const json_t *value = json_object_get(body, member);
        if (value == NULL || json_is_null(value) || strcmp(member, "datacontenttype") == 0) {
            continue;
        }
        if (strcmp(member, "data") == 0 || strcmp(member, "data_base64") == 0) {
            err =
                take_data(body, member, raw, is_json_type(main_type), arena, &event->value, reason);
        } else {
            event_header_add(event, arena_sprintf(arena, "ce_%s", member),
                             attribute_value(value, raw, arena));
        }
    }
    if (json_is_string(type) || !slice_is_null(event->value)) {
        event_header_add(event, "content-type", content_type);
    }
    return err;
}

static enum err check_body(const json_t *body, struct reason *reason)
{
    static const char *const required[] = {"specversion", "id", "source", "type"};
    if (!json_is_object(body)) {
        return reason_fail(reason, ERR_INVALID, "a CloudEvent in JSON is an object");
    }
    for (size_t i = 0; i < 4; i++) {
        const json_t *value = json_object_get(body, required[i]);
        if (!json_is_string(value) || json_string_length(value) == 0) {
            return reason_fail(reason, ERR_INVALID, "a CloudEvent needs the text \"%s\"",
                               required[i]);
        }
    }
    const char *version = json_string_value(json_object_get(body, "specversion"));
    return strncmp(version, "1.", 2) == 0
               ? ERR_NONE
               : reason_fail(reason, ERR_UNSUPPORTED, "CloudEvents %.10s are not read, only 1.0",
                             version);
}

/* All headers but those that the envelope has the last word on, with room for its members. */
static void keep_headers(struct event *event, size_t more, struct arena *arena)
{
    event_header_room(event, more, arena);
    size_t kept = 0;
    for (size_t i = 0; i < event->header_count; i++) {
        if (strncmp(event->headers[i].name, "ce_", 3) != 0 &&
            strcmp(event->headers[i].name, "content-type") != 0) {
            event->headers[kept++] = event->headers[i];
        }
    }
    event->header_count = kept;
}

enum err event_unwrap(struct event *event, struct arena *arena, struct reason *reason)
{
    if (event_mode(event) != EVENT_STRUCTURED) {
        return ERR_NONE;
    }
    struct slice format = media_type(event);
    if (!slice_equal_str(format, STRUCTURED_TYPE) &&
        !begins_with(format, STRUCTURED_TYPE "+json")) {
        return reason_fail(reason, ERR_UNSUPPORTED, "content-type %.*s is not taken apart",
                           SLICE_ARGS(format));
    }
    const char *text = arena_cstr(arena, event->value);
    json_error_t error;
    /* Numbers keep their text, so their range does not matter: see next_member. */
    json_t *body =
        json_loadb(text, event->value.size,
                   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    enum err err = body != NULL ? check_body(body, reason)
                                : reason_fail(reason, ERR_INVALID, "no JSON: %s", error.text);
    if (err == ERR_NONE) {
        struct event binary = *event;
        keep_headers(&binary, json_object_size(body) + 1, arena);
        err = take_members(body, text, &binary, arena, reason);
        *event = err == ERR_NONE ? binary : *event;
    }
    json_decref(body);
    return err;
}

/* --- binary to structured --- */

static bool append_text(struct buf *to, struct slice text)
{
    json_t *json = json_stringn(text.data != NULL ? (const char *)text.data : "", text.size);
    char *quoted = json != NULL ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
    if (quoted != NULL) {
        buf_append_str(to, quoted);
    }
    bool is_text = quoted != NULL;
    free(quoted);
    json_decref(json);
    return is_text;
}

static bool is_json_text(struct slice bytes)
{
    json_t *json = json_loadb((const char *)bytes.data, bytes.size,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    json_decref(json);
    return json != NULL;
}

static void append_data(struct buf *to, const struct event *event)
{
    if (is_json_type(media_type(event)) && is_json_text(event->value)) {
        buf_append_str(to, ",\"data\":");
        buf_append_slice(to, event->value);
        return;
    }
    size_t before = to->size;
    buf_append_str(to, ",\"data\":");
    if (is_json_type(media_type(event)) || !append_text(to, event->value)) {
        to->size = before;
        buf_append_str(to, ",\"data_base64\":\"");
        base64_encode(to, event->value);
        buf_append_str(to, "\"");
    }
}

static enum err append_attributes(struct buf *to, const struct event *event, struct reason *reason)
{
    for (size_t i = 0; i < event->header_count; i++) {
        const struct event_header *header = &event->headers[i];
        bool is_type = strcmp(header->name, "content-type") == 0;
        if ((strncmp(header->name, "ce_", 3) != 0 && !is_type) || slice_is_null(header->value) ||
            event_header_find(event, header->name) != header) {
            continue;
        }
        buf_append_str(to, to->size > 1 ? "," : "");
        bool ok = append_text(to, slice_str(is_type ? "datacontenttype" : header->name + 3));
        buf_append_str(to, ":");
        if (!ok || !append_text(to, header->value)) {
            return reason_fail(reason, ERR_INVALID, "header %.60s is no UTF-8", header->name);
        }
    }
    return ERR_NONE;
}

enum err event_wrap(struct event *event, struct arena *arena, struct reason *reason)
{
    if (event_mode(event) != EVENT_BINARY) {
        return reason_fail(reason, ERR_INVALID, "no CloudEvent in binary mode");
    }
    struct buf text = {0};
    buf_append_str(&text, "{");
    enum err err = append_attributes(&text, event, reason);
    if (err == ERR_NONE) {
        if (!slice_is_null(event->value)) {
            append_data(&text, event);
        }
        buf_append_str(&text, "}");
        keep_headers(event, 1, arena);
        event_header_add(event, "content-type", slice_str(STRUCTURED_TYPE "+json; charset=UTF-8"));
        event->value = slice_of(arena_cstr(arena, buf_slice(&text)), text.size);
    }
    buf_deinit(&text);
    return err;
}

/* --- attributes --- */

static const struct {
    const char *header;
    size_t offset;
} known[] = {
    {"ce_id", offsetof(struct event_attributes, id)},
    {"ce_source", offsetof(struct event_attributes, source)},
    {"ce_type", offsetof(struct event_attributes, type)},
    {"ce_time", offsetof(struct event_attributes, time)},
    {"ce_subject", offsetof(struct event_attributes, subject)},
    {"ce_correlationid", offsetof(struct event_attributes, correlation_id)},
    {"ce_causationid", offsetof(struct event_attributes, causation_id)},
    {"content-type", offsetof(struct event_attributes, content_type)},
};

enum { KNOWN_COUNT = sizeof known / sizeof known[0] };
_Static_assert(KNOWN_COUNT + 1 == EVENT_ATTRIBUTES_MAX, "all of them and ce_specversion");

struct event_attributes event_attributes(const struct event *event)
{
    struct event_attributes attributes = {0};
    for (size_t i = 0; i < event->header_count; i++) {
        const struct event_header *header = &event->headers[i];
        if (slice_is_null(header->value) || (header->name[0] != 'c')) {
            continue;
        }
        for (size_t k = 0; k < KNOWN_COUNT; k++) {
            if (strcmp(header->name, known[k].header) == 0) {
                const char *value = (const char *)header->value.data;
                memcpy((char *)&attributes + known[k].offset, &value, sizeof value);
                break;
            }
        }
    }
    return attributes;
}

static void add_unless_own(struct event *event, size_t own_count, const char *name,
                           const char *value)
{
    for (size_t i = 0; i < own_count; i++) {
        if (strcmp(event->headers[i].name, name) == 0) {
            return;
        }
    }
    event_header_add(event, name, slice_str(value));
}

void event_attributes_add(struct event *event, size_t own_count,
                          const struct event_attributes *attributes)
{
    if (attributes->type != NULL) {
        add_unless_own(event, own_count, "ce_specversion", "1.0");
    }
    for (size_t k = 0; k < KNOWN_COUNT; k++) {
        const char *value;
        memcpy(&value, (const char *)attributes + known[k].offset, sizeof value);
        if (value != NULL && value[0] != '\0') {
            add_unless_own(event, own_count, known[k].header, value);
        }
    }
}
