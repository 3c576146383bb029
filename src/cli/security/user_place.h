#ifndef TIDINGS_CLI_USER_PLACE_H
#define TIDINGS_CLI_USER_PLACE_H

#include "base/err.h"
#include "cli/base/options.h"
#include "datadir/user_store.h"

/* What the verbs of `tidings user` share. */

/* Whose users. */
struct user_place {
    const char *data_dir; /* --data; NULL: the usual one */
};

/* The row of --data. */
struct option_set user_place_option_set(struct user_place *place);

/* The directory. */
const char *user_place_dir(const struct user_place *place);

/* How long a server is waited for. */
struct control_wait user_wait(void);

/* Tells why a directory's users could not be asked or changed; returns the exit code. */
int user_fail(enum err err, const struct reason *reason);

/* The mechanism that is named, "SCRAM-SHA-256" or "sha-256", in any case of letters; false: none
 * is.
 */
bool user_parse_mechanism(const char *word, enum scram_mechanism *out);

#endif
