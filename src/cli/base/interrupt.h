#ifndef TIDINGS_CLI_INTERRUPT_H
#define TIDINGS_CLI_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/*
 * Ctrl-C and SIGTERM as something to ask for, so that a command can end cleanly. Also turns
 * SIGPIPE off: a closed pipe shows as a write error. Init before threads start.
 */
struct interrupt {
    int fd;
    sigset_t before; /* the mask to go back to */
    bool is_raised;
};

/* Takes the signals over, of the whole process; _deinit goes back to how they were. Main thread. */
void interrupt_init(struct interrupt *interrupt);
void interrupt_deinit(struct interrupt *interrupt);

/* True from the first signal on. From then on a second signal ends the process at once. */
bool interrupt_is_raised(struct interrupt *interrupt);

/* Waits until output_fd can be written to, or has ended. False when a signal came first, or had
 * come before and grace_ms passed since this call. */
bool interrupt_wait_output(struct interrupt *interrupt, int output_fd, int grace_ms);

enum interrupt_wait { WAIT_READABLE, WAIT_RAISED, WAIT_TIMED_OUT };

/* Waits until input_fd can be read or has ended, a signal came, or timeout_ms passed. */
enum interrupt_wait interrupt_wait(struct interrupt *interrupt, int input_fd, int timeout_ms);

#endif
