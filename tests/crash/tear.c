#include "tear.h"
#include "base/file.h"
#include "base/mem.h"
#include "crash.h"
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was synced, from the file that the preloaded witness writes. */
struct witness {
    struct witness_record *records;
    size_t count;
};

static struct witness load_witness(const struct tear *tear)
{
    char *data;
    size_t size;
    struct reason reason;
    if (file_load(file_ops_system(), tear->witness_path, 1 << 30, &data, &size, &reason) !=
        ERR_NONE) {
        crash_fail("%s", reason.text);
    }
    return (struct witness){(struct witness_record *)(void *)data,
                            size / sizeof(struct witness_record)};
}

static int64_t synced_bytes(const struct witness *witness, uint64_t inode)
{
    for (size_t i = witness->count; i > 0; i--) {
        if (witness->records[i - 1].inode == inode) {
            return witness->records[i - 1].size;
        }
    }
    return 0;
}

static void overwrite(struct tear *tear, int fd, int64_t at, int64_t size, bool zeros)
{
    uint8_t *bytes = mem_alloc((size_t)size + 1);
    for (int64_t i = 0; i < size; i++) {
        bytes[i] = zeros ? 0 : (uint8_t)random_next(&tear->random);
    }
    if (pwrite(fd, bytes, (size_t)size, at) != size) {
        crash_fail("cannot tear: %s", strerror(errno));
    }
    free(bytes);
}

enum {
    BLOCK_BYTES = 4096,
    MOST_BLOCKS = 4,
    HOLE_LEAST_BYTES = 61, /* fewer zeros may be what stood there anyway */
};

/*
 * Takes some whole blocks of what was not synced, while later ones were written: they read as
 * zeros, the first one from where it was synced. True when bytes are missing for sure.
 */
static bool leave_hole(struct tear *tear, int fd, int64_t synced, int64_t size)
{
    int64_t block = synced / BLOCK_BYTES;
    int64_t blocks = (size - 1) / BLOCK_BYTES - block + 1;
    block += (int64_t)random_below(&tear->random, (uint64_t)blocks);
    int64_t from = block * BLOCK_BYTES > synced ? block * BLOCK_BYTES : synced;
    int64_t to = (block + 1 + (int64_t)random_below(&tear->random, MOST_BLOCKS)) * BLOCK_BYTES;
    to = to < size ? to : size;
    overwrite(tear, fd, from, to - from, true);
    tear->torn_bytes += to - from;
    return to - from >= HOLE_LEAST_BYTES;
}

/*
 * Takes bytes that were not synced: cut off, or never written though the file's size was, or though
 * later ones were. True when bytes are missing for sure though the file goes on.
 */
static bool tear_file(struct tear *tear, const char *path, int64_t synced, bool keep_size)
{
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        crash_fail("cannot open %s: %s", path, strerror(errno));
    }
    int64_t size = status.st_size;
    synced = synced < size ? synced : size; /* an index may have been made anew */
    int64_t at = synced + (int64_t)random_below(&tear->random, (uint64_t)(size - synced) + 1);
    uint64_t how = random_below(&tear->random, 8);
    if (how >= 4 && synced < size) {
        bool missing = leave_hole(tear, fd, synced, size);
        close(fd);
        return missing;
    }
    at = how == 3 ? synced : at; /* everything */
    if (at == size) {
        close(fd);
        return false;
    }
    tear->torn_bytes += size - at;
    if (how >= 2 || !keep_size) {
        if (ftruncate(fd, at) != 0) {
            crash_fail("cannot tear: %s", strerror(errno));
        }
    } else {
        overwrite(tear, fd, at, size - at, how == 0);
    }
    close(fd);
    return how < 2 && keep_size;
}

struct tearing {
    struct tear *tear;
    struct witness witness;
    char *dir;
    int64_t last_base; /* of the newest segment */
    int torn;
};

static enum err find_last(void *context, const char *name)
{
    struct tearing *tearing = context;
    size_t size = strlen(name);
    if (size == 24 && strcmp(name + 20, ".log") == 0 && atoll(name) > tearing->last_base) {
        tearing->last_base = atoll(name);
    }
    return ERR_NONE;
}

static enum err tear_entry(void *context, const char *name)
{
    struct tearing *tearing = context;
    size_t size = strlen(name);
    bool is_log = size == 24 && strcmp(name + 20, ".log") == 0;
    bool is_index = size > 5 && strcmp(name + size - 5, "index") == 0;
    struct stat status;
    char *path = mem_sprintf("%s/%s", tearing->dir, name);
    if ((is_log || is_index) && stat(path, &status) == 0) {
        int64_t synced = synced_bytes(&tearing->witness, status.st_ino);
        bool keep_size = is_index || atoll(name) == tearing->last_base;
        tearing->torn += tear_file(tearing->tear, path, synced, keep_size) && is_log;
    }
    free(path);
    return ERR_NONE;
}

static enum err tear_log(void *context, const char *name)
{
    struct tearing *tearing = context;
    tearing->dir = mem_sprintf("%s/topics/%s", tearing->tear->data_dir, name);
    tearing->last_base = -1;
    enum err err = file_list_dir(tearing->dir, find_last, tearing, NULL);
    if (err == ERR_NONE) {
        err = file_list_dir(tearing->dir, tear_entry, tearing, NULL);
    }
    free(tearing->dir);
    return err;
}

/*
 * SQLite's bytes: what it wrote behind the size that a file had at its last sync. (What it writes
 * over older bytes is not known here.) A file that was not synced in this run was not written in
 * it.
 */
static void tear_catalogue(struct tearing *tearing)
{
    static const char *const names[] = {"tidings.db", "tidings.db-wal", "tidings-copy.db",
                                        "tidings-copy.db-wal"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stat status;
        char *path = mem_sprintf("%s/%s", tearing->tear->data_dir, names[i]);
        int64_t synced =
            stat(path, &status) == 0 ? synced_bytes(&tearing->witness, status.st_ino) : 0;
        if (synced > 0 && synced < status.st_size) {
            (void)tear_file(tearing->tear, path, synced, true);
        }
        free(path);
    }
}

int tear_tails(struct tear *tear)
{
    struct tearing tearing = {.tear = tear, .witness = load_witness(tear)};
    char *dir = mem_sprintf("%s/topics", tear->data_dir);
    if (file_list_dir(dir, tear_log, &tearing, NULL) != ERR_NONE) {
        crash_fail("cannot list %s", dir);
    }
    free(dir);
    tear_catalogue(&tearing);
    free(tearing.witness.records);
    return tearing.torn;
}
