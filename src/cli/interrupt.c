#include "cli/interrupt.h"

#include <assert.h>
#include <poll.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

void interrupt_init(struct interrupt *interrupt)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    interrupt->is_raised = false;
    sigprocmask(SIG_BLOCK, &signals, &interrupt->before);
    interrupt->fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    assert(interrupt->fd >= 0);
    signal(SIGPIPE, SIG_IGN);
}

void interrupt_deinit(struct interrupt *interrupt)
{
    close(interrupt->fd);
    sigprocmask(SIG_SETMASK, &interrupt->before, NULL);
}

bool interrupt_is_raised(struct interrupt *interrupt)
{
    struct signalfd_siginfo info;
    if (!interrupt->is_raised && read(interrupt->fd, &info, sizeof info) > 0) {
        interrupt->is_raised = true;
        sigprocmask(SIG_SETMASK, &interrupt->before, NULL);
    }
    return interrupt->is_raised;
}

enum interrupt_wait interrupt_wait(struct interrupt *interrupt, int input_fd, int timeout_ms)
{
    if (interrupt_is_raised(interrupt)) {
        return WAIT_RAISED;
    }
    struct pollfd fds[] = {{.fd = input_fd, .events = POLLIN},
                           {.fd = interrupt->fd, .events = POLLIN}};
    poll(fds, 2, timeout_ms);
    if (interrupt_is_raised(interrupt)) {
        return WAIT_RAISED;
    }
    return fds[0].revents != 0 ? WAIT_READABLE : WAIT_TIMED_OUT;
}
