#include "sql.h"

#include "service.h"

#include <dlfcn.h>
#include <stdio.h>

/* Which library a connection belongs to, and its functions. */

static const struct sql_driver *driver_of(struct tidings_db db)
{
    return db.kind == TIDINGS_SQLITE     ? &sql_sqlite_driver
           : db.kind == TIDINGS_POSTGRES ? &sql_postgres_driver
                                         : NULL;
}

/* The library that the process has, whether its functions are to be seen by all or were loaded for
 * one of its parts; dlopen gives the same one again, as its name is the same. */
static sql_function *look_up(const struct sql_driver *driver, const char *name)
{
    /* POSIX has dlsym give functions as pointers to data */
    union {
        void *data;
        sql_function *function;
    } found = {.data = dlsym(RTLD_DEFAULT, name)};
    for (const char *const *file = driver->files; found.data == NULL && *file != NULL; file++) {
        void *library = dlopen(*file, RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) {
            found.data = dlsym(library, name);
            dlclose(library); /* who made the connection holds it too */
        }
    }
    return found.function;
}

enum tidings_status sql_load(const struct sql_driver *driver, void *connection, struct sql *sql,
                             struct tidings_error *error)
{
    *sql = (struct sql){.dialect = &driver->dialect, .driver = driver, .connection = connection};
    for (size_t i = 0; driver->names[i] != NULL; i++) {
        sql->functions[i] = look_up(driver, driver->names[i]);
        if (sql->functions[i] == NULL) {
            return error_set(error, TIDINGS_INVALID,
                             "this process has no %s and %s is not there, or has no %s: the "
                             "connection must come from the shared library",
                             driver->library, driver->files[0], driver->names[i]);
        }
    }
    const char *needed = driver->too_old(sql);
    return needed == NULL ? TIDINGS_OK : error_set(error, TIDINGS_INVALID, "%s is needed", needed);
}

enum tidings_status sql_begin(struct tidings_db db, struct sql *sql, struct tidings_error *error)
{
    const struct sql_driver *driver = driver_of(db);
    if (db.reserved[0] != NULL || db.reserved[1] != NULL) {
        return sized_fail(error, "tidings_db");
    }
    return driver != NULL && db.connection != NULL
               ? sql_load(driver, db.connection, sql, error)
               : error_set(error, TIDINGS_INVALID,
                           "no database: use tidings_sqlite(connection) or "
                           "tidings_postgres(connection)");
}

const char *sql_now(const struct sql *sql)
{
    return sql->now[0] != '\0' ? sql->now : sql->dialect->now_ms;
}

void sql_set_clock(struct sql *sql, const struct clock *clock)
{
    if (clock != clock_system()) {
        snprintf(sql->now, sizeof sql->now, "%lld", (long long)clock_wall_ms(clock));
    }
}

bool sql_in_transaction(const struct sql *sql)
{
    return sql->driver->in_transaction(sql);
}

enum sql_status sql_run(const struct sql *sql, const struct sql_statement *statement,
                        struct tidings_error *error)
{
    return sql->driver->run(sql, statement, error);
}

enum sql_status sql_do(const struct sql *sql, const char *text, struct tidings_error *error)
{
    return sql->driver->script(sql, text, error);
}

bool sql_revive(const struct sql *sql, struct tidings_error *error)
{
    return sql->driver->revive(sql, error);
}

bool sql_has_schema(const struct sql *sql)
{
    return sql->driver->has_schema(sql);
}

void sql_note_schema(const struct sql *sql, bool there)
{
    sql->driver->note_schema(sql, there);
}
