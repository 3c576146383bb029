#ifndef TIDINGS_SECURITY_USERS_H
#define TIDINGS_SECURITY_USERS_H

#include "security/scram.h"

/*
 * The users of a server: what is kept of their passwords, one credential for each mechanism, as in
 * Apache Kafka (KIP-84). Looking one up takes a lock for reading; changes are rare, and made one at
 * a time. A user who is not there looks as one who is (scram_pretend).
 */
struct users;

enum { USERS_MOST_CREDENTIALS = 100000 };

/* A credential with its user, and what is to become of one. */
typedef void user_visitor(void *context, struct slice name,
                          const struct scram_credential *credential);
struct user_change {
    struct slice name;
    bool is_removal; /* of the credential of this mechanism; else it is added or replaced */
    struct scram_credential credential;
};

/* What the server alone knows, of scram_pretend. */
struct users *users_new(const uint8_t secret[32]);
/* NULL does nothing. */
void users_free(struct users *users);

/* Whether there is such a credential, which *out is then; else *out is pretended. Any thread. */
bool users_find(struct users *users, enum scram_mechanism mechanism, struct slice name,
                struct scram_credential *out);

/* The same of the first mechanism of which the user has a credential. Any thread. */
bool users_find_any(struct users *users, struct slice name, struct scram_credential *out);

/* Whether there is such a credential. Any thread. */
bool users_have(struct users *users, enum scram_mechanism mechanism, struct slice name);

/* Of all mechanisms. Any thread. */
size_t users_count(struct users *users);

/* What may be told of a credential. */
struct user_told {
    struct slice name;
    enum scram_mechanism mechanism;
    int32_t iterations;
};

/* Calls for all credentials, or those of one user (name not null), by name and mechanism, with the
 * lock for reading. Any thread. */
void users_each(struct users *users, struct slice name,
                void (*each)(void *context, const struct user_told *told), void *context);

/* One change at a time: from here to users_end_change nobody else makes one, so that what is stored
 * and what counts are the same. Look-ups go on. Any thread that may wait. */
void users_begin_change(struct users *users);
void users_end_change(struct users *users);

/* Adds or replaces. Counts from the next look-up on. Between those two, or before anybody asks. */
void users_put(struct users *users, struct slice name, const struct scram_credential *credential);
/* Takes one away; it need not be there. As users_put. */
void users_remove(struct users *users, enum scram_mechanism mechanism, struct slice name);

#endif
