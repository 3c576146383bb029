#ifndef TIDINGS_BASE_BASE64_H
#define TIDINGS_BASE_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>

/* Base 64 (RFC 4648, section 4, with padding): how JSON carries bytes that are no text. */

/* Appends the text of the bytes: four letters for each three of them. */
void base64_encode(struct buf *to, struct slice bytes);

/* The same with '-' and '_' for '+' and '/' and without padding (section 5). */
void base64url_encode(struct buf *to, struct slice bytes);

/* Into the arena; false for anything but whole, padded base 64. */
CHECKED bool base64_decode(struct arena *arena, struct slice text, struct slice *bytes);

#endif
