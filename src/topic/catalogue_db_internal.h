#ifndef TIDINGS_TOPIC_CATALOGUE_DB_INTERNAL_H
#define TIDINGS_TOPIC_CATALOGUE_DB_INTERNAL_H

#include "topic/catalogue_db.h"
#include "topic/catalogue_rows.h"

/* Shared by the files catalogue_db*.c only. */

#define CATALOGUE_FILE "tidings.db"
#define CATALOGUE_COPY "tidings-copy.db"

/*
 * The two files have the same rows. A change is committed in the first, then in the second; one
 * that fails in the second gives that up, so while it is there it holds all that was acknowledged.
 */
struct catalogue_db {
    char *path;
    char *copy_path;
    bool synced;
    sqlite3 *sqlite;
    sqlite3 *copy;  /* NULL: there is none at the moment */
    int64_t format; /* of what is read */
    struct catalogue_sum sum;
    struct catalogue_sum before; /* the change that is under way */
};

/* ---- an open catalogue: catalogue_db.c ---- */

/* Prepares and binds: 'b' topic id, 's' C string, 'x' struct slice of bytes (a pointer to it), 'i'
 * int64_t. ERR_IO, ERR_CORRUPT. */
CHECKED enum err catalogue_db_prepare(struct catalogue_db *db, sqlite3_stmt **statement,
                                      struct reason *reason, const char *sql, const char *types,
                                      ...);

/* Whether there is another row. At the end, or when one cannot be read, the statement is gone. */
bool catalogue_db_next_row(struct catalogue_db *db, sqlite3_stmt *statement, enum err *err,
                           struct reason *reason);

/* One change: begin, then catalogue_db_change as often as need be, then finish, which commits when
 * err is ERR_NONE, else rolls back and returns err. */
CHECKED enum err catalogue_db_begin(struct catalogue_db *db, struct reason *reason);
CHECKED enum err catalogue_db_finish(struct catalogue_db *db, enum err err, struct reason *reason);

/* Runs one statement in both files. It returns the checksums of the rows that it is about, which
 * come to the sum (sign 1), leave it (-1) or stay (0). Binds as catalogue_db_prepare. */
CHECKED enum err catalogue_db_change(struct catalogue_db *db, int sign, struct reason *reason,
                                     const char *sql, const char *types, ...);

/* ---- one file: catalogue_db_file.c ---- */

/*
 * Opens one of the files; O_CREAT in flags: it may be made. *sqlite is to be closed also on an
 * error. SQLite takes the mode of a file that is there, for those beside it as well (WAL): closed
 * to others (FILE_MODE) before anything is in it. ERR_IO, ERR_CORRUPT.
 */
CHECKED enum err catalogue_file_open(const char *path, int flags, sqlite3 **sqlite,
                                     struct reason *reason);

/* Runs statements without results. */
CHECKED enum err catalogue_file_run(sqlite3 *sqlite, const char *sql, struct reason *reason);

/* Makes an opened file ready for changes. */
CHECKED enum err catalogue_file_set_up(sqlite3 *sqlite, bool synced, struct reason *reason);

/* Puts a file with all of `from` in the place of the one at `path`, which nobody has open; durably
 * when it is synced. */
CHECKED enum err catalogue_file_make_like(sqlite3 *from, const char *path, bool synced,
                                          struct reason *reason);

/* SQLite's own look at its pages; each: what is wrong, a sentence. */
CHECKED enum err catalogue_file_check_pages(sqlite3 *sqlite,
                                            void (*each)(void *context, const char *text),
                                            void *context, struct reason *reason);

/* Gives a file that is not believed another name, for whoever wants to look into it: *kept, to be
 * freed whatever is returned. */
CHECKED enum err catalogue_file_keep_aside(const char *path, char **kept, struct reason *reason);

/* ---- which file is believed: catalogue_db_look.c ---- */

enum catalogue_state {
    CATALOGUE_MISSING,
    CATALOGUE_EMPTY, /* a database without tables */
    CATALOGUE_BAD,
    CATALOGUE_NEWER,
    CATALOGUE_OLD, /* format 1 */
    CATALOGUE_GOOD,
};

struct catalogue_look {
    const char *name;
    char *path;
    sqlite3 *sqlite; /* NULL: missing */
    bool had_wal;
    enum catalogue_state state;
    int64_t format;
    struct catalogue_sum sum; /* version 0: not known */
    struct reason why;        /* bad */
};

struct catalogue_looks {
    const char *data_dir;
    struct catalogue_look first;
    struct catalogue_look copy;
    struct catalogue_look *chosen; /* NULL: the catalogue is to be made */
};

/* Looks at both and chooses the newest that is good. ERR_CORRUPT when none can be believed,
 * ERR_UNSUPPORTED when a newer program wrote them, ERR_IO; *looks is to be deinited in any case. */
CHECKED enum err catalogue_look_at_both(const char *data_dir, struct catalogue_looks *looks,
                                        struct reason *reason);
void catalogue_looks_deinit(struct catalogue_looks *looks);

/* What is wrong with a file, for a sentence that begins with its name. */
const char *catalogue_look_words(const struct catalogue_look *look);

/* The catalogue as it is in that file, which the look gives up; never NULL. */
struct catalogue_db *catalogue_looks_take(struct catalogue_looks *looks,
                                          struct catalogue_look *look);

/* Removes one of the files with what SQLite keeps beside it. */
CHECKED enum err catalogue_db_unlink(const char *path, struct reason *reason);

/* Makes the second file anew from the first; there is none on an error. */
CHECKED enum err catalogue_db_make_copy(struct catalogue_db *db, struct reason *reason);

#endif
