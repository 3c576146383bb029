#include "bus/index/index_page.h"

#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { CURSOR_PAGES = 16, PLACES_MOST_BYTES = 1 << 30 };

static enum err damaged(const struct index_run *run, struct reason *reason, const char *what)
{
    return reason_fail(reason, ERR_CORRUPT, "%s: %s", run->path, what);
}

/* Reads whole pages from the file's page `number` on, and looks whether they are good. */
static enum err read_pages(const struct index_run *run, uint32_t number, size_t count, uint8_t *to,
                           struct reason *reason)
{
    size_t size = count * INDEX_PAGE_BYTES;
    size_t got;
    enum err err = file_read_at(run->files, run->fd, to, size, (int64_t)number * INDEX_PAGE_BYTES,
                                &got, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (got < size) {
        return damaged(run, reason, "it ends too early");
    }
    for (size_t i = 0; i < count; i++) {
        if (!index_page_is_good(to + i * INDEX_PAGE_BYTES, number + (uint32_t)i)) {
            return damaged(run, reason, "the checksum of a page does not fit");
        }
    }
    return ERR_NONE;
}

static enum err read_head(struct index_run *run, struct index_head *head, struct reason *reason)
{
    uint8_t page[INDEX_PAGE_BYTES];
    enum err err = read_pages(run, 0, 1, page, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (memcmp(page, INDEX_MAGIC, 4) != 0 || load_be32(page + 4) != INDEX_VERSION) {
        return damaged(run, reason, "it is of another version");
    }
    *head = (struct index_head){
        .entries = load_be64(page + 8),
        .pages = load_be32(page + 16),
        .fence_pages = load_be32(page + 20),
        .places_bytes = load_be64(page + 24),
        .places_crc = load_be32(page + 32),
    };
    uint64_t pages = (head->entries + INDEX_PAGE_ENTRIES - 1) / INDEX_PAGE_ENTRIES;
    uint64_t fences = (pages + INDEX_FENCE_HASHES - 1) / INDEX_FENCE_HASHES;
    if (head->pages != pages || head->fence_pages != fences ||
        head->places_bytes > PLACES_MOST_BYTES ||
        (1 + pages + fences) * INDEX_PAGE_BYTES + head->places_bytes != (uint64_t)run->size_bytes) {
        return damaged(run, reason, "its parts do not fit its size");
    }
    return ERR_NONE;
}

static enum err read_places(struct index_run *run, const struct index_head *head,
                            struct reason *reason)
{
    int64_t position = (int64_t)(1 + (uint64_t)head->pages + head->fence_pages) * INDEX_PAGE_BYTES;
    uint8_t *bytes = mem_alloc(head->places_bytes);
    size_t got;
    enum err err =
        file_read_at(run->files, run->fd, bytes, head->places_bytes, position, &got, reason);
    if (err == ERR_NONE &&
        (got < head->places_bytes || crc32c(0, bytes, got) != head->places_crc)) {
        err = damaged(run, reason, "the checksum of its places does not fit");
    }
    if (err == ERR_NONE) {
        err = index_places_decode(&run->places, slice_of(bytes, got), reason);
    }
    free(bytes);
    return err;
}

static enum err read_roots(struct index_run *run, const struct index_head *head,
                           struct reason *reason)
{
    uint8_t page[INDEX_PAGE_BYTES];
    enum err err = ERR_NONE;
    for (uint32_t i = 0; err == ERR_NONE && i < head->fence_pages; i++) {
        err = read_pages(run, 1 + head->pages + i, 1, page, reason);
        if (err == ERR_NONE) {
            vec_push(&run->roots, load_be64(page));
        }
    }
    return err;
}

enum err index_run_open(const struct file_ops *files, const char *path, struct index_run **out,
                        struct reason *reason)
{
    struct index_head head = {0};
    struct index_run *run = mem_new(struct index_run);
    run->files = files;
    run->path = mem_strdup(path);
    run->fd = -1;
    enum err err = file_open(files, path, O_RDONLY, &run->fd, reason);
    if (err == ERR_NONE) {
        err = file_size(run->fd, &run->size_bytes, reason);
    }
    if (err == ERR_NONE) {
        err = read_head(run, &head, reason);
    }
    if (err == ERR_NONE) {
        err = read_places(run, &head, reason);
    }
    if (err == ERR_NONE) {
        run->entries = head.entries;
        run->pages = head.pages;
        err = read_roots(run, &head, reason);
    }
    if (err != ERR_NONE) {
        index_run_close(run);
        return err;
    }
    *out = run;
    return ERR_NONE;
}

void index_run_close(struct index_run *run)
{
    if (run == NULL) {
        return;
    }
    if (run->fd >= 0) {
        file_close(run->files, run->fd);
    }
    index_places_deinit(&run->places);
    vec_deinit(&run->roots);
    free(run->path);
    free(run);
}

/* How many of the entries that begin at 0 stand on this page of entries. */
static size_t entries_of(const struct index_run *run, uint32_t page)
{
    uint64_t left = run->entries - (uint64_t)page * INDEX_PAGE_ENTRIES;
    return left < INDEX_PAGE_ENTRIES ? (size_t)left : INDEX_PAGE_ENTRIES;
}

/* How many of `count` big-endian hashes, which rise, are not above `hash`. */
static size_t count_up_to(const uint8_t *hashes, size_t count, uint64_t hash)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (load_be64(hashes + middle * 8) <= hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* How many pages of first hashes begin at or before the hash. */
static size_t count_roots(const struct index_run *run, uint64_t hash)
{
    size_t low = 0;
    size_t high = run->roots.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (run->roots.items[middle] <= hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void read_ahead(const struct index_run *run, uint64_t page)
{
    (void)posix_fadvise(run->fd, (off_t)(page * INDEX_PAGE_BYTES), INDEX_PAGE_BYTES,
                        POSIX_FADV_WILLNEED);
}

void index_run_ahead(const struct index_run *run, uint64_t hash)
{
    size_t roots = count_roots(run, hash);
    if (roots > 0) {
        read_ahead(run, (uint64_t)run->pages + roots);
    }
}

enum err index_run_seek(const struct index_run *run, uint64_t hash, struct index_spot *spot,
                        struct reason *reason)
{
    uint8_t fences[INDEX_PAGE_BYTES];
    size_t roots = count_roots(run, hash);
    *spot = (struct index_spot){.hash = hash, .is_there = roots > 0};
    if (!spot->is_there) {
        return ERR_NONE;
    }
    uint32_t before = (uint32_t)(roots - 1) * INDEX_FENCE_HASHES;
    size_t count =
        run->pages - before < INDEX_FENCE_HASHES ? run->pages - before : INDEX_FENCE_HASHES;
    enum err err = read_pages(run, run->pages + (uint32_t)roots, 1, fences, reason);
    if (err == ERR_NONE) {
        size_t up_to = count_up_to(fences, count, hash);
        if (up_to == 0) {
            return damaged(run, reason, "its first hashes are out of order");
        }
        spot->page = before + (uint32_t)up_to - 1;
        read_ahead(run, 1 + (uint64_t)spot->page);
    }
    return err;
}

enum err index_run_find(const struct index_run *run, const struct index_spot *spot,
                        index_each_number *each, void *context, struct reason *reason)
{
    uint8_t page[INDEX_PAGE_BYTES];
    uint32_t at = spot->page;
    bool more = spot->is_there;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && more) {
        err = read_pages(run, 1 + at, 1, page, reason);
        size_t i = err == ERR_NONE ? count_up_to(page, entries_of(run, at), spot->hash) : 0;
        while (more && i > 0 && load_be64(page + (i - 1) * 8) == spot->hash) {
            i--;
            uint32_t number = load_be32(page + INDEX_NUMBERS_AT + i * 4);
            if (number >= index_places_count(&run->places)) {
                return damaged(run, reason, "an entry is of no event");
            }
            more = each(context, number);
        }
        more = more && i == 0 && at > 0;
        at--;
    }
    return err;
}

static enum err fill_cursor(struct index_run_cursor *cursor, struct reason *reason)
{
    const struct index_run *run = cursor->run;
    uint32_t left = run->pages - cursor->page;
    size_t pages = left < CURSOR_PAGES ? left : CURSOR_PAGES;
    if (cursor->bytes == NULL) {
        cursor->bytes = mem_alloc((size_t)CURSOR_PAGES * INDEX_PAGE_BYTES);
        cursor->entries = mem_new_array(struct index_entry, CURSOR_PAGES * INDEX_PAGE_ENTRIES);
    }
    enum err err = read_pages(run, 1 + cursor->page, pages, cursor->bytes, reason);
    cursor->at = 0;
    cursor->count = 0;
    for (size_t i = 0; err == ERR_NONE && i < pages; i++) {
        const uint8_t *page = cursor->bytes + i * INDEX_PAGE_BYTES;
        size_t count = entries_of(run, cursor->page + (uint32_t)i);
        for (size_t j = 0; j < count; j++) {
            cursor->entries[cursor->count++] = (struct index_entry){
                load_be64(page + j * 8), load_be32(page + INDEX_NUMBERS_AT + j * 4)};
        }
    }
    cursor->page += (uint32_t)pages;
    return err;
}

enum err index_run_next(struct index_run_cursor *cursor, struct index_entry *entry, bool *got,
                        struct reason *reason)
{
    enum err err = ERR_NONE;
    if (cursor->at == cursor->count && cursor->page < cursor->run->pages) {
        err = fill_cursor(cursor, reason);
    }
    *got = err == ERR_NONE && cursor->at < cursor->count;
    if (*got) {
        *entry = cursor->entries[cursor->at++];
    }
    return err;
}
