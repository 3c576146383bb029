#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

enum err thread_start(pthread_t *thread, const char *name, unsigned index,
                      void *(*run)(void *context), void *context, struct reason *reason)
{
    sigset_t all, before;
    sigfillset(&all);
    static const int own_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF};
    for (unsigned i = 0; i < sizeof own_faults / sizeof own_faults[0]; i++) {
        sigdelset(&all, own_faults[i]);
    }
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        errno = failed;
        return reason_errno(reason, "cannot start thread %s-%u", name, index);
    }
    char label[16];
    snprintf(label, sizeof label, "%.10s-%u", name, index % 1000);
    pthread_setname_np(*thread, label);
    return ERR_NONE;
}
