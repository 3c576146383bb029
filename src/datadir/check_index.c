#include "base/bytes.h"
#include "base/mem.h"
#include "datadir/check_internal.h"
#include "log/segment.h"

#include <stdlib.h>

/*
 * A row is good when a batch answers to it: of an offset index the one at its position, with its
 * last offset; of a time index the one with its last offset, with its timestamp. Rows rise, as the
 * batches do, so one pass over both is enough.
 */
enum { INDEX_MAX_BYTES = 1 << 30 };

static void fail(struct index_check *index, const char *text)
{
    if (!index->bad) {
        index->bad = true;
        reason_set(&index->why, "row %zu of %zu %s", index->at + 1, index->row_count, text);
    }
}

static struct index_row row_at(const struct index_check *index, size_t number)
{
    const char *from = index->rows + number * index_row_bytes(index->kind);
    if (index->kind == INDEX_OFFSETS) {
        return (struct index_row){(int32_t)load_be32(from), (int32_t)load_be32(from + 4), 0};
    }
    return (struct index_row){(int64_t)load_be64(from), (int32_t)load_be32(from + 8), 0};
}

enum err index_check_init(struct index_check *index, const struct file_ops *files, const char *dir,
                          int64_t base_offset, enum index_kind kind, struct reason *reason)
{
    *index = (struct index_check){.kind = kind, .base_offset = base_offset};
    size_t size;
    char *path = segment_path(dir, base_offset, index_suffix(kind));
    enum err err = file_load(files, path, INDEX_MAX_BYTES, &index->rows, &size, reason);
    free(path);
    if (err == ERR_NOT_FOUND) {
        return ERR_NONE;
    }
    if (err == ERR_NONE) {
        index->row_count = size / index_row_bytes(kind);
        if (size % index_row_bytes(kind) != 0) {
            index->bad = true;
            reason_set(&index->why, "it ends inside a row");
        }
    }
    return err;
}

void index_check_deinit(struct index_check *index)
{
    free(index->rows);
}

/* Whether the row lies before the batch: then nothing answered to it. */
static bool is_passed(const struct index_check *index, const struct index_row *row,
                      int64_t position, const struct batch *batch)
{
    return index->kind == INDEX_OFFSETS
               ? row->value < position
               : index->base_offset + row->value < batch_last_offset(batch);
}

static bool is_of(const struct index_check *index, const struct index_row *row, int64_t position,
                  const struct batch *batch)
{
    return index->kind == INDEX_OFFSETS
               ? row->value == position
               : index->base_offset + row->value == batch_last_offset(batch);
}

void index_check_batch(struct index_check *index, int64_t position, const struct batch *batch)
{
    while (index->at < index->row_count) {
        struct index_row row = row_at(index, index->at);
        if (is_passed(index, &row, position, batch)) {
            fail(index, "names a place where no batch is");
        } else if (!is_of(index, &row, position, batch)) {
            return;
        } else if (index->kind == INDEX_OFFSETS
                       ? index->base_offset + row.key != batch_last_offset(batch)
                       : row.key != batch->max_timestamp) {
            fail(index, "says something else than the batch that it names");
        }
        index->at++;
    }
}

void index_check_damage(struct index_check *index, const struct walk_damage *damage)
{
    while (index->at < index->row_count) {
        struct index_row row = row_at(index, index->at);
        int64_t offset = index->base_offset + row.value;
        bool inside = index->kind == INDEX_OFFSETS
                          ? row.value >= damage->position && row.value < damage->end
                          : offset >= damage->first_offset &&
                                (damage->at_end || offset < damage->next_offset);
        if (!inside) {
            return;
        }
        index->at++;
    }
}

void index_check_finish(struct index_check *index)
{
    if (index->at < index->row_count) {
        fail(index, "names a place behind the last batch");
    }
}
