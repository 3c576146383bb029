#ifndef TIDINGS_SDK_OUTBOX_H
#define TIDINGS_SDK_OUTBOX_H

#include "sql.h"

#include "client/connection/connection.h"
#include "client/event/event.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * The outbox: rows that a service writes in its own transactions are published in order, each once.
 * Bottom up: outbox_row.c (an event as a row), outbox_store.c (the tables), outbox_send.c (the
 * bus), outbox.c (the thread that owns it all).
 *
 * A round publishes a batch, and a crash between any two of its steps is mended by the next owner:
 *  1. own: the lease of the service's outbox is ours; who was not the owner before starts anew: a
 *     producer with the outbox's transactional id, which ends what an earlier one left open and
 *     keeps it from going on; then the bus is asked for the number of the last batch that it
 *     committed. A batch of rows with this number was published: they are deleted. Rows of another
 *     number were not: they are free again.
 *  2. take: the next rows get the next number, durably, before any of them is sent.
 *  3. send: all of them and this number, as an offset of the group NAME.outbox.UUID, are committed
 *     by one transaction of the bus.
 *  4. done: the rows of this number are deleted.
 * So readers of committed events see each row once. Rows are in the order of seq, which is that of
 * commits for rows whose transactions waited for one another. In PostgreSQL only rows below the
 * oldest transaction that still writes are taken (sql_dialect.is_settled).
 *
 * A row that the bus refuses is held: with its lane (topic and key), or with its topic when that is
 * what the bus refuses. It is tried alone, again and again; what stands behind it waits.
 */

enum { OUTBOX_OWNER_SIZE = 37 };

/* Who publishes: this process, for one database. */
struct outbox_owner {
    const char *service;
    char name[OUTBOX_OWNER_SIZE];   /* a random id, of this start */
    char outbox[OUTBOX_OWNER_SIZE]; /* the outbox's own, from its table; "" until it is known */
    int64_t lease_ms;
    int64_t retry_ms; /* for the first time after a refusal */
    int64_t batch;    /* the last one that was taken */
};

/* A row on its way. */
struct outbox_row {
    int64_t seq;
    int64_t attempts;
    struct event event;
    /* what became of it */
    bool is_settled;
    bool is_refused;           /* it, or its topic, is what the bus refuses: hold it */
    struct client_error error; /* CLIENT_OK: kept */
};

/* A batch; its events are in the arena. */
struct outbox_batch {
    int64_t number; /* 0: there is nothing to send */
    bool is_retry;  /* one row that was refused before */
    struct outbox_row *rows;
    size_t count, capacity;
    struct arena arena;
};

/* --- outbox_row.c --- */

/* The headers of an event as bytes, and back into the event. ERR_INVALID: somebody else wrote it.
 */
void outbox_pack_headers(const struct event *event, struct buf *to);
CHECKED enum err outbox_unpack_headers(struct slice bytes, struct arena *arena,
                                       struct event *event);

/* A number of topic and key; two of the same number wait for one another needlessly. */
int64_t outbox_lane(const char *topic, struct slice key);

/* --- outbox_store.c: all but _add outside of transactions; SQL_FAILED: nothing was changed --- */

/* A row in the transaction that is open. May make the tables. */
enum sql_status outbox_add(const struct sql *sql, const char *service, const struct event *event,
                           struct tidings_error *error);

/* What there is to do, without writing anything. */
struct outbox_look {
    bool has_work;        /* rows to send, to send again, or of a batch whose fate is open */
    bool has_row;         /* any at all */
    bool is_foreign;      /* another process has the lease */
    int64_t failing;      /* rows that the bus refused */
    int64_t oldest_ms;    /* how long the oldest row waits; 0: there is none */
    int64_t unsettled_ms; /* how long the oldest one does that an open transaction holds back */
    int64_t holder;       /* the process of PostgreSQL that may do so; 0: not known */
};
enum sql_status outbox_look(const struct sql *sql, const struct outbox_owner *owner,
                            struct outbox_look *look, struct tidings_error *error);

/* When a refused row is tried again, by the database's clock; INT64_MAX: there is none. */
enum sql_status outbox_due(const struct sql *sql, const struct outbox_owner *owner, int64_t *due_ms,
                           struct tidings_error *error);

/* Takes or renews the lease. *is_mine: it was free or ours; *is_new: it was not ours before. */
enum sql_status outbox_own(const struct sql *sql, struct outbox_owner *owner, bool *is_mine,
                           bool *is_new, struct tidings_error *error);

/* Renews it while a batch is on its way. *is_mine as above. */
enum sql_status outbox_renew(const struct sql *sql, const struct outbox_owner *owner, bool *is_mine,
                             struct tidings_error *error);

/* Others may begin at once. */
enum sql_status outbox_disown(const struct sql *sql, const struct outbox_owner *owner,
                              struct tidings_error *error);

/* Rows of the batch that the bus has committed last are deleted, those of others are free. */
enum sql_status outbox_settle(const struct sql *sql, struct outbox_owner *owner, int64_t committed,
                              struct tidings_error *error);

/* The next batch, of at most so many rows and about so many bytes; nothing of it when the lease
 * is not ours any more. */
enum sql_status outbox_take(const struct sql *sql, struct outbox_owner *owner, int64_t rows_max,
                            int64_t bytes_max, struct outbox_batch *batch,
                            struct tidings_error *error);

/* It is published. */
enum sql_status outbox_done(const struct sql *sql, const struct outbox_owner *owner,
                            const struct outbox_batch *batch, struct tidings_error *error);

/* It is not: rows that the bus refused are held, the others free. */
enum sql_status outbox_undo(const struct sql *sql, const struct outbox_owner *owner,
                            const struct outbox_batch *batch, struct tidings_error *error);

/* --- outbox_send.c --- */

/* Steps of a round, for who plays a crash between two of them. */
enum outbox_step {
    OUTBOX_OWNED,
    OUTBOX_STARTED,
    OUTBOX_SETTLED,
    OUTBOX_TAKEN,
    OUTBOX_SENT,
    OUTBOX_MARKED,
    OUTBOX_COMMITTED,
    OUTBOX_DONE,
    OUTBOX_STEPS
};

struct outbox_sender {
    struct tidings *service;
    struct publisher *publisher; /* NULL: none has started */
    int step_ms;                 /* how often go_on is called while it waits; false ends that */
    bool (*go_on)(void *context);
    void (*at)(void *context, enum outbox_step step); /* NULL: nobody plays a crash */
    void *context;
};

/* A producer that is the only one of this outbox. */
enum client_status outbox_sender_start(struct outbox_sender *sender,
                                       const struct outbox_owner *owner,
                                       struct client_error *error);
void outbox_sender_close(struct outbox_sender *sender);

/* The number of the batch that was committed last; 0: none. */
enum client_status outbox_sender_committed(struct outbox_sender *sender,
                                           const struct outbox_owner *owner, int64_t *number,
                                           struct client_error *error);

/* Publishes it, all or nothing. CLIENT_REFUSED: nothing, as the bus refuses what rows say; when
 * none does, it is one among several that went together. Any other failure: it is open what became
 * of it, and the sender is closed. */
enum client_status outbox_sender_send(struct outbox_sender *sender,
                                      const struct outbox_owner *owner, struct outbox_batch *batch,
                                      struct client_error *error);

/* --- outbox.c --- */

/* On a bus that a test plays an outbox has no thread: it publishes all there is to publish now. The
 * service's next outbox. And the clock's time when one of them has more to do; INT64_MAX: never. */
struct tidings_outbox *outbox_play(struct tidings_outbox *outbox);
int64_t outboxes_due_ms(const struct tidings *service);

/* tidings_outbox_start, which calls `at` on its thread at each step (NULL: never), for tests.
 * options is never NULL here. */
enum tidings_status outbox_start(struct tidings *service, struct tidings_db db,
                                 const struct tidings_outbox_options *options,
                                 void (*at)(void *context, enum outbox_step step), void *at_context,
                                 struct tidings_outbox **outbox, struct tidings_error *error);

#endif
