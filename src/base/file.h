#ifndef TIDINGS_BASE_FILE_H
#define TIDINGS_BASE_FILE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

/*
 * File operations as a parameter, so that the fault tests can shorten writes, fail a sync, tear the
 * tail or fill the disk. Descriptors are real ones, so that sendfile works on them.
 *
 * The members behave as the system calls of their names and return -1 with errno set on failure;
 * the file_* functions below wrap them into whole operations with a reason. Any thread.
 */
struct file_ops {
    void *context;
    bool unsynced; /* syncs do nothing, as nothing has to outlive the process */
    int (*open)(void *context, const char *path, int flags, int mode); /* O_CLOEXEC is added */
    int (*close)(void *context, int fd);
    ssize_t (*pread)(void *context, int fd, void *to, size_t size, int64_t position);
    ssize_t (*pwritev)(void *context, int fd, const struct iovec *iov, int count, int64_t position);
    int (*fdatasync)(void *context, int fd);
    int (*syncfs)(void *context, int fd);
    int (*ftruncate)(void *context, int fd, int64_t size);
    int (*rename)(void *context, const char *from, const char *to);
    int (*unlink)(void *context, const char *path);
    int (*mkdir)(void *context, const char *path);
    int (*rmdir)(void *context, const char *path);
    int (*fsync_dir)(void *context, const char *path); /* makes names in the directory durable */
    int (*fstatvfs)(void *context, int fd, struct statvfs *out);
    int (*fallocate)(void *context, int fd, int64_t size); /* the first size bytes */
};

/* Who may look into what this program makes: its owner. The umask takes away more, if it likes. */
enum { FILE_MODE = 0600, DIR_MODE = 0700 };

/*
 * Call first in main. A program that was started without descriptors 0, 1 or 2 would get its next
 * file or socket there, and would read it as input or print into it. Fills the gaps so that
 * reading standard input or writing to standard output fails, as the closed one would.
 */
void file_hold_standard(void);

/* The machine's files. Static, never freed. */
const struct file_ops *file_ops_system(void);

/* The same without syncs: for what ends with the process. Static, never freed. */
const struct file_ops *file_ops_unsynced(void);

/* Opens with these flags of open(2); a new file gets FILE_MODE and close-on-exec is set. What is
 * written into is never what a symbolic link names: ERR_INVALID. Else ERR_NOT_FOUND, ERR_IO and the
 * like, with the path. */
CHECKED enum err file_open(const struct file_ops *ops, const char *path, int flags, int *fd,
                           struct reason *reason);
void file_close(const struct file_ops *ops, int fd);

/* Reads up to size bytes at position; *got < size only at the end of the file. */
CHECKED enum err file_read_at(const struct file_ops *ops, int fd, void *to, size_t size,
                              int64_t position, size_t *got, struct reason *reason);

/*
 * Writes all the bytes of iov at position, going on after short writes. On failure an unknown part
 * of them was written; the caller cuts the file back. At most IOV_MAX pieces; iov is changed.
 */
CHECKED enum err file_write_at(const struct file_ops *ops, int fd, struct iovec *iov, int count,
                               int64_t position, struct reason *reason);

/* What was written is on disk when this returns without an error. After an error nobody knows. */
CHECKED enum err file_sync(const struct file_ops *ops, int fd, struct reason *reason);
/* Cuts the file to size bytes, or extends it with zeros. */
CHECKED enum err file_truncate(const struct file_ops *ops, int fd, int64_t size,
                               struct reason *reason);
/* The size of an open file. */
CHECKED enum err file_size(int fd, int64_t *size, struct reason *reason);
/* Whether an open file or directory has no name left: its bytes go when it is closed. */
bool file_is_unlinked(int fd);
/* Takes the place of a file that is at `to`. Durable once the directory is synced. */
CHECKED enum err file_rename(const struct file_ops *ops, const char *from, const char *to,
                             struct reason *reason);

/* A name that is not there is no error. */
CHECKED enum err file_unlink(const struct file_ops *ops, const char *path, struct reason *reason);

/* An existing directory is no error. The parent's entry is made durable. */
CHECKED enum err file_make_dir(const struct file_ops *ops, const char *path, struct reason *reason);
CHECKED enum err file_make_dir_unsynced(const struct file_ops *ops, const char *path,
                                        struct reason *reason);
CHECKED enum err file_sync_dir(const struct file_ops *ops, const char *path, struct reason *reason);

/*
 * Replaces the content of `path` so that after a crash the old or the new content is there, whole:
 * writes path.tmp, syncs it, renames it over path, syncs the directory.
 */
CHECKED enum err file_replace(const struct file_ops *ops, const char *path, const void *data,
                              size_t size, struct reason *reason);

/* The same, unsynced: a crash before the next sync of the file system may leave either, or a part.
 */
CHECKED enum err file_replace_unsynced(const struct file_ops *ops, const char *path,
                                       const void *data, size_t size, struct reason *reason);

/* The whole file into fresh memory (free it), NUL-terminated; ERR_TOO_LARGE over max_bytes,
 * ERR_INVALID when it is a pipe, a directory or the like. */
CHECKED enum err file_load(const struct file_ops *ops, const char *path, size_t max_bytes,
                           char **data, size_t *size, struct reason *reason);

/* The same of a text: a NUL byte in it, behind which it would not be seen, is ERR_INVALID. */
CHECKED enum err file_load_text(const struct file_ops *ops, const char *path, size_t max_bytes,
                                char **text, struct reason *reason);

/* Whether there is something by that name, of whatever kind. */
bool file_exists(const char *path);

/* Makes a file that holds size bytes of the disk (what is in it does not matter), or does nothing
 * when there is one of that size. Nothing is left of one that fits not: ERR_NO_SPACE, ERR_IO. */
CHECKED enum err file_reserve(const struct file_ops *ops, const char *path, int64_t size,
                              struct reason *reason);

/* The size of the file system that fd is on, and what of it is free for this process. */
CHECKED enum err file_free_space(const struct file_ops *ops, int fd, uint64_t *total_bytes,
                                 uint64_t *free_bytes, struct reason *reason);

/* Whether there is a symbolic link by that name. */
bool file_is_link(const char *path);

/* Removes a directory with all that is in it; of a symbolic link in it the link. None is no error;
 * a path that is a symbolic link itself is ERR_INVALID, and nothing is touched. */
CHECKED enum err file_remove_tree(const struct file_ops *ops, const char *path,
                                  struct reason *reason);

/*
 * Calls each(context, name) for every entry but "." and "..", in no order, until it returns
 * something else than ERR_NONE, which is then returned. A symbolic link is not followed
 * (ERR_INVALID), but for a path that ends with a slash: for what a person has named.
 */
CHECKED enum err file_list_dir(const char *path, enum err (*each)(void *context, const char *name),
                               void *context, struct reason *reason);

/*
 * A part of a file that is to be sent: sendfile(fd, position, size). Whoever holds the span calls
 * release(owner) once when the bytes are sent or given up; until then fd stays open and the bytes
 * stay as they are.
 */
struct file_span {
    int fd;
    int64_t position;
    size_t size;
    bool warm;     /* just written, so in the page cache; false: not known */
    bool verified; /* the bytes are known to be good; false: whoever gave the span can tell */
    void *owner;
    void (*release)(void *owner);
};

/* Whether both ends of the span are in the page cache. Does not wait. Any thread. */
bool file_span_is_warm(const struct file_span *span);

/* Releases a span. */
static inline void file_span_release(struct file_span *span)
{
    if (span->release != NULL) {
        span->release(span->owner);
    }
}

#endif
