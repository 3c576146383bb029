#include "topic/catalogue_db.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_TIMEOUT_MS = 5000 /* someone looks into the file with the sqlite3 shell */ };

struct catalogue_db {
    sqlite3 *sqlite;
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS topic(id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " partitions INTEGER NOT NULL, internal INTEGER NOT NULL, deleting INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS topic_setting(topic_id BLOB NOT NULL, name TEXT NOT NULL,"
    " value TEXT NOT NULL, PRIMARY KEY(topic_id, name));"
    "CREATE TABLE IF NOT EXISTS log_start(topic_id BLOB NOT NULL, partition INTEGER NOT NULL,"
    " start_offset INTEGER NOT NULL, PRIMARY KEY(topic_id, partition));"
    "CREATE TABLE IF NOT EXISTS group_setting(group_id TEXT NOT NULL, name TEXT NOT NULL,"
    " value TEXT NOT NULL, PRIMARY KEY(group_id, name));";

static enum err db_fail(struct catalogue_db *db, const char *what, struct reason *reason)
{
    int code = sqlite3_errcode(db->sqlite);
    bool full =
        code == SQLITE_FULL || (code == SQLITE_IOERR && sqlite3_system_errno(db->sqlite) == ENOSPC);
    enum err err = full                     ? ERR_NO_SPACE
                   : code == SQLITE_CORRUPT ? ERR_CORRUPT
                   : code == SQLITE_NOTADB  ? ERR_CORRUPT
                                            : ERR_IO;
    return reason_fail(reason, err, "catalogue tidings.db: cannot %s: %s", what,
                       sqlite3_errmsg(db->sqlite));
}

static enum err run(struct catalogue_db *db, const char *sql, struct reason *reason)
{
    if (sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return db_fail(db, "change it", reason);
    }
    return ERR_NONE;
}

/*
 * Prepares and binds: 'b' topic id, 't' slice (by pointer), 's' C string, 'i' int64_t.
 */
static enum err prepare_list(struct catalogue_db *db, sqlite3_stmt **statement,
                             struct reason *reason, const char *sql, const char *types,
                             va_list args)
{
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, statement, NULL) != SQLITE_OK) {
        return db_fail(db, "read it", reason);
    }
    for (int i = 0; types[i] != '\0'; i++) {
        if (types[i] == 'b') {
            const struct topic_id *id = va_arg(args, const struct topic_id *);
            sqlite3_bind_blob(*statement, i + 1, id->bytes, sizeof id->bytes, SQLITE_TRANSIENT);
        } else if (types[i] == 's') {
            sqlite3_bind_text(*statement, i + 1, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        } else {
            sqlite3_bind_int64(*statement, i + 1, va_arg(args, int64_t));
        }
    }
    return ERR_NONE;
}

static enum err prepare(struct catalogue_db *db, sqlite3_stmt **statement, struct reason *reason,
                        const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    enum err err = prepare_list(db, statement, reason, sql, types, args);
    va_end(args);
    return err;
}

/* Whether there is another row. At the end, or when one cannot be read, the statement is gone. */
static bool next_row(struct catalogue_db *db, sqlite3_stmt *statement, enum err *err,
                     struct reason *reason)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        return true;
    }
    *err = code == SQLITE_DONE ? ERR_NONE : db_fail(db, "read it", reason);
    sqlite3_finalize(statement);
    return false;
}

/* Runs one statement with bound values to its end. */
static enum err change(struct catalogue_db *db, struct reason *reason, const char *sql,
                       const char *types, ...)
{
    sqlite3_stmt *statement;
    va_list args;
    va_start(args, types);
    enum err err = prepare_list(db, &statement, reason, sql, types, args);
    va_end(args);
    if (err == ERR_NONE) {
        err = sqlite3_step(statement) == SQLITE_DONE ? ERR_NONE : db_fail(db, "change it", reason);
        sqlite3_finalize(statement);
    }
    return err;
}

static enum err check_format(struct catalogue_db *db, struct reason *reason)
{
    char *text;
    enum err err = catalogue_db_get(db, "format", &text, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (text == NULL) {
        char format[16];
        snprintf(format, sizeof format, "%d", CATALOGUE_DB_FORMAT);
        return catalogue_db_put(db, "format", format, reason);
    }
    int format = atoi(text);
    free(text);
    if (format > CATALOGUE_DB_FORMAT || format < 1) {
        return reason_fail(reason, ERR_UNSUPPORTED,
                           "the data directory has format %d, this program knows up to %d: "
                           "use the newer tidings that wrote it",
                           format, CATALOGUE_DB_FORMAT);
    }
    return ERR_NONE;
}

/* SQLite takes the mode of a file that is there, for those beside it as well (WAL). Closed to
 * others (FILE_MODE) before anything is in it. */
static enum err open_private(const char *path, struct catalogue_db *db, struct reason *reason)
{
    int fd;
    enum err err = file_open(file_ops_system(), path, O_RDWR | O_CREAT, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    (void)!fchmod(fd, FILE_MODE); /* an older program's; somebody else's stays */
    close(fd);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    return sqlite3_open_v2(path, &db->sqlite, flags, NULL) == SQLITE_OK
               ? ERR_NONE
               : db_fail(db, "open it", reason);
}

enum err catalogue_db_open(const char *path, struct catalogue_db **out, struct reason *reason)
{
    struct catalogue_db *db = mem_new(struct catalogue_db);
    enum err err = open_private(path, db, reason);
    if (err == ERR_NONE) {
        sqlite3_busy_timeout(db->sqlite, BUSY_TIMEOUT_MS);
        err = run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-512;",
                  reason);
    }
    if (err == ERR_NONE) {
        err = run(db, schema, reason);
    }
    if (err == ERR_NONE) {
        err = check_format(db, reason);
    }
    if (err != ERR_NONE) {
        catalogue_db_close(db);
        return err;
    }
    *out = db;
    return ERR_NONE;
}

void catalogue_db_close(struct catalogue_db *db)
{
    sqlite3_close(db->sqlite);
    free(db);
}

enum err catalogue_db_each_topic(struct catalogue_db *db,
                                 enum err (*each)(void *context,
                                                  const struct catalogue_db_topic *row,
                                                  struct reason *reason),
                                 void *context, struct reason *reason)
{
    sqlite3_stmt *statement;
    enum err err = prepare(db, &statement, reason,
                           "SELECT id, name, partitions, internal, deleting FROM topic", "");
    int code = SQLITE_DONE;
    while (err == ERR_NONE && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct catalogue_db_topic row = {
            .name = slice_str((const char *)sqlite3_column_text(statement, 1)),
            .partition_count = sqlite3_column_int(statement, 2),
            .internal = sqlite3_column_int(statement, 3) != 0,
            .deleting = sqlite3_column_int(statement, 4) != 0,
        };
        if (sqlite3_column_bytes(statement, 0) != (int)sizeof row.id.bytes) {
            err = reason_fail(reason, ERR_CORRUPT, "catalogue tidings.db: topic %.*s has a bad id",
                              SLICE_ARGS(row.name));
            break;
        }
        memcpy(row.id.bytes, sqlite3_column_blob(statement, 0), sizeof row.id.bytes);
        err = each(context, &row, reason);
    }
    if (err == ERR_NONE && code != SQLITE_DONE) {
        err = db_fail(db, "read it", reason);
    }
    sqlite3_finalize(statement);
    return err;
}

enum err catalogue_db_load_overrides(struct catalogue_db *db, const struct topic_id *id,
                                     struct overrides *out, struct reason *reason)
{
    sqlite3_stmt *statement;
    enum err err =
        prepare(db, &statement, reason,
                "SELECT name, value FROM topic_setting WHERE topic_id = ? ORDER BY name", "b", id);
    while (err == ERR_NONE && next_row(db, statement, &err, reason)) {
        overrides_set(out, slice_str((const char *)sqlite3_column_text(statement, 0)),
                      slice_str((const char *)sqlite3_column_text(statement, 1)));
    }
    return err;
}

static enum err put_overrides(struct catalogue_db *db, const struct topic_id *id,
                              const struct overrides *overrides, struct reason *reason)
{
    enum err err = change(db, reason, "DELETE FROM topic_setting WHERE topic_id = ?", "b", id);
    for (size_t i = 0; err == ERR_NONE && i < overrides->count; i++) {
        err = change(db, reason, "INSERT INTO topic_setting VALUES(?, ?, ?)", "bss", id,
                     overrides->items[i].name, overrides->items[i].value);
    }
    return err;
}

/* COMMIT when err is ERR_NONE, else ROLLBACK and err. */
static enum err finish(struct catalogue_db *db, enum err err, struct reason *reason)
{
    if (err == ERR_NONE) {
        err = run(db, "COMMIT", reason);
    }
    if (err != ERR_NONE) {
        struct reason ignored;
        (void)!run(db, "ROLLBACK", &ignored);
    }
    return err;
}

enum err catalogue_db_insert(struct catalogue_db *db, const struct topic *topic,
                             int32_t partition_count, const struct overrides *overrides,
                             struct reason *reason)
{
    enum err err = run(db, "BEGIN IMMEDIATE", reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = change(db, reason, "INSERT INTO topic VALUES(?, ?, ?, ?, 0)", "bsii", &topic->id,
                 topic->name, (int64_t)partition_count, (int64_t)topic->internal);
    if (err == ERR_NONE) {
        err = put_overrides(db, &topic->id, overrides, reason);
    }
    return finish(db, err, reason);
}

enum err catalogue_db_mark_deleting(struct catalogue_db *db, const struct topic_id *id,
                                    struct reason *reason)
{
    return change(db, reason, "UPDATE topic SET deleting = 1 WHERE id = ?", "b", id);
}

enum err catalogue_db_remove(struct catalogue_db *db, const struct topic_id *id,
                             struct reason *reason)
{
    enum err err = run(db, "BEGIN IMMEDIATE", reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = change(db, reason, "DELETE FROM topic_setting WHERE topic_id = ?", "b", id);
    if (err == ERR_NONE) {
        err = change(db, reason, "DELETE FROM log_start WHERE topic_id = ?", "b", id);
    }
    if (err == ERR_NONE) {
        err = change(db, reason, "DELETE FROM topic WHERE id = ?", "b", id);
    }
    return finish(db, err, reason);
}

enum err catalogue_db_set_partitions(struct catalogue_db *db, const struct topic_id *id,
                                     int32_t count, struct reason *reason)
{
    return change(db, reason, "UPDATE topic SET partitions = ? WHERE id = ?", "ib", (int64_t)count,
                  id);
}

enum err catalogue_db_set_overrides(struct catalogue_db *db, const struct topic_id *id,
                                    const struct overrides *overrides, struct reason *reason)
{
    enum err err = run(db, "BEGIN IMMEDIATE", reason);
    if (err != ERR_NONE) {
        return err;
    }
    return finish(db, put_overrides(db, id, overrides, reason), reason);
}

enum err catalogue_db_each_group_setting(struct catalogue_db *db,
                                         void (*each)(void *context, const char *group,
                                                      const char *name, const char *value),
                                         void *context, struct reason *reason)
{
    sqlite3_stmt *statement;
    enum err err =
        prepare(db, &statement, reason, "SELECT group_id, name, value FROM group_setting", "");
    while (err == ERR_NONE && next_row(db, statement, &err, reason)) {
        each(context, (const char *)sqlite3_column_text(statement, 0),
             (const char *)sqlite3_column_text(statement, 1),
             (const char *)sqlite3_column_text(statement, 2));
    }
    return err;
}

static enum err put_group(struct catalogue_db *db, const char *group, const struct overrides *own,
                          struct reason *reason)
{
    enum err err = change(db, reason, "DELETE FROM group_setting WHERE group_id = ?", "s", group);
    for (size_t i = 0; err == ERR_NONE && i < own->count; i++) {
        err = change(db, reason, "INSERT INTO group_setting VALUES(?, ?, ?)", "sss", group,
                     own->items[i].name, own->items[i].value);
    }
    return err;
}

enum err catalogue_db_set_group_overrides(struct catalogue_db *db, const char *group,
                                          const struct overrides *own, struct reason *reason)
{
    enum err err = run(db, "BEGIN IMMEDIATE", reason);
    return err == ERR_NONE ? finish(db, put_group(db, group, own, reason), reason) : err;
}

enum err catalogue_db_log_starts(struct catalogue_db *db, const struct topic_id *id,
                                 struct catalogue_db_log_starts *out, struct reason *reason)
{
    sqlite3_stmt *statement;
    enum err err =
        prepare(db, &statement, reason,
                "SELECT partition, start_offset FROM log_start WHERE topic_id = ?", "b", id);
    while (err == ERR_NONE && next_row(db, statement, &err, reason)) {
        *vec_add(out) = (struct catalogue_db_log_start){
            .partition = sqlite3_column_int(statement, 0),
            .start = sqlite3_column_int64(statement, 1),
        };
    }
    return err;
}

enum err catalogue_db_set_log_start(struct catalogue_db *db, const struct topic_id *id,
                                    int32_t partition, int64_t start, struct reason *reason)
{
    return change(db, reason, "INSERT OR REPLACE INTO log_start VALUES(?, ?, ?)", "bii", id,
                  (int64_t)partition, start);
}

enum err catalogue_db_get(struct catalogue_db *db, const char *name, char **text,
                          struct reason *reason)
{
    sqlite3_stmt *statement;
    *text = NULL;
    enum err err =
        prepare(db, &statement, reason, "SELECT value FROM meta WHERE name = ?", "s", name);
    if (err != ERR_NONE) {
        return err;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *text = mem_strdup((const char *)sqlite3_column_text(statement, 0));
    } else if (code != SQLITE_DONE) {
        err = db_fail(db, "read it", reason);
    }
    sqlite3_finalize(statement);
    return err;
}

enum err catalogue_db_copy(struct catalogue_db *db, const char *path, struct reason *reason)
{
    struct catalogue_db copy = {.sqlite = NULL};
    enum err err = open_private(path, &copy, reason);
    if (err == ERR_NONE) {
        sqlite3_backup *backup = sqlite3_backup_init(copy.sqlite, "main", db->sqlite, "main");
        if (backup == NULL || sqlite3_backup_step(backup, -1) != SQLITE_DONE) {
            err = db_fail(&copy, "copy it", reason);
        }
        if (backup != NULL && sqlite3_backup_finish(backup) != SQLITE_OK && err == ERR_NONE) {
            err = db_fail(&copy, "copy it", reason);
        }
    }
    sqlite3_close(copy.sqlite);
    return err;
}

enum err catalogue_db_check(struct catalogue_db *db, void (*each)(void *context, const char *text),
                            void *context, struct reason *reason)
{
    sqlite3_stmt *statement;
    enum err err = prepare(db, &statement, reason, "PRAGMA integrity_check", "");
    while (err == ERR_NONE && next_row(db, statement, &err, reason)) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (text != NULL && strcmp(text, "ok") != 0) {
            each(context, text);
        }
    }
    return err;
}

enum err catalogue_db_put(struct catalogue_db *db, const char *name, const char *text,
                          struct reason *reason)
{
    return change(db, reason, "INSERT OR REPLACE INTO meta VALUES(?, ?)", "ss", name, text);
}
