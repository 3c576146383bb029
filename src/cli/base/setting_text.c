#include "cli/base/setting_text.h"

#include "base/time_text.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(struct slice name, const char *end)
{
    size_t size = strlen(end);
    return name.size >= size && memcmp(name.data + name.size - size, end, size) == 0;
}

/* Milliseconds of one unit of the name; 0: it is no time. */
static int64_t time_unit_ms(struct slice name)
{
    return ends_with(name, ".ms")        ? 1
           : ends_with(name, ".seconds") ? 1000
           : ends_with(name, ".minutes") ? 60000
           : ends_with(name, ".hours")   ? 3600000
                                         : 0;
}

static bool is_size(struct slice name)
{
    return memmem(name.data, name.size, "bytes", 5) != NULL || ends_with(name, "buffer.size");
}

/* Bytes of a unit; 0: there is none of that name. */
static double unit_bytes(const char *unit)
{
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"B", 1},     {"kB", 1e3},     {"KB", 1e3},     {"MB", 1e6},     {"GB", 1e9},
                 {"TB", 1e12}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(units[i].name, unit) == 0) {
            return units[i].bytes;
        }
    }
    return 0;
}

static enum err size_number(const char *value, char text[SETTING_TEXT_SIZE], struct reason *reason)
{
    char *unit;
    double bytes = strtod(value, &unit) * unit_bytes(unit);
    if (bytes <= 0 || bytes > 0x1p62 || bytes != floor(bytes)) {
        return reason_fail(reason, ERR_INVALID, "'%.60s' is no size: write 1000000, 10MB or 1GiB",
                           value);
    }
    snprintf(text, SETTING_TEXT_SIZE, "%.0f", bytes);
    return ERR_NONE;
}

static enum err time_number(struct slice name, const char *value, char text[SETTING_TEXT_SIZE],
                            struct reason *reason)
{
    int64_t ms;
    int64_t unit_ms = time_unit_ms(name);
    enum err err = duration_parse(value, &ms, reason);
    if (err == ERR_NONE && ms % unit_ms != 0) {
        err = reason_fail(reason, ERR_INVALID, "'%.60s' is no whole number of %s", value,
                          unit_ms == 1000    ? "seconds"
                          : unit_ms == 60000 ? "minutes"
                                             : "hours");
    }
    if (err == ERR_NONE) {
        snprintf(text, SETTING_TEXT_SIZE, "%lld", (long long)(ms / unit_ms));
    }
    return err;
}

enum err setting_number(struct slice name, const char *value, char text[SETTING_TEXT_SIZE],
                        const char **number, struct reason *reason)
{
    char *unit;
    *number = value;
    (void)strtod(value, &unit);
    if (!isdigit((unsigned char)value[0]) || *unit == '\0') {
        return ERR_NONE; /* a number as it is, 1e12 too: the setting judges it */
    }
    enum err err = ERR_NONE;
    if (time_unit_ms(name) > 0) {
        err = time_number(name, value, text, reason);
    } else if (is_size(name)) {
        err = size_number(value, text, reason);
    } else {
        return ERR_NONE;
    }
    *number = err == ERR_NONE ? text : value;
    return err;
}
