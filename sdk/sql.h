#ifndef TIDINGS_SDK_SQL_H
#define TIDINGS_SDK_SQL_H

#include "tidings_once.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/slice.h"

/*
 * One statement at a time on a connection of the service's own, SQLite or PostgreSQL. The library
 * is the one that the process has loaded already, since the connection comes from it: its functions
 * are looked up when they are used (sql_begin), and libtidings links neither.
 */

enum sql_status {
    SQL_OK,
    SQL_NO_TABLE, /* a table that the statement names is missing */
    SQL_FAILED    /* anything else; in PostgreSQL the transaction can only be rolled back */
};

/* A value that goes into a statement as $1, $2, ... or comes out of it. Borrowed. */
enum sql_kind { SQL_NULL, SQL_NUMBER, SQL_TEXT, SQL_BYTES };
struct sql_value {
    enum sql_kind kind;
    int64_t number;
    struct slice bytes; /* of texts and bytes; of a text that goes in with a NUL behind it */
};

static inline struct sql_value sql_number(int64_t number)
{
    return (struct sql_value){.kind = SQL_NUMBER, .number = number};
}

static inline struct sql_value sql_text(const char *text)
{
    return (struct sql_value){.kind = text ? SQL_TEXT : SQL_NULL, .bytes = slice_str(text)};
}

/* The null slice becomes NULL. */
static inline struct sql_value sql_bytes(struct slice bytes)
{
    return (struct sql_value){.kind = slice_is_null(bytes) ? SQL_NULL : SQL_BYTES, .bytes = bytes};
}

enum { SQL_VALUES_MAX = 16 };

/* One row, borrowed; as many columns as the statement names. */
typedef void sql_row_fn(void *context, const struct sql_value *columns);

/* What a statement is: `$N` stands for values[N - 1]. Numbers are 64 bits in both directions. */
struct sql_statement {
    const char *text;
    const struct sql_value *values;
    size_t value_count; /* up to SQL_VALUES_MAX */
    sql_row_fn *row;    /* NULL: it has no rows */
    void *context;
    int64_t *changed; /* rows that it inserted, changed or deleted; NULL: of no interest */
};

/* Where the two differ. */
struct sql_dialect {
    const char *name;
    const char *now_ms;        /* an expression: milliseconds since 1970 by the database's clock */
    const char *share_lock;    /* behind a SELECT: its rows stay as they are until the end */
    const char *row_lock;      /* the same, and nobody else may lock them */
    const char *skip_locked;   /* the same, passing over those that others changed */
    const char *is_settled;    /* a condition: no transaction that wrote before may still end */
    const char *oldest_writer; /* a query of one number: the process that may hold back; or NULL */
    const char *begin;         /* a transaction that will write */
    const char *schema_guard;  /* who makes tables alone until the end; NULL: nothing is needed */
    const char *table_exists;  /* a query of one number, $1 is the name; NULL: just try */
    const char *schema;        /* what makes the tables, where they are not there yet */
};

struct sql_driver;
typedef void sql_function(void);
enum { SQL_FUNCTIONS_MAX = 24 };

/* A connection that is ready for statements. On the stack; holds nothing. */
struct sql {
    const struct sql_dialect *dialect;
    const struct sql_driver *driver;
    void *connection;
    sql_function *functions[SQL_FUNCTIONS_MAX]; /* of the driver's names */
    char now[24];                               /* a test's clock; "": the database's counts */
};

/* TIDINGS_INVALID names the library that is missing or too old, or what `db` lacks. */
enum tidings_status sql_begin(struct tidings_db db, struct sql *sql, struct tidings_error *error);

/* What time it is, as an expression: milliseconds since 1970, by the database's clock; or by the
 * service's, if a test moves that (sql_set_clock). */
const char *sql_now(const struct sql *sql);
void sql_set_clock(struct sql *sql, const struct clock *clock);

/* Whether the service has a transaction open on it that can still be committed. */
bool sql_in_transaction(const struct sql *sql);

enum sql_status sql_run(const struct sql *sql, const struct sql_statement *statement,
                        struct tidings_error *error);

/* Statements without values and rows, with ';' between. */
enum sql_status sql_do(const struct sql *sql, const char *text, struct tidings_error *error);

/* The connection works, after another try to connect where it was broken. Outside of transactions.
 */
bool sql_revive(const struct sql *sql, struct tidings_error *error);

/* Whether this connection is known to have the tables (PostgreSQL only, where to try costs the
 * transaction); and to note that it is, or is not. */
bool sql_has_schema(const struct sql *sql);
void sql_note_schema(const struct sql *sql, bool there);

/* As printable ASCII, whatever it was and whatever the database can keep: other bytes and '%' as
 * %XX; what is too long for the key of an index ends with a hash of all of it. Two stay two. */
const char *sql_plain(const char *name, struct arena *arena);

/* Words for people as printable ASCII, with '?' for the rest. */
const char *sql_words(const char *words, struct arena *arena);

/* Makes the tables where they are missing, in the transaction that is open. */
enum sql_status sql_make_tables(const struct sql *sql, struct tidings_error *error);

/* --- the two, for sql.c --- */

struct sql_driver {
    struct sql_dialect dialect;
    const char *const *names; /* of the functions, NULL-terminated */
    const char *const *files; /* of the library, NULL-terminated */
    const char *library;      /* in words */
    bool (*in_transaction)(const struct sql *sql);
    enum sql_status (*run)(const struct sql *sql, const struct sql_statement *statement,
                           struct tidings_error *error);
    enum sql_status (*script)(const struct sql *sql, const char *text, struct tidings_error *error);
    bool (*revive)(const struct sql *sql, struct tidings_error *error);
    bool (*has_schema)(const struct sql *sql);
    void (*note_schema)(const struct sql *sql, bool there);
    const char *(*too_old)(const struct sql *sql); /* what is needed; NULL: it is new enough */
};

/* What sql_begin does, for one of them. */
enum tidings_status sql_load(const struct sql_driver *driver, void *connection, struct sql *sql,
                             struct tidings_error *error);

/* schema.c: all tables, with what the two call differently. */
extern const char sql_sqlite_schema[], sql_postgres_schema[];

extern const struct sql_driver sql_sqlite_driver, sql_postgres_driver;

#endif
