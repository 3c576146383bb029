#ifndef TIDINGS_API_SASL_SESSION_H
#define TIDINGS_API_SASL_SESSION_H

#include "base/clock.h"
#include "security/sasl.h"

#include <stdatomic.h>

/*
 * Where a connection of a listener with SASL stands: it says how it logs in (SaslHandshake), logs
 * in by tokens, and is open until its login expires (KIP-368), or logs in again meanwhile. A value
 * of the connection, on its reactor, or on the worker that has its one request; `open` and the
 * limit are read by any thread.
 */

/* What all sessions share. Filled before the first connection, then unchanged but for the counts.
 */
struct sasl_service {
    struct users *users;
    const bool *listeners; /* whether one speaks SASL, by its index */
    size_t listener_count;
    unsigned mechanisms;      /* sasl.enabled.mechanisms, as of sasl_set */
    int64_t max_reauth_ms;    /* connections.max.reauth.ms; 0: a login does not expire */
    int32_t failed_delay_ms;  /* connection.failed.authentication.delay.ms */
    size_t max_receive_bytes; /* sasl.server.max.receive.size */
    const struct clock *clock;
    _Atomic uint64_t logins; /* that succeeded, those of re-authentication too */
    _Atomic uint64_t failures;
    _Atomic uint64_t expired; /* connections that were closed as their login had expired */
};

enum sasl_state { SASL_WANTS_HANDSHAKE, SASL_WANTS_TOKEN, SASL_IS_OPEN };

struct sasl_session {
    struct sasl_service *service;
    atomic_size_t frame_limit; /* of conn_limit_frames */
    enum sasl_state state;
    bool is_raw;   /* tokens come without a request around them (SaslHandshake version 0) */
    bool is_again; /* it was open before */
    bool changes_mechanism;
    enum sasl_mechanism mechanism;
    struct sasl_login *login; /* while it wants a token */
    int64_t expires_ms;       /* mono; 0: never */
    int64_t again_ms;         /* mono, when it last began to log in again; 0: never */
};

/* Of a connection at this listener; NULL when that speaks no SASL, or service is NULL. */
struct sasl_session *sasl_session_new(struct sasl_service *service, unsigned listener);
/* NULL does nothing. */
void sasl_session_free(struct sasl_session *session);

/* Whether it is served; so is who needs no session (NULL). */
static inline bool sasl_session_is_open(const struct sasl_session *session)
{
    return session == NULL || session->state == SASL_IS_OPEN;
}

/* Whether the next frame is a token and no request. session may be NULL. */
static inline bool sasl_session_wants_raw(const struct sasl_session *session)
{
    return session != NULL && session->state == SASL_WANTS_TOKEN && session->is_raw;
}

/*
 * Whether a request of this API may be looked at now. ERR_INVALID, ERR_TIMEOUT (the login has
 * expired, which is counted): the connection is to be closed, and the reason says why.
 */
CHECKED enum err sasl_session_admit(struct sasl_session *session, int16_t api_key,
                                    struct reason *reason);

/* Whether the service serves the mechanism. */
bool sasl_service_has(const struct sasl_service *service, enum sasl_mechanism mechanism);

/*
 * A handshake has come: it wants tokens from now on. False: there is no place for one, as a login
 * is under way, or began less than a second ago on a session that was open (as with Kafka).
 */
CHECKED bool sasl_session_begin(struct sasl_session *session, enum sasl_mechanism mechanism,
                                bool is_raw);

/*
 * Takes a token; as sasl_take. A login with another mechanism than before fails.
 */
enum sasl_step sasl_session_take(struct sasl_session *session, struct slice token,
                                 struct buf *answer, struct reason *reason);

/* A login succeeded: opens the session and tells its lifetime in ms, 0 without an end. */
int64_t sasl_session_open(struct sasl_session *session);

/* A login failed: no token is taken any more, and the connection is to be closed. */
void sasl_session_fail(struct sasl_session *session);

#endif
