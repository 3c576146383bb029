#ifndef STORE_DB_H
#define STORE_DB_H

#include <tidings_once.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A service's database: a file of SQLite, or PostgreSQL by a URL, postgresql://... Statements are
 * written so that both take them, with $1, $2, ... in the order in which they first appear.
 *
 * What fails makes the rest of its transaction fail: db_run then does nothing, db_commit says no,
 * db_why says why. So a service looks only once, before it does something outside of the database.
 *
 * One thread at a time.
 */
struct db;

/*
 * SQLite lets one write at a time, and the others wait for a second; then it says that the database
 * is locked, as when somebody has it open for long, and the event is tried again later.
 *
 * Opens it and makes the tables that are missing (SQL). NULL after a complaint. A PostgreSQL that
 * is away is no failure here: db_begin tries again.
 */
struct db *db_open(const char *where, const char *tables);
void db_close(struct db *db);

/* How many transactions are worth having at once: SQLite has one writer at a time. */
int db_writers(const char *where);

/* For tidings_once, tidings_outbox_add and tidings_outbox_start. */
struct tidings_db db_tidings(const struct db *db);

/* False: there is no transaction, and db_why says why. */
bool db_begin(struct db *db);
bool db_commit(struct db *db);
void db_rollback(struct db *db);

/* It failed since PostgreSQL ended it for another transaction's sake (a deadlock, a serialization
 * failure): the same again may well work. */
bool db_was_beaten(const struct db *db);

/* Nothing has failed since db_begin. */
bool db_ok(const struct db *db);

/* Why something failed last. */
const char *db_why(const struct db *db);

/* Text NULL is SQL's null. */
struct db_value {
    const char *text;
    int64_t number;
    bool is_number;
};
static inline struct db_value db_text(const char *text)
{
    return (struct db_value){.text = text};
}
static inline struct db_value db_number(int64_t number)
{
    return (struct db_value){.number = number, .is_number = true};
}

/* db_run(db, "update stock set level = $1 where stock_code = $2", db_number(7), db_text("A"))
 * False: it failed. Of a query the rows are then gone through with db_row. */
#define db_run(db, ...) DB_RUN(db, __VA_ARGS__, DB_END)
#define DB_RUN(db, sql, ...)                                                                       \
    db_run_values(db, sql, (const struct db_value[]){__VA_ARGS__},                                 \
                  sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value) - 1)
#define DB_END db_number(0) /* stands behind the values, so that there may be none */
bool db_run_values(struct db *db, const char *sql, const struct db_value *values, size_t count);

/* The next row of the query; false: there is none. */
bool db_row(struct db *db);

/* A column of it, from 0, until the next call. Text is NULL and the number 0 for SQL's null. */
const char *db_row_text(const struct db *db, int column);
int64_t db_row_number(const struct db *db, int column);

#endif
