#ifndef STORE_H
#define STORE_H

/* What the store's services share: options, start and stop, and the ledger of handled events. */

#include <tidings.h>

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

enum { EXIT_USAGE = 2 };

/* One "--name VALUE" (or "--name" alone when argument is NULL: *value becomes "1"). */
struct store_option {
    const char *name;
    const char *argument;
    const char *help;
    const char **value; /* holds the default before, the given value after */
};

/* Prints "program: message" to standard error and ends the process with EXIT_USAGE. */
void store_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Prints "program: message" to standard error. */
void store_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Reads the options (list ends with name NULL). --help prints about and the list, and ends the
 * process with 0; anything unknown is a usage error.
 */
void store_options(int argc, char **argv, const char *about, const struct store_option *options);

/* A whole number within bounds, else a usage error that names the option. */
long store_number(const char *option, const char *text, long least, long most);

/* Options every service has. */
struct store_common {
    const char *bootstrap_servers;
    const char *instance;
    const char *database;
    const char *attempts;
    const char *slow_ms; /* the faults that the demo asks for */
    const char *poison;
};
#define STORE_COMMON_OPTIONS(common, default_database)                                             \
    {"bootstrap-server", "HOST:PORT", "the bus [127.0.0.1:9092]", &(common)->bootstrap_servers},   \
        {"instance", "NAME", "name of this process among those that share the work [none]",        \
         &(common)->instance},                                                                     \
        {"db", "FILE", "where it keeps its data [" default_database "]", &(common)->database},     \
        {"attempts", "N", "how often an event is tried before it is given up [10]",                \
         &(common)->attempts},                                                                     \
        {"slow-ms", "N", "for trying out: each event takes so long [0]", &(common)->slow_ms},      \
    {                                                                                              \
        "poison", "CODE", "for trying out: orders with this article fail [none]",                  \
            &(common)->poison                                                                      \
    }

/* Makes the service `name`; SIGTERM and SIGINT stop it. NULL after a complaint. */
struct tidings *store_service_new(const char *name, const struct store_common *common);

/* Runs until stopped, frees it, returns the process's exit status. */
int store_service_run(struct tidings *service);

/* Stops are noticed by this flag too, for processes without tidings_run. */
bool store_stopping(void);

/*
 * The ledger: an SQLite database with a service's own tables, and one row for each event it
 * handled. A handler's changes and that row are written in one transaction, so an event that comes
 * again is recognised and changes nothing.
 */
struct ledger {
    sqlite3 *db;
    sqlite3_stmt *note;
    const char *instance; /* written beside each event */

    /* why something failed last: ledger_fail */
    const char *error_class;
    char why[300];
};

/* Opens or creates the database with the service's tables (SQL). False after a complaint. */
bool ledger_open(struct ledger *ledger, const char *path, const char *tables, const char *instance);
void ledger_close(struct ledger *ledger);

enum ledger_state {
    LEDGER_NEW,   /* a transaction is open: make the changes, then ledger_commit or _rollback */
    LEDGER_KNOWN, /* handled before; counted, nothing is open */
    LEDGER_FAILED /* could not be written, nothing is open: try the event again later */
};
enum ledger_state ledger_begin(struct ledger *ledger, const struct tidings_event *event);

/* True when it is on disk; else rolled back. */
bool ledger_commit(struct ledger *ledger);
void ledger_rollback(struct ledger *ledger);

/* Complains, and notes why for ledger_retry. */
void ledger_fail(struct ledger *ledger, const char *error_class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For a handler to return: what failed last, here or by ledger_fail, is the reason to try again. */
enum tidings_verdict ledger_retry(const struct ledger *ledger, const struct tidings_event *event);

/* Prepares a statement; NULL after a complaint. */
sqlite3_stmt *ledger_prepare(struct ledger *ledger, const char *sql);

/* Runs a prepared statement that gives no rows, and resets it. False after a complaint. */
bool ledger_step(struct ledger *ledger, sqlite3_stmt *statement);

#endif
