#include "base/scratch.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLACES_MAX = 8, TRIES = 100 };

struct scratch {
    char *home; /* of all of this name and user */
    char *path;
    bool is_memory;
    int lock_fd;   /* on path, locked */
    int alive_fd;  /* the watcher waits for its other end */
    pid_t watcher; /* -1: there is none */
};

struct place {
    const char *path;
    bool is_memory;
    uint64_t free_bytes;
};

/* --- the directory of all --- */

/* *fd: the directory, locked: nobody makes or looks for leftovers in it meanwhile. */
static enum err lock_home(const char *home, bool make, int *fd, struct reason *reason)
{
    struct stat status;
    for (int tries = 0; tries < TRIES; tries++) {
        if (make && mkdir(home, DIR_MODE) != 0 && errno != EEXIST) {
            return reason_errno(reason, "cannot make the directory %s", home);
        }
        *fd = open(home, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (*fd < 0 && errno == ENOENT && make) {
            continue; /* the last one that was in it took it along */
        }
        if (*fd < 0 || fstat(*fd, &status) != 0) {
            return reason_errno(reason, "cannot use the directory %s", home);
        }
        if (status.st_uid != geteuid()) {
            close(*fd);
            return reason_fail(reason, ERR_INVALID, "the directory %s belongs to somebody else",
                               home);
        }
        if (((status.st_mode & 077) == 0 || fchmod(*fd, DIR_MODE) == 0) &&
            flock(*fd, LOCK_EX) == 0 && !file_is_unlinked(*fd)) {
            return ERR_NONE;
        }
        close(*fd);
    }
    return reason_fail(reason, ERR_IO, "cannot lock the directory %s", home);
}

/* Removes the directory, and that of all when it was the last one. */
static void remove_all(const char *home, const char *path)
{
    int home_fd;
    (void)!file_remove_tree(file_ops_unsynced(), path, NULL);
    if (lock_home(home, false, &home_fd, NULL) == ERR_NONE) {
        (void)rmdir(home);
        close(home_fd);
    }
}

/* What nobody holds a lock on is left over. */
static enum err remove_leftover(void *context, const char *name)
{
    char *path = mem_sprintf("%s/%s", (const char *)context, name);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        (void)!file_remove_tree(file_ops_unsynced(), path, NULL);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(path);
    return ERR_NONE;
}

/* --- the watcher --- */

/* In the second process: waits until nobody holds the other end. It keeps nothing of the first one
 * open, above all no output that somebody reads to its end. */
static _Noreturn void watch(const struct scratch *scratch, int fd)
{
    char byte;
    ssize_t got;
    (void)setsid(); /* what is sent to the group of the first one is not for this one */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NAME, "tidings-watcher");
    (void)dup2(fd, 0);
    (void)close_range(1, ~0U, 0);
    (void)!chdir("/");
    do {
        got = read(0, &byte, 1);
    } while (got > 0 || (got < 0 && errno == EINTR));
    int lock_fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (lock_fd >= 0 && flock(lock_fd, LOCK_EX) == 0) {
        remove_all(scratch->home, scratch->path);
    }
    _exit(0);
}

/* Without one the next scratch_new cleans up. */
static void start_watcher(struct scratch *scratch)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return;
    }
    scratch->watcher = fork();
    if (scratch->watcher == 0) {
        watch(scratch, ends[0]);
    }
    close(ends[0]);
    scratch->alive_fd = ends[1];
}

/* --- where --- */

static bool is_better(const struct place *place, const struct place *than)
{
    return place->is_memory && (!than->is_memory || place->free_bytes > than->free_bytes);
}

/* The best first; those on disk in their order. */
static void add_place(struct place *places, size_t *count, const char *path)
{
    struct statfs status;
    if (path[0] != '/' || statfs(path, &status) != 0 || access(path, W_OK | X_OK) != 0) {
        return;
    }
    struct place place = {
        .path = path,
        .is_memory = status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC,
        .free_bytes = (uint64_t)status.f_bavail * (uint64_t)status.f_bsize,
    };
    size_t at = *count;
    for (; at > 0 && is_better(&place, &places[at - 1]); at--) {
        places[at] = places[at - 1];
    }
    places[at] = place;
    (*count)++;
}

static enum err make_in(struct scratch *scratch, struct reason *reason)
{
    int home_fd;
    enum err err = lock_home(scratch->home, true, &home_fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    (void)!file_list_dir(scratch->home, remove_leftover, scratch->home, NULL);
    scratch->path = mem_sprintf("%s/XXXXXX", scratch->home);
    if (mkdtemp(scratch->path) == NULL) {
        err = reason_errno(reason, "cannot make a directory in %s", scratch->home);
    } else {
        scratch->lock_fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (scratch->lock_fd < 0 || flock(scratch->lock_fd, LOCK_EX | LOCK_NB) != 0) {
            err = reason_errno(reason, "cannot lock %s", scratch->path);
            (void)rmdir(scratch->path);
        }
    }
    close(home_fd);
    return err;
}

static void scratch_drop(struct scratch *scratch)
{
    if (scratch->lock_fd >= 0) {
        close(scratch->lock_fd);
    }
    free(scratch->home);
    free(scratch->path);
    free(scratch);
}

enum err scratch_new(const char *const *places, const char *name, struct scratch **out,
                     struct reason *reason)
{
    struct place usable[PLACES_MAX];
    size_t count = 0;
    for (size_t i = 0; places[i] != NULL && count < PLACES_MAX; i++) {
        add_place(usable, &count, places[i]);
    }
    enum err err = reason_fail(reason, ERR_NOT_FOUND, "there is no directory to write to");
    for (size_t i = 0; i < count; i++) {
        struct scratch *scratch = mem_new(struct scratch);
        *scratch = (struct scratch){.lock_fd = -1, .alive_fd = -1, .watcher = -1};
        scratch->home = mem_sprintf("%s/%s-%u", usable[i].path, name, (unsigned)geteuid());
        scratch->is_memory = usable[i].is_memory;
        err = make_in(scratch, reason);
        if (err == ERR_NONE) {
            start_watcher(scratch);
            *out = scratch;
            return ERR_NONE;
        }
        scratch_drop(scratch);
    }
    return err;
}

const char *scratch_path(const struct scratch *scratch)
{
    return scratch->path;
}

bool scratch_is_memory(const struct scratch *scratch)
{
    return scratch->is_memory;
}

void scratch_free(struct scratch *scratch)
{
    if (scratch == NULL) {
        return;
    }
    remove_all(scratch->home, scratch->path);
    if (scratch->watcher > 0) {
        (void)kill(scratch->watcher, SIGKILL); /* not waited for: it may be stopped */
        while (waitpid(scratch->watcher, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (scratch->alive_fd >= 0) {
        close(scratch->alive_fd);
    }
    scratch_drop(scratch);
}
