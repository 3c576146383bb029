#ifndef TIDINGS_CLI_GROUP_SITUATION_H
#define TIDINGS_CLI_GROUP_SITUATION_H

#include "cli/bus/commit_times.h"
#include "cli/bus/group_progress.h"
#include "cli/bus/oldest_event.h"

/*
 * How a group fares: since when it is behind, how fast it goes, and why it is behind where that is
 * known. Each part may stay unknown, with the reason, and hinders no other.
 */

/* What a library with key lanes tells of them (bus/lane_view.h). */
struct lanes_seen {
    bool is_known;                        /* else `why` says why not; "": the group has none */
    int64_t parked, held, failing, aside; /* lanes; a parked one that is held as well is parked */
    int64_t events_aside;
    char why[160];
};

/* A handler of which nothing succeeds, as a library with key lanes tells it. */
struct handler_down {
    char *name;
    int64_t since_ms;
};

/* One reason for being behind. */
struct group_reason {
    const char *kind; /* "no-members", ...: static, for programs */
    char text[256];
};

struct group_situation {
    int64_t now_ms;
    int64_t last_commit_ms;     /* -1: not known */
    double handled_a_second;    /* over the last minute; below 0: not known */
    double published_a_second;  /* to its topics, by the events' own times; the same */
    char no_commits[160];       /* why commits are not known; "" */
    bool has_oldest;            /* `oldest` was looked for, in `waiting` */
    struct oldest_event oldest; /* of the events that wait */
    char no_oldest[160];        /* why it is not known; "" */
    struct topic_partitions waiting;
    struct lanes_seen lanes;
    int64_t letters; /* offsets in dlq.<group>, at most so many dead letters; -1: there is none */
    VEC(struct handler_down) down;
    VEC(struct group_reason) reasons;
};

/* Asks and reads what there is to know, quickly: no part waits for the bus longer than 5 s, and
 * what would take long is left unknown unless `is_long`. */
void group_situation_load(struct group_situation *situation, struct connection *connection,
                          const struct connection_settings *settings, const char *group,
                          const struct group_progress *progress, bool is_long);
void group_situation_deinit(struct group_situation *situation);

/* Offsets a second that were committed in the minute before now_ms, or since the first commit that
 * is known, for 10 s at least; below 0: no two commits are known. The steps are in order of time.
 * Pure. */
double group_handled_a_second(const struct group_commits *commits, int64_t now_ms);

/* Fills `reasons` from the rest. Pure. */
void group_situation_judge(struct group_situation *situation,
                           const struct group_progress *progress);

#endif
