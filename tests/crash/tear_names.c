#include "base/file.h"
#include "base/mem.h"
#include "crash.h"
#include "tear.h"
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What no sync of a directory covered: names that a power failure may bring back or take away. */
struct names {
    struct tear *tear;
    struct witness_name *items;
    size_t count;
    bool *undone;
};

static char *names_path(const struct tear *tear)
{
    return mem_sprintf("%s" WITNESS_NAMES, tear->witness_path);
}

static void load_names(struct names *names)
{
    struct reason reason;
    char *path = names_path(names->tear);
    char *data = NULL;
    size_t size = 0;
    if (file_exists(path) &&
        file_load(file_ops_system(), path, 1 << 30, &data, &size, &reason) != ERR_NONE) {
        crash_fail("%s", reason.text);
    }
    free(path);
    names->items = (struct witness_name *)(void *)data;
    names->count = size / sizeof *names->items;
    names->undone = mem_new_array(bool, names->count);
}

/* ---- what is durable ---- */

/* No later sync of its directory covers it, and it can be undone. */
static bool is_free(const struct names *names, size_t i)
{
    const struct witness_name *name = &names->items[i];
    for (size_t later = i + 1; later < names->count; later++) {
        if (names->items[later].change == WITNESS_DIR_SYNCED &&
            names->items[later].dir == name->dir) {
            return false;
        }
    }
    return !name->gone || name->kept;
}

/* A journaling file system keeps the order: what came before something durable is durable. */
static void choose_newest(struct names *names)
{
    struct random *random = &names->tear->random;
    size_t first = names->count;
    size_t count = 0;
    while (first > 0 &&
           (names->items[first - 1].change == WITNESS_DIR_SYNCED || is_free(names, first - 1))) {
        first--;
        count += names->items[first].change != WITNESS_DIR_SYNCED;
    }
    uint64_t how = random_below(random, 4);
    size_t wanted = how == 0 ? 0 : how == 1 ? count : random_below(random, count + 1);
    for (size_t i = names->count; wanted > 0; i--) {
        names->undone[i - 1] = names->items[i - 1].change != WITNESS_DIR_SYNCED;
        wanted -= names->undone[i - 1];
    }
}

static bool is_or_holds(const char *dir, const char *path)
{
    size_t size = strlen(dir);
    return size > 0 && strncmp(dir, path, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* Whether a name of the one is a name of the other, or a directory on the way to it. */
static bool is_above(const struct witness_name *one, const struct witness_name *other)
{
    return is_or_holds(one->path, other->path) || is_or_holds(one->path, other->to) ||
           is_or_holds(one->to, other->path) || is_or_holds(one->to, other->to);
}

/* Also what was done later to the same name, or to a directory on the way to it, can be undone. */
static bool is_free_with_later(const struct names *names, size_t i)
{
    bool is_free_too = is_free(names, i);
    for (size_t later = i + 1; later < names->count && is_free_too; later++) {
        is_free_too = names->items[later].change == WITNESS_DIR_SYNCED ||
                      !is_above(&names->items[later], &names->items[i]) || is_free(names, later);
    }
    return is_free_too;
}

/*
 * What the standard allows: each by itself. What was done later to the same names goes with it; so
 * does what is in a directory whose creation is undone, whatever was synced there.
 */
static void choose_any(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct witness_name *name = &names->items[i];
        if (name->change == WITNESS_DIR_SYNCED) {
            continue;
        }
        names->undone[i] =
            is_free_with_later(names, i) && random_below(&names->tear->random, 2) == 0;
        for (size_t first = 0; first < i && !names->undone[i]; first++) {
            names->undone[i] = names->undone[first] && (is_above(&names->items[first], name) ||
                                                        is_above(name, &names->items[first]));
        }
    }
}

/* ---- undoing ---- */

/* The next file may get the number of one that is gone: nothing of it is synced. */
static void forget(const struct tear *tear, uint64_t inode)
{
    struct witness_record record = {inode, 0};
    int fd = open(tear->witness_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, &record, sizeof record) != (ssize_t)sizeof record) {
        crash_fail("cannot write to %s: %s", tear->witness_path, strerror(errno));
    }
    close(fd);
}

static void remove_file(const struct tear *tear, const char *path)
{
    struct stat status;
    if (lstat(path, &status) == 0 && unlink(path) == 0 && status.st_nlink == 1) {
        forget(tear, status.st_ino);
    }
}

struct removal {
    const struct tear *tear;
    const char *dir;
};

static enum err remove_entry(void *context, const char *name)
{
    const struct removal *removal = context;
    char *path = mem_sprintf("%s/%s", removal->dir, name);
    remove_file(removal->tear, path);
    free(path);
    return ERR_NONE;
}

static void remove_files(const struct tear *tear, const char *dir)
{
    struct removal removal = {.tear = tear, .dir = dir};
    if (file_exists(dir) && file_list_dir(dir, remove_entry, &removal, NULL) != ERR_NONE) {
        crash_fail("cannot list %s", dir);
    }
}

static bool has_inode(const char *path, uint64_t inode)
{
    struct stat status;
    return lstat(path, &status) == 0 && status.st_ino == inode;
}

static void bring_back(const struct names *names, size_t i, const char *path)
{
    char *kept = mem_sprintf("%s" WITNESS_GONE "/%zu", names->tear->data_dir, i);
    if (link(kept, path) != 0) {
        crash_fail("cannot bring back %s from %s: %s", path, kept, strerror(errno));
    }
    free(kept);
}

static void undo_removal(const struct names *names, size_t i, const char *path)
{
    if (file_exists(path)) {
        return; /* it was not done: the server was killed, or it failed */
    }
    if (names->items[i].kept) {
        bring_back(names, i, path);
    } else if (names->items[i].is_dir && mkdir(path, 0755) != 0) {
        crash_fail("cannot make %s again: %s", path, strerror(errno));
    }
}

static void undo_rename(const struct names *names, size_t i, const char *path)
{
    const struct witness_name *name = &names->items[i];
    char *to = mem_sprintf("%s/%s", names->tear->data_dir, name->to);
    if (has_inode(to, name->inode) && !file_exists(path)) {
        if (rename(to, path) != 0) {
            crash_fail("cannot rename %s back: %s", to, strerror(errno));
        }
        if (name->kept) {
            bring_back(names, i, to);
        }
    }
    free(to);
}

static void undo(const struct names *names, size_t i)
{
    const struct witness_name *name = &names->items[i];
    char *path = mem_sprintf("%s/%s", names->tear->data_dir, name->path);
    if (name->change == WITNESS_RENAMED) {
        undo_rename(names, i, path);
    } else if (name->change == WITNESS_REMOVED) {
        undo_removal(names, i, path);
    } else if (name->is_dir) {
        remove_files(names->tear, path);
        rmdir(path);
    } else {
        remove_file(names->tear, path);
    }
    free(path);
}

/* What is left is on the disk now. */
static void forget_names(const struct names *names)
{
    char *path = names_path(names->tear);
    char *gone = mem_sprintf("%s" WITNESS_GONE, names->tear->data_dir);
    if (file_exists(path) && unlink(path) != 0) {
        crash_fail("cannot remove %s: %s", path, strerror(errno));
    }
    remove_files(names->tear, gone);
    free(gone);
    free(path);
}

int tear_names(struct tear *tear, bool in_order)
{
    struct names names = {.tear = tear};
    int count = 0;
    load_names(&names);
    (in_order ? choose_newest : choose_any)(&names);
    for (size_t i = names.count; i > 0; i--) {
        if (names.undone[i - 1]) {
            undo(&names, i - 1);
            count++;
        }
    }
    forget_names(&names);
    free(names.undone);
    free(names.items);
    return count;
}
