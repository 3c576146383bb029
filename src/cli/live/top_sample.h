#ifndef TIDINGS_CLI_TOP_SAMPLE_H
#define TIDINGS_CLI_TOP_SAMPLE_H

#include "cli/bus/bus.h"
#include "cli/live/top_clients.h"

/* What the bus holds, how far its groups are, and who its clients are, at one moment. */
struct top_topic {
    char *name;
    size_t partitions;
    int64_t end;   /* of all partitions, added up; -1: not known */
    int64_t bytes; /* on disk, one copy; -1: not known */
    char error[120];
};

struct top_group {
    char *name;
    const char *state; /* static */
    size_t members;
    int64_t lag;       /* -1: not known */
    int64_t oldest_ms; /* since when its oldest event waits, wall clock; -1: not looked for */
    char error[120];
};

/* A group's way through a topic: offsets of all partitions whose lag is known, added up. */
struct top_pair {
    char *group, *topic;
    int64_t end, done;
};

struct top_sample {
    int64_t mono_ms, wall_ms;
    VEC(struct top_topic) topics; /* by name */
    VEC(struct top_group) groups; /* by name */
    VEC(struct top_pair) pairs;   /* by group, then topic */
    struct top_clients clients;
    struct client_error error; /* CLIENT_OK, or why all is empty */
};

/* Asks for it. With has_oldest also for the oldest waiting event of up to 20 groups that are
 * behind. One thread a connection. Free with top_sample_free. */
struct top_sample *top_sample_new(struct connection *connection, const struct bus_options *options,
                                  struct top_clients_source *clients, bool has_oldest);

/* NULL is fine. */
void top_sample_free(struct top_sample *sample);

/* By name; NULL: there is none. */
const struct top_topic *top_sample_topic(const struct top_sample *sample, const char *name);
const struct top_group *top_sample_group(const struct top_sample *sample, const char *name);
const struct top_pair *top_sample_pair(const struct top_sample *sample, const char *group,
                                       const char *topic);

/* What the group's way through all its topics adds up to; has no names. */
struct top_pair top_sample_sum(const struct top_sample *sample, const char *group);

/* The place of the group's first pair; the others follow, as long as they have its name. */
size_t top_sample_first(const struct top_sample *sample, const char *group);

#endif
