#ifndef TIDINGS_BROKER_CERTIFICATES_H
#define TIDINGS_BROKER_CERTIFICATES_H

#include "net/reactor.h"
#include "net/tls.h"
#include "net/workers.h"

/*
 * The certificate of the server, looked after while it runs: read anew within two seconds of a
 * change of its files, and told of in the log: what is used, what cannot be read, what has expired
 * or will within 30 days.
 */
struct certificates;

/* Reads the files and tells of them. ERR_CONFIG as tls_new. */
CHECKED enum err certificates_new(const struct tls_config *config, struct certificates **out,
                                  struct reason *reason);

/* A listener is reached by clients at this host: warns when the certificate is not for it. */
void certificates_check_host(struct certificates *certificates, const char *host);

/* The files are looked at from now on, by a keeper. Before the reactors run. */
void certificates_watch(struct certificates *certificates, struct reactor *reactor,
                        struct workers *keepers);

/* What the listeners speak; borrowed until certificates_free. Any thread. */
struct tls *certificates_tls(struct certificates *certificates);

/* When net and keepers are no more. NULL does nothing. */
void certificates_free(struct certificates *certificates);

#endif
