#ifndef TIDINGS_BUS_EVENT_JSON_SCAN_H
#define TIDINGS_BUS_EVENT_JSON_SCAN_H

#include "base/slice.h"

#include <stdbool.h>

/*
 * JSON (RFC 8259) looked at without making a tree of it: a tree takes up to 80 times the memory of
 * its text ("[{},{},..."), so who takes texts of others asks here first. The text may be anything;
 * whether it is JSON is for the parser to say. Any thread.
 */

/* Whether a tree of the text stays small: at most `most` values, of which objects and arrays count
 * twice. Jansson takes about 150 bytes for each that counts, and the text once more. */
bool json_scan_is_small(struct slice text, size_t most);

/* The elements of an array one after the other, each to be parsed by itself. */
struct json_scan_array {
    struct slice text;
    size_t at;
    const char *wrong; /* why it is no array, in words; NULL: nothing was found yet */
    bool is_begun, is_over;
};

/*
 * Sets *element to the next one: what stands between two commas, which is not empty unless the
 * array is wrong there. Borrowed from the text. False: there are no more, or array->wrong says
 * why the text is no array.
 */
bool json_scan_next(struct json_scan_array *array, struct slice *element);

#endif
