#ifndef TIDINGS_BENCH_LANES_H
#define TIDINGS_BENCH_LANES_H

#include "load.h"

/*
 * bench-lanes: what it costs a service to have its events handled in key lanes (libtidings), beside
 * a plain loop of librdkafka with the same settings, and what poison keys cost the others.
 */

struct options {
    const char *mode; /* "fill", "loop", "lanes", "turn", "turn-once", "steady" */
    const char *bootstrap;
    const char *topic;
    const char *group;
    int events;
    int keys;
    int event_bytes;
    int work_us; /* of a handler: it sleeps */
    int workers;
    int never; /* so many of the keys never succeed */
    int rate;  /* events a second */
    int seconds;
    pid_t server_pid;
};

enum { TIMEOUT_MS = 60000 };

/* What was handled: when the first began and the last ended, by the monotonic clock. */
struct span {
    int64_t began_ns;
    int64_t ended_ns;
};

_Noreturn void fail(const char *what, const char *why);

/* Sleeps so long, as a handler that waits for a database does; 0: does nothing. */
void work(int microseconds);

/* Publishes options->events events over all keys by turns. */
void fill(const struct options *options);
/* Handles options->events events, one after another. */
struct span run_loop(const struct options *options);
/* The same by a service of libtidings. */
struct span run_service(const struct options *options);
/* A service that publishes an event for each one that it handles, to the topic with "-out" behind
 * its name; until the last one is acknowledged, or committed with exactly_once. */
struct span run_turning(const struct options *options, bool exactly_once);
/* Publishes at options->rate for options->seconds, handles at the same time, and tells how. A twin
 * handles the same events of a topic with "-calm" behind its name, of which none fails. */
json_t *run_steady(const struct options *options, bool has_twin);

#endif
