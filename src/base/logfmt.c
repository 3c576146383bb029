#include "base/logfmt.h"

#include "base/utf8.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* So that it can be handed on by pointer, which a va_list itself cannot portably. */
struct arguments {
    va_list list;
};

/* One %-conversion of a format. */
struct conversion {
    char text[24];  /* with its %, stars filled in */
    char length[3]; /* "", "h", "hh", "l", "ll", "z", "j", "t" */
    char letter;
    int precision; /* -1: none */
};

static size_t take_number(const char *at, struct arguments *arguments, int *number)
{
    size_t digits = strspn(at, "0123456789");
    if (at[0] == '*') {
        *number = va_arg(arguments->list, int);
        return 1;
    }
    for (size_t i = 0; i < digits; i++) {
        *number = *number * 10 + (at[i] - '0');
    }
    return digits;
}

/* Reads the conversion that begins at `at`; returns what is behind it. */
static const char *take_conversion(const char *at, struct arguments *arguments,
                                   struct conversion *out)
{
    int width = 0;
    const char *flags = at + 1;
    size_t flag_count = strspn(flags, "-+ #0");
    *out = (struct conversion){.precision = -1};
    at = flags + flag_count;
    at += take_number(at, arguments, &width);
    if (*at == '.') {
        out->precision = 0;
        at += 1 + take_number(at + 1, arguments, &out->precision);
    }
    size_t length = strspn(at, "hlzjt");
    assert(length < sizeof out->length && flag_count <= 5);
    memcpy(out->length, at, length);
    out->letter = at[length];
    int used = snprintf(out->text, sizeof out->text, "%%%.*s", (int)flag_count, flags);
    if (width > 0) {
        used += snprintf(out->text + used, sizeof out->text - (size_t)used, "%d", width);
    }
    if (out->precision >= 0) {
        used += snprintf(out->text + used, sizeof out->text - (size_t)used, ".%d", out->precision);
    }
    snprintf(out->text + used, sizeof out->text - (size_t)used, "%s%c", out->length, out->letter);
    return at + length + 1;
}

/* The format comes from a literal that the compiler has seen: see logfmt_append's attribute. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void append_number(struct buf *to, const struct conversion *conversion,
                          struct arguments *arguments)
{
    const char *format = conversion->text;
    const char *length = conversion->length;
    switch (conversion->letter) {
    case 'e':
    case 'f':
    case 'g':
        buf_printf(to, format, va_arg(arguments->list, double));
        return;
    case 'p':
        buf_printf(to, format, va_arg(arguments->list, void *));
        return;
    default:
        break;
    }
    if (length[0] == 'l' && length[1] == 'l') {
        buf_printf(to, format, va_arg(arguments->list, long long));
    } else if (length[0] == 'l') {
        buf_printf(to, format, va_arg(arguments->list, long));
    } else if (length[0] == 'z') {
        buf_printf(to, format, va_arg(arguments->list, size_t));
    } else if (length[0] == 'j') {
        buf_printf(to, format, va_arg(arguments->list, intmax_t));
    } else if (length[0] == 't') {
        buf_printf(to, format, va_arg(arguments->list, ptrdiff_t));
    } else { /* what is shorter comes as an int */
        buf_printf(to, format, va_arg(arguments->list, int));
    }
}
#pragma GCC diagnostic pop

static bool needs_quotes(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f || strchr("\"\\=", text.data[i]) != NULL) {
            return true;
        }
    }
    return text.size == 0;
}

static void append_escaped(struct buf *to, struct slice text)
{
    size_t most = text.size < LOGFMT_VALUE_BYTES ? text.size : (size_t)LOGFMT_VALUE_BYTES;
    for (size_t at = 0; at < text.size;) {
        size_t size = utf8_printable(slice_of(text.data + at, text.size - at));
        if (at + (size > 0 ? size : 1) > most) {
            buf_append_str(to, "...");
            return;
        }
        if (size == 0) {
            buf_printf(to, "\\x%02x", text.data[at++]);
            continue;
        }
        if (text.data[at] == '"' || text.data[at] == '\\') {
            buf_append_u8(to, '\\');
        }
        buf_append(to, text.data + at, size);
        at += size;
    }
}

void logfmt_pair(struct buf *to, const char *name, struct slice text)
{
    buf_printf(to, "%s%s=\"", to->size > 0 ? " " : "", name);
    append_escaped(to, text);
    buf_append_str(to, "\"");
}

/* bare: the text is all of a value, and not between quotes. */
static void append_text(struct buf *to, const struct conversion *conversion, const char *text,
                        bool bare)
{
    size_t most = conversion->precision >= 0 ? (size_t)conversion->precision : SIZE_MAX;
    struct slice value = text == NULL ? slice_str("(null)") : slice_of(text, strnlen(text, most));
    bool quote = bare && needs_quotes(value);
    buf_append_str(to, quote ? "\"" : "");
    append_escaped(to, value);
    buf_append_str(to, quote ? "\"" : "");
}

void logfmt_append(struct buf *to, const char *format, va_list args)
{
    struct arguments arguments;
    bool quoted = false;
    va_copy(arguments.list, args);
    for (const char *at = format; *at != '\0';) {
        if (*at != '%' || at[1] == '%') {
            quoted = quoted != (*at == '"');
            buf_append_u8(to, (uint8_t)*at);
            at += *at == '%' ? 2 : 1;
            continue;
        }
        struct conversion conversion;
        bool begins = !quoted && at > format && at[-1] == '=';
        at = take_conversion(at, &arguments, &conversion);
        if (conversion.letter == 's') {
            bool bare = begins && (*at == '\0' || *at == ' ');
            append_text(to, &conversion, va_arg(arguments.list, const char *), bare);
        } else {
            append_number(to, &conversion, &arguments);
        }
    }
    va_end(arguments.list);
}
