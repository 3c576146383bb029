#include "base/prometheus.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void prometheus_head(struct buf *text, const char *name, const char *type, const char *help)
{
    buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prometheus_name(struct buf *text, const char *name)
{
    buf_append_str(text, name);
}

/* Whether the text ends in a label, so that the next one follows a comma. */
static bool has_label(const struct buf *text)
{
    return text->size > 0 && text->data[text->size - 1] == '"';
}

static void begin_label(struct buf *text, const char *name)
{
    buf_append_u8(text, has_label(text) ? ',' : '{');
    buf_printf(text, "%s=\"", name);
}

void prometheus_label(struct buf *text, const char *name, const char *value)
{
    struct slice rest = slice_str(value);
    begin_label(text, name);
    while (rest.size > 0) {
        size_t size = utf8_sequence(rest);
        if (size == 0) {
            buf_append_str(text, "\xef\xbf\xbd");
            size = 1;
        } else if (rest.data[0] == '\n') {
            buf_append_str(text, "\\n");
        } else {
            if (rest.data[0] == '\\' || rest.data[0] == '"') {
                buf_append_u8(text, '\\');
            }
            buf_append(text, rest.data, size);
        }
        rest = slice_of(rest.data + size, rest.size - size);
    }
    buf_append_u8(text, '"');
}

void prometheus_label_number(struct buf *text, const char *name, long long value)
{
    begin_label(text, name);
    buf_printf(text, "%lld\"", value);
}

/* With a point, whatever the locale of the process writes there (one sign or several). */
static void append_with_point(struct buf *text, const char *number)
{
    static const char plain[] = "+-.0123456789e";
    size_t size = strspn(number, plain);
    buf_append_u8(text, ' ');
    buf_append(text, number, size);
    number += size;
    if (*number != '\0') {
        buf_append_u8(text, '.');
        buf_append_str(text, number + strcspn(number, plain));
    }
    buf_append_u8(text, '\n');
}

/* As short as reads back the same. */
static void append_fraction(struct buf *text, double value)
{
    enum { DIGITS = 15, DIGITS_MOST = 17 };
    char shortest[32];
    if (!isfinite(value)) {
        buf_append_str(text, isnan(value) ? " NaN\n" : value > 0 ? " +Inf\n" : " -Inf\n");
        return;
    }
    int digits = DIGITS;
    do {
        snprintf(shortest, sizeof shortest, "%.*g", digits, value);
    } while (strtod(shortest, NULL) != value && digits++ < DIGITS_MOST);
    append_with_point(text, shortest);
}

void prometheus_value(struct buf *text, double value)
{
    if (has_label(text)) {
        buf_append_u8(text, '}');
    }
    if (value >= -1e15 && value <= 1e15 && value == (double)(long long)value) {
        buf_printf(text, " %lld\n", (long long)value);
    } else {
        append_fraction(text, value);
    }
}

void prometheus_one(struct buf *text, const char *name, const char *type, const char *help,
                    double value)
{
    prometheus_head(text, name, type, help);
    prometheus_name(text, name);
    prometheus_value(text, value);
}
