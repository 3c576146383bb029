#include "wire/generated/sasl_handshake.h"

#include "api/handlers.h"
#include "api/sasl_session.h"
#include "base/logger.h"

/* How a client will log in (KIP-43; version 1: by SaslAuthenticate, KIP-152). */

static void add_mechanisms(struct api_request *request, const struct sasl_service *service,
                           struct sasl_handshake_response *response)
{
    response->mechanisms = api_alloc(request, SASL_MECHANISMS, sizeof *response->mechanisms);
    for (int i = 0; i < SASL_MECHANISMS; i++) {
        if (sasl_service_has(service, (enum sasl_mechanism)i)) {
            response->mechanisms[response->mechanisms_count++] =
                slice_str(sasl_name((enum sasl_mechanism)i));
        }
    }
}

/* Answers, and closes the connection behind that. */
static void refuse(struct api_request *request, const struct sasl_handshake_response *response)
{
    struct api_reply reply;
    api_hold(request);
    api_reply_begin(&request->completion, &reply);
    reply.ending = API_ANSWERS_LAST;
    reply.hold_ms = request->connection->session->service->failed_delay_ms;
    sasl_handshake_response_encode(&reply.writer, api_version(request), response);
    api_finish(request, &reply);
}

static void refuse_mechanism(struct api_request *request, struct slice mechanism,
                             struct sasl_handshake_response *response)
{
    struct sasl_session *session = request->connection->session;
    LOG_WARN("api", "a login was refused", "peer=%s user=\"\" mechanism=\"%.*s\" reason=\"%s\"",
             request->connection->peer, mechanism.size < 64 ? (int)mechanism.size : 64,
             (const char *)mechanism.data,
             "this mechanism is not served (sasl.enabled.mechanisms)");
    response->error_code = KAFKA_ERROR_UNSUPPORTED_SASL_MECHANISM;
    sasl_session_fail(session);
    refuse(request, response);
}

enum err handle_sasl_handshake(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct sasl_session *session = request->connection->session;
    struct sasl_handshake_request body;
    enum sasl_mechanism mechanism;
    enum err err = sasl_handshake_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct sasl_handshake_response response;
    sasl_handshake_response_init(&response);
    response.mechanisms = api_alloc(request, 0, sizeof *response.mechanisms);
    if (session == NULL) { /* as Kafka answers on a listener without SASL */
        response.error_code = KAFKA_ERROR_ILLEGAL_SASL_STATE;
        API_REPLY(request, sasl_handshake_response_encode, &response);
        return ERR_NONE;
    }
    bool is_in_login = session->state == SASL_WANTS_TOKEN;
    add_mechanisms(request, session->service, &response);
    if (!is_in_login && (!sasl_find(body.mechanism, &mechanism) ||
                         !sasl_service_has(session->service, mechanism))) {
        refuse_mechanism(request, body.mechanism, &response);
    } else if (is_in_login || !sasl_session_begin(session, mechanism, api_version(request) == 0)) {
        response.error_code = KAFKA_ERROR_ILLEGAL_SASL_STATE;
        if (is_in_login) {
            refuse(request, &response);
        } else {
            API_REPLY(request, sasl_handshake_response_encode, &response);
        }
    } else {
        API_REPLY(request, sasl_handshake_response_encode, &response);
    }
    return ERR_NONE;
}
