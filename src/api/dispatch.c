#include "api/api.h"

#include "api/handlers.h"
#include "base/mem.h"

#include <stdio.h>

const struct api_entry *api_find(int16_t key)
{
    for (int i = 0; i < api_table_count; i++) {
        if (api_table[i].key == key) {
            return &api_table[i];
        }
    }
    return NULL;
}

void api_on_open(void *context, struct conn *conn)
{
    (void)context;
    conn_set_user(conn, api_connection_new(conn));
}

void api_on_close(void *context, struct conn *conn, enum conn_end end)
{
    (void)context;
    (void)end;
    api_fetch_cancel_all(conn_user(conn));
    api_connection_unref(conn_user(conn));
    conn_set_user(conn, NULL);
}

static void set_address(struct api_request *request, struct conn *conn)
{
    const struct api_server *server = request->server;
    unsigned listener = conn_listener(conn);
    if (listener < server->advertised_count && server->advertised[listener].host != NULL) {
        snprintf(request->host, sizeof request->host, "%s", server->advertised[listener].host);
        request->port = server->advertised[listener].port;
    } else {
        conn_local_address(conn, request->host, sizeof request->host, &request->port);
    }
}

/* Reads the header. An ApiVersions of any version is taken, as its handler answers it (KIP-511). */
static enum err read_header(struct api_request *request, struct reason *reason)
{
    struct wire_request_header header;
    enum err err = wire_request_header_decode(&request->body, &header);
    if (err != ERR_NONE && err != ERR_UNSUPPORTED) {
        return reason_fail(reason, err,
                           "the request header is malformed: these bytes are no Kafka request");
    }
    request->client_id = header.client_id;
    request->completion.correlation_id = header.correlation_id;
    request->completion.api_key = header.api_key;
    request->completion.api_version = header.api_version;
    request->entry = api_find(header.api_key);
    if (request->entry == NULL) {
        return reason_fail(reason, ERR_UNSUPPORTED, "API key %d is not served", header.api_key);
    }
    if (header.api_key == API_KEY_API_VERSIONS) {
        return ERR_NONE;
    }
    if (header.api_version < request->entry->lowest_version ||
        header.api_version > request->entry->highest_version) {
        const struct wire_api_info *info = wire_api_find(header.api_key);
        return reason_fail(reason, ERR_UNSUPPORTED, "%s version %d is not served (%d to %d are)",
                           info->name, header.api_version, request->entry->lowest_version,
                           request->entry->highest_version);
    }
    return ERR_NONE;
}

static enum err begin(struct api_request *request, struct reason *reason)
{
    enum err err = read_header(request, reason);
    if (err != ERR_NONE) {
        return err;
    }
    const struct api_entry *entry = request->entry;
    api_connection_set_client_id(request->connection, request->client_id);
    if (entry->flags & API_WITH_ADDRESS) {
        set_address(request, request->conn);
    }
    if (entry->flags & (API_ON_WORKER | API_MAY_PARK)) {
        request->client_id = api_moved(request->client_id, api_take_frame(request));
    }
    return entry->flags & API_ON_WORKER ? api_go_on(request, entry->handle)
                                        : entry->handle(request, reason);
}

void api_on_frame(void *context, struct conn *conn, struct reply_token token, struct slice frame)
{
    struct api_server *server = context;
    struct api_request *request = mem_new(struct api_request);
    request->server = server;
    request->connection = conn_user(conn);
    api_connection_ref(request->connection);
    request->conn = conn;
    request->completion.token = token;
    request->arena.limit_bytes = (size_t)server->request_arena_bytes;
    wire_reader_init(&request->body, frame, &request->arena);
    atomic_fetch_add_explicit(&server->requests, 1, memory_order_relaxed);
    api_run(request, begin);
}
