#include "log/index.h"

#include "base/crc32c.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

enum { INDEX_BLOCK_BYTES = 4096 };

void index_init(struct index *index, enum index_kind kind)
{
    *index = (struct index){.kind = kind};
}

void index_deinit(struct index *index)
{
    buf_deinit(&index->tail);
}

size_t index_row_bytes(enum index_kind kind)
{
    static const size_t bytes[] = {[INDEX_OFFSETS] = 8, [INDEX_TIMES] = 12, [INDEX_ABORTS] = 38};
    return bytes[kind];
}

const char *index_suffix(enum index_kind kind)
{
    static const char *const suffixes[] = {
        [INDEX_OFFSETS] = ".index", [INDEX_TIMES] = ".timeindex", [INDEX_ABORTS] = ".txnindex"};
    return suffixes[kind];
}

static struct index_row row_load(enum index_kind kind, const uint8_t *from)
{
    if (kind == INDEX_OFFSETS) {
        return (struct index_row){.key = (int32_t)load_be32(from),
                                  .value = (int32_t)load_be32(from + 4)};
    }
    if (kind == INDEX_ABORTS) {
        return (struct index_row){.key = (int64_t)load_be64(from + 18),
                                  .value = (int64_t)load_be64(from + 10)};
    }
    return (struct index_row){.key = (int64_t)load_be64(from),
                              .value = (int32_t)load_be32(from + 8)};
}

/* Rows of the others are hints, these are believed. */
static bool row_is_good(enum index_kind kind, const uint8_t *from)
{
    size_t size = index_row_bytes(kind) - sizeof(uint32_t);
    return kind != INDEX_ABORTS || crc32c(0, from, size) == load_be32(from + size);
}

void index_add(struct index *index, int64_t key, int64_t value)
{
    assert(index->kind != INDEX_ABORTS);
    if (index->kind == INDEX_OFFSETS) {
        assert(key >= 0 && key <= INT32_MAX && value >= 0 && value <= INT32_MAX);
        buf_append_be32(&index->tail, (uint32_t)key);
    } else {
        assert(value >= 0 && value <= INT32_MAX);
        buf_append_be64(&index->tail, (uint64_t)key);
    }
    buf_append_be32(&index->tail, (uint32_t)value);
    index->last = (struct index_row){.key = key, .value = value};
    index->last_known = true;
}

static int64_t row_field(struct index_row row, enum index_field field)
{
    return field == INDEX_BY_KEY ? row.key : row.value;
}

bool index_tail_floor(const struct index *index, enum index_field field, int64_t target,
                      struct index_row *row)
{
    size_t row_bytes = index_row_bytes(index->kind);
    size_t low = 0; /* rows below low are <= target */
    size_t high = index->tail.size / row_bytes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct index_row probe = row_load(index->kind, index->tail.data + middle * row_bytes);
        if (row_field(probe, field) <= target) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return false;
    }
    *row = row_load(index->kind, index->tail.data + (low - 1) * row_bytes);
    return true;
}

/* One block of the file at a time: the last steps of a binary search fall into the same one. */
struct block {
    uint8_t bytes[INDEX_BLOCK_BYTES];
    int64_t first_row;
    int64_t row_count;
};

static enum err block_row(const struct file_ops *files, int fd, enum index_kind kind,
                          struct block *block, int64_t number, struct index_row *row, bool *found,
                          struct reason *reason)
{
    size_t row_bytes = index_row_bytes(kind);
    if (number < block->first_row || number >= block->first_row + block->row_count) {
        int64_t per_block = (int64_t)(INDEX_BLOCK_BYTES / row_bytes);
        block->first_row = number / per_block * per_block;
        size_t got;
        enum err err = file_read_at(files, fd, block->bytes, (size_t)per_block * row_bytes,
                                    block->first_row * (int64_t)row_bytes, &got, reason);
        if (err != ERR_NONE) {
            block->row_count = 0;
            return err;
        }
        block->row_count = (int64_t)(got / row_bytes);
    }
    *found = number < block->first_row + block->row_count;
    if (*found) {
        const uint8_t *from = block->bytes + (size_t)(number - block->first_row) * row_bytes;
        *row = row_load(kind, from);
        return row_is_good(kind, from)
                   ? ERR_NONE
                   : reason_fail(reason, ERR_CORRUPT, "row %lld of a transaction index is damaged",
                                 (long long)number);
    }
    return ERR_NONE;
}

enum err index_file_floor(const struct file_ops *files, const char *path, enum index_kind kind,
                          int64_t rows, enum index_field field, int64_t target,
                          struct index_row *row, bool *found, struct reason *reason)
{
    *found = false;
    if (rows == 0) {
        return ERR_NONE;
    }
    int fd;
    enum err err = file_open(files, path, O_RDONLY, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct block block = {.row_count = 0};
    int64_t low = 0;
    int64_t high = rows;
    while (low < high && err == ERR_NONE) {
        int64_t middle = low + (high - low) / 2;
        struct index_row probe;
        bool there = false;
        err = block_row(files, fd, kind, &block, middle, &probe, &there, reason);
        if (err == ERR_NONE && there && row_field(probe, field) <= target) {
            low = middle + 1;
            *row = probe;
            row->number = middle;
            *found = true;
        } else {
            high = middle;
        }
    }
    file_close(files, fd);
    return err;
}

static enum err write_rows(const struct file_ops *files, int fd, int64_t position,
                           struct slice rows, bool sync, struct reason *reason)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)rows.data, .iov_len = rows.size};
    enum err err = file_truncate(files, fd, position, reason);
    if (err == ERR_NONE) {
        err = file_write_at(files, fd, &iov, 1, position, reason);
    }
    return err == ERR_NONE && sync ? file_sync(files, fd, reason) : err;
}

static enum err open_and_write(const struct file_ops *files, const char *path, enum index_kind kind,
                               int64_t file_rows, struct slice rows, bool sync,
                               struct reason *reason)
{
    int fd;
    enum err err = file_open(files, path, O_RDWR | O_CREAT, &fd, reason);
    if (err == ERR_NONE) {
        int64_t position = file_rows * (int64_t)index_row_bytes(kind);
        err = write_rows(files, fd, position, rows, sync, reason);
        file_close(files, fd);
    }
    return err;
}

enum err index_write(const struct file_ops *files, const char *path, enum index_kind kind,
                     int64_t file_rows, struct slice rows, struct reason *reason)
{
    return open_and_write(files, path, kind, file_rows, rows, true, reason);
}

enum err index_write_unsynced(const struct file_ops *files, const char *path, enum index_kind kind,
                              int64_t file_rows, struct slice rows, struct reason *reason)
{
    return open_and_write(files, path, kind, file_rows, rows, false, reason);
}

void index_written(struct index *index, size_t tail_bytes)
{
    index->file_rows += (int64_t)(tail_bytes / index_row_bytes(index->kind));
    buf_consume(&index->tail, tail_bytes);
    if (index->tail.size == 0) {
        buf_deinit(&index->tail); /* most segments are closed: hold no memory for them */
        index->tail = (struct buf){0};
    }
}

void index_reset(struct index *index)
{
    index->file_rows = 0;
    index->last_known = false;
    buf_clear(&index->tail);
}
