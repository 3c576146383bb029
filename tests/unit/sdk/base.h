#ifndef TESTS_UNIT_SDK_BASE_H
#define TESTS_UNIT_SDK_BASE_H

#include "sql.h"

/*
 * A database of the test's own: a file of SQLite, or, with TEST_DATABASE=postgres, a server of
 * PostgreSQL (of Debian's package, as a user that is not root) on a socket in a fresh folder. What
 * fails here ends the program; where there is no PostgreSQL it ends as skipped.
 */
struct base {
    enum tidings_db_kind kind;
    char *folder;
    int server; /* its process; 0: none */
};

void base_start(struct base *base);
void base_stop(struct base *base);

/* Another connection, ready for statements. Any process that forked behind base_start. */
struct sql base_connect(const struct base *base);
void base_close(struct sql *sql);
struct tidings_db base_db(const struct sql *sql);

/* A statement or several; the number that a query gives. What fails fails the test. */
void base_do(const struct sql *sql, const char *text);
int64_t base_number(const struct sql *sql, const char *text);

/* cmocka's group set-up and tear-down: *state is the struct base. */
int base_setup(void **state);
int base_teardown(void **state);

#endif
