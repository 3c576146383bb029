#ifndef TIDINGS_SECURITY_SASL_PLAIN_H
#define TIDINGS_SECURITY_SASL_PLAIN_H

#include "base/err.h"
#include "base/slice.h"

/* The token of PLAIN (RFC 4616): identity NUL name NUL password, where the identity is empty or the
 * name. Slices borrow the token. ERR_INVALID: it is none, or something in it is missing or too
 * long. */
CHECKED enum err sasl_plain_read(struct slice token, struct slice *name, struct slice *password,
                                 struct reason *reason);

#endif
