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

/* What becomes of the values at a path ("" is the whole). */
void spec_compare_schemas(struct spec_pair *pair, const json_t *was, const json_t *becomes,
                          const char *path);

#endif
