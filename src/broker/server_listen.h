#ifndef TIDINGS_BROKER_SERVER_LISTEN_H
#define TIDINGS_BROKER_SERVER_LISTEN_H

#include "api/api.h"
#include "broker/certificates.h"
#include "broker/listeners.h"
#include "broker/server_config.h"

/*
 * Where a server is reached: its listeners, what clients are told of them, and the certificate that
 * those with TLS show. Zero-initialised it is empty. One thread.
 */
struct server_listen {
    struct server_addresses listeners;
    struct server_addresses advertised;
    size_t *advertised_of; /* of each advertised address, which listener's it is */
    char *addresses;       /* as bound, "127.0.0.1:9092,[::1]:9092" */
    char *own_address;     /* for who is in this process: of the first listener in plain text */
    struct certificates *certificates; /* NULL: no listener speaks TLS */
};

/* What the settings say of listeners. ERR_CONFIG. Deinit also after an error. */
CHECKED enum err server_listen_read(struct server_listen *listen,
                                    const struct server_config *config, struct reason *reason);

/* Reads the certificate where a listener speaks TLS, and warns of hosts that it is not for.
 * ERR_CONFIG. Behind server_listen_read, before server_listen_open. */
CHECKED enum err server_listen_certify(struct server_listen *listen,
                                       const struct tls_config *config, struct reason *reason);

/* Binds all listeners and notes their addresses; as net_listen. What is in this process itself is
 * served without TLS: at the first listener in plain text, or at one that is for nobody else. */
CHECKED enum err server_listen_open(struct server_listen *listen, struct net *net,
                                    struct reason *reason);

/* What clients of each listener are told to connect to, for api_server: an array for all listeners,
 * to be freed before the deinit, to which its texts belong. Once. */
struct api_address *server_listen_advertised(struct server_listen *listen);

/* The certificate is looked after from now on. Before the reactors run. */
void server_listen_watch(struct server_listen *listen, struct reactor *reactor,
                         struct workers *keepers);

/* When net and keepers are no more. */
void server_listen_deinit(struct server_listen *listen);

#endif
