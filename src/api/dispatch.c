#include "api/api.h"

#include "api/faults.h"
#include "api/handlers.h"
#include "base/logger.h"
#include "base/mem.h"
#include "wire/refusal.h"

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
    const struct api_server *server = context;
    struct api_connection *connection = api_connection_new(conn, server->sasl);
    conn_set_user(conn, connection);
    if (connection->session != NULL) {
        conn_limit_frames(conn, &connection->session->frame_limit);
    }
}

void api_on_close(void *context, struct conn *conn, enum conn_end end)
{
    (void)context;
    (void)end;
    struct api_connection *connection = conn_user(conn);
    conn_limit_frames(conn, NULL);
    fetch_cancel_all(&connection->fetches);
    api_connection_unref(connection);
    conn_set_user(conn, NULL);
}

void api_on_hurry(void *context, struct conn *conn)
{
    (void)context;
    struct api_connection *connection = conn_user(conn);
    fetch_answer_all(&connection->fetches);
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

/* Why a request cannot be served, and whose it is. */
static enum err fail_unserved(const struct api_request *request, struct reason *reason,
                              const char *what)
{
    const struct api_connection *client = request->connection;
    const char *name = client->software_name != NULL ? client->software_name : "unknown software";
    const char *version = client->software_version != NULL ? client->software_version : "";
    return reason_fail(reason, ERR_UNSUPPORTED, "%s is not served; the client is %s%s%s", what,
                       name, version[0] != '\0' ? " " : "", version);
}

/* ERR_UNSUPPORTED when no row of the table is for the request. An ApiVersions of any version is
 * taken, as its handler answers it (KIP-511). */
static enum err find_entry(struct api_request *request, struct reason *reason)
{
    int16_t key = request->completion.api_key;
    int16_t version = api_version(request);
    const struct wire_api_info *info = wire_api_find(key);
    const struct api_entry *entry = api_find(key);
    char what[128];
    request->entry = entry;
    if (info == NULL) {
        snprintf(what, sizeof what, "API key %d", key);
    } else if (entry == NULL) {
        snprintf(what, sizeof what, "%s (API key %d)", info->name, key);
    } else if (key != API_KEY_API_VERSIONS &&
               (version < entry->lowest_version || version > entry->highest_version)) {
        snprintf(what, sizeof what, "%s version %d (of %d to %d)", info->name, version,
                 entry->lowest_version, entry->highest_version);
    } else {
        return ERR_NONE;
    }
    return fail_unserved(request, reason, what);
}

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
    return find_entry(request, reason);
}

/* Answers a request that is not done with this error, in its own version. False: there is no such
 * answer, and the connection is to be closed. */
static bool refuse(struct api_request *request, int16_t error_code)
{
    struct api_reply reply;
    api_reply_begin(&request->completion, &reply);
    bool told = wire_refuse(&reply.writer, request->completion.api_key, api_version(request),
                            &request->body, error_code);
    if (!told || reply.writer.err != ERR_NONE) {
        wire_writer_deinit(&reply.writer);
        buf_deinit(&reply.bytes);
        return false;
    }
    api_finish(request, &reply);
    return true;
}

/* Answers a request that is not served. False: as refuse. */
static bool refuse_unserved(struct api_request *request, const struct reason *reason)
{
    char peer[sizeof request->connection->peer];
    snprintf(peer, sizeof peer, "%s", request->connection->peer);
    if (!refuse(request, KAFKA_ERROR_UNSUPPORTED_VERSION)) {
        return false;
    }
    LOG_INFO("api", "request refused", "peer=%s reason=\"%s\"", peer, reason->text);
    return true;
}

/* Does what a test wants to happen to the request instead of what it asks for. *err: what begin
 * returns then. False: nothing, and it goes on. */
static bool has_fault(struct api_request *request, enum err *err, struct reason *reason)
{
    const struct api_faults *faults = request->server->faults;
    int16_t error_code;
    enum api_fault fault = faults->judge(faults->context, request, &error_code, reason);
    *err = ERR_NONE;
    if (fault == API_FAULT_ERROR && !refuse(request, error_code)) {
        fault = API_FAULT_DROP;
        reason_set(reason, "a fault on request, and no answer that could tell its error");
    }
    if (fault == API_FAULT_DROP) {
        *err = ERR_CLOSED;
    }
    return fault != API_NO_FAULT;
}

/* What names thousands of things takes longer than a reactor has. Events are another matter: they
 * are many, and looked at by themselves. */
static bool is_large(const struct api_request *request)
{
    return request->body.bytes.size > API_QUICK_BYTES &&
           !(request->entry->flags & (API_ON_REACTOR | API_ON_WORKER));
}

/* Once it can have said what software it is. */
static void enter_client(struct api_request *request)
{
    struct api_server *server = request->server;
    if (server->clients != NULL && request->connection->client == NULL &&
        !request->connection->is_own && request->entry->key != API_KEY_API_VERSIONS &&
        sasl_session_is_open(request->connection->session)) {
        api_connection_enter(request->connection, server->clients, server->clock);
    }
}

static enum err identify(struct api_request *request, struct reason *reason)
{
    const char *who;
    if (api_connection_identify(request->connection, request->conn,
                                request->server->principal_rules, &who)) {
        return ERR_NONE;
    }
    return reason_fail(reason, ERR_INVALID,
                       "no rule of ssl.principal.mapping.rules fits the certificate of %s", who);
}

/* What it is, and whether it may be looked at: where SASL is spoken, who has not logged in learns
 * nothing else. */
static enum err admit(struct api_request *request, struct reason *reason)
{
    struct sasl_session *session = request->connection->session;
    struct reason why;
    enum err err = read_header(request, reason);
    if (session == NULL || (err != ERR_NONE && err != ERR_UNSUPPORTED)) {
        return err;
    }
    enum err admitted = sasl_session_admit(session, request->completion.api_key, &why);
    if (admitted != ERR_NONE) {
        reason_set(reason, "%s", why.text);
    }
    return admitted != ERR_NONE ? admitted : err;
}

static enum err begin(struct api_request *request, struct reason *reason)
{
    if (sasl_session_wants_raw(request->connection->session)) {
        return handle_sasl_raw_token(request, reason);
    }
    enum err err = identify(request, reason);
    if (err == ERR_NONE) {
        err = admit(request, reason);
    }
    if (err == ERR_UNSUPPORTED && refuse_unserved(request, reason)) {
        return ERR_NONE;
    }
    if (err != ERR_NONE) {
        return err;
    }
    const struct api_entry *entry = request->entry;
    api_connection_set_client_id(request->connection, request->client_id);
    enter_client(request);
    if (request->server->faults != NULL && has_fault(request, &err, reason)) {
        return err;
    }
    if (entry->flags & API_WITH_ADDRESS) {
        set_address(request, request->conn);
    }
    if (entry->flags & (API_ON_WORKER | API_MAY_PARK)) {
        if (!api_reserve(request)) {
            api_refuse_for_memory(request, request->body);
            return ERR_NONE;
        }
        request->client_id = api_moved(request->client_id, api_take_frame(request));
    }
    if (entry->flags & API_SLOW) {
        request->speed = WORKER_SLOW;
    }
    if (is_large(request)) {
        return api_handle_slowly(request, request->body);
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
