#ifndef TIDINGS_BASE_DECIMAL_H
#define TIDINGS_BASE_DECIMAL_H

#include "base/buf.h"

#include <stdint.h>

/* Appends the number as printf's %lld does, for what is printed millions of times. */
void decimal_append(struct buf *to, int64_t number);

enum { DECIMAL_MOST = 20 };

/* Writes it to `to`, which has room for DECIMAL_MOST bytes. Returns behind its last digit; no NUL
 * is written. */
char *decimal_write(char *to, int64_t number);

#endif
