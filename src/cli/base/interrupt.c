#include "cli/base/interrupt.h"

#include <assert.h>
#include <errno.h>
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

bool interrupt_wait_output(struct interrupt *interrupt, int output_fd, int grace_ms)
{
    bool was_raised = interrupt_is_raised(interrupt);
    struct pollfd fds[] = {{.fd = output_fd, .events = POLLOUT},
                           {.fd = interrupt->fd, .events = POLLIN}};
    while (poll(fds, was_raised ? 1 : 2, was_raised ? grace_ms : -1) < 0 && errno == EINTR) {
    }
    return fds[0].revents != 0;
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
