#include "security/sasl_plain.h"

#include "security/scram.h"

enum err sasl_plain_read(struct slice token, struct slice *name, struct slice *password,
                         struct reason *reason)
{
    struct slice parts[3];
    struct slice rest = token;
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *nul = slice_find(rest, '\0');
        if (nul == NULL) {
            return reason_fail(reason, ERR_INVALID, "a token of PLAIN has three parts, not %zu",
                               i + 1);
        }
        parts[i] = slice_of(rest.data, (size_t)(nul - rest.data));
        rest = slice_of(nul + 1, rest.size - parts[i].size - 1);
    }
    if (slice_find(rest, '\0') != NULL) {
        return reason_fail(reason, ERR_INVALID, "a token of PLAIN has three parts, not more");
    }
    *name = parts[1];
    *password = rest;
    enum err err = scram_check_name(*name, reason);
    if (err == ERR_NONE && (rest.size == 0 || rest.size > SCRAM_PASSWORD_MOST_BYTES)) {
        err = reason_fail(reason, ERR_INVALID, "a password of %zu bytes: 1 to %d are taken",
                          rest.size, SCRAM_PASSWORD_MOST_BYTES);
    }
    if (err == ERR_NONE && parts[0].size > 0 && !slice_equal(parts[0], *name)) {
        err = reason_fail(reason, ERR_INVALID,
                          "an authorization id is asked for that is different from the user name");
    }
    return err;
}
