#ifndef TIDINGS_CLIENT_LANE_LANE_H
#define TIDINGS_CLIENT_LANE_LANE_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Key lanes: the events of one key are handled one after another, in the order they were
 * published, through failures, giving up, restarts and rebalances; the other keys go on.
 *
 * This is the pure machine of one member of one consumer group: what happened goes in, with the
 * time, and effects come out (lane_effect). It reads no clock, waits for nothing and talks to
 * nobody; who runs it (the runner, the simulation) carries the effects out and tells the answers.
 * The rules are in docs/architecture.md, "Lanes".
 *
 * A lane is a key of a partition (LANE_BY_KEY; an event without key is a lane of its own), a
 * partition, or each event (lane_order). At most one event of a lane is in a handler's hand.
 *
 * Where an event is. It begins open in its source: the group's committed offset does not pass it,
 * and the commit's metadata does not name it as done. It is closed there when it is done, or when
 * another place has it durably: the topic `lanes.<group>` (set aside, to be handled later in its
 * lane) or `dlq.<group>` (dead: given up). Write first, mark second, always.
 *
 * Ownership. Each time that a partition is given to this member, lane_own begins a new epoch, and
 * answers of an older one change nothing here. Elsewhere the fence tells owners apart, a number
 * that goes up with each of them. It is taken by a commit, in its metadata, since the group's
 * coordinator refuses the commit of who is no owner any more. Then the owner appends a mark with
 * its fence to the partition's place in `lanes.<group>`, and reads up to it before anything is
 * delivered. A record with a fence below that of a mark before it was written by an owner of before
 * who did not know yet: it is void, whoever reads it.
 *
 * Memory: the machine holds bounded numbers of events (lane_settings); a lane that waits durably
 * costs about 300 bytes and 24 for each event that was set aside.
 *
 * One thread at a time.
 */

struct lane_machine;
struct lane;

enum lane_order {
    LANE_BY_KEY,
    LANE_BY_PARTITION,
    LANE_FREE /* every event is a lane of its own */
};

/* What happens to an event that is given up. */
enum lane_give_up {
    LANE_PARK, /* dead letter; its lane stays closed until somebody opens it */
    LANE_SKIP, /* dead letter; its lane goes on */
    LANE_STOP /* the service is told to end (LANE_GIVE_UP); nothing is written, the event stays open
                 and closes its lane until then. Who owns it next tries it at least once more */
};

enum lane_verdict {
    LANE_DONE,
    LANE_RETRY, /* try it again later */
    LANE_REJECT /* it can never work: given up at once */
};

/* Times in ms. Zero is not a default here: lane_settings_init fills in all. */
struct lane_settings {
    enum lane_order order;         /* LANE_BY_KEY */
    enum lane_give_up with_key;    /* LANE_PARK; LANE_BY_PARTITION: for its lane */
    enum lane_give_up without_key; /* LANE_SKIP */
    int handler_count;             /* 1: events name one below it */
    int workers;                   /* 16: events in a handler's hand at once */
    int attempts;                  /* 10: counted ones, then it is given up */
    int attempts_alone;       /* 0 (never): those of a lane that fails with nobody beside it: since
                                 the first of them no other lane of its handler succeeded or failed */
    int64_t backoff_first_ms; /* 200; doubles, with full jitter */
    int64_t backoff_max_ms;   /* 60000 */
    int64_t probe_first_ms;   /* 1000: between the probes of a handler that is down; doubles */
    int64_t probe_max_ms;     /* 4000 */
    int down_after;           /* 10: so many lanes failed with no success between */
    int64_t aside_after_ms;   /* 30000: a lane that waits longer is set aside */
    int64_t behind_ms;        /* 200: one that waits longer, too, while what is committed is */
    int64_t behind_events;    /* 20: more than so many offsets behind what was read for it */
    int64_t commit_interval_ms; /* 500 */
    size_t intake_events;       /* 10000: runnable or running; then partitions pause */
    size_t intake_bytes;        /* 64 MiB */
    size_t waiting_events;      /* 10000: behind heads that wait; then lanes are set aside */
    size_t waiting_bytes;       /* 64 MiB */
    size_t open_lanes;          /* 100000 a partition: parked or set aside; then it pauses */
    int64_t aside_bytes;        /* 1 GiB a partition */
    size_t metadata_bytes;      /* 4096: the group's offset.metadata.max.bytes */
    bool commits_on_request; /* false: every commit_interval_ms; else when lane_request_commit says
                                so, a new owner asks for the first one itself, and who gives back a
                                partition for the last */
    uint64_t seed;           /* 1: of the jitter */
};

/* Fills in the defaults that stand beside the fields. */
void lane_settings_init(struct lane_settings *settings);

/* Where an event is kept between the handler's attempts. */
enum lane_keep {
    LANE_IN_SOURCE, /* in memory, and open in its source */
    LANE_ASIDE,     /* in lanes.<group> */
    LANE_REDRIVEN   /* in dlq.<group>, on its way through its lane again */
};

/*
 * One event in memory, embedded by who runs the machine. It fills in the first part and leaves the
 * rest zeroed.
 */
struct lane_event {
    int32_t partition; /* as lane_own named it */
    int64_t epoch;
    int64_t offset;   /* in its source */
    struct slice key; /* borrowed as long as the event lives; null: none */
    size_t bytes;     /* what it costs in memory */
    int handler;      /* -1: nobody handles it; it is done at once */
    bool closes_lane; /* lane_redrive: its dead letter closed its lane, and nobody skipped it since
                       */

    /* of the machine; the effects tell what others may read */
    enum lane_keep keep;
    int attempt;             /* LANE_RUN: 1 for the first one */
    int64_t first_failed_ms; /* 0: never */
    bool is_busy;            /* somebody else has it: a handler, or a write */
    bool is_put_by;          /* lane_put_by */
    bool is_ready;           /* lane_ready */
    bool is_told;            /* the commit under way says that it is done */
    bool needs_record;       /* and that has no room for it, or it was not open in the source:
                                a record has to say so that counts with the commit */
    uint64_t done_stamp;     /* when its handler was done, as that counts it; 0: it is not ready */
    struct lane_event *ready_next, *ready_prev; /* of the partition */
    bool is_writing;                            /* to lanes.<group> */
    struct lane *lane;              /* NULL: nobody waits for it, it is let go when it comes back */
    struct lane_event *next, *prev; /* of its lane, by offset */
    struct lane_event *open_next, *open_prev; /* open in the source, by offset */
};

enum lane_effect_kind {
    LANE_RUN,     /* event: to a worker. Answer: lane_result */
    LANE_RELEASE, /* event: free it */
    LANE_LOOK,    /* read lanes.<group> to its end. Answer: lane_looked, with the highest fence */
    LANE_OWN,     /* append this owner's mark to lanes.<group>, read up to it, telling what was
                     read by lane_restore_*. Answer: lane_restored */
    LANE_LOAD,    /* read the event set aside at `position` in lanes.<group>. Answer: lane_loaded */
    LANE_WRITE_ASIDE,  /* event to lanes.<group>. Answer: lane_wrote_aside */
    LANE_WRITE_DEAD,   /* event to dlq.<group>. Answer: lane_wrote_dead */
    LANE_WRITE_NOTE,   /* what is remembered of a lane (`note`) to lanes.<group>, the latest counts.
                          Answer: lane_marked */
    LANE_WRITE_CLOSE,  /* nothing is remembered of the lane any more. Answer: lane_marked */
    LANE_WRITE_FORGET, /* the event at `offset`, set aside, needs no place any more. Answer:
                          lane_marked */
    LANE_WRITE_DONE,   /* With commits_on_request: the event at `offset` is dead, or set aside and
                          done, and all of its lane before it that is not set aside. Answer:
                          lane_marked */
    LANE_WRITE_REDRIVEN, /* the redrive of the event at `offset` is over: `was_done`, or it is dead
                            again. Answer: lane_marked */
    LANE_COMMIT, /* everything below `offset`, and what `metadata` says. Answer: lane_committed */
    LANE_PAUSE,  /* the partition's source */
    LANE_RESUME,
    LANE_QUIET,     /* after lane_revoke: nothing of the partition is in anybody's hand */
    LANE_TELL_DOWN, /* handler: nothing of it succeeds */
    LANE_TELL_UP,
    LANE_TELL_FULL, /* the partition's open lanes or bytes set aside are at their limit */
    LANE_GIVE_UP    /* event: the service is to end (LANE_STOP) */
};

struct lane_note {
    int64_t offset;          /* of the lane's head; parked: of the dead one */
    int attempts;            /* counted ones of the head */
    int64_t first_failed_ms; /* of the head; 0: never */
    bool is_parked;
    bool is_held; /* by somebody's word */
};

/* Which lane a record is about. */
struct lane_name {
    struct slice key; /* null: that of one event, or of the partition */
    int64_t offset;   /* of that event; -1: it is a key's or a partition's */
};

struct lane_effect {
    enum lane_effect_kind kind;
    int32_t partition;
    int64_t epoch;
    struct lane_event *event;
    struct lane *lane;     /* for the answer */
    struct lane_name name; /* borrowed from the lane until the answer */
    int64_t offset;
    int64_t position;
    int64_t fence; /* LANE_OWN: of the mark, and of all records of this epoch */
    struct lane_note note;
    const char *metadata; /* borrowed until the next call of the machine */
    int handler;
    bool was_done;
    bool closes_lane; /* LANE_WRITE_DEAD: by the dead letter (LANE_PARK) */
};

/* With no partition. The settings are copied and within sane bounds: all above 0, metadata_bytes at
 * least 40. Free with lane_machine_free. */
struct lane_machine *lane_machine_new(const struct lane_settings *settings);

/* So many events may be in hand at once from now on, `workers` of the settings or more: some of
 * them wait in front of the workers when handlers are short. */
void lane_set_hands(struct lane_machine *machine, size_t hands);

/* Frees it with all that it knows; the events that it holds come out as LANE_RELEASE of `release`.
 */
void lane_machine_free(struct lane_machine *machine,
                       void (*release)(void *context, struct lane_event *event), void *context);

/*
 * The next effect, or false. Effects are carried out in their order; writes to lanes.<group> of one
 * partition keep it there, and are repeated until they are durable or the partition is lost.
 */
bool lane_next_effect(struct lane_machine *machine, struct lane_effect *effect);

/*
 * Does what is due at `now_ms`, and decides after one or more calls below what runs next: to be
 * called behind each round of them. Returns when it has to be called again at the latest;
 * INT64_MAX: only after something happened.
 */
int64_t lane_settle(struct lane_machine *machine, int64_t now_ms);

/* --- partitions come and go --- */

/*
 * The partition is this member's; reading begins at `committed` (>= 0), beside which the group has
 * `metadata` (NULL: none). It is paused until it is restored. epoch: above all earlier ones.
 */
void lane_own(struct lane_machine *machine, int32_t partition, int64_t epoch, int64_t committed,
              const char *metadata);
/* The highest fence of a mark in its place of lanes.<group>; 0: there is none. */
void lane_looked(struct lane_machine *machine, int32_t partition, int64_t epoch, int64_t highest);

/* What was read of lanes.<group>, in the order of its log, each at its newest. */
void lane_restore_event(struct lane_machine *machine, int32_t partition, struct slice key,
                        int64_t offset, int64_t position, size_t bytes, int handler);
/* was_redriven: the dead event that closed it is done since, so it is opened. */
void lane_restore_note(struct lane_machine *machine, int32_t partition, struct lane_name name,
                       const struct lane_note *note, bool was_redriven);
/* The owner's mark was read: deliveries begin. */
void lane_restored(struct lane_machine *machine, int32_t partition, int64_t epoch);

/* Nothing of it is started any more; LANE_QUIET follows, and a last LANE_COMMIT before it. */
void lane_revoke(struct lane_machine *machine, int32_t partition);

/* It is somebody else's: nothing that comes later of this epoch counts. */
void lane_lose(struct lane_machine *machine, int32_t partition);

/* --- events and answers --- */

/* The next event of its partition, taken over. Offsets ascend; those left out do not exist. */
void lane_arrive(struct lane_machine *machine, struct lane_event *event);

/*
 * An event that is about to arrive may be handled by who reads it, before the machine knows of it:
 * nothing of its lane is known or in hand, its handler is up, and the machine would start it at
 * once. Then one of the next two is said of it, and nothing else of the machine is called before.
 */
bool lane_may_pass(struct lane_machine *machine, const struct lane_event *event);
/* It was handled, with success: it is not taken over, and to be freed. */
void lane_passed(struct lane_machine *machine, const struct lane_event *event);
/* It arrives, taken over, and is in its handler's hand as if LANE_RUN had said so. */
void lane_arrive_in_hand(struct lane_machine *machine, struct lane_event *event);

/* Who reads the partition stands at `offset`: what lies before it has arrived, or does not exist
 * (the marks of transactions, what compaction took). */
void lane_reached(struct lane_machine *machine, int32_t partition, int64_t epoch, int64_t offset);

/* What the handler said of an event. retry_at_ms: not before (0: as the back-off says). */
void lane_result(struct lane_machine *machine, struct lane_event *event, enum lane_verdict verdict,
                 int64_t retry_at_ms, int64_t now_ms);

/*
 * The handler of a running event is done, and what it caused is to count together with the commit
 * that says so: the next LANE_COMMIT of its partition tells it as done (is_told, needs_record),
 * unless a record of its lane has to be there before. Its worker is free. When the commit is
 * stored, lane_result follows for it before the machine is settled; else the next one tells it
 * again. What fails in between ends by lane_result, too.
 */
void lane_ready(struct lane_machine *machine, struct lane_event *event);
/* It is not to be told by the next commit; lane_ready or lane_result follows. */
void lane_hold_back(struct lane_machine *machine, struct lane_event *event);
/* The same is said of an event that is not in its handler's hand: a record tells that it was done,
 * and so was what came before it in its lane and is not restored. Before lane_restored. */
void lane_restore_done(struct lane_machine *machine, int32_t partition, struct slice key,
                       int64_t offset);

/* The event of LANE_LOAD; taken over. handler, key, bytes as with lane_arrive. */
void lane_loaded(struct lane_machine *machine, struct lane *lane, struct lane_event *event);

/* The handler of a running event has returned, and what it says comes later (lane_result): its
 * worker is free for another lane. What it counts as in memory stays. */
void lane_put_by(struct lane_machine *machine, struct lane_event *event);

/* It is durable there, at `position`. wrote_aside, true: the event stays in memory, to be tried
 * again. */
bool lane_wrote_aside(struct lane_machine *machine, struct lane_event *event, int64_t position);
void lane_wrote_dead(struct lane_machine *machine, struct lane_event *event);

/* Note, close, forget, redriven: durable. `effect` as it came out. */
void lane_marked(struct lane_machine *machine, const struct lane_effect *effect);

/* With commits_on_request: there is something to commit that nobody was asked for yet.
 * O(partitions)
 */
bool lane_has_commits(const struct lane_machine *machine);
/* An event is ready (lane_ready) and others wait for that: those behind it in its lane, or all, as
 * memory is full. */
bool lane_is_held_up(const struct lane_machine *machine);
/* The next lane_settle commits all that there is, but where a commit is under way. */
void lane_request_commit(struct lane_machine *machine);

/* is_stored: the group has it. Else it is tried again. */
void lane_committed(struct lane_machine *machine, int32_t partition, int64_t epoch, bool is_stored);

/*
 * --- by somebody's word (records in lanes.<group>, carried out by the owner) ---
 *
 * A word works in this owner's memory at once. It is durable when what it made is: the note that
 * the lane is held, let go or open again, the dead letter of what is skipped. An owner that loses
 * the partition before has not carried it out, and the next one does not know of it.
 */

/* What of a lane is known. False: there is no such lane, or the partition is not restored yet or
 * given away, and others decide. For use before the machine is
 * called again. */
bool lane_find(struct lane_machine *machine, int32_t partition, struct lane_name name,
               struct lane **lane);
/* The same, and a key's or partition's lane of which nothing is known is made: it can be held
 * before it has an event. False as well when the order has no lanes of that name. Followed by
 * lane_hold. */
bool lane_reach(struct lane_machine *machine, int32_t partition, struct lane_name name,
                struct lane **lane);

/* A head that waits for its back-off or a probe is tried as soon as a worker is free, before all
 * others, whether its handler is down or not; as an attempt it counts like any other. A lane that
 * is held or parked stays so. */
void lane_try_now(struct lane_machine *machine, struct lane *lane);
/*
 * Its head goes to the dead letters and the lane on, whatever the rule for giving up; in a held
 * lane, too. A head in its handler's hand is skipped if that attempt fails. A parked lane is opened
 * without its dead head; a redrive of that one is over when it fails. offset: of the head that is
 * meant, as somebody saw it (parked: of the dead one). False: another one is the head now, or none,
 * and nothing is done.
 */
bool lane_skip_head(struct lane_machine *machine, struct lane *lane, int64_t offset);
/* The dead event that closed it; -1: it is not parked. */
int64_t lane_parked_at(const struct lane *lane);
/* Nothing of it is started until it is let go; what it has and gets is set aside. What runs is
 * not stopped. Through restarts and other owners. */
void lane_hold(struct lane_machine *machine, struct lane *lane);
void lane_let_go(struct lane_machine *machine, struct lane *lane);

/*
 * A dead event is tried again, before everything else of its lane, which is made for it if need
 * be. Taken over; keep is LANE_REDRIVEN, and how many there are at once is up to the caller.
 * LANE_WRITE_REDRIVEN tells the end: done, which opens a lane that it closed; or given up again,
 * whatever the rule: it is dead, its lane open or closed as before.
 */
void lane_redrive(struct lane_machine *machine, struct lane_event *event);

/* --- numbers --- */

struct lane_counts {
    size_t runnable_events, runnable_bytes; /* or running */
    size_t waiting_events, waiting_bytes;   /* behind heads that wait, in memory */
    size_t redriven_events,
        redriven_bytes; /* of both of these: who asks for redrives bounds them */
    size_t running;
    size_t lanes, open_lanes; /* in memory; parked or set aside */
    int64_t aside_bytes;
};
/* Of all partitions. O(partitions). */
struct lane_counts lane_counts(const struct lane_machine *machine);

/* Everything below is done or set aside; -1: it is not held. next: the offset behind the last
 * arrival.
 */
int64_t lane_progress(struct lane_machine *machine, int32_t partition, int64_t *next);

/* What becomes of an event that its handler did not take (lane_result, just now). */
struct lane_outlook {
    int attempts;   /* those that count by now */
    int64_t due_ms; /* it is not tried before */
    bool is_down;   /* its handler is: it is tried as a probe, whenever that is */
    bool is_given_up;
};
/* False: its partition is lost, or nothing is known of it any more. */
bool lane_outlook(struct lane_machine *machine, const struct lane_event *event,
                  struct lane_outlook *outlook);

/* The event that this one, in memory, waits behind: one that failed, or the dead one that closed
 * its lane. -1: there is none. *goes_aside (NULL is fine): it is about to be set aside. */
int64_t lane_behind(const struct lane_event *event, bool *goes_aside);

/* How a partition stands. */
struct lane_standing {
    int64_t committed;   /* by the group, as far as it answered */
    int64_t next;        /* behind the last arrival */
    size_t open_events;  /* arrived, and open in the source */
    size_t aside_events; /* in lanes.<group>, and not done */
    /* its lanes whose heads failed and are tried again; that are parked; that are held */
    size_t waiting_lanes, parked_lanes, held_lanes;
};
/* False: it is not held. O(events and lanes of the partition). */
bool lane_standing(struct lane_machine *machine, int32_t partition, struct lane_standing *standing);

#endif
