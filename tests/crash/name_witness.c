/*
 * The part of the preloaded witness that notes what the server does to names below the data
 * directory, so that the test can undo what no sync of a directory covered. What comes by other
 * calls (links, unlinkat, sockets) counts as durable at once.
 */
#undef _FILE_OFFSET_BITS /* it would make open another name of open64, which is here too */

#include "witness_calls.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);

typedef int open_call(const char *path, int flags, ...);
typedef int mkdir_call(const char *path, mode_t mode);
typedef int path_call(const char *path);
typedef int rename_call(const char *from, const char *to);

/* ---- what is noted where ---- */

/* The path from the data directory on; NULL when it lies elsewhere. */
static const char *find_below(const char *path)
{
    const char *dir = getenv("WITNESS_DIR");
    size_t size = dir != NULL ? strlen(dir) : 0;
    return size > 0 && strncmp(path, dir, size) == 0 && path[size] == '/' ? path + size + 1 : NULL;
}

static void add_suffix(char to[PATH_MAX], const char *variable, const char *suffix)
{
    const char *base = getenv(variable);
    if (base == NULL || snprintf(to, PATH_MAX, "%s%s", base, suffix) >= PATH_MAX) {
        abort();
    }
}

static int open_names(int flags)
{
    char path[PATH_MAX];
    open_call *call;
    witness_find_call(&call, "open");
    add_suffix(path, "WITNESS_FILE", WITNESS_NAMES);
    int fd = call(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    if (fd < 0) {
        abort();
    }
    return fd;
}

static void set_path(char to[sizeof((struct witness_name *)0)->path], const char *path)
{
    if (strlen(path) >= sizeof((struct witness_name *)0)->path) {
        abort();
    }
    strcpy(to, path);
}

/* Number `number` is the link of what this record takes away. */
static void keep(struct witness_name *name, const char *path, long long number)
{
    char folder[PATH_MAX];
    char link_path[PATH_MAX + 24];
    mkdir_call *make_dir;
    path_call *remove_name;
    witness_find_call(&make_dir, "mkdir");
    witness_find_call(&remove_name, "unlink");
    add_suffix(folder, "WITNESS_DIR", WITNESS_GONE);
    (void)make_dir(folder, 0755);
    snprintf(link_path, sizeof link_path, "%s/%lld", folder, number);
    (void)remove_name(link_path); /* of a server that was killed while it forgot */
    name->gone = 1;
    name->kept = link(path, link_path) == 0; /* not on a full disk */
}

/* gone: the path of a file that is replaced or removed, or NULL. The lock is held. */
static void note_name(struct witness_name *name, const char *gone)
{
    struct stat status;
    int fd = open_names(O_APPEND);
    if (fstat(fd, &status) != 0) {
        abort();
    }
    if (gone != NULL) {
        keep(name, gone, (long long)status.st_size / (long long)sizeof *name);
    }
    if (write(fd, name, sizeof *name) != (ssize_t)sizeof *name) {
        abort();
    }
    close(fd);
}

static uint64_t parent_inode(const char *path)
{
    char parent[PATH_MAX];
    struct stat status;
    const char *slash = strrchr(path, '/');
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    return stat(parent, &status) == 0 ? status.st_ino : 0;
}

/* The inode of a file without another name gets free: nothing of the next one with its number is
 * synced. */
static void forget_inode(const struct stat *gone)
{
    if (S_ISREG(gone->st_mode)) {
        witness_note(&(struct witness_record){gone->st_ino, 0}, 1);
    }
}

void witness_dir_synced(uint64_t inode)
{
    struct witness_name name = {.change = WITNESS_DIR_SYNCED, .dir = inode};
    note_name(&name, NULL);
}

void witness_all_synced(void)
{
    char path[PATH_MAX];
    path_call *remove_name;
    witness_find_call(&remove_name, "unlink");
    int fd = open_names(O_TRUNC); /* first: the links below belong to its records */
    close(fd);
    add_suffix(path, "WITNESS_DIR", WITNESS_GONE);
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char link_path[PATH_MAX + 256];
        struct stat status;
        snprintf(link_path, sizeof link_path, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && stat(link_path, &status) == 0 &&
            remove_name(link_path) == 0 && status.st_nlink == 1) {
            forget_inode(&status);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

/* ---- the calls ---- */

static int create(const char *call_name, const char *path, int flags, mode_t mode)
{
    open_call *call;
    struct stat status;
    witness_find_call(&call, call_name);
    const char *below = (flags & O_CREAT) != 0 ? find_below(path) : NULL;
    if (below == NULL) {
        return call(path, flags, mode);
    }
    pthread_mutex_lock(&witness_lock);
    if (stat(path, &status) != 0) {
        struct witness_name name = {.change = WITNESS_CREATED, .dir = parent_inode(path)};
        set_path(name.path, below);
        note_name(&name, NULL);
    }
    int result = call(path, flags, mode);
    pthread_mutex_unlock(&witness_lock);
    return result;
}

static mode_t take_mode(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = take_mode(flags, arguments);
    va_end(arguments);
    return create("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = take_mode(flags, arguments);
    va_end(arguments);
    return create("open64", path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    mkdir_call *call;
    struct stat status;
    witness_find_call(&call, "mkdir");
    const char *below = find_below(path);
    if (below == NULL) {
        return call(path, mode);
    }
    pthread_mutex_lock(&witness_lock);
    if (stat(path, &status) != 0) {
        struct witness_name name = {
            .change = WITNESS_CREATED, .is_dir = 1, .dir = parent_inode(path)};
        set_path(name.path, below);
        note_name(&name, NULL);
    }
    int result = call(path, mode);
    pthread_mutex_unlock(&witness_lock);
    return result;
}

static int remove_by(const char *call_name, const char *path)
{
    path_call *call;
    struct stat gone;
    witness_find_call(&call, call_name);
    const char *below = find_below(path);
    if (below == NULL) {
        return call(path);
    }
    struct witness_name name = {.change = WITNESS_REMOVED};
    pthread_mutex_lock(&witness_lock);
    bool there = stat(path, &gone) == 0;
    bool is_file = there && S_ISREG(gone.st_mode);
    if (there) {
        name.is_dir = S_ISDIR(gone.st_mode);
        name.dir = parent_inode(path);
        name.inode = gone.st_ino;
        set_path(name.path, below);
        note_name(&name, is_file ? path : NULL);
    }
    int result = call(path);
    if (result == 0 && is_file && !name.kept) {
        forget_inode(&gone);
    }
    pthread_mutex_unlock(&witness_lock);
    return result;
}

int unlink(const char *path)
{
    return remove_by("unlink", path);
}

int rmdir(const char *path)
{
    return remove_by("rmdir", path);
}

int rename(const char *from, const char *to)
{
    rename_call *call;
    struct stat moved;
    struct stat gone;
    witness_find_call(&call, "rename");
    const char *below = find_below(from);
    const char *below_to = find_below(to);
    if (below == NULL || below_to == NULL) {
        return call(from, to);
    }
    struct witness_name name = {.change = WITNESS_RENAMED};
    pthread_mutex_lock(&witness_lock);
    bool there = stat(from, &moved) == 0;
    bool replaces = there && stat(to, &gone) == 0 && S_ISREG(gone.st_mode);
    if (there) {
        name.is_dir = S_ISDIR(moved.st_mode);
        name.dir = parent_inode(to);
        name.inode = moved.st_ino;
        set_path(name.path, below);
        set_path(name.to, below_to);
        note_name(&name, replaces ? to : NULL);
    }
    int result = call(from, to);
    if (result == 0 && replaces && !name.kept) {
        forget_inode(&gone);
    }
    pthread_mutex_unlock(&witness_lock);
    return result;
}
