#include "broker/server_listen.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum err server_listen_read(struct server_listen *listen, const struct server_config *config,
                            struct reason *reason)
{
    enum err err =
        server_addresses_parse("listeners", config->listeners, &listen->listeners, reason);
    if (err == ERR_NONE) {
        err = server_addresses_parse("advertised.listeners", config->advertised_listeners,
                                     &listen->advertised, reason);
    }
    if (err == ERR_NONE && listen->listeners.count == 0) {
        err = reason_fail(reason, ERR_CONFIG, "listeners: at least one HOST:PORT is needed");
    }
    if (err == ERR_NONE) {
        err = listeners_set_protocols(&listen->listeners, config->listener_protocols, reason);
    }
    if (err == ERR_NONE) {
        listen->advertised_of = mem_new_array(size_t, listen->advertised.count + 1);
        err =
            listeners_match(&listen->listeners, &listen->advertised, listen->advertised_of, reason);
    }
    return err;
}

enum err server_listen_certify(struct server_listen *listen, const struct tls_config *config,
                               struct reason *reason)
{
    if (!listeners_have(&listen->listeners, LISTENER_SSL) &&
        !listeners_have(&listen->listeners, LISTENER_SASL_SSL)) {
        return ERR_NONE;
    }
    enum err err = certificates_new(config, &listen->certificates, reason);
    for (size_t i = 0; err == ERR_NONE && i < listen->advertised.count; i++) {
        if (listener_has_tls(listen->listeners.items[listen->advertised_of[i]].protocol)) {
            certificates_check_host(listen->certificates, listen->advertised.items[i].host);
        }
    }
    return err;
}

static const struct transport_kind *transport_of(const struct server_listen *listen,
                                                 enum listener_protocol protocol)
{
    return listener_has_tls(protocol) ? tls_transport(certificates_tls(listen->certificates))
                                      : &transport_plain;
}

static enum err listen_to_own(struct server_listen *listen, struct net *net, struct reason *reason)
{
    uint16_t port;
    if (listen->own_address != NULL) {
        return ERR_NONE;
    }
    enum err err = net_listen_own(net, &port, reason);
    listen->own_address = err == ERR_NONE ? mem_sprintf("127.0.0.1:%u", port) : NULL;
    return err;
}

enum err server_listen_open(struct server_listen *listen, struct net *net, struct reason *reason)
{
    struct buf text = {0};
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE && i < listen->listeners.count; i++) {
        const struct server_address *address = &listen->listeners.items[i];
        const char *host = address->host[0] != '\0' ? address->host : "0.0.0.0";
        uint16_t port;
        err = net_listen(net, transport_of(listen, address->protocol), address->host, address->port,
                         &port, reason);
        buf_printf(&text, "%s%s:%u", i > 0 ? "," : "", host, port);
        if (listen->own_address == NULL && address->protocol == LISTENER_PLAINTEXT) {
            listen->own_address = mem_sprintf("%s:%u", host, port);
        }
    }
    listen->addresses = mem_strdup(buf_cstr(&text));
    buf_deinit(&text);
    return err == ERR_NONE ? listen_to_own(listen, net, reason) : err;
}

/* Clients want an IPv6 address bare: cuts "[::1]" down to "::1" in place. */
static const char *without_brackets(char *host)
{
    size_t size = strlen(host);
    if (size < 2 || host[0] != '[' || host[size - 1] != ']') {
        return host;
    }
    host[size - 1] = '\0';
    return host + 1;
}

struct api_address *server_listen_advertised(struct server_listen *listen)
{
    struct api_address *told = mem_new_array(struct api_address, listen->listeners.count);
    for (size_t i = 0; i < listen->advertised.count; i++) {
        struct api_address *of = &told[listen->advertised_of[i]];
        of->host = without_brackets(listen->advertised.items[i].host);
        of->port = listen->advertised.items[i].port;
    }
    return told;
}

void server_listen_watch(struct server_listen *listen, struct reactor *reactor,
                         struct workers *keepers)
{
    if (listen->certificates != NULL) {
        certificates_watch(listen->certificates, reactor, keepers);
    }
}

void server_listen_deinit(struct server_listen *listen)
{
    free(listen->advertised_of);
    free(listen->addresses);
    free(listen->own_address);
    certificates_free(listen->certificates);
    server_addresses_deinit(&listen->listeners);
    server_addresses_deinit(&listen->advertised);
}
