#ifndef TIDINGS_CLI_UTF8_H
#define TIDINGS_CLI_UTF8_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* Size of the well-formed UTF-8 sequence (RFC 3629) the bytes begin with, 0 when there is none. */
size_t utf8_sequence(struct slice bytes);

/* Code points in a text, for lining up columns; stray bytes count as one each. */
size_t utf8_length(const char *text);

#endif
