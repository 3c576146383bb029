#ifndef TIDINGS_CLIENT_RUNNER_LANE_RUNNER_H
#define TIDINGS_CLIENT_RUNNER_LANE_RUNNER_H

#include "client/event/outcome.h"
#include "client/lane/lane.h"
#include "client/runner/lane_bus.h"

#include "base/clock.h"
#include "base/deadline.h"

/*
 * The runner of key lanes: a member of a consumer group whose events are handled key by key, in
 * order, through failures (client/lane/lane.h is the machine, docs/architecture.md, "Lanes" the
 * rules).
 *
 * Threads, and what each owns:
 * - The poll thread is the caller of lane_runner_run, or a worker to whom it has lent that, as long
 *   as handlers are short (lane_lead.c). It owns the machine, the sources (partitions
 *   that are held, with the book of what lanes.<group> says of each), all events, and talks to the
 *   bus. It never waits for a handler or for a record to be durable, so the group sees the member
 *   alive whatever handlers do; but while partitions are taken away, as long as revoke_wait_ms.
 * - Workers, as many as lanes.workers, call the handler. Each has one event at a time, borrowed.
 *   What a handler says may come later, from any thread; its worker is free meanwhile.
 * - The bus's threads (lane_bus.h): one reads lanes.<group>, one brings acknowledgements.
 *
 * Two locks, never both at once: that of workers who wait (events go to them and come back without
 * one), and that of the mailbox by which everybody else tells the poll thread. Nothing is called
 * under them.
 *
 *     reader -> poll thread -> machine -> effects -> workers, records, commits
 *                    ^                                   |
 *                    +------------- mailbox -------------+
 *
 * Records of lanes.<group> about one source are sent in their order from one queue; what could not
 * be written is sent again, with all behind it, until it is durable or the partition is lost: until
 * then its events are open in the source, so that the commit waits, and a line of the log tells so.
 */

/* What a handler gets. Borrowed. */
struct lane_hand {
    const struct received *received;
    int handler;             /* as classify said */
    int attempt;             /* 1 for the first one */
    int64_t first_failed_ms; /* wall clock; 0: never */
    int64_t fence;           /* of the owner: for whoever keeps effects of late ones out */
    int64_t redrive;       /* of an event that was given up: the redrive's number, from 1; else 0 */
    int64_t began_ns;      /* clock_now_ns: when it was put into this hand */
    int worker;            /* that calls `handle`: 0 up to the number of workers */
    struct arena *scratch; /* its own, for as long as `handle` runs */
    struct lane_publication *publications; /* with LANE_DONE, if the runner transacts: what is to
                                              be committed together with that */

    int64_t took_ms; /* told by who handles, if it likes; 0: not yet, or less than 1 ms */
    bool is_slow;    /* told by who handles: it took long */
    void *own;       /* who handles may keep something here until it has said; NULL at first */
};

/* What it says: zeroed is "done". */
struct lane_said {
    enum lane_verdict verdict;
    int64_t retry_in_ms;  /* LANE_RETRY: not before; 0: as the back-off says */
    char error_class[64]; /* of a failure: short, the same for what has one cause */
    char message[400];
};

/*
 * What happened to an event that did not simply go through (nothing is told of those that do), or
 * to a handler; of a kind of client/event/outcome.h. Numbers below 0, times 0 and pointers NULL:
 * not known, or not of this kind. Borrowed.
 */
struct lane_story {
    enum outcome_kind kind;
    const struct event *event; /* NULL: it is about the handler */
    const char *handler;
    const struct lane_said *said;
    int attempt; /* 0: not known */
    int counted; /* attempts that count */
    bool is_down;
    int64_t next_ms; /* wall clock, as the next one */
    int64_t since_ms;
    int64_t took_ms;
    int64_t behind; /* offset of the event that it waits behind */
    struct lane_letter letter;
    int closes_lane;
    int64_t redrive;
    const char *who, *why;
};

enum lane_log_level { LANE_LOG_INFO, LANE_LOG_WARN, LANE_LOG_ERROR };

/* Zero or NULL stands for the default in brackets. */
struct lane_runner_settings {
    const char *group;
    struct lane_settings lanes;       /* all filled in: lane_settings_init */
    const char *const *handler_names; /* lanes.handler_count */

    /* Which handler an event is for, -1: nobody's. Any thread, several at once. */
    int (*classify)(void *context, const struct event *event);
    /* Called by workers. True: that is what it says. False: lane_runner_later was called, and
     * lane_runner_say is or will be. */
    bool (*handle)(void *context, struct lane_hand *hand, struct lane_said *said);
    /*
     * What became of publications of an event that was done. failed NULL: they are committed. Else
     * they never are, and the event is tried again for that reason (LANE_RETRY), or is somebody
     * else's by now (LANE_DONE). They are the handler's again. On the poll thread.
     */
    void (*settled)(void *context, struct lane_hand *hand, const struct lane_said *failed);
    /* On the poll thread, each turn, at least every 200 ms, also while the runner ends [nothing] */
    void (*tick)(void *context);
    /* What is to be told of events and handlers. On the poll thread; must not wait [nothing] */
    void (*story)(void *context, const struct lane_story *story);
    /* A line for people. Any thread. */
    void (*log)(void *context, enum lane_log_level level, const char *text);
    void *context;

    int revoke_wait_ms;        /* for what runs, when partitions are taken away [5000] */
    int stop_wait_ms;          /* for all of the end, unless it has begun already [30000] */
    struct deadline *stop;     /* of the end, and whatever else ends with the runner; borrowed [one
                                  of its own] */
    const struct clock *clock; /* [the machine's] */
    bool transacts; /* commits are transactions of the bus, with what handlers publish [false] */
    bool commits_at_once; /* then: for tests, whose clock may stand still [every
                             lanes.commit_interval_ms, earlier where events wait for it] */
};

struct lane_runner;

/* CLIENT_INVALID names the setting that is wrong. */
CHECKED enum client_status lane_runner_check(const struct lane_runner_settings *settings,
                                             struct client_error *error);

/* Makes a runner; CLIENT_INVALID as above. Nothing runs yet. Settings are copied, the texts
 * borrowed. Free with lane_runner_free. */
CHECKED enum client_status lane_runner_new(const struct lane_runner_settings *settings,
                                           struct lane_runner **runner, struct client_error *error);

/* The bus answers to this runner. Before the first turn. */
void lane_runner_set_bus(struct lane_runner *runner, const struct lane_bus *bus);

/*
 * Reads and has handled until lane_runner_stop (CLIENT_OK), the reader cannot go on or an event is
 * given up by LANE_STOP (CLIENT_FATAL). When it returns no handler runs, what was done is
 * committed as far as the bus answered in time, and no partition is held here any more.
 */
CHECKED enum client_status lane_runner_run(struct lane_runner *runner, struct client_error *error);

/* One turn of it: takes what there is, waiting for at most timeout_ms, and does what is due.
 * For tests; CLIENT_OK: go on. lane_runner_end is what lane_runner_run does behind the last one. */
CHECKED enum client_status lane_runner_turn(struct lane_runner *runner, int timeout_ms,
                                            struct client_error *error);
void lane_runner_end(struct lane_runner *runner);

/*
 * What is left of the end to wait for what was begun; 0: it is time to leave the group, for which
 * there are 2 s, or a quarter of stop_wait_ms if that is less. The end begins with that of the
 * reading, if `stop` has not begun before. Handlers are waited for however long they take, as what
 * they use would go; after that there is a second at least to leave.
 */
int64_t lane_runner_left_ms(const struct lane_runner *runner);
/* Handlers have returned: that second. */
void lane_runner_grant(struct lane_runner *runner);
/* Partitions that were given back at the end before all was done and written. */
size_t lane_runner_given_back(const struct lane_runner *runner);

/*
 * Behind the end: takes what was said and answered since, and so frees the events that were in hand
 * or on their way, which hold what the bus's reader cannot be closed without. On the poll thread,
 * while the bus is there.
 */
void lane_runner_take_late(struct lane_runner *runner);

/* lane_runner_run is to return. Any thread, and a signal handler if the bus's wake may be. */
void lane_runner_stop(struct lane_runner *runner);

/* Frees it: after lane_runner_run, when the bus answers no more. NULL is fine. */
void lane_runner_free(struct lane_runner *runner);

/* From inside of `handle`, which is about to return: what it says comes later, and until then the
 * event is in hand, its lane waits, and its worker is free. */
void lane_runner_later(struct lane_runner *runner, struct lane_hand *hand);
/* Then, once, before lane_runner_free and while the bus's wake may be called; `hand` is the
 * runner's again. Any thread. */
void lane_runner_say(struct lane_runner *runner, struct lane_hand *hand,
                     const struct lane_said *said);

/* When something is due at the latest, by the monotonic clock; INT64_MAX: nothing is. On the poll
 * thread. */
int64_t lane_runner_due_ms(const struct lane_runner *runner);

/* --- numbers of now (lane_numbers.c), on the poll thread --- */

/* Of the machine. O(partitions). */
struct lane_counts lane_runner_counts(const struct lane_runner *runner);

struct lane_numbers {
    struct lane_counts counts;
    uint64_t parked, skipped; /* dead letters that closed their lane, and others; since the start */
    uint64_t aside;           /* events set aside */
    uint64_t redone, failed_again; /* redrives */
    uint64_t commits;              /* that the group has stored, a partition each */
    bool has_joined;               /* the group has told what is this member's, perhaps nothing */
};
/* Those and what happened since the start. O(partitions). */
void lane_runner_numbers(const struct lane_runner *runner, struct lane_numbers *numbers);

/* Nothing of the handler succeeds. */
bool lane_runner_is_down(const struct lane_runner *runner, int handler);

/* A partition that is held. Borrows its topic. */
struct lane_share_numbers {
    const char *topic;
    int32_t partition;
    bool is_paused;
    struct lane_standing standing;
    int64_t end; /* of the source, as last heard of, each minute while paused; -1: never */
};
/* Each of them. O(events and lanes in memory). */
void lane_runner_each_share(const struct lane_runner *runner,
                            void (*each)(void *context, const struct lane_share_numbers *share),
                            void *context);

#endif
