#ifndef TIDINGS_TESTS_NET_CERTIFICATES_H
#define TIDINGS_TESTS_NET_CERTIFICATES_H

#include <openssl/x509v3.h>

/* Certificates of tests, with keys of P-256 that are made at once. */
struct issued {
    X509 *certificate;
    EVP_PKEY *key;
};

/* issuer NULL: it signs itself, as an authority. until_s: seconds from now, of which it may be as
 * many ago. alt: "DNS:localhost,IP:127.0.0.1", or NULL. */
struct issued issue(const char *name, const struct issued *issuer, long until_s, const char *alt);
void issued_free(struct issued *issued);

/* Writes PEM to path in one step: what there is of the two; password NULL: the key as it is. */
void issued_write(const char *path, X509 *certificate, EVP_PKEY *key, const char *password);

#endif
