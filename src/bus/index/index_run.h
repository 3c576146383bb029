#ifndef TIDINGS_BUS_INDEX_INDEX_RUN_H
#define TIDINGS_BUS_INDEX_INDEX_RUN_H

#include "base/file.h"
#include "bus/index/index_places.h"

/*
 * One sorted run of the index: a file of (hash, number) pairs by rising hash, and for each hash by
 * rising number, with the places that the numbers stand for. It is written once, from the front to
 * the end, and never changed. What one look-up needs is two reads of a page, however large it is.
 *
 * The file (docs/formats.md, "The index of events"): a head, pages of entries, pages with the first
 * hash of each of those, the places. Every page has a checksum and its own number.
 */
struct index_entry {
    uint64_t hash;
    uint32_t number;
};

/* By hash, then by number. */
static inline bool index_entry_is_before(struct index_entry a, struct index_entry b)
{
    return a.hash != b.hash ? a.hash < b.hash : a.number < b.number;
}

enum {
    INDEX_PAGE_BYTES = 4096,
    INDEX_PAGE_ENTRIES = 340,
    INDEX_FENCE_HASHES = 510,
};

/* --- writing (index_run_write.c); one thread --- */

struct index_run_writer;

/* Begins PATH.tmp. Takes over what is in *places. */
CHECKED enum err index_run_write_begin(const struct file_ops *files, const char *path,
                                       struct index_places *places,
                                       struct index_run_writer **writer, struct reason *reason);

/* The next entry. The same as the last one is left out; one before that is ERR_CORRUPT. */
CHECKED enum err index_run_write_add(struct index_run_writer *writer, struct index_entry entry,
                                     struct reason *reason);

/* Completes the file, syncs it and gives it its name, which is durable once the directory is
 * synced. The writer is freed, whatever happens; after an error nothing is left of it. */
CHECKED enum err index_run_write_end(struct index_run_writer *writer, struct reason *reason);

/* Gives up: nothing is left. NULL is fine. */
void index_run_write_abandon(struct index_run_writer *writer);

/* --- reading (index_run.c) --- */

struct index_run {
    const struct file_ops *files;
    char *path;
    int fd;
    uint64_t entries;
    int64_t size_bytes; /* of the file */
    struct index_places places;

    /* of the pages with first hashes, the first of each */
    VEC(uint64_t) roots;
    uint32_t pages;
};

/* ERR_CORRUPT with the path when it is not what was written; ERR_NOT_FOUND, ERR_IO. */
CHECKED enum err index_run_open(const struct file_ops *files, const char *path,
                                struct index_run **run, struct reason *reason);

/* NULL is fine. The file stays. */
void index_run_close(struct index_run *run);

typedef bool index_each_number(void *context, uint32_t number);

/* Where in a run a hash is to be looked for. */
struct index_spot {
    uint64_t hash;
    uint32_t page; /* of entries, the last that may have it */
    bool is_there; /* some page may have it */
};

/*
 * A look-up has three steps, so that one for many runs and hashes, of which nothing is in memory,
 * takes little longer than one for a single hash: each step is done for all of them before the
 * next, and the kernel reads meanwhile what the next one needs. Any thread, several at once.
 */

/* First: has the kernel read the page that tells which page has the hash, without waiting for it.
 * It only helps: nothing is told of what fails. */
void index_run_ahead(const struct index_run *run, uint64_t hash);

/* Second: reads that page, and has the kernel read the one of *spot. ERR_CORRUPT, ERR_IO. */
CHECKED enum err index_run_seek(const struct index_run *run, uint64_t hash, struct index_spot *spot,
                                struct reason *reason);

/* Third: calls each(context, number) for the numbers of the spot's hash, highest first, until it
 * returns false. ERR_CORRUPT, ERR_IO. */
CHECKED enum err index_run_find(const struct index_run *run, const struct index_spot *spot,
                                index_each_number *each, void *context, struct reason *reason);

/* Goes through all entries in their order. Zeroed but for the run it stands before the first. */
struct index_run_cursor {
    const struct index_run *run;
    uint32_t page; /* of the next that is to be read */
    size_t at, count;
    struct index_entry *entries; /* of some pages; free it */
    uint8_t *bytes;              /* free it */
};

/* *entry is the next one; *got false: there was none left. */
CHECKED enum err index_run_next(struct index_run_cursor *cursor, struct index_entry *entry,
                                bool *got, struct reason *reason);

#endif
