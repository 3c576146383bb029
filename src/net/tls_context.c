#include "net/tls_context.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/siphash.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_BYTES_MOST = 1 << 20 };

const char *tls_error(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return text != NULL ? text : "OpenSSL gives no reason";
}

static enum err read_whole(const char *setting, const char *path, struct buf *out,
                           struct reason *reason)
{
    char *data;
    size_t size;
    struct reason why;
    enum err err = file_load(file_ops_system(), path, FILE_BYTES_MOST, &data, &size, &why);
    if (err != ERR_NONE) {
        return reason_fail(reason, ERR_CONFIG, "%s: %s cannot be read: %s", setting, path,
                           why.text);
    }
    buf_append(out, data, size);
    OPENSSL_cleanse(data, size);
    free(data);
    return ERR_NONE;
}

/* All files of a list with commas, one behind the other. */
static enum err read_files(const char *setting, const char *list, struct buf *out,
                           struct reason *reason)
{
    enum err err = ERR_NONE;
    for (const char *at = list; err == ERR_NONE && *at != '\0';) {
        size_t size = strcspn(at, ",");
        char *path = mem_strndup(at, size);
        err = read_whole(setting, path, out, reason);
        buf_append(out, "\n", 1);
        free(path);
        at += size + (at[size] == ',');
    }
    return err;
}

/* Changes when any of the files does: size, place, and time to the nanosecond. */
static uint64_t state_of(const char *list, uint64_t state)
{
    for (const char *at = list; *at != '\0';) {
        size_t size = strcspn(at, ",");
        char *path = mem_strndup(at, size);
        struct stat stat_buf;
        int64_t facts[5] = {(int64_t)state};
        if (stat(path, &stat_buf) == 0) {
            facts[1] = (int64_t)stat_buf.st_ino;
            facts[2] = stat_buf.st_size;
            facts[3] = stat_buf.st_mtim.tv_sec;
            facts[4] = stat_buf.st_mtim.tv_nsec;
        }
        state = siphash128(&(struct siphash_key){0}, facts, sizeof facts).low;
        free(path);
        at += size + (at[size] == ',');
    }
    return state;
}

/* pem_password_cb of PEM_read_bio_PrivateKey. */
static int give_password(char *to, int size, int is_writing, void *context)
{
    (void)is_writing;
    size_t length = strlen(context);
    if (length > (size_t)size) {
        return -1;
    }
    memcpy(to, context, length);
    return (int)length;
}

static enum err use_key(const struct tls *tls, SSL_CTX *context, struct buf *pem,
                        struct reason *reason)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_password, tls->key_password);
    enum err err = ERR_NONE;
    if (key == NULL) {
        unsigned long code = ERR_peek_error();
        bool is_none =
            ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
        bool is_locked = !is_none && strstr(buf_cstr(pem), "ENCRYPTED");
        const char *why = tls_error();
        err = reason_fail(reason, ERR_CONFIG, "ssl.keystore.location: %s has no private key%s%s",
                          tls->keystore,
                          is_none     ? " (PRIVATE KEY); name its file as well, with a comma"
                          : is_locked ? " that ssl.key.password opens: "
                                      : " that can be read: ",
                          is_none ? "" : why);
    } else if (SSL_CTX_use_PrivateKey(context, key) != 1 ||
               SSL_CTX_check_private_key(context) != 1) {
        ERR_clear_error();
        err = reason_fail(reason, ERR_CONFIG,
                          "ssl.keystore.location: the private key of %s is not that of its first "
                          "certificate",
                          tls->keystore);
    }
    EVP_PKEY_free(key);
    BIO_free(bio);
    return err;
}

/* The first certificate, and behind it those that lead to its authority. */
static enum err use_certificates(const struct tls *tls, SSL_CTX *context, const struct buf *pem,
                                 struct reason *reason)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    size_t count = 0;
    bool good = true;
    X509 *certificate;
    while (good && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        good = count++ == 0 ? SSL_CTX_use_certificate(context, certificate) == 1
                            : SSL_CTX_add1_chain_cert(context, certificate) == 1;
        X509_free(certificate);
    }
    BIO_free(bio);
    /* The end of the file is an error of PEM's, which is none. */
    unsigned long code = ERR_peek_last_error();
    bool is_end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    if (good && count > 0 && is_end) {
        ERR_clear_error();
        return ERR_NONE;
    }
    if (count == 0 && is_end) {
        ERR_clear_error();
        return reason_fail(reason, ERR_CONFIG, "ssl.keystore.location: no CERTIFICATE in %s",
                           tls->keystore);
    }
    return reason_fail(reason, ERR_CONFIG, "ssl.keystore.location: certificate %zu of %s: %s",
                       good ? count + 1 : count, tls->keystore, tls_error());
}

static enum err use_keystore(const struct tls *tls, SSL_CTX *context, struct reason *reason)
{
    struct buf pem = {0};
    enum err err = read_files("ssl.keystore.location", tls->keystore, &pem, reason);
    if (err == ERR_NONE) {
        err = use_certificates(tls, context, &pem, reason);
    }
    if (err == ERR_NONE) {
        err = use_key(tls, context, &pem, reason);
    }
    if (pem.size > 0) {
        OPENSSL_cleanse(pem.data, pem.size);
    }
    buf_deinit(&pem);
    return err;
}

static enum err use_truststore(const struct tls *tls, SSL_CTX *context, struct reason *reason)
{
    struct buf pem = {0};
    size_t count = 0;
    enum err err = read_files("ssl.truststore.location", tls->truststore, &pem, reason);
    if (err == ERR_NONE) {
        BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
        X509 *certificate;
        while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
            SSL_CTX_add_client_CA(context, certificate);
            X509_free(certificate);
            ERR_clear_error(); /* one may be there twice */
            count++;
        }
        BIO_free(bio);
        unsigned long code = ERR_peek_last_error();
        if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE) {
            err = reason_fail(reason, ERR_CONFIG,
                              "ssl.truststore.location: certificate %zu of %s: %s", count + 1,
                              tls->truststore, tls_error());
        }
        ERR_clear_error();
    }
    buf_deinit(&pem);
    if (err == ERR_NONE && count == 0) {
        return reason_fail(reason, ERR_CONFIG,
                           "ssl.truststore.location: no CERTIFICATE in %s, by which clients' "
                           "certificates could be trusted",
                           tls->truststore);
    }
    return err;
}

static enum err use_protocols(const struct tls *tls, SSL_CTX *context, struct reason *reason)
{
    bool has_12 = false;
    bool has_13 = false;
    for (const char *at = tls->protocols; *at != '\0';) {
        at += strspn(at, " ");
        struct slice name = slice_of(at, strcspn(at, ","));
        if (slice_equal_str(name, "TLSv1.2")) {
            has_12 = true;
        } else if (slice_equal_str(name, "TLSv1.3")) {
            has_13 = true;
        } else {
            return reason_fail(
                reason, ERR_CONFIG,
                "ssl.enabled.protocols: '%.*s' is not served; TLSv1.2 and TLSv1.3 are",
                (int)name.size, (const char *)name.data);
        }
        at += name.size + (at[name.size] == ',');
    }
    if (!has_12 && !has_13) {
        return reason_fail(reason, ERR_CONFIG, "ssl.enabled.protocols must name one");
    }
    SSL_CTX_set_min_proto_version(context, has_12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(context, has_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    return ERR_NONE;
}

/* Adds one cipher to the list of its kind. OpenSSL passes over a name that it does not know beside
 * one that it does, so each is tried alone. */
static enum err add_cipher(SSL_CTX *context, const char *name, struct buf *of_12, struct buf *of_13,
                           struct reason *reason)
{
    bool is_13 = strncmp(name, "TLS_", 4) == 0 && strstr(name, "_WITH_") == NULL;
    const char *known = is_13 ? name : OPENSSL_cipher_name(name);
    const char *used = known != NULL && strcmp(known, "(NONE)") != 0 ? known : name;
    struct buf *to = is_13 ? of_13 : of_12;
    int good =
        is_13 ? SSL_CTX_set_ciphersuites(context, used) : SSL_CTX_set_cipher_list(context, used);
    if (good != 1 || used[0] == '\0') {
        return reason_fail(reason, ERR_CONFIG, "ssl.cipher.suites: '%s' is none that is served: %s",
                           name, tls_error());
    }
    buf_printf(to, "%s%s", to->size > 0 ? ":" : "", used);
    return ERR_NONE;
}

/* What the lists say, and no version of which they name none. */
static enum err set_ciphers(SSL_CTX *context, struct buf *of_12, struct buf *of_13,
                            struct reason *reason)
{
    bool good = (of_13->size == 0 || SSL_CTX_set_ciphersuites(context, buf_cstr(of_13)) == 1) &&
                (of_12->size == 0 || SSL_CTX_set_cipher_list(context, buf_cstr(of_12)) == 1);
    if (!good) {
        return reason_fail(reason, ERR_CONFIG, "ssl.cipher.suites: %s", tls_error());
    }
    bool has_12 = SSL_CTX_get_min_proto_version(context) == TLS1_2_VERSION && of_12->size > 0;
    bool has_13 = SSL_CTX_get_max_proto_version(context) == TLS1_3_VERSION && of_13->size > 0;
    if (!has_12 && !has_13) {
        return reason_fail(reason, ERR_CONFIG,
                           "ssl.cipher.suites names none for a version of TLS in "
                           "ssl.enabled.protocols");
    }
    SSL_CTX_set_min_proto_version(context, has_12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(context, has_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    return ERR_NONE;
}

/* Suites of TLS 1.3 and of before have lists of their own in OpenSSL, one in Kafka. */
static enum err use_ciphers(const struct tls *tls, SSL_CTX *context, struct reason *reason)
{
    struct buf of_12 = {0};
    struct buf of_13 = {0};
    enum err err = ERR_NONE;
    for (const char *at = tls->ciphers; err == ERR_NONE && *at != '\0';) {
        at += strspn(at, " ");
        size_t size = strcspn(at, ",");
        char *name = mem_strndup(at, size);
        err = add_cipher(context, name, &of_12, &of_13, reason);
        free(name);
        at += size + (at[size] == ',');
    }
    if (err == ERR_NONE && tls->ciphers[0] != '\0') {
        err = set_ciphers(context, &of_12, &of_13, reason);
    }
    buf_deinit(&of_12);
    buf_deinit(&of_13);
    return err;
}

static void set_rules(const struct tls *tls, SSL_CTX *context)
{
    static const unsigned char id[] = "tidings"; /* of sessions that are resumed */
    int verify = tls->client_auth == TLS_CLIENT_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    verify |= tls->client_auth == TLS_CLIENT_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_verify(context, verify, NULL);
    /* A request's size is in front of it, so an end that is not announced cuts nothing off. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, id, sizeof id - 1);
    SSL_CTX_set_num_tickets(context, 1);
    /* One call takes one record that is no data: who sends nothing but such has its turns as others
     * have. What is not taken stays with the kernel, where epoll sees it. */
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
}

static enum err make_context(const struct tls *tls, SSL_CTX **out, struct reason *reason)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        return reason_fail(reason, ERR_CONFIG, "TLS cannot be had: %s", tls_error());
    }
    set_rules(tls, context);
    enum err err = use_protocols(tls, context, reason);
    if (err == ERR_NONE) {
        err = use_ciphers(tls, context, reason);
    }
    if (err == ERR_NONE) {
        err = use_keystore(tls, context, reason);
    }
    if (err == ERR_NONE && tls->client_auth != TLS_CLIENT_NONE) {
        err = use_truststore(tls, context, reason);
    }
    if (err != ERR_NONE) {
        SSL_CTX_free(context);
        return err;
    }
    *out = context;
    return ERR_NONE;
}

static uint64_t files_state(const struct tls *tls)
{
    return state_of(tls->truststore, state_of(tls->keystore, 0));
}

enum err tls_new(const struct tls_config *config, struct tls **out, struct reason *reason)
{
    struct tls *tls = mem_new(struct tls);
    tls->keystore = mem_strdup(config->keystore);
    tls->key_password = mem_strdup(config->key_password);
    tls->truststore = mem_strdup(config->truststore);
    tls->client_auth = config->client_auth;
    tls->protocols = mem_strdup(config->protocols);
    tls->ciphers = mem_strdup(config->ciphers);
    pthread_mutex_init(&tls->lock, NULL);
    tls->kind = tls_kind;
    tls->state = files_state(tls);
    enum err err =
        config->keystore[0] != '\0'
            ? make_context(tls, &tls->context, reason)
            : reason_fail(reason, ERR_CONFIG,
                          "ssl.keystore.location must name a PEM file with the private key and the "
                          "certificate of the server, since a listener speaks TLS");
    if (err != ERR_NONE) {
        tls_free(tls);
        return err;
    }
    *out = tls;
    return ERR_NONE;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    OPENSSL_cleanse(tls->key_password, strlen(tls->key_password));
    free(tls->keystore);
    free(tls->key_password);
    free(tls->truststore);
    free(tls->protocols);
    free(tls->ciphers);
    free(tls);
}

enum err tls_reload(struct tls *tls, bool *changed, struct reason *reason)
{
    uint64_t state = files_state(tls);
    *changed = state != tls->state;
    if (!*changed) {
        return ERR_NONE;
    }
    tls->state = state;
    SSL_CTX *context;
    enum err err = make_context(tls, &context, reason);
    if (err != ERR_NONE) {
        return err;
    }
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old); /* its connections have references */
    return ERR_NONE;
}

SSL *tls_session(struct tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    SSL *session = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    return session;
}

/* A reference; SSL_CTX_free gives it back. */
static SSL_CTX *take_context(struct tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *context = tls->context;
    SSL_CTX_up_ref(context);
    pthread_mutex_unlock(&tls->lock);
    return context;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    int days = 0;
    int seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int good = ASN1_TIME_diff(&days, &seconds, epoch, time);
    ASN1_TIME_free(epoch);
    return good == 1 ? (int64_t)days * 24 * 3600 + seconds : 0;
}

static void add_name(struct buf *names, const GENERAL_NAME *name)
{
    if (name->type == GEN_DNS) {
        buf_printf(names, " %.*s", ASN1_STRING_length(name->d.dNSName),
                   (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
        char text[INET6_ADDRSTRLEN] = "";
        int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
        inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text);
        buf_printf(names, " %s", text);
    }
}

static void list_names(X509 *certificate, char *to, size_t size)
{
    struct buf names = {0};
    GENERAL_NAMES *list = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
        add_name(&names, sk_GENERAL_NAME_value(list, i));
    }
    GENERAL_NAMES_free(list);
    snprintf(to, size, "%s", names.size > 0 ? buf_cstr(&names) + 1 : "");
    buf_deinit(&names);
}

void tls_facts(struct tls *tls, struct tls_facts *out)
{
    SSL_CTX *context = take_context(tls);
    X509 *certificate = SSL_CTX_get0_certificate(context);
    *out = (struct tls_facts){
        .from_s = seconds_of(X509_get0_notBefore(certificate)),
        .until_s = seconds_of(X509_get0_notAfter(certificate)),
    };
    char *subject = tls_subject(certificate);
    snprintf(out->subject, sizeof out->subject, "%s", subject != NULL ? subject : "");
    free(subject);
    list_names(certificate, out->names, sizeof out->names);
    SSL_CTX_free(context);
}

const struct transport_kind *tls_transport(struct tls *tls)
{
    return &tls->kind;
}

bool tls_names(struct tls *tls, const char *host)
{
    SSL_CTX *context = take_context(tls);
    X509 *certificate = SSL_CTX_get0_certificate(context);
    bool is_named = X509_check_ip_asc(certificate, host, 0) == 1 ||
                    X509_check_host(certificate, host, 0, 0, NULL) == 1;
    SSL_CTX_free(context);
    return is_named;
}
