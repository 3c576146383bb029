#ifndef TIDINGS_LOG_TXN_INDEX_H
#define TIDINGS_LOG_TXN_INDEX_H

#include "base/vec.h"
#include "log/index.h"
#include "log/log.h"

/*
 * The aborted transactions whose markers are in one segment, in Kafka's format (AbortedTxn) with a
 * checksum: version i16 = 1, producer id i64, first offset i64, last offset i64 (the marker's),
 * last stable offset i64 (once the marker was there), CRC-32C of these. Rows of version 0, without
 * one, are Kafka's and those of older programs. By last offset, which rises; the last stable offset
 * never falls. An INDEX_ABORTS index: the first rows are in the file, the newest in its tail.
 */
enum { TXN_INDEX_ROW_BYTES = 38 };

/* A row at the end of the tail. Guarded as the index. */
void txn_index_add(struct index *index, const struct aborted_txn *txn);

/* A row; false when its version is another, its checksum does not fit, or its offsets cannot be.
 * Any bytes. */
CHECKED bool txn_index_row_load(const uint8_t from[TXN_INDEX_ROW_BYTES], struct aborted_txn *txn);

/* Whether the bytes of a whole file are rows of version 0, which are added to *rows as they are to
 * be now. *rows holds some of them when false. */
CHECKED bool txn_index_take_over(struct slice old, struct buf *rows);

struct aborted_list {
    VEC_FIELDS(struct aborted_txn);
};

/*
 * Adds the transactions of encoded rows that overlap [from, to). True: no later row, in this
 * segment or behind it, can overlap. Bad rows are skipped.
 */
bool txn_index_collect(struct slice rows, int64_t from, int64_t to, struct aborted_list *list);

/* The same of the first `rows` rows of the file at path; *complete is what txn_index_collect
 * returns. ERR_IO, also when the file is missing or shorter; ERR_CORRUPT when a row that was looked
 * at does not fit its checksum. */
CHECKED enum err txn_index_collect_file(const struct file_ops *files, const char *path,
                                        int64_t rows, int64_t from, int64_t to,
                                        struct aborted_list *list, bool *complete,
                                        struct reason *reason);

/*
 * Checks the file of a segment that is opened: *rows is how many of its rows, from the first on,
 * have a last offset below `end`; *surplus: there are bytes behind them. ERR_CORRUPT when rows
 * before that cannot be rows of a segment that begins at base. ERR_IO.
 */
CHECKED enum err txn_index_check_file(const struct file_ops *files, const char *path, int64_t base,
                                      int64_t end, int64_t *rows, bool *surplus,
                                      struct reason *reason);

#endif
