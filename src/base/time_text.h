#ifndef TIDINGS_BASE_TIME_TEXT_H
#define TIDINGS_BASE_TIME_TEXT_H

#include "base/err.h"

#include <stdint.h>

/*
 * Times and durations as people type them. Times are milliseconds since 1970 UTC.
 */

/* "500ms", "30s", "5m", "2h", "1d", sums as "1h30m"; a bare number is seconds. ERR_INVALID. */
CHECKED enum err duration_parse(const char *text, int64_t *duration_ms, struct reason *reason);

/*
 * "now"; a duration ago as "-1h"; ISO 8601 as "2026-02-01", "2026-02-01T12:00", with seconds and
 * fraction, a blank for the T, and "Z" or "+02:00" (without: local time); milliseconds since 1970
 * as "@1700000000000". Never below zero. ERR_INVALID with a reason that shows the forms.
 */
CHECKED enum err time_parse(const char *text, int64_t now_ms, int64_t *time_ms,
                            struct reason *reason);

enum { TIME_TEXT_SIZE = 40 };

/* "2026-02-01T12:00:00.123Z" into text; returns text. */
const char *time_format(int64_t time_ms, char text[TIME_TEXT_SIZE]);

#endif
