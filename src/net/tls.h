#ifndef TIDINGS_NET_TLS_H
#define TIDINGS_NET_TLS_H

#include "base/err.h"
#include "net/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * TLS 1.2 and 1.3 for the connections of a listener (OpenSSL 3): certificates and keys from PEM
 * files, which can be read anew while connections go on. No renegotiation, no compression, no
 * session cache; sessions are resumed by tickets, whose keys end with each reading.
 */
struct tls;

enum tls_client_auth {
    TLS_CLIENT_NONE,      /* no certificate is asked for */
    TLS_CLIENT_REQUESTED, /* one that a client has must be good */
    TLS_CLIENT_REQUIRED
};

struct tls_config {
    /* ssl.keystore.location: PEM files with the private key and the certificate, behind it those
     * that lead to its authority; in one file as Kafka wants it, or several with commas. */
    const char *keystore;
    const char *key_password; /* ssl.key.password; "": the key is not encrypted */
    /* ssl.truststore.location: the authorities of clients' certificates; "" with TLS_CLIENT_NONE */
    const char *truststore;
    enum tls_client_auth client_auth; /* ssl.client.auth */
    const char *protocols;            /* ssl.enabled.protocols, "TLSv1.2,TLSv1.3" */
    const char
        *ciphers; /* ssl.cipher.suites, by the names of either IANA or OpenSSL; "": sane ones */
};

/* Reads the files. The config is copied. ERR_CONFIG names the setting and the file, and says what
 * is wrong with it. */
CHECKED enum err tls_new(const struct tls_config *config, struct tls **out, struct reason *reason);

/* When no connection has it any more. NULL does nothing. */
void tls_free(struct tls *tls);

/*
 * Reads the files again if any has changed since it was read; *changed says so. Connections that
 * are there go on as they are, the next ones get what is new. After an error all stays as it was,
 * and the same files are not read again until they change once more. Any thread, one at a time.
 */
CHECKED enum err tls_reload(struct tls *tls, bool *changed, struct reason *reason);

/* What is told of the certificate in use. */
struct tls_facts {
    char subject[256]; /* "CN=bus.example", RFC 2253, cut */
    char names[512];   /* that it is for, "bus.example 10.0.0.1", cut */
    int64_t from_s;    /* seconds since 1970 */
    int64_t until_s;
};

/* Any thread. */
void tls_facts(struct tls *tls, struct tls_facts *out);

/* Whether a client that connects by this name or address finds it in the certificate (RFC 6125).
 * Any thread. */
bool tls_names(struct tls *tls, const char *host);

/* For net_listen; stays until tls_free. */
const struct transport_kind *tls_transport(struct tls *tls);

#endif
