#ifndef TIDINGS_BUS_WATCH_COMMIT_HISTORY_H
#define TIDINGS_BUS_WATCH_COMMIT_HISTORY_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * When each group was done with what: the commits of all groups, as steps (offset, time) for each
 * partition, in a SQLite database. So it can be said of an event that a group had passed it by a
 * certain time, also long after. The time is the broker's.
 *
 * A step says that all below its offset was done at its time. Of steps that follow one another
 * within a second the earlier ones are left out, so a time is exact to two seconds, and
 * commit_history_thin leaves out more of old ones: what is said becomes less exact by it and never
 * wrong. When a commit goes back (a reset, a topic that was made again) what was before stays
 * known.
 *
 * What is noted is kept by the next commit_history_flush. Memory: 200 bytes a group and partition.
 * Any thread.
 */
struct commit_history;

struct commit_key {
    struct slice group;
    struct slice topic;
    int32_t partition;
};

/* Opens the database at `path`, or makes it (for the owner only). ERR_CORRUPT: it is not what was
 * written, and is to be removed (commit_history_remove); ERR_IO, ERR_NO_SPACE. */
CHECKED enum err commit_history_open(const char *path, struct commit_history **history,
                                     struct reason *reason);

/* The same in two steps, for who cannot wait: it is not open until commit_history_begin was
 * ERR_NONE, which may be called again at any time; notes are lost until then, and questions get
 * ERR_AGAIN. Errors as of commit_history_open. */
struct commit_history *commit_history_new(const char *path);
CHECKED enum err commit_history_begin(struct commit_history *history, struct reason *reason);

/* Removes what is there, also in memory, and begins with nothing. */
CHECKED enum err commit_history_begin_anew(struct commit_history *history, struct reason *reason);

struct commit_history_state {
    bool is_open;
    bool is_damaged;      /* a call got ERR_CORRUPT: commit_history_begin_anew */
    size_t waiting_steps; /* noted and not kept yet */
    size_t tracks;        /* groups and partitions */
};

/* What it is at now. */
struct commit_history_state commit_history_state(struct commit_history *history);

/* What was noted since the last flush is lost. NULL is fine. */
void commit_history_close(struct commit_history *history);

/* Removes a database that nobody has open, with what lies beside it. */
void commit_history_remove(const char *path);

/* The group is done with all below the offset; -1: it has no offset any more. In the order in which
 * they were committed; one that is older than the last is taken as of that time. */
void commit_history_note(struct commit_history *history, const struct commit_key *key,
                         int64_t offset, int64_t time_ms);

/* Up to where the topic of the commits was read: kept together with what was noted. */
void commit_history_set_read(struct commit_history *history, int32_t partition, int64_t next);

/* Up to where that was; 0: nothing was read. */
int64_t commit_history_read(struct commit_history *history, int32_t partition);

/* Keeps all that was noted, in one transaction. ERR_NO_SPACE, ERR_IO, ERR_CORRUPT: none of it is
 * kept yet, and the next one tries again. */
CHECKED enum err commit_history_flush(struct commit_history *history, struct reason *reason);

enum commit_state {
    COMMIT_NEVER,  /* nothing is known of a commit there */
    COMMIT_BEFORE, /* it is not done with the event */
    COMMIT_PASSED, /* it is */
};

struct commit_answer {
    enum commit_state state;
    int64_t offset;        /* what it has committed; -1: nothing any more */
    int64_t committed_ms;  /* when it did last, whether that moved it or not */
    int64_t passed_ms;     /* PASSED: by then it was. BEFORE: it was once, by then; 0: never */
    int64_t not_before_ms; /* and was not yet then; 0: not known */
    int64_t went_back_ms;  /* BEFORE, and it was once: it went back then */
};

/* What is known of the event at the offset. Flushes before. */
CHECKED enum err commit_history_find(struct commit_history *history, const struct commit_key *key,
                                     int64_t offset, struct commit_answer *answer,
                                     struct reason *reason);

typedef bool commit_history_each(void *context, struct slice group);

/* Calls each for every group that has or had a commit for the partition, until it returns false. No
 * call of this module from within. */
void commit_history_groups(struct commit_history *history, struct slice topic, int32_t partition,
                           commit_history_each *each, void *context);

/*
 * Leaves out what need not be so exact any more: of what is older than an hour a step a minute
 * stays, and of what is older than keep_ms the newest one of each group and partition. Now and
 * then.
 */
CHECKED enum err commit_history_thin(struct commit_history *history, int64_t now_ms,
                                     int64_t keep_ms, struct reason *reason);

#endif
