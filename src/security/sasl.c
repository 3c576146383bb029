#include "security/sasl.h"

#include "base/mem.h"
#include "security/sasl_plain.h"
#include "security/scram_exchange.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[SASL_MECHANISMS] = {
    [SASL_PLAIN] = "PLAIN",
    [SASL_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [SASL_SCRAM_SHA_512] = "SCRAM-SHA-512",
};

struct sasl_login {
    enum sasl_mechanism mechanism;
    struct users *users;
    bool is_known; /* there is such a user */
    struct scram_exchange *exchange;
    struct scram_credential credential; /* of PLAIN */
    char *name;                         /* of PLAIN; NULL: not said yet */
    char *password;                     /* the same */
    size_t password_size;
};

const char *sasl_name(enum sasl_mechanism mechanism)
{
    return names[mechanism];
}

bool sasl_find(struct slice name, enum sasl_mechanism *out)
{
    for (int i = 0; i < SASL_MECHANISMS; i++) {
        if (slice_equal_str(name, names[i])) {
            *out = (enum sasl_mechanism)i;
            return true;
        }
    }
    return false;
}

unsigned sasl_set(const char *list)
{
    unsigned set = 0;
    for (const char *at = list; *at != '\0';) {
        enum sasl_mechanism mechanism;
        at += strspn(at, " ,");
        size_t size = strcspn(at, " ,");
        if (sasl_find(slice_of(at, size), &mechanism)) {
            set |= 1u << mechanism;
        }
        at += size;
    }
    return set;
}

struct sasl_login *sasl_begin(enum sasl_mechanism mechanism, struct users *users)
{
    struct sasl_login *login = mem_new(struct sasl_login);
    login->mechanism = mechanism;
    login->users = users;
    return login;
}

static enum scram_mechanism scram_of(enum sasl_mechanism mechanism)
{
    return mechanism == SASL_SCRAM_SHA_512 ? SCRAM_SHA_512 : SCRAM_SHA_256;
}

static enum sasl_step take_first(struct sasl_login *login, struct slice token, struct buf *answer,
                                 struct reason *reason)
{
    struct scram_credential credential;
    struct buf nonce = {0};
    enum scram_mechanism mechanism = scram_of(login->mechanism);
    if (scram_begin(mechanism, token, &login->exchange, reason) != ERR_NONE) {
        return SASL_FAILS;
    }
    login->is_known = users_find(login->users, mechanism, scram_user(login->exchange), &credential);
    scram_add_nonce(&nonce);
    scram_challenge(login->exchange, &credential, buf_slice(&nonce), answer);
    buf_deinit(&nonce);
    OPENSSL_cleanse(&credential, sizeof credential);
    return SASL_CONTINUES;
}

static enum sasl_step tell(const struct sasl_login *login, bool succeeded, struct reason *reason)
{
    if (!login->is_known) {
        reason_set(reason, "no such user, or none with a password for %s", names[login->mechanism]);
        return SASL_FAILS;
    }
    return succeeded ? SASL_SUCCEEDS : SASL_FAILS;
}

static enum sasl_step take_final(const struct sasl_login *login, struct slice token,
                                 struct buf *answer, struct reason *reason)
{
    return tell(login, scram_finish(login->exchange, token, answer, reason) == ERR_NONE, reason);
}

static enum sasl_step take_plain(struct sasl_login *login, struct slice token,
                                 struct reason *reason)
{
    struct slice name, password;
    if (sasl_plain_read(token, &name, &password, reason) != ERR_NONE) {
        return SASL_FAILS;
    }
    login->name = mem_strndup((const char *)name.data, name.size);
    login->password = mem_strndup((const char *)password.data, password.size);
    login->password_size = password.size;
    login->is_known = users_find_any(login->users, name, &login->credential);
    return SASL_WAITS;
}

enum sasl_step sasl_take(struct sasl_login *login, struct slice token, struct buf *answer,
                         struct reason *reason)
{
    if (login->mechanism == SASL_PLAIN) {
        return take_plain(login, token, reason);
    }
    return login->exchange == NULL ? take_first(login, token, answer, reason)
                                   : take_final(login, token, answer, reason);
}

enum sasl_step sasl_check(struct sasl_login *login, struct reason *reason)
{
    assert(login->password != NULL);
    bool fits = scram_fits(&login->credential, slice_of(login->password, login->password_size));
    reason_set(reason, "wrong password");
    return tell(login, fits, reason);
}

struct slice sasl_user(const struct sasl_login *login)
{
    return login->exchange != NULL ? scram_user(login->exchange)
           : login->name != NULL   ? slice_str(login->name)
                                   : slice_str("");
}

void sasl_end(struct sasl_login *login)
{
    if (login == NULL) {
        return;
    }
    if (login->password != NULL) {
        OPENSSL_cleanse(login->password, login->password_size);
    }
    scram_end(login->exchange);
    free(login->name);
    free(login->password);
    OPENSSL_cleanse(&login->credential, sizeof login->credential);
    free(login);
}
