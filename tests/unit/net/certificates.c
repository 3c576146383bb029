#include "certificates.h"

#include "base/mem.h"

#include "../unit.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_extension(X509 *to, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, to, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(to, extension, -1);
    X509_EXTENSION_free(extension);
}

struct issued issue(const char *name, const struct issued *issuer, long until_s, const char *alt)
{
    static long serial = 1;
    struct issued made = {X509_new(), EVP_EC_gen("P-256")};
    X509 *certificate = made.certificate;
    assert_non_null(made.key);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7L * 24 * 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), until_s);
    X509_set_pubkey(certificate, made.key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"Tests, Inc", -1,
                               -1, 0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509 *signer = issuer != NULL ? issuer->certificate : certificate;
    X509_set_issuer_name(certificate, X509_get_subject_name(signer));
    add_extension(certificate, signer, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (alt != NULL) {
        add_extension(certificate, signer, NID_subject_alt_name, alt);
    }
    assert_true(X509_sign(certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256()) > 0);
    return made;
}

void issued_free(struct issued *issued)
{
    X509_free(issued->certificate);
    EVP_PKEY_free(issued->key);
}

void issued_write(const char *path, X509 *certificate, EVP_PKEY *key, const char *password)
{
    char *next = mem_sprintf("%s.next", path);
    FILE *file = fopen(next, "we");
    assert_non_null(file);
    if (key != NULL) {
        assert_int_equal(PEM_write_PKCS8PrivateKey(
                             file, key, password != NULL ? EVP_aes_128_cbc() : NULL, password,
                             password != NULL ? (int)strlen(password) : 0, NULL, NULL),
                         1);
    }
    if (certificate != NULL) {
        assert_int_equal(PEM_write_X509(file, certificate), 1);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(next, path), 0);
    free(next);
}
