#include "topic/catalogue_rows.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A table is one tree without an index beside it, so that looking up a row finds what was checked.
 * key: the first column, as text. */
static const struct table {
    const char *name;
    const char *definition;
    const char *columns;
    const char *key;
    int since; /* this format */
} tables[] = {
    {"meta", "name TEXT PRIMARY KEY, value TEXT NOT NULL", "name, value", "quote(name)", 1},
    {"topic",
     "id BLOB PRIMARY KEY, name TEXT NOT NULL, partitions INTEGER NOT NULL,"
     " internal INTEGER NOT NULL, deleting INTEGER NOT NULL",
     "id, name, partitions, internal, deleting", "quote(id) || ' ' || quote(name)", 1},
    {"topic_setting",
     "topic_id BLOB NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(topic_id, name)",
     "topic_id, name, value", "quote(topic_id) || ' ' || quote(name)", 1},
    {"group_setting",
     "group_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(group_id, name)",
     "group_id, name, value", "quote(group_id) || ' ' || quote(name)", 1},
    {"log_start",
     "topic_id BLOB NOT NULL, partition INTEGER NOT NULL, start_offset INTEGER NOT NULL,"
     " PRIMARY KEY(topic_id, partition)",
     "topic_id, partition, start_offset", "quote(topic_id) || ' ' || quote(partition)", 1},
    {"deletion", "topic_id BLOB PRIMARY KEY, name TEXT NOT NULL, partitions INTEGER NOT NULL",
     "topic_id, name, partitions", "quote(topic_id) || ' ' || quote(name)", 2},
    {"acl",
     "kind INTEGER NOT NULL, pattern INTEGER NOT NULL, name TEXT NOT NULL,"
     " principal TEXT NOT NULL, host TEXT NOT NULL, operation INTEGER NOT NULL,"
     " permission INTEGER NOT NULL,"
     " PRIMARY KEY(kind, pattern, name, principal, host, operation, permission)",
     "kind, pattern, name, principal, host, operation, permission",
     "kind || ' ' || quote(name) || ' ' || quote(principal)", 3},
    {"user_credential",
     "name TEXT NOT NULL, mechanism INTEGER NOT NULL, salt BLOB NOT NULL,"
     " stored_key BLOB NOT NULL, server_key BLOB NOT NULL, iterations INTEGER NOT NULL,"
     " PRIMARY KEY(name, mechanism)",
     "name, mechanism, salt, stored_key, server_key, iterations", "quote(name) || ' ' || mechanism",
     4},
};
enum { TABLE_COUNT = sizeof tables / sizeof tables[0] };

enum err catalogue_rows_fail(sqlite3 *sqlite, const char *what, struct reason *reason)
{
    int code = sqlite3_errcode(sqlite);
    bool full =
        code == SQLITE_FULL || (code == SQLITE_IOERR && sqlite3_system_errno(sqlite) == ENOSPC);
    /* SQLITE_ERROR: the statements here are right, so a table or a column is not there. */
    bool corrupt = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR ||
                   code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH;
    const char *path = sqlite3_db_filename(sqlite, "main");
    const char *slash = path == NULL ? NULL : strrchr(path, '/');
    return reason_fail(reason,
                       full      ? ERR_NO_SPACE
                       : corrupt ? ERR_CORRUPT
                                 : ERR_IO,
                       "catalogue %s: cannot %s: %s", slash == NULL ? "" : slash + 1, what,
                       sqlite3_errmsg(sqlite));
}

static enum err run(sqlite3 *sqlite, const char *sql, struct reason *reason)
{
    return sqlite3_exec(sqlite, sql, NULL, NULL, NULL) == SQLITE_OK
               ? ERR_NONE
               : catalogue_rows_fail(sqlite, "change it", reason);
}

/* A printf that frees: for SQL that is made of the names above. */
static enum err run_text(sqlite3 *sqlite, char *sql, struct reason *reason)
{
    enum err err = run(sqlite, sql, reason);
    free(sql);
    return err;
}

/* The type counts too, and the text as SQLite shows it, so that a wrong encoding is seen. */
static uint32_t add_value(uint32_t crc, sqlite3_value *value)
{
    uint8_t head[9];
    int type = sqlite3_value_type(value);
    const void *bytes = type == SQLITE_BLOB   ? sqlite3_value_blob(value)
                        : type == SQLITE_TEXT ? sqlite3_value_text(value)
                                              : NULL;
    size_t size = bytes == NULL ? 0 : (size_t)sqlite3_value_bytes(value);
    head[0] = (uint8_t)type;
    store_be64(head + 1, type == SQLITE_INTEGER ? (uint64_t)sqlite3_value_int64(value) : size);
    crc = crc32c(crc, head, sizeof head);
    return size == 0 ? crc : crc32c(crc, bytes, size);
}

static void row_crc(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint32_t crc = 0;
    for (int i = 0; i < count; i++) {
        crc = add_value(crc, values[i]);
    }
    sqlite3_result_int64(context, crc);
}

enum err catalogue_rows_init(sqlite3 *sqlite, struct reason *reason)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    return sqlite3_create_function(sqlite, "row_crc", -1, flags, NULL, row_crc, NULL, NULL) ==
                   SQLITE_OK
               ? ERR_NONE
               : catalogue_rows_fail(sqlite, "prepare for it", reason);
}

/* Those that came behind this format. */
static enum err create_tables(sqlite3 *sqlite, int64_t format, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < TABLE_COUNT && err == ERR_NONE; i++) {
        if (tables[i].since <= format) {
            continue;
        }
        /* crc comes behind the columns and before what is said of the table as a whole. */
        const char *key = strstr(tables[i].definition, ", PRIMARY KEY(");
        size_t columns =
            key == NULL ? strlen(tables[i].definition) : (size_t)(key - tables[i].definition);
        err = run_text(sqlite,
                       mem_sprintf("CREATE TABLE %s(%.*s, crc INTEGER NOT NULL%s) WITHOUT ROWID",
                                   tables[i].name, (int)columns, tables[i].definition,
                                   tables[i].definition + columns),
                       reason);
    }
    return err;
}

/* One row of numbers. */
static enum err ask(sqlite3 *sqlite, char *sql, int64_t *numbers, int count, struct reason *reason)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = ERR_NONE;
    if (code == SQLITE_ROW) {
        for (int i = 0; i < count; i++) {
            numbers[i] = sqlite3_column_int64(statement, i);
        }
    } else {
        err = catalogue_rows_fail(sqlite, "read it", reason);
    }
    sqlite3_finalize(statement);
    free(sql);
    return err;
}

static const char *not_the_sum(const struct table *table)
{
    return table == tables ? "name <> 'sum'" : "1";
}

/* What the rows of a table add up to; *bad: how many do not fit their checksums. */
static enum err add_up(sqlite3 *sqlite, const struct table *table, struct catalogue_sum *sum,
                       int64_t *bad, struct reason *reason)
{
    int64_t numbers[3];
    enum err err = ask(sqlite,
                       mem_sprintf("SELECT count(*), coalesce(sum(crc), 0),"
                                   " coalesce(sum(crc IS NOT row_crc('%s', %s)), 0)"
                                   " FROM %s NOT INDEXED WHERE %s",
                                   table->name, table->columns, table->name, not_the_sum(table)),
                       numbers, 3, reason);
    if (err == ERR_NONE) {
        sum->rows += numbers[0];
        sum->crcs += numbers[1];
        *bad = numbers[2];
    }
    return err;
}

enum err catalogue_rows_create(sqlite3 *sqlite, struct catalogue_sum *sum, struct reason *reason)
{
    int64_t bad;
    *sum = (struct catalogue_sum){.version = 1};
    enum err err = create_tables(sqlite, 0, reason);
    if (err == ERR_NONE) {
        err = run_text(sqlite,
                       mem_sprintf("INSERT INTO meta VALUES('format', '%d',"
                                   " row_crc('meta', 'format', '%d'))",
                                   CATALOGUE_FORMAT, CATALOGUE_FORMAT),
                       reason);
    }
    if (err == ERR_NONE) {
        err = add_up(sqlite, tables, sum, &bad, reason);
    }
    return err == ERR_NONE ? catalogue_rows_put_sum(sqlite, sum, reason) : err;
}

/* Of rows that have no checksums. */
static enum err take_over_first(sqlite3 *sqlite, struct catalogue_sum *sum, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < TABLE_COUNT && err == ERR_NONE; i++) {
        if (tables[i].since == 1) { /* the first ones had no settings of groups */
            err = run_text(sqlite,
                           mem_sprintf("CREATE TABLE IF NOT EXISTS %s(%s);"
                                       "ALTER TABLE %s RENAME TO old_%s",
                                       tables[i].name, tables[i].definition, tables[i].name,
                                       tables[i].name),
                           reason);
        }
    }
    if (err == ERR_NONE) {
        err = create_tables(sqlite, 0, reason);
    }
    if (err == ERR_NONE) {
        err = run_text(
            sqlite,
            mem_sprintf("INSERT OR REPLACE INTO old_meta VALUES('format', '%d')", CATALOGUE_FORMAT),
            reason);
    }
    *sum = (struct catalogue_sum){.version = 1};
    for (size_t i = 0; i < TABLE_COUNT && err == ERR_NONE; i++) {
        int64_t bad;
        const struct table *table = &tables[i];
        if (table->since == 1) {
            err = run_text(sqlite,
                           mem_sprintf("INSERT INTO %s SELECT %s, row_crc('%s', %s) FROM old_%s;"
                                       "DROP TABLE old_%s",
                                       table->name, table->columns, table->name, table->columns,
                                       table->name, table->name),
                           reason);
        }
        if (err == ERR_NONE) {
            err = add_up(sqlite, table, sum, &bad, reason);
        }
    }
    return err == ERR_NONE ? catalogue_rows_put_sum(sqlite, sum, reason) : err;
}

/* Its rows stay as they are. */
static enum err add_tables(sqlite3 *sqlite, int64_t format, struct catalogue_sum *sum,
                           struct reason *reason)
{
    int64_t bad;
    enum err err = create_tables(sqlite, format, reason);
    if (err == ERR_NONE) {
        err = run_text(sqlite,
                       mem_sprintf("UPDATE meta SET value = '%d',"
                                   " crc = row_crc('meta', 'format', '%d') WHERE name = 'format'",
                                   CATALOGUE_FORMAT, CATALOGUE_FORMAT),
                       reason);
    }
    *sum = (struct catalogue_sum){.version = sum->version + 1};
    for (size_t i = 0; i < TABLE_COUNT && err == ERR_NONE; i++) {
        err = add_up(sqlite, &tables[i], sum, &bad, reason);
    }
    return err == ERR_NONE ? catalogue_rows_put_sum(sqlite, sum, reason) : err;
}

enum err catalogue_rows_take_over(sqlite3 *sqlite, int64_t format, struct catalogue_sum *sum,
                                  struct reason *reason)
{
    return format == 1 ? take_over_first(sqlite, sum, reason)
                       : add_tables(sqlite, format, sum, reason);
}

enum err catalogue_rows_put_sum(sqlite3 *sqlite, const struct catalogue_sum *sum,
                                struct reason *reason)
{
    char text[80];
    snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " %" PRId64, sum->version, sum->rows,
             sum->crcs);
    return run_text(
        sqlite,
        mem_sprintf("INSERT OR REPLACE INTO meta VALUES('sum', '%s', row_crc('meta', 'sum', '%s'))",
                    text, text),
        reason);
}

bool catalogue_rows_get_sum(sqlite3 *sqlite, struct catalogue_sum *sum)
{
    sqlite3_stmt *statement = NULL;
    *sum = (struct catalogue_sum){.version = 0};
    bool good =
        sqlite3_prepare_v2(sqlite,
                           "SELECT value FROM meta"
                           " WHERE name = 'sum' AND crc = row_crc('meta', name, value)",
                           -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW &&
        sscanf((const char *)sqlite3_column_text(statement, 0), "%" SCNd64 " %" SCNd64 " %" SCNd64,
               &sum->version, &sum->rows, &sum->crcs) == 3;
    sqlite3_finalize(statement);
    return good;
}

/* Complaints, of which the first is kept. */
struct complaints {
    void (*each)(void *context, const char *text);
    void *context;
    int64_t count;
    struct reason first;
};

static void complain(struct complaints *complaints, const char *text)
{
    if (complaints->count++ == 0) {
        reason_set(&complaints->first, "%s", text);
    }
    if (complaints->each != NULL) {
        complaints->each(complaints->context, text);
    }
}

static enum err name_bad_rows(sqlite3 *sqlite, const struct table *table,
                              struct complaints *complaints, struct reason *reason)
{
    sqlite3_stmt *statement = NULL;
    char *sql =
        mem_sprintf("SELECT %s FROM %s NOT INDEXED WHERE crc IS NOT row_crc('%s', %s)"
                    " AND %s",
                    table->key, table->name, table->name, table->columns, not_the_sum(table));
    int code = sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct reason text;
        const char *key = (const char *)sqlite3_column_text(statement, 0);
        reason_set(&text, "table %s: the checksum of row %s does not fit what it says", table->name,
                   key == NULL ? "?" : key);
        complain(complaints, text.text);
        code = SQLITE_OK;
    }
    enum err err = code == SQLITE_DONE ? ERR_NONE : catalogue_rows_fail(sqlite, "read it", reason);
    sqlite3_finalize(statement);
    free(sql);
    return err;
}

enum err catalogue_rows_verify(sqlite3 *sqlite, int64_t format,
                               void (*each)(void *context, const char *text), void *context,
                               struct catalogue_sum *sum, struct reason *reason)
{
    struct complaints complaints = {.each = each, .context = context};
    struct catalogue_sum found = {.rows = 0};
    enum err err = ERR_NONE;
    for (size_t i = 0; i < TABLE_COUNT && err == ERR_NONE; i++) {
        int64_t bad = 0;
        if (tables[i].since > format) {
            continue;
        }
        err = add_up(sqlite, &tables[i], &found, &bad, reason);
        if (err == ERR_NONE && bad > 0) {
            err = name_bad_rows(sqlite, &tables[i], &complaints, reason);
        }
    }
    if (err != ERR_NONE) {
        return err;
    }
    if (!catalogue_rows_get_sum(sqlite, sum)) {
        complain(&complaints, "table meta: the row 'sum' is not good");
    } else if (complaints.count == 0 && (found.rows != sum->rows || found.crcs != sum->crcs)) {
        struct reason text;
        reason_set(&text,
                   "the tables have %" PRId64 " rows and should have %" PRId64 ": some are missing "
                   "or old",
                   found.rows, sum->rows);
        complain(&complaints, text.text);
    }
    return complaints.count == 0 ? ERR_NONE
                                 : reason_fail(reason, ERR_CORRUPT, "%s", complaints.first.text);
}
