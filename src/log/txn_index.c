#include "log/txn_index.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <assert.h>
#include <fcntl.h>

enum {
    ROWS_PER_READ = 107, /* about a page */
    VERSION = 1,
    CRC_AT = 34,        /* behind what it covers, which is all of a row of version 0 */
    OLD_ROW_BYTES = 34, /* Kafka's */
};

static void add_row(struct buf *rows, const struct aborted_txn *txn)
{
    size_t at = rows->size;
    buf_append_be16(rows, VERSION);
    buf_append_be64(rows, (uint64_t)txn->producer_id);
    buf_append_be64(rows, (uint64_t)txn->first_offset);
    buf_append_be64(rows, (uint64_t)txn->last_offset);
    buf_append_be64(rows, (uint64_t)txn->last_stable_offset);
    buf_append_be32(rows, crc32c(0, rows->data + at, CRC_AT));
}

void txn_index_add(struct index *index, const struct aborted_txn *txn)
{
    assert(index->kind == INDEX_ABORTS);
    add_row(&index->tail, txn);
}

static bool load_fields(const uint8_t *from, struct aborted_txn *txn)
{
    *txn = (struct aborted_txn){
        .producer_id = (int64_t)load_be64(from + 2),
        .first_offset = (int64_t)load_be64(from + 10),
        .last_offset = (int64_t)load_be64(from + 18),
        .last_stable_offset = (int64_t)load_be64(from + 26),
    };
    return txn->producer_id >= 0 && txn->first_offset >= 0 &&
           txn->first_offset < txn->last_offset && txn->last_stable_offset >= 0 &&
           txn->last_stable_offset - 1 <= txn->last_offset;
}

bool txn_index_row_load(const uint8_t from[TXN_INDEX_ROW_BYTES], struct aborted_txn *txn)
{
    return load_fields(from, txn) && load_be16(from) == VERSION &&
           load_be32(from + CRC_AT) == crc32c(0, from, CRC_AT);
}

bool txn_index_take_over(struct slice old, struct buf *rows)
{
    struct aborted_txn txn;
    if (old.size == 0 || old.size % OLD_ROW_BYTES != 0) {
        return false;
    }
    for (size_t at = 0; at < old.size; at += OLD_ROW_BYTES) {
        if (load_be16(old.data + at) != 0 || !load_fields(old.data + at, &txn)) {
            return false;
        }
        add_row(rows, &txn);
    }
    return true;
}

static int64_t last_offset_at(const uint8_t *row)
{
    return (int64_t)load_be64(row + 18);
}

bool txn_index_collect(struct slice rows, int64_t from, int64_t to, struct aborted_list *list)
{
    size_t count = rows.size / TXN_INDEX_ROW_BYTES;
    size_t low = 0; /* rows below low end before `from` */
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (last_offset_at(rows.data + middle * TXN_INDEX_ROW_BYTES) < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < count; low++) {
        struct aborted_txn txn;
        if (!txn_index_row_load(rows.data + low * TXN_INDEX_ROW_BYTES, &txn)) {
            continue;
        }
        if (txn.last_offset >= from && txn.first_offset < to) {
            vec_push(list, txn);
        }
        if (txn.last_stable_offset >= to) {
            return true; /* all that began before `to` had ended */
        }
    }
    return false;
}

static enum err read_rows(const struct file_ops *files, int fd, int64_t first, int64_t count,
                          uint8_t *to, size_t *got, struct reason *reason)
{
    size_t want = count < ROWS_PER_READ ? (size_t)count : (size_t)ROWS_PER_READ;
    return file_read_at(files, fd, to, want * TXN_INDEX_ROW_BYTES, first * TXN_INDEX_ROW_BYTES, got,
                        reason);
}

static enum err collect_from(const struct file_ops *files, int fd, int64_t first, int64_t rows,
                             int64_t from, int64_t to, struct aborted_list *list, bool *complete,
                             struct reason *reason)
{
    uint8_t bytes[ROWS_PER_READ * TXN_INDEX_ROW_BYTES];
    for (int64_t at = first; at < rows && !*complete;) {
        size_t got;
        enum err err = read_rows(files, fd, at, rows - at, bytes, &got, reason);
        if (err != ERR_NONE) {
            return err;
        }
        int64_t read = (int64_t)(got / TXN_INDEX_ROW_BYTES);
        for (int64_t i = 0; i < read; i++) {
            struct aborted_txn txn;
            if (!txn_index_row_load(bytes + i * TXN_INDEX_ROW_BYTES, &txn)) {
                return reason_fail(reason, ERR_CORRUPT,
                                   "row %lld of a transaction index is damaged; the next start "
                                   "makes it anew",
                                   (long long)(at + i));
            }
        }
        if (read == 0) {
            return reason_fail(reason, ERR_IO, "a transaction index ends after %lld of %lld rows",
                               (long long)at, (long long)rows);
        }
        *complete =
            txn_index_collect(slice_of(bytes, (size_t)read * TXN_INDEX_ROW_BYTES), from, to, list);
        at += read;
    }
    return ERR_NONE;
}

enum err txn_index_collect_file(const struct file_ops *files, const char *path, int64_t rows,
                                int64_t from, int64_t to, struct aborted_list *list, bool *complete,
                                struct reason *reason)
{
    struct index_row before;
    bool found;
    int fd;
    *complete = false;
    enum err err = index_file_floor(files, path, INDEX_ABORTS, rows, INDEX_BY_KEY, from - 1,
                                    &before, &found, reason);
    if (err == ERR_NONE) {
        err = file_open(files, path, O_RDONLY, &fd, reason);
    }
    if (err != ERR_NONE) {
        return err == ERR_NOT_FOUND ? ERR_IO : err;
    }
    int64_t first = found ? before.number + 1 : 0;
    err = collect_from(files, fd, first, rows, from, to, list, complete, reason);
    file_close(files, fd);
    return err;
}

static bool fits(const struct aborted_txn *txn, const struct aborted_txn *before, int64_t base)
{
    return txn->last_offset > before->last_offset && txn->last_offset - base <= INT32_MAX &&
           txn->last_stable_offset >= before->last_stable_offset;
}

static enum err check_rows(const struct file_ops *files, int fd, int64_t base, int64_t end,
                           int64_t size, int64_t *rows, struct reason *reason)
{
    uint8_t bytes[ROWS_PER_READ * TXN_INDEX_ROW_BYTES];
    struct aborted_txn before = {.last_offset = base - 1};
    int64_t count = size / TXN_INDEX_ROW_BYTES;
    for (int64_t at = 0; at < count;) {
        size_t got;
        enum err err = read_rows(files, fd, at, count - at, bytes, &got, reason);
        if (err != ERR_NONE || got < TXN_INDEX_ROW_BYTES) {
            return err;
        }
        for (size_t i = 0; i + TXN_INDEX_ROW_BYTES <= got; i += TXN_INDEX_ROW_BYTES, at++) {
            struct aborted_txn txn;
            if (!txn_index_row_load(bytes + i, &txn) || !fits(&txn, &before, base)) {
                return reason_fail(reason, ERR_CORRUPT, "row %lld of a transaction index is bad",
                                   (long long)at);
            }
            if (txn.last_offset >= end) {
                return ERR_NONE; /* written since: whoever asks makes these anew */
            }
            before = txn;
            *rows = at + 1;
        }
    }
    return ERR_NONE;
}

enum err txn_index_check_file(const struct file_ops *files, const char *path, int64_t base,
                              int64_t end, int64_t *rows, bool *surplus, struct reason *reason)
{
    int fd;
    int64_t size = 0;
    *rows = 0;
    *surplus = false;
    enum err err = file_open(files, path, O_RDONLY, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = file_size(fd, &size, reason);
    if (err == ERR_NONE) {
        err = check_rows(files, fd, base, end, size, rows, reason);
    }
    file_close(files, fd);
    *surplus = *rows * TXN_INDEX_ROW_BYTES < size;
    return err;
}
