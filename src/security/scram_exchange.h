#ifndef TIDINGS_SECURITY_SCRAM_EXCHANGE_H
#define TIDINGS_SECURITY_SCRAM_EXCHANGE_H

#include "base/buf.h"
#include "security/scram.h"

/* The server's side of a login by SCRAM: two messages come, two go. No channel binding. Nothing
 * waits: what takes time was done when the credential was made. One thread at a time. */
struct scram_exchange;

/*
 * Takes the client's first message: "n,,n=user,r=nonce". ERR_INVALID says what is wrong with it,
 * also when it asks for another identity than the user's, for channel binding, or for an extension
 * that must be understood. scram_end it.
 */
CHECKED enum err scram_begin(enum scram_mechanism mechanism, struct slice message,
                             struct scram_exchange **out, struct reason *reason);

/* The user whom the client says to be, until scram_end. */
struct slice scram_user(const struct scram_exchange *exchange);

/* Appends what a server adds to a client's nonce: 32 letters that nobody can foresee. */
void scram_add_nonce(struct buf *to);

/* Appends the answer to the first message; once. nonce: of scram_add_nonce. */
void scram_challenge(struct scram_exchange *exchange, const struct scram_credential *credential,
                     struct slice nonce, struct buf *answer);

/*
 * Takes the client's final message; behind scram_challenge, once. ERR_NONE: it knows the password,
 * and the answer, which proves that the server knows it as well, is appended. ERR_INVALID: it does
 * not, or the message is malformed or of another exchange.
 */
CHECKED enum err scram_finish(struct scram_exchange *exchange, struct slice message,
                              struct buf *answer, struct reason *reason);

/* Frees it. NULL does nothing. */
void scram_end(struct scram_exchange *exchange);

#endif
