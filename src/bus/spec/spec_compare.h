#ifndef TIDINGS_BUS_SPEC_SPEC_COMPARE_H
#define TIDINGS_BUS_SPEC_SPEC_COMPARE_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * What consumers of a bus lose or get otherwise, from what was to what becomes: two AsyncAPI 3
 * documents, of which one is observed (bus/spec_write.h), which also tells who consumes. Pure.
 *
 * Breaking, where somebody consumes the type:
 *   lost      a field is not there any more
 *   missing   a field that was always there may be missing
 *   type      a value has, or may have, a type that it did not have (an integer is a number)
 *   null      a value may be null
 *   format    another of date-time, date, time, uuid, uri, email
 *   content   another content type
 *   moved     the events come on other topics alone (an address may have {parameters})
 * Told, and not breaking: `values`, words that an enum did not have; `unsaid`, what cannot be
 * compared (nothing is said of it, or by oneOf, anyOf, allOf, not, or another language of schemas).
 * Whatever is added passes. Types that only one document has are listed, and pass. Of headers only
 * those count that both documents name. Events without a type are compared with the message that
 * the file has on their topic, if it is the only one.
 */
struct spec_compare_options {
    bool is_baseline; /* the file is what was, and the bus what becomes; else the other way */
    bool is_lenient;  /* what only may happen (missing, null, a further type) does not break */
};

/*
 * *report: {"breaks", "types": [{"type", "consumers": [{"service", "groups"}], "differences":
 * [{"kind", "field", "breaks", "text"}]}], "same": [types], "only_in_file", "only_on_bus"}; the
 * caller's. ERR_INVALID: the file is no AsyncAPI 3 document; the reason says why.
 */
CHECKED enum err spec_compare(const json_t *observed, const json_t *file,
                              const struct spec_compare_options *options, json_t **report,
                              struct reason *reason);

#endif
