#ifndef TIDINGS_CLIENT_LANE_LANE_INSIDE_H
#define TIDINGS_CLIENT_LANE_LANE_INSIDE_H

#include "client/lane/lane.h"
#include "client/lane/lane_metadata.h"

#include "base/heap.h"
#include "base/random.h"
#include "base/vec.h"

#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>
#include <utlist.h>

/* Lanes are looked up for each event: short chains, at 16 bytes a lane. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 3U

/*
 * What the files of the machine share. lane_queue.c: which lane runs next, outages and back-off;
 * lane_event.c: an event's way through its lane; lane_aside.c: lanes.<group>; lane_ready.c: events
 * that count with a commit; lane_commit.c: progress in the source; lane_partition.c: ownership,
 * memory and effects. They call downwards in the order of this header.
 */

/* An event that is set aside and not in memory. */
struct lane_row {
    int64_t offset;
    int64_t position; /* in lanes.<group> */
    uint32_t bytes;
    uint32_t
        closed_at; /* the partition's commits that were made before it was closed in its source */
    int handler;
};

enum lane_state {
    LANE_RESTING, /* nothing to run, or it may not */
    LANE_READY,   /* in a list of its handler */
    LANE_WAITING, /* for its back-off */
    LANE_LOADING,
    LANE_RUNNING,
    LANE_DYING /* its head is being given up */
};

/* A list of lanes that may run, first come first served. */
struct lane_list {
    struct lane *first;
};

enum { LANE_SHORT_NAME = 40 };

struct lane {
    UT_hash_handle hh; /* of the partition, by name */
    uint8_t *name;     /* short_name, or one of its own */
    size_t name_size;
    uint8_t short_name[LANE_SHORT_NAME];
    struct lane *all_next, *all_prev; /* of the machine */
    uint64_t id;                      /* never used again */
    struct lane_partition
        *partition; /* NULL: the partition is lost, freed with the last reference */
    unsigned refs;  /* marks and loads under way */

    struct lane_event *events;   /* in memory and open in the source, by offset */
    struct lane_event *redriven; /* in memory, from dlq.<group>, by offset */
    struct lane_event
        *loaded;             /* of the first row: while it is tried, and between if there is room */
    struct lane_event *hand; /* runs, or is being given up */
    struct lane_event *lingering; /* done, and open in the source until `marks` are durable */
    VEC(struct lane_row) rows;
    size_t row;             /* the first that is not done */
    int64_t finished_below; /* arrivals below it that are no rows were finished before a restart */
    size_t memory_events, memory_bytes;
    unsigned marks; /* those to be durable before anything later of this lane is told as done */

    enum lane_state state;
    struct lane *next, *prev; /* in `list` */
    struct lane_list *list;
    struct heap_node timer;

    bool is_parked, is_held;
    bool is_noted;     /* lanes.<group> has a note of it */
    bool was_redriven; /* and that it is parked is over */
    bool goes_aside;   /* what it has and gets is set aside, */
    bool is_wanting;   /* in the partition's list of those with something to set aside */
    bool is_counted_open;
    bool counts_waiting;
    int64_t aside_below; /* else what it has below this offset */
    bool is_urged;       /* somebody said that its head is to be tried at once */
    enum lane_give_up gives_up_by;
    struct lane_event
        *parking;          /* its dead letter is written, the note that closes the lane is not */
    int64_t parked_offset; /* -1: it is not parked */
    int64_t skip_offset;   /* the event to be given up by somebody's word; -1: none */

    /* its head's failures */
    int tries;
    int attempts;     /* those that count */
    int alone;        /* tries that failed with no other lane's result between */
    bool is_pending;  /* the last failure counts once another lane has succeeded */
    bool is_doubtful; /* it may have been an outage: it counts if the next one fails as well */
    bool failed_down; /* its handler was down then */
    bool has_news;    /* to be noted */
    int probes;       /* the handler that it is the probe of; -1: none */
    int64_t failed_offset;
    int64_t first_failed_ms;
    int64_t due_ms;
    uint64_t failed_stamp; /* of its handler then: stamps, outages, and the round */
    uint64_t failed_downs;
    uint64_t failed_round;
    int failed_handler;
    struct lane *failing_next, *failing_prev; /* of the handler */
    int failing_handler;                      /* -1: in no such list */
    struct lane *wanting_next, *wanting_prev;
};

struct lane_handler {
    struct lane_list fresh;  /* their heads never failed */
    struct lane_list due;    /* back-off over, and others succeeded meanwhile */
    struct lane_list probes; /* back-off over, and nobody did */
    struct lane *failing;
    uint64_t stamps;      /* events that it was done with; of these some fail yet (lane_ready) */
    int64_t succeeded_ms; /* the last one */
    uint64_t last_id, last_stamp, other_stamp; /* the last success, and that of another lane */
    uint64_t round;                            /* goes up with each success */
    int failures;                              /* lanes that failed in this round */
    uint64_t alone_id;                         /* the lane of the last failure; 0: of a success */
    size_t running;
    size_t ready;     /* of them, lane_ready */
    bool was_refused; /* since the last success something ready failed */
    uint64_t downs;
    bool is_down;
    bool is_probing;
    unsigned turn; /* due ones wait while there are fresh ones, but for each 8th turn */
    int64_t probe_at_ms;
    int64_t probe_wait_ms;
    size_t displaces; /* so many events may leave full memory until the next probe fails */
};

struct lane_forget {
    struct lane *lane; /* that waits for it; NULL: none does */
    int64_t offset;
    uint32_t closed_at;
    uint32_t bytes;
};

struct lane_partition {
    UT_hash_handle hh;
    int32_t id;
    int64_t epoch;
    int64_t fence;      /* 0: it is not known yet which one is the next */
    int64_t last_fence; /* that of the owner before, as far as its commit told */
    bool is_marked;     /* the group has this owner's fence */
    bool is_restored, is_revoking, is_quiet, is_paused, is_full;
    int64_t restored_below; /* the highest finished_below of its lanes */
    struct lane *lanes;
    struct lane_event *open;
    struct lane *wanting;
    size_t busy; /* handlers, writes, loads and marks under way */
    size_t open_lanes;
    int64_t aside_bytes;
    int64_t next;             /* behind the last arrival */
    struct lane_ranges known; /* done, as the metadata said */

    struct lane_event *ready;    /* lane_ready */
    struct lane_ranges recorded; /* single offsets that records say are done */

    VEC(struct lane_forget) forgets;
    bool is_dirty, is_committing;
    uint32_t commits;    /* made */
    int64_t commit_base; /* of the one under way */
    int64_t committed;   /* of the last one that is stored, or that was found */
    int64_t commit_told; /* what it and later ones tell in any case */
    int64_t commit_next; /* `next` then */
    int64_t commit_at_ms;
    int64_t advance_at_ms; /* lane_advance is due */
    int64_t advance_below; /* `next` when it was */
};

struct lane_machine {
    struct lane_settings settings;
    size_t hands; /* events that may be in hand at once */
    struct random random;
    struct lane_partition *partitions;
    struct lane_partition *found; /* found last: events come in runs; NULL: none */
    struct lane_handler *handlers;
    struct lane_list unhandled; /* their heads are in memory, and no handler is asked */
    struct lane_list urged;     /* before all others, as workers allow */
    int next_handler;
    struct heap timers;
    VEC(struct lane_effect) effects;
    size_t effect;
    struct buf metadata;
    VEC(struct buf) texts; /* of the commits among the effects */
    struct lane_ranges ranges;
    struct lane *all;
    struct lane *spare; /* to be used again, by `next`: most lanes live as long as one event */
    size_t spare_count;
    uint64_t last_lane_id;
    int64_t now_ms;
    struct lane_counts counts;
    bool is_runnable_full, is_waiting_full;
    size_t ready;                            /* of all partitions */
    size_t ready_loaded, ready_loaded_bytes; /* of them, loaded for that */
    bool is_held_up;
};

/* --- lane_effect.c: what goes out, and what is counted --- */

/* Behind the others; to be filled in before the next one. partition NULL: about none. */
struct lane_effect *lane_emit(struct lane_machine *machine, enum lane_effect_kind kind,
                              const struct lane_partition *partition);
/* To a handler or a writer, who brings it back. */
void lane_emit_event(struct lane_machine *machine, enum lane_effect_kind kind,
                     struct lane_event *event);
/* A record about the lane, or a load for it. */
struct lane_effect *lane_emit_lane(struct lane_machine *machine, enum lane_effect_kind kind,
                                   struct lane *lane);
void lane_release(struct lane_machine *machine, struct lane_event *event);
/* Into or out of what the lane has in memory. */
void lane_memory_add(struct lane_machine *machine, struct lane *lane,
                     const struct lane_event *event);
void lane_memory_remove(struct lane_machine *machine, struct lane *lane,
                        const struct lane_event *event);
/* Counts its memory as waiting or as runnable, as it is now. */
void lane_memory_move(struct lane_machine *machine, struct lane *lane);
struct lane_partition *lane_partition_find(struct lane_machine *machine, int32_t id);
/* The lane of this name, made when create says so; else NULL. */
struct lane *lane_lookup(struct lane_machine *machine, struct lane_partition *partition,
                         struct lane_name name, bool create);
struct lane_name lane_name_of(const struct lane *lane);
/* Of an event, as the order of the settings says. */
struct lane_name lane_name_for(const struct lane_machine *machine, struct slice key,
                               int64_t offset);
void lane_free(struct lane_machine *machine, struct lane *lane);
/* Frees those that are kept to be used again. */
void lane_free_spare(struct lane_machine *machine);
/* Forgets the lane when nothing is known of it. */
void lane_drop_if_empty(struct lane_machine *machine, struct lane *lane);

/* --- lane_queue.c: which lane runs next, back-off, outages --- */

/* What the lane handles next. */
struct lane_head {
    struct lane_event *event; /* NULL: it is aside, `row` tells where */
    const struct lane_row *row;
    int64_t offset;
    int handler;
};
/* The lowest offset of all that it has; false: nothing. */
bool lane_head(const struct lane *lane, struct lane_head *head);
/* Puts the lane where it belongs: a list of its handler, its timer, or nowhere. */
void lane_place(struct lane_machine *machine, struct lane *lane);
void lane_unplace(struct lane_machine *machine, struct lane *lane);
/* An event of the lane with this id was handled. done_stamp: of the event; 0: just now. */
void lane_succeeded(struct lane_machine *machine, uint64_t id, int handler, uint64_t done_stamp);
/* The handler is down, or so many failed that only probes are to tell. */
bool lane_is_throttled(const struct lane_machine *machine, int handler);
void lane_failed(struct lane_machine *machine, struct lane *lane, const struct lane_event *event,
                 int64_t retry_at_ms);
/* The same, by a handler that says that it can never work: that is about the event. */
void lane_rejected(struct lane_machine *machine, struct lane *lane, const struct lane_event *event);
/* It is no probe any more, and told nothing. */
void lane_end_probe(struct lane_machine *machine, struct lane *lane);
/* Its head is over: nothing of its failures is known any more. */
void lane_forget_failures(struct lane_machine *machine, struct lane *lane);
/* Its attempts are used up. */
bool lane_is_used_up(const struct lane_machine *machine, const struct lane *lane);
/* Its head failed, and it is known that not all of its handler fails. */
bool lane_fails_alone(const struct lane_machine *machine, const struct lane *lane);
/* The next lane to run, taken out of its list; NULL: none may. */
struct lane *lane_pick(struct lane_machine *machine);
void lane_run_timers(struct lane_machine *machine);
/* When a timer or a probe is due at the latest. */
int64_t lane_next_due(const struct lane_machine *machine);

/* --- lane_aside.c: lanes.<group> --- */

/* What the lane has and gets goes to lanes.<group> from now on, as room allows. */
void lane_want_aside(struct lane_machine *machine, struct lane *lane);
/* Writes what wants to be set aside. */
void lane_write_asides(struct lane_machine *machine);
/* A head that is set aside and failed may stay in memory until it is tried again: to load each
 * costs more than to handle it. Not beyond half of what those that wait have. */
bool lane_may_stay(const struct lane_machine *machine, const struct lane *lane);
/* Lets such a head go. It is durable, and can be loaded again. */
void lane_unload(struct lane_machine *machine, struct lane *lane);
/* Sets lanes aside that wait, while their share of the memory is used up. */
void lane_relieve(struct lane_machine *machine);
/* Sets lanes aside that wait and hold back what is committed, now and then. Returns when to call
 * again at the latest. */
int64_t lane_advance(struct lane_machine *machine, struct lane_partition *partition);
/* Notes what is remembered of the lane, or that nothing is. */
void lane_write_note(struct lane_machine *machine, struct lane *lane);
void lane_row_add(struct lane_machine *machine, struct lane *lane, struct lane_row row);
/* By offset, and counts the lane as open if it has any. */
void lane_rows_sort(struct lane *lane);
/* The row that is handled next is done. is_recorded: a record says so, and nothing waits for its
 * being forgotten. */
void lane_row_finish(struct lane_machine *machine, struct lane *lane, bool is_recorded);
bool lane_has_row(const struct lane *lane, int64_t offset); /* done ones, too */
bool lane_has_open_row(const struct lane *lane, int64_t offset);
/* Writes the forgets of what the group's commits told as done. */
void lane_write_forgets(struct lane_machine *machine, struct lane_partition *partition,
                        int64_t base, int64_t told, uint32_t commits);

/* --- lane_ready.c: events that count together with the commit --- */

/* Which ones the commit tells, false: not all; and which of these need a record. */
bool lane_choose_ready(struct lane_partition *partition);
void lane_choose_records(struct lane_partition *partition);
/* The commit is answered. */
void lane_end_ready(struct lane_partition *partition, bool is_stored);
/* Records that are of no use any more are to be forgotten. */
void lane_forget_recorded(struct lane_machine *machine, struct lane_partition *partition);
/* So many events that were loaded wait for a commit that no more are. */
bool lane_ready_is_full(const struct lane_machine *machine);
/* The event is not ready any more. */
void lane_unready(struct lane_machine *machine, struct lane_partition *partition,
                  struct lane_event *event);
/* A record says that the event is done. */
void lane_note_recorded(struct lane_partition *partition, int64_t offset);
/* What records say is done counts as if the commit's text had said it. */
void lane_know_recorded(struct lane_partition *partition);

/* --- lane_commit.c: progress in the source --- */

/* Behind all others of the partition; out of them. */
void lane_open_add(struct lane_partition *partition, struct lane_event *event);
void lane_open_remove(struct lane_partition *partition, struct lane_event *event);
/* Everything below is closed in the source. */
int64_t lane_base(const struct lane_partition *partition);
/* A commit, when one is due (or the partition is given up) and there is something to say. */
void lane_commit_if_due(struct lane_machine *machine, struct lane_partition *partition);

/* --- lane_event.c: an event's way through its lane --- */

/* What happens to an event of the lane that is given up. */
enum lane_give_up lane_rule(const struct lane_machine *machine, const struct lane *lane);
/* Its head, which is being given up already, goes to the dead letters and the lane on. */
void lane_skip_dying(struct lane_machine *machine, struct lane *lane);
/* Starts what may run. */
void lane_run(struct lane_machine *machine);

#endif
