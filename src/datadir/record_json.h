#ifndef TIDINGS_DATADIR_RECORD_JSON_H
#define TIDINGS_DATADIR_RECORD_JSON_H

#include "base/slice.h"
#include "wire/types.h"

#include <jansson.h>

/* Fields of the server's own records as JSON. What is null stays null; text that is no UTF-8 is
 * shown as bytes in hexadecimal. */

/* A text, or null. The caller owns it. */
json_t *record_text(struct slice bytes);

/* Sets the field to record_text of the bytes. */
void record_set_text(json_t *json, const char *name, struct slice bytes);

/* Sets the field to a number. */
void record_set_number(json_t *json, const char *name, int64_t value);

/* A topic id as Kafka's tools show it: 22 characters of base64url. */
void record_set_uuid(json_t *json, const char *name, struct wire_uuid uuid);

/* An array of texts. */
void record_set_texts(json_t *json, const char *name, const struct slice *texts, int32_t count);

/* An array of numbers. */
void record_set_numbers(json_t *json, const char *name, const int32_t *numbers, int32_t count);

#endif
