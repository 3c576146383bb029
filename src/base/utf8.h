#ifndef TIDINGS_BASE_UTF8_H
#define TIDINGS_BASE_UTF8_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* Size of the well-formed UTF-8 sequence (RFC 3629) the bytes begin with, 0 when there is none. */
size_t utf8_sequence(struct slice bytes);

/* Code points in a text, for lining up columns; stray bytes count as one each. */
size_t utf8_length(const char *text);

/* Appends bytes so that they are safe on a terminal and stay on one line: UTF-8 as it is, control
 * characters and bytes that are no UTF-8 as \n, \t, \r or \x1b. */
void utf8_escape(struct buf *to, struct slice bytes);

/* The same between double quotes, with " and \ as \" and \\: foreign text as a value of a log line.
 */
void utf8_quote(struct buf *to, struct slice bytes);

enum { UTF8_SHOWN_BYTES = 300 };

struct utf8_quoted {
    char text[4 * UTF8_SHOWN_BYTES + 3]; /* four for each byte, two quotes, the end */
};

/* What utf8_quote makes of the first UTF8_SHOWN_BYTES, as an argument of a log line. */
struct utf8_quoted utf8_quoted(struct slice bytes);

#endif
