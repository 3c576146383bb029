#ifndef TIDINGS_TESTS_LANES_SIM_H
#define TIDINGS_TESTS_LANES_SIM_H

#include "client/lane.h"

#include "base/heap.h"
#include "base/random.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A small world around the machine of key lanes, played from a seed: source partitions, the topics
 * lanes.<group> and dlq.<group>, a group with members that crash, leave, and go on for a while
 * after they lost a partition, handlers that fail, and a clock. sim_check.c is the model: it sees
 * every effect of a handler, every record and every commit, and knows nothing of the machine.
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

    int applied;   /* effects of its handler */
    bool is_dead;  /* a dead letter stands in dlq.<group> */
    bool may_skip; /* its lane may go on without it */
    int64_t redriven_ms;
    bool is_asked; /* its redrive is asked for and not over */
};

enum record_kind { MARK, ASIDE, NOTE, CLOSE, FORGET, REDRIVE, REDRIVEN };

/* A record of lanes.<group>; its place in the log is its position. */
struct record {
    enum record_kind kind;
    int64_t fence;
    int64_t offset; /* ASIDE, FORGET, REDRIVE, REDRIVEN: of the event */
    int key;        /* NOTE, CLOSE: of the lane; -1: see name_offset */
    int64_t name_offset;
    struct lane_note note;
    bool was_done;
};

struct source {
    VEC(struct sim_event) events;
    size_t published;
    VEC(struct record) lanes;
    int64_t committed; /* -1: nothing */
    char *metadata;
    int owner;           /* as the group has it; -1: nobody */
    int64_t owner_epoch; /* under which it holds it; -1: not yet */
};

struct held {
    struct lane_event event;
    struct sim_event *about;
    uint8_t *key;
    int64_t fence;
    bool is_redrive;
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
    int64_t life; /* goes up with each crash */
    struct lane_machine *machine;
    struct share shares[PARTITIONS];
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
    OP_LEAVE_DEADLINE,
    OP_LOSE,
    OP_OWN,
    OP_REDRIVE,
    OP_REDRIVE_ALL
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
    bool is_void; /* its member crashed before it was sent */
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
    bool tries_alone; /* nothing is mended before all is done that can be */
    bool is_mended;   /* nothing fails any more */
    bool is_calm;     /* no crashes and rebalances any more */
    int chaos_left;
    int64_t last_epoch;
    bool is_loud;
    bool has_failed;
    char failure[300];
    uint64_t effects, dead, asides, crashes, moves, redrives;
};

/* --- sim_schedule.c --- */

/* Plays the whole schedule of a seed. False: the model found a fault, `failure` says which. */
bool sim_run(struct world *world, uint64_t seed, bool is_loud);

/* --- sim_check.c: each tells the model, which fails the world when it is not as promised --- */

void check_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_starts(struct world *world, const struct held *held, bool by_owner);
void check_ends(struct world *world, const struct held *held, bool by_owner);
/* The handler's effect; false: refused, somebody with a higher fence had one. */
bool check_applies(struct world *world, const struct held *held);
void check_dead(struct world *world, struct sim_event *event);
void check_commit(struct world *world, int partition, int64_t base, const char *metadata);
void check_forget(struct world *world, int partition, int64_t offset);
void check_memory(struct world *world, const struct lane_machine *machine);
/* Everything is done or dead, and what is not closed is forgotten. */
void check_end(struct world *world, bool is_all_done);
/* The world does not get to `what`: fails it, and says what is in the way. */
void check_stuck(struct world *world, const char *what);
/* Whether lanes.<group> has the event now. */
bool check_is_aside(const struct world *world, int partition, int64_t offset);

#endif
