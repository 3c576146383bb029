#ifndef TIDINGS_BUS_EVENT_JSON_WORD_H
#define TIDINGS_BUS_EVENT_JSON_WORD_H

#include "base/slice.h"

#include <jansson.h>

/* What the bus layer's answers say in one way. Any thread. */

/* A text that others chose: what is no UTF-8, and control characters, as utf8_escape writes them.
 * null for the null slice. */
json_t *json_word(struct slice text);

/* A text as it is, which may be no UTF-8: then as json_word has it. NULL: null. */
json_t *json_utf8(const char *text);

/* A time as "2026-02-01T12:00:00.123Z"; null for 0 and below: none, or not known. */
json_t *json_moment(int64_t time_ms);

#endif
