#ifndef TIDINGS_CLI_TERMINAL_H
#define TIDINGS_CLI_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

/*
 * The terminal as a screen of our own: alternate screen, no echo, keys one by one, no cursor.
 * It is given back by _leave, and by a handler when the process dies of SIGSEGV, SIGBUS, SIGFPE or
 * SIGABRT; other signals are the caller's. Main thread; one at a time in a process.
 */
struct terminal {
    struct termios before;
    bool is_entered;
};

/* False: standard input or output is no terminal, or it cannot be set; nothing is changed then. */
bool terminal_enter(struct terminal *terminal);

/* Gives it back as it was; nothing when it is not entered. */
void terminal_leave(struct terminal *terminal);

/* Its size, 24 x 80 where it does not tell. */
void terminal_size(int *rows, int *columns);

#endif
