#include "topic/catalogue_db_internal.h"

#include "base/file.h"
#include "base/logger.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What is read and changed in an open catalogue. */

static enum err run(sqlite3 *sqlite, const char *sql, struct reason *reason)
{
    return sqlite3_exec(sqlite, sql, NULL, NULL, NULL) == SQLITE_OK
               ? ERR_NONE
               : catalogue_rows_fail(sqlite, "change it", reason);
}

/* Prepares and binds (catalogue_db_prepare). */
static enum err prepare_list(sqlite3 *sqlite, sqlite3_stmt **statement, struct reason *reason,
                             const char *sql, const char *types, va_list args)
{
    if (sqlite3_prepare_v2(sqlite, sql, -1, statement, NULL) != SQLITE_OK) {
        return catalogue_rows_fail(sqlite, "read it", reason);
    }
    for (int i = 0; types[i] != '\0'; i++) {
        if (types[i] == 'b') {
            const struct topic_id *id = va_arg(args, const struct topic_id *);
            sqlite3_bind_blob(*statement, i + 1, id->bytes, sizeof id->bytes, SQLITE_TRANSIENT);
        } else if (types[i] == 'x') {
            const struct slice *bytes = va_arg(args, const struct slice *);
            sqlite3_bind_blob(*statement, i + 1, bytes->data, (int)bytes->size, SQLITE_TRANSIENT);
        } else if (types[i] == 's') {
            sqlite3_bind_text(*statement, i + 1, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        } else {
            sqlite3_bind_int64(*statement, i + 1, va_arg(args, int64_t));
        }
    }
    return ERR_NONE;
}

enum err catalogue_db_prepare(struct catalogue_db *db, sqlite3_stmt **statement,
                              struct reason *reason, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    enum err err = prepare_list(db->sqlite, statement, reason, sql, types, args);
    va_end(args);
    return err;
}

/* Whether there is another row. At the end, or when one cannot be read, the statement is gone. */
bool catalogue_db_next_row(struct catalogue_db *db, sqlite3_stmt *statement, enum err *err,
                           struct reason *reason)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        return true;
    }
    *err = code == SQLITE_DONE ? ERR_NONE : catalogue_rows_fail(db->sqlite, "read it", reason);
    sqlite3_finalize(statement);
    return false;
}

/* Runs one statement to its end, in one file. Adds the checksums that it returns to *crcs. */
static enum err step_all(sqlite3 *sqlite, int64_t *rows, int64_t *crcs, struct reason *reason,
                         const char *sql, const char *types, va_list args)
{
    sqlite3_stmt *statement;
    enum err err = prepare_list(sqlite, &statement, reason, sql, types, args);
    if (err != ERR_NONE) {
        return err;
    }
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        *rows += 1;
        *crcs += sqlite3_column_int64(statement, 0);
    }
    err = code == SQLITE_DONE ? ERR_NONE : catalogue_rows_fail(sqlite, "change it", reason);
    sqlite3_finalize(statement);
    return err;
}

/* It is made anew by the next change. */
static void give_up_copy(struct catalogue_db *db, const char *why)
{
    LOG_WARN("topic", "the copy of the catalogue cannot be written and is made anew later",
             "file=\"%s\" reason=\"%s\"", db->copy_path, why);
    sqlite3_close(db->copy);
    db->copy = NULL;
    (void)!catalogue_db_unlink(db->copy_path, NULL);
}

/*
 * Runs one statement in both files. It returns the checksums of the rows that it is about, which
 * come to the sum (sign 1), leave it (-1) or stay (0).
 */
enum err catalogue_db_change(struct catalogue_db *db, int sign, struct reason *reason,
                             const char *sql, const char *types, ...)
{
    va_list args;
    va_list again;
    int64_t rows = 0;
    int64_t crcs = 0;
    va_start(args, types);
    va_copy(again, args);
    enum err err = step_all(db->sqlite, &rows, &crcs, reason, sql, types, args);
    if (err == ERR_NONE && db->copy != NULL) {
        struct reason why;
        int64_t copy_rows = 0;
        int64_t copy_crcs = 0;
        if (step_all(db->copy, &copy_rows, &copy_crcs, &why, sql, types, again) != ERR_NONE) {
            give_up_copy(db, why.text);
        } else if (copy_rows != rows || copy_crcs != crcs) {
            give_up_copy(db, "it has other rows");
        }
    }
    va_end(again);
    va_end(args);
    db->sum.rows += sign * rows;
    db->sum.crcs += sign * crcs;
    return err;
}

/* Whether the names still lead to what is open: what is committed elsewhere is lost. */
static enum err check_place(struct catalogue_db *db, struct reason *reason)
{
    int moved = 0;
    char *wal = mem_sprintf("%s-wal", db->path);
    bool there = file_exists(wal);
    free(wal);
    (void)sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (moved != 0 || !there) {
        return reason_fail(reason, ERR_IO,
                           "%s%s was removed or replaced below the running server: no topic is "
                           "changed any more; restart it",
                           db->path, moved != 0 ? "" : "-wal");
    }
    moved = 0;
    if (db->copy != NULL &&
        sqlite3_file_control(db->copy, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
        moved != 0) {
        give_up_copy(db, "it was removed or replaced");
    }
    return ERR_NONE;
}

/* One change: begin, then catalogue_db_change() and catalogue_db_finish(). */
enum err catalogue_db_begin(struct catalogue_db *db, struct reason *reason)
{
    struct reason why;
    db->before = db->sum;
    enum err err = run(db->sqlite, "BEGIN IMMEDIATE", reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = check_place(db, reason);
    if (err != ERR_NONE) {
        (void)!run(db->sqlite, "ROLLBACK", NULL);
        return err;
    }
    if (db->copy != NULL && run(db->copy, "BEGIN IMMEDIATE", &why) != ERR_NONE) {
        give_up_copy(db, why.text);
    }
    return ERR_NONE;
}

/* What the first file has, the second is to have as well; else there is none. */
static void commit_copy(struct catalogue_db *db)
{
    struct reason why;
    if (db->copy != NULL && (catalogue_rows_put_sum(db->copy, &db->sum, &why) != ERR_NONE ||
                             run(db->copy, "COMMIT", &why) != ERR_NONE)) {
        give_up_copy(db, why.text);
    }
    if (db->copy == NULL) {
        (void)!catalogue_db_make_copy(db, NULL); /* the next change tries again */
    }
}

/* COMMIT when err is ERR_NONE, else ROLLBACK and err. */
enum err catalogue_db_finish(struct catalogue_db *db, enum err err, struct reason *reason)
{
    db->sum.version++;
    if (err == ERR_NONE) {
        err = catalogue_rows_put_sum(db->sqlite, &db->sum, reason);
    }
    if (err == ERR_NONE) {
        err = run(db->sqlite, "COMMIT", reason);
    }
    if (err == ERR_NONE) {
        commit_copy(db);
        return ERR_NONE;
    }
    (void)!run(db->sqlite, "ROLLBACK", NULL);
    if (db->copy != NULL) {
        (void)!run(db->copy, "ROLLBACK", NULL);
    }
    db->sum = db->before;
    return err;
}

enum err catalogue_db_each_topic(struct catalogue_db *db,
                                 enum err (*each)(void *context,
                                                  const struct catalogue_db_topic *row,
                                                  struct reason *reason),
                                 void *context, struct reason *reason)
{
    sqlite3_stmt *statement;
    /* A deletion is named twice: by a mark and by a row of its own. */
    enum err err = catalogue_db_prepare(
        db, &statement, reason,
        db->format == 1 ? "SELECT id, name, partitions, internal, deleting, 0 FROM topic"
                        : "SELECT t.id, t.name, t.partitions, t.internal, t.deleting,"
                          " d.name IS t.name AND d.partitions IS t.partitions"
                          " FROM topic t LEFT JOIN deletion d ON d.topic_id = t.id",
        "");
    int code = SQLITE_DONE;
    while (err == ERR_NONE && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 1);
        int64_t partitions = sqlite3_column_int64(statement, 2);
        struct catalogue_db_topic row = {
            .name = slice_str(name != NULL ? name : ""),
            .partition_count = (int32_t)partitions,
            .internal = sqlite3_column_int(statement, 3) != 0,
        };
        if (topic_check_name(row.name, NULL) != ERR_NONE || partitions < 1 ||
            partitions > TOPIC_MAX_PARTITIONS) {
            err = reason_fail(reason, ERR_CORRUPT, "catalogue tidings.db: topic '%.*s' is damaged",
                              SLICE_ARGS(row.name));
            break;
        }
        bool marked = sqlite3_column_int(statement, 4) != 0;
        bool named = sqlite3_column_int(statement, 5) != 0;
        row.deleting = marked && named;
        row.half_deleting = marked != named;
        if (sqlite3_column_bytes(statement, 0) != (int)sizeof row.id.bytes) {
            err = reason_fail(reason, ERR_CORRUPT, "catalogue tidings.db: topic %.*s has a bad id",
                              SLICE_ARGS(row.name));
            break;
        }
        memcpy(row.id.bytes, sqlite3_column_blob(statement, 0), sizeof row.id.bytes);
        err = each(context, &row, reason);
    }
    if (err == ERR_NONE && code != SQLITE_DONE) {
        err = catalogue_rows_fail(db->sqlite, "read it", reason);
    }
    sqlite3_finalize(statement);
    return err;
}

enum err catalogue_db_load_overrides(struct catalogue_db *db, const struct topic_id *id,
                                     struct overrides *out, struct reason *reason)
{
    sqlite3_stmt *statement;
    enum err err = catalogue_db_prepare(
        db, &statement, reason,
        "SELECT name, value FROM topic_setting WHERE topic_id = ? ORDER BY name", "b", id);
    while (err == ERR_NONE && catalogue_db_next_row(db, statement, &err, reason)) {
        overrides_set(out, slice_str((const char *)sqlite3_column_text(statement, 0)),
                      slice_str((const char *)sqlite3_column_text(statement, 1)));
    }
    return err;
}

static enum err put_overrides(struct catalogue_db *db, const struct topic_id *id,
                              const struct overrides *overrides, struct reason *reason)
{
    enum err err = catalogue_db_change(
        db, -1, reason, "DELETE FROM topic_setting WHERE topic_id = ?1 RETURNING crc", "b", id);
    for (size_t i = 0; err == ERR_NONE && i < overrides->count; i++) {
        err = catalogue_db_change(db, 1, reason,
                                  "INSERT INTO topic_setting VALUES(?1, ?2, ?3,"
                                  " row_crc('topic_setting', ?1, ?2, ?3)) RETURNING crc",
                                  "bss", id, overrides->items[i].name, overrides->items[i].value);
    }
    return err;
}

enum err catalogue_db_insert(struct catalogue_db *db, const struct topic *topic,
                             int32_t partition_count, const struct overrides *overrides,
                             struct reason *reason)
{
    enum err err = catalogue_db_begin(db, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = catalogue_db_change(db, 1, reason,
                              "INSERT INTO topic VALUES(?1, ?2, ?3, ?4, 0,"
                              " row_crc('topic', ?1, ?2, ?3, ?4, 0)) RETURNING crc",
                              "bsii", &topic->id, topic->name, (int64_t)partition_count,
                              (int64_t)topic->internal);
    if (err == ERR_NONE) {
        err = put_overrides(db, &topic->id, overrides, reason);
    }
    return catalogue_db_finish(db, err, reason);
}

/* Changes the topic's row. */
static enum err update_topic(struct catalogue_db *db, const struct topic_id *id, const char *sql,
                             int64_t value, struct reason *reason)
{
    int64_t rows = db->sum.rows;
    enum err err =
        catalogue_db_change(db, -1, reason, "SELECT crc FROM topic WHERE id = ?1", "b", id);
    if (err == ERR_NONE && db->sum.rows == rows) {
        return reason_fail(reason, ERR_NOT_FOUND, "the catalogue has no such topic any more");
    }
    return err == ERR_NONE ? catalogue_db_change(db, 1, reason, sql, "bi", id, value) : err;
}

enum err catalogue_db_mark_deleting(struct catalogue_db *db, const struct topic_id *id,
                                    struct reason *reason)
{
    enum err err = catalogue_db_begin(db, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = catalogue_db_change(db, -1, reason,
                              "DELETE FROM deletion WHERE topic_id = ?1 RETURNING crc", "b", id);
    if (err == ERR_NONE) {
        err = update_topic(db, id,
                           "UPDATE topic SET deleting = ?2, crc ="
                           " row_crc('topic', id, name, partitions, internal, ?2)"
                           " WHERE id = ?1 RETURNING crc",
                           1, reason);
    }
    if (err == ERR_NONE) {
        err = catalogue_db_change(
            db, 1, reason,
            "INSERT INTO deletion SELECT id, name, partitions,"
            " row_crc('deletion', id, name, partitions) FROM topic WHERE id = ?1"
            " RETURNING crc",
            "b", id);
    }
    return catalogue_db_finish(db, err, reason);
}

enum err catalogue_db_remove(struct catalogue_db *db, const struct topic_id *id,
                             struct reason *reason)
{
    static const char *const statements[] = {
        "DELETE FROM topic_setting WHERE topic_id = ?1 RETURNING crc",
        "DELETE FROM log_start WHERE topic_id = ?1 RETURNING crc",
        "DELETE FROM topic WHERE id = ?1 RETURNING crc",
        "DELETE FROM deletion WHERE topic_id = ?1 RETURNING crc",
    };
    enum err err = catalogue_db_begin(db, reason);
    if (err != ERR_NONE) {
        return err;
    }
    for (size_t i = 0; i < sizeof statements / sizeof statements[0] && err == ERR_NONE; i++) {
        err = catalogue_db_change(db, -1, reason, statements[i], "b", id);
    }
    return catalogue_db_finish(db, err, reason);
}

enum err catalogue_db_set_partitions(struct catalogue_db *db, const struct topic_id *id,
                                     int32_t count, struct reason *reason)
{
    enum err err = catalogue_db_begin(db, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = update_topic(db, id,
                       "UPDATE topic SET partitions = ?2, crc ="
                       " row_crc('topic', id, name, ?2, internal, deleting)"
                       " WHERE id = ?1 RETURNING crc",
                       count, reason);
    return catalogue_db_finish(db, err, reason);
}

enum err catalogue_db_set_overrides(struct catalogue_db *db, const struct topic_id *id,
                                    const struct overrides *overrides, struct reason *reason)
{
    enum err err = catalogue_db_begin(db, reason);
    return err == ERR_NONE
               ? catalogue_db_finish(db, put_overrides(db, id, overrides, reason), reason)
               : err;
}

enum err catalogue_db_each_group_setting(struct catalogue_db *db,
                                         void (*each)(void *context, const char *group,
                                                      const char *name, const char *value),
                                         void *context, struct reason *reason)
{
    sqlite3_stmt *statement;
    enum err err = catalogue_db_prepare(db, &statement, reason,
                                        "SELECT group_id, name, value FROM group_setting", "");
    while (err == ERR_NONE && catalogue_db_next_row(db, statement, &err, reason)) {
        each(context, (const char *)sqlite3_column_text(statement, 0),
             (const char *)sqlite3_column_text(statement, 1),
             (const char *)sqlite3_column_text(statement, 2));
    }
    return err;
}

static enum err put_group(struct catalogue_db *db, const char *group, const struct overrides *own,
                          struct reason *reason)
{
    enum err err = catalogue_db_change(
        db, -1, reason, "DELETE FROM group_setting WHERE group_id = ?1 RETURNING crc", "s", group);
    for (size_t i = 0; err == ERR_NONE && i < own->count; i++) {
        err = catalogue_db_change(db, 1, reason,
                                  "INSERT INTO group_setting VALUES(?1, ?2, ?3,"
                                  " row_crc('group_setting', ?1, ?2, ?3)) RETURNING crc",
                                  "sss", group, own->items[i].name, own->items[i].value);
    }
    return err;
}

enum err catalogue_db_set_group_overrides(struct catalogue_db *db, const char *group,
                                          const struct overrides *own, struct reason *reason)
{
    enum err err = catalogue_db_begin(db, reason);
    return err == ERR_NONE ? catalogue_db_finish(db, put_group(db, group, own, reason), reason)
                           : err;
}

static struct slice text_of(sqlite3_stmt *statement, int column)
{
    const void *text = sqlite3_column_text(statement, column);
    return slice_of(text, (size_t)sqlite3_column_bytes(statement, column));
}

enum err catalogue_db_each_acl(struct catalogue_db *db,
                               void (*each)(void *context, const struct acl_rule *rule),
                               void *context, struct reason *reason)
{
    sqlite3_stmt *statement;
    enum err err =
        catalogue_db_prepare(db, &statement, reason,
                             "SELECT kind, pattern, name, principal, host, operation, permission"
                             " FROM acl",
                             "");
    while (err == ERR_NONE && catalogue_db_next_row(db, statement, &err, reason)) {
        struct reason why;
        struct acl_rule rule = {
            .kind = (int8_t)sqlite3_column_int(statement, 0),
            .pattern = (int8_t)sqlite3_column_int(statement, 1),
            .name = text_of(statement, 2),
            .principal = text_of(statement, 3),
            .host = text_of(statement, 4),
            .operation = (int8_t)sqlite3_column_int(statement, 5),
            .permission = (int8_t)sqlite3_column_int(statement, 6),
        };
        if (acl_check(&rule, &why) != ERR_NONE) {
            sqlite3_finalize(statement);
            return reason_fail(reason, ERR_CORRUPT, "catalogue tidings.db: a rule of access: %s",
                               why.text);
        }
        each(context, &rule);
    }
    return err;
}

/* Runs a statement with a rule's values. */
static enum err change_acl(struct catalogue_db *db, int sign, const char *sql,
                           const struct acl_rule *rule, struct reason *reason)
{
    char *texts[3] = {mem_strndup((const char *)rule->name.data, rule->name.size),
                      mem_strndup((const char *)rule->principal.data, rule->principal.size),
                      mem_strndup((const char *)rule->host.data, rule->host.size)};
    enum err err = catalogue_db_change(db, sign, reason, sql, "iisssii", (int64_t)rule->kind,
                                       (int64_t)rule->pattern, texts[0], texts[1], texts[2],
                                       (int64_t)rule->operation, (int64_t)rule->permission);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free(texts[i]);
    }
    return err;
}

enum err catalogue_db_change_acls(struct catalogue_db *db, const struct acl_rule *add,
                                  size_t add_count, const struct acl_rule *remove,
                                  size_t remove_count, struct reason *reason)
{
    enum err err = catalogue_db_begin(db, reason);
    if (err != ERR_NONE) {
        return err;
    }
    for (size_t i = 0; err == ERR_NONE && i < add_count; i++) {
        err = change_acl(db, 1,
                         "INSERT INTO acl VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7,"
                         " row_crc('acl', ?1, ?2, ?3, ?4, ?5, ?6, ?7)) RETURNING crc",
                         &add[i], reason);
    }
    for (size_t i = 0; err == ERR_NONE && i < remove_count; i++) {
        err = change_acl(db, -1,
                         "DELETE FROM acl WHERE kind = ?1 AND pattern = ?2 AND name = ?3"
                         " AND principal = ?4 AND host = ?5 AND operation = ?6"
                         " AND permission = ?7 RETURNING crc",
                         &remove[i], reason);
    }
    return catalogue_db_finish(db, err, reason);
}

enum err catalogue_db_log_starts(struct catalogue_db *db, const struct topic_id *id,
                                 struct catalogue_db_log_starts *out, struct reason *reason)
{
    sqlite3_stmt *statement;
    enum err err =
        catalogue_db_prepare(db, &statement, reason,
                             "SELECT partition, start_offset FROM log_start WHERE topic_id = ?"
                             " AND partition BETWEEN 0 AND ? ORDER BY partition",
                             "bi", id, (int64_t)TOPIC_MAX_PARTITIONS - 1);
    while (err == ERR_NONE && catalogue_db_next_row(db, statement, &err, reason)) {
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
    enum err err = catalogue_db_begin(db, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = catalogue_db_change(
        db, -1, reason,
        "DELETE FROM log_start WHERE topic_id = ?1 AND partition = ?2 RETURNING crc", "bi", id,
        (int64_t)partition);
    if (err == ERR_NONE) {
        err = catalogue_db_change(
            db, 1, reason,
            "INSERT INTO log_start VALUES(?1, ?2, ?3, row_crc('log_start', ?1, ?2, ?3))"
            " RETURNING crc",
            "bii", id, (int64_t)partition, start);
    }
    return catalogue_db_finish(db, err, reason);
}

enum err catalogue_db_get(struct catalogue_db *db, const char *name, char **text,
                          struct reason *reason)
{
    sqlite3_stmt *statement;
    *text = NULL;
    enum err err = catalogue_db_prepare(db, &statement, reason,
                                        "SELECT value FROM meta WHERE name = ?", "s", name);
    if (err != ERR_NONE) {
        return err;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *text = mem_strdup((const char *)sqlite3_column_text(statement, 0));
    } else if (code != SQLITE_DONE) {
        err = catalogue_rows_fail(db->sqlite, "read it", reason);
    }
    sqlite3_finalize(statement);
    return err;
}

enum err catalogue_db_put(struct catalogue_db *db, const char *name, const char *text,
                          struct reason *reason)
{
    enum err err = catalogue_db_begin(db, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = catalogue_db_change(db, -1, reason, "DELETE FROM meta WHERE name = ?1 RETURNING crc", "s",
                              name);
    if (err == ERR_NONE) {
        err = catalogue_db_change(
            db, 1, reason, "INSERT INTO meta VALUES(?1, ?2, row_crc('meta', ?1, ?2)) RETURNING crc",
            "ss", name, text);
    }
    return catalogue_db_finish(db, err, reason);
}
