#include "base/base64.h"
#include "base/decimal.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "client/event/event.h"

#include <stdlib.h>
#include <string.h>

/* Built as a tree, an event takes jansson ten times as long as it takes the bus to send it. */

/* Headers are compared with one another: more than these go by jansson. */
enum { HEADERS_MAX = 64 };

/* How many bytes from `from` on need no escape in a JSON text. */
static size_t plain_size(struct slice bytes, size_t from)
{
    size_t at = from;
    while (at < bytes.size) {
        uint8_t byte = bytes.data[at];
        if (byte >= 0x80) {
            size_t size = utf8_printable(slice_of(bytes.data + at, bytes.size - at));
            if (size == 0) {
                break;
            }
            at += size;
        } else if (byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\') {
            break;
        } else {
            at++;
        }
    }
    return at - from;
}

static void append_escape(struct buf *line, uint8_t byte)
{
    static const char letters[] = "btn?fr"; /* 8, 9, 10, 11, 12, 13 */
    if (byte == '"' || byte == '\\') {
        buf_append_u8(line, '\\');
        buf_append_u8(line, byte);
    } else if (byte >= 8 && byte <= 13 && byte != 11) {
        buf_append_u8(line, '\\');
        buf_append_u8(line, (uint8_t)letters[byte - 8]);
    } else {
        buf_printf(line, "\\u%04X", byte);
    }
}

/* With quotes; false, and nothing is appended, when it is no UTF-8. */
static bool append_text(struct buf *line, struct slice bytes)
{
    size_t before = line->size;
    buf_append_u8(line, '"');
    for (size_t at = 0; at < bytes.size;) {
        size_t size = plain_size(bytes, at);
        buf_append(line, bytes.data + at, size);
        at += size;
        if (at < bytes.size) {
            size = utf8_sequence(slice_of(bytes.data + at, bytes.size - at));
            if (size == 0) {
                line->size = before;
                return false;
            }
            if (size > 1) {
                utf8_escape_json(line, slice_of(bytes.data + at, size));
            } else {
                append_escape(line, bytes.data[at]);
            }
            at += size;
        }
    }
    buf_append_u8(line, '"');
    return true;
}

static void append_base64(struct buf *line, struct slice bytes)
{
    buf_append_u8(line, '"');
    base64_encode(line, bytes);
    buf_append_u8(line, '"');
}

/* ,"name":value and, when that is base 64, ,"name_encoding":"base64" */
static void append_bytes(struct buf *line, const char *name, struct slice bytes)
{
    buf_append_str(line, ",\"");
    buf_append_str(line, name);
    buf_append_str(line, "\":");
    if (slice_is_null(bytes)) {
        buf_append_str(line, "null");
    } else if (!append_text(line, bytes)) {
        append_base64(line, bytes);
        buf_append_str(line, ",\"");
        buf_append_str(line, name);
        buf_append_str(line, "_encoding\":\"base64\"");
    }
}

static void append_header_value(struct buf *line, struct slice value)
{
    if (slice_is_null(value)) {
        buf_append_str(line, "null");
    } else if (!append_text(line, value)) {
        buf_append_str(line, "{\"base64\":");
        append_base64(line, value);
        buf_append_u8(line, '}');
    }
}

/* The next header of the same name from `from` on; header_count when there is none. */
static size_t find_same(const struct event *event, size_t from, const char *name)
{
    while (from < event->header_count && strcmp(event->headers[from].name, name) != 0) {
        from++;
    }
    return from;
}

/* False: a name is no UTF-8; what was appended is of no use. */
static bool append_headers(struct buf *line, const struct event *event)
{
    bool is_first = true;
    buf_append_u8(line, '{');
    for (size_t i = 0; i < event->header_count; i++) {
        const char *name = event->headers[i].name;
        if (find_same(event, 0, name) < i) {
            continue; /* it stands in the list of the first one */
        }
        buf_append_str(line, is_first ? "" : ",");
        is_first = false;
        if (!append_text(line, slice_str(name))) {
            return false;
        }
        buf_append_u8(line, ':');
        size_t next = find_same(event, i + 1, name);
        bool is_list = next < event->header_count;
        buf_append_str(line, is_list ? "[" : "");
        append_header_value(line, event->headers[i].value);
        for (; next < event->header_count; next = find_same(event, next + 1, name)) {
            buf_append_u8(line, ',');
            append_header_value(line, event->headers[next].value);
        }
        buf_append_str(line, is_list ? "]" : "");
    }
    buf_append_u8(line, '}');
    return true;
}

static bool append_event(struct buf *line, const struct event *event)
{
    char time[TIME_TEXT_SIZE];
    buf_append_str(line, "{\"topic\":");
    if (event->topic == NULL || !append_text(line, slice_str(event->topic))) {
        return false;
    }
    buf_append_str(line, ",\"partition\":");
    decimal_append(line, event->partition);
    buf_append_str(line, ",\"offset\":");
    decimal_append(line, event->offset);
    buf_append_str(line, ",\"timestamp\":");
    if (event->timestamp_ms < 0) {
        buf_append_str(line, "null");
    } else {
        buf_append_u8(line, '"');
        buf_append_str(line, time_format(event->timestamp_ms, time));
        buf_append_u8(line, '"');
    }
    append_bytes(line, "key", event->key);
    buf_append_str(line, ",\"headers\":");
    if (event->header_count > HEADERS_MAX || !append_headers(line, event)) {
        return false;
    }
    append_bytes(line, "value", event->value);
    buf_append_u8(line, '}');
    return true;
}

void event_to_json_line(const struct event *event, struct buf *line)
{
    size_t before = line->size;
    if (append_event(line, event)) {
        return;
    }
    line->size = before;
    json_t *json = event_to_json(event);
    char *text = json_dumps(json, JSON_COMPACT);
    utf8_escape_json(line, slice_str(text != NULL ? text : "{}"));
    free(text);
    json_decref(json);
}
