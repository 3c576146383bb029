#include "../unit.h"

#include "certificates.h"
#include "fixture.h"

#include "base/mem.h"
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections by TLS, from a blocking client of OpenSSL. */

enum { YEAR_S = 365 * 24 * 3600, LARGE_BYTES = 1 << 20, MEMORY_BYTES = 64 << 20 };

static struct issued authority, other_authority, server_issued, next_issued, client_issued,
    foreign_issued, expired_issued;
static char folder[] = "/tmp/tidings-tls-XXXXXX";
static char keystore[64], truststore[64], other[64], alone[64];
static struct budget budget;
static struct tls *tls;
static struct tls_config config;

static int set_up_group(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* the client writes where the server may have closed */
    assert_non_null(mkdtemp(folder));
    snprintf(keystore, sizeof keystore, "%s/server.pem", folder);
    snprintf(truststore, sizeof truststore, "%s/trust.pem", folder);
    snprintf(other, sizeof other, "%s/other.pem", folder);
    snprintf(alone, sizeof alone, "%s/alone.pem", folder);
    authority = issue("authority", NULL, YEAR_S, NULL);
    other_authority = issue("other authority", NULL, YEAR_S, NULL);
    server_issued = issue("first", &authority, YEAR_S, "DNS:bus.example,IP:127.0.0.1,IP:::1");
    next_issued = issue("second", &authority, YEAR_S, "DNS:bus.example");
    client_issued = issue("shop", &authority, YEAR_S, NULL);
    foreign_issued = issue("foreign", &other_authority, YEAR_S, NULL);
    expired_issued = issue("late", &authority, -24L * 3600, NULL);
    return 0;
}

static int tear_down_group(void **state)
{
    (void)state;
    struct issued *all[] = {&authority,     &other_authority, &server_issued, &next_issued,
                            &client_issued, &foreign_issued,  &expired_issued};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        issued_free(all[i]);
    }
    unlink(keystore);
    unlink(truststore);
    unlink(other);
    unlink(alone);
    return rmdir(folder);
}

static void reset_files(void)
{
    issued_write(keystore, server_issued.certificate, server_issued.key, NULL);
    issued_write(truststore, authority.certificate, NULL, NULL);
    unlink(other);
    unlink(alone);
    config = (struct tls_config){.keystore = keystore,
                                 .key_password = "",
                                 .truststore = "",
                                 .protocols = "TLSv1.2,TLSv1.3",
                                 .ciphers = ""};
}

static int set_up(void **state)
{
    int failed = server_set_up(state);
    struct server *server = *state;
    reset_files();
    budget_init(&budget, MEMORY_BYTES);
    server->config.budget = &budget;
    return failed;
}

static int tear_down(void **state)
{
    int failed = server_tear_down(state);
    tls_free(tls);
    tls = NULL;
    return failed;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void start(struct server *server)
{
    struct reason reason = {""};
    if (tls_new(&config, &tls, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    server->transport = tls_transport(tls);
    server_start(server);
}

/* ---- the client ---- */

struct wish {
    int version;           /* 0: any */
    const char *ciphers;   /* of TLS 1.2; NULL: any */
    struct issued *issued; /* the client's certificate; NULL: none */
};

static SSL *session_of(const struct server *server, const struct wish *wish)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
    if (wish->version != 0) {
        SSL_CTX_set_min_proto_version(context, wish->version);
        SSL_CTX_set_max_proto_version(context, wish->version);
    }
    if (wish->ciphers != NULL) {
        assert_int_equal(SSL_CTX_set_cipher_list(context, wish->ciphers), 1);
    }
    if (wish->issued != NULL) {
        SSL_CTX_use_certificate(context, wish->issued->certificate);
        SSL_CTX_use_PrivateKey(context, wish->issued->key);
    }
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.certificate);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(ssl, client_connect(server));
    return ssl;
}

static void hang_up(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
    ERR_clear_error();
}

static SSL *shake(const struct server *server, const struct wish *wish)
{
    SSL *ssl = session_of(server, wish);
    if (SSL_connect(ssl) != 1) {
        fail_msg("%s", ERR_reason_error_string(ERR_peek_error()));
    }
    return ssl;
}

static SSL *connect_any(const struct server *server)
{
    return shake(server, &(struct wish){0});
}

static void write_bytes(SSL *ssl, const void *data, size_t size)
{
    assert_int_equal(SSL_write(ssl, data, (int)size), size);
}

static void write_frame(SSL *ssl, const void *data, size_t size)
{
    struct buf bytes = {0};
    append_frame(&bytes, data, size);
    write_bytes(ssl, bytes.data, bytes.size);
    buf_deinit(&bytes);
}

static bool read_bytes(SSL *ssl, uint8_t *to, size_t size)
{
    for (size_t have = 0; have < size;) {
        int got = SSL_read(ssl, to + have, (int)(size - have));
        if (got <= 0) {
            return false;
        }
        have += (size_t)got;
    }
    return true;
}

static bool read_frame(SSL *ssl, struct buf *frame)
{
    uint8_t prefix[4];
    buf_clear(frame);
    if (!read_bytes(ssl, prefix, sizeof prefix)) {
        return false;
    }
    size_t size = load_be32(prefix);
    return read_bytes(ssl, buf_extend(frame, size), size);
}

static void expect_bytes(SSL *ssl, const void *data, size_t size)
{
    struct buf frame = {0};
    assert_true(read_frame(ssl, &frame));
    assert_int_equal(frame.size, size);
    assert_memory_equal(frame.data, data, size);
    buf_deinit(&frame);
}

static void expect_echo(SSL *ssl, const char *text)
{
    write_frame(ssl, text, strlen(text));
    expect_bytes(ssl, text, strlen(text));
}

static void expect_name(SSL *ssl, const char *name)
{
    write_frame(ssl, "N", 1);
    expect_bytes(ssl, name, strlen(name));
}

/* No frame is answered: by the handshake, or in TLS 1.3 behind what the client takes for its end.
 */
static void expect_no_service(const struct server *server, const struct wish *wish)
{
    SSL *ssl = session_of(server, wish);
    if (SSL_connect(ssl) == 1) {
        struct buf frame = {0};
        SSL_write(ssl, "\0\0\0\1e", 5);
        assert_false(read_frame(ssl, &frame));
        buf_deinit(&frame);
    }
    hang_up(ssl);
}

static uint8_t *pattern(size_t size)
{
    uint8_t *bytes = mem_zalloc(size);
    uint32_t value = 1;
    for (size_t i = 0; i < size; i++) {
        value = value * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(value >> 24);
    }
    bytes[0] = 'e';
    return bytes;
}

/* ---- bytes ---- */

static void exchange(const struct server *server, const struct wish *wish)
{
    uint8_t *large = pattern(LARGE_BYTES);
    SSL *ssl = shake(server, wish);
    static const size_t sizes[] = {1, 100, 16379, 16380, 16381, 16384, 16385, 65536, LARGE_BYTES};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_frame(ssl, large, sizes[i]);
        expect_bytes(ssl, large, sizes[i]);
    }
    for (int i = 0; i < 200; i++) {
        write_frame(ssl, large, 100 + (size_t)i);
    }
    for (int i = 0; i < 200; i++) {
        expect_bytes(ssl, large, 100 + (size_t)i);
    }
    hang_up(ssl);
    free(large);
}

static void test_frames_of_any_size_come_through_in_each_version(void **state)
{
    struct server *server = *state;
    start(server);
    exchange(server, &(struct wish){.version = TLS1_2_VERSION});
    exchange(server, &(struct wish){.version = TLS1_3_VERSION});
    wait_until(atomic_load(&server->closed) == 2);
}

static void test_only_the_versions_that_are_set_are_served(void **state)
{
    struct server *server = *state;
    config.protocols = "TLSv1.2";
    start(server);
    hang_up(shake(server, &(struct wish){.version = TLS1_2_VERSION}));
    expect_no_service(server, &(struct wish){.version = TLS1_3_VERSION});
    net_free(server->net);
    tls_free(tls);
    config.protocols = "TLSv1.3";
    start(server);
    SSL *ssl = shake(server, &(struct wish){.version = TLS1_3_VERSION});
    expect_no_service(server, &(struct wish){.version = TLS1_2_VERSION});
    expect_echo(ssl, "still");
    hang_up(ssl);
}

static void test_a_client_that_reads_late_gets_each_byte(void **state)
{
    struct server *server = *state;
    enum { ROUNDS = 6 };
    uint8_t *large = pattern(LARGE_BYTES);
    start(server);
    SSL *ssl = connect_any(server);
    int small = 64 << 10; /* so that the server's writes are taken in parts */
    setsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t big[5] = {'b'};
        store_be32(big + 1, 700000 + (uint32_t)i);
        write_frame(ssl, big, sizeof big);
        write_frame(ssl, large, 30 + (size_t)i); /* small ones between, put into one record */
    }
    wait_until(atomic_load(&server->frames) >= 2); /* beyond what may be unsent it reads no more */
    struct buf frame = {0};
    for (int i = 0; i < ROUNDS; i++) {
        assert_true(read_frame(ssl, &frame));
        assert_int_equal(frame.size, 700000 + i);
        for (size_t j = 0; j < frame.size; j++) {
            assert_true(frame.data[j] == 'b');
        }
        expect_bytes(ssl, large, 30 + (size_t)i);
    }
    buf_deinit(&frame);
    hang_up(ssl);
    free(large);
}

static void test_answers_from_files_are_read_and_encrypted(void **state)
{
    struct server *server = *state;
    uint8_t *bytes = pattern(LARGE_BYTES);
    server->file_fd = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(write(server->file_fd, bytes, LARGE_BYTES), LARGE_BYTES);
    start(server);
    SSL *ssl = connect_any(server);
    static const uint32_t parts[][2] = {{0, 1}, {5, 16384}, {7, 100001}, {0, LARGE_BYTES}};
    enum { ROUNDS = 4 };
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t row[1 + 8 * 4] = {'f'};
        for (size_t i = 0; i < 4; i++) {
            store_be32(row + 1 + 8 * i, parts[i][0]);
            store_be32(row + 5 + 8 * i, parts[i][1]);
        }
        write_frame(ssl, row, sizeof row);
    }
    struct buf expected = {0};
    buf_append_str(&expected, "<");
    for (size_t i = 0; i < 4; i++) {
        buf_append(&expected, bytes + parts[i][0], parts[i][1]);
    }
    buf_append_str(&expected, ">");
    for (int round = 0; round < ROUNDS; round++) {
        expect_bytes(ssl, expected.data, expected.size);
    }
    buf_deinit(&expected);
    hang_up(ssl);
    free(bytes);
}

static void test_bytes_that_come_one_by_one_make_a_frame(void **state)
{
    struct server *server = *state;
    start(server);
    SSL *ssl = connect_any(server);
    static const char bytes[] = "\0\0\0\5early\0\0\0\1e";
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        write_bytes(ssl, bytes + i, 1);
    }
    expect_bytes(ssl, "early", 5);
    expect_bytes(ssl, "e", 1);
    hang_up(ssl);
}

/* ---- ends ---- */

static void test_many_connections_count_and_give_their_memory_back(void **state)
{
    struct server *server = *state;
    enum { MANY = 40 };
    SSL *all[MANY];
    start(server);
    for (int i = 0; i < MANY; i++) {
        all[i] = connect_any(server);
        expect_echo(all[i], "echo");
    }
    int64_t held = atomic_load(&budget.shares[BUDGET_FRAMES].bytes);
    assert_true(held >= (int64_t)MANY * (int64_t)tls_transport(tls)->session_bytes);
    for (int i = 0; i < MANY; i++) {
        expect_echo(all[i], "still");
        if (i % 2 == 0) {
            SSL_shutdown(all[i]);
        }
        hang_up(all[i]);
    }
    wait_until(atomic_load(&server->closed) == MANY);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_PEER);
    wait_until(atomic_load(&budget.shares[BUDGET_FRAMES].bytes) <= 4 * BUDGET_PIECE_BYTES);
}

static void test_a_close_by_the_server_is_told_by_close_notify(void **state)
{
    struct server *server = *state;
    start(server);
    SSL *ssl = connect_any(server);
    write_frame(ssl, "close", 5);
    expect_bytes(ssl, "close", 5);
    char byte;
    int got = SSL_read(ssl, &byte, 1);
    assert_int_equal(SSL_get_error(ssl, got), SSL_ERROR_ZERO_RETURN);
    hang_up(ssl);
}

static void test_a_handshake_that_stalls_is_closed(void **state)
{
    struct server *server = *state;
    server->config.stall_timeout_ms = 50;
    start(server);
    int silent = client_connect(server);
    int half = client_connect(server);
    client_send(half, "\x16\x03\x01\x02\x00\x01", 6);
    assert_true(client_is_closed(silent));
    assert_true(client_is_closed(half));
    wait_until(atomic_load(&server->closed) == 2);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_SLOW);
    close(silent);
    close(half);
}

static void test_what_is_no_tls_is_closed_and_others_go_on(void **state)
{
    struct server *server = *state;
    static const struct slice foreign[] = {
        {(const uint8_t *)"\0\0\0\x12\0\x12\0\3\0\0\0\1\0\4test\0\0\0", 22},
        {(const uint8_t *)"GET / HTTP/1.1\r\nHost: bus\r\n\r\n", 29},
        {(const uint8_t *)"CONNECT bus:9093 HTTP/1.1\r\n\r\n", 29},
        {(const uint8_t *)"\x16\x03\x01\xff\xff\x01\x00\x00\x01\x00", 10},
        {(const uint8_t *)"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff", 10},
        {(const uint8_t *)"\x15\x03\x03\x00\x02\x02\x28", 7},
        {(const uint8_t *)"\x17\x03\x03\x00\x05hello", 10},
    };
    enum { COUNT = sizeof foreign / sizeof foreign[0] };
    start(server);
    SSL *ssl = connect_any(server);
    log_catch();
    for (size_t i = 0; i < COUNT; i++) {
        int fd = client_connect(server);
        client_send(fd, foreign[i].data, foreign[i].size);
        wait_until(atomic_load(&server->closed) == i + 1);
        close(fd);
        expect_echo(ssl, "still");
    }
    char *text = log_release();
    assert_true(count_text(text, "speaks HTTP") >= 1);
    assert_true(count_text(text, "does not speak TLS") >= 1);
    free(text);
    assert_int_equal(atomic_load(&server->frames), COUNT);
    hang_up(ssl);
}

static void test_random_bytes_within_a_session_and_before_it_do_no_harm(void **state)
{
    struct server *server = *state;
    enum { ROUNDS = 200, BYTES = 600 };
    uint8_t *noise = pattern(ROUNDS + BYTES);
    start(server);
    SSL *ssl = connect_any(server);
    for (unsigned i = 0; i < ROUNDS; i++) {
        int fd = client_connect(server);
        uint8_t bytes[BYTES];
        memcpy(bytes, noise + i, BYTES);
        if (i % 2 == 0) {
            memcpy(bytes, "\x16\x03\x01\x02\x53\x01\x00\x02\x4f\x03\x03", 11); /* ClientHello */
        }
        send(fd, bytes, BYTES, MSG_NOSIGNAL);
        close(fd);
    }
    wait_until(atomic_load(&server->closed) == ROUNDS);
    expect_echo(ssl, "still");
    send(SSL_get_fd(ssl), noise, BYTES, MSG_NOSIGNAL); /* a record that was not made by its key */
    wait_until(atomic_load(&server->closed) == ROUNDS + 1);
    hang_up(ssl);
    free(noise);
}

static void test_a_renegotiation_is_refused(void **state)
{
    struct server *server = *state;
    start(server);
    SSL *ssl = shake(server, &(struct wish){.version = TLS1_2_VERSION});
    expect_echo(ssl, "echo");
    assert_int_equal(SSL_renegotiate(ssl), 1);
    assert_true(SSL_do_handshake(ssl) != 1);
    hang_up(ssl);
}

static void test_keys_are_changed_while_frames_come(void **state)
{
    struct server *server = *state;
    start(server);
    SSL *ssl = shake(server, &(struct wish){.version = TLS1_3_VERSION});
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        expect_echo(ssl, "with new keys");
    }
    for (int i = 0; i < 200; i++) { /* many without a frame between them */
        assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(ssl), 1);
    }
    expect_echo(ssl, "with the newest");
    hang_up(ssl);
}

/* ---- certificates of clients ---- */

static void test_a_client_is_who_its_certificate_says(void **state)
{
    struct server *server = *state;
    config.client_auth = TLS_CLIENT_REQUIRED;
    config.truststore = truststore;
    start(server);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL *ssl = shake(server, &(struct wish){.version = version, .issued = &client_issued});
        expect_name(ssl, "CN=shop,O=Tests\\, Inc");
        hang_up(ssl);
        expect_no_service(server, &(struct wish){.version = version});
        expect_no_service(server, &(struct wish){.version = version, .issued = &foreign_issued});
        expect_no_service(server, &(struct wish){.version = version, .issued = &expired_issued});
    }
    wait_until(atomic_load(&server->closed) == 8);
    assert_int_equal(atomic_load(&server->frames), 2);
}

static void test_a_certificate_that_is_requested_may_be_none_but_not_a_bad_one(void **state)
{
    struct server *server = *state;
    config.client_auth = TLS_CLIENT_REQUESTED;
    config.truststore = truststore;
    start(server);
    SSL *ssl = connect_any(server);
    expect_name(ssl, "nobody");
    hang_up(ssl);
    expect_no_service(server, &(struct wish){.issued = &foreign_issued});
    ssl = shake(server, &(struct wish){.issued = &client_issued});
    expect_name(ssl, "CN=shop,O=Tests\\, Inc");
    hang_up(ssl);
}

static void test_a_certificate_that_is_not_asked_for_names_nobody(void **state)
{
    struct server *server = *state;
    start(server);
    SSL *ssl = shake(server, &(struct wish){.issued = &foreign_issued});
    expect_name(ssl, "nobody");
    hang_up(ssl);
}

/* ---- reading anew ---- */

static void expect_server(SSL *ssl, const struct issued *issued)
{
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(ssl), issued->certificate), 0);
}

static void write_garbage(const char *path)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", file);
    assert_int_equal(fclose(file), 0);
}

static void test_new_connections_get_the_new_certificate_and_open_ones_go_on(void **state)
{
    struct server *server = *state;
    struct reason reason = {""};
    bool changed;
    start(server);
    SSL *before = connect_any(server);
    expect_server(before, &server_issued);
    assert_int_equal(tls_reload(tls, &changed, &reason), ERR_NONE);
    assert_false(changed);
    issued_write(keystore, next_issued.certificate, next_issued.key, NULL);
    assert_int_equal(tls_reload(tls, &changed, &reason), ERR_NONE);
    assert_true(changed);
    SSL *after = connect_any(server);
    expect_server(after, &next_issued);
    expect_echo(before, "still");
    expect_echo(after, "echo");

    write_garbage(keystore);
    assert_int_equal(tls_reload(tls, &changed, &reason), ERR_CONFIG);
    assert_non_null(strstr(reason.text, keystore));
    assert_non_null(strstr(reason.text, "ssl.keystore.location"));
    assert_int_equal(tls_reload(tls, &changed, &reason), ERR_NONE); /* not read again */
    assert_false(changed);
    unlink(keystore);
    assert_int_equal(tls_reload(tls, &changed, &reason), ERR_CONFIG);
    assert_non_null(strstr(reason.text, keystore));
    SSL *then = connect_any(server);
    expect_server(then, &next_issued);
    hang_up(before);
    hang_up(after);
    hang_up(then);
}

static void test_what_is_in_the_certificate_is_told(void **state)
{
    (void)state;
    struct reason reason = {""};
    struct tls_facts facts;
    assert_int_equal(tls_new(&config, &tls, &reason), ERR_NONE);
    tls_facts(tls, &facts);
    assert_string_equal(facts.subject, "CN=first,O=Tests\\, Inc");
    assert_string_equal(facts.names, "bus.example 127.0.0.1 ::1");
    assert_int_equal(facts.until_s - facts.from_s, YEAR_S + 7 * 24 * 3600);
    assert_true(tls_names(tls, "bus.example"));
    assert_true(tls_names(tls, "127.0.0.1"));
    assert_true(tls_names(tls, "::1"));
    assert_false(tls_names(tls, "bus.example.org"));
    assert_false(tls_names(tls, "127.0.0.2"));
    assert_false(tls_names(tls, ""));
}

/* ---- settings ---- */

static void expect_refused(const char *setting, const char *what, const char *why)
{
    struct reason reason = {""};
    struct tls *made;
    if (tls_new(&config, &made, &reason) != ERR_CONFIG) {
        fail_msg("taken, though: %s %s", setting, why);
    }
    if (strstr(reason.text, setting) == NULL || strstr(reason.text, what) == NULL ||
        strstr(reason.text, why) == NULL) {
        fail_msg("'%s' does not name %s, %s and '%s'", reason.text, setting, what, why);
    }
}

static void expect_taken(void)
{
    struct reason reason = {""};
    struct tls *made;
    if (tls_new(&config, &made, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    tls_free(made);
}

static void test_what_is_wrong_with_the_files_is_told(void **state)
{
    (void)state;
    config.keystore = "";
    expect_refused("ssl.keystore.location", "PEM", "must name");
    config.keystore = other;
    expect_refused("ssl.keystore.location", other, "cannot be read");
    issued_write(other, NULL, server_issued.key, NULL);
    expect_refused("ssl.keystore.location", other, "no CERTIFICATE");
    issued_write(other, server_issued.certificate, NULL, NULL);
    expect_refused("ssl.keystore.location", other, "no private key");
    issued_write(other, server_issued.certificate, client_issued.key, NULL);
    expect_refused("ssl.keystore.location", other, "is not that of its first certificate");
    write_garbage(other);
    expect_refused("ssl.keystore.location", other, "certificate 1");
}

static void test_a_key_may_be_encrypted_or_in_a_file_of_its_own(void **state)
{
    (void)state;
    char *both = mem_sprintf("%s,%s", other, alone);
    config.keystore = other;
    issued_write(other, server_issued.certificate, server_issued.key, "secret");
    expect_refused("ssl.keystore.location", other, "ssl.key.password");
    config.key_password = "wrong";
    expect_refused("ssl.keystore.location", other, "ssl.key.password");
    config.key_password = "secret";
    expect_taken();
    issued_write(other, server_issued.certificate, NULL, NULL);
    issued_write(alone, NULL, server_issued.key, "secret");
    config.keystore = both;
    expect_taken();
    issued_write(alone, NULL, server_issued.key, NULL);
    config.key_password = "";
    expect_taken();
    free(both);
}

static void test_what_is_wrong_with_the_truststore_is_told(void **state)
{
    (void)state;
    config.client_auth = TLS_CLIENT_REQUIRED;
    expect_refused("ssl.truststore.location", "", "no CERTIFICATE");
    config.truststore = other;
    expect_refused("ssl.truststore.location", other, "cannot be read");
    issued_write(other, NULL, server_issued.key, NULL);
    expect_refused("ssl.truststore.location", other, "no CERTIFICATE");
    char *both = mem_sprintf("%s,%s", truststore, other);
    write_garbage(other);
    config.truststore = both;
    expect_refused("ssl.truststore.location", both, "certificate 2");
    free(both);
}

static void test_protocols_and_ciphers_that_are_none_are_told(void **state)
{
    (void)state;
    config.protocols = "TLSv1.2,TLSv1.1";
    expect_refused("ssl.enabled.protocols", "'TLSv1.1'", "TLSv1.3");
    config.protocols = "";
    expect_refused("ssl.enabled.protocols", "", "must name one");
    config.protocols = "TLSv1.2, TLSv1.3";
    expect_taken();
    config.ciphers = "NOPE";
    expect_refused("ssl.cipher.suites", "NOPE", "no cipher match");
    config.ciphers = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,NOPE";
    expect_refused("ssl.cipher.suites", "'NOPE'", "none that is served");
    config.ciphers = "TLS_AES_128_GCM_SHA256,TLS_NOPE";
    expect_refused("ssl.cipher.suites", "'TLS_NOPE'", "none that is served");
    config.ciphers = "TLS_AES_128_GCM_SHA256";
    config.protocols = "TLSv1.2";
    expect_refused("ssl.cipher.suites", "ssl.enabled.protocols", "names none");
    config.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    config.protocols = "TLSv1.3";
    expect_refused("ssl.cipher.suites", "ssl.enabled.protocols", "names none");
}

static void test_ciphers_are_those_that_are_set(void **state)
{
    struct server *server = *state;
    config.ciphers = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256";
    start(server);
    SSL *ssl = shake(server, &(struct wish){.version = TLS1_3_VERSION});
    assert_string_equal(SSL_get_cipher_name(ssl), "TLS_AES_128_GCM_SHA256");
    hang_up(ssl);
    ssl = shake(server, &(struct wish){.version = TLS1_2_VERSION});
    assert_string_equal(SSL_get_cipher_name(ssl), "ECDHE-ECDSA-AES256-GCM-SHA384");
    hang_up(ssl);
    expect_no_service(server, &(struct wish){.version = TLS1_2_VERSION,
                                             .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_frames_of_any_size_come_through_in_each_version),
        TEST(test_only_the_versions_that_are_set_are_served),
        TEST(test_a_client_that_reads_late_gets_each_byte),
        TEST(test_answers_from_files_are_read_and_encrypted),
        TEST(test_bytes_that_come_one_by_one_make_a_frame),
        TEST(test_many_connections_count_and_give_their_memory_back),
        TEST(test_a_close_by_the_server_is_told_by_close_notify),
        TEST(test_a_handshake_that_stalls_is_closed),
        TEST(test_what_is_no_tls_is_closed_and_others_go_on),
        TEST(test_random_bytes_within_a_session_and_before_it_do_no_harm),
        TEST(test_a_renegotiation_is_refused),
        TEST(test_keys_are_changed_while_frames_come),
        TEST(test_a_client_is_who_its_certificate_says),
        TEST(test_a_certificate_that_is_requested_may_be_none_but_not_a_bad_one),
        TEST(test_a_certificate_that_is_not_asked_for_names_nobody),
        TEST(test_new_connections_get_the_new_certificate_and_open_ones_go_on),
        TEST(test_what_is_in_the_certificate_is_told),
        TEST(test_what_is_wrong_with_the_files_is_told),
        TEST(test_a_key_may_be_encrypted_or_in_a_file_of_its_own),
        TEST(test_what_is_wrong_with_the_truststore_is_told),
        TEST(test_protocols_and_ciphers_that_are_none_are_told),
        TEST(test_ciphers_are_those_that_are_set),
    };
    return unit_run(tests, set_up_group, tear_down_group, argc, argv);
}
