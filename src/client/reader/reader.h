#ifndef TIDINGS_CLIENT_READER_READER_H
#define TIDINGS_CLIENT_READER_READER_H

#include "base/buf.h"
#include "client/admin/position.h"
#include "client/connection/connection.h"
#include "client/connection/partitions.h"
#include "client/event/event.h"

/*
 * Reading: partitions that are named (direct), or those that a consumer group gives to this member.
 * Only committed transactions are seen. Any number of events may be in hand at once; each is a
 * value of its own, and nothing here knows which ones are being worked on.
 *
 * Progress is one watermark a partition: reader_mark says that everything below is done, and the
 * reader commits it, with a text of the caller's beside it (commit metadata), every
 * commit_interval_ms, before a partition is taken away, and when it is closed. What was marked and
 * not committed comes again after a crash.
 *
 * Ownership: each time that a partition is given to this member it gets a new epoch. An event
 * carries the epoch it was read under; a mark of an older epoch is dropped, so that a result that
 * comes late cannot speak for a partition that another member has by now.
 *
 * Positions, as at-least-once demands:
 * - A group goes on where it committed. `from` counts at its first start only, when it has no
 *   commit for any partition of its topics; where it begins is committed at once, for all of them,
 *   so that a crash does not move it. A partition that has no commit later (it was added, or its
 *   topic made) is read from its start.
 * - A position that its partition no longer has, because events expired, were deleted, or because
 *   the topic was deleted and made again, goes on at the start of what there is, never at the end,
 *   and `gone` tells which offsets are missing. A topic that was made anew while a group reads it
 * is recognised by the commit that the bus forgot with the old one, at the next commit; a direct
 *   reader recognises it only when the new one is shorter.
 *
 * A static member that is fenced because it was away longer than its session, and not because
 * another process has its instance id, loses its partitions (revoked, is_lost), tells it by a
 * notice (CLIENT_TIMED_OUT) and joins again; events of before may be in hand meanwhile.
 *
 * A static member of a cooperative group looks, after its first partitions, whether some of its
 * topics are nobody's though the group stands, as a bus may leave those that were to move from it
 * when it died. If they stay so for 10 s it tells it by a notice (CLIENT_TIMED_OUT), leaves and
 * joins again, once: its partitions are revoked (not lost) and given anew.
 *
 * One thread takes, and it alone calls everything here but received_free and reader_wake. Callbacks
 * run on it, inside of reader_take and reader_close.
 */

/* One event in hand. The event borrows from it; header values are followed by a NUL. */
struct received {
    struct event event;
    int64_t epoch;                /* of the ownership that it was read under; above 0 */
    struct received *next, *prev; /* for the holder's own lists (utlist.h) */
};

/* NULL is fine. Any thread, but before reader_close. */
void received_free(struct received *received);

/* The same, on the thread that takes, which costs less. */
void received_free_here(struct received *received);

/* Events that are gone from a partition though this group or reader had not seen them. */
struct reader_gap {
    const char *topic;
    int32_t partition;
    int64_t from;      /* the first missing offset: where reading stood */
    int64_t to;        /* reading goes on here; below `from` when the partition was made anew */
    bool is_new_topic; /* `from` lies behind the partition's end, or the bus forgot its commit: the
                        * topic was deleted and made again; the partition has a new epoch */
};

/* What the bus said of a commit: of the last reader_mark of its partition. */
struct reader_commit_answer {
    const char *topic;
    int32_t partition;
    int64_t epoch;
    bool is_stored; /* else it is sent again, or what is marked by then */
};

/* All may be NULL. `context` is that of the settings. */
struct reader_callbacks {
    /* These partitions are this member's now; reading begins at their offsets (below 0: not known
     * yet), beside which the group has their metadata. */
    void (*assigned)(void *context, const struct topic_partitions *partitions);

    /*
     * These are taken away. is_lost: others may have them already, and nothing is committed. Else
     * what is marked when this returns is committed before they go: wait here, a few seconds at
     * most, for what is in hand.
     */
    void (*revoked)(void *context, const struct topic_partitions *partitions, bool is_lost);

    /* A commit is about to be sent: the last moment for marks. */
    void (*before_commit)(void *context);

    /* A commit was answered, and nothing else is marked of the partition since it was sent. Inside
     * of reader_commit, too. */
    void (*committed)(void *context, const struct reader_commit_answer *answer);

    void (*gone)(void *context, const struct reader_gap *gap);

    /* Everything that there is of the partition was given out; its end is at offset. */
    void (*ended)(void *context, const char *topic, int32_t partition, int64_t offset);
};

/* Zero or NULL stands for the default in brackets. */
struct reader_settings {
    struct connection_settings connection;

    /* direct reading: partitions and the offsets to begin at (no negative ones). Of a group: where
     * these begin at its first start, instead of at a `from` that is not POSITION_START */
    const struct topic_partitions *partitions;

    /* or as a member of a group */
    const char *group;
    const char *instance; /* static membership, KIP-345 [none] */
    const char *const *topics;
    size_t topic_count;
    struct position from;   /* [POSITION_START] */
    bool is_cooperative;    /* cooperative-sticky; else range and round-robin, eager [false] */
    int session_timeout_ms; /* a member that is silent for so long is out [10000] */
    int poll_timeout_ms;    /* and one that did not take for so long [300000] */
    int commit_interval_ms; /* [1000] */
    bool commits_elsewhere; /* nothing is marked here: transactions commit (reader_membership) */

    int prefetch_events; /* in memory, all partitions, at least one batch each [100000] */
    int prefetch_kbytes; /* the same in KiB [65536] */
    int fetch_wait_ms;   /* how long the bus may wait for events [500] */

    struct reader_callbacks callbacks;
    void *context;
};

struct reader;

/* Tries the settings without opening anything. CLIENT_INVALID names the one that is wrong. */
CHECKED enum client_status reader_check(const struct reader_settings *settings,
                                        struct client_error *error);

/*
 * Makes a reader and begins to read or to join; the bus need not be up (connection_reach before).
 * CLIENT_INVALID as above. Free with reader_close.
 */
CHECKED enum client_status reader_open(const struct reader_settings *settings,
                                       struct reader **reader, struct client_error *error);

/*
 * Commits what is marked, leaves the group and frees. All that was received is freed before. Waits
 * for the bus no longer than the connection's timeout_ms in all. The error says what could not be
 * committed; the reader is gone in any case. NULL is fine.
 */
enum client_status reader_close(struct reader *reader, struct client_error *error);

/*
 * A direct reader reads these as well, from their offsets (no negative ones); what it reads already
 * is left as it is. After a failure those in front of the one that failed are read.
 */
CHECKED enum client_status reader_add(struct reader *reader,
                                      const struct topic_partitions *partitions,
                                      struct client_error *error);

/*
 * A member of a group wants these topics from now on, instead of those of before: the group is
 * balanced anew. A topic that was made after reader_open is read from its start.
 */
CHECKED enum client_status reader_subscribe(struct reader *reader, const char *const *topics,
                                            size_t count, struct client_error *error);

/* To ask and administer by, and for connection_reach. Lives as long as the reader. */
struct connection *reader_connection(struct reader *reader);

/*
 * The next event, or NULL in *received when none came within timeout_ms. Events of one partition
 * come in order; those of partitions that are paused or were taken away do not come. Has to be
 * called at least every poll_timeout_ms, also when all is paused, else the group takes this member
 * for dead; commits are sent from here. Another status than CLIENT_OK tells of something that the
 * reader does not mend by itself; it may be called again, but after CLIENT_FATAL.
 */
CHECKED enum client_status reader_take(struct reader *reader, int timeout_ms,
                                       struct received **received, struct client_error *error);

/* reader_take returns soon, now or when it is called next, without an event perhaps. Any thread,
 * while the reader is open. */
void reader_wake(struct reader *reader);

/*
 * Everything of the partition below `offset` is done. metadata (NULL: none) is stored beside it; it
 * is copied. False when the partition is no longer held under this epoch: nothing was noted.
 */
bool reader_mark(struct reader *reader, const char *topic, int32_t partition, int64_t epoch,
                 int64_t offset, const char *metadata);

/* The epoch under which the partition is held; 0: it is not. */
int64_t reader_epoch(struct reader *reader, const char *topic, int32_t partition);

/* No further event of the partition is given out until it is resumed; what was read ahead stays.
 * CLIENT_NOT_FOUND when it is not held. */
enum client_status reader_pause(struct reader *reader, const char *topic, int32_t partition,
                                struct client_error *error);
enum client_status reader_resume(struct reader *reader, const char *topic, int32_t partition,
                                 struct client_error *error);

/* Goes on at this offset, after up to 5 s. The epoch stays. CLIENT_NOT_FOUND when it is not held;
 * after another failure reading may stand still: try again. */
enum client_status reader_seek(struct reader *reader, const char *topic, int32_t partition,
                               int64_t offset, struct client_error *error);

/*
 * Where a held partition begins for which the group has no commit, as at its start (see Positions),
 * into *offset: reader_seek follows. For those who were not told when they were given it: the bus
 * was away just then. CLIENT_NOT_FOUND when it is not held, or is being begun anyway; after another
 * failure try again.
 */
CHECKED enum client_status reader_begin(struct reader *reader, const char *topic, int32_t partition,
                                        int64_t *offset, struct client_error *error);

/* The partition's high watermark, as the bus said with the events that were fetched last: nothing
 * is asked. -1: not known. */
int64_t reader_known_end(const struct reader *reader, const char *topic, int32_t partition);

/*
 * --- for who commits in transactions of a publisher (commits_elsewhere) ---
 */

/*
 * Appends what publisher_txn_offsets_as wants of the membership under which partitions are held
 * now; nothing when there is none. On the thread that takes, and not for later: a member that was
 * out of the group and is back must not commit for what it held before.
 */
void reader_membership(struct reader *reader, struct buf *member);

/* Partitions were given to it as another member than before, which may have been out of the group
 * between: what is held since before has to be begun anew. Told once, inside of callbacks.assigned.
 */
bool reader_was_replaced(struct reader *reader);

/* The offsets that the group has for these, pending ones settled, with their metadata; below 0:
 * none. */
CHECKED enum client_status reader_committed(struct reader *reader,
                                            struct topic_partitions *partitions,
                                            struct client_error *error);

/* The bus has this commit; it is known to have one. */
void reader_note_stored(struct reader *reader, const char *topic, int32_t partition,
                        int64_t offset);
bool reader_has_stored(struct reader *reader, const char *topic, int32_t partition);

/* It has none any more: the topic was deleted and made again. callbacks.gone follows; so long it is
 * known for that. */
void reader_note_reborn(struct reader *reader, const char *topic, int32_t partition);
bool reader_is_reborn(struct reader *reader, const char *topic, int32_t partition);

/* Held under a new epoch from now on: reader_seek follows. */
void reader_renew(struct reader *reader, const char *topic, int32_t partition);

/* Commits what is marked. wait: returns with the answer; else a notice of the connection tells of a
 * refusal, and the next commit sends it again. CLIENT_OK when there was nothing to commit. */
enum client_status reader_commit(struct reader *reader, bool wait, struct client_error *error);

#endif
