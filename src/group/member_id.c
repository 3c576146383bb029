#include "group/member_id.h"

#include "base/random.h"

#include <stdio.h>

struct slice member_id_make(const struct group_config *config, struct slice prefix, char *to,
                            size_t size)
{
    if (prefix.size > MEMBER_ID_PREFIX_BYTES) {
        prefix.size = MEMBER_ID_PREFIX_BYTES;
        while (prefix.size > 0 && (prefix.data[prefix.size] & 0xc0) == 0x80) {
            prefix.size--; /* not inside a UTF-8 sequence */
        }
    }
    uint8_t u[16];
    if (config->make_uuid != NULL) {
        config->make_uuid(config->uuid_context, u);
    } else {
        random_uuid(u);
    }
    slice_copy(to, prefix);
    snprintf(to + prefix.size, size - prefix.size,
             "-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
             u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
             u[15]);
    return slice_of(to, prefix.size + 1 + MEMBER_ID_UUID_BYTES);
}
