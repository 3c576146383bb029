#include "../unit.h"

#include "base/base64.h"
#include "security/scram_exchange.h"
#include "security/scram_message.h"

/* The exchange of RFC 7677, section 3; the one with SHA-512 was made by Python's hashlib. */

static const char first_message[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
static const char rfc_nonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
static const uint8_t salt_bytes[] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                     0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};

struct vector {
    enum scram_mechanism mechanism;
    const char *nonce;
    const char *challenge;
    const char *proof;
    const char *end;
};

static const struct vector vectors[] = {
    {SCRAM_SHA_256, rfc_nonce,
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    {SCRAM_SHA_512, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
     "r=rOprNGfwEbeRWgbNEkqOAAECAwQFBgcICQoLDA0ODxAREhMUFRYX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqOAAECAwQFBgcICQoLDA0ODxAREhMUFRYX,"
     "p=+uiR08dbqbYL9cDY7knHCyd+LLkYAfzXhZb2ImLJJwKyBsEuAYsq5LfKrRS2pegHduqQ6Q2I8ovRECsHkLWiMA==",
     "v=iTtNi1HmqRxfDsRyc9xzmLFSHC6Qh2CvdlH4iDRY3VOxqt8rUN4BWCb6RC8/1sWixm28BhmkUaaCyKnFiai6ug=="},
};

static struct scram_credential credential_of(enum scram_mechanism mechanism, const char *password)
{
    struct scram_credential credential;
    scram_make(mechanism, slice_str(password), slice_of(salt_bytes, sizeof salt_bytes), 4096,
               &credential);
    return credential;
}

/* An exchange that waits for the final message. */
static struct scram_exchange *challenged(const struct vector *vector, const char *password)
{
    struct scram_exchange *exchange = NULL;
    struct reason reason = {""};
    struct buf answer = {0};
    struct scram_credential credential = credential_of(vector->mechanism, password);
    assert_int_equal(scram_begin(vector->mechanism, slice_str(first_message), &exchange, &reason),
                     ERR_NONE);
    assert_true(slice_equal_str(scram_user(exchange), "user"));
    scram_challenge(exchange, &credential, slice_str(vector->nonce), &answer);
    assert_string_equal(buf_cstr(&answer), vector->challenge);
    buf_deinit(&answer);
    return exchange;
}

/* expected NULL: refused. */
static void expect_end(const struct vector *vector, const char *password, const char *message,
                       const char *expected)
{
    struct scram_exchange *exchange = challenged(vector, password);
    struct reason reason = {""};
    struct buf answer = {0};
    enum err err = scram_finish(exchange, slice_str(message), &answer, &reason);
    if (expected != NULL) {
        assert_int_equal(err, ERR_NONE);
        assert_string_equal(buf_cstr(&answer), expected);
    } else {
        assert_int_equal(err, ERR_INVALID);
        assert_int_equal(answer.size, 0);
        assert_true(reason.text[0] != '\0');
    }
    buf_deinit(&answer);
    scram_end(exchange);
}

static void test_the_exchanges_of_the_vectors_succeed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        expect_end(&vectors[i], "pencil", vectors[i].proof, vectors[i].end);
    }
}

static void test_another_password_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        expect_end(&vectors[i], "pencil ", vectors[i].proof, NULL);
    }
}

static void test_a_proof_with_any_byte_changed_fails(void **state)
{
    (void)state;
    char message[256];
    const struct vector *vector = &vectors[0];
    const char *proof = strstr(vector->proof, ",p=") + 3;
    for (size_t i = 0; i < 43; i++) {
        snprintf(message, sizeof message, "%s", vector->proof);
        char *letter = message + (proof - vector->proof) + i;
        *letter = *letter == 'A' ? 'B' : 'A';
        expect_end(vector, "pencil", message, NULL);
    }
}

static void test_the_end_of_another_exchange_fails(void **state)
{
    (void)state;
    struct vector other = vectors[0];
    other.nonce = "anothernonceanothernonceanothern";
    other.challenge = "r=rOprNGfwEbeRWgbNEkqOanothernonceanothernonceanothern,"
                      "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    expect_end(&other, "pencil", vectors[0].proof, NULL);
}

/* As librdkafka before 2.6.1 makes it: the client's nonce twice, and the proof is of that. */
static void test_the_clients_nonce_may_come_twice(void **state)
{
    (void)state;
    expect_end(&vectors[0], "pencil",
               "c=biws,r=rOprNGfwEbeRWgbNEkqOrOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
               "p=1Y75+q7XaCGJj/r6vyQWwoNxSzV5ksS8xhp5Lqyriec=",
               "v=3svB0h5EwFJ/+WVn2GpJ5uBzW8HEv9nm1rcYAhYlm0A=");
    static const char *const wrong[] = {
        "c=biws,r=xOprNGfwEbeRWgbNEkqOrOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "c=biws,r=rOprNGfwEbeRWgbNEkqOrOprNGfwEbeRWgbNEkqO,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "c=biws,r=rOprNGfwEbeRWgbNEkqOrOprNGfwEbeRWgbNEkqOrOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFI"
        "lj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_end(&vectors[0], "pencil", wrong[i], NULL);
    }
}

static void test_malformed_final_messages_are_refused(void **state)
{
    (void)state;
#define NONCE "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define PROOF "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    static const char *const wrong[] = {
        "",
        "c=biws",
        "p=",
        PROOF,
        "," PROOF,
        "c=biws," NONCE,
        "c=biws," NONCE ",",
        "c=biws," NONCE ",p=",
        "c=biws," NONCE ",p=dHzb",
        "c=biws," NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ",
        "c=biws," NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ==",
        "c=biws," NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndV!=",
        "c=biws," NONCE "," PROOF ",x=1",
        "c=biws," PROOF,
        NONCE "," PROOF,
        "c=," NONCE "," PROOF,
        "c=eSws," NONCE "," PROOF, /* "y,,", and "n,," was said before */
        "c=cD10bHMtdW5pcXVlLCw=," NONCE "," PROOF,
        "c=biws,r=," PROOF,
        "c=biws,r=rOprNGfwEbeRWgbNEkqO," PROOF,
        "c=biws,x=1," NONCE "," PROOF,
        "c=biws," NONCE ",x=1," PROOF, /* well formed, but not what the proof is of */
    };
#undef NONCE
#undef PROOF
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_end(&vectors[0], "pencil", wrong[i], NULL);
    }
}

static void expect_first(struct slice message, const char *user)
{
    struct scram_exchange *exchange = NULL;
    struct reason reason = {""};
    enum err err = scram_begin(SCRAM_SHA_256, message, &exchange, &reason);
    if (user == NULL) {
        if (err != ERR_INVALID) {
            fail_msg("taken: %.*s", SLICE_ARGS(message));
        }
        assert_null(exchange);
        assert_true(reason.text[0] != '\0');
    } else {
        if (err != ERR_NONE) {
            fail_msg("%.*s: %s", SLICE_ARGS(message), reason.text);
        }
        assert_true(slice_equal_str(scram_user(exchange), user));
    }
    scram_end(exchange);
}

static void test_first_messages_are_read(void **state)
{
    (void)state;
    expect_first(slice_str("n,,n=user,r=x"), "user");
    expect_first(slice_str("y,,n=user,r=x"), "user");
    expect_first(slice_str("n,a=user,n=user,r=x"), "user");
    expect_first(slice_str("n,,n=a=2Cb=3D,r=x"), "a,b=");
    expect_first(slice_str("n,,n=J\xc3\xbcrgen,r=!~"), "J\xc3\xbcrgen");
    expect_first(slice_str("n,,n=user,r=x,tokenauth=true"), "user");
}

static void test_malformed_first_messages_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=user",
        "n,,n=user,",
        "n,,n=user,r=",
        "n,,n=,r=x",
        "n,,r=x",
        "n,,r=x,n=user",
        "n,,m=1,n=user,r=x",
        "n,a=other,n=user,r=x",
        "n,b=user,n=user,r=x",
        "n,,n=us=er,r=x",
        "n,,n=user=2,r=x",
        "n,,n=user=,r=x",
        "n,,n=user=2c,r=x",
        "n,,n=us\ner,r=x",
        "n,,n=us\xff-er,r=x",
        "n,,n=user,r=a b",
        "n,,n=user,r=\xc3\xbc",
        "p=tls-unique,,n=user,r=x",
        "q,,n=user,r=x",
        "N,,n=user,r=x",
        "user",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_first(slice_str(wrong[i]), NULL);
    }
    expect_first(slice_of("n,,n=us\0er,r=x", 14), NULL);
}

static void test_sizes_are_bounded(void **state)
{
    (void)state;
    char name[SCRAM_NAME_MOST_BYTES + 2];
    char message[SCRAM_MESSAGE_MOST_BYTES + 2];
    memset(name, 'a', sizeof name);
    name[SCRAM_NAME_MOST_BYTES] = '\0';
    snprintf(message, sizeof message, "n,,n=%s,r=x", name);
    expect_first(slice_str(message), name);
    snprintf(message, sizeof message, "n,,n=%sa,r=x", name);
    expect_first(slice_str(message), NULL);
    memset(message, 'a', sizeof message);
    memcpy(message, "n,,n=user,r=", 12);
    expect_first(slice_of(message, SCRAM_MESSAGE_MOST_BYTES), "user");
    expect_first(slice_of(message, SCRAM_MESSAGE_MOST_BYTES + 1), NULL);
    char final[SCRAM_MESSAGE_MOST_BYTES + 2];
    memset(final, 'A', sizeof final);
    memcpy(final, "c=biws,r=x,p=", 13);
    final[SCRAM_MESSAGE_MOST_BYTES + 1] = '\0';
    expect_end(&vectors[0], "pencil", final, NULL);
    final[13 + 128] = '\0'; /* a proof that is longer than any hash */
    expect_end(&vectors[0], "pencil", final, NULL);
}

/* Of a message that is malformed anyhow, nothing behind its end is read (with ASan). */
static void test_any_part_of_a_message_is_refused(void **state)
{
    (void)state;
    struct scram_client_final out;
    for (size_t size = 0; size < strlen(first_message) - strlen("rOprNGfwEbeRWgbNEkqO") + 1;
         size++) {
        char *part = malloc(size + 1);
        memcpy(part, first_message, size);
        part = realloc(part, size > 0 ? size : 1);
        expect_first(slice_of(part, size), NULL);
        free(part);
    }
    for (size_t size = 0; size < strlen(vectors[0].proof) - 44; size++) {
        struct reason reason;
        char *part = malloc(size > 0 ? size : 1);
        memcpy(part, vectors[0].proof, size);
        assert_int_equal(scram_read_final(slice_of(part, size), &out, &reason), ERR_INVALID);
        free(part);
    }
}

static void test_a_password_fits_its_own_credential_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct scram_credential credential = credential_of(vectors[i].mechanism, "pencil");
        assert_true(scram_fits(&credential, slice_str("pencil")));
        assert_false(scram_fits(&credential, slice_str("Pencil")));
        assert_false(scram_fits(&credential, slice_str("")));
    }
}

static void test_who_is_not_there_looks_the_same_each_time(void **state)
{
    (void)state;
    static const uint8_t secret[32] = {1};
    static const uint8_t other_secret[32] = {2};
    struct scram_credential a, b;
    scram_pretend(SCRAM_SHA_512, secret, slice_str("nobody"), &a);
    scram_pretend(SCRAM_SHA_512, secret, slice_str("nobody"), &b);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(a.salt_size, SCRAM_SALT_BYTES);
    assert_int_equal(a.iterations, SCRAM_ITERATIONS_LEAST);
    scram_pretend(SCRAM_SHA_512, secret, slice_str("nobody2"), &b);
    assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_BYTES);
    scram_pretend(SCRAM_SHA_512, other_secret, slice_str("nobody"), &b);
    assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_BYTES);
    assert_false(scram_fits(&a, slice_str("nobody")));
}

static void test_terms_have_bounds(void **state)
{
    (void)state;
    struct reason reason;
    assert_int_equal(scram_check_terms(4096, 1, &reason), ERR_NONE);
    assert_int_equal(scram_check_terms(16384, 128, &reason), ERR_NONE);
    assert_int_equal(scram_check_terms(4095, 16, &reason), ERR_INVALID);
    assert_int_equal(scram_check_terms(16385, 16, &reason), ERR_INVALID);
    assert_int_equal(scram_check_terms(-1, 16, &reason), ERR_INVALID);
    assert_int_equal(scram_check_terms(4096, 0, &reason), ERR_INVALID);
    assert_int_equal(scram_check_terms(4096, 129, &reason), ERR_INVALID);
}

static void test_nonces_differ(void **state)
{
    (void)state;
    struct buf a = {0}, b = {0};
    scram_add_nonce(&a);
    scram_add_nonce(&b);
    assert_int_equal(a.size, 32);
    assert_false(slice_equal(buf_slice(&a), buf_slice(&b)));
    assert_null(slice_find(buf_slice(&a), ','));
    buf_deinit(&a);
    buf_deinit(&b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_exchanges_of_the_vectors_succeed),
        cmocka_unit_test(test_another_password_fails),
        cmocka_unit_test(test_a_proof_with_any_byte_changed_fails),
        cmocka_unit_test(test_the_end_of_another_exchange_fails),
        cmocka_unit_test(test_the_clients_nonce_may_come_twice),
        cmocka_unit_test(test_malformed_final_messages_are_refused),
        cmocka_unit_test(test_first_messages_are_read),
        cmocka_unit_test(test_malformed_first_messages_are_refused),
        cmocka_unit_test(test_sizes_are_bounded),
        cmocka_unit_test(test_any_part_of_a_message_is_refused),
        cmocka_unit_test(test_a_password_fits_its_own_credential_alone),
        cmocka_unit_test(test_who_is_not_there_looks_the_same_each_time),
        cmocka_unit_test(test_terms_have_bounds),
        cmocka_unit_test(test_nonces_differ),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
