#include "service.h"

#include <string.h>

/* Structs that callers fill have the size of the header that they were built with: an older one
 * lacks the last members, a newer one has some more. */

bool sized_copy(void *to, size_t to_size, const void *from, size_t from_size)
{
    const char *bytes = from;
    for (size_t i = to_size; i < from_size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    size_t known = from_size < to_size ? from_size : to_size;
    memcpy(to, from, known);
    memset((char *)to + known, 0, to_size - known);
    return true;
}

enum tidings_status sized_fail(struct tidings_error *error, const char *what)
{
    return error_set(error, TIDINGS_INVALID,
                     "struct %s: the program sets a member that came after libtidings %s, which is "
                     "what it runs with; a newer one is needed",
                     what, tidings_version());
}

const struct tidings_message *message_known(const struct tidings_message *message, size_t size,
                                            struct tidings_message *copy,
                                            struct tidings_error *error)
{
    if (size == sizeof *message) {
        return message;
    }
    if (!sized_copy(copy, sizeof *copy, message, size)) {
        sized_fail(error, "tidings_message");
        return NULL;
    }
    return copy;
}

const char *tidings_version(void)
{
    return TIDINGS_VERSION;
}
