#include "topic/catalogue_db_internal.h"

#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Which of the two files is believed. Nothing is changed. */

static enum err ask_text(sqlite3 *sqlite, const char *sql, char **text, struct reason *reason)
{
    sqlite3_stmt *statement = NULL;
    *text = NULL;
    int code = sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *found = (const char *)sqlite3_column_text(statement, 0);
        *text = found == NULL ? NULL : mem_strdup(found);
        code = SQLITE_DONE;
    }
    enum err err = code == SQLITE_DONE ? ERR_NONE : catalogue_rows_fail(sqlite, "read it", reason);
    sqlite3_finalize(statement);
    return err;
}

/* A text that has only digits, else -1. */
static int64_t number_of(const char *text)
{
    char *end;
    int64_t number = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' ? number : -1;
}

static enum err take_newer(struct catalogue_look *look, int64_t format, struct reason *reason)
{
    look->state = CATALOGUE_NEWER;
    look->format = format;
    return reason_fail(reason, ERR_UNSUPPORTED,
                       "the data directory has format %" PRId64 ", this program knows up to %d: "
                       "use the newer tidings that wrote it",
                       format, CATALOGUE_FORMAT);
}

/* Format 1 had no checksums, and no format before its first row was there. */
static enum err look_at_old(struct catalogue_look *look, struct reason *reason)
{
    char *text;
    enum err err =
        ask_text(look->sqlite, "SELECT value FROM meta WHERE name = 'format'", &text, reason);
    int64_t format = err != ERR_NONE || text == NULL ? 1 : number_of(text);
    free(text);
    if (err != ERR_NONE) {
        return err;
    }
    if (format > CATALOGUE_FORMAT) {
        return take_newer(look, format, reason);
    }
    if (format != 1) {
        return reason_fail(reason, ERR_CORRUPT, "catalogue %s: the format is not readable",
                           look->name);
    }
    look->state = CATALOGUE_OLD;
    look->format = 1;
    return ERR_NONE;
}

static enum err look_at_tables(struct catalogue_look *look, struct reason *reason)
{
    char *text;
    enum err err = ask_text(look->sqlite, "SELECT count(*) FROM sqlite_master", &text, reason);
    bool empty = err == ERR_NONE && strcmp(text, "0") == 0;
    free(text);
    if (err != ERR_NONE || empty) {
        look->state = CATALOGUE_EMPTY;
        return err;
    }
    err =
        ask_text(look->sqlite, "SELECT count(*) FROM pragma_table_info('meta') WHERE name = 'crc'",
                 &text, reason);
    bool old = err == ERR_NONE && strcmp(text, "0") == 0;
    free(text);
    if (err != ERR_NONE || old) {
        return err == ERR_NONE ? look_at_old(look, reason) : err;
    }
    err = ask_text(look->sqlite,
                   "SELECT value FROM meta"
                   " WHERE name = 'format' AND crc = row_crc('meta', name, value)",
                   &text, reason);
    look->format = err != ERR_NONE || text == NULL ? -1 : number_of(text);
    free(text);
    if (err == ERR_NONE && look->format > CATALOGUE_FORMAT) {
        return take_newer(look, look->format, reason);
    }
    if (err == ERR_NONE && (look->format < 2 || look->format > CATALOGUE_FORMAT)) {
        err = reason_fail(reason, ERR_CORRUPT, "catalogue %s: the format is not readable",
                          look->name);
    }
    if (err == ERR_NONE) {
        err = catalogue_rows_verify(look->sqlite, look->format, NULL, NULL, &look->sum, reason);
        look->state = CATALOGUE_GOOD;
    }
    return err;
}

static char *beside(const struct catalogue_look *look, const char *suffix)
{
    return mem_sprintf("%s%s", look->path, suffix);
}

/* ERR_IO when it cannot be read; else what it is, is in *look. */
static enum err look_at(struct catalogue_look *look, const char *data_dir, const char *name,
                        struct reason *reason)
{
    look->name = name;
    look->path = mem_sprintf("%s/%s", data_dir, name);
    look->state = CATALOGUE_MISSING;
    if (!file_exists(look->path)) {
        return ERR_NONE;
    }
    char *wal = beside(look, "-wal");
    look->had_wal = file_exists(wal);
    free(wal);
    enum err err = catalogue_file_open(look->path, 0, &look->sqlite, &look->why);
    if (err == ERR_NONE) {
        err = look_at_tables(look, &look->why);
    }
    if (err == ERR_CORRUPT) {
        look->state = CATALOGUE_BAD;
        if (look->sqlite != NULL) { /* how new it is may be told, and it stays as it is */
            (void)!catalogue_rows_get_sum(look->sqlite, &look->sum);
            sqlite3_db_config(look->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        }
    } else if (err != ERR_NONE) {
        reason_set(reason, "%s", look->why.text);
    }
    return err == ERR_CORRUPT ? ERR_NONE : err;
}

/* ---- which one ---- */

static enum err find_log(void *context, const char *name)
{
    static const char away[] = "-delete";
    size_t size = strlen(name);
    bool *found = context;
    if (strcmp(name, "lost+found") != 0 &&
        (size < sizeof away || strcmp(name + size - (sizeof away - 1), away) != 0)) {
        *found = true;
    }
    return ERR_NONE;
}

static enum err has_topics(const char *data_dir, bool *found, struct reason *reason)
{
    char *topics = mem_sprintf("%s/topics", data_dir);
    *found = false;
    enum err err = file_exists(topics) ? file_list_dir(topics, find_log, found, reason) : ERR_NONE;
    free(topics);
    return err;
}

const char *catalogue_look_words(const struct catalogue_look *look)
{
    return look->state == CATALOGUE_MISSING ? "is missing"
           : look->state == CATALOGUE_EMPTY ? "is empty"
                                            : look->why.text;
}

static enum err refuse(const struct catalogue_looks *looks, struct reason *reason)
{
    return reason_fail(reason, ERR_CORRUPT,
                       "the catalogue is damaged, and nothing was changed: restore a backup, or "
                       "save the events with 'tidings dump'; %s %.80s; %s %.80s",
                       looks->first.name, catalogue_look_words(&looks->first), looks->copy.name,
                       catalogue_look_words(&looks->copy));
}

/* The newest that is good. The first file is never behind, unless something was lost of it. */
static enum err choose(struct catalogue_looks *looks, struct reason *reason)
{
    struct catalogue_look *first = &looks->first;
    struct catalogue_look *copy = &looks->copy;
    bool first_good = first->state == CATALOGUE_GOOD || first->state == CATALOGUE_OLD;
    if (copy->state == CATALOGUE_GOOD && copy->sum.version >= first->sum.version &&
        (!first_good || copy->sum.version > first->sum.version)) {
        looks->chosen = copy;
        return ERR_NONE;
    }
    if (first_good) {
        looks->chosen = first;
        return ERR_NONE;
    }
    bool any;
    enum err err = has_topics(looks->data_dir, &any, reason);
    if (err == ERR_NONE && (first->state == CATALOGUE_BAD || copy->state >= CATALOGUE_BAD || any)) {
        err = refuse(looks, reason);
    }
    return err;
}

enum err catalogue_look_at_both(const char *data_dir, struct catalogue_looks *looks,
                                struct reason *reason)
{
    *looks = (struct catalogue_looks){.data_dir = data_dir};
    enum err err = look_at(&looks->first, data_dir, CATALOGUE_FILE, reason);
    if (err == ERR_NONE) {
        err = look_at(&looks->copy, data_dir, CATALOGUE_COPY, reason);
    }
    return err == ERR_NONE ? choose(looks, reason) : err;
}

static void look_deinit(struct catalogue_look *look)
{
    char *wal = beside(look, "-wal");
    char *shm = beside(look, "-shm");
    sqlite3_close(look->sqlite);
    if (look->state == CATALOGUE_BAD && !look->had_wal) { /* made by looking */
        (void)!file_unlink(file_ops_system(), wal, NULL);
        (void)!file_unlink(file_ops_system(), shm, NULL);
    }
    free(wal);
    free(shm);
    free(look->path);
}

void catalogue_looks_deinit(struct catalogue_looks *looks)
{
    look_deinit(&looks->first);
    look_deinit(&looks->copy);
}

struct catalogue_db *catalogue_looks_take(struct catalogue_looks *looks,
                                          struct catalogue_look *look)
{
    struct catalogue_db *db = mem_new(struct catalogue_db);
    db->path = mem_strdup(looks->first.path);
    db->copy_path = mem_strdup(looks->copy.path);
    db->sqlite = look->sqlite;
    db->format = look->format;
    db->sum = look->sum;
    look->sqlite = NULL;
    return db;
}
