#ifndef TIDINGS_CLIENT_RUNNER_LANE_BUS_H
#define TIDINGS_CLIENT_RUNNER_LANE_BUS_H

#include "client/lane/lane_book.h"
#include "client/reader/reader.h"

/*
 * Between the runner of key lanes (lane_runner.h) and the bus: what the runner asks for, and how it
 * is answered. lane_bus_open makes the real one; tests play one.
 */

struct lane_runner;
struct lane_source;

/* A source partition, as it is held: under another epoch it is another one. */
struct lane_share {
    const char *topic; /* borrowed */
    int32_t partition;
    int64_t epoch;
};

/* What a handled event wants to have published. Owned by whoever handles (lane_runner_settings). */
struct lane_publication {
    struct lane_publication *next;
    struct event event;

    /* the bus's, when it answers */
    bool is_settled; /* error says how */
    struct client_error error;
    int32_t partition;
    int64_t offset;
};

/* An event of a transaction, and what it caused. */
struct lane_caused {
    struct lane_caused *next, *prev;
    struct lane_publication *publications; /* at least one, in order */
    bool is_refused; /* the answer: the bus, or the client before it, says no to one of them */
};

/* A record for lanes.<group>. */
struct lane_transaction_record {
    int32_t partition; /* of the source */
    struct buf key, value;
};

enum lane_transacted {
    LANE_COMMITTED,      /* all of it counts */
    LANE_ABORTED,        /* nothing of it does: it may be tried again */
    LANE_REFUSED_EVENTS, /* nothing of it does, and is_refused tells why; if it says so of none, the
                            bus refused several together, and one of them is to blame */
    LANE_UNKNOWN /* all of it does, or nothing: what the group has committed tells, once it is read
                    with what is pending settled */
};

/* What counts together or not at all: offsets of sources with their texts, records, and what events
 * caused. The bus borrows it until it answers. */
struct lane_transaction {
    struct topic_partitions offsets;
    VEC(int64_t) epochs;               /* of each */
    VEC(struct lane_source *) sources; /* of each; the runner's */
    VEC(struct lane_transaction_record) records;
    struct lane_caused *events;
    struct buf member;              /* the bus's: the membership */
    struct topic_partitions stored; /* the bus's: of which something was committed before */

    enum lane_transacted outcome; /* the answer */
    struct client_error error;    /* why, if not LANE_COMMITTED */
};

/* Its offset at this index is not committed with it, and not answered. */
void lane_transaction_leave_out(struct lane_transaction *transaction, size_t index);

/* All are called on the poll thread, but wake. None waits for the bus, but take and commit. */
struct lane_bus {
    void *context;

    /* As reader_take. Inside of it come lane_bus_assigned, _revoked, _committed and _gone. */
    enum client_status (*take)(void *context, int timeout_ms, struct received **received,
                               struct client_error *error);

    /* Frees what was taken (received_free). */
    void (*release)(void *context, struct received *received);

    /* Commits this soon (reader_mark). Answer: lane_bus_committed, once for the last mark. False:
     * it is not held any more. */
    bool (*mark)(void *context, const struct lane_share *share, int64_t offset,
                 const char *metadata);
    /* Commits what is marked now, and answers inside. */
    void (*commit)(void *context);

    /* False: it could not be done, and is to be asked for again. */
    bool (*pause)(void *context, const struct lane_share *share, bool pauses);

    /*
     * Reads the share's place in lanes.<group>, from its start on and without end: a MAIL_RECORD
     * for each record about the share, in their order, and one MAIL_END when what was there when
     * it was asked for is read. Makes the topics of the group first, if need be.
     */
    void (*watch)(void *context, const struct lane_share *share);
    void (*unwatch)(void *context, const struct lane_share *share);

    /* Reads the record at this position of the share's place. Answer: MAIL_LOADED. */
    void (*load)(void *context, const struct lane_share *share, int64_t position, void *token);

    /* Reads a record of dlq.<group>. Answer: MAIL_LETTER. */
    void (*load_letter)(void *context, const struct lane_share *share, struct lane_letter letter,
                        void *token);

    /* Asks where the share's source begins by now. Answer: MAIL_START, or none when it cannot be
     * told. NULL: nobody knows. */
    void (*bounds)(void *context, const struct lane_share *share);
    /* Where the source ended when last heard of; -1: it was not. NULL: nobody knows. */
    int64_t (*end)(void *context, const struct lane_share *share);

    /*
     * Appends a record to the share's place. CLIENT_OK: MAIL_APPENDED follows, else nothing. Those
     * of one place reach the log in the order of these calls, and when one does not, none behind it
     * does that was asked for before it was answered. CLIENT_FULL: later.
     */
    enum client_status (*append)(void *context, const struct lane_share *share, struct slice key,
                                 struct slice value, void *token, struct client_error *error);

    /* Publishes a dead letter to dlq.<group>. CLIENT_OK: MAIL_BURIED follows, else nothing. */
    enum client_status (*bury)(void *context, const struct event *letter, void *token,
                               struct client_error *error);

    /*
     * Commits it all, as the member of the group that holds these sources now: the bus refuses it
     * when the group has gone on without that. Answer: MAIL_TRANSACTED. One at a time. NULL: no
     * transactions; else all commits are in these, and mark and commit are not called.
     */
    void (*transact)(void *context, struct lane_transaction *transaction);
    /* After LANE_UNKNOWN: lane_bus_revoked as lost comes inside for all that is held, and each is
     * assigned anew when what the group has is known. */
    void (*begin_anew)(void *context);

    /* take returns soon. Any thread. */
    void (*wake)(void *context);
};

/* --- what comes back, inside of take and commit: see reader_callbacks --- */

/* It is this member's from now on; reading begins at `committed` (>= 0), beside which the group has
 * `metadata` (NULL: none). is_new_topic: the topic was deleted and made again since this member had
 * it, and nothing that is remembered of it counts. */
void lane_bus_assigned(struct lane_runner *runner, const struct lane_share *share,
                       int64_t committed, const char *metadata, bool is_new_topic);
/* What is held may have been another one's meanwhile: it is begun anew soon (begin_anew). */
void lane_bus_replaced(struct lane_runner *runner);
/* All that one rebalance takes away. What is marked when it returns is committed unless is_lost. */
void lane_bus_revoked(struct lane_runner *runner, const struct lane_share *shares, size_t count,
                      bool is_lost);
/* What was marked last: the group has it, or refused it and gets it again unless marked anew. */
void lane_bus_committed(struct lane_runner *runner, const struct lane_share *share, bool is_stored);

/* The source ends at `offset` for now, and what comes before it was taken. */
void lane_bus_reached(struct lane_runner *runner, const struct lane_share *share, int64_t offset);
/* The group has told this member what is its own, perhaps nothing; or it is out of the group. */
void lane_bus_joined(struct lane_runner *runner, bool has_joined);

/* What an event costs in memory: bytes of a place. Any thread. */
size_t lane_event_cost(const struct event *event);

/* --- what comes back from any thread --- */

enum lane_mail_kind {
    LANE_MAIL_RESULT, /* of a worker */
    LANE_MAIL_LATER,  /* it has returned, and the result follows */
    LANE_MAIL_RECORD,
    LANE_MAIL_END,
    LANE_MAIL_LOADED,
    LANE_MAIL_LETTER,
    LANE_MAIL_START,
    LANE_MAIL_APPENDED,
    LANE_MAIL_BURIED,
    LANE_MAIL_TRANSACTED
};

struct lane_mail {
    struct lane_mail *next;
    enum lane_mail_kind kind;
    void *token;        /* as given; RESULT, LATER: the event */
    bool is_done;       /* APPENDED, BURIED: it is durable; LOADED, LETTER: it was read */
    bool is_gone;       /* LETTER, not done: there is no such record, and never will be */
    int64_t position;   /* APPENDED, BURIED: where; START: the first offset there is */
    int64_t end;        /* START: behind the last one */
    int32_t partition;  /* BURIED */
    struct arena arena; /* of what the record borrows; freed with the mail */
    bool has_share;     /* RECORD, END, START: */
    struct lane_share share;
    struct lane_record_id id;
    bool is_erased;            /* RECORD: the record of this id */
    struct lane_record record; /* RECORD, LOADED; LETTER: its event only */
    struct lane_place place;   /* RECORD: an event set aside */
    char why[200];             /* not done */
};

/* Zeroed but for these; the mailbox takes it, or lane_mail_free. Any thread. */
struct lane_mail *lane_mail_new(enum lane_mail_kind kind, void *token);
/* Frees it with its arena. Any thread. */
void lane_mail_free(struct lane_mail *mail);

/*
 * Whether the mailbox has room for what can wait, records that are read: waits for it up to most_ms
 * (10,000 mails: so much of a long log is in memory at once). Any thread but the poll thread.
 */
bool lane_runner_has_room(struct lane_runner *runner, int most_ms);

/* Takes the mail. Any thread. */
void lane_runner_post(struct lane_runner *runner, struct lane_mail *mail);

#endif
