#ifndef TIDINGS_SECURITY_SASL_H
#define TIDINGS_SECURITY_SASL_H

#include "base/buf.h"
#include "security/users.h"

/*
 * Logins by SASL (RFC 4422): which mechanisms there are, and one exchange of tokens, whatever
 * carries them. What is told to a client never depends on whether a user exists; what is told to
 * the log does.
 */
enum sasl_mechanism {
    SASL_PLAIN, /* RFC 4616: name and password as they are */
    SASL_SCRAM_SHA_256,
    SASL_SCRAM_SHA_512,
    SASL_MECHANISMS
};

/* "PLAIN"; static. */
const char *sasl_name(enum sasl_mechanism mechanism);

/* The mechanism of this name; false: there is none. */
bool sasl_find(struct slice name, enum sasl_mechanism *out);

/* A bit for each mechanism that a list with commas names ("PLAIN,SCRAM-SHA-256"); unknown ones are
 * left out. */
unsigned sasl_set(const char *list);

/* What becomes of a token. */
enum sasl_step {
    SASL_CONTINUES, /* the answer goes to the client, whose next token is awaited */
    SASL_WAITS,     /* for sasl_check, which takes long */
    SASL_SUCCEEDS,  /* the answer goes to the client, whose name is sasl_user */
    SASL_FAILS      /* the reason says why, for the log */
};

struct sasl_login;

/* The users outlive it. sasl_end it. */
struct sasl_login *sasl_begin(enum sasl_mechanism mechanism, struct users *users);

/*
 * Takes a token and appends the answer to it. After SASL_SUCCEEDS and SASL_FAILS no more may come.
 * Quick; the token is not kept but for the password (SASL_WAITS).
 */
enum sasl_step sasl_take(struct sasl_login *login, struct slice token, struct buf *answer,
                         struct reason *reason);

/* Behind SASL_WAITS, once: whether the password is right. Takes the time of PBKDF2: some 2 ms, 15
 * at most. Any thread. */
enum sasl_step sasl_check(struct sasl_login *login, struct reason *reason);

/* Who logs in, "" until that is known; proven only once it succeeded. Until sasl_end. */
struct slice sasl_user(const struct sasl_login *login);

/* Wipes and frees it. NULL does nothing. */
void sasl_end(struct sasl_login *login);

#endif
