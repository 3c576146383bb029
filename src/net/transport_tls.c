#include "net/tls_context.h"

#include "base/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * TLS between net and the socket. OpenSSL reads from and writes to the descriptor itself, one
 * record at a time; it never waits, as the socket does not.
 */
enum {
    RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH,
    SESSION_BYTES = 24 << 10, /* a session at rest, measured; its buffers come and go */
};

struct session {
    SSL *ssl;
    bool broken;     /* nothing more may be sent */
    bool has_more;   /* the last receive ended as its caller had room for no more */
    char *peer_name; /* NULL: none */
    char failure[224];
};

static bool open_session(struct transport *transport)
{
    SSL *ssl = tls_session((struct tls *)(uintptr_t)transport->kind);
    if (ssl == NULL || SSL_set_fd(ssl, transport->fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return false;
    }
    SSL_set_accept_state(ssl);
    struct session *session = mem_new(struct session);
    session->ssl = ssl;
    transport->session = session;
    transport->shakes_hands = true;
    return true;
}

/* After each call: the handshake may have come to its end in it. */
static void look_at_handshake(struct transport *transport)
{
    struct session *session = transport->session;
    if (transport->shakes_hands && SSL_is_init_finished(session->ssl)) {
        transport->shakes_hands = false;
        X509 *certificate = SSL_get0_peer_certificate(session->ssl);
        session->peer_name = certificate != NULL ? tls_subject(certificate) : NULL;
    }
}

static const char *what_failed(const SSL *ssl, unsigned long code)
{
    switch (ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return "the peer speaks HTTP to a listener of Kafka's protocol over TLS";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_BAD_RECORD_TYPE:
        return "the peer does not speak TLS (security.protocol=SSL is missing in its settings?)";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
        return "the peer speaks no version of TLS that is served (ssl.enabled.protocols)";
    case SSL_R_NO_SHARED_CIPHER:
        return "the peer has no cipher that is served (ssl.cipher.suites)";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "the peer shows no certificate (ssl.client.auth=required)";
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return X509_verify_cert_error_string(SSL_get_verify_result(ssl));
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return "the peer does not trust the certificate of this server (unknown authority)";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "the certificate of this server has expired, says the peer";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        return "the peer refuses the certificate of this server";
    default: {
        const char *text = ERR_reason_error_string(code);
        return text != NULL ? text : "the session is broken";
    }
    }
}

static ssize_t fail(struct transport *transport)
{
    struct session *session = transport->session;
    unsigned long code = ERR_peek_error();
    bool by_certificate =
        ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    snprintf(session->failure, sizeof session->failure, "TLS: %s%s",
             by_certificate ? "the certificate of the peer is refused: " : "",
             what_failed(session->ssl, code));
    transport->failure = session->failure;
    ERR_clear_error();
    session->broken = true;
    return TRANSPORT_FAILED;
}

/* The result for a call that moved nothing. */
static ssize_t refusal(struct transport *transport, int result, int saved_errno)
{
    struct session *session = transport->session;
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TRANSPORT_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TRANSPORT_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TRANSPORT_END;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        session->broken = true;
        if (saved_errno == 0 || saved_errno == EPIPE || saved_errno == ECONNRESET ||
            saved_errno == ETIMEDOUT) {
            return TRANSPORT_GONE;
        }
        transport->failure = strerrordesc_np(saved_errno);
        return TRANSPORT_FAILED;
    default:
        return fail(transport);
    }
}

/* Fills the piece as far as there is something; false: there was no more, and *result says why. */
static bool fill(struct transport *transport, const struct iovec *piece, ssize_t *total,
                 ssize_t *result)
{
    struct session *session = transport->session;
    for (size_t have = 0; have < piece->iov_len;) {
        size_t got = 0;
        ERR_clear_error();
        errno = 0;
        int good = SSL_read_ex(session->ssl, (uint8_t *)piece->iov_base + have,
                               piece->iov_len - have, &got);
        if (good != 1) {
            *result = refusal(transport, good, errno);
            return false;
        }
        have += got;
        *total += (ssize_t)got;
    }
    return true;
}

static ssize_t receive(struct transport *transport, const struct iovec *iov, int count)
{
    struct session *session = transport->session;
    ssize_t total = 0;
    ssize_t result = TRANSPORT_END;
    session->has_more = true;
    for (int i = 0; i < count && session->has_more; i++) {
        session->has_more = fill(transport, &iov[i], &total, &result);
    }
    look_at_handshake(transport);
    return total > 0 ? total : result;
}

/* One record: of the first piece alone when it fills one, else of as many as do, put together. A
 * record that was refused is made again from the same bytes, as OpenSSL wants it. */
static size_t gather_record(const struct iovec *iov, int count, size_t skip, uint8_t *scratch,
                            const uint8_t **from)
{
    size_t size = 0;
    const uint8_t *first = (const uint8_t *)iov[0].iov_base + skip;
    if (iov[0].iov_len - skip >= RECORD_BYTES) {
        *from = first;
        return RECORD_BYTES;
    }
    for (int i = 0; i < count && size < RECORD_BYTES; i++) {
        size_t left = iov[i].iov_len - skip;
        size_t part = left < RECORD_BYTES - size ? left : RECORD_BYTES - size;
        memcpy(scratch + size, (const uint8_t *)iov[i].iov_base + skip, part);
        size += part;
        skip = 0;
    }
    *from = scratch;
    return size;
}

static ssize_t send_bytes(struct transport *transport, const struct iovec *iov, int count,
                          bool more)
{
    (void)more;
    struct session *session = transport->session;
    uint8_t scratch[RECORD_BYTES];
    ssize_t total = 0;
    size_t skip = 0; /* of the first piece that is left */
    while (count > 0) {
        const uint8_t *from;
        size_t size = gather_record(iov, count, skip, scratch, &from);
        size_t sent = 0;
        ERR_clear_error();
        errno = 0;
        int good = size == 0 ? 1 : SSL_write_ex(session->ssl, from, size, &sent);
        if (good != 1) {
            ssize_t result = refusal(transport, good, errno);
            look_at_handshake(transport);
            return total > 0 ? total : result;
        }
        total += (ssize_t)sent;
        skip += sent;
        while (count > 0 && skip >= iov[0].iov_len) {
            skip -= iov[0].iov_len;
            iov++;
            count--;
        }
    }
    look_at_handshake(transport);
    return total;
}

static bool has_pending(const struct transport *transport)
{
    const struct session *session = transport->session;
    return session->has_more;
}

static const char *peer_name(const struct transport *transport)
{
    const struct session *session = transport->session;
    return session->peer_name;
}

/* Tells the peer that this is the end, not a cut; once. */
static void say_end(const struct session *session)
{
    if (SSL_is_init_finished(session->ssl) && !session->broken) {
        SSL_shutdown(session->ssl);
    }
    ERR_clear_error();
}

static void end(struct transport *transport)
{
    say_end(transport->session);
    shutdown(transport->fd, SHUT_WR);
}

static void close_session(struct transport *transport)
{
    struct session *session = transport->session;
    say_end(session);
    SSL_free(session->ssl);
    free(session->peer_name);
    free(session);
    close(transport->fd);
}

/* kTLS would allow a send_file; without it net reads the file, and its bytes are encrypted here. */
const struct transport_kind tls_kind = {
    .session_bytes = SESSION_BYTES,
    .open = open_session,
    .receive = receive,
    .send = send_bytes,
    .has_pending = has_pending,
    .peer_name = peer_name,
    .end = end,
    .close = close_session,
};
