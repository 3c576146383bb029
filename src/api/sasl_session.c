#include "api/sasl_session.h"

#include "base/mem.h"
#include "wire/api_key.h"

#include <stdlib.h>

/* Kafka's: who logs in again and again costs as who logs in anew. */
enum { AGAIN_LEAST_MS = 1000 };

struct sasl_session *sasl_session_new(struct sasl_service *service, unsigned listener)
{
    if (service == NULL || listener >= service->listener_count || !service->listeners[listener]) {
        return NULL;
    }
    struct sasl_session *session = mem_new(struct sasl_session);
    session->service = service;
    atomic_init(&session->frame_limit, service->max_receive_bytes);
    return session;
}

void sasl_session_free(struct sasl_session *session)
{
    if (session != NULL) {
        sasl_end(session->login);
        free(session);
    }
}

static const char *name_of(int16_t api_key)
{
    const struct wire_api_info *info = wire_api_find(api_key);
    return info != NULL ? info->name : "unknown";
}

static enum err admit_open(const struct sasl_session *session, int16_t api_key,
                           struct reason *reason)
{
    struct sasl_service *service = session->service;
    if (session->expires_ms == 0 || api_key == API_KEY_SASL_HANDSHAKE ||
        clock_mono_ms(service->clock) <= session->expires_ms) {
        return ERR_NONE;
    }
    atomic_fetch_add_explicit(&service->expired, 1, memory_order_relaxed);
    return reason_fail(reason, ERR_TIMEOUT,
                       "its login has expired (connections.max.reauth.ms=%lld), and it did not log "
                       "in again before this %s request",
                       (long long)service->max_reauth_ms, name_of(api_key));
}

enum err sasl_session_admit(struct sasl_session *session, int16_t api_key, struct reason *reason)
{
    if (session->state == SASL_IS_OPEN) {
        return admit_open(session, api_key, reason);
    }
    if (api_key == API_KEY_SASL_HANDSHAKE || api_key == API_KEY_SASL_AUTHENTICATE ||
        (api_key == API_KEY_API_VERSIONS && session->state == SASL_WANTS_HANDSHAKE)) {
        return ERR_NONE;
    }
    return session->state == SASL_WANTS_TOKEN
               ? reason_fail(reason, ERR_INVALID, "a request (%s) in the middle of a login",
                             name_of(api_key))
               : reason_fail(reason, ERR_INVALID,
                             "a request (%s) before a login: this listener speaks SASL, which the "
                             "client has to be told (security.protocol)",
                             name_of(api_key));
}

bool sasl_service_has(const struct sasl_service *service, enum sasl_mechanism mechanism)
{
    return (service->mechanisms & 1u << mechanism) != 0;
}

/* Whether a session that is open may log in again now. */
static bool begin_again(struct sasl_session *session, enum sasl_mechanism mechanism)
{
    int64_t now_ms = clock_mono_ms(session->service->clock);
    if (session->again_ms != 0 && now_ms - session->again_ms < AGAIN_LEAST_MS) {
        return false;
    }
    session->again_ms = now_ms;
    session->is_again = true;
    session->changes_mechanism = mechanism != session->mechanism;
    return true;
}

bool sasl_session_begin(struct sasl_session *session, enum sasl_mechanism mechanism, bool is_raw)
{
    if (session->state == SASL_WANTS_TOKEN ||
        (session->state == SASL_IS_OPEN && !begin_again(session, mechanism))) {
        return false;
    }
    session->mechanism = mechanism;
    session->is_raw = is_raw;
    session->login = sasl_begin(mechanism, session->service->users);
    session->state = SASL_WANTS_TOKEN;
    return true;
}

enum sasl_step sasl_session_take(struct sasl_session *session, struct slice token,
                                 struct buf *answer, struct reason *reason)
{
    if (session->changes_mechanism) {
        reason_set(reason, "another mechanism than before");
        return SASL_FAILS;
    }
    return sasl_take(session->login, token, answer, reason);
}

static void end_login(struct sasl_session *session)
{
    sasl_end(session->login);
    session->login = NULL;
    session->is_raw = false;
}

int64_t sasl_session_open(struct sasl_session *session)
{
    struct sasl_service *service = session->service;
    end_login(session);
    session->state = SASL_IS_OPEN;
    session->expires_ms =
        service->max_reauth_ms > 0 ? clock_mono_ms(service->clock) + service->max_reauth_ms : 0;
    atomic_store_explicit(&session->frame_limit, SIZE_MAX, memory_order_release);
    atomic_fetch_add_explicit(&service->logins, 1, memory_order_relaxed);
    return service->max_reauth_ms;
}

void sasl_session_fail(struct sasl_session *session)
{
    end_login(session);
    session->state = SASL_WANTS_HANDSHAKE;
    atomic_fetch_add_explicit(&session->service->failures, 1, memory_order_relaxed);
}
