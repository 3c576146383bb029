#include "cli/bus/raw_security.h"

#include "base/mem.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum property {
    BOOTSTRAP,
    PROTOCOL,
    VERIFICATION,
    ENDPOINT,
    CA,
    CERTIFICATE,
    KEY,
    KEY_PASSWORD,
    CIPHERS,
    MECHANISM,
    USER,
    PASSWORD,
    PROPERTIES,
};

static const char *const names[PROPERTIES] = {
    [BOOTSTRAP] = "bootstrap.servers",
    [PROTOCOL] = "security.protocol",
    [VERIFICATION] = "enable.ssl.certificate.verification",
    [ENDPOINT] = "ssl.endpoint.identification.algorithm",
    [CA] = "ssl.ca.location",
    [CERTIFICATE] = "ssl.certificate.location",
    [KEY] = "ssl.key.location",
    [KEY_PASSWORD] = "ssl.key.password",
    [CIPHERS] = "ssl.cipher.suites",
    [MECHANISM] = "sasl.mechanisms",
    [USER] = "sasl.username",
    [PASSWORD] = "sasl.password",
};

/* Where librdkafka takes certificates and keys from besides. */
static const char *const unread[] = {
    "ssl.ca.pem",       "ssl.certificate.pem", "ssl.key.pem", "ssl.keystore.location",
    "ssl.crl.location", "ssl.engine.location",
};
enum { UNREAD = sizeof unread / sizeof unread[0] };

const char *raw_security_error(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return text != NULL ? text : "OpenSSL gives no reason";
}

static void free_secret(char *secret)
{
    if (secret != NULL) {
        OPENSSL_cleanse(secret, strlen(secret));
    }
    free(secret);
}

static enum err fail(struct reason *reason, enum property property, char **values)
{
    return reason_fail(reason, ERR_CONFIG, "%s: %.200s: %s", names[property], values[property],
                       raw_security_error());
}

/* As the socket's own, but nobody is killed by a peer that has gone. */
static int write_quietly(BIO *bio, const char *bytes, int size)
{
    int fd = -1;
    BIO_get_fd(bio, &fd);
    int moved = (int)send(fd, bytes, (size_t)size, MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (moved <= 0 && BIO_sock_should_retry(moved)) {
        BIO_set_retry_write(bio);
    }
    return moved;
}

static BIO_METHOD *quiet_socket(void)
{
    const BIO_METHOD *plain = BIO_s_socket();
    BIO_METHOD *method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "quiet");
    BIO_meth_set_write(method, write_quietly);
    BIO_meth_set_read(method, BIO_meth_get_read(plain));
    BIO_meth_set_ctrl(method, BIO_meth_get_ctrl(plain));
    BIO_meth_set_create(method, BIO_meth_get_create(plain));
    BIO_meth_set_destroy(method, BIO_meth_get_destroy(plain));
    return method;
}

/* pem_password_cb. Nobody is asked at the terminal. */
static int give_password(char *to, int size, int is_writing, void *password)
{
    (void)is_writing;
    size_t length = password != NULL ? strlen(password) : 0;
    if (length == 0 || length > (size_t)size) {
        return -1;
    }
    memcpy(to, password, length);
    return (int)length;
}

static enum err use_authorities(SSL_CTX *tls, char **values, struct reason *reason)
{
    const char *from = values[CA];
    struct stat about;
    if (from == NULL || strcmp(from, "probe") == 0) {
        SSL_CTX_set_default_verify_paths(tls);
        return ERR_NONE;
    }
    bool is_folder = stat(from, &about) == 0 && S_ISDIR(about.st_mode);
    int good = SSL_CTX_load_verify_locations(tls, is_folder ? NULL : from, is_folder ? from : NULL);
    return good == 1 ? ERR_NONE : fail(reason, CA, values);
}

static enum err use_own_certificate(SSL_CTX *tls, char **values, struct reason *reason)
{
    SSL_CTX_set_default_passwd_cb(tls, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(tls, values[KEY_PASSWORD]);
    enum err err = ERR_NONE;
    if (values[CERTIFICATE] != NULL &&
        SSL_CTX_use_certificate_chain_file(tls, values[CERTIFICATE]) != 1) {
        err = fail(reason, CERTIFICATE, values);
    }
    if (err == ERR_NONE && values[KEY] != NULL &&
        (SSL_CTX_use_PrivateKey_file(tls, values[KEY], SSL_FILETYPE_PEM) != 1 ||
         SSL_CTX_check_private_key(tls) != 1)) {
        err = fail(reason, KEY, values);
    }
    SSL_CTX_set_default_passwd_cb_userdata(tls, NULL); /* it is not kept */
    return err;
}

static enum err use_tls(struct raw_security *security, char **values, struct reason *reason)
{
    ERR_clear_error();
    security->tls = SSL_CTX_new(TLS_client_method());
    security->socket = quiet_socket();
    if (security->tls == NULL) {
        return reason_fail(reason, ERR_CONFIG, "TLS cannot be had: %s", raw_security_error());
    }
    bool is_verified = values[VERIFICATION] == NULL || strcmp(values[VERIFICATION], "false") != 0;
    security->is_host_checked =
        is_verified && (values[ENDPOINT] == NULL || strcmp(values[ENDPOINT], "none") != 0);
    SSL_CTX_set_verify(security->tls, is_verified ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    /* An answer's size is in front of it, so an end that is not announced cuts nothing off. */
    SSL_CTX_set_options(security->tls, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(security->tls, SSL_MODE_ENABLE_PARTIAL_WRITE);
    enum err err = is_verified ? use_authorities(security->tls, values, reason) : ERR_NONE;
    if (err == ERR_NONE && values[CIPHERS] != NULL &&
        SSL_CTX_set_cipher_list(security->tls, values[CIPHERS]) != 1) {
        err = fail(reason, CIPHERS, values);
    }
    return err == ERR_NONE ? use_own_certificate(security->tls, values, reason) : err;
}

static enum err use_sasl(struct raw_security *security, char **values, struct reason *reason)
{
    static const char *const known[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
    const char *wanted = values[MECHANISM] != NULL ? values[MECHANISM] : "GSSAPI";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(wanted, known[i]) == 0) {
            security->mechanism = mem_strdup(wanted);
            security->user = mem_strdup(values[USER] != NULL ? values[USER] : "");
            security->password = mem_strdup(values[PASSWORD] != NULL ? values[PASSWORD] : "");
            return ERR_NONE;
        }
    }
    return reason_fail(reason, ERR_UNSUPPORTED,
                       "this is asked with sasl.mechanism=PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 "
                       "only, not with %.50s",
                       wanted);
}

/* What is asked for, and can be had here. */
static enum err use(struct raw_security *security, const struct connection_settings *settings,
                    char **values, struct reason *reason)
{
    char *others[UNREAD];
    const char *protocol = values[PROTOCOL] != NULL ? values[PROTOCOL] : "plaintext";
    security->bootstrap =
        mem_strdup(values[BOOTSTRAP] != NULL ? values[BOOTSTRAP] : settings->bootstrap_servers);
    enum err err =
        strncmp(protocol, "sasl_", 5) == 0 ? use_sasl(security, values, reason) : ERR_NONE;
    if (strcmp(protocol, "ssl") != 0 && strcmp(protocol, "sasl_ssl") != 0) {
        return err;
    }
    if (err == ERR_NONE && connection_values(settings, unread, UNREAD, others, NULL) == CLIENT_OK) {
        for (size_t i = 0; i < UNREAD; i++) {
            if (others[i] != NULL && err == ERR_NONE) {
                err = reason_fail(reason, ERR_UNSUPPORTED,
                                  "this is asked with PEM files only (ssl.ca.location, "
                                  "ssl.certificate.location, ssl.key.location), not with %s",
                                  unread[i]);
            }
            free(others[i]);
        }
    }
    return err == ERR_NONE ? use_tls(security, values, reason) : err;
}

enum err raw_security_init(struct raw_security *security, const struct bus_options *options,
                           struct reason *reason)
{
    struct connection_settings settings = bus_settings(options);
    struct client_error error;
    char *values[PROPERTIES];
    *security = (struct raw_security){0};
    if (connection_values(&settings, names, PROPERTIES, values, &error) != CLIENT_OK) {
        return reason_fail(reason, ERR_CONFIG, "%s", error.text);
    }
    enum err err = use(security, &settings, values, reason);
    for (size_t i = 0; i < PROPERTIES; i++) {
        if (i == KEY_PASSWORD || i == PASSWORD) {
            free_secret(values[i]);
        } else {
            free(values[i]);
        }
    }
    return err;
}

void raw_security_deinit(struct raw_security *security)
{
    free(security->bootstrap);
    free(security->mechanism);
    free(security->user);
    free_secret(security->password);
    SSL_CTX_free(security->tls);
    BIO_meth_free(security->socket);
    *security = (struct raw_security){0};
}
