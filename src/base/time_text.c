#include "base/time_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const int64_t DURATION_MAX_MS = INT64_C(1000) * 365 * 86400000; /* a thousand years */

static int64_t unit_ms(const char *text, size_t size)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},     {"min", 60000},
                 {"h", 3600000}, {"d", 86400000}, {"w", 604800000}, {"", 1000}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strlen(units[i].name) == size && strncmp(units[i].name, text, size) == 0) {
            return units[i].ms;
        }
    }
    return 0;
}

static enum err fail_duration(struct reason *reason, const char *text)
{
    return reason_fail(reason, ERR_INVALID,
                       "'%s' is no duration: write 500ms, 30s, 5m, 2h, 1d or 1h30m", text);
}

enum err duration_parse(const char *text, int64_t *duration_ms, struct reason *reason)
{
    int64_t total = 0;
    const char *at = text;
    do {
        if (!isdigit((unsigned char)*at)) {
            return fail_duration(reason, text);
        }
        int64_t number = 0;
        for (; isdigit((unsigned char)*at); at++) {
            number = number * 10 + (*at - '0');
            if (number > DURATION_MAX_MS) {
                return fail_duration(reason, text);
            }
        }
        size_t unit_size = strcspn(at, "0123456789");
        int64_t unit = unit_ms(at, unit_size);
        if (unit == 0 || number > DURATION_MAX_MS / unit) {
            return fail_duration(reason, text);
        }
        total += number * unit;
        at += unit_size;
    } while (*at != '\0' && total <= DURATION_MAX_MS);
    if (total > DURATION_MAX_MS) {
        return fail_duration(reason, text);
    }
    *duration_ms = total;
    return ERR_NONE;
}

/* Reads exactly `digits` digits. */
static bool take_number(const char **at, int digits, int *number)
{
    *number = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (!isdigit((unsigned char)**at)) {
            return false;
        }
        *number = *number * 10 + (**at - '0');
    }
    return true;
}

static bool take_char(const char **at, char wanted)
{
    if (**at != wanted) {
        return false;
    }
    (*at)++;
    return true;
}

/* ".123456": milliseconds count, finer digits are dropped. */
static bool take_fraction(const char **at, int *ms)
{
    *ms = 0;
    if (**at != '.' && **at != ',') {
        return true;
    }
    (*at)++;
    int scale = 100;
    if (!isdigit((unsigned char)**at)) {
        return false;
    }
    for (; isdigit((unsigned char)**at); (*at)++, scale /= 10) {
        *ms += (**at - '0') * scale;
    }
    return true;
}

/* "Z", "+02:00", "+0200" or "+02"; nothing means local time. */
static bool take_zone(const char **at, bool *is_local, int *offset_minutes)
{
    *is_local = false;
    *offset_minutes = 0;
    if (**at == '\0') {
        *is_local = true;
        return true;
    }
    if (take_char(at, 'Z') || take_char(at, 'z')) {
        return true;
    }
    int sign = **at == '-' ? -1 : 1;
    int hours, minutes = 0;
    if (!take_char(at, '+') && !take_char(at, '-')) {
        return false;
    }
    if (!take_number(at, 2, &hours) || hours > 14) {
        return false;
    }
    bool has_colon = take_char(at, ':');
    if ((has_colon || **at != '\0') && !take_number(at, 2, &minutes)) {
        return false;
    }
    *offset_minutes = sign * (hours * 60 + minutes);
    return minutes < 60;
}

static bool take_clock(const char **at, struct tm *tm, int *ms)
{
    *ms = 0;
    if (!take_char(at, 'T') && !take_char(at, 't') && !take_char(at, ' ')) {
        return **at == '\0';
    }
    if (!take_number(at, 2, &tm->tm_hour) || !take_char(at, ':') ||
        !take_number(at, 2, &tm->tm_min)) {
        return false;
    }
    if (take_char(at, ':') && (!take_number(at, 2, &tm->tm_sec) || !take_fraction(at, ms))) {
        return false;
    }
    return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

static bool iso_parse(const char *text, int64_t *time_ms)
{
    struct tm tm = {.tm_isdst = -1};
    int ms, offset_minutes;
    bool is_local;
    const char *at = text;
    if (!take_number(&at, 4, &tm.tm_year) || !take_char(&at, '-') ||
        !take_number(&at, 2, &tm.tm_mon) || !take_char(&at, '-') ||
        !take_number(&at, 2, &tm.tm_mday) || !take_clock(&at, &tm, &ms) ||
        !take_zone(&at, &is_local, &offset_minutes) || *at != '\0') {
        return false;
    }
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm normal = tm;
    time_t seconds = is_local ? mktime(&normal) : timegm(&normal);
    if (normal.tm_mday != tm.tm_mday) {
        return false; /* the 30th of February */
    }
    *time_ms = ((int64_t)seconds - offset_minutes * 60) * 1000 + ms;
    return true;
}

static bool epoch_parse(const char *text, int64_t *time_ms)
{
    int64_t value = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 17 || text[digits] != '\0') {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        value = value * 10 + (text[i] - '0');
    }
    *time_ms = value;
    return true;
}

enum err time_parse(const char *text, int64_t now_ms, int64_t *time_ms, struct reason *reason)
{
    int64_t ago_ms;
    if (strcmp(text, "now") == 0) {
        *time_ms = now_ms;
        return ERR_NONE;
    }
    if (text[0] == '-' && duration_parse(text + 1, &ago_ms, NULL) == ERR_NONE) {
        *time_ms = now_ms > ago_ms ? now_ms - ago_ms : 0;
        return ERR_NONE;
    }
    if (text[0] == '@' && epoch_parse(text + 1, time_ms)) {
        return ERR_NONE;
    }
    if (iso_parse(text, time_ms)) {
        return *time_ms >= 0 ? ERR_NONE
                             : reason_fail(reason, ERR_INVALID, "'%.80s' is before 1970", text);
    }
    return reason_fail(reason, ERR_INVALID,
                       "'%.80s' is no time: write 2026-02-01T12:00:00Z, 2026-02-01 (local), -1h, "
                       "now or @MILLISECONDS",
                       text);
}

static char *put_digits(char *to, int digits, int value)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10) {
        to[i] = (char)('0' + value % 10);
    }
    return to + digits;
}

/* Year, month and day of a day since 1970, by years that begin in March. */
static char *put_date(char *to, int64_t day)
{
    enum { DAYS_400_YEARS = 146097, DAYS_0_TO_1970 = 719468 };
    int64_t shifted = day + DAYS_0_TO_1970;
    int64_t era = shifted / DAYS_400_YEARS;
    int64_t day_of_era = shifted - era * DAYS_400_YEARS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */
    int64_t year = era * 400 + year_of_era + (month >= 10);
    to = put_digits(to, 4, (int)year);
    *to++ = '-';
    to = put_digits(to, 2, (int)(month < 10 ? month + 3 : month - 9));
    *to++ = '-';
    return put_digits(to, 2, (int)(day_of_year - (153 * month + 2) / 5 + 1));
}

/* For times of four-digit years since 1970: what is printed for each event of a stream. */
static void format_usual(int64_t time_ms, char *text)
{
    int64_t day_ms = time_ms % 86400000;
    text = put_date(text, time_ms / 86400000);
    *text++ = 'T';
    text = put_digits(text, 2, (int)(day_ms / 3600000));
    *text++ = ':';
    text = put_digits(text, 2, (int)(day_ms / 60000 % 60));
    *text++ = ':';
    text = put_digits(text, 2, (int)(day_ms / 1000 % 60));
    *text++ = '.';
    text = put_digits(text, 3, (int)(day_ms % 1000));
    *text++ = 'Z';
    *text = '\0';
}

const char *time_format(int64_t time_ms, char text[TIME_TEXT_SIZE])
{
    static const int64_t YEAR_10000_MS = INT64_C(253402300800000);
    if (time_ms >= 0 && time_ms < YEAR_10000_MS) {
        format_usual(time_ms, text);
        return text;
    }
    int64_t seconds = time_ms / 1000;
    int64_t ms = time_ms % 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    time_t whole = (time_t)seconds;
    struct tm tm;
    char day_and_clock[32];
    if (gmtime_r(&whole, &tm) == NULL) {
        snprintf(text, TIME_TEXT_SIZE, "@%lld", (long long)time_ms);
        return text;
    }
    strftime(day_and_clock, sizeof day_and_clock, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, TIME_TEXT_SIZE, "%s.%03dZ", day_and_clock, (int)ms);
    return text;
}
