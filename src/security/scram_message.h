#ifndef TIDINGS_SECURITY_SCRAM_MESSAGE_H
#define TIDINGS_SECURITY_SCRAM_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "security/scram.h"

/* The two messages that a client sends (RFC 5802, section 7). Slices borrow the message. */

struct scram_client_first {
    struct slice header; /* "n,," */
    struct slice bare;   /* "n=user,r=nonce" and what stands behind */
    struct slice nonce;
    char user[SCRAM_NAME_MOST_BYTES + 1]; /* unescaped */
    size_t user_size;
};

/* ERR_INVALID. */
CHECKED enum err scram_read_first(struct slice message, struct scram_client_first *out,
                                  struct reason *reason);

struct scram_client_final {
    struct slice without_proof; /* "c=biws,r=nonce" and what stands between */
    uint8_t binding[SCRAM_MESSAGE_MOST_BYTES];
    size_t binding_size;
    struct slice nonce;
    uint8_t proof[SCRAM_KEY_MOST_BYTES];
    size_t proof_size;
};

/* ERR_INVALID. */
CHECKED enum err scram_read_final(struct slice message, struct scram_client_final *out,
                                  struct reason *reason);

#endif
