#include "bus/spec/schema_infer.h"

#include <string.h>

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

static bool is_letter(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
}

static bool is_hex(char letter)
{
    return is_digit(letter) || (letter >= 'a' && letter <= 'f') || (letter >= 'A' && letter <= 'F');
}

/* A number of two digits up to `most`. */
static bool is_pair(const char *text, int least, int most)
{
    int number = (text[0] - '0') * 10 + text[1] - '0';
    return is_digit(text[0]) && is_digit(text[1]) && number >= least && number <= most;
}

static bool is_day(const char *text)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 0;
    for (int i = 0; i < 4; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
        year = year * 10 + text[i] - '0';
    }
    if (text[4] != '-' || !is_pair(text + 5, 1, 12) || text[7] != '-') {
        return false;
    }
    int month = (text[5] - '0') * 10 + text[6] - '0';
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return is_pair(text + 8, 1, days[month - 1] + (month == 2 && is_leap));
}

/* RFC 3339, section 5.6, without leap seconds. */
static bool is_date_time(const char *text, size_t size)
{
    if (size < 20 || !is_day(text) || (text[10] != 'T' && text[10] != 't') ||
        !is_pair(text + 11, 0, 23) || text[13] != ':' || !is_pair(text + 14, 0, 59) ||
        text[16] != ':' || !is_pair(text + 17, 0, 59)) {
        return false;
    }
    size_t at = 19;
    if (text[at] == '.') {
        for (at++; at < size && is_digit(text[at]); at++) {
        }
        if (at == 20) {
            return false;
        }
    }
    if (size - at == 1) {
        return text[at] == 'Z' || text[at] == 'z';
    }
    return size - at == 6 && (text[at] == '+' || text[at] == '-') &&
           is_pair(text + at + 1, 0, 23) && text[at + 3] == ':' && is_pair(text + at + 4, 0, 59);
}

/* RFC 4122. */
static bool is_uuid(const char *text, size_t size)
{
    if (size != 36) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? text[i] != '-' : !is_hex(text[i])) {
            return false;
        }
    }
    return true;
}

/* RFC 3986: a scheme, then letters that a URI may have. */
static bool is_uri(const char *text, size_t size)
{
    static const char others[] = "-._~:/?#[]@!$&'()*+,;=";
    size_t scheme = 0;
    while (scheme < size && (is_letter(text[scheme]) || is_digit(text[scheme]) ||
                             text[scheme] == '+' || text[scheme] == '-' || text[scheme] == '.')) {
        scheme++;
    }
    bool is_urn = size > 4 && (memcmp(text, "urn:", 4) == 0 || memcmp(text, "URN:", 4) == 0);
    bool has_slashes = scheme > 1 && size > scheme + 3 && memcmp(text + scheme, "://", 3) == 0;
    if (size == 0 || !is_letter(text[0]) || !(is_urn || has_slashes)) {
        return false;
    }
    for (size_t i = scheme; i < size; i++) {
        if (text[i] == '%') {
            if (size - i < 3 || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) {
                return false;
            }
        } else if (!is_letter(text[i]) && !is_digit(text[i]) &&
                   (text[i] == '\0' || strchr(others, text[i]) == NULL)) {
            return false;
        }
    }
    return true;
}

unsigned schema_formats_of(const char *text, size_t size)
{
    return (is_date_time(text, size) ? 1u << SCHEMA_DATE_TIME : 0) |
           (is_uuid(text, size) ? 1u << SCHEMA_UUID : 0) |
           (is_uri(text, size) ? 1u << SCHEMA_URI : 0);
}
