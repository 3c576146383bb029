#ifndef TIDINGS_BUS_STORY_STORY_H
#define TIDINGS_BUS_STORY_STORY_H

#include "base/arena.h"
#include "base/vec.h"
#include "client/event/event.h"

/*
 * The story of one event: what it is, who published it, which groups are done with it and which are
 * not and why, what made it happen and what it made happen. Put together from evidence
 * (bus/story_state.h, bus/story_tree.h) by who asks (bus/story_ask.h); nothing is said that the
 * evidence does not say, and each statement names its own.
 */
enum story_evidence {
    STORY_RECORDED, /* it stands in the log */
    STORY_PASSED,   /* the group committed beyond it */
    STORY_TOLD,     /* a library wrote that it is so */
    STORY_INFERRED  /* it may be so: the note says from what */
};

/* "recorded", "passed", "told", "inferred"; static. */
const char *story_evidence_name(enum story_evidence evidence);

/* --- of a group --- */

enum story_state {
    STORY_UNKNOWN,   /* the notes say why */
    STORY_NOT_YET,   /* the group has not got there */
    STORY_HANDLING,  /* a handler has had it for long, and has it still */
    STORY_WAITING,   /* it failed and is to be tried again, or its lane is held */
    STORY_BEHIND,    /* it stands behind another one of its key */
    STORY_DEAD,      /* given up, and nothing came of it since */
    STORY_REDRIVING, /* given up, and a redrive of it was asked for */
    STORY_REDRIVEN,  /* given up, tried again, and done */
    STORY_SENT_BACK, /* given up, and published to its topic again */
    STORY_DISCARDED, /* given up, and nobody is to try it again */
    STORY_SKIPPED,   /* passed over by somebody's word */
    STORY_IS_PASSED, /* the group committed beyond it: for most clients that says it is handled */
    STORY_DONE,      /* a library told so */
    STORY_GONE,      /* it was gone before the group read it */
    STORY_FILTERED,  /* the group came by, and takes no events of its type */
    STORY_NOT_SUBSCRIBED /* its members read other topics */
};
enum { STORY_STATES = STORY_NOT_SUBSCRIBED + 1 };

/* "not-yet", "passed": for programs; static. */
const char *story_state_name(enum story_state state);

struct story_note {
    enum story_evidence evidence;
    const char *text; /* static */
    int64_t at_ms;    /* 0: of no time */
};
enum { STORY_NOTES_MAX = 6 };

/* What can be said of a group and an event. Texts NULL, numbers -1 and times 0: not known, or not
 * of this state. Texts borrow from the evidence. */
struct story_verdict {
    enum story_state state;
    enum story_evidence evidence;
    int64_t at_ms;         /* passed, done, redriven, dead, failed, began waiting, ... */
    int64_t not_before_ms; /* passed: and was not yet then */
    int64_t before;        /* NOT_YET: so many offsets lie before it */
    int64_t left_ms;       /* NOT_YET: until it is handled, at the group's present rate */
    int attempt, most;     /* WAITING: how often it was tried, of how many times that count */
    int64_t next_ms;       /* WAITING: not tried before */
    bool is_down;          /* WAITING: nothing of its handler succeeds */
    bool is_held;          /* WAITING: by somebody's word */
    int64_t behind;        /* BEHIND: the offset that it stands behind */
    int64_t redrive;       /* REDRIVING, REDRIVEN: which one */
    int64_t failed_again;  /* DEAD: after so many redrives */
    int64_t took_ms;       /* DONE, HANDLING */
    int64_t letter_offset; /* DEAD and behind: in dlq.<group> */
    int32_t letter_partition;
    const char *handler, *member, *error_class, *message, *who, *why;
    struct story_note notes[STORY_NOTES_MAX];
    size_t note_count;
};

struct story_group {
    const char *group;
    struct story_verdict verdict;
};

/* --- of an event --- */

enum story_presence {
    STORY_THERE,
    STORY_TAKEN,     /* by retention or compaction, or it never was: offsets have gaps */
    STORY_ABORTED,   /* its transaction was aborted: it is no event */
    STORY_UNDECIDED, /* its transaction is open */
    STORY_AHEAD,     /* the offset is not written yet */
    STORY_NOT_READ   /* the bus did not give it in time */
};

/* "there", "taken", "aborted", "undecided", "ahead", "not-read"; static. */
const char *story_presence_name(enum story_presence presence);

/* How an event hangs below its parent in the tree of causes. */
enum story_link {
    STORY_ROOT,
    STORY_CAUSED,     /* it names the parent's id as its cause */
    STORY_TRACED,     /* both are of one trace */
    STORY_CORRELATED, /* both are of one correlation */
    STORY_OF_ONE_KEY  /* both have one key, and nothing else tells */
};

/* "root", "causation", "trace", "correlation", "key"; static. */
const char *story_link_name(enum story_link link);

#define STORY_NONE SIZE_MAX

struct story_event {
    struct event event; /* owned by the story; without value */
    struct event_attributes attributes;
    const char *trace; /* 32 hex digits, or NULL */
    enum story_presence presence;
    bool is_asked; /* the question was about it */

    /* the tree, by story_tree */
    size_t parent; /* in the story's events; STORY_NONE */
    enum story_link link;
    enum story_evidence link_evidence;
    const char *link_note; /* static; NULL: nothing to say */
    size_t copy_of;        /* the same event stands there as well, first; STORY_NONE */
    size_t depth;
    bool has_lost_cause; /* it names a cause that was not found */

    /* who published it, beside its source */
    const char *publisher;
    enum story_evidence publisher_evidence;

    VEC(struct story_group) groups; /* by name */
    bool are_groups_known;          /* else none of them could be read */
    bool is_of_one_group;           /* no other was looked at */
};

struct story {
    VEC(struct story_event) events; /* in the order of the tree */
    VEC(const char *) horizon;      /* what the answer does not know, in sentences */
    int64_t now_ms;
    int64_t indexed_ms; /* the index is level with the log up to then; 0: not known; -1: there is
                           none, and the log was read */
    bool is_cut;        /* there was more than a limit allowed */
    struct arena arena;
};

/* Adds a sentence to the horizon. */
void story_say(struct story *story, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Frees what it has; empty afterwards. */
void story_deinit(struct story *story);

#endif
