#include "../unit.h"

#include "base/buf.h"
#include "security/users.h"

static const uint8_t secret[32] = {7};

static struct scram_credential some(enum scram_mechanism mechanism, int32_t iterations)
{
    struct scram_credential credential = {
        .mechanism = mechanism, .iterations = iterations, .salt_size = 1, .salt = {9}};
    return credential;
}

static void put(struct users *users, const char *name, enum scram_mechanism mechanism,
                int32_t iterations)
{
    struct scram_credential credential = some(mechanism, iterations);
    users_begin_change(users);
    users_put(users, slice_str(name), &credential);
    users_end_change(users);
}

static void add_line(void *context, const struct user_told *told)
{
    buf_printf(context, "%.*s/%d/%d ", SLICE_ARGS(told->name), told->mechanism,
               (int)told->iterations);
}

static void expect_told(struct users *users, struct slice name, const char *expected)
{
    struct buf text = {0};
    users_each(users, name, add_line, &text);
    assert_string_equal(buf_cstr(&text), expected);
    buf_deinit(&text);
}

static void test_users_are_found_replaced_and_removed(void **state)
{
    (void)state;
    struct users *users = users_new(secret);
    struct scram_credential found;
    put(users, "shop", SCRAM_SHA_256, 4096);
    put(users, "shop", SCRAM_SHA_256, 5000);
    assert_int_equal(users_count(users), 1);
    assert_true(users_find(users, SCRAM_SHA_256, slice_str("shop"), &found));
    assert_int_equal(found.iterations, 5000);
    assert_false(users_have(users, SCRAM_SHA_512, slice_str("shop")));
    assert_false(users_have(users, SCRAM_SHA_256, slice_str("sho")));
    users_remove(users, SCRAM_SHA_512, slice_str("shop"));
    users_remove(users, SCRAM_SHA_256, slice_str("shop"));
    assert_int_equal(users_count(users), 0);
    users_free(users);
}

static void test_who_is_not_there_is_pretended(void **state)
{
    (void)state;
    struct users *users = users_new(secret);
    struct scram_credential found, expected;
    scram_pretend(SCRAM_SHA_256, secret, slice_str("nobody"), &expected);
    assert_false(users_find(users, SCRAM_SHA_256, slice_str("nobody"), &found));
    assert_memory_equal(&found, &expected, sizeof found);
    assert_false(users_find_any(users, slice_str("nobody"), &found));
    assert_memory_equal(&found, &expected, sizeof found);
    users_free(users);
}

static void test_any_credential_of_a_user_is_found(void **state)
{
    (void)state;
    struct users *users = users_new(secret);
    struct scram_credential found;
    put(users, "shop", SCRAM_SHA_512, 4096);
    assert_true(users_find_any(users, slice_str("shop"), &found));
    assert_int_equal(found.mechanism, SCRAM_SHA_512);
    put(users, "shop", SCRAM_SHA_256, 4096);
    assert_true(users_find_any(users, slice_str("shop"), &found));
    assert_int_equal(found.mechanism, SCRAM_SHA_256);
    users_free(users);
}

static void test_they_are_told_in_order(void **state)
{
    (void)state;
    struct users *users = users_new(secret);
    put(users, "shop", SCRAM_SHA_512, 8192);
    put(users, "mail", SCRAM_SHA_256, 4096);
    put(users, "shop", SCRAM_SHA_256, 4096);
    put(users, "shopping", SCRAM_SHA_256, 4097);
    expect_told(users, (struct slice){0}, "mail/1/4096 shop/1/4096 shop/2/8192 shopping/1/4097 ");
    expect_told(users, slice_str("shop"), "shop/1/4096 shop/2/8192 ");
    expect_told(users, slice_str("nobody"), "");
    users_free(users);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users_are_found_replaced_and_removed),
        cmocka_unit_test(test_who_is_not_there_is_pretended),
        cmocka_unit_test(test_any_credential_of_a_user_is_found),
        cmocka_unit_test(test_they_are_told_in_order),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
