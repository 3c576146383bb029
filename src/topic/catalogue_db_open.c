#include "topic/catalogue_db_internal.h"

#include "base/file.h"
#include "base/logger.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* A start: what is made of the file that is believed, and of the other. */

void catalogue_db_close(struct catalogue_db *db)
{
    sqlite3_close(db->sqlite);
    sqlite3_close(db->copy);
    free(db->path);
    free(db->copy_path);
    free(db);
}

enum err catalogue_db_make_copy(struct catalogue_db *db, struct reason *reason)
{
    enum err err = catalogue_file_make_like(db->sqlite, db->copy_path, db->synced, reason);
    if (err == ERR_NONE) {
        err = catalogue_file_open(db->copy_path, 0, &db->copy, reason);
        if (err == ERR_NONE) {
            err = catalogue_file_set_up(db->copy, db->synced, reason);
        }
        if (err != ERR_NONE) {
            sqlite3_close(db->copy);
            db->copy = NULL;
        }
    }
    return err;
}

static void hear_page(void *context, const char *text)
{
    struct reason *first = context;
    if (first->text[0] == '\0') {
        reason_set(first, "%s", text);
    }
}

/* One transaction: it has the old format or the new one. What cannot be read whole is not taken
 * over, as nobody could tell afterwards. */
static enum err take_over(struct catalogue_db *db, struct reason *reason)
{
    struct reason bad = {.text = ""};
    enum err err = catalogue_file_check_pages(db->sqlite, hear_page, &bad, reason);
    if (err == ERR_NONE && bad.text[0] != '\0') {
        err = reason_fail(reason, ERR_CORRUPT, "catalogue " CATALOGUE_FILE ": %s", bad.text);
    }
    if (err == ERR_NONE) {
        err = catalogue_file_run(db->sqlite, "BEGIN IMMEDIATE", reason);
    }
    if (err == ERR_NONE) {
        err = catalogue_rows_take_over(db->sqlite, db->format, &db->sum, reason);
        if (err == ERR_NONE) {
            err = catalogue_file_run(db->sqlite, "COMMIT", reason);
        }
        if (err != ERR_NONE) {
            (void)!catalogue_file_run(db->sqlite, "ROLLBACK", NULL);
        }
    }
    if (err == ERR_NONE) {
        db->format = CATALOGUE_FORMAT;
        LOG_INFO("topic", "the catalogue was taken over from an older format", "file=\"%s\"",
                 db->path);
    }
    return err;
}

static enum err create(struct catalogue_looks *looks, bool synced, struct catalogue_db **out,
                       struct reason *reason)
{
    struct catalogue_look *look = &looks->first;
    sqlite3_close(look->sqlite); /* an empty one */
    enum err err = catalogue_file_open(look->path, O_CREAT, &look->sqlite, reason);
    if (err == ERR_NONE) {
        err = catalogue_file_set_up(look->sqlite, synced, reason);
    }
    if (err == ERR_NONE) {
        err = catalogue_file_run(look->sqlite, "BEGIN IMMEDIATE", reason);
    }
    if (err == ERR_NONE) {
        err = catalogue_rows_create(look->sqlite, &look->sum, reason);
    }
    if (err == ERR_NONE) {
        err = catalogue_file_run(look->sqlite, "COMMIT", reason);
    }
    look->format = CATALOGUE_FORMAT;
    *out = err == ERR_NONE ? catalogue_looks_take(looks, look) : NULL;
    return err;
}

/* The first file is bad, or lacks what the copy has. */
static enum err take_copy(struct catalogue_looks *looks, bool synced, struct catalogue_db **out,
                          struct reason *reason)
{
    struct catalogue_look *first = &looks->first;
    char *kept = NULL;
    struct reason why;
    reason_set(&why, "%s",
               first->state >= CATALOGUE_OLD ? "it lacks changes that the copy has"
                                             : catalogue_look_words(first));
    sqlite3_close(first->sqlite);
    first->sqlite = NULL;
    enum err err = first->state == CATALOGUE_MISSING
                       ? ERR_NONE
                       : catalogue_file_keep_aside(first->path, &kept, reason);
    if (err == ERR_NONE) {
        err = catalogue_file_make_like(looks->copy.sqlite, first->path, synced, reason);
    }
    if (err == ERR_NONE) {
        LOG_WARN("topic", "the catalogue was damaged and is taken from its copy",
                 "file=\"%s\" reason=\"%s\" kept_aside=\"%s\"", first->path, why.text,
                 kept == NULL ? "" : kept);
        err = catalogue_file_open(first->path, 0, &first->sqlite, reason);
    }
    first->sum = looks->copy.sum;
    first->format = looks->copy.format;
    *out = err == ERR_NONE ? catalogue_looks_take(looks, first) : NULL;
    free(kept);
    return err;
}

/* The copy is taken as it is when it is the same. */
static void settle_copy(struct catalogue_db *db, struct catalogue_look *copy)
{
    struct reason why;
    if (copy->state == CATALOGUE_GOOD && memcmp(&copy->sum, &db->sum, sizeof db->sum) == 0 &&
        catalogue_file_set_up(copy->sqlite, db->synced, &why) == ERR_NONE) {
        db->copy = copy->sqlite;
        copy->sqlite = NULL;
        return;
    }
    if (copy->state == CATALOGUE_BAD) {
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

enum err catalogue_db_open(const char *data_dir, bool synced, struct catalogue_db **out,
                           struct reason *reason)
{
    struct catalogue_looks looks;
    struct catalogue_db *db = NULL;
    enum err err = catalogue_look_at_both(data_dir, &looks, reason);
    if (err == ERR_NONE && looks.chosen == NULL) {
        err = create(&looks, synced, &db, reason);
    } else if (err == ERR_NONE && looks.chosen == &looks.copy) {
        err = take_copy(&looks, synced, &db, reason);
    } else if (err == ERR_NONE) {
        db = catalogue_looks_take(&looks, &looks.first);
    }
    if (err == ERR_NONE) {
        db->synced = synced;
        err = catalogue_file_set_up(db->sqlite, synced, reason);
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
    catalogue_looks_deinit(&looks);
    return err;
}
