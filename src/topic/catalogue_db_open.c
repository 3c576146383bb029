#include "topic/catalogue_db_internal.h"

#include "base/file.h"
#include "base/logger.h"
#include "base/mem.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Which of the two files is believed, and what is made of the other. */

enum { BUSY_TIMEOUT_MS = 5000 /* someone looks into the file with the sqlite3 shell */ };

enum state {
    STATE_MISSING,
    STATE_EMPTY, /* a database without tables */
    STATE_BAD,
    STATE_NEWER,
    STATE_OLD, /* format 1 */
    STATE_GOOD,
};

struct look {
    const char *name;
    char *path;
    sqlite3 *sqlite; /* NULL: missing */
    bool had_wal;
    enum state state;
    int64_t format;
    struct catalogue_sum sum; /* version 0: not known */
    struct reason why;        /* bad */
};

struct looks {
    const char *data_dir;
    struct look first;
    struct look copy;
    struct look *chosen; /* NULL: the catalogue is to be made */
};

static enum err run(sqlite3 *sqlite, const char *sql, struct reason *reason)
{
    return sqlite3_exec(sqlite, sql, NULL, NULL, NULL) == SQLITE_OK
               ? ERR_NONE
               : catalogue_rows_fail(sqlite, "open it", reason);
}

/* SQLite takes the mode of a file that is there, for those beside it as well (WAL). Closed to
 * others (FILE_MODE) before anything is in it. */
static enum err open_file(const char *path, int flags, sqlite3 **sqlite, struct reason *reason)
{
    int fd;
    *sqlite = NULL;
    enum err err = file_open(file_ops_system(), path, O_RDWR | flags, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    (void)!fchmod(fd, FILE_MODE); /* an older program's; somebody else's stays */
    close(fd);
    if (sqlite3_open_v2(path, sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        return catalogue_rows_fail(*sqlite, "open it", reason);
    }
    sqlite3_busy_timeout(*sqlite, BUSY_TIMEOUT_MS);
    err = run(*sqlite, "PRAGMA cell_size_check=ON; PRAGMA cache_size=-512;", reason);
    return err == ERR_NONE ? catalogue_rows_init(*sqlite, reason) : err;
}

/* For changes. */
static enum err set_up(sqlite3 *sqlite, struct reason *reason)
{
    return run(sqlite, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", reason);
}

enum err catalogue_db_unlink(const char *path, struct reason *reason)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    enum err err = ERR_NONE;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && err == ERR_NONE; i++) {
        char *file = mem_sprintf("%s%s", path, suffixes[i]);
        err = file_unlink(file_ops_system(), file, reason);
        free(file);
    }
    return err;
}

/* Writes all of it to a file that does not exist, durably but for its name. */
static enum err copy_all(sqlite3 *from, const char *path, struct reason *reason)
{
    sqlite3 *to;
    enum err err = open_file(path, O_CREAT, &to, reason);
    if (err == ERR_NONE) {
        sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
        if (backup == NULL || sqlite3_backup_step(backup, -1) != SQLITE_DONE) {
            err = catalogue_rows_fail(to, "copy it", reason);
        }
        if (backup != NULL && sqlite3_backup_finish(backup) != SQLITE_OK && err == ERR_NONE) {
            err = catalogue_rows_fail(to, "copy it", reason);
        }
    }
    sqlite3_close(to);
    return err;
}

enum err catalogue_db_copy(struct catalogue_db *db, const char *path, struct reason *reason)
{
    return copy_all(db->sqlite, path, reason);
}

/* Puts a file with all of `from` in the place of the one at `path`, which nobody has open. */
static enum err make_like(sqlite3 *from, const char *path, struct reason *reason)
{
    const struct file_ops *files = file_ops_system();
    char *fresh = mem_sprintf("%s.new", path);
    char *dir = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    enum err err = catalogue_db_unlink(fresh, reason);
    if (err == ERR_NONE) {
        err = copy_all(from, fresh, reason);
    }
    if (err == ERR_NONE) {
        err = catalogue_db_unlink(path, reason);
    }
    if (err == ERR_NONE) {
        err = file_rename(files, fresh, path, reason);
    }
    if (err == ERR_NONE) {
        err = file_sync_dir(files, dir, reason);
    }
    (void)!catalogue_db_unlink(fresh, NULL);
    free(dir);
    free(fresh);
    return err;
}

enum err catalogue_db_make_copy(struct catalogue_db *db, struct reason *reason)
{
    enum err err = make_like(db->sqlite, db->copy_path, reason);
    if (err == ERR_NONE) {
        err = open_file(db->copy_path, 0, &db->copy, reason);
        if (err == ERR_NONE) {
            err = set_up(db->copy, reason);
        }
        if (err != ERR_NONE) {
            sqlite3_close(db->copy);
            db->copy = NULL;
        }
    }
    return err;
}

/* ---- a look at one file ---- */

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

static enum err take_newer(struct look *look, int64_t format, struct reason *reason)
{
    look->state = STATE_NEWER;
    look->format = format;
    return reason_fail(reason, ERR_UNSUPPORTED,
                       "the data directory has format %" PRId64 ", this program knows up to %d: "
                       "use the newer tidings that wrote it",
                       format, CATALOGUE_FORMAT);
}

/* Format 1 had no checksums, and no format before its first row was there. */
static enum err look_at_old(struct look *look, struct reason *reason)
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
    look->state = STATE_OLD;
    look->format = 1;
    return ERR_NONE;
}

static enum err look_at_tables(struct look *look, struct reason *reason)
{
    char *text;
    enum err err = ask_text(look->sqlite, "SELECT count(*) FROM sqlite_master", &text, reason);
    bool empty = err == ERR_NONE && strcmp(text, "0") == 0;
    free(text);
    if (err != ERR_NONE || empty) {
        look->state = STATE_EMPTY;
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
    if (err == ERR_NONE && look->format != CATALOGUE_FORMAT) {
        err = reason_fail(reason, ERR_CORRUPT, "catalogue %s: the format is not readable",
                          look->name);
    }
    if (err == ERR_NONE) {
        err = catalogue_rows_verify(look->sqlite, NULL, NULL, &look->sum, reason);
        look->state = STATE_GOOD;
    }
    return err;
}

static char *beside(const struct look *look, const char *suffix)
{
    return mem_sprintf("%s%s", look->path, suffix);
}

/* ERR_IO when it cannot be read; else what it is, is in *look. */
static enum err look_at(struct look *look, const char *data_dir, const char *name,
                        struct reason *reason)
{
    look->name = name;
    look->path = mem_sprintf("%s/%s", data_dir, name);
    look->state = STATE_MISSING;
    if (!file_exists(look->path)) {
        return ERR_NONE;
    }
    char *wal = beside(look, "-wal");
    look->had_wal = file_exists(wal);
    free(wal);
    enum err err = open_file(look->path, 0, &look->sqlite, &look->why);
    if (err == ERR_NONE) {
        err = look_at_tables(look, &look->why);
    }
    if (err == ERR_CORRUPT) {
        look->state = STATE_BAD;
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

static const char *words(const struct look *look)
{
    return look->state == STATE_MISSING ? "is missing"
           : look->state == STATE_EMPTY ? "is empty"
                                        : look->why.text;
}

static enum err refuse(const struct looks *looks, struct reason *reason)
{
    return reason_fail(reason, ERR_CORRUPT,
                       "the catalogue is damaged, and nothing was changed: restore a backup, or "
                       "save the events with 'tidings dump'; %s %.80s; %s %.80s",
                       looks->first.name, words(&looks->first), looks->copy.name,
                       words(&looks->copy));
}

/* The newest that is good. The first file is never behind, unless something was lost of it. */
static enum err choose(struct looks *looks, struct reason *reason)
{
    struct look *first = &looks->first;
    struct look *copy = &looks->copy;
    bool first_good = first->state == STATE_GOOD || first->state == STATE_OLD;
    if (copy->state == STATE_GOOD && copy->sum.version >= first->sum.version &&
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
    if (err == ERR_NONE && (first->state == STATE_BAD || copy->state >= STATE_BAD || any)) {
        err = refuse(looks, reason);
    }
    return err;
}

static enum err look_at_both(const char *data_dir, struct looks *looks, struct reason *reason)
{
    *looks = (struct looks){.data_dir = data_dir};
    enum err err = look_at(&looks->first, data_dir, CATALOGUE_FILE, reason);
    if (err == ERR_NONE) {
        err = look_at(&looks->copy, data_dir, CATALOGUE_COPY, reason);
    }
    return err == ERR_NONE ? choose(looks, reason) : err;
}

static void look_deinit(struct look *look)
{
    char *wal = beside(look, "-wal");
    char *shm = beside(look, "-shm");
    sqlite3_close(look->sqlite);
    if (look->state == STATE_BAD && !look->had_wal) { /* made by looking */
        (void)!file_unlink(file_ops_system(), wal, NULL);
        (void)!file_unlink(file_ops_system(), shm, NULL);
    }
    free(wal);
    free(shm);
    free(look->path);
}

static void looks_deinit(struct looks *looks)
{
    look_deinit(&looks->first);
    look_deinit(&looks->copy);
}

static struct catalogue_db *take(struct looks *looks, struct look *look)
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

void catalogue_db_close(struct catalogue_db *db)
{
    sqlite3_close(db->sqlite);
    sqlite3_close(db->copy);
    free(db->path);
    free(db->copy_path);
    free(db);
}

/* ---- a start ---- */

static void hear_page(void *context, const char *text)
{
    struct reason *first = context;
    if (first->text[0] == '\0') {
        reason_set(first, "%s", text);
    }
}

static enum err check_pages(sqlite3 *sqlite, void (*each)(void *context, const char *text),
                            void *context, struct reason *reason)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(sqlite, "PRAGMA integrity_check", -1, &statement, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (text != NULL && strcmp(text, "ok") != 0) {
            each(context, text);
        }
        code = SQLITE_OK;
    }
    enum err err = code == SQLITE_DONE ? ERR_NONE : catalogue_rows_fail(sqlite, "check it", reason);
    sqlite3_finalize(statement);
    return err;
}

/* One transaction: it has the old format or the new one. What cannot be read whole is not taken
 * over, as nobody could tell afterwards. */
static enum err take_over(struct catalogue_db *db, struct reason *reason)
{
    struct reason bad = {.text = ""};
    enum err err = check_pages(db->sqlite, hear_page, &bad, reason);
    if (err == ERR_NONE && bad.text[0] != '\0') {
        err = reason_fail(reason, ERR_CORRUPT, "catalogue " CATALOGUE_FILE ": %s", bad.text);
    }
    if (err == ERR_NONE) {
        err = run(db->sqlite, "BEGIN IMMEDIATE", reason);
    }
    if (err == ERR_NONE) {
        err = catalogue_rows_take_over(db->sqlite, &db->sum, reason);
        if (err == ERR_NONE) {
            err = run(db->sqlite, "COMMIT", reason);
        }
        if (err != ERR_NONE) {
            (void)!run(db->sqlite, "ROLLBACK", NULL);
        }
    }
    if (err == ERR_NONE) {
        db->format = CATALOGUE_FORMAT;
        LOG_INFO("topic", "the catalogue was taken over from an older format", "file=\"%s\"",
                 db->path);
    }
    return err;
}

static enum err create(struct looks *looks, struct catalogue_db **out, struct reason *reason)
{
    struct look *look = &looks->first;
    sqlite3_close(look->sqlite); /* an empty one */
    enum err err = open_file(look->path, O_CREAT, &look->sqlite, reason);
    if (err == ERR_NONE) {
        err = set_up(look->sqlite, reason);
    }
    if (err == ERR_NONE) {
        err = run(look->sqlite, "BEGIN IMMEDIATE", reason);
    }
    if (err == ERR_NONE) {
        err = catalogue_rows_create(look->sqlite, &look->sum, reason);
    }
    if (err == ERR_NONE) {
        err = run(look->sqlite, "COMMIT", reason);
    }
    look->format = CATALOGUE_FORMAT;
    *out = err == ERR_NONE ? take(looks, look) : NULL;
    return err;
}

/* Gives a file that is not believed another name, for whoever wants to look into it. */
static enum err keep_aside(const char *path, char **kept, struct reason *reason)
{
    static const char *const suffixes[] = {"-wal", "-journal", ""};
    enum err err = ERR_NONE;
    *kept = mem_sprintf("%s.damaged", path);
    for (int i = 2; file_exists(*kept); i++) {
        free(*kept);
        *kept = mem_sprintf("%s.damaged-%d", path, i);
    }
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && err == ERR_NONE; i++) {
        char *from = mem_sprintf("%s%s", path, suffixes[i]);
        char *to = mem_sprintf("%s%s", *kept, suffixes[i]);
        if (file_exists(from)) {
            err = file_rename(file_ops_system(), from, to, reason);
        }
        free(from);
        free(to);
    }
    return err;
}

/* The first file is bad, or lacks what the copy has. */
static enum err take_copy(struct looks *looks, struct catalogue_db **out, struct reason *reason)
{
    struct look *first = &looks->first;
    char *kept = NULL;
    struct reason why;
    reason_set(&why, "%s",
               first->state >= STATE_OLD ? "it lacks changes that the copy has" : words(first));
    sqlite3_close(first->sqlite);
    first->sqlite = NULL;
    enum err err =
        first->state == STATE_MISSING ? ERR_NONE : keep_aside(first->path, &kept, reason);
    if (err == ERR_NONE) {
        err = make_like(looks->copy.sqlite, first->path, reason);
    }
    if (err == ERR_NONE) {
        LOG_WARN("topic", "the catalogue was damaged and is taken from its copy",
                 "file=\"%s\" reason=\"%s\" kept_aside=\"%s\"", first->path, why.text,
                 kept == NULL ? "" : kept);
        err = open_file(first->path, 0, &first->sqlite, reason);
    }
    first->sum = looks->copy.sum;
    first->format = looks->copy.format;
    *out = err == ERR_NONE ? take(looks, first) : NULL;
    free(kept);
    return err;
}

/* The copy is taken as it is when it is the same. */
static void settle_copy(struct catalogue_db *db, struct look *copy)
{
    struct reason why;
    if (copy->state == STATE_GOOD && memcmp(&copy->sum, &db->sum, sizeof db->sum) == 0 &&
        set_up(copy->sqlite, &why) == ERR_NONE) {
        db->copy = copy->sqlite;
        copy->sqlite = NULL;
        return;
    }
    if (copy->state == STATE_BAD) {
        LOG_WARN("topic", "the copy of the catalogue was damaged and is made anew",
                 "file=\"%s\" reason=\"%s\"", copy->path, copy->why.text);
    }
    sqlite3_close(copy->sqlite);
    copy->sqlite = NULL;
    if (catalogue_db_make_copy(db, &why) != ERR_NONE) {
        LOG_WARN("topic", "the copy of the catalogue cannot be written and is made anew later",
                 "file=\"%s\" reason=\"%s\"", db->copy_path, why.text);
    }
}

enum err catalogue_db_open(const char *data_dir, struct catalogue_db **out, struct reason *reason)
{
    struct looks looks;
    struct catalogue_db *db = NULL;
    enum err err = look_at_both(data_dir, &looks, reason);
    if (err == ERR_NONE && looks.chosen == NULL) {
        err = create(&looks, &db, reason);
    } else if (err == ERR_NONE && looks.chosen == &looks.copy) {
        err = take_copy(&looks, &db, reason);
    } else if (err == ERR_NONE) {
        db = take(&looks, &looks.first);
    }
    if (err == ERR_NONE) {
        err = set_up(db->sqlite, reason);
    }
    if (err == ERR_NONE && db->format < CATALOGUE_FORMAT) {
        err = take_over(db, reason);
    }
    if (err == ERR_NONE) {
        settle_copy(db, &looks.copy);
        *out = db;
    } else if (db != NULL) {
        catalogue_db_close(db);
    }
    looks_deinit(&looks);
    return err;
}

/* ---- a look from outside ---- */

struct inspection {
    catalogue_db_complaint *each;
    void *context;
    const struct look *look;
    bool harmless;
};

static void hear(void *context, const char *text)
{
    const struct inspection *inspection = context;
    inspection->each(inspection->context, inspection->look->name, inspection->harmless, text);
}

/* All that is wrong with one file. */
static enum err tell_all(struct inspection *inspection, struct reason *reason)
{
    const struct look *look = inspection->look;
    struct catalogue_sum sum;
    struct reason why;
    if (look->sqlite == NULL) {
        return ERR_NONE;
    }
    enum err err = check_pages(look->sqlite, hear, inspection, &why);
    if (err == ERR_NONE && (look->state == STATE_GOOD || look->state == STATE_BAD)) {
        err = catalogue_rows_verify(look->sqlite, hear, inspection, &sum, &why);
    }
    if (err != ERR_NONE && err != ERR_CORRUPT) {
        reason_set(reason, "%s", why.text);
        return err;
    }
    if (look->state == STATE_BAD) {
        hear(inspection, look->why.text);
    }
    return ERR_NONE;
}

static enum err tell_both(struct looks *looks, catalogue_db_complaint *each, void *context,
                          struct reason *reason)
{
    struct inspection first = {each, context, &looks->first, looks->chosen == &looks->copy};
    struct inspection copy = {each, context, &looks->copy, looks->chosen == &looks->first};
    if (first.harmless && looks->first.state < STATE_BAD) {
        hear(&first, words(&looks->first));
    } else if (first.harmless && looks->first.state >= STATE_OLD) {
        hear(&first, "it lacks changes that the copy has");
    }
    enum err err = tell_all(&first, reason);
    return err == ERR_NONE ? tell_all(&copy, reason) : err;
}

enum err catalogue_db_inspect(const char *data_dir, catalogue_db_complaint *each, void *context,
                              struct catalogue_db **out, struct reason *reason)
{
    struct looks looks;
    enum err err = look_at_both(data_dir, &looks, reason);
    bool judged = err == ERR_NONE || err == ERR_CORRUPT || err == ERR_UNSUPPORTED;
    if (judged && each != NULL) {
        struct reason why;
        enum err told = tell_both(&looks, each, context, &why);
        if (told != ERR_NONE) {
            reason_set(reason, "%s", why.text);
            err = told;
        }
    }
    if (err == ERR_NONE && looks.chosen == NULL) {
        err = reason_fail(reason, ERR_NOT_FOUND, "%s has no catalogue " CATALOGUE_FILE, data_dir);
    }
    if (err == ERR_NONE) {
        *out = take(&looks, looks.chosen);
    }
    looks_deinit(&looks);
    return err;
}
