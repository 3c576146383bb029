#include "cli/bus/event_print.h"

#include "base/decimal.h"
#include "base/time_text.h"
#include "base/utf8.h"

#include <string.h>

/* Time dim, place cyan, key yellow, type green. */
static const struct event_colours colours = {"\x1b[2m",  "\x1b[36m", "\x1b[33m",
                                             "\x1b[32m", "\x1b[2m",  "\x1b[0m"};

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

/* Bytes that others chose: as they are for a program, escaped for a terminal. */
static void append_foreign(const struct event_print *print, struct slice bytes, struct buf *text)
{
    if (print->is_terminal) {
        utf8_escape(text, bytes);
    } else {
        buf_append_slice(text, bytes);
    }
}

static void append_headers(const struct event_print *print, const struct event *event,
                           struct buf *text)
{
    for (size_t i = 0; i < event->header_count; i++) {
        buf_append_str(text, i > 0 ? "," : "");
        append_foreign(print, slice_str(event->headers[i].name), text);
        buf_append_u8(text, '=');
        append_foreign(print, event->headers[i].value, text);
    }
}

static void append_field(const struct event_print *print, char letter, const struct event *event,
                         struct buf *text)
{
    char time[TIME_TEXT_SIZE];
    switch (letter) {
    case 't':
        buf_append_str(text, event->topic);
        break;
    case 'p':
        decimal_append(text, event->partition);
        break;
    case 'o':
        decimal_append(text, event->offset);
        break;
    case 'T':
        decimal_append(text, event->timestamp_ms);
        break;
    case 'd':
        buf_append_str(text, time_format(event->timestamp_ms, time));
        break;
    case 'k':
        append_foreign(print, event->key, text);
        break;
    case 's':
        append_foreign(print, event->value, text);
        break;
    case 'S':
        decimal_append(text, slice_is_null(event->value) ? -1 : (int64_t)event->value.size);
        break;
    case 'h':
        append_headers(print, event, text);
        break;
    default:
        buf_append_u8(text, (uint8_t)letter);
    }
}

/* "{NAME}" at `at`; returns its '}'. */
static const char *append_header(const struct event_print *print, const char *at,
                                 const struct event *event, struct buf *text)
{
    const char *end = strchr(at, '}');
    size_t size = (size_t)(end - at - 1);
    for (size_t i = event->header_count; i > 0; i--) {
        const struct event_header *header = &event->headers[i - 1];
        if (strncmp(header->name, at + 1, size) == 0 && header->name[size] == '\0') {
            append_foreign(print, header->value, text);
            break;
        }
    }
    return end;
}

static void append_template(const struct event_print *print, const struct event *event,
                            struct buf *text)
{
    for (const char *at = print->template; *at != '\0'; at++) {
        if (*at == '\\') {
            buf_append_u8(text, (uint8_t)escaped[strchr(escapes, *++at) - escapes]);
        } else if (*at == '%' && at[1] == '{') {
            at = append_header(print, at + 1, event, text);
        } else if (*at == '%') {
            append_field(print, *++at, event, text);
        } else {
            buf_append_u8(text, (uint8_t)*at);
        }
    }
}

void event_print(const struct event_print *print, const struct event *event, struct buf *text)
{
    switch (print->look) {
    case LOOK_VALUE:
        append_foreign(print, event->value, text);
        buf_append_u8(text, print->is_nul ? '\0' : '\n');
        break;
    case LOOK_JSON:
        event_to_json_line(event, text);
        buf_append_u8(text, '\n');
        break;
    case LOOK_TEMPLATE:
        append_template(print, event, text);
        break;
    case LOOK_LINE:
        event_to_line(event, print->has_colours ? &colours : NULL, text);
        buf_append_u8(text, '\n');
        if (print->has_headers) {
            event_headers_to_lines(event, text);
        }
    }
}
