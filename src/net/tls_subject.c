#include "base/buf.h"
#include "base/mem.h"
#include "net/tls_context.h"

#include <openssl/err.h>
#include <string.h>

/*
 * The subject of a certificate as Java's X500Principal writes it by RFC 2253, so that rules and
 * ACLs made for Apache Kafka fit: the last part first; the names of RFC 2253 and none besides,
 * other attributes by their object identifier, with the value in hexadecimal. Control characters
 * are escaped, which Java leaves as they are.
 */

static const char *keyword(const ASN1_OBJECT *object)
{
    switch (OBJ_obj2nid(object)) {
    case NID_commonName:
        return "CN";
    case NID_countryName:
        return "C";
    case NID_localityName:
        return "L";
    case NID_stateOrProvinceName:
        return "ST";
    case NID_organizationName:
        return "O";
    case NID_organizationalUnitName:
        return "OU";
    case NID_streetAddress:
        return "STREET";
    case NID_domainComponent:
        return "DC";
    case NID_userId:
        return "UID";
    default:
        return NULL;
    }
}

static void add_hex(struct buf *to, const ASN1_STRING *value)
{
    unsigned char *encoded = NULL;
    int size = i2d_ASN1_PRINTABLE(value, &encoded);
    buf_append(to, "#", 1);
    for (int i = 0; i < size; i++) {
        buf_printf(to, "%02x", encoded[i]);
    }
    OPENSSL_free(encoded);
}

/* Blanks at either end are escaped, each. */
static void add_text(struct buf *to, const unsigned char *text, size_t size)
{
    size_t begin = 0, end = size;
    while (begin < size && text[begin] == ' ') {
        begin++;
    }
    while (end > begin && text[end - 1] == ' ') {
        end--;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < ' ' || text[i] == 0x7f) {
            buf_printf(to, "\\%02X", text[i]);
            continue;
        }
        if (i < begin || i >= end || strchr(",=+<>#;\"\\", text[i]) != NULL) {
            buf_append(to, "\\", 1);
        }
        buf_append(to, &text[i], 1);
    }
}

static void add_entry(struct buf *to, const X509_NAME_ENTRY *entry)
{
    const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
    const char *name = keyword(object);
    unsigned char *text = NULL;
    int size = name != NULL ? ASN1_STRING_to_UTF8(&text, value) : -1;
    if (name != NULL) {
        buf_printf(to, "%s=", name);
    } else {
        char number[128];
        OBJ_obj2txt(number, sizeof number, object, 1);
        buf_printf(to, "%s=", number);
    }
    if (size >= 0) {
        add_text(to, text, (size_t)size);
    } else {
        add_hex(to, value);
    }
    OPENSSL_free(text);
}

char *tls_subject(const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    struct buf out = {0};
    for (int end = X509_NAME_entry_count(subject), begin; end > 0; end = begin) {
        int set = X509_NAME_ENTRY_set(X509_NAME_get_entry(subject, end - 1));
        for (begin = end - 1;
             begin > 0 && X509_NAME_ENTRY_set(X509_NAME_get_entry(subject, begin - 1)) == set;) {
            begin--;
        }
        for (int i = begin; i < end; i++) {
            buf_append(&out, i > begin ? "+" : ",", i > begin || out.size > 0 ? 1 : 0);
            add_entry(&out, X509_NAME_get_entry(subject, i));
        }
    }
    char *text = out.size > 0 ? mem_strdup(buf_cstr(&out)) : NULL;
    buf_deinit(&out);
    ERR_clear_error();
    return text;
}
