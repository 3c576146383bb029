#ifndef TIDINGS_CLI_GROUP_PROGRESS_H
#define TIDINGS_CLI_GROUP_PROGRESS_H

#include "cli/base/progress.h"
#include "client/admin/admin.h"

/*
 * How far consumer groups have read: every partition of each topic that a group committed an offset
 * for or that a member reads, also those without a commit.
 *
 * Lag is what is left to read, in offsets: from the commit to the end of the partition; from its
 * start where the commit's events are gone, or where nothing was committed, since that is where
 * groups of this command and of libtidings begin. (A client of another kind may be told to begin at
 * the end instead; nobody but its members knows.)
 */
struct group_partition {
    const char *topic; /* borrowed */
    int32_t partition;
    int64_t committed;  /* -1: nothing was */
    int64_t start, end; /* -1: not known */
    int64_t lag;        /* -1: not known */
    const char *member; /* id of who reads it, borrowed; NULL: nobody */
    char why[160];      /* why the lag is not known; "" */
};

struct group_progress {
    struct client_error error; /* CLIENT_OK, or why all below is empty; CLIENT_NOT_FOUND: there is
                                * no such group */
    struct admin_group about;
    struct topic_partitions committed;
    struct topic_partitions all; /* owns the names */
    VEC(struct group_partition) partitions;
    int64_t lag;        /* of all; -1: not known */
    size_t uncommitted; /* partitions without a commit */
    size_t topic_count;
    char why[160]; /* why the lag is not known; "" */
};

/*
 * Asks the bus about `count` groups of different names, with some hundred requests on their way at
 * once, and shows in *shown (NULL: nowhere) how far that is. When the bus falls silent the groups
 * that were not asked for yet have that error. What is wrong with one group is told in its error,
 * what is wrong with one topic in `why` of its partitions. Free each with group_progress_deinit in
 * any case.
 */
void group_progress_load(struct connection *connection, const char *const *groups, size_t count,
                         struct group_progress *progress, struct progress *shown);

/* Frees all of it and leaves an empty one. */
void group_progress_deinit(struct group_progress *progress);

/* What is left to read of one partition. Pure. */
int64_t group_lag(int64_t committed, struct admin_bounds bounds);

#endif
