#ifndef TIDINGS_BUS_DEAD_DEAD_INDEX_H
#define TIDINGS_BUS_DEAD_DEAD_INDEX_H

#include "bus/dead/dead_fact.h"
#include "client/lane/lane_record.h"

#include <uthash.h>

/*
 * What is known of each dead event of a group, put together from three topics, each read in its
 * order, in whatever order of topics: dlq.<group> (the letters), dlq-state.<group> (what people
 * said) and lanes.<group> (what the owners did). Nothing of the letters' content is kept.
 *
 * Memory: about 300 bytes an event, 150 a lane that is closed or a redrive that
 * has no answer. Pure; one thread at a time.
 */
enum dead_state {
    DEAD_OPEN,
    DEAD_REQUESTED, /* a redrive was asked for, and is not on its way yet */
    DEAD_RUNNING,   /* its owner has it */
    DEAD_IS_DONE,
    DEAD_AGAIN,     /* tried again, and dead again */
    DEAD_SENT_BACK, /* republished to its source: what became of it nobody tells */
    DEAD_DISCARDED
};
enum { DEAD_STATES = DEAD_DISCARDED + 1 };

/* "open", "requested", "running", "done", "failed", "republished", "discarded"; static. */
const char *dead_state_name(enum dead_state state);

/* What is a lane of its own, as lanes.<group> says. */
enum dead_lane_kind { DEAD_LANE_OF_KEY, DEAD_LANE_OF_EVENT, DEAD_LANE_OF_PARTITION };

struct dead_key {
    uint64_t topic[2]; /* a hash of its name */
    int64_t offset;
    int64_t partition;
};

/* One event. Read only for others. */
struct dead_case {
    UT_hash_handle hh;
    struct dead_key key;
    struct dead_place first;  /* its oldest letter: the id that people use */
    struct dead_place newest; /* its newest one that is no edited form */
    struct dead_place edit;   /* the newest edited form; partition -1: none */
    int64_t first_died_ms, newest_died_ms, edit_ms;
    uint32_t letters; /* edited forms do not count */
    uint32_t notes;
    uint64_t failed_numbers;  /* a bit for each redrive that failed; the 64th for all above */
    uint64_t refused_numbers; /* and for those that the owner did not try */
    int64_t asked;            /* highest number of a redrive that was asked for */
    int64_t sent;             /* highest that stands in lanes.<group> */
    int64_t answered;         /* highest whose end is known */
    bool is_done, is_republished, is_discarded, is_lane_parked;
    enum dead_lane_kind lane_kind; /* of the parked one */
    bool is_wanted;                /* of those that dead_index_want named */
};

struct dead_index;

enum { DEAD_CASES_MAX = 1000000 };

/* dlq_topic: the name, borrowed. Free with dead_index_free. */
struct dead_index *dead_index_new(const char *dlq_topic);

/* It takes so many events at most, instead of DEAD_CASES_MAX. */
void dead_index_limit(struct dead_index *index, size_t most);

/* NULL is fine. */
void dead_index_free(struct dead_index *index);

/* False: there are as many events as it takes already, and this one is not known. */
CHECKED bool dead_index_letter(struct dead_index *index, const struct dead_letter *letter);
CHECKED bool dead_index_fact(struct dead_index *index, const struct dead_fact *fact);

/* The event of the letter is marked (is_wanted) if it is known. */
void dead_index_want(struct dead_index *index, const struct dead_letter *letter);

/* A record of lanes.<group>; record NULL: it is erased. */
CHECKED bool dead_index_lane(struct dead_index *index, const struct lane_record_key *key,
                             const struct lane_record *record);

/* To be called when all is read, before the functions below. */
void dead_index_settle(struct dead_index *index);

/* The event of the letter, or NULL. */
const struct dead_case *dead_index_find(const struct dead_index *index,
                                        const struct dead_event *event);

/* What became of the event. */
enum dead_state dead_case_state(const struct dead_case *at);

/* How many of its redrives failed. */
int64_t dead_case_failed(const struct dead_case *at);

/* Whether its redrive of this number failed. */
bool dead_case_has_failed(const struct dead_case *at, int64_t number);

/* What a redrive is given: the newest edited form, else the newest letter. */
struct dead_place dead_case_letter(const struct dead_case *at);

/* The number that a redrive asked for now has. What was asked for and is not in lanes.<group> is
 * asked for again under its number. */
int64_t dead_case_next_number(const struct dead_case *at);

/* The number that a redrive has which was planned under `number`: that one, the next when the owner
 * refused all since without trying; 0: something became of the event since. */
int64_t dead_case_planned_number(const struct dead_case *at, int64_t number);

/* Events with letters. */
size_t dead_index_count(const struct dead_index *index);

#endif
