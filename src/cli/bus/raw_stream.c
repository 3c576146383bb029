#include "cli/bus/raw_stream.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_MOST = 300, ONE_CALL_MOST = 1 << 20 };

struct raw_stream raw_stream_none(void)
{
    return (struct raw_stream){.fd = -1};
}

bool raw_stream_is_open(const struct raw_stream *stream)
{
    return stream->fd >= 0;
}

void raw_stream_close(struct raw_stream *stream)
{
    if (stream->tls != NULL && SSL_is_init_finished(stream->tls)) {
        SSL_shutdown(stream->tls); /* says so, and waits for no answer */
    }
    SSL_free(stream->tls);
    ERR_clear_error();
    if (stream->fd >= 0) {
        close(stream->fd);
    }
    *stream = raw_stream_none();
}

static enum err wait_for(int fd, short events, int64_t until_ms, struct reason *reason)
{
    int64_t left_ms = until_ms - clock_mono_ms(clock_system());
    struct pollfd waiting = {.fd = fd, .events = events};
    int ready = left_ms > 0 ? poll(&waiting, 1, (int)left_ms) : 0;
    if (ready == 0) {
        return reason_fail(reason, ERR_TIMEOUT, "no answer in time");
    }
    return ready > 0 || errno == EINTR ? ERR_NONE : reason_errno(reason, "poll");
}

static enum err fail_closed(struct reason *reason)
{
    return reason_fail(reason, ERR_CLOSED, "the broker closed the connection");
}

/* --- TLS --- */

static const char *what_failed(const SSL *tls, unsigned long code)
{
    switch (ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_BAD_RECORD_TYPE:
        return "the broker does not speak TLS there";
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return X509_verify_cert_error_string(SSL_get_verify_result(tls));
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the broker refuses; does it want a certificate of ours (ssl.certificate.location, "
               "ssl.key.location)?";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return "the broker refuses our certificate (ssl.certificate.location)";
    default: {
        const char *text = ERR_reason_error_string(code);
        return text != NULL ? text : "the session is broken";
    }
    }
}

static enum err fail_tls(const SSL *tls, struct reason *reason)
{
    unsigned long code = ERR_peek_error();
    bool is_by_certificate =
        ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    reason_set(
        reason, "TLS: %s%s%s", is_by_certificate ? "the broker's certificate is refused: " : "",
        what_failed(tls, code), is_by_certificate ? " (ssl.ca.location names whom to trust)" : "");
    ERR_clear_error();
    return ERR_IO;
}

/* Behind a call that moved nothing: waits until it is worth another try. */
static enum err settle(struct raw_stream *stream, int result, int saved_errno, int64_t until_ms,
                       struct reason *reason)
{
    switch (SSL_get_error(stream->tls, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(stream->fd, POLLIN, until_ms, reason);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(stream->fd, POLLOUT, until_ms, reason);
    case SSL_ERROR_ZERO_RETURN:
        return fail_closed(reason);
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        if (saved_errno == 0 || saved_errno == EPIPE || saved_errno == ECONNRESET) {
            return fail_closed(reason);
        }
        return reason_fail(reason, ERR_IO, "connection: %s", strerrordesc_np(saved_errno));
    default:
        return fail_tls(stream->tls, reason);
    }
}

/* Server name indication is of names only. */
static bool say_host(SSL *tls, const char *host)
{
    struct in6_addr any;
    bool is_address = inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
    return is_address || SSL_ctrl(tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                                  (void *)(uintptr_t)host) == 1;
}

static enum err shake_hands(struct raw_stream *stream, const struct raw_security *security,
                            const char *host, int64_t until_ms, struct reason *reason)
{
    ERR_clear_error();
    stream->tls = SSL_new(security->tls);
    BIO *bio = BIO_new(security->socket);
    if (stream->tls == NULL || bio == NULL) {
        BIO_free(bio);
        return reason_fail(reason, ERR_IO, "TLS cannot be had: %s", raw_security_error());
    }
    BIO_set_fd(bio, stream->fd, BIO_NOCLOSE);
    SSL_set_bio(stream->tls, bio, bio);
    SSL_set_connect_state(stream->tls);
    if (!say_host(stream->tls, host) ||
        (security->is_host_checked && SSL_set1_host(stream->tls, host) != 1)) {
        return reason_fail(reason, ERR_INVALID, "host '%.100s': %s", host, raw_security_error());
    }
    enum err err = ERR_NONE;
    while (err == ERR_NONE && !SSL_is_init_finished(stream->tls)) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_do_handshake(stream->tls);
        err = result == 1 ? ERR_NONE : settle(stream, result, errno, until_ms, reason);
    }
    return err;
}

/* --- bytes --- */

enum err raw_stream_open(struct raw_stream *stream, const struct raw_security *security,
                         const char *address, int64_t until_ms, struct reason *reason)
{
    char host[HOST_MOST];
    int64_t left_ms = until_ms - clock_mono_ms(clock_system());
    *stream = raw_stream_none();
    if (left_ms <= 0) {
        return reason_fail(reason, ERR_TIMEOUT, "no answer in time");
    }
    enum err err = connection_host(address, host, sizeof host, reason);
    if (err == ERR_NONE) {
        err = connection_dial(address, (int)left_ms, &stream->fd, reason);
    }
    if (err == ERR_NONE && security->tls != NULL) {
        err = shake_hands(stream, security, host, until_ms, reason);
    }
    if (err != ERR_NONE) {
        raw_stream_close(stream);
    }
    return err;
}

/* Moves some of it, or waits until some can be. */
static enum err move_plain(struct raw_stream *stream, bool is_out, uint8_t *bytes, size_t size,
                           int64_t until_ms, size_t *moved, struct reason *reason)
{
    ssize_t count =
        is_out ? send(stream->fd, bytes, size, MSG_NOSIGNAL) : recv(stream->fd, bytes, size, 0);
    *moved = count > 0 ? (size_t)count : 0;
    if (count > 0) {
        return ERR_NONE;
    }
    if (count == 0 || errno == EPIPE || errno == ECONNRESET) {
        return fail_closed(reason);
    }
    if (errno == EAGAIN || errno == EINTR) {
        return wait_for(stream->fd, is_out ? POLLOUT : POLLIN, until_ms, reason);
    }
    return reason_errno(reason, "connection");
}

static enum err move_tls(struct raw_stream *stream, bool is_out, uint8_t *bytes, size_t size,
                         int64_t until_ms, size_t *moved, struct reason *reason)
{
    *moved = 0;
    ERR_clear_error();
    errno = 0;
    int result = is_out ? SSL_write_ex(stream->tls, bytes, size, moved)
                        : SSL_read_ex(stream->tls, bytes, size, moved);
    return result == 1 ? ERR_NONE : settle(stream, result, errno, until_ms, reason);
}

/* A piece at a time, as a broker that sends on and on is not to be heard behind until_ms. */
static enum err carry(struct raw_stream *stream, bool is_out, uint8_t *bytes, size_t size,
                      int64_t until_ms, struct reason *reason)
{
    enum err err = ERR_NONE;
    while (err == ERR_NONE && size > 0) {
        size_t moved;
        size_t some = size < ONE_CALL_MOST ? size : ONE_CALL_MOST;
        err = stream->tls != NULL
                  ? move_tls(stream, is_out, bytes, some, until_ms, &moved, reason)
                  : move_plain(stream, is_out, bytes, some, until_ms, &moved, reason);
        bytes += moved;
        size -= moved;
        if (err == ERR_NONE && size > 0 && clock_mono_ms(clock_system()) > until_ms) {
            err = reason_fail(reason, ERR_TIMEOUT, "no answer in time");
        }
    }
    return err;
}

enum err raw_stream_send(struct raw_stream *stream, const uint8_t *bytes, size_t size,
                         int64_t until_ms, struct reason *reason)
{
    return carry(stream, true, (uint8_t *)(uintptr_t)bytes, size, until_ms, reason);
}

enum err raw_stream_receive(struct raw_stream *stream, uint8_t *bytes, size_t size,
                            int64_t until_ms, struct reason *reason)
{
    return carry(stream, false, bytes, size, until_ms, reason);
}
