#include "broker/server_users.h"

#include "base/logger.h"
#include "base/mem.h"

#include <openssl/crypto.h>
#include <stdlib.h>

static void take_user(void *context, struct slice name, const struct scram_credential *credential)
{
    users_put(context, name, credential);
}

/* The secret is only needed where somebody can log in; where nobody can none is made. */
static enum err load(struct server_users *users, bool can_log_in, struct catalogue *catalogue,
                     struct reason *reason)
{
    uint8_t secret[32] = {0};
    enum err err = can_log_in ? catalogue_user_secret(catalogue, secret, reason) : ERR_NONE;
    users->users = users_new(secret);
    OPENSSL_cleanse(secret, sizeof secret);
    return err == ERR_NONE ? catalogue_each_user(catalogue, take_user, users->users, reason) : err;
}

static void tell_oddities(const struct server_users *users,
                          const struct server_addresses *listeners, const char *mechanisms)
{
    if (users_count(users->users) == 0) {
        LOG_WARN("broker", "nobody can log in yet: there are no users (tidings user add)",
                 "mechanisms=%s", mechanisms);
    }
    if (sasl_service_has(&users->sasl, SASL_PLAIN) &&
        listeners_have(listeners, LISTENER_SASL_PLAINTEXT)) {
        LOG_WARN("broker",
                 "passwords can be read on the network: PLAIN is served without TLS "
                 "(sasl.enabled.mechanisms, listeners)",
                 "mechanisms=%s", mechanisms);
    }
}

enum err server_users_open(struct server_users *users, const struct server_config *config,
                           const struct server_addresses *listeners, struct catalogue *catalogue,
                           const struct clock *clock, struct reason *reason)
{
    bool can_log_in = listeners_have(listeners, LISTENER_SASL_PLAINTEXT) ||
                      listeners_have(listeners, LISTENER_SASL_SSL);
    enum err err = load(users, can_log_in, catalogue, reason);
    if (err != ERR_NONE || !can_log_in) {
        return err;
    }
    users->listeners = mem_new_array(bool, listeners->count);
    for (size_t i = 0; i < listeners->count; i++) {
        users->listeners[i] = listener_has_sasl(listeners->items[i].protocol);
    }
    users->sasl = (struct sasl_service){
        .users = users->users,
        .listeners = users->listeners,
        .listener_count = listeners->count,
        .mechanisms = sasl_set(config->sasl_mechanisms),
        .max_reauth_ms = config->max_reauth_ms,
        .failed_delay_ms = config->failed_login_delay_ms,
        .max_receive_bytes = config->sasl_max_receive_bytes,
        .clock = clock,
    };
    tell_oddities(users, listeners, config->sasl_mechanisms);
    return ERR_NONE;
}

void server_users_deinit(struct server_users *users)
{
    users_free(users->users);
    free(users->listeners);
}
