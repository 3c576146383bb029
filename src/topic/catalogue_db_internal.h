#ifndef TIDINGS_TOPIC_CATALOGUE_DB_INTERNAL_H
#define TIDINGS_TOPIC_CATALOGUE_DB_INTERNAL_H

#include "topic/catalogue_db.h"
#include "topic/catalogue_rows.h"

/* Shared by catalogue_db.c and catalogue_db_open.c only. */

#define CATALOGUE_FILE "tidings.db"
#define CATALOGUE_COPY "tidings-copy.db"

/*
 * The two files have the same rows. A change is committed in the first, then in the second; one
 * that fails in the second gives that up, so while it is there it holds all that was acknowledged.
 */
struct catalogue_db {
    char *path;
    char *copy_path;
    sqlite3 *sqlite;
    sqlite3 *copy;  /* NULL: there is none at the moment */
    int64_t format; /* of what is read */
    struct catalogue_sum sum;
    struct catalogue_sum before; /* the change that is under way */
};

/* Removes one of the files with what SQLite keeps beside it. */
CHECKED enum err catalogue_db_unlink(const char *path, struct reason *reason);

/* Makes the second file anew from the first; there is none on an error. */
CHECKED enum err catalogue_db_make_copy(struct catalogue_db *db, struct reason *reason);

#endif
