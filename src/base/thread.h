#ifndef TIDINGS_BASE_THREAD_H
#define TIDINGS_BASE_THREAD_H

#include "base/err.h"

#include <pthread.h>

/*
 * Starts a thread named "<name>-<index>" (cut at 15 characters) with signals blocked: the main
 * thread gets them, and SIGPIPE from sendfile stays pending instead of ending the process.
 */
CHECKED enum err thread_start(pthread_t *thread, const char *name, unsigned index,
                              void *(*run)(void *context), void *context, struct reason *reason);

#endif
