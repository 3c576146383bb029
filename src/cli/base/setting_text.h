#ifndef TIDINGS_CLI_SETTING_TEXT_H
#define TIDINGS_CLI_SETTING_TEXT_H

#include "base/err.h"
#include "base/slice.h"

enum { SETTING_TEXT_SIZE = 32 };

/*
 * Kafka's settings are bare numbers in the unit of their name. People write 1h for retention.ms and
 * 10MB or 1GiB for segment.bytes: *number (in text) is then the number that the bus wants. A name
 * that ends with .ms, .seconds, .minutes or .hours takes durations (as time_text.h has them); one
 * that holds "bytes" or ends with buffer.size takes B, kB, MB, GB, TB and KiB, MiB, GiB, TiB.
 * *number: value itself when it is a number, a word, or the setting is of another kind.
 * ERR_INVALID: a duration or size that is no whole number in that unit, or no such unit.
 */
CHECKED enum err setting_number(struct slice name, const char *value, char text[SETTING_TEXT_SIZE],
                                const char **number, struct reason *reason);

#endif
