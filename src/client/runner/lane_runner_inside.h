#ifndef TIDINGS_CLIENT_RUNNER_LANE_RUNNER_INSIDE_H
#define TIDINGS_CLIENT_RUNNER_LANE_RUNNER_INSIDE_H

#include "client/lane/lane_book.h"
#include "client/runner/lane_runner.h"

#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>
#include <utlist.h>

/*
 * What the files of the runner share, from the ground up: lane_mail.c, the mailbox; lane_hands.c,
 * events in hand and the workers; lane_failure.c, why they failed; lane_numbers.c, counts;
 * lane_story.c, accounts; lane_tell.c, lines for people; lane_append.c, records on their way;
 * lane_reason.c, why lanes are so; lane_load.c, events read back; lane_redo.c, dead events that are
 * tried again; lane_obey.c, words of people; lane_source.c, partitions and their books;
 * lane_transact.c, commits with what events caused; lane_carry.c, effects; lane_owner.c, partitions
 * come and go; lane_lead.c, turns, and workers that take them; lane_runner.c, life.
 */

/*
 * An event of the machine, with what the handler sees. There are thousands of them and they come
 * and go fast: lane_held_free keeps some, only what is in front of `own` is zeroed, and what
 * workers touch lies together.
 */
struct lane_held {
    struct lane_event event;   /* first */
    struct received *received; /* the reader's; NULL: `own` */
    struct lane_source *source;
    struct arena arena;   /* of `own` */
    int64_t failed_ms;    /* when it failed last; 0: not here */
    int64_t redrive;      /* of a dead event: which one; else 0 */
    bool closes_lane;     /* when it is given up */
    bool is_buried_again; /* its redrive failed, and its new letter is on its way */
    struct lane_caused caused;
    struct lane_held *prev;
    struct lane_held *next; /* of workers, too */
    struct lane_hand hand;
    struct received own;
    struct lane_said said; /* what the handler said last */
};

enum lane_wish_state {
    LANE_WISH_WAITS,    /* for its turn */
    LANE_WISH_LOADS,    /* a redrive: its letter is read */
    LANE_WISH_RUNS,     /* a redrive: it is in its lane */
    LANE_WISH_SKIPS,    /* a skip: its head is to be given up */
    LANE_WISH_CLOSES,   /* a skip: its head is dead, and open in its source still */
    LANE_WISH_ANSWERED, /* and the answer is not read back */
};

/* A word of somebody that has no answer in lanes.<group> yet. */
struct lane_wish {
    UT_hash_handle hh; /* of the source, by id, in the order of the log */
    struct lane_record_id id;
    UT_hash_handle by_head;        /* redrives that were begun, by head */
    struct lane_wish *next, *prev; /* those that wait, or that are to be answered */
    enum lane_wish_state state;
    bool is_begun;
    enum lane_verb verb;
    struct buf key;
    struct lane_name name; /* borrows the key */
    int64_t head;
    struct lane_letter letter;
    int64_t number;
    char *who, *why;
    const char *refusal;           /* why it cannot be carried out; NULL: it can */
    bool is_aside;                 /* CLOSES: its head was set aside */
    struct lane_held *held;        /* RUNS */
    enum lane_outcome outcome;     /* of its answer */
    struct lane_letter new_letter; /* of its answer */
    char text[200];                /* of its answer */
};

/* A record on its way to lanes.<group>. */
struct lane_append {
    struct lane_append *next, *prev; /* of its source, in order */
    struct lane_source *source;      /* NULL: it is held no more */
    bool is_sent;
    bool has_effect;
    bool is_erasure; /* of `erased` */
    struct lane_effect effect;
    struct lane_record_id erased;
    struct buf value;
    bool is_durable; /* and one before it is not yet */
    int64_t position;
};

/* What retention does to a source while its intake is paused. */
struct lane_retention {
    int64_t ask_ms;      /* monotonic: when to ask next */
    int64_t first, last; /* where the source began; first -1: not known yet */
    int64_t first_ms;    /* monotonic */
    int64_t step;        /* the longest one */
    bool is_told;
};

/* A source partition that is or was held. Never freed before the runner: its number is the
 * machine's name for it. */
struct lane_source {
    UT_hash_handle hh;
    char *name; /* "topic/partition" */
    char *topic;
    int32_t number;
    int32_t id;
    int64_t epoch; /* 0: not held */
    int64_t fence;
    bool is_restored;
    bool begins_anew;   /* what lanes.<group> says is of a topic that was deleted */
    bool is_committing; /* the machine waits for an answer */
    bool is_quiet;
    bool wants_pause, is_paused;
    int64_t asked_end;       /* of the source; 0: not known */
    struct lane_held *early; /* arrived before it was restored */
    struct lane_book *book;
    uint64_t writer;
    int64_t serial;
    int64_t reached; /* where the source ended when all before it was taken; -1: it was not */
    struct lane_append *appends;
    struct lane_append *unsent; /* none before it waits to be sent */
    size_t sent;                /* of them, not answered */
    size_t erasing;             /* of them, erasures */
    int64_t append_at_ms;       /* monotonic: not before; 0: at once */
    bool is_stalled;            /* told once */

    bool is_leaving;            /* nothing new is begun */
    struct lane_wish *wishes;   /* by id */
    struct lane_wish *begun;    /* redrives, by head */
    struct lane_wish *waiting;  /* all but redrives */
    struct lane_wish *redrives; /* that wait */
    struct lane_wish *answers;  /* to be queued behind what carries them out */
    size_t skips;               /* under way */
    int64_t bounds_at_ms;       /* monotonic: when to ask for the source's, for skips that wait */
    bool is_loading_letter;
    int64_t letter_at_ms; /* monotonic: not before; 0: at once */
    struct lane_retention retention;
    int64_t commit_offset; /* while there are skips: the commit under way */
    char *commit_text;
};

/* As the bus knows it. Borrows. */
static inline struct lane_share lane_source_share(const struct lane_source *source)
{
    return (struct lane_share){
        .topic = source->topic, .partition = source->number, .epoch = source->epoch};
}

struct lane_mailbox {
    pthread_mutex_t lock; /* guards the list and its count */
    pthread_cond_t came;  /* monotonic, as is the next one */
    pthread_cond_t taken;
    size_t count;
    struct lane_mail *first, *last;
    bool is_woken; /* there is something to see, though no mail */
};

/*
 * Handlers may be short or long. Of short ones (recent_ns) one worker does many, one after another,
 * and the poll thread looks at all results at once: to wake a thread costs more than they do. Of
 * long ones as many run at once as there are workers, and each result is told as it comes.
 *
 * The queue is a ring that the poll thread fills: numbers `taken` to `queued` are in it. Who makes
 * `taken` one more has that event. What is done is a stack that the poll thread takes as a whole.
 * Neither needs the lock, which is for those who wait.
 */
struct lane_workers {
    pthread_mutex_t lock; /* guards is_ending, lead.is_offered, and whoever becomes idle */
    pthread_cond_t work;
    bool is_ending;

    _Atomic(struct lane_held *) *ring;
    uint64_t ring_mask; /* its size is a power of two, above what may be in hand */
    uint64_t given;     /* the poll thread's own: behind the last one, to be queued soon */
    _Atomic uint64_t queued;
    _Atomic uint64_t taken;
    _Atomic int64_t recent_ns; /* that a handler took lately; grows at once, shrinks slowly */
    atomic_int idle;           /* wait for an event; those who have one or look for one do not */

    _Atomic(struct lane_held *) done; /* the last one first, with what their handlers said */
    atomic_size_t done_count;
    atomic_bool is_told; /* the poll thread was woken, and did not look since */

    uint64_t seen_taken; /* the poll thread's own: as it was at seen_ns, and still is */
    int64_t seen_ns;
    struct lane_worker *threads;
    int count;
};

/* A thread that calls handlers. */
struct lane_worker {
    struct lane_runner *runner;
    pthread_t thread;
    int number;           /* from 0 on */
    struct arena scratch; /* of the event in its hand */
    int64_t switches;     /* how often it had to leave its core, when last looked */
};

/*
 * A worker that reads (lane_lead.c): it is the poll thread meanwhile, and has what it reads handled
 * on the spot. The poll thread looks after it, and reads again when a handler does not return.
 */
struct lane_lead {
    pthread_cond_t back; /* of the workers' lock; monotonic */
    bool is_offered;     /* to a worker that is idle; under that lock */
    atomic_int leading;  /* workers that read: 0 or 1 */
    _Atomic uint64_t
        step; /* odd: `held` is being handled. Who makes it even then has the reading */
    struct lane_held *held;
    void (*take_turns)(struct lane_runner *runner, struct lane_worker *worker); /* what it does then
                                                                                 */

    /* of who reads */
    struct lane_worker *worker;
    int64_t now_ns;    /* a while ago: to ask for the time costs as much as a short handler */
    int64_t turn_ns;   /* when this turn began; 0: it is not known yet */
    unsigned untimed;  /* events since */
    bool is_turn_over; /* there may be other things to do */
    uint64_t arrived, window_arrived, seen_arrived; /* events, and as it was at */
    int64_t window_ns, seen_ns;
};

/* What is told at most once in a while, with counts. */
struct lane_tally {
    uint64_t parked, skipped, aside, told_parked, told_skipped, told_aside;
    uint64_t redone, failed_again, told_redone, told_failed_again;
    uint64_t commits;
    char last[160]; /* the last one parked or skipped */
    int64_t tell_at_ms;
};

struct lane_runner {
    struct lane_runner_settings settings;
    struct lane_bus bus;
    const struct clock *clock;
    int64_t wall_from_mono_ms; /* the wall clock as it was at the start, so that it never jumps */
    struct lane_machine *machine;
    struct lane_source *by_name;
    struct lane_source *last;          /* found last */
    VEC(struct lane_source *) sources; /* by id */
    char dlq_topic[LANE_TOPIC_SIZE];
    struct lane_mailbox mailbox;
    struct lane_workers workers;
    struct lane_lead lead;
    struct lane_held *spare; /* to be used again */
    size_t spare_count;
    struct lane_tally tally;
    struct lane_load *loads;
    struct lane_failure *failures;          /* of events that are set aside */
    size_t redriven_events, redriven_bytes; /* in the machine, by redrives */
    struct lane_held *caused; /* done, with what they caused still to be sent; in order */
    size_t caused_most;       /* so many go into the next transaction */
    struct lane_transaction *filling, *sent;
    int64_t transact_at_ms; /* monotonic: not before, unless events wait for it */
    int transact_failures;  /* one after another, until now */
    bool begins_anew; /* all that is held is to be lost, and read again from what is committed */
    struct lane_held *burials; /* dead letters to be sent again */
    int64_t bury_at_ms;
    bool is_bury_stalled;
    int64_t *down_since_ms; /* of each handler; 0: it is up */
    atomic_bool is_stopping;
    bool has_joined;
    bool is_letting_go;    /* commits are sent at once, and again when they are refused */
    struct deadline *stop; /* own_stop, or the settings' */
    struct deadline own_stop;
    bool is_stop;            /* partitions are let go for good */
    size_t unquiet;          /* of those that were let go last, before all was done and written */
    size_t given_back;       /* of those at the end */
    int64_t let_go_until_ms; /* on the system's clock: but not behind this */
    bool must_commit;
    struct client_error failure;
    int64_t due_ms;
};

/* --- lane_mail.c --- */
void lane_mailbox_init(struct lane_mailbox *mailbox);
void lane_mailbox_deinit(struct lane_mailbox *mailbox);
/* The poll thread is to look; wakes those who wait in lane_mailbox_wait, too. Any thread. */
void lane_runner_wake(struct lane_runner *runner);
/* All that came, oldest first. */
struct lane_mail *lane_mailbox_take(struct lane_mailbox *mailbox);
/* Waits until something came, at most so long. */
void lane_mailbox_wait(struct lane_mailbox *mailbox, int64_t most_ms);

/* --- lane_hands.c --- */
/* An event of the reader's, taken over; or of a record set aside. The latter copies nothing: it
 * takes the arena. */
struct lane_held *lane_held_new(struct lane_runner *runner, struct lane_source *source,
                                struct received *received);
struct lane_held *lane_held_load(struct lane_runner *runner, struct lane_source *source,
                                 struct lane_mail *mail);
struct lane_held *lane_held_of(struct lane_event *event);
const struct received *lane_held_received(const struct lane_held *held);
/* It lives long: a copy of its own lets go of the reader's, and what that was fetched with. */
void lane_held_detach(struct lane_runner *runner, struct lane_held *held);
void lane_held_free(struct lane_runner *runner, struct lane_held *held);
/* Frees those that are kept to be used again. */
void lane_held_free_spare(struct lane_runner *runner);
CHECKED bool lane_workers_start(struct lane_runner *runner);
/* To a worker, with the next lane_workers_flush. */
void lane_workers_give(struct lane_runner *runner, struct lane_held *held);
/* The next one that is queued, for who reads; NULL: no more than so many are. */
struct lane_held *lane_workers_take_queued(struct lane_runner *runner, uint64_t few);
/* Queues what was given, and wakes as many as it takes. */
void lane_workers_flush(struct lane_runner *runner);
/* Those whose handlers have said what became of them, in that order, by `next`. */
struct lane_held *lane_workers_take(struct lane_runner *runner);
/* How many events may be in hand or queued: so many beyond the threads that the queue holds work
 * for a moment. */
size_t lane_workers_hands(struct lane_runner *runner);
/* Some wait for work, and there is none. */
bool lane_workers_are_idle(struct lane_runner *runner);
/* How long the poll thread may wait for something else. */
int lane_workers_wait_ms(struct lane_runner *runner, int most_ms);
bool lane_workers_are_busy(struct lane_runner *runner);
/* When nothing is queued. */
void lane_workers_end(struct lane_runner *runner);
/* Handlers took so short lately that to wake a thread costs more; or less than that. */
bool lane_workers_are_short(const struct lane_runner *runner);
bool lane_workers_are_below(const struct lane_runner *runner, int64_t ns);
/* One waits for work, and may read instead. */
bool lane_workers_may_lead(struct lane_runner *runner);
/* Events are queued, and nobody is there for them but who reads. */
bool lane_workers_are_missed(struct lane_runner *runner);
/* A handler took so long. */
void lane_workers_note(struct lane_runner *runner, int64_t took_ns);
/* The same by the worker that called it, or each of several. Returns what handlers take lately. */
int64_t lane_worker_note(struct lane_worker *worker, int64_t took_ns);
/* What the handler gets, of an event that has its attempt. */
void lane_hand_fill(struct lane_held *held);
/* Has the handler called. True: it has said what became of the event. */
bool lane_hand_call(struct lane_worker *worker, struct lane_held *held, int64_t began_ns);
/* That what it said is told to who reads, as workers do. */
void lane_hand_put_down(struct lane_runner *runner, struct lane_held *held);

/* --- lane_failure.c --- */
/* Notes why it failed; gives that back to the event loaded anew; it is over. */
void lane_failure_keep(struct lane_runner *runner, const struct lane_held *held);
void lane_failure_recall(struct lane_runner *runner, struct lane_held *held);
void lane_failure_forget(struct lane_runner *runner, const struct lane_held *held);
/* The reason of a failure that was not told; borrowed, and told from now on. False: there is none.
 */
bool lane_failure_untold(struct lane_runner *runner, const struct lane_source *source,
                         int64_t offset, struct lane_reason *reason);
/* Nobody needs it any more. */
void lane_failure_end(struct lane_runner *runner, const struct lane_source *source, int64_t offset);
void lane_failures_drop(struct lane_runner *runner, const struct lane_source *source);

/* --- lane_story.c: for settings.story --- */
/* It has come, or its head has failed: if it waits behind another one. */
void lane_story_waits(struct lane_runner *runner, const struct lane_held *held);
/* What its handler said; behind lane_result, before the effects. */
void lane_story_result(struct lane_runner *runner, const struct lane_held *held);
/* It is set aside; before lane_wrote_aside. */
void lane_story_aside(struct lane_runner *runner, const struct lane_held *held);
/* Its dead letter is there. skip: the word that wanted it, or NULL. */
void lane_story_dead(struct lane_runner *runner, const struct lane_held *held,
                     struct lane_letter letter, const struct lane_wish *skip);
/* Its redrive is over, as it said last; letter: the new one. */
void lane_story_redriven(struct lane_runner *runner, const struct lane_held *held,
                         struct lane_letter letter);
/* The handler is down (0), or up again. */
void lane_story_handler(struct lane_runner *runner, int handler, int64_t down_since_ms);

/* --- lane_tell.c --- */
void lane_tell(const struct lane_runner *runner, enum lane_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "orders/3@17 key anna" */
void lane_tell_place(const struct event *event, char *to, size_t size);
void lane_tell_dead(struct lane_runner *runner, const struct lane_held *held, bool closes_lane);
void lane_tell_handler(struct lane_runner *runner, int handler, bool is_down);
/* Counts that are due to be told. */
void lane_tell_due(struct lane_runner *runner, bool is_last);

/* --- lane_append.c --- */
int64_t lane_now_ms(const struct lane_runner *runner); /* the machine's time */
/* redrive: the number of LANE_WRITE_REDRIVEN. */
void lane_append_effect(struct lane_source *source, const struct lane_effect *effect,
                        int64_t redrive);
/* A record that the machine knows nothing of. */
void lane_append_record(struct lane_source *source, const struct lane_record *record);
/* Sends what waits, and erasures. Returns when to call again at the latest, monotonic. */
int64_t lane_append_send(struct lane_runner *runner, struct lane_source *source);
void lane_append_answered(struct lane_runner *runner, const struct lane_mail *mail);
/* The source is held no more: what is not on its way is answered, so that the machine frees it. */
void lane_append_drop(struct lane_runner *runner, struct lane_source *source);
/* An answer, durable or not needed any more. */
void lane_append_tell(struct lane_runner *runner, const struct lane_effect *effect,
                      int64_t position);
void lane_bury(struct lane_runner *runner, struct lane_held *held);
/* It could not be sent, and is later (lane_bury_due). */
void lane_bury_again(struct lane_runner *runner, struct lane_held *held, const char *why);
/* Dead letters that wait to be sent again. */
void lane_bury_due(struct lane_runner *runner);

/* --- lane_reason.c: behind what gives cause to it --- */
/* LANE_WRITE_NOTE. */
void lane_reason_noted(struct lane_runner *runner, struct lane_source *source,
                       const struct lane_effect *effect);
/* A word that holds its lane. */
void lane_reason_held(struct lane_runner *runner, struct lane_source *source,
                      const struct lane_wish *wish);

/* --- lane_load.c --- */
void lane_load_start(struct lane_runner *runner, const struct lane_effect *effect);
void lane_load_answered(struct lane_runner *runner, struct lane_mail *mail);
/* Asks again for what could not be read. */
void lane_loads_due(struct lane_runner *runner);
/* Loads that wait for a source that is held no more. */
void lane_loads_drop(struct lane_runner *runner, const struct lane_source *source);

/* --- lane_redo.c --- */
/* Begins the redrives that wait, as the memory for them allows. */
void lane_redo_due(struct lane_runner *runner, struct lane_source *source);
void lane_redo_loaded(struct lane_runner *runner, struct lane_mail *mail);
/* The effect says that a redrive is over. Returns its number. */
int64_t lane_redo_ended(struct lane_runner *runner, struct lane_source *source,
                        const struct lane_effect *effect);
/* The machine lets go of an event of a redrive. */
void lane_redo_release(struct lane_runner *runner, struct lane_held *held);
/* Its new letter is there, or nobody waits for it any more. */
void lane_redo_buried(struct lane_runner *runner, struct lane_held *held,
                      struct lane_letter letter);

/* --- lane_obey.c --- */
/* A word or an answer was read; an erased word. */
void lane_obey_read(struct lane_runner *runner, struct lane_source *source,
                    const struct lane_mail *mail);
/* What is read is all that there was. */
void lane_obey_restored(struct lane_source *source);
/* Carries out what waits. */
void lane_obey_due(struct lane_runner *runner, struct lane_source *source);
/* Queues answers, behind the effects of what was carried out. */
void lane_obey_answer(struct lane_runner *runner, struct lane_source *source);
/* How a wish ends. letter partition -1: none. */
void lane_obey_end(struct lane_source *source, struct lane_wish *wish, enum lane_outcome outcome,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Of skips: the head was done; its dead letter is there; its redrive is over; it is forgotten; the
 * group has a commit. */
void lane_obey_done(struct lane_source *source, int64_t offset);
/* Returns the word that wanted this letter; NULL: there is none. */
const struct lane_wish *lane_obey_buried(struct lane_source *source, const struct lane_held *held);
void lane_obey_redriven(struct lane_source *source, int64_t offset);
void lane_obey_forgotten(struct lane_source *source, int64_t offset);
void lane_obey_commits(struct lane_source *source, int64_t offset, const char *text);
void lane_obey_committed(struct lane_source *source);
/* Where the source begins: what lies before it never comes. */
void lane_obey_start(struct lane_source *source, int64_t start);
/* All of them are forgotten here; who owns next reads them. */
void lane_obey_drop(struct lane_source *source);

/* --- lane_source.c --- */
struct lane_source *lane_source_find(struct lane_runner *runner, const struct lane_share *share);
struct lane_source *lane_source_get(struct lane_runner *runner, const struct lane_share *share);
void lane_source_read(struct lane_runner *runner, const struct lane_mail *mail);
/* An event that was read. NULL: it is nobody's, or its source is not restored yet. */
struct lane_held *lane_source_take(struct lane_runner *runner, struct received *received);
void lane_source_arrive(struct lane_runner *runner, struct lane_held *held);

/* Tells the machine how far it was read, when its events are not held up any more. */
void lane_source_reached(struct lane_runner *runner, const struct lane_source *source);
void lane_source_pause_due(struct lane_runner *runner, struct lane_source *source);
void lane_source_lose(struct lane_runner *runner, struct lane_source *source);
void lane_source_free(struct lane_source *source);

/* --- lane_retention.c --- */
/* Asks now and then while the source is paused. */
void lane_retention_due(struct lane_runner *runner, struct lane_source *source);
void lane_retention_read(struct lane_runner *runner, const struct lane_mail *mail);

/* --- lane_transact.c --- */
/* The event is done, and what it caused goes into a transaction. */
void lane_transact_add(struct lane_runner *runner, struct lane_held *held);
/* LANE_COMMIT: into the next transaction, with the events that it tells. */
void lane_transact_commit(struct lane_runner *runner, struct lane_source *source,
                          const struct lane_effect *effect);
/* Asks for commits, if it is time. Before the machine is settled. Returns when to call again at the
 * latest, monotonic. */
int64_t lane_transact_due(struct lane_runner *runner);
/* Sends what is to be sent. */
void lane_transact_send(struct lane_runner *runner);
/* Returns those whose fate is known by that, with what they say, for lane_result. */
struct lane_held *lane_transact_answered(struct lane_runner *runner,
                                         struct lane_transaction *transaction);
/* The source is held no more: what is not sent is not. */
void lane_transact_drop(struct lane_runner *runner, const struct lane_source *source);
/* Nobody wants what the event caused. */
void lane_transact_discard(struct lane_runner *runner, struct lane_held *held);

/* --- lane_carry.c --- */
/* Does what is due and carries out all effects. */
void lane_carry_out(struct lane_runner *runner);
/* What came by mail; then lane_carry_out. */
void lane_read_mail(struct lane_runner *runner);
/* What the handler said of one event. */
void lane_take_result(struct lane_runner *runner, struct lane_held *held);

/* --- lane_owner.c --- */
/* Loses all, if it is to begin anew. */
void lane_begin_anew_due(struct lane_runner *runner);
/* Nothing of the sources is started any more; waits until each is quiet or time is over, and
 * lets them go. */
void lane_let_sources_go(struct lane_runner *runner, struct lane_source *const *sources,
                         size_t count, int64_t most_ms);

/* --- lane_lead.c: turns, and a worker that takes them and handles what it reads --- */
void lane_lead_init(struct lane_lead *lead);
void lane_lead_deinit(struct lane_lead *lead);
/* A turn; false: somebody else reads by now, and nothing of the runner may be touched. */
CHECKED bool lane_lead_turn(struct lane_runner *runner, int timeout_ms);
/* Events come densely and handlers are short. On the poll thread, between turns. */
bool lane_lead_is_due(struct lane_runner *runner);
/* Has a worker take the turns until there is a reason to end that, and looks after it. The same. */
void lane_lead_lend(struct lane_runner *runner);

#endif
