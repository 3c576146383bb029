#ifndef TIDINGS_BASE_UTF8_H
#define TIDINGS_BASE_UTF8_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* Size of the well-formed UTF-8 sequence (RFC 3629) the bytes begin with, 0 when there is none. */
size_t utf8_sequence(struct slice bytes);

/* The same, but 0 also for what does something to a terminal: control characters (C0, C1, DEL),
 * line separators, and what changes the direction of the text behind it (so that one name reads as
 * another). */
size_t utf8_printable(struct slice bytes);

/* Appends a JSON text that is well-formed UTF-8, and says the same: what utf8_printable refuses and
 * JSON allows as it is, is written as \u009B. */
void utf8_escape_json(struct buf *to, struct slice text);

/* Code points in a text, for lining up columns; stray bytes count as one each. */
size_t utf8_length(const char *text);

/* Appends bytes so that they are safe on a terminal and stay on one line: UTF-8 as it is, control
 * characters and bytes that are no UTF-8 as \n, \t, \r or \x1b. */
void utf8_escape(struct buf *to, struct slice bytes);

#endif
