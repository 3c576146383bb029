#ifndef TIDINGS_BUS_SPEC_SCHEMA_INFER_H
#define TIDINGS_BUS_SPEC_SCHEMA_INFER_H

#include <jansson.h>
#include <stdbool.h>

/*
 * A JSON schema (draft 7, as AsyncAPI 3.0 has it) inferred from values: the narrowest of a simple
 * kind that every value taken fits. Types, properties and which of them were in every object,
 * items of arrays, formats that all strings of a place fit (date-time, uuid, uri), and few short
 * words that come again and again as an enum. Values themselves never show but as such words, and
 * not even these where the property's name speaks of people or secrets.
 *
 * Bounded whatever comes: SCHEMA_NODES_MAX places of SCHEMA_DEPTH_MAX levels, SCHEMA_NAMES_MAX
 * names an object. Beyond, a place fits anything. An object with more names than that is a
 * dictionary: only names that were in all of its kind stay, as others are data. Pure; one thread at
 * a time.
 */
enum {
    SCHEMA_NODES_MAX = 256,
    SCHEMA_DEPTH_MAX = 10,
    SCHEMA_NAMES_MAX = 64,
    SCHEMA_NAME_BYTES = 128,
    SCHEMA_WORDS_MAX = 8,
    SCHEMA_WORD_BYTES = 24,
    SCHEMA_WORD_TIMES = 10 /* so often each word came, on average, before it is part of an enum */
};

struct schema_infer;

/* Nothing was taken yet: it fits anything. */
struct schema_infer *schema_infer_new(void);
void schema_infer_free(struct schema_infer *infer); /* NULL is fine */

/* One more value that has to fit. */
void schema_infer_take(struct schema_infer *infer, const json_t *value);

/* The schema; the caller's. */
json_t *schema_infer_json(const struct schema_infer *infer);

/* All that is known, to be kept, and taken up again: NULL when it is nothing that was kept. */
json_t *schema_infer_keep(const struct schema_infer *infer);
struct schema_infer *schema_infer_restore(const json_t *kept);

enum schema_format { SCHEMA_DATE_TIME, SCHEMA_UUID, SCHEMA_URI, SCHEMA_FORMATS };

/* Which formats a text fits: bits of 1 << enum. Stricter than the standards where these let
 * nearly anything through: a uri has "://" or begins with "urn:". */
unsigned schema_formats_of(const char *text, size_t size);

#endif
