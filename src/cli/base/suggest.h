#ifndef TIDINGS_CLI_SUGGEST_H
#define TIDINGS_CLI_SUGGEST_H

#include <stddef.h>

/* Edits (insert, drop, replace, swap neighbours) between two words; both at most 64 bytes long,
 * longer ones count as 64 apart. */
size_t suggest_distance(const char *a, const char *b);

/* The nearest of `count` words, or NULL when none is near enough to be a slip of the fingers. */
const char *suggest_nearest(const char *word, const char *const *words, size_t count);

#endif
