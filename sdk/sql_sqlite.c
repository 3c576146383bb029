#include "service.h"
#include "sql.h"

#include <sqlite3.h>
#include <string.h>

/* SQLite by the functions that sql_begin has found; the header gives their types only. */

#define FUNCTIONS(each)                                                                            \
    each(sqlite3_libversion_number) each(sqlite3_get_autocommit) each(sqlite3_prepare_v2)          \
        each(sqlite3_bind_parameter_index) each(sqlite3_bind_int64) each(sqlite3_bind_text64)      \
            each(sqlite3_bind_blob64) each(sqlite3_bind_zeroblob) each(sqlite3_step)               \
                each(sqlite3_finalize) each(sqlite3_column_count) each(sqlite3_column_type)        \
                    each(sqlite3_column_int64) each(sqlite3_column_blob)                           \
                        each(sqlite3_column_bytes) each(sqlite3_changes) each(sqlite3_errmsg)      \
                            each(sqlite3_exec)

#define AT(name)   AT_##name,
#define NAME(name) #name,
#define CALL(name) ((__typeof__(&name))sql->functions[AT_##name])

enum { FUNCTIONS(AT) };
static const char *const names[] = {FUNCTIONS(NAME) NULL};
_Static_assert(sizeof names / sizeof names[0] <= SQL_FUNCTIONS_MAX + 1, "there is room for all");

static const char *too_old(const struct sql *sql)
{
    return CALL(sqlite3_libversion_number)() >= 3035000 ? NULL : "SQLite 3.35 or later";
}

static bool in_transaction(const struct sql *sql)
{
    return CALL(sqlite3_get_autocommit)(sql->connection) == 0;
}

static enum sql_status fail(const struct sql *sql, struct tidings_error *error)
{
    const char *text = CALL(sqlite3_errmsg)(sql->connection);
    error_set(error, TIDINGS_FATAL, "SQLite: %s", text);
    return strstr(text, "no such table: ") != NULL ? SQL_NO_TABLE : SQL_FAILED;
}

static void bind(const struct sql *sql, sqlite3_stmt *prepared,
                 const struct sql_statement *statement)
{
    for (size_t i = 0; i < statement->value_count; i++) {
        const struct sql_value *value = &statement->values[i];
        char name[] = {'$', (char)('1' + i), '\0', '\0'};
        if (i >= 9) {
            name[1] = '1';
            name[2] = (char)('1' + i - 10);
        }
        int at = CALL(sqlite3_bind_parameter_index)(prepared, name);
        if (value->kind == SQL_NUMBER) {
            CALL(sqlite3_bind_int64)(prepared, at, value->number);
        } else if (value->kind == SQL_TEXT) {
            CALL(sqlite3_bind_text64)
            (prepared, at, (const char *)value->bytes.data, value->bytes.size, SQLITE_STATIC,
             SQLITE_UTF8);
        } else if (value->kind == SQL_BYTES) {
            CALL(sqlite3_bind_blob64)
            (prepared, at, value->bytes.data, value->bytes.size, SQLITE_STATIC);
        }
    }
}

static void show_row(const struct sql *sql, sqlite3_stmt *prepared,
                     const struct sql_statement *statement)
{
    struct sql_value columns[SQL_VALUES_MAX] = {{0}};
    int count = CALL(sqlite3_column_count)(prepared);
    for (int i = 0; i < count && i < SQL_VALUES_MAX; i++) {
        int type = CALL(sqlite3_column_type)(prepared, i);
        if (type == SQLITE_INTEGER) {
            columns[i] = sql_number(CALL(sqlite3_column_int64)(prepared, i));
        } else if (type != SQLITE_NULL) {
            const void *data = CALL(sqlite3_column_blob)(prepared, i);
            columns[i] = sql_bytes(slice_of(data != NULL ? data : "",
                                            (size_t)CALL(sqlite3_column_bytes)(prepared, i)));
            columns[i].kind = type == SQLITE_TEXT ? SQL_TEXT : SQL_BYTES;
        }
    }
    statement->row(statement->context, columns);
}

static enum sql_status run(const struct sql *sql, const struct sql_statement *statement,
                           struct tidings_error *error)
{
    sqlite3_stmt *prepared;
    if (CALL(sqlite3_prepare_v2)(sql->connection, statement->text, -1, &prepared, NULL) !=
        SQLITE_OK) {
        return fail(sql, error);
    }
    bind(sql, prepared, statement);
    int code = CALL(sqlite3_step)(prepared);
    for (; code == SQLITE_ROW; code = CALL(sqlite3_step)(prepared)) {
        if (statement->row != NULL) {
            show_row(sql, prepared, statement);
        }
    }
    enum sql_status status = code == SQLITE_DONE ? SQL_OK : fail(sql, error);
    CALL(sqlite3_finalize)(prepared);
    if (status == SQL_OK && statement->changed != NULL) {
        *statement->changed = CALL(sqlite3_changes)(sql->connection);
    }
    return status;
}

static enum sql_status script(const struct sql *sql, const char *text, struct tidings_error *error)
{
    return CALL(sqlite3_exec)(sql->connection, text, NULL, NULL, NULL) == SQLITE_OK
               ? SQL_OK
               : fail(sql, error);
}

/* A file does not go away. */
static bool revive(const struct sql *sql, struct tidings_error *error)
{
    return true;
}

/* To try costs nothing here. */
static bool has_schema(const struct sql *sql)
{
    return true;
}

static void note_schema(const struct sql *sql, bool there)
{
}

const struct sql_driver sql_sqlite_driver = {
    .dialect = {.name = "SQLite",
                .now_ms = "cast((julianday('now') - 2440587.5) * 86400000 as integer)",
                .share_lock = "",
                .row_lock = "",
                .skip_locked = "",
                .is_settled = "true",
                .begin = "begin immediate",
                .schema = sql_sqlite_schema},
    .names = names,
    .files = (const char *const[]){"libsqlite3.so.0", "libsqlite3.so", NULL},
    .library = "SQLite",
    .in_transaction = in_transaction,
    .run = run,
    .script = script,
    .revive = revive,
    .has_schema = has_schema,
    .note_schema = note_schema,
    .too_old = too_old,
};
