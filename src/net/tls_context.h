#ifndef TIDINGS_NET_TLS_CONTEXT_H
#define TIDINGS_NET_TLS_CONTEXT_H

#include "net/tls.h"

#include <openssl/ssl.h>
#include <pthread.h>

struct tls {
    struct transport_kind kind; /* first: that of its connections */
    char *keystore;
    char *key_password;
    char *truststore;
    enum tls_client_auth client_auth;
    char *protocols;
    char *ciphers;
    pthread_mutex_t lock; /* of context */
    SSL_CTX *context;
    uint64_t state; /* of the files when they were read */
};

/* The calls of a connection, whose kind is the first member of a struct tls. */
extern const struct transport_kind tls_kind;

/* A new session by what is read now, or NULL. Any thread. */
SSL *tls_session(struct tls *tls);

/* A certificate's subject as RFC 2253 has it, as Java's X500Principal writes it, in UTF-8, to be
 * freed; NULL: it is empty. */
char *tls_subject(const X509 *certificate);

/* The first error that OpenSSL keeps for this thread, as text that stays; none is kept behind it.
 */
const char *tls_error(void);

#endif
