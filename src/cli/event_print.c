#include "cli/event_print.h"

#include "base/time_text.h"
#include "base/utf8.h"

#include <string.h>

static const char letters[] = "tpoTdksSh%";
static const char escapes[] = "ntr0\\";
static const char escaped[] = {'\n', '\t', '\r', '\0', '\\'};

enum err event_template_check(const char *template, struct reason *reason)
{
    for (const char *at = template; *at != '\0'; at++) {
        if (*at == '\\' && (at[1] == '\0' || strchr(escapes, *++at) == NULL)) {
            return reason_fail(reason, ERR_INVALID, "'\\%.1s' is none of \\n \\t \\r \\0 \\\\", at);
        }
        if (*at == '%' && at[1] == '{') {
            at = strchr(at, '}');
            if (at == NULL) {
                return reason_fail(reason, ERR_INVALID, "'%%{' needs a '}' behind the name");
            }
        } else if (*at == '%' && (at[1] == '\0' || strchr(letters, *++at) == NULL)) {
            return reason_fail(reason, ERR_INVALID,
                               "'%%%.1s' is none of %%t %%p %%o %%T %%d %%k %%s %%S %%h %%{NAME} "
                               "%%%%",
                               at);
        }
    }
    return ERR_NONE;
}

static void append_headers(const struct event *event, struct buf *text)
{
    for (size_t i = 0; i < event->header_count; i++) {
        buf_append_str(text, i > 0 ? "," : "");
        buf_append_str(text, event->headers[i].name);
        buf_append_u8(text, '=');
        buf_append_slice(text, event->headers[i].value);
    }
}

static void append_field(char letter, const struct event *event, struct buf *text)
{
    char time[TIME_TEXT_SIZE];
    switch (letter) {
    case 't':
        buf_append_str(text, event->topic);
        break;
    case 'p':
        buf_printf(text, "%d", (int)event->partition);
        break;
    case 'o':
        buf_printf(text, "%lld", (long long)event->offset);
        break;
    case 'T':
        buf_printf(text, "%lld", (long long)event->timestamp_ms);
        break;
    case 'd':
        buf_append_str(text, time_format(event->timestamp_ms, time));
        break;
    case 'k':
        buf_append_slice(text, event->key);
        break;
    case 's':
        buf_append_slice(text, event->value);
        break;
    case 'S':
        buf_printf(text, "%lld", slice_is_null(event->value) ? -1 : (long long)event->value.size);
        break;
    case 'h':
        append_headers(event, text);
        break;
    default:
        buf_append_u8(text, (uint8_t)letter);
    }
}

/* "{NAME}" at `at`; returns its '}'. */
static const char *append_header(const char *at, const struct event *event, struct buf *text)
{
    const char *end = strchr(at, '}');
    size_t size = (size_t)(end - at - 1);
    for (size_t i = event->header_count; i > 0; i--) {
        const struct event_header *header = &event->headers[i - 1];
        if (strncmp(header->name, at + 1, size) == 0 && header->name[size] == '\0') {
            buf_append_slice(text, header->value);
            break;
        }
    }
    return end;
}

static void append_template(const char *template, const struct event *event, struct buf *text)
{
    for (const char *at = template; *at != '\0'; at++) {
        if (*at == '\\') {
            buf_append_u8(text, (uint8_t)escaped[strchr(escapes, *++at) - escapes]);
        } else if (*at == '%' && at[1] == '{') {
            at = append_header(at + 1, event, text);
        } else if (*at == '%') {
            append_field(*++at, event, text);
        } else {
            buf_append_u8(text, (uint8_t)*at);
        }
    }
}

/* Colours by what stands where in the line: time dim, place cyan, key yellow, type green. */
static void append_coloured(const struct event *event, struct buf *text)
{
    static const char dim[] = "\x1b[2m", cyan[] = "\x1b[36m", yellow[] = "\x1b[33m",
                      green[] = "\x1b[32m", off[] = "\x1b[0m";
    char time[TIME_TEXT_SIZE];
    buf_printf(text, "%s%s%s  %s%s[%d]@%lld%s", dim,
               event->timestamp_ms < 0 ? "-" : time_format(event->timestamp_ms, time), off, cyan,
               event->topic, (int)event->partition, (long long)event->offset, off);
    if (!slice_is_null(event->key)) {
        buf_printf(text, "  %skey=", yellow);
        utf8_escape(text, event->key);
        buf_append_str(text, off);
    }
    const struct event_header *type = event_header_find(event, "ce_type");
    if (type != NULL) {
        buf_printf(text, "  %stype=", green);
        utf8_escape(text, type->value);
        buf_append_str(text, off);
    }
    buf_append_str(text, "  ");
    if (slice_is_null(event->value)) {
        buf_printf(text, "%s(null)%s", dim, off);
    } else {
        utf8_escape(text, event->value);
    }
}

void event_print(const struct event_print *print, const struct event *event, struct buf *text)
{
    switch (print->look) {
    case LOOK_VALUE:
        buf_append_slice(text, event->value);
        buf_append_u8(text, print->is_nul ? '\0' : '\n');
        break;
    case LOOK_JSON:
        event_to_json_line(event, text);
        buf_append_u8(text, '\n');
        break;
    case LOOK_TEMPLATE:
        append_template(print->template, event, text);
        break;
    case LOOK_LINE:
        if (print->has_colours) {
            append_coloured(event, text);
        } else {
            event_to_line(event, text);
        }
        buf_append_u8(text, '\n');
        if (print->has_headers) {
            event_headers_to_lines(event, text);
        }
    }
}
