#ifndef TIDINGS_LOG_INDEX_H
#define TIDINGS_LOG_INDEX_H

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A sparse index of one segment: rows of (key, value), both never falling, big-endian in Kafka's
 * layout. The first rows are in a file, which is read by need and never held open; the newest are
 * the tail, in memory until they are written out. Rows are hints: whoever follows one checks what
 * it finds there.
 *
 *   INDEX_OFFSETS  key: relative last offset i32 of a batch, value: its position i32
 *   INDEX_TIMES    key: largest timestamp so far i64, value: relative last offset i32 of its batch
 *   INDEX_ABORTS   aborted transactions (txn_index.h); key: last offset, value: first offset
 *
 * Guarded by the owner's lock, except that index_file_floor needs none.
 */
enum index_kind { INDEX_OFFSETS, INDEX_TIMES, INDEX_ABORTS };

struct index_row {
    int64_t key;
    int64_t value;
    int64_t number; /* set by index_file_floor: which row of the file it is, from 0 */
};

struct index {
    enum index_kind kind;
    int64_t file_rows;     /* rows that are in the file */
    struct buf tail;       /* encoded rows behind them */
    struct index_row last; /* the newest row, when rows_known and there is one */
    bool last_known;
};

/* What a search compares: rows are in order by either. */
enum index_field { INDEX_BY_KEY, INDEX_BY_VALUE };

/* Begins without rows in file or tail. index_deinit frees the tail. */
void index_init(struct index *index, enum index_kind kind);
void index_deinit(struct index *index);

/* Bytes of one row: 8 for offsets, 12 for times, 38 for aborts. */
size_t index_row_bytes(enum index_kind kind);

/* ".index", ".timeindex" or ".txnindex". */
const char *index_suffix(enum index_kind kind);

/* How many rows there are, in file and tail. */
static inline int64_t index_rows(const struct index *index)
{
    return index->file_rows + (int64_t)(index->tail.size / index_row_bytes(index->kind));
}

/* Adds a row to the tail; of aborts see txn_index_add. */
void index_add(struct index *index, int64_t key, int64_t value);

/* The last row of the tail whose field is <= target; false when the tail holds none. */
bool index_tail_floor(const struct index *index, enum index_field field, int64_t target,
                      struct index_row *row);

/*
 * The last of the first `rows` rows of the index file at `path` whose field is <= target. *found
 * false when there is none or the file is shorter. ERR_IO, ERR_NOT_FOUND; ERR_CORRUPT of a row of
 * aborts that does not fit its checksum.
 */
CHECKED enum err index_file_floor(const struct file_ops *files, const char *path,
                                  enum index_kind kind, int64_t rows, enum index_field field,
                                  int64_t target, struct index_row *row, bool *found,
                                  struct reason *reason);

/*
 * Writes rows (encoded) behind the first file_rows rows of the file at path, which is created when
 * missing, and syncs it. The file is cut to exactly these rows first.
 */
CHECKED enum err index_write(const struct file_ops *files, const char *path, enum index_kind kind,
                             int64_t file_rows, struct slice rows, struct reason *reason);
CHECKED enum err index_write_unsynced(const struct file_ops *files, const char *path,
                                      enum index_kind kind, int64_t file_rows, struct slice rows,
                                      struct reason *reason);

/* After index_write of the first tail_bytes of the tail: they are in the file now. */
void index_written(struct index *index, size_t tail_bytes);

/* Forgets all rows, in the file and in memory: they are to be rebuilt. */
void index_reset(struct index *index);

#endif
