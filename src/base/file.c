#include "base/file.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int system_open(void *context, const char *path, int flags, int mode)
{
    (void)context;
    return open(path, flags | O_CLOEXEC, mode);
}

static int system_close(void *context, int fd)
{
    (void)context;
    return close(fd);
}

static ssize_t system_pread(void *context, int fd, void *to, size_t size, int64_t position)
{
    (void)context;
    return pread(fd, to, size, position);
}

static ssize_t system_pwritev(void *context, int fd, const struct iovec *iov, int count,
                              int64_t position)
{
    (void)context;
    return pwritev(fd, iov, count, position);
}

static int system_fdatasync(void *context, int fd)
{
    (void)context;
    return fdatasync(fd);
}

static int system_syncfs(void *context, int fd)
{
    (void)context;
    return syncfs(fd);
}

static int system_ftruncate(void *context, int fd, int64_t size)
{
    (void)context;
    return ftruncate(fd, size);
}

static int system_rename(void *context, const char *from, const char *to)
{
    (void)context;
    return rename(from, to);
}

static int system_unlink(void *context, const char *path)
{
    (void)context;
    return unlink(path);
}

static int system_mkdir(void *context, const char *path)
{
    (void)context;
    return mkdir(path, DIR_MODE);
}

static int system_rmdir(void *context, const char *path)
{
    (void)context;
    return rmdir(path);
}

static int system_fsync_dir(void *context, const char *path)
{
    (void)context;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int result = fsync(fd);
    int saved = errno;
    close(fd);
    errno = saved;
    return result;
}

static int system_fstatvfs(void *context, int fd, struct statvfs *out)
{
    (void)context;
    return fstatvfs(fd, out);
}

static int system_fallocate(void *context, int fd, int64_t size)
{
    (void)context;
    int error = posix_fallocate(fd, 0, size); /* writes where the file system cannot allocate */
    errno = error;
    return error == 0 ? 0 : -1;
}

static const struct file_ops system_ops = {
    .open = system_open,
    .close = system_close,
    .pread = system_pread,
    .pwritev = system_pwritev,
    .fdatasync = system_fdatasync,
    .syncfs = system_syncfs,
    .ftruncate = system_ftruncate,
    .rename = system_rename,
    .unlink = system_unlink,
    .mkdir = system_mkdir,
    .rmdir = system_rmdir,
    .fsync_dir = system_fsync_dir,
    .fstatvfs = system_fstatvfs,
    .fallocate = system_fallocate,
};

static int no_sync(void *context, int fd)
{
    (void)context;
    (void)fd;
    return 0;
}

static int no_fsync_dir(void *context, const char *path)
{
    (void)context;
    (void)path;
    return 0;
}

static const struct file_ops unsynced_ops = {
    .unsynced = true,
    .open = system_open,
    .close = system_close,
    .pread = system_pread,
    .pwritev = system_pwritev,
    .fdatasync = no_sync,
    .syncfs = no_sync,
    .ftruncate = system_ftruncate,
    .rename = system_rename,
    .unlink = system_unlink,
    .mkdir = system_mkdir,
    .rmdir = system_rmdir,
    .fsync_dir = no_fsync_dir,
    .fstatvfs = system_fstatvfs,
    .fallocate = system_fallocate,
};

void file_hold_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            /* The lowest free number is taken, which is this one. The wrong way round, so that it
             * fails. */
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

const struct file_ops *file_ops_system(void)
{
    return &system_ops;
}

const struct file_ops *file_ops_unsynced(void)
{
    return &unsynced_ops;
}

bool file_is_link(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

static enum err fail_link(const char *path, struct reason *reason)
{
    return reason_fail(reason, ERR_INVALID,
                       "%s is a symbolic link, which is not followed: put what it names in its "
                       "place, or remove it",
                       path);
}

enum err file_open(const struct file_ops *ops, const char *path, int flags, int *fd,
                   struct reason *reason)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    *fd = ops->open(ops->context, path, flags | (writes ? O_NOFOLLOW : 0), FILE_MODE);
    if (*fd >= 0) {
        return ERR_NONE;
    }
    if (errno == ENOENT) {
        return reason_fail(reason, ERR_NOT_FOUND, "%s: no such file", path);
    }
    if (errno == ELOOP && writes) {
        return fail_link(path, reason);
    }
    return reason_errno(reason, "cannot open %s", path);
}

void file_close(const struct file_ops *ops, int fd)
{
    if (fd >= 0) {
        ops->close(ops->context, fd);
    }
}

enum err file_read_at(const struct file_ops *ops, int fd, void *to, size_t size, int64_t position,
                      size_t *got, struct reason *reason)
{
    size_t done = 0;
    while (done < size) {
        ssize_t part =
            ops->pread(ops->context, fd, (char *)to + done, size - done, position + (int64_t)done);
        if (part == 0) {
            break;
        }
        if (part < 0) {
            if (errno == EINTR) {
                continue;
            }
            return reason_errno(reason, "read of %zu bytes at %lld failed", size,
                                (long long)position);
        }
        done += (size_t)part;
    }
    *got = done;
    return ERR_NONE;
}

enum err file_write_at(const struct file_ops *ops, int fd, struct iovec *iov, int count,
                       int64_t position, struct reason *reason)
{
    while (count > 0) {
        if (iov->iov_len == 0) {
            iov++;
            count--;
            continue;
        }
        ssize_t wrote = ops->pwritev(ops->context, fd, iov, count, position);
        if (wrote < 0) {
            if (errno == EINTR) {
                continue;
            }
            return reason_errno(reason, "write at %lld failed", (long long)position);
        }
        if (wrote == 0) {
            return reason_fail(reason, ERR_IO, "write at %lld took no bytes", (long long)position);
        }
        position += wrote;
        for (size_t left = (size_t)wrote; left > 0;) {
            size_t part = left < iov->iov_len ? left : iov->iov_len;
            iov->iov_base = (char *)iov->iov_base + part;
            iov->iov_len -= part;
            left -= part;
            if (iov->iov_len == 0) {
                iov++;
                count--;
            }
        }
    }
    return ERR_NONE;
}

enum err file_sync(const struct file_ops *ops, int fd, struct reason *reason)
{
    if (ops->fdatasync(ops->context, fd) == 0) {
        return ERR_NONE;
    }
    return reason_errno(reason, "fdatasync failed");
}

enum err file_truncate(const struct file_ops *ops, int fd, int64_t size, struct reason *reason)
{
    if (ops->ftruncate(ops->context, fd, size) == 0) {
        return ERR_NONE;
    }
    return reason_errno(reason, "cannot cut the file to %lld bytes", (long long)size);
}

enum err file_size(int fd, int64_t *size, struct reason *reason)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return reason_errno(reason, "fstat failed");
    }
    *size = status.st_size;
    return ERR_NONE;
}

bool file_is_unlinked(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_nlink == 0;
}

enum err file_rename(const struct file_ops *ops, const char *from, const char *to,
                     struct reason *reason)
{
    if (ops->rename(ops->context, from, to) == 0) {
        return ERR_NONE;
    }
    return reason_errno(reason, "cannot rename %s to %s", from, to);
}

enum err file_unlink(const struct file_ops *ops, const char *path, struct reason *reason)
{
    if (ops->unlink(ops->context, path) == 0 || errno == ENOENT) {
        return ERR_NONE;
    }
    return reason_errno(reason, "cannot delete %s", path);
}

static enum err sync_parent(const struct file_ops *ops, const char *path, struct reason *reason)
{
    char *copy = mem_strdup(path);
    enum err err = file_sync_dir(ops, dirname(copy), reason);
    free(copy);
    return err;
}

static enum err make_dir(const struct file_ops *ops, const char *path, bool *made,
                         struct reason *reason)
{
    *made = ops->mkdir(ops->context, path) == 0;
    return *made || errno == EEXIST ? ERR_NONE
                                    : reason_errno(reason, "cannot create directory %s", path);
}

enum err file_make_dir(const struct file_ops *ops, const char *path, struct reason *reason)
{
    bool made;
    enum err err = make_dir(ops, path, &made, reason);
    return err == ERR_NONE && made ? sync_parent(ops, path, reason) : err;
}

enum err file_make_dir_unsynced(const struct file_ops *ops, const char *path, struct reason *reason)
{
    bool made;
    return make_dir(ops, path, &made, reason);
}

enum err file_sync_dir(const struct file_ops *ops, const char *path, struct reason *reason)
{
    if (ops->fsync_dir(ops->context, path) == 0) {
        return ERR_NONE;
    }
    return reason_errno(reason, "cannot sync directory %s", path);
}

static enum err write_whole(const struct file_ops *ops, const char *path, const void *data,
                            size_t size, bool sync, struct reason *reason)
{
    int fd;
    enum err err = file_open(ops, path, O_CREAT | O_TRUNC | O_WRONLY, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    err = file_write_at(ops, fd, &iov, 1, 0, reason);
    if (err == ERR_NONE && sync) {
        err = file_sync(ops, fd, reason);
    }
    file_close(ops, fd);
    return err;
}

static enum err replace(const struct file_ops *ops, const char *path, const void *data, size_t size,
                        bool sync, struct reason *reason)
{
    struct reason why;
    char *temporary = mem_sprintf("%s.tmp", path);
    enum err err = write_whole(ops, temporary, data, size, sync, &why);
    if (err != ERR_NONE && strstr(why.text, temporary) != NULL) {
        reason_fail(reason, err, "%s", why.text);
    } else if (err != ERR_NONE) {
        reason_fail(reason, err, "%s: %s", temporary, why.text);
    }
    if (err == ERR_NONE) {
        err = file_rename(ops, temporary, path, reason);
    }
    if (err == ERR_NONE && sync) {
        err = sync_parent(ops, path, reason);
    }
    free(temporary);
    return err;
}

enum err file_replace(const struct file_ops *ops, const char *path, const void *data, size_t size,
                      struct reason *reason)
{
    return replace(ops, path, data, size, true, reason);
}

enum err file_replace_unsynced(const struct file_ops *ops, const char *path, const void *data,
                               size_t size, struct reason *reason)
{
    return replace(ops, path, data, size, false, reason);
}

enum err file_load(const struct file_ops *ops, const char *path, size_t max_bytes, char **data,
                   size_t *size, struct reason *reason)
{
    int fd;
    enum err err = file_open(ops, path, O_RDONLY, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct stat status;
    size_t length = 0;
    if (fstat(fd, &status) != 0) {
        err = reason_errno(reason, "cannot look at %s", path);
    } else if (!S_ISREG(status.st_mode)) {
        err = reason_fail(reason, ERR_INVALID, "%s is no regular file", path);
    } else {
        length = (size_t)status.st_size;
    }
    if (err == ERR_NONE && length > max_bytes) {
        err = reason_fail(reason, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max_bytes);
    }
    if (err == ERR_NONE) {
        *data = mem_alloc(length + 1);
        err = file_read_at(ops, fd, *data, length, 0, size, reason);
        if (err == ERR_NONE) {
            (*data)[*size] = '\0';
        } else {
            free(*data);
            *data = NULL;
        }
    }
    file_close(ops, fd);
    return err;
}

enum err file_load_text(const struct file_ops *ops, const char *path, size_t max_bytes, char **text,
                        struct reason *reason)
{
    size_t size;
    enum err err = file_load(ops, path, max_bytes, text, &size, reason);
    size_t end = err == ERR_NONE ? strlen(*text) : 0;
    if (err == ERR_NONE && end < size) {
        err = reason_fail(reason, ERR_INVALID, "%s is no text file: byte %zu is NUL", path, end);
        free(*text);
        *text = NULL;
    }
    return err;
}

enum err file_reserve(const struct file_ops *ops, const char *path, int64_t size,
                      struct reason *reason)
{
    int fd;
    int64_t there = 0;
    enum err err = file_open(ops, path, O_RDWR | O_CREAT, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = file_size(fd, &there, reason);
    if (err == ERR_NONE && there != size) {
        err = file_truncate(ops, fd, 0, reason);
        if (err == ERR_NONE && ops->fallocate(ops->context, fd, size) != 0) {
            err = reason_errno(reason, "cannot reserve %lld bytes in %s", (long long)size, path);
        }
    }
    file_close(ops, fd);
    if (err != ERR_NONE) {
        struct reason ignored;
        (void)!file_unlink(ops, path, &ignored);
    }
    return err;
}

enum err file_free_space(const struct file_ops *ops, int fd, uint64_t *total_bytes,
                         uint64_t *free_bytes, struct reason *reason)
{
    struct statvfs status;
    if (ops->fstatvfs(ops->context, fd, &status) != 0) {
        return reason_errno(reason, "cannot tell how much of the disk is free");
    }
    *total_bytes = (uint64_t)status.f_blocks * status.f_frsize;
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return ERR_NONE;
}

bool file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

enum err file_list_dir(const char *path, enum err (*each)(void *context, const char *name),
                       void *context, struct reason *reason)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        enum err why = file_is_link(path) ? fail_link(path, reason)
                                          : reason_errno(reason, "cannot read directory %s", path);
        file_close(&system_ops, fd);
        return why;
    }
    enum err err = ERR_NONE;
    const struct dirent *entry;
    while (err == ERR_NONE && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            err = each(context, entry->d_name);
        }
    }
    closedir(dir);
    return err;
}

struct removal {
    const struct file_ops *ops;
    const char *dir;
    struct reason *reason;
};

static enum err remove_entry(void *context, const char *name)
{
    const struct removal *removal = context;
    char *path = mem_sprintf("%s/%s", removal->dir, name);
    struct stat status;
    bool is_dir = lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
    enum err err = is_dir ? file_remove_tree(removal->ops, path, removal->reason)
                          : file_unlink(removal->ops, path, removal->reason);
    free(path);
    return err;
}

enum err file_remove_tree(const struct file_ops *ops, const char *path, struct reason *reason)
{
    if (!file_exists(path)) {
        return ERR_NONE;
    }
    struct removal removal = {.ops = ops, .dir = path, .reason = reason};
    enum err err = file_list_dir(path, remove_entry, &removal, reason);
    if (err == ERR_NONE && ops->rmdir(ops->context, path) != 0 && errno != ENOENT) {
        err = reason_errno(reason, "cannot remove directory %s", path);
    }
    return err;
}

static bool is_warm_at(int fd, int64_t position)
{
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    return preadv2(fd, &iov, 1, position, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

bool file_span_is_warm(const struct file_span *span)
{
    return span->warm || (is_warm_at(span->fd, span->position) &&
                          is_warm_at(span->fd, span->position + (int64_t)span->size - 1));
}
