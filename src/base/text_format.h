#ifndef TIDINGS_BASE_TEXT_FORMAT_H
#define TIDINGS_BASE_TEXT_FORMAT_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdarg.h>

/* Appends the text of a %s, which stands in `format` from `from` to before `behind`. */
typedef void text_append(struct buf *to, struct slice text, const char *format, const char *from,
                         const char *behind);

/* Appends what vprintf would print (no %n, %a, long double, no width of a %s), but each text of a
 * %s as `append` does it. Any thread. */
void text_format(struct buf *to, const char *format, va_list args, text_append *append)
    __attribute__((format(printf, 2, 0)));

/* Each text of a %s as utf8_escape writes it: for lines that people read on a terminal, with names
 * that others chose. Any thread. */
void text_format_escaped(struct buf *to, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

#endif
