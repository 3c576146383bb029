#ifndef TIDINGS_CLI_RAW_SECURITY_H
#define TIDINGS_CLI_RAW_SECURITY_H

#include "cli/bus/bus.h"

#include <openssl/ssl.h>

/*
 * How brokers are reached by a connection of our own: what -X says to librdkafka, understood as
 * librdkafka does. Certificates are verified, and that they are for the host, unless
 * enable.ssl.certificate.verification or ssl.endpoint.identification.algorithm say otherwise.
 */
struct raw_security {
    char *bootstrap; /* the addresses that count */
    SSL_CTX *tls;    /* NULL: plain */
    BIO_METHOD *socket;
    bool is_host_checked;
    char *mechanism; /* PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; NULL: no SASL */
    char *user, *password;
};

/*
 * Reads the files that are named. ERR_CONFIG names the property and what is wrong; ERR_UNSUPPORTED:
 * it takes what librdkafka alone has (GSSAPI, OAUTHBEARER, PKCS#12, engines). Deinit in any case.
 */
CHECKED enum err raw_security_init(struct raw_security *security, const struct bus_options *options,
                                   struct reason *reason);
void raw_security_deinit(struct raw_security *security);

/* The first error that OpenSSL keeps for this thread, as text that stays; none is kept behind it.
 */
const char *raw_security_error(void);

#endif
