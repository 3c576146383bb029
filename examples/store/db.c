#include "db.h"

#include "store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_LIBPQ
#include <libpq-fe.h>
#else
typedef void PGconn; /* never made: db_open says that it was built without */
typedef void PGresult;
#endif

enum { VALUES_MAX = 16, POSTGRES_WRITERS = 8, BUSY_MS = 1000 };

struct db {
    const char *tables;
    bool has_tables;
    bool has_failed, was_beaten;
    char why[300];

    sqlite3 *sqlite;         /* either this */
    sqlite3_stmt *statement; /* whose rows are gone through */
    bool has_next;           /* its next row was fetched, nobody has seen it yet */
    bool is_done;            /* there is none behind that */

    PGconn *postgres; /* or this */
    PGresult *result;
    int row; /* of the result */
};

static bool is_postgres(const char *where)
{
    return strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0;
}

int db_writers(const char *where)
{
    return is_postgres(where) ? POSTGRES_WRITERS : 1;
}

struct tidings_db db_tidings(const struct db *db)
{
    return db->sqlite != NULL ? tidings_sqlite(db->sqlite)
                              : tidings_postgres((struct pg_conn *)db->postgres);
}

bool db_was_beaten(const struct db *db)
{
    return db->was_beaten;
}

bool db_ok(const struct db *db)
{
    return !db->has_failed;
}

const char *db_why(const struct db *db)
{
    return db->why;
}

/* Notes the first line of a message. */
static bool db_fail(struct db *db, const char *why)
{
    db->has_failed = true;
    snprintf(db->why, sizeof db->why, "%.*s", (int)strcspn(why, "\n"), why);
    return false;
}

/* --- PostgreSQL --- */

#ifdef HAVE_LIBPQ
static bool postgres_taken(struct db *db, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    db->result = result;
    db->row = -1;
    /* serialization_failure, deadlock_detected */
    db->was_beaten |= state != NULL && (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0);
    return (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) ||
           db_fail(db, PQerrorMessage(db->postgres));
}

static bool postgres_run(struct db *db, const char *sql, const struct db_value *values,
                         size_t count)
{
    char numbers[VALUES_MAX][24];
    const char *texts[VALUES_MAX];
    for (size_t i = 0; i < count; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%lld", (long long)values[i].number);
        texts[i] = values[i].is_number ? numbers[i] : values[i].text;
    }
    return postgres_taken(db,
                          PQexecParams(db->postgres, sql, (int)count, NULL, texts, NULL, NULL, 0));
}

static bool postgres_script(struct db *db, const char *sql)
{
    return postgres_taken(db, PQexec(db->postgres, sql));
}

/* Nothing is known about what is said in passing ("table exists already"). */
static void on_notice(void *context, const char *message)
{
}

static bool postgres_open(struct db *db, const char *where)
{
    db->postgres = PQconnectdb(where);
    PQsetNoticeProcessor(db->postgres, on_notice, NULL);
    return true;
}

/* A connection that broke is made again. */
static bool postgres_connected(struct db *db)
{
    if (PQstatus(db->postgres) != CONNECTION_OK) {
        PQreset(db->postgres);
    }
    return PQstatus(db->postgres) == CONNECTION_OK || db_fail(db, PQerrorMessage(db->postgres));
}
#else
static bool postgres_run(struct db *db, const char *sql, const struct db_value *values,
                         size_t count)
{
    return false;
}

static bool postgres_script(struct db *db, const char *sql)
{
    return false;
}

static bool postgres_open(struct db *db, const char *where)
{
    return db_fail(db, "this program was built without libpq (Debian: libpq-dev)");
}

static bool postgres_connected(struct db *db)
{
    return false;
}
#endif

static void postgres_forget(struct db *db)
{
#ifdef HAVE_LIBPQ
    PQclear(db->result);
    db->result = NULL;
#endif
}

static void postgres_close(struct db *db)
{
#ifdef HAVE_LIBPQ
    PQfinish(db->postgres);
#endif
}

/* --- SQLite --- */

static bool sqlite_script(struct db *db, const char *sql)
{
    return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ||
           db_fail(db, sqlite3_errmsg(db->sqlite));
}

static bool sqlite_open(struct db *db, const char *where)
{
    if (sqlite3_open(where, &db->sqlite) != SQLITE_OK) {
        return db_fail(db, sqlite3_errmsg(db->sqlite));
    }
    sqlite3_busy_timeout(db->sqlite, BUSY_MS); /* another instance may be writing */
    return sqlite_script(db, "pragma journal_mode = wal; pragma synchronous = full");
}

static bool sqlite_step(struct db *db)
{
    int status = sqlite3_step(db->statement);
    db->has_next = status == SQLITE_ROW;
    db->is_done = !db->has_next;
    return status == SQLITE_ROW || status == SQLITE_DONE || db_fail(db, sqlite3_errmsg(db->sqlite));
}

static bool sqlite_run(struct db *db, const char *sql, const struct db_value *values, size_t count)
{
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &db->statement, NULL) != SQLITE_OK) {
        return db_fail(db, sqlite3_errmsg(db->sqlite));
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i].is_number) {
            sqlite3_bind_int64(db->statement, (int)i + 1, values[i].number);
        } else {
            sqlite3_bind_text(db->statement, (int)i + 1, values[i].text, -1, SQLITE_TRANSIENT);
        }
    }
    return sqlite_step(db);
}

/* --- both --- */

/* What was asked last is not asked for any more. */
static void db_forget(struct db *db)
{
    sqlite3_finalize(db->statement);
    db->statement = NULL;
    db->has_next = false;
    db->is_done = true;
    postgres_forget(db);
}

static bool db_script(struct db *db, const char *sql)
{
    db_forget(db);
    return db->sqlite != NULL ? sqlite_script(db, sql) : postgres_script(db, sql);
}

static bool db_connected(struct db *db)
{
    if (db->sqlite == NULL && !postgres_connected(db)) {
        return false;
    }
    db->has_tables = db->has_tables || db->tables[0] == '\0' || db_script(db, db->tables);
    return db->has_tables;
}

struct db *db_open(const char *where, const char *tables)
{
    struct db *db = calloc(1, sizeof *db);
    if (db == NULL) {
        abort();
    }
    db->tables = tables;
    bool is_open =
        is_postgres(where) ? postgres_open(db, where) : sqlite_open(db, where) && db_connected(db);
    if (!is_open) {
        store_complain("%s: %s", where, db->why);
        db_close(db);
        return NULL;
    }
    return db;
}

void db_close(struct db *db)
{
    if (db != NULL) {
        db_forget(db);
        sqlite3_close(db->sqlite);
        postgres_close(db);
        free(db);
    }
}

static bool try_begin(struct db *db)
{
    db_forget(db);
    db->has_failed = db->was_beaten = false;
    /* "immediate": a transaction that reads before it writes may fail beside others */
    return db_connected(db) && db_script(db, db->sqlite != NULL ? "begin immediate" : "begin");
}

/*
 * That a connection broke since it was used last is seen only now. It is made again at once: when
 * the database is back, an event must not fail on each connection that broke while others succeed.
 */
bool db_begin(struct db *db)
{
    return try_begin(db) || (db->sqlite == NULL && try_begin(db));
}

bool db_commit(struct db *db)
{
    bool ok = !db->has_failed && db_script(db, "commit");
    if (!ok) {
        db_rollback(db);
    }
    return ok;
}

/* Why it is done is what counts, not whether this works: the database may have done it already. */
void db_rollback(struct db *db)
{
    char why[sizeof db->why];
    memcpy(why, db->why, sizeof why);
    db_script(db, "rollback");
    memcpy(db->why, why, sizeof why);
    db->has_failed = true;
}

bool db_run_values(struct db *db, const char *sql, const struct db_value *values, size_t count)
{
    db_forget(db);
    if (db->has_failed || count > VALUES_MAX) {
        return false;
    }
    return db->sqlite != NULL ? sqlite_run(db, sql, values, count)
                              : postgres_run(db, sql, values, count);
}

bool db_row(struct db *db)
{
    if (db->has_failed) {
        return false;
    }
#ifdef HAVE_LIBPQ
    if (db->postgres != NULL) {
        return ++db->row < PQntuples(db->result);
    }
#endif
    bool has_row = db->has_next || (!db->is_done && sqlite_step(db) && db->has_next);
    db->has_next = false;
    return has_row;
}

const char *db_row_text(const struct db *db, int column)
{
#ifdef HAVE_LIBPQ
    if (db->postgres != NULL) {
        bool is_null = PQgetisnull(db->result, db->row, column);
        return is_null ? NULL : PQgetvalue(db->result, db->row, column);
    }
#endif
    return (const char *)sqlite3_column_text(db->statement, column);
}

int64_t db_row_number(const struct db *db, int column)
{
    const char *text = db_row_text(db, column);
    return text != NULL ? strtoll(text, NULL, 10) : 0;
}
