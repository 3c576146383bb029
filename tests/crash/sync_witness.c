/*
 * Preloaded into the server: notes which bytes of which files were synced, so that the test can
 * take away all others, as a power failure may. Reads WITNESS_FILE (records go there) and
 * WITNESS_DIR (the data directory, for syncfs). Names are noted by name_witness.c.
 */
#include "witness_calls.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fdatasync(int fd);
int fsync(int fd);
int syncfs(int fd);

typedef int sync_call(int fd);

pthread_mutex_t witness_lock = PTHREAD_MUTEX_INITIALIZER;

void witness_find_call(void *call, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    memcpy(call, &found, sizeof found);
}

static int real_sync(const char *name, int fd)
{
    sync_call *call;
    witness_find_call(&call, name);
    return call(fd);
}

void witness_note(const struct witness_record *records, size_t count)
{
    const char *path = getenv("WITNESS_FILE");
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    size_t size = count * sizeof *records;
    if (fd < 0 || write(fd, records, size) != (ssize_t)size) {
        abort();
    }
    close(fd);
}

/* The size before the call: what is appended meanwhile is not promised. */
static int sync_one(int fd, const char *name)
{
    struct stat before;
    pthread_mutex_lock(&witness_lock);
    int known = fstat(fd, &before) == 0;
    int result = real_sync(name, fd);
    if (result == 0 && known && S_ISREG(before.st_mode)) {
        witness_note(&(struct witness_record){before.st_ino, before.st_size}, 1);
    } else if (result == 0 && known && S_ISDIR(before.st_mode)) {
        witness_dir_synced(before.st_ino);
    }
    pthread_mutex_unlock(&witness_lock);
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
    pthread_mutex_lock(&witness_lock);
    look_into(dir_fd, &found, 2);
    int result = real_sync("syncfs", fd);
    if (result == 0) {
        witness_note(found.records, found.count);
        witness_all_synced();
    }
    pthread_mutex_unlock(&witness_lock);
    free(found.records);
    return result;
}
