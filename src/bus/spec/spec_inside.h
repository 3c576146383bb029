#ifndef TIDINGS_BUS_SPEC_SPEC_INSIDE_H
#define TIDINGS_BUS_SPEC_SPEC_INSIDE_H

/* The inside of bus/spec_compare.h: what its files share. */

#include "bus/spec/spec_compare.h"

/* Two schemas and the documents that their references are in. */
struct spec_pair {
    const struct spec_compare_options *options;
    const json_t *was_in, *becomes_in;
    json_t *differences; /* a list that grows */
    bool has_consumers;
};

/* Adds {"kind", "field", "breaks", "text"}. is_maybe: it need not happen. */
void spec_differ(struct spec_pair *pair, const char *kind, const char *field, bool is_breaking,
                 bool is_maybe, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The value that a reference within the document leads to, one step; NULL: none. */
const json_t *spec_follow(const json_t *document, const char *pointer);

/* What a "$ref" in a document stands for, through several of them; the value itself if it is none;
 * NULL: it leads nowhere, or outside of the document. */
const json_t *spec_resolve(const json_t *document, const json_t *value);

/* Whether an address of a document, which may have parameters as "orders.{region}", is a topic's.
 */
bool spec_address_matches(const char *pattern, const char *topic);
bool spec_is_on(const json_t *addresses, const char *topic); /* one of a list */

/*
 * What a message of the bus is called in the file: the same; or, of a topic whose events say no
 * type (its name is the topic's), the only one that the file has there and the bus does not know.
 * NULL: it is not there. Both are {NAME: {"topics": [...]}}.
 */
const char *spec_partner(json_t *on_bus, json_t *in_file, const char *name);

/* What becomes of the values at a path ("" is the whole). */
void spec_compare_schemas(struct spec_pair *pair, const json_t *was, const json_t *becomes,
                          const char *path);

#endif
