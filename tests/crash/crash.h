#ifndef TIDINGS_TESTS_CRASH_H
#define TIDINGS_TESTS_CRASH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/random.h"
#include "client.h"
#include "wire/header.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The real server, killed again and again under load. What it acknowledged, and what a reader saw,
 * must be there after each start: once, in order. Every failure prints the seed.
 */

/* ---- failures (crash.c) ---- */

/* Ends the test: what was expected and what was seen, and how to run it again. */
void crash_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void crash_set_seed(uint64_t seed, const char *scenario);

/* ---- the server as a child process (server.c) ---- */

struct server_child {
    const char *program;
    char *dir;                   /* of the test; data in dir/data, log lines in dir/log */
    const char *const *settings; /* for --set, NULL ends */
    const char *preload;         /* sync_witness.so, or NULL */
    pid_t pid;
    int out_fd; /* its standard output */
    uint16_t port;
    long log_from; /* where this start's lines begin */
    unsigned kills;
};

void server_spawn(struct server_child *server); /* does not wait */
void server_wait_ready(struct server_child *server);
void server_kill(struct server_child *server);
/* SIGTERM; fails unless it ends with exit code 0. */
void server_stop(struct server_child *server);
/* The log lines since the last spawn; free it. */
char *server_log(const struct server_child *server);

#endif
