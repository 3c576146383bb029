#ifndef TIDINGS_BASE_PLURAL_H
#define TIDINGS_BASE_PLURAL_H

#include <stdint.h>

/* Counts with nouns, for lines that people read: "%llu event%s %s done". Pure; static texts. */

/* "" for one, "s" for all others. */
static inline const char *plural_s(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* "is" for one, "are" for all others. */
static inline const char *plural_are(uint64_t count)
{
    return count == 1 ? "is" : "are";
}

#endif
