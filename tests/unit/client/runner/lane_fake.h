#ifndef TIDINGS_TESTS_CLIENT_LANE_FAKE_H
#define TIDINGS_TESTS_CLIENT_LANE_FAKE_H

#include "client/runner/lane_runner.h"

#include <pthread.h>

/*
 * A bus in memory for the runner of key lanes: one source topic, its group's commits, lanes.<group>
 * and dlq.<group>, with faults; handlers that do as an event's value says; a clock that is moved by
 * hand. It outlives runners, so that a test can start another one on what the one before left.
 *
 * Values: "ok"; "fail N": the first N tries; "reject"; "wait": until the gate is opened;
 * "away": fails until then; "poison": can never work until then; "later": returns, and is done when
 * fake_say_later is called.
 */
enum { FAKE_PARTITIONS = 2 };

struct fake_event {
    char *key; /* NULL: none */
    char *value;
    int tries;
};

struct fake_record {
    int partition; /* of the source */
    struct buf key, value;
    bool has_value;
    int64_t time_ms;
};

struct fake_letter {
    struct arena arena;
    struct event event;
};

struct fake_partition {
    VEC(struct fake_event) events;
    int64_t committed;
    char *metadata;
    int64_t epoch; /* 0: nobody's */
    int64_t read;
    bool is_paused, is_watched;
    int64_t marked; /* -1: nothing to commit */
    char *marked_metadata;
};

/* What a handler did: the events it was done with, "key/offset" each. */
struct fake {
    pthread_mutex_t lock; /* guards effects, running, blocked, is_open, tries, is_woken, later */
    pthread_cond_t changed;
    struct buf effects;
    int running;
    int blocked;     /* of them, at the gate */
    int64_t redrive; /* of the last event that was redriven */
    bool is_open;
    bool is_woken;
    VEC(struct lane_hand *) later;

    struct fake_partition partitions[FAKE_PARTITIONS];
    VEC(struct fake_record) lanes;
    VEC(struct buf) letters;      /* one line each: key value name=value... */
    VEC(struct fake_letter) dead; /* the same as events */
    int64_t words;                /* that were said */
    struct buf lines;             /* the log */
    int fails_appends, fails_burials, fails_loads, fails_letters, refuses_commits;
    int64_t refusal_ms; /* how long the bus takes to refuse one */
    int failed_loads;   /* that were not asked for again yet */
    int64_t start;      /* of each source: what was before is gone */

    /* With settings.transacts: a handler that is done publishes its event's place, "key/offset". */
    struct buf published;             /* what was committed */
    enum lane_transacted outcomes[8]; /* of the next transactions; then LANE_COMMITTED */
    int outcome_count;
    bool commits_unknown; /* of LANE_UNKNOWN: it was committed */
    bool holds;           /* transactions with events wait for fake_go_on */
    struct lane_transaction *held;
    int transactions;
    size_t largest;          /* events in one that was answered */
    int64_t refused_offset;  /* what this event causes is refused; below 0: none */
    bool knows_refused;      /* and it is told that it was that one */
    int refused, given_back; /* events that were settled as failed */
    int64_t last_epoch;
    int64_t now_ms;
    struct clock clock;
    struct lane_runner_settings settings;
    struct lane_runner *runner;
};

void fake_init(struct fake *fake);
void fake_deinit(struct fake *fake);
/* For cmocka: *state is a struct fake. */
int fake_setup(void **state);
int fake_teardown(void **state);
void fake_publish(struct fake *fake, int partition, const char *key, const char *value);
/* A runner that owns partition 0. */
void fake_start(struct fake *fake);
/* It dies: nothing is said to anybody. Or ends well. */
void fake_kill(struct fake *fake);
void fake_stop(struct fake *fake);
void fake_assign(struct fake *fake, int partition);
/* The topic is deleted and made again, empty, while it is held. */
void fake_make_again(struct fake *fake, int partition);
void fake_revoke(struct fake *fake, int partition, bool is_lost);
/* Turns until it holds, moving the clock by step_ms each time when no handler is at work but those
 * at the gate; fails the test when it never does. */
void fake_until(struct fake *fake, bool (*holds)(struct fake *fake), int64_t step_ms);
/* So many of these turns, to see what happens or that nothing does. */
void fake_turns(struct fake *fake, int count, int64_t step_ms);
void fake_open_gate(struct fake *fake);
void fake_say_later(struct fake *fake);
/* The transaction that is held is answered, and no other one is held. */
void fake_go_on(struct fake *fake);
/* A copy of what the handlers did. Free it. */
char *fake_effects(struct fake *fake);
/* Records of a kind in lanes.<group> that are not erased. */
int fake_count(const struct fake *fake, enum lane_record_kind kind);
/* A record about a partition by somebody, told to who watches. NULL: that of this id is erased. */
void fake_put(struct fake *fake, int partition, struct lane_record_id id,
              const struct lane_record *record);
/* Somebody says a word of partition 0. Returns which one it is: 1 and up. */
int64_t fake_say(struct fake *fake, const struct lane_word *word);
/* It is erased by who said it. */
void fake_take_back(struct fake *fake, int64_t word);
/* The last answer to it that is in lanes.<group>; 0: none. text NULL: nobody wants it. */
enum lane_outcome fake_answer(const struct fake *fake, int64_t word, char text[200]);
/* A mark by somebody else, told to who watches. */
void fake_put_mark(struct fake *fake, int partition, int64_t fence);

/* --- lane_fake_look.c --- */

/* Fail the test when the handlers did something else: "key/offset" of all, */
void fake_assert_effects(struct fake *fake, const char *expected);
/* or the offsets of one key, as "1 2 3 ". */
void fake_assert_effects_of(struct fake *fake, const char *key, const char *expected);
/* For fake_until: all that is in partition 0. */
bool fake_all_committed(struct fake *fake);
bool fake_is_running(struct fake *fake);

#endif
