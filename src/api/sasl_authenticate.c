#include "wire/generated/sasl_authenticate.h"

#include "api/handlers.h"
#include "api/sasl_session.h"
#include "base/logger.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The tokens of a login: in SaslAuthenticate (KIP-152), or bare behind a SaslHandshake of version
 * 0, where a frame is a token, so is the answer, and a failure is a connection that ends. A client
 * is not told why its login failed, and not at once (connection.failed.authentication.delay.ms): no
 * thread waits for that. The log is told.
 */

/* One token and what became of it. */
struct attempt {
    struct buf answer;
    enum sasl_step step;
    struct reason reason; /* for the log */
    char told[256];       /* to the client, of a failure */
    int64_t lifetime_ms;
};

static struct sasl_session *session_of(const struct api_request *request)
{
    return request->connection->session;
}

static void reply_raw(struct api_request *request, struct attempt *attempt)
{
    struct api_reply reply = {.ending = API_ANSWERS};
    if (attempt->step == SASL_FAILS) {
        reply.ending = API_CLOSES;
        reply.hold_ms = session_of(request)->service->failed_delay_ms;
    } else {
        wire_writer_init(&reply.writer, &reply.bytes);
        buf_append_slice(&reply.bytes, buf_slice(&attempt->answer));
    }
    api_finish(request, &reply);
}

static void reply_framed(struct api_request *request, struct attempt *attempt)
{
    struct api_reply reply;
    struct sasl_authenticate_response response;
    sasl_authenticate_response_init(&response);
    response.auth_bytes = attempt->answer.size > 0 ? buf_slice(&attempt->answer) : slice_str("");
    response.session_lifetime_ms = attempt->lifetime_ms;
    api_reply_begin(&request->completion, &reply);
    if (attempt->step == SASL_FAILS) {
        response.error_code = KAFKA_ERROR_SASL_AUTHENTICATION_FAILED;
        response.error_message = slice_str(attempt->told);
        response.auth_bytes = slice_str("");
        reply.ending = API_ANSWERS_LAST;
        reply.hold_ms = session_of(request)->service->failed_delay_ms;
    }
    sasl_authenticate_response_encode(&reply.writer, api_version(request), &response);
    api_finish(request, &reply);
}

/* Whose login it is counts once: who logs in again is who he was. */
static void settle_principal(struct api_request *request, struct attempt *attempt)
{
    struct api_connection *connection = request->connection;
    struct sasl_session *session = connection->session;
    struct slice user = sasl_user(session->login);
    char *principal = mem_sprintf("User:%.*s", SLICE_ARGS(user));
    if (!session->is_again) {
        free(connection->principal);
        connection->principal = principal;
        connection->is_identified = true;
        return;
    }
    if (strcmp(principal, connection->principal) != 0) {
        attempt->step = SASL_FAILS;
        reason_set(&attempt->reason, "it was %s before", connection->principal);
        snprintf(attempt->told, sizeof attempt->told,
                 "Cannot change principals during re-authentication");
    }
    free(principal);
}

static void note_failure(struct api_request *request, struct attempt *attempt)
{
    struct sasl_session *session = session_of(request);
    LOG_WARN("api", "a login was refused", "peer=%s user=\"%.*s\" mechanism=\"%s\" reason=\"%s\"",
             request->connection->peer, SLICE_ARGS(sasl_user(session->login)),
             sasl_name(session->mechanism), attempt->reason.text);
    if (attempt->told[0] == '\0') {
        snprintf(attempt->told, sizeof attempt->told,
                 "Authentication failed during %s due to invalid credentials with SASL mechanism "
                 "%s",
                 session->is_again ? "re-authentication" : "authentication",
                 sasl_name(session->mechanism));
    }
    sasl_session_fail(session);
}

/* The end of a token's request: on its reactor, or on the worker that checked its password. */
static enum err finish(struct api_request *request, struct attempt *attempt)
{
    struct sasl_session *session = session_of(request);
    struct buf answer = attempt->answer;
    bool is_raw = session->is_raw;
    if (attempt->step == SASL_SUCCEEDS) {
        settle_principal(request, attempt);
    }
    if (attempt->step == SASL_SUCCEEDS) {
        attempt->lifetime_ms = sasl_session_open(session);
    } else if (attempt->step == SASL_FAILS) {
        api_hold(request); /* no frame is looked at while the answer is held back */
        note_failure(request, attempt);
    }
    if (is_raw) {
        reply_raw(request, attempt);
    } else {
        reply_framed(request, attempt);
    }
    buf_deinit(&answer);
    return ERR_NONE;
}

static enum err check_password(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct attempt attempt = {0};
    attempt.step = sasl_check(session_of(request)->login, &attempt.reason);
    return finish(request, &attempt);
}

/* Never on a reactor: it takes some thousand hashes. Workers take turns between addresses, and
 * leave one thread for what is quick. */
static enum err check_slowly(struct api_request *request, struct reason *reason)
{
    if (request->own_frame == NULL) {
        if (!api_reserve(request)) {
            return reason_fail(reason, ERR_LIMIT,
                               "no room for this login: the memory for requests is used up "
                               "(memory.max)");
        }
        request->client_id = api_moved(request->client_id, api_take_frame(request));
    }
    return api_go_on_slowly(request, check_password);
}

static enum err take_token(struct api_request *request, struct slice token, struct reason *reason)
{
    struct attempt attempt = {0};
    attempt.step = sasl_session_take(session_of(request), token, &attempt.answer, &attempt.reason);
    return attempt.step == SASL_WAITS ? check_slowly(request, reason) : finish(request, &attempt);
}

enum err handle_sasl_raw_token(struct api_request *request, struct reason *reason)
{
    request->completion.api_key = API_KEY_SASL_AUTHENTICATE; /* for whoever names it */
    return take_token(request, request->body.bytes, reason);
}

/* There is no login that this could belong to. Who has none at all is closed. */
static void refuse_state(struct api_request *request, bool closes)
{
    struct api_reply reply;
    struct sasl_authenticate_response response;
    sasl_authenticate_response_init(&response);
    response.error_code = KAFKA_ERROR_ILLEGAL_SASL_STATE;
    response.error_message = slice_str("SaslAuthenticate goes behind a SaslHandshake");
    response.auth_bytes = slice_str("");
    if (closes) {
        api_hold(request);
    }
    api_reply_begin(&request->completion, &reply);
    reply.ending = closes ? API_ANSWERS_LAST : API_ANSWERS;
    sasl_authenticate_response_encode(&reply.writer, api_version(request), &response);
    api_finish(request, &reply);
}

enum err handle_sasl_authenticate(struct api_request *request, struct reason *reason)
{
    const struct sasl_session *session = session_of(request);
    struct sasl_authenticate_request body;
    enum err err = sasl_authenticate_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (session == NULL || session->state != SASL_WANTS_TOKEN) {
        refuse_state(request, !sasl_session_is_open(session));
        return ERR_NONE;
    }
    return take_token(request, body.auth_bytes, reason);
}
