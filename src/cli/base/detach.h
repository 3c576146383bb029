#ifndef TIDINGS_CLI_DETACH_H
#define TIDINGS_CLI_DETACH_H

#include <stdbool.h>

/*
 * Goes on in the background: in a process of its own, outside of the terminal's session, with no
 * standard input. True in that process, whose standard output goes to the caller until
 * detach_ready. False in the caller, when that process is ready (*code 0, its output was passed on)
 * or has ended (*code is its exit code). Before any thread exists.
 */
bool detach(int *code);

/* What was printed reaches the caller, which ends; what comes later on standard output is lost. */
void detach_ready(void);

#endif
