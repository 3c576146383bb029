#include "base/text_format.h"

#include "base/utf8.h"

#include <assert.h>
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

/* The format comes from a literal that the compiler has seen: see text_format's attribute. */
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

void text_format(struct buf *to, const char *format, va_list args, text_append *append)
{
    struct arguments arguments;
    va_copy(arguments.list, args);
    for (const char *at = format; *at != '\0';) {
        if (*at != '%' || at[1] == '%') {
            buf_append_u8(to, (uint8_t)*at);
            at += *at == '%' ? 2 : 1;
            continue;
        }
        const char *from = at;
        struct conversion conversion;
        at = take_conversion(at, &arguments, &conversion);
        if (conversion.letter != 's') {
            append_number(to, &conversion, &arguments);
            continue;
        }
        const char *text = va_arg(arguments.list, const char *);
        size_t most = conversion.precision >= 0 ? (size_t)conversion.precision : SIZE_MAX;
        append(to, text == NULL ? slice_str("(null)") : slice_of(text, strnlen(text, most)), format,
               from, at);
    }
    va_end(arguments.list);
}

static void append_escaped(struct buf *to, struct slice text, const char *format, const char *from,
                           const char *behind)
{
    (void)format;
    (void)from;
    (void)behind;
    utf8_escape(to, text);
}

void text_format_escaped(struct buf *to, const char *format, va_list args)
{
    text_format(to, format, args, append_escaped);
}
