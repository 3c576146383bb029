#include "../unit.h"

#include "cli/bus/raw_scram.h"

#include <string.h>

/* The client's side of SCRAM: the example of RFC 7677, and servers that are not to be trusted. */

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define CHALLENGE                                                                                  \
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"

static void begin(struct raw_scram *scram, struct buf *message)
{
    raw_scram_begin(scram, false, slice_str("user"), slice_str("pencil"), NONCE, message);
}

static void test_the_example_of_rfc_7677(void **state)
{
    (void)state;
    struct raw_scram scram;
    struct reason reason;
    struct buf message = {0};
    begin(&scram, &message);
    assert_string_equal(buf_cstr(&message), "n,,n=user,r=" NONCE);
    buf_clear(&message);
    assert_int_equal(raw_scram_answer(&scram, slice_str(CHALLENGE), &message, &reason), ERR_NONE);
    assert_string_equal(buf_cstr(&message),
                        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_int_equal(raw_scram_check(&scram,
                                     slice_str("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
                                     &reason),
                     ERR_NONE);
    assert_int_equal(raw_scram_check(&scram,
                                     slice_str("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
                                     &reason),
                     ERR_CORRUPT);
    assert_int_equal(raw_scram_check(&scram, slice_str("e=other-error"), &reason), ERR_CORRUPT);
    assert_int_equal(raw_scram_check(&scram, slice_str("v="), &reason), ERR_CORRUPT);
    raw_scram_deinit(&scram);
    buf_deinit(&message);
}

static void test_a_server_that_did_not_ask_for_the_proof_is_not_believed(void **state)
{
    (void)state;
    struct raw_scram scram;
    struct reason reason;
    struct buf message = {0};
    begin(&scram, &message);
    assert_int_equal(raw_scram_check(&scram,
                                     slice_str("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
                                     &reason),
                     ERR_CORRUPT);
    raw_scram_deinit(&scram);
    buf_deinit(&message);
}

static void test_challenges_that_make_no_sense_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* adds nothing */
        "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=" NONCE "x,s=,i=4096",
        "r=" NONCE "x,s=!,i=4096",
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001",
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999999999",
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1",
        "m=x,r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct raw_scram scram;
        struct reason reason;
        struct buf message = {0};
        begin(&scram, &message);
        if (raw_scram_answer(&scram, slice_str(bad[i]), &message, &reason) != ERR_CORRUPT) {
            fail_msg("'%s' is taken", bad[i]);
        }
        raw_scram_deinit(&scram);
        buf_deinit(&message);
    }
}

static void test_names_are_escaped(void **state)
{
    (void)state;
    struct raw_scram scram;
    struct buf message = {0};
    raw_scram_begin(&scram, true, slice_str("a,b=c"), slice_str("x"), "n", &message);
    assert_string_equal(buf_cstr(&message), "n,,n=a=2Cb=3Dc,r=n");
    raw_scram_deinit(&scram);
    buf_deinit(&message);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_of_rfc_7677),
        cmocka_unit_test(test_a_server_that_did_not_ask_for_the_proof_is_not_believed),
        cmocka_unit_test(test_challenges_that_make_no_sense_are_refused),
        cmocka_unit_test(test_names_are_escaped),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
