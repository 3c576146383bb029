#ifndef TIDINGS_BROKER_LISTENERS_H
#define TIDINGS_BROKER_LISTENERS_H

#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `listeners`, `advertised.listeners` and what is spoken there, as texts of the settings. */

/* By the names of Kafka's security.protocol. */
enum listener_protocol {
    LISTENER_PLAINTEXT,
    LISTENER_SSL,
    LISTENER_SASL_PLAINTEXT,
    LISTENER_SASL_SSL
};

/* Whether TLS is spoken there. */
static inline bool listener_has_tls(enum listener_protocol protocol)
{
    return protocol == LISTENER_SSL || protocol == LISTENER_SASL_SSL;
}

/* Whether clients log in there by SASL. */
static inline bool listener_has_sasl(enum listener_protocol protocol)
{
    return protocol == LISTENER_SASL_PLAINTEXT || protocol == LISTENER_SASL_SSL;
}

/* "[NAME://]HOST:PORT"; host may be "", the name, in capital letters, is "PLAINTEXT" when none is
 * given. */
struct server_address {
    char *name;
    char *host;
    uint16_t port;
    bool is_named;
    enum listener_protocol protocol; /* PLAINTEXT until listeners_set_protocols */
};

struct server_addresses {
    VEC_FIELDS(struct server_address);
};

/* Splits a comma-separated list. ERR_CONFIG names the setting and the entry; *out is empty then. */
CHECKED enum err server_addresses_parse(const char *setting, const char *text,
                                        struct server_addresses *out, struct reason *reason);
/* Frees what it holds; the value itself stays the caller's. */
void server_addresses_deinit(struct server_addresses *addresses);

/* Sets what is spoken at each listener by listener.security.protocol.map, "NAME:PROTOCOL" with
 * commas. ERR_CONFIG: a name that is not in the map, a protocol that is none. */
CHECKED enum err listeners_set_protocols(struct server_addresses *listeners, const char *map,
                                         struct reason *reason);

/* Whether any speaks this. */
bool listeners_have(const struct server_addresses *listeners, enum listener_protocol protocol);

/*
 * Which listener each advertised address is of: that of its name, or when it has none the one at
 * its place in the list. of: room for advertised->count indexes. ERR_CONFIG: there is none, or it
 * has one already.
 */
CHECKED enum err listeners_match(const struct server_addresses *listeners,
                                 const struct server_addresses *advertised, size_t *of,
                                 struct reason *reason);

#endif
