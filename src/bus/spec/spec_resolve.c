#include "bus/spec/spec_inside.h"

#include <stdlib.h>
#include <string.h>

enum { REFERENCES_MAX = 16, SEGMENT_MAX = 512 };

static int hex_of(char letter)
{
    const char *digits = "0123456789abcdef";
    const char *at = letter != '\0' ? strchr(digits, letter | 0x20) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* One segment of a JSON pointer in a URI's fragment (RFC 6901, section 6). */
static bool decode_segment(const char *from, size_t size, char to[SEGMENT_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++, used++) {
        if (used == SEGMENT_MAX - 1) {
            return false;
        }
        if (from[i] == '%' && size - i > 2 && hex_of(from[i + 1]) >= 0 &&
            hex_of(from[i + 2]) >= 0) {
            to[used] = (char)(hex_of(from[i + 1]) * 16 + hex_of(from[i + 2]));
            i += 2;
        } else if (from[i] == '~' && size - i > 1 && (from[i + 1] == '0' || from[i + 1] == '1')) {
            to[used] = from[++i] == '0' ? '~' : '/';
        } else {
            to[used] = from[i];
        }
    }
    to[used] = '\0';
    return true;
}

const json_t *spec_follow(const json_t *document, const char *pointer)
{
    char segment[SEGMENT_MAX];
    const json_t *value = document;
    if (strncmp(pointer, "#/", 2) != 0) {
        return strcmp(pointer, "#") == 0 ? document : NULL;
    }
    for (pointer++; *pointer == '/' && value != NULL;) {
        size_t size = strcspn(++pointer, "/");
        if (!decode_segment(pointer, size, segment)) {
            return NULL;
        }
        value = json_is_array(value) ? json_array_get(value, (size_t)strtoul(segment, NULL, 10))
                                     : json_object_get(value, segment);
        pointer += size;
    }
    return value;
}

const json_t *spec_resolve(const json_t *document, const json_t *value)
{
    for (int i = 0; i < REFERENCES_MAX; i++) {
        const char *pointer = json_string_value(json_object_get(value, "$ref"));
        if (pointer == NULL) {
            return value;
        }
        value = spec_follow(document, pointer);
    }
    return NULL;
}
