#ifndef TIDINGS_CLI_PASSWORD_H
#define TIDINGS_CLI_PASSWORD_H

#include "security/scram.h"

#include <stddef.h>

/* A password as a person or a program gives it, never on the command line, where others read it. */
struct password {
    char text[SCRAM_PASSWORD_MOST_BYTES + 1];
    size_t size;
};

/*
 * The first line of a file ("-": standard input), without its end; file NULL: of standard input, or
 * typed twice at the terminal, which does not show it. Returns the exit code; a failure is told.
 * Wipe it in any case.
 */
int password_read(const char *file, const char *user, struct password *password);

/* Leaves nothing of it in memory. */
void password_wipe(struct password *password);

#endif
