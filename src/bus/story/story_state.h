#ifndef TIDINGS_BUS_STORY_STORY_STATE_H
#define TIDINGS_BUS_STORY_STORY_STATE_H

#include "bus/dead/dead_index.h"
#include "bus/story/story.h"
#include "bus/watch/commit_history.h"
#include "client/event/outcome.h"

/*
 * From evidence to what can be said of one group and one event. Pure: the evidence may lack
 * anything, and then less is said, or that it is not known; never that something is done which is
 * not. So it has to be read in this order: commits first, then outcomes and lanes, then dead
 * letters; who sets an event aside or gives it up writes that before he commits.
 */
enum story_part {
    STORY_PART_NONE,   /* there is none: the group has no such topic */
    STORY_PART_KNOWN,  /* all of it was read */
    STORY_PART_UNKNOWN /* it could not be read, or not wholly */
};

enum story_filter {
    STORY_FILTER_UNKNOWN, /* nothing was told */
    STORY_FILTER_TAKES,   /* one of them takes events like this one */
    STORY_FILTER_SOME,  /* those who told take none like it; of who is a member now some did not */
    STORY_FILTER_PASSES /* all told that they take none like it, as far as is known */
};

struct story_evidence_of_group {
    /* the commit for the event's partition */
    bool is_commit_known; /* the bus said, now */
    int64_t committed;    /* -1: none */
    bool is_done_beyond;  /* the text beside it says that this one is not open any more */
    bool has_history;     /* `history` is known */
    struct commit_answer history;
    double a_second; /* offsets it commits a second, now; below 0: not known */

    /* its members */
    int64_t members;   /* -1: not known */
    bool is_read;      /* one of them reads the event's partition */
    bool is_stranger;  /* the group has no commit for any partition of the topic, and no members */
    bool is_elsewhere; /* they are at work, and none reads a partition of the topic */

    /* what they take, as they told before the group passed the event (OUTCOME_HANDLES) */
    enum story_filter filter;

    /* outcomes of this group and event, by time */
    const struct outcome *told;
    size_t told_count;

    /* lanes.<group>, of the event's lane */
    enum story_part lanes;
    bool is_aside; /* the event is set aside */
    bool has_lane; /* a lane of its key is told of; the rest is of it */
    bool is_held, is_parked;
    int64_t head; /* the lane's first event, or the dead one that closed it; -1 */
    int attempts; /* of the head, that count */
    int64_t noted_ms;

    /* dlq.<group> */
    enum story_part letters;
    bool has_letter;
    enum dead_state dead; /* of the newest */
    int64_t died_ms;
    int64_t dead_failed;  /* redrives that failed */
    int64_t dead_redrive; /* the newest's number */
    struct dead_place letter;
    const char *error_class, *message; /* as the letter says; NULL */
};

struct story_evidence_of_place {
    int64_t offset;
    const char *id;  /* the event's, or NULL */
    int64_t time_ms; /* the record's; -1: not known */
    int64_t start;   /* of the log; -1: not known */
    int64_t end;
    bool is_taken; /* it is not there any more */
};

/* Says what can be said at now_ms. Any thread. */
void story_judge(const struct story_evidence_of_place *place,
                 const struct story_evidence_of_group *group, int64_t now_ms,
                 struct story_verdict *verdict);

#endif
