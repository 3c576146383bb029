#ifndef TIDINGS_TESTS_LANES_SIM_H
#define TIDINGS_TESTS_LANES_SIM_H

#include "client/lane/lane.h"

#include "base/heap.h"
#include "base/random.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A small world around the machine of key lanes, played from a seed: source partitions, the topics
 * lanes.<group> and dlq.<group>, a group with members that crash, leave, and go on for a while
 * after they lost a partition, handlers that fail, and a clock. sim_check.c and sim_words.c are the
 * model: it sees every effect of a handler, every record, every commit and every word of people,
 * and knows nothing of the machine.
 */

enum { PARTITIONS = 2, MEMBERS = 2, HANDLERS = 2, MOST_KEYS = 5 };

enum fate { GOOD, FLAKY, POISON, REJECTED };

/* One event of a source partition, and what became of it. */
struct sim_event {
    int partition;
    int64_t offset;
    int key; /* -1: none */
    int handler;
    enum fate fate;
    int fails_left;
    size_t lane; /* its lane of the model */

    int applied;               /* effects of its handler */
    bool is_dead;              /* a dead letter stands in dlq.<group> */
    bool may_skip;             /* its lane may go on without it */
    int64_t tried_by[MEMBERS]; /* the epoch of each for whom its handler ran */
    int64_t redriven_ms;
    bool is_asked; /* its redrive is asked for and not over */
    int refused;   /* what it caused, by the bus */
};

enum record_kind { MARK, ASIDE, NOTE, CLOSE, FORGET, REDRIVE, REDRIVEN, DONE };

/* A record of lanes.<group>; its place in the log is its position. */
struct record {
    enum record_kind kind;
    int64_t fence;
    int64_t offset; /* ASIDE, FORGET, REDRIVE, REDRIVEN, DONE: of the event */
    int key;        /* NOTE, CLOSE: of the lane; -1: see name_offset */
    int64_t name_offset;
    struct lane_note note;
    bool was_done;
};

struct source {
    VEC(struct sim_event) events;
    size_t published;
    int64_t end; /* of the log, when all of it is */
    VEC(struct record) lanes;
    int64_t committed; /* -1: nothing */
    char *metadata;
    int owner;           /* as the group has it; -1: nobody */
    int64_t owner_epoch; /* under which it holds it; -1: not yet */
};

enum sim_outcome { TXN_COMMITTED, TXN_ABORTED, TXN_REFUSED, TXN_UNKNOWN };

struct sim_commit {
    int partition;
    int64_t epoch;
    int64_t offset;
    char *metadata;
};

struct held {
    struct lane_event event;
    struct sim_event *about;
    uint8_t *key;
    int64_t fence;
    bool is_redrive;
    bool is_refused; /* the answer of its transaction */
    struct held *next, *prev;
};

/* What counts together or not at all, of one member. */
struct sim_txn {
    VEC(struct sim_commit) commits;
    struct held *events;
    enum sim_outcome outcome;
};

/* Failures of one event of a handler in one member, with no other's result between. */
struct sim_alone {
    const struct sim_event *event;
    int fails;
};

/* A partition as a member sees it. */
struct share {
    bool is_held, is_paused, is_leaving, is_restored;
    int64_t epoch;
    int64_t fence;
    size_t read;       /* of the source's events */
    int64_t order_ms;  /* records reach lanes.<group> in order, */
    int64_t answer_ms; /* and their answers come in order */
};

struct member {
    bool is_alive;
    int64_t life;     /* goes up with each crash */
    bool is_stopping; /* an event that is given up ends the service */
    struct lane_machine *machine;
    struct sim_alone alone[HANDLERS];
    int failures[HANDLERS]; /* since it last succeeded; who rejects an event has not failed */
    struct share shares[PARTITIONS];

    struct held *caused; /* done, and what they caused is not sent, in order */
    struct sim_txn *filling;
    struct sim_txn *sent; /* its op's */
    size_t caused_most;   /* go into the next one */
    int64_t transact_at_ms;
    int transact_failures;
};

enum op_kind {
    OP_PUBLISH,
    OP_CHAOS,
    OP_SETTLE,
    OP_HANDLED,
    OP_APPEND,
    OP_ANSWER,
    OP_LOAD,
    OP_LOOK,
    OP_DEAD,
    OP_COMMIT,
    OP_COMMITTED,
    OP_TRANSACT,
    OP_TRANSACTED,
    OP_LEAVE_DEADLINE,
    OP_LOSE,
    OP_OWN,
    OP_REDRIVE,
    OP_REDRIVE_ALL,
    OP_WORDS_ALL,
    OP_STOP,
    OP_END,
    OP_BEGIN
};

/* Something that happens later. */
struct op {
    struct heap_node node;
    enum op_kind kind;
    int member;
    int64_t life;
    int partition;
    int64_t epoch;
    struct held *held;
    struct lane_effect effect;
    struct record record;
    int64_t position;
    char *metadata;
    struct sim_txn *txn;
    bool is_stored; /* what the answer says */
    bool is_void;   /* its member crashed before it was sent */
};

enum sim_say { SAY_TRY, SAY_SKIP, SAY_HOLD, SAY_LET_GO };

/* What a member was told of a lane under one epoch, and what it has of it. Offsets, -1: none. */
struct sim_word {
    int64_t epoch;
    bool is_held;
    bool is_stopped;  /* an event of it ends the service */
    bool must_try;    /* before this round is over */
    int64_t skipping; /* may be given up for it */
    int64_t skipped;  /* not to be tried again */
    int64_t running, dying;
    int64_t failed; /* and waits, */
    int64_t not_before_ms, failed_ms;
    int passed; /* retries of other lanes since its time came */
    int busy;   /* loads, and writes to lanes.<group> */
};

/* A lane of the model: what its key's effects have been. */
struct sim_lane {
    int partition;
    int key;       /* -1: a lane of one event, or of the partition */
    bool is_alone; /* of one event */
    VEC(struct sim_event *) events;
    int64_t fence;   /* the highest that an effect had */
    int64_t last;    /* offset of the last effect (no redrive) under it; -1: none */
    int64_t highest; /* of all effects */
    int running;     /* by owners, now */
    bool was_held;   /* once, and not everybody was told since to let it go */
    struct sim_word words[MEMBERS];
};

struct world {
    struct lane_settings settings;
    uint64_t seed;
    struct random random;
    int64_t now_ms;
    struct source sources[PARTITIONS];
    struct member members[MEMBERS];
    struct heap ops;
    int64_t sequence;
    struct op settles[MEMBERS]; /* when a machine has to be called at the latest */
    int key_count;
    VEC(struct sim_lane) lanes;
    int64_t outage_from_ms[HANDLERS], outage_to_ms[HANDLERS];
    bool has_limits;
    bool transacts;    /* most effects count with the commit that tells of them */
    bool tries_alone;  /* nothing is mended before all is done that can be */
    bool fails_alone;  /* each handler has one lane, which is given up by attempts_alone */
    bool is_long;      /* many events, and commits have no room to tell all that are done */
    bool is_plain;     /* nobody says anything, and no service ends: more of the rest happens */
    bool has_words;    /* people say something of lanes */
    bool skips_all;    /* parked lanes are opened by skipping, before redrives */
    bool is_malformed; /* much of what comes can never work */
    bool is_crowded;   /* what fails fills the memory, and is not given up */
    bool is_mended;    /* nothing fails any more */
    bool is_calm;      /* no crashes and rebalances any more */
    int chaos_left;
    int64_t last_epoch;
    bool is_loud;
    bool has_failed;
    char failure[300];
    uint64_t effects, dead, asides, crashes, moves, redrives, words, transactions;
};

/* --- sim_schedule.c --- */

/* Plays the whole schedule of a seed. False: the model found a fault, `failure` says which. */
bool sim_run(struct world *world, uint64_t seed, bool is_loud);

/* --- sim_check.c: each tells the model, which fails the world when it is not as promised --- */

void check_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_starts(struct world *world, const struct held *held, bool by_owner);
void check_ends(struct world *world, const struct held *held, bool by_owner);
/* What events cause that count with the commits; before and behind check_commit of these. */
void check_counts(struct world *world, const struct held *held);
void check_told(struct world *world, const struct held *held);
/* The handler's effect; false: refused, somebody with a higher fence had one. */
bool check_applies(struct world *world, const struct held *held);
void check_dead(struct world *world, struct sim_event *event);
void check_commit(struct world *world, int partition, int64_t base, const char *metadata);
void check_forget(struct world *world, int partition, int64_t offset);
void check_done(struct world *world, int partition, int64_t offset);
void check_mark(struct world *world, int partition, int64_t fence);
void check_memory(struct world *world, const struct lane_machine *machine);
/* Everything is done or dead, and what is not closed is forgotten. */
void check_end(struct world *world, bool is_all_done);
/* The world does not get to `what`: fails it, and says what is in the way. */
void check_stuck(struct world *world, const char *what);
/* --- sim_words.c: words and what they promise --- */

void words_effect(struct world *world, int member, const struct lane_effect *effect);
void words_result(struct world *world, int member, const struct held *held,
                  enum lane_verdict verdict, int64_t retry_at_ms);
/* A load, a write to lanes.<group> or a dead letter is answered. */
void words_answered(struct world *world, int member, const struct sim_event *event, bool is_dead);
void words_restored(struct world *world, int member, int partition);
void words_quiet(struct world *world, int member, int partition);
void words_settled(struct world *world, int member);
/* Its lane is closed on disk. */
bool words_is_parked(const struct world *world, const struct sim_lane *lane);
void words_say_any(struct world *world, int member);
/* Every held lane is let go, and every parked one opened. */
void words_say_all(struct world *world, bool is_skip);

/* Whether lanes.<group> has the event now. */
bool check_is_aside(const struct world *world, int partition, int64_t offset);
/* Or knows that it is done. */
bool check_is_recorded(const struct world *world, int partition, int64_t offset);

#endif
