#ifndef TIDINGS_CLI_RAW_SCRAM_H
#define TIDINGS_CLI_RAW_SCRAM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The client's side of SCRAM (RFC 5802, RFC 7677) with SHA-256 or SHA-512, without channel binding:
 * three messages out of what the server said. It ends well only when the server has shown that it
 * knows the password too. Pure.
 */
struct raw_scram {
    const char *digest; /* "SHA256" */
    struct slice user, password;
    char nonce[33];
    struct buf first;     /* "n=user,r=nonce" */
    uint8_t expected[64]; /* of the server's last message */
    bool is_answered;
};

/* is_512: SCRAM-SHA-512. nonce: 32 letters that nobody can foresee; user and password stay the
 * caller's. Appends the first message. _deinit in any case. */
void raw_scram_begin(struct raw_scram *scram, bool is_512, struct slice user, struct slice password,
                     const char *nonce, struct buf *message);
void raw_scram_deinit(struct raw_scram *scram);

enum { RAW_SCRAM_ITERATIONS_MOST = 1000000 };
/* Takes the server's first message and appends the answer. ERR_CORRUPT: it is none, or asks for
 * more than RAW_SCRAM_ITERATIONS_MOST. */
CHECKED enum err raw_scram_answer(struct raw_scram *scram, struct slice challenge,
                                  struct buf *message, struct reason *reason);

/* Takes the server's last message. ERR_CORRUPT: the server does not know the password. */
CHECKED enum err raw_scram_check(const struct raw_scram *scram, struct slice last,
                                 struct reason *reason);

#endif
