#include "api/connection.h"

#include "base/mem.h"
#include "security/principal_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api_connection *api_connection_new(struct conn *conn, struct sasl_service *sasl)
{
    struct api_connection *connection = mem_new(struct api_connection);
    atomic_init(&connection->references, 1);
    connection->listener = conn_listener(conn);
    connection->is_own = conn_is_own(conn);
    connection->principal = mem_strdup("User:ANONYMOUS");
    snprintf(connection->peer, sizeof connection->peer, "%s", conn_peer(conn));
    connection->owner = (struct worker_owner){connection, conn_site(conn)};
    connection->session = sasl_session_new(sasl, connection->listener);
    return connection;
}

void api_connection_ref(struct api_connection *connection)
{
    atomic_fetch_add_explicit(&connection->references, 1, memory_order_relaxed);
}

void api_connection_unref(struct api_connection *connection)
{
    if (atomic_fetch_sub_explicit(&connection->references, 1, memory_order_acq_rel) == 1) {
        if (connection->client != NULL) {
            client_table_leave(connection->clients, connection->client,
                               clock_wall_ms(connection->clock));
        }
        sasl_session_free(connection->session);
        free(connection->principal);
        free(connection->client_id);
        free(connection->software_name);
        free(connection->software_version);
        free(connection);
    }
}

bool api_connection_identify(struct api_connection *connection, const struct conn *conn,
                             const struct principal_rules *rules, const char **who)
{
    if (connection->is_identified || connection->session != NULL) {
        return true;
    }
    *who = conn_peer_name(conn);
    if (*who != NULL) {
        char *name = principal_rules_apply(rules, *who);
        if (name == NULL) {
            return false;
        }
        free(connection->principal);
        connection->principal = mem_sprintf("User:%s", name);
        free(name);
    }
    connection->is_identified = true;
    return true;
}

/* Puts a copy of the text, cut to its bound, into *to. */
static void keep_text(char **to, struct slice text)
{
    size_t size = text.size < API_CLIENT_TEXT_BYTES ? text.size : API_CLIENT_TEXT_BYTES;
    free(*to);
    *to = slice_is_null(text) ? NULL : mem_strndup((const char *)text.data, size);
}

void api_connection_set_client_id(struct api_connection *connection, struct slice client_id)
{
    size_t size = client_id.size < API_CLIENT_TEXT_BYTES ? client_id.size : API_CLIENT_TEXT_BYTES;
    const char *kept = connection->client_id;
    if (kept != NULL && size > 0 && size == connection->client_id_size &&
        memcmp(kept, client_id.data, size) == 0) {
        return; /* as in nearly every request */
    }
    connection->client_id_size = size;
    keep_text(&connection->client_id, client_id);
}

static bool is_letter_or_digit(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z');
}

static bool is_software_text(struct slice text)
{
    if (text.size == 0 || !is_letter_or_digit(text.data[0]) ||
        !is_letter_or_digit(text.data[text.size - 1])) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (!is_letter_or_digit(text.data[i]) && text.data[i] != '-' && text.data[i] != '.') {
            return false;
        }
    }
    return true;
}

bool api_connection_set_software(struct api_connection *connection, struct slice name,
                                 struct slice version)
{
    if (!is_software_text(name) || !is_software_text(version)) {
        return false;
    }
    keep_text(&connection->software_name, name);
    keep_text(&connection->software_version, version);
    return true;
}

/* "127.0.0.1" of "127.0.0.1:54321", "::1" of "[::1]:54321". */
static struct slice host_of(const char *peer)
{
    const char *colon = strrchr(peer, ':');
    size_t size = colon == NULL ? strlen(peer) : (size_t)(colon - peer);
    bool has_brackets = size >= 2 && peer[0] == '[' && peer[size - 1] == ']';
    return has_brackets ? slice_of(peer + 1, size - 2) : slice_of(peer, size);
}

struct slice api_connection_host(const struct api_connection *connection)
{
    return host_of(connection->peer);
}

void api_connection_enter(struct api_connection *connection, struct client_table *clients,
                          const struct clock *clock)
{
    struct client_identity identity = {
        .principal = slice_str(connection->principal),
        .client_id = slice_of(connection->client_id, connection->client_id_size),
        .software_name = slice_str(connection->software_name),
        .software_version = slice_str(connection->software_version),
        .host = api_connection_host(connection),
    };
    connection->clients = clients;
    connection->clock = clock;
    connection->client = client_table_enter(clients, &identity, clock_wall_ms(clock));
}

void api_connection_count(struct api_connection *connection, enum client_did did,
                          struct slice topic, struct slice group, uint64_t events, uint64_t bytes,
                          int64_t now_ms)
{
    if (connection->client != NULL) {
        struct client_flow *flow =
            client_table_flow(connection->clients, connection->client, did, topic, group, now_ms);
        client_flow_add(flow, events, bytes, now_ms);
    }
}

void api_connection_joins(struct api_connection *connection, struct slice group,
                          int64_t session_timeout_ms, int64_t now_ms)
{
    if (connection->client != NULL) {
        struct client_flow *flow =
            client_table_flow(connection->clients, connection->client, CLIENT_JOINED,
                              (struct slice){0}, group, now_ms);
        atomic_store_explicit(&flow->session_timeout_ms, session_timeout_ms, memory_order_relaxed);
        client_flow_add(flow, 1, 0, now_ms);
    }
}

void api_connection_gets_producer(struct api_connection *connection, int64_t producer_id,
                                  int64_t now_ms)
{
    if (connection->client != NULL && producer_id >= 0) {
        client_table_producer(connection->clients, connection->client, producer_id, now_ms);
    }
}
