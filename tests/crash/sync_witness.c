/*
 * Preloaded into the server: notes which bytes of which files were synced, so that the test can
 * take away all others, as a power failure may. Reads WITNESS_FILE (records go there) and
 * WITNESS_DIR (the data directory, for syncfs).
 */
#include "witness.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fdatasync(int fd);
int fsync(int fd);
int syncfs(int fd);

typedef int sync_call(int fd);

static sync_call *real_call(const char *name)
{
    sync_call *call;
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(&call, &found, sizeof call);
    return call;
}

static void note(const struct witness_record *records, size_t count)
{
    const char *path = getenv("WITNESS_FILE");
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    size_t size = count * sizeof *records;
    if (fd < 0 || write(fd, records, size) != (ssize_t)size) {
        abort();
    }
    close(fd);
}

/* One at a time from the look at the sizes to the note: of two at once, the one that looked first
 * could note last, and the last note counts. */
static pthread_mutex_t one_sync = PTHREAD_MUTEX_INITIALIZER;

/* The size before the call: what is appended meanwhile is not promised. */
static int sync_one(int fd, const char *name)
{
    struct stat before;
    pthread_mutex_lock(&one_sync);
    int known = fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
    int result = real_call(name)(fd);
    if (result == 0 && known) {
        note(&(struct witness_record){before.st_ino, before.st_size}, 1);
    }
    pthread_mutex_unlock(&one_sync);
    return result;
}

int fdatasync(int fd)
{
    return sync_one(fd, "fdatasync");
}

int fsync(int fd)
{
    return sync_one(fd, "fsync");
}

/* Another file may get the number of one that is gone: nothing of that one is synced. */
static void forget(const struct stat *gone, int was_there, int result)
{
    if (was_there && result == 0 && S_ISREG(gone->st_mode)) {
        note(&(struct witness_record){gone->st_ino, 0}, 1);
    }
}

typedef int unlink_call(const char *path);
typedef int rename_call(const char *from, const char *to);

int unlink(const char *path)
{
    struct stat gone;
    unlink_call *call;
    void *found = dlsym(RTLD_NEXT, "unlink");
    memcpy(&call, &found, sizeof call);
    pthread_mutex_lock(&one_sync);
    int was_there = stat(path, &gone) == 0;
    int result = call(path);
    forget(&gone, was_there, result);
    pthread_mutex_unlock(&one_sync);
    return result;
}

int rename(const char *from, const char *to)
{
    struct stat gone;
    rename_call *call;
    void *found = dlsym(RTLD_NEXT, "rename");
    memcpy(&call, &found, sizeof call);
    pthread_mutex_lock(&one_sync);
    int was_there = stat(to, &gone) == 0;
    int result = call(from, to);
    forget(&gone, was_there, result);
    pthread_mutex_unlock(&one_sync);
    return result;
}

struct found {
    struct witness_record *records;
    size_t count;
    size_t capacity;
};

static void look_into(int dir_fd, struct found *found, int depth)
{
    DIR *dir = fdopendir(dir_fd);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct stat status;
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (S_ISDIR(status.st_mode) && depth > 0) {
            int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (fd >= 0) {
                look_into(fd, found, depth - 1);
            }
        } else if (S_ISREG(status.st_mode)) {
            if (found->count == found->capacity) {
                found->capacity = found->capacity ? found->capacity * 2 : 256;
                found->records = realloc(found->records, found->capacity * sizeof *found->records);
            }
            found->records[found->count++] = (struct witness_record){status.st_ino, status.st_size};
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

int syncfs(int fd)
{
    struct found found = {0};
    const char *path = getenv("WITNESS_DIR");
    int dir_fd = path != NULL ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir_fd < 0) {
        abort();
    }
    pthread_mutex_lock(&one_sync);
    look_into(dir_fd, &found, 2);
    int result = real_call("syncfs")(fd);
    if (result == 0) {
        note(found.records, found.count);
    }
    pthread_mutex_unlock(&one_sync);
    free(found.records);
    return result;
}
