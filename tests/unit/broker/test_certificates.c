#include "../unit.h"

#include "../net/certificates.h"
#include "base/logger.h"
#include "base/mem.h"
#include "broker/certificates.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the log says of a certificate that clients will refuse, or soon. */

enum { DAY_S = 24 * 3600, SAID_MOST = 1 << 16 };

struct look {
    char path[64], said_path[64];
    char said[SAID_MOST];
    int standard;
};

/* Standard error goes into a file. */
static void listen_to(struct look *look)
{
    snprintf(look->path, sizeof look->path, "/tmp/tidings-certificate-XXXXXX");
    snprintf(look->said_path, sizeof look->said_path, "/tmp/tidings-said-XXXXXX");
    close(mkstemp(look->path));
    int fd = mkstemp(look->said_path);
    assert_true(fd >= 0);
    fflush(stderr);
    look->standard = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static void hear(struct look *look)
{
    fflush(stderr);
    dup2(look->standard, STDERR_FILENO);
    close(look->standard);
    int fd = open(look->said_path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, look->said, sizeof look->said - 1);
    look->said[size > 0 ? size : 0] = '\0';
    close(fd);
    unlink(look->said_path);
    unlink(look->path);
}

/* A certificate for these names that ends so many seconds from now, and a host that clients are
 * told, or NULL. */
static void look_at(struct look *look, long until_s, const char *names, const char *host)
{
    struct issued issued = issue("bus", NULL, until_s, names);
    struct certificates *certificates;
    struct reason reason = {""};
    listen_to(look);
    issued_write(look->path, issued.certificate, issued.key, NULL);
    const struct tls_config config = {.keystore = look->path,
                                      .key_password = "",
                                      .truststore = "",
                                      .protocols = "TLSv1.2,TLSv1.3",
                                      .ciphers = ""};
    enum err err = certificates_new(&config, &certificates, &reason);
    if (err == ERR_NONE && host != NULL) {
        certificates_check_host(certificates, host);
    }
    hear(look);
    assert_int_equal(err, ERR_NONE);
    certificates_free(certificates);
    issued_free(&issued);
}

static void assert_says(const struct look *look, const char *text, bool is_said)
{
    if ((strstr(look->said, text) != NULL) != is_said) {
        fail_msg("'%s' is %ssaid: %s", text, is_said ? "not " : "", look->said);
    }
}

static void test_a_good_certificate_is_told_without_a_warning(void **state)
{
    (void)state;
    struct look look;
    look_at(&look, 31L * DAY_S + 60, "DNS:bus.example,IP:10.0.0.1", "bus.example");
    assert_says(&look, "certificate read", true);
    assert_says(&look, "names=\"bus.example 10.0.0.1\"", true);
    assert_says(&look, "level=warn", false);
}

static void test_one_that_ends_within_30_days_is_warned_of(void **state)
{
    (void)state;
    struct look look;
    look_at(&look, 5L * DAY_S + 60, "DNS:bus.example", NULL);
    assert_says(&look, "level=warn", true);
    assert_says(&look, "the certificate will expire soon", true);
    assert_says(&look, "days=5", true);
    look_at(&look, 30L * DAY_S - 60, "DNS:bus.example", NULL);
    assert_says(&look, "the certificate will expire soon", true);
}

static void test_one_that_has_expired_is_warned_of(void **state)
{
    (void)state;
    struct look look;
    look_at(&look, -60, "DNS:bus.example", NULL);
    assert_says(&look, "level=warn", true);
    assert_says(&look, "the certificate has expired: clients will refuse it", true);
    assert_says(&look, "expire soon", false);
}

static void test_a_host_that_it_is_not_for_is_warned_of(void **state)
{
    static const struct {
        const char *names, *host;
        bool is_named;
    } cases[] = {
        {"DNS:bus.example", "bus.example", true},      {"DNS:bus.example", "other.example", false},
        {"DNS:*.bus.example", "a.bus.example", true},  {"DNS:bus.example", "10.0.0.1", false},
        {"DNS:bus.example,IP:::1", "[::1]", true},     {"IP:10.0.0.1", "10.0.0.1", true},
        {"DNS:bus.example", "sub.bus.example", false},
    };
    (void)state;
    struct look look;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        look_at(&look, 90L * DAY_S, cases[i].names, cases[i].host);
        assert_says(&look, "the certificate is not for a host that clients are told to connect to",
                    !cases[i].is_named);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_certificate_is_told_without_a_warning),
        cmocka_unit_test(test_one_that_ends_within_30_days_is_warned_of),
        cmocka_unit_test(test_one_that_has_expired_is_warned_of),
        cmocka_unit_test(test_a_host_that_it_is_not_for_is_warned_of),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
