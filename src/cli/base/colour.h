#ifndef TIDINGS_CLI_COLOUR_H
#define TIDINGS_CLI_COLOUR_H

#include <stdbool.h>

/* --colour: NULL or "auto" (on a terminal, unless $NO_COLOR is set or it is a dumb one), "always",
 * "never". False: it is none of these. */
bool colour_is_word(const char *when);

/* Whether standard output gets colours. */
bool colour_is_wanted(const char *when);

/* Whether what is printed may be drawn with lines and dots beyond ASCII: the locale says UTF-8. */
bool colour_has_utf8(void);

#endif
