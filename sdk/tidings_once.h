#ifndef TIDINGS_ONCE_H
#define TIDINGS_ONCE_H

#include <tidings.h>

/*
 * Exactly once, for effects in a database of the service's own: SQLite (3.35 or later) or
 * PostgreSQL (13 or later).
 *
 *     static enum tidings_verdict reserve(struct tidings *shop, const struct tidings_event *placed,
 *                                         void *context)
 *     {
 *         sqlite3 *stock = context;
 *         struct tidings_error error;
 *         sqlite3_exec(stock, "begin immediate", NULL, NULL, NULL);
 *         switch (tidings_once(shop, tidings_sqlite(stock), placed, &error)) {
 *         case TIDINGS_ONCE_FIRST:
 *             if (take_from(stock, placed) &&
 *                 sqlite3_exec(stock, "commit", NULL, NULL, NULL) == SQLITE_OK) {
 *                 return TIDINGS_DONE;
 *             }
 *             break;
 *         case TIDINGS_ONCE_BEFORE:
 *             sqlite3_exec(stock, "rollback", NULL, NULL, NULL);
 *             return TIDINGS_DONE;
 *         default:
 *             fprintf(stderr, "shop: %s\n", error.text);
 *         }
 *         sqlite3_exec(stock, "rollback", NULL, NULL, NULL);
 *         return TIDINGS_RETRY;
 *     }
 *
 * The database is handed over as the service has it open. Its library is the one that the process
 * has loaded (libsqlite3.so.0, libpq.so.5); libtidings itself links neither. A connection is used
 * by one thread at a time, as ever.
 *
 * The tables, tidings_inbox, tidings_fence, tidings_outbox and tidings_outbox_owner, are made when
 * they are first needed, in the transaction that is open then; tidings_once_schema has the SQL for
 * those who make them themselves. Rows carry the name of their service, so any number of services
 * may use one database; where tables of one name are kept apart (search_path), so are these.
 */

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3; /* sqlite3.h: sqlite3 * */
struct pg_conn; /* libpq-fe.h: PGconn * */

enum tidings_db_kind { TIDINGS_SQLITE = 1, TIDINGS_POSTGRES };

/* A connection of the service's own, made by the two functions below. Zero stands for the default
 * in brackets. */
struct tidings_db {
    enum tidings_db_kind kind;
    int keep_days; /* how long the inbox knows what was handled [8] */
    void *connection;
    void *reserved[2]; /* NULL */
};

/* For an open connection, as it comes from its library. */
static inline struct tidings_db tidings_sqlite(struct sqlite3 *connection)
{
    struct tidings_db db = {TIDINGS_SQLITE, 0, connection, {NULL, NULL}};
    return db;
}
static inline struct tidings_db tidings_postgres(struct pg_conn *connection)
{
    struct tidings_db db = {TIDINGS_POSTGRES, 0, connection, {NULL, NULL}};
    return db;
}

/* The SQL that makes the tables where they are missing. Static. NULL: there is no such kind. */
TIDINGS_API const char *tidings_once_schema(enum tidings_db_kind kind);

enum tidings_once_answer {
    TIDINGS_ONCE_FIRST,  /* do the work in this transaction, commit, return TIDINGS_DONE */
    TIDINGS_ONCE_BEFORE, /* it is done: roll back, return TIDINGS_DONE */
    TIDINGS_ONCE_LATE,  /* the partition has another owner: roll back, what you return is dropped */
    TIDINGS_ONCE_FAILED /* the database failed (error says how): roll back, TIDINGS_RETRY; or, with
                           TIDINGS_CONFLICT in error.status, do it again at once, some times */
};

/*
 * The inbox: whether the work for this event is to be done now. Called by a handler in a
 * transaction that it has begun on db; the answer becomes true when that is committed. So what a
 * handler writes there is written once for each event of its service, whatever is repeated after
 * crashes, rebalances or a commit whose answer was lost.
 *
 * - An event is known by service, source and id; one without id by its place and time. Events that
 *   have the same source and id are one event, also in two topics. A redrive of a dead letter is
 *   let through once more, each redrive once.
 * - A process that has lost the partition, and does not know, is told TIDINGS_ONCE_LATE as soon as
 *   the new owner has called. In turn the new owner's first call waits for open transactions of the
 *   old one that were told to go on; a hung one is ended by the database (SQLite: by the end of its
 *   process; PostgreSQL: idle_in_transaction_session_timeout, tcp_keepalives_idle).
 * - What was handled is known for db.keep_days. Set it above the time for which the topics keep
 *   their events: an event that comes again later than that (a group set back to the start of a
 *   topic) is taken for a new one. Old rows of this service go bit by bit, with later calls.
 * - In SQLite begin with "begin immediate", or a transaction that read before it writes may fail
 *   beside others. In PostgreSQL any isolation level will do; above READ COMMITTED some
 *   calls fail that would have waited.
 *
 * Any thread that may use the connection.
 */
TIDINGS_API enum tidings_once_answer tidings_once(struct tidings *service, struct tidings_db db,
                                                  const struct tidings_event *event,
                                                  struct tidings_error *error);

struct tidings_outbox;
struct tidings_outbox_options;
struct tidings_outbox_counts;

/* As in tidings.h, for other languages: with the size of the struct as the caller knows it. */
TIDINGS_API enum tidings_status tidings_outbox_add_sized(struct tidings *service,
                                                         struct tidings_db db,
                                                         const struct tidings_message *message,
                                                         size_t message_size,
                                                         struct tidings_error *error);
TIDINGS_API enum tidings_status tidings_outbox_start_sized(
    struct tidings *service, struct tidings_db db, const struct tidings_outbox_options *options,
    size_t options_size, struct tidings_outbox **outbox, struct tidings_error *error);
TIDINGS_API void tidings_outbox_get_counts_sized(struct tidings_outbox *outbox,
                                                 struct tidings_outbox_counts *counts,
                                                 size_t counts_size);

/*
 * The outbox: writes an event in the service's own transaction, open on db; once that is committed
 * it will be published (tidings_outbox_start), and if it is rolled back it never was. So an event
 * says what happened, always, and nothing else. The id and time are those of this call.
 * TIDINGS_INVALID: the message lacks something, or no transaction is open. TIDINGS_FATAL: the
 * database failed; roll back. TIDINGS_CONFLICT: the same, and it may be done again at once. A cause
 * gives its ids.
 *
 * Order: events of one key are published in the order of these calls, as far as the transactions
 * wait for one another: call it behind the change to the row that the key stands for. In PostgreSQL
 * an event waits until no transaction that wrote earlier is still open, in any database of the
 * server: so none is overtaken by one that came behind it, and a forgotten transaction holds all
 * up, which is told.
 *
 * Any thread that may use the connection.
 */
static inline enum tidings_status tidings_outbox_add(struct tidings *service, struct tidings_db db,
                                                     const struct tidings_message *message,
                                                     struct tidings_error *error)
{
    return tidings_outbox_add_sized(service, db, message, sizeof *message, error);
}

/* Zero stands for the default in brackets. */
struct tidings_outbox_options {
    int poll_ms;  /* how often to look for new rows [100]; tidings_outbox_wake does so at once */
    int lease_ms; /* how long after the death of a process another one begins [5000] */
    int batch_events; /* published together at most, up to 4 MiB [500] */
    int retry_ms; /* a refused row is tried again after this [1000], then after twice that, ... */
};

/* What it has come to, as of its last look. */
struct tidings_outbox_counts {
    uint64_t published; /* events, since the start here */
    int64_t failing;    /* rows that the bus refuses; the column failure says why */
    int64_t oldest_ms;  /* how long the oldest row waits; 0: there is none */
    bool is_publishing; /* this process does it; false: another one, or there was nothing yet */
    bool is_down;       /* the bus or the database does not answer */
};

/*
 * Publishes what the service adds to its outbox in this database, on a thread of its own, in order,
 * and deletes it. db is a connection for that thread alone until tidings_outbox_stop (SQLite: in
 * its busy time-out, sqlite3_busy_timeout, is how long it waits for others). Any number of
 * processes may run one outbox: one of them publishes, and another one goes on when it ends or
 * dies.
 *
 * - Each row is seen once by those who read committed events only (librdkafka's default; Java:
 *   isolation.level=read_committed), whatever is killed when: a batch is a transaction of the bus
 *   that also keeps the batch's number, as an offset of the group NAME.outbox.ID. Others may see
 *   a row again, with the same id. So may everybody if the bus has forgotten that number
 *   (offsets.retention.minutes) before a process comes back that died between commit and delete.
 * - While the bus is away rows stay where they are; that is told once, and when it is back.
 * - A row that the bus refuses (too large, not allowed, no such topic) is never dropped. It is
 * told, counted, and tried again, after growing waits up to some minutes. It holds back its key,
 * those without key themselves only; a topic that is refused holds back all of the topic.
 * - Memory: one batch.
 *
 * options NULL: all defaults. TIDINGS_INVALID names the option that is wrong.
 */
static inline enum tidings_status tidings_outbox_start(struct tidings *service,
                                                       struct tidings_db db,
                                                       const struct tidings_outbox_options *options,
                                                       struct tidings_outbox **outbox,
                                                       struct tidings_error *error)
{
    return tidings_outbox_start_sized(service, db, options, sizeof *options, outbox, error);
}

/* Has it look for new rows now: after a commit. Any thread. */
TIDINGS_API void tidings_outbox_wake(struct tidings_outbox *outbox);

/* Waits until no row of the service waits any more. TIDINGS_UNREACHABLE when time is over. Any
 * thread. */
TIDINGS_API enum tidings_status tidings_outbox_wait(struct tidings_outbox *outbox, int timeout_ms,
                                                    struct tidings_error *error);

/* What it has come to. Any thread. */
static inline void tidings_outbox_get_counts(struct tidings_outbox *outbox,
                                             struct tidings_outbox_counts *counts)
{
    tidings_outbox_get_counts_sized(outbox, counts, sizeof *counts);
}

/* Ends after the batch that is on its way, which has some seconds for that; what is not published
 * stays. Then the connection is the caller's again. Before tidings_free. NULL is fine. */
TIDINGS_API void tidings_outbox_stop(struct tidings_outbox *outbox);

#ifdef __cplusplus
}
#endif

#endif
