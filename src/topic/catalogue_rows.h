#ifndef TIDINGS_TOPIC_CATALOGUE_ROWS_H
#define TIDINGS_TOPIC_CATALOGUE_ROWS_H

#include "base/err.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What makes a flipped bit in the catalogue visible. Each row ends with a checksum over the name of
 * its table and all its columns, and the row `sum` of the table meta says how many rows there are,
 * what their checksums add up to, and how many changes there were. SQL sees the checksum as the
 * function row_crc(table, column, ...). docs/formats.md lists the tables.
 */
enum { CATALOGUE_FORMAT = 4 };

/* What the row `sum` says, but for itself. */
struct catalogue_sum {
    int64_t version; /* changes since the beginning */
    int64_t rows;
    int64_t crcs; /* of all rows, added up */
};

/* Tells SQLite of row_crc. Before all else here. */
CHECKED enum err catalogue_rows_init(sqlite3 *sqlite, struct reason *reason);

/* Makes the tables of a database that has none; a part of the caller's transaction. */
CHECKED enum err catalogue_rows_create(sqlite3 *sqlite, struct catalogue_sum *sum,
                                       struct reason *reason);

/*
 * Turns the tables of an older format into these; a part of the caller's transaction. Those of
 * format 1 have no checksums. *sum: of what was there (not with format 1), then of what is.
 */
CHECKED enum err catalogue_rows_take_over(sqlite3 *sqlite, int64_t format,
                                          struct catalogue_sum *sum, struct reason *reason);

/* Writes the row `sum`; a part of the caller's transaction. */
CHECKED enum err catalogue_rows_put_sum(sqlite3 *sqlite, const struct catalogue_sum *sum,
                                        struct reason *reason);

/* Reads it without a look at the others; false when it is not there or not good. */
bool catalogue_rows_get_sum(sqlite3 *sqlite, struct catalogue_sum *sum);

/*
 * Of a file of format 2 or later: compares all rows with their checksums and with the row `sum`:
 * each(context, text) for every complaint (each may be NULL). ERR_CORRUPT, with the first one, when
 * there are some; ERR_IO.
 */
CHECKED enum err catalogue_rows_verify(sqlite3 *sqlite, int64_t format,
                                       void (*each)(void *context, const char *text), void *context,
                                       struct catalogue_sum *sum, struct reason *reason);

/* The failure of the last call to SQLite: ERR_NO_SPACE, ERR_IO, or ERR_CORRUPT when its file is not
 * what it should be. what: "read it". */
enum err catalogue_rows_fail(sqlite3 *sqlite, const char *what, struct reason *reason);

#endif
