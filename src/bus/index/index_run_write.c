#include "bus/index/index_page.h"

#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_BYTES = 64 * INDEX_PAGE_BYTES };

struct index_run_writer {
    const struct file_ops *files;
    char *path;
    char *temporary;
    int fd;
    struct index_places places;

    struct buf out;                 /* whole pages that are to be written */
    int64_t written;                /* bytes of the file that are */
    uint8_t page[INDEX_PAGE_BYTES]; /* the next one, of entries */
    size_t page_entries;            /* that it has */
    VEC(uint64_t) firsts;           /* of each page of entries */
    uint64_t entries;
    struct index_entry last;
};

static void free_writer(struct index_run_writer *writer)
{
    if (writer->fd >= 0) {
        file_close(writer->files, writer->fd);
    }
    index_places_deinit(&writer->places);
    buf_deinit(&writer->out);
    vec_deinit(&writer->firsts);
    free(writer->path);
    free(writer->temporary);
    free(writer);
}

enum err index_run_write_begin(const struct file_ops *files, const char *path,
                               struct index_places *places, struct index_run_writer **out,
                               struct reason *reason)
{
    struct index_run_writer *writer = mem_new(struct index_run_writer);
    writer->files = files;
    writer->path = mem_strdup(path);
    writer->temporary = mem_sprintf("%s.tmp", path);
    writer->places = *places;
    *places = (struct index_places){0};
    writer->written = INDEX_PAGE_BYTES; /* the head comes last */
    writer->fd = -1;
    enum err err =
        file_open(files, writer->temporary, O_RDWR | O_CREAT | O_TRUNC, &writer->fd, reason);
    if (err != ERR_NONE) {
        free_writer(writer);
        return err;
    }
    *out = writer;
    return ERR_NONE;
}

void index_run_write_abandon(struct index_run_writer *writer)
{
    if (writer != NULL) {
        (void)!file_unlink(writer->files, writer->temporary, NULL);
        free_writer(writer);
    }
}

static enum err write_out(struct index_run_writer *writer, struct reason *reason)
{
    struct iovec piece = {.iov_base = writer->out.data, .iov_len = writer->out.size};
    size_t size = writer->out.size;
    enum err err =
        size == 0 ? ERR_NONE
                  : file_write_at(writer->files, writer->fd, &piece, 1, writer->written, reason);
    writer->written += (int64_t)size;
    buf_clear(&writer->out);
    return err;
}

/* Hands the page on that is in writer->page, and leaves an empty one. */
static enum err put_page(struct index_run_writer *writer, struct reason *reason)
{
    int64_t position = writer->written + (int64_t)writer->out.size;
    index_page_seal(writer->page, (uint32_t)(position / INDEX_PAGE_BYTES));
    buf_append(&writer->out, writer->page, sizeof writer->page);
    memset(writer->page, 0, sizeof writer->page);
    writer->page_entries = 0;
    return writer->out.size < WRITE_BYTES ? ERR_NONE : write_out(writer, reason);
}

enum err index_run_write_add(struct index_run_writer *writer, struct index_entry entry,
                             struct reason *reason)
{
    if (writer->entries > 0 && !index_entry_is_before(writer->last, entry)) {
        bool is_same = writer->last.hash == entry.hash && writer->last.number == entry.number;
        return is_same
                   ? ERR_NONE
                   : reason_fail(reason, ERR_CORRUPT, "%s: entries are out of order", writer->path);
    }
    if (writer->page_entries == 0) {
        vec_push(&writer->firsts, entry.hash);
    }
    store_be64(writer->page + writer->page_entries * 8, entry.hash);
    store_be32(writer->page + INDEX_NUMBERS_AT + writer->page_entries * 4, entry.number);
    writer->page_entries++;
    writer->entries++;
    writer->last = entry;
    return writer->page_entries < INDEX_PAGE_ENTRIES ? ERR_NONE : put_page(writer, reason);
}

static enum err write_fences(struct index_run_writer *writer, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE && i < writer->firsts.count; i++) {
        size_t at = i % INDEX_FENCE_HASHES;
        store_be64(writer->page + at * 8, writer->firsts.items[i]);
        if (at == INDEX_FENCE_HASHES - 1 || i == writer->firsts.count - 1) {
            err = put_page(writer, reason);
        }
    }
    return err;
}

static enum err write_head(struct index_run_writer *writer, struct slice places,
                           struct reason *reason)
{
    size_t fence_pages = (writer->firsts.count + INDEX_FENCE_HASHES - 1) / INDEX_FENCE_HASHES;
    uint8_t *head = writer->page;
    memcpy(head, INDEX_MAGIC, 4);
    store_be32(head + 4, INDEX_VERSION);
    store_be64(head + 8, writer->entries);
    store_be32(head + 16, (uint32_t)writer->firsts.count);
    store_be32(head + 20, (uint32_t)fence_pages);
    store_be64(head + 24, places.size);
    store_be32(head + 32, crc32c(0, places.data, places.size));
    index_page_seal(head, 0);
    struct iovec piece = {.iov_base = head, .iov_len = INDEX_PAGE_BYTES};
    return file_write_at(writer->files, writer->fd, &piece, 1, 0, reason);
}

static enum err write_rest(struct index_run_writer *writer, struct reason *reason)
{
    struct buf places = {0};
    enum err err = writer->page_entries > 0 ? put_page(writer, reason) : ERR_NONE;
    if (err == ERR_NONE) {
        err = write_fences(writer, reason);
    }
    if (err == ERR_NONE) {
        index_places_encode(&writer->places, &places);
        buf_append_slice(&writer->out, buf_slice(&places));
        err = write_out(writer, reason);
    }
    if (err == ERR_NONE) {
        err = write_head(writer, buf_slice(&places), reason);
    }
    buf_deinit(&places);
    return err;
}

enum err index_run_write_end(struct index_run_writer *writer, struct reason *reason)
{
    enum err err = write_rest(writer, reason);
    if (err == ERR_NONE) {
        err = file_sync(writer->files, writer->fd, reason);
    }
    if (err == ERR_NONE) {
        err = file_rename(writer->files, writer->temporary, writer->path, reason);
    }
    if (err != ERR_NONE) {
        index_run_write_abandon(writer);
        return err;
    }
    free_writer(writer);
    return ERR_NONE;
}
