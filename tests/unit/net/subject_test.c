#include "../unit.h"

#include "net/tls_context.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* Subjects as Java writes them: what is expected was said by X500Principal.getName(RFC2253) of a
 * JDK 17 for certificates with such subjects. */

struct part {
    const char *name;
    int type;
    const char *value;
    int size;       /* 0: up to its end */
    bool is_beside; /* in one part with that before it */
};

static void add(X509_NAME *to, const struct part *part)
{
    int size = part->size > 0 ? part->size : (int)strlen(part->value);
    assert_int_equal(X509_NAME_add_entry_by_txt(to, part->name, part->type,
                                                (const unsigned char *)part->value, size, -1,
                                                part->is_beside ? -1 : 0),
                     1);
}

static void assert_subject(const struct part *parts, size_t count, const char *expected)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    for (size_t i = 0; i < count; i++) {
        add(name, &parts[i]);
    }
    char *subject = tls_subject(certificate);
    if (expected == NULL) {
        assert_null(subject);
    } else {
        assert_string_equal(subject, expected);
    }
    free(subject);
    X509_free(certificate);
}

#define UTF8 V_ASN1_UTF8STRING
#define SUBJECT(expected, ...)                                                                     \
    assert_subject((const struct part[]){__VA_ARGS__},                                             \
                   sizeof((const struct part[]){__VA_ARGS__}) / sizeof(struct part), expected)

static void test_the_last_part_comes_first(void **state)
{
    (void)state;
    SUBJECT("CN=Shop,O=Store,C=DE", {"C", V_ASN1_PRINTABLESTRING, "DE"}, {"O", UTF8, "Store"},
            {"CN", UTF8, "Shop"});
    SUBJECT("L=Town,ST=Land,STREET=Road 1,DC=example,UID=u1,CN=x", {"CN", UTF8, "x"},
            {"UID", UTF8, "u1"}, {"DC", V_ASN1_IA5STRING, "example"}, {"street", UTF8, "Road 1"},
            {"ST", UTF8, "Land"}, {"L", UTF8, "Town"});
    assert_subject(NULL, 0, NULL);
}

static void test_attributes_without_a_name_in_rfc_2253_are_numbers(void **state)
{
    (void)state;
    SUBJECT("1.2.840.113549.1.9.1=#161273686f704073746f72652e6578616d706c65,CN=Shop,O=Store,C=DE",
            {"C", V_ASN1_PRINTABLESTRING, "DE"}, {"O", UTF8, "Store"}, {"CN", UTF8, "Shop"},
            {"emailAddress", V_ASN1_IA5STRING, "shop@store.example"});
    SUBJECT("2.5.4.46=#130171,2.5.4.42=#0c05476976656e,2.5.4.4=#0c03537572,2.5.4.12=#0c024472,"
            "2.5.4.5=#13023432",
            {"serialNumber", V_ASN1_PRINTABLESTRING, "42"}, {"title", UTF8, "Dr"},
            {"SN", UTF8, "Sur"}, {"GN", UTF8, "Given"},
            {"dnQualifier", V_ASN1_PRINTABLESTRING, "q"});
    SUBJECT("CN=z,2.5.4.15=#0c0178", {"businessCategory", UTF8, "x"}, {"CN", UTF8, "z"});
}

static void test_what_means_something_is_escaped(void **state)
{
    (void)state;
    SUBJECT("CN=\\ \\ two\\ \\ ,O=A\\, B\\+C\\<D\\>\\;E\\=\\\"F\\\"\\\\G\\#H",
            {"O", UTF8, "A, B+C<D>;E=\"F\"\\G#H"}, {"CN", UTF8, "  two  "});
    SUBJECT("O=\\#x y\\#z", {"O", UTF8, "#x y#z"});
    SUBJECT("CN=\\ ", {"CN", UTF8, " "});
    SUBJECT("CN=a  b", {"CN", UTF8, "a  b"});
    SUBJECT("O=\xf0\x9f\x98\x80,CN=M\xc3\xbcller", {"CN", UTF8, "M\xc3\xbcller"},
            {"O", UTF8, "\xf0\x9f\x98\x80"});
    SUBJECT("CN=line\\0Abreak\\00", {"CN", UTF8, "line\nbreak\0", 11}); /* Java's has them raw */
}

static void test_parts_of_several_values_keep_their_order(void **state)
{
    (void)state;
    SUBJECT("CN=M\xc3\xbcller,CN=two+OU=one,O=Store", {"O", UTF8, "Store"}, {"CN", UTF8, "two"},
            {"OU", UTF8, "one", 0, true}, {"CN", UTF8, "M\xc3\xbcller"});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_part_comes_first),
        cmocka_unit_test(test_attributes_without_a_name_in_rfc_2253_are_numbers),
        cmocka_unit_test(test_what_means_something_is_escaped),
        cmocka_unit_test(test_parts_of_several_values_keep_their_order),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
