#include "../unit.h"

#include "security/sasl.h"

static const uint8_t secret[32] = {3};

static struct users *users_with(const char *name, const char *password)
{
    struct users *users = users_new(secret);
    struct scram_credential credential;
    scram_make(SCRAM_SHA_512, slice_str(password), slice_str("salt"), 4096, &credential);
    users_put(users, slice_str(name), &credential);
    return users;
}

static enum sasl_step plain(struct users *users, struct slice token, struct reason *reason)
{
    struct buf answer = {0};
    struct sasl_login *login = sasl_begin(SASL_PLAIN, users);
    enum sasl_step step = sasl_take(login, token, &answer, reason);
    if (step == SASL_WAITS) {
        assert_true(slice_equal_str(sasl_user(login), "shop") ||
                    slice_equal_str(sasl_user(login), "nobody"));
        step = sasl_check(login, reason);
    }
    assert_int_equal(answer.size, 0);
    sasl_end(login);
    return step;
}

#define TOKEN(text) slice_of(text, sizeof text - 1)

static void test_a_plain_password_is_checked(void **state)
{
    (void)state;
    struct reason reason;
    struct users *users = users_with("shop", "swordfish");
    assert_int_equal(plain(users, TOKEN("\0shop\0swordfish"), &reason), SASL_SUCCEEDS);
    assert_int_equal(plain(users, TOKEN("shop\0shop\0swordfish"), &reason), SASL_SUCCEEDS);
    assert_int_equal(plain(users, TOKEN("\0shop\0Swordfish"), &reason), SASL_FAILS);
    assert_non_null(strstr(reason.text, "wrong password"));
    assert_int_equal(plain(users, TOKEN("\0nobody\0swordfish"), &reason), SASL_FAILS);
    assert_non_null(strstr(reason.text, "no such user"));
    users_free(users);
}

static void test_malformed_plain_tokens_are_refused(void **state)
{
    (void)state;
    char large[2000];
    struct reason reason;
    struct users *users = users_with("shop", "swordfish");
    const struct slice wrong[] = {
        TOKEN(""),
        TOKEN("\0"),
        TOKEN("\0\0"),
        TOKEN("\0shop"),
        TOKEN("\0shop\0"),
        TOKEN("\0\0swordfish"),
        TOKEN("shop\0swordfish"),
        TOKEN("\0shop\0swordfish\0"),
        TOKEN("\0shop\0swordfish\0more"),
        TOKEN("other\0shop\0swordfish"),
        TOKEN("\0sh\nop\0swordfish"),
        TOKEN("\0sh\xffop\0swordfish"),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(plain(users, wrong[i], &reason), SASL_FAILS);
    }
    memset(large, 'a', sizeof large);
    memcpy(large, "\0shop\0", 6);
    assert_int_equal(plain(users, slice_of(large, sizeof large), &reason), SASL_FAILS);
    assert_non_null(strstr(reason.text, "1994 bytes"));
    users_free(users);
}

static enum sasl_step first(struct users *users, const char *message, struct sasl_login **login,
                            struct buf *answer, struct reason *reason)
{
    *login = sasl_begin(SASL_SCRAM_SHA_512, users);
    return sasl_take(*login, slice_str(message), answer, reason);
}

/* Without the server's nonce. */
static void expect_like(struct buf *answer)
{
    const char *text = buf_cstr(answer);
    assert_memory_equal(text, "r=abc", 5);
    assert_non_null(strstr(text, ",s="));
    assert_non_null(strstr(text, ",i=4096"));
}

static void test_who_is_not_there_is_challenged_as_who_is(void **state)
{
    (void)state;
    static const char end[] = "c=biws,r=abc,p=AAAA";
    struct reason reason;
    struct users *users = users_with("shop", "swordfish");
    const char *const messages[] = {"n,,n=shop,r=abc", "n,,n=nobody,r=abc"};
    for (size_t i = 0; i < 2; i++) {
        struct sasl_login *login;
        struct buf answer = {0};
        assert_int_equal(first(users, messages[i], &login, &answer, &reason), SASL_CONTINUES);
        expect_like(&answer);
        buf_clear(&answer);
        assert_int_equal(sasl_take(login, slice_str(end), &answer, &reason), SASL_FAILS);
        assert_int_equal(answer.size, 0);
        buf_deinit(&answer);
        sasl_end(login);
    }
    users_free(users);
}

static void test_a_half_exchange_is_wiped(void **state)
{
    (void)state;
    struct reason reason;
    struct sasl_login *login;
    struct buf answer = {0};
    struct users *users = users_with("shop", "swordfish");
    assert_int_equal(first(users, "n,,n=shop,r=abc", &login, &answer, &reason), SASL_CONTINUES);
    sasl_end(login);
    assert_int_equal(first(users, "nonsense", &login, &answer, &reason), SASL_FAILS);
    assert_true(slice_equal_str(sasl_user(login), ""));
    sasl_end(login);
    sasl_end(sasl_begin(SASL_PLAIN, users));
    sasl_end(NULL);
    buf_deinit(&answer);
    users_free(users);
}

static void test_mechanisms_have_names(void **state)
{
    (void)state;
    enum sasl_mechanism mechanism;
    assert_true(sasl_find(slice_str("SCRAM-SHA-256"), &mechanism));
    assert_int_equal(mechanism, SASL_SCRAM_SHA_256);
    assert_false(sasl_find(slice_str("scram-sha-256"), &mechanism));
    assert_false(sasl_find(slice_str(""), &mechanism));
    assert_false(sasl_find((struct slice){0}, &mechanism));
    assert_int_equal(sasl_set("PLAIN, SCRAM-SHA-512"), 1u << SASL_PLAIN | 1u << SASL_SCRAM_SHA_512);
    assert_int_equal(sasl_set(""), 0);
    for (int i = 0; i < SASL_MECHANISMS; i++) {
        assert_int_equal(sasl_set(sasl_name((enum sasl_mechanism)i)), 1u << i);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_password_is_checked),
        cmocka_unit_test(test_malformed_plain_tokens_are_refused),
        cmocka_unit_test(test_who_is_not_there_is_challenged_as_who_is),
        cmocka_unit_test(test_a_half_exchange_is_wiped),
        cmocka_unit_test(test_mechanisms_have_names),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
