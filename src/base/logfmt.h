#ifndef TIDINGS_BASE_LOGFMT_H
#define TIDINGS_BASE_LOGFMT_H

#include "base/buf.h"

#include <stdarg.h>

/* Of one text value, in front of what marks the cut. */
enum { LOGFMT_VALUE_BYTES = 512 };

/*
 * Appends key=value pairs in logfmt, formatted as vprintf does it (no %n, %a, long double), so that
 * no value can pass for another one or do something to a terminal: in the texts of %s control
 * characters (C0 and C1, DEL) and bytes that are no UTF-8 are written as \x1b, quotes and
 * backslashes with a backslash. A bare value (key=%s) that needs quotes gets them. Texts over
 * LOGFMT_VALUE_BYTES are cut and end in "...". Any thread.
 */
void logfmt_append(struct buf *to, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Appends name="text", the text escaped and cut likewise, behind a blank if anything is there: for
 * pairs that not every line of a kind has. Any thread. */
void logfmt_pair(struct buf *to, const char *name, struct slice text);

#endif
