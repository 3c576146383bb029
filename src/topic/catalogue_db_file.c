#include "topic/catalogue_db_internal.h"

#include "base/file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One of the catalogue's files as SQLite has it: opening, copying, replacing. */

enum { BUSY_TIMEOUT_MS = 5000 /* someone looks into the file with the sqlite3 shell */ };

enum err catalogue_file_run(sqlite3 *sqlite, const char *sql, struct reason *reason)
{
    return sqlite3_exec(sqlite, sql, NULL, NULL, NULL) == SQLITE_OK
               ? ERR_NONE
               : catalogue_rows_fail(sqlite, "open it", reason);
}

enum err catalogue_file_open(const char *path, int flags, sqlite3 **sqlite, struct reason *reason)
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
    err = catalogue_file_run(*sqlite, "PRAGMA cell_size_check=ON; PRAGMA cache_size=-512;", reason);
    return err == ERR_NONE ? catalogue_rows_init(*sqlite, reason) : err;
}

static enum err set_synced(sqlite3 *sqlite, bool synced, struct reason *reason)
{
    return catalogue_file_run(
        sqlite, synced ? "PRAGMA synchronous=FULL;" : "PRAGMA synchronous=OFF;", reason);
}

enum err catalogue_file_set_up(sqlite3 *sqlite, bool synced, struct reason *reason)
{
    enum err err = set_synced(sqlite, synced, reason);
    return err == ERR_NONE ? catalogue_file_run(sqlite, "PRAGMA journal_mode=WAL;", reason) : err;
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

/* Writes all of it to a file that does not exist; when it is synced durably but for its name. */
static enum err copy_all(sqlite3 *from, const char *path, bool synced, struct reason *reason)
{
    sqlite3 *to;
    enum err err = catalogue_file_open(path, O_CREAT, &to, reason);
    if (err == ERR_NONE) {
        err = set_synced(to, synced, reason);
    }
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
    return copy_all(db->sqlite, path, true, reason);
}

enum err catalogue_file_make_like(sqlite3 *from, const char *path, bool synced,
                                  struct reason *reason)
{
    const struct file_ops *files = synced ? file_ops_system() : file_ops_unsynced();
    char *fresh = mem_sprintf("%s.new", path);
    char *dir = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    enum err err = catalogue_db_unlink(fresh, reason);
    if (err == ERR_NONE) {
        err = copy_all(from, fresh, synced, reason);
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

enum err catalogue_file_check_pages(sqlite3 *sqlite, void (*each)(void *context, const char *text),
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

enum err catalogue_file_keep_aside(const char *path, char **kept, struct reason *reason)
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
