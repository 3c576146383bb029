#include "topic/data_dir.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* mkdir -p. */
static enum err make_all(const struct file_ops *files, const char *path, struct reason *reason)
{
    char *copy = mem_strdup(path);
    enum err err = ERR_NONE;
    for (char *at = copy + 1; err == ERR_NONE && *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            if (!file_exists(copy)) {
                err = file_make_dir(files, copy, reason);
            }
            *at = '/';
        }
    }
    if (err == ERR_NONE) {
        err = file_make_dir(files, copy, reason);
    }
    free(copy);
    return err;
}

static enum err lock(const char *data_dir, int fd, struct reason *reason)
{
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return reason_errno(reason, "cannot lock %s", data_dir);
        }
        char holder[32] = "";
        ssize_t got = pread(fd, holder, sizeof holder - 1, 0);
        holder[got > 0 ? strcspn(holder, "\n") : 0] = '\0';
        return reason_fail(reason, ERR_LOCKED,
                           "another tidings (process %s) serves the data directory %s: stop it or "
                           "choose another directory with --data",
                           holder[0] != '\0' ? holder : "unknown", data_dir);
    }
    char text[32];
    int size = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size) {
        return reason_errno(reason, "cannot write the lock file in %s", data_dir);
    }
    return ERR_NONE;
}

enum err data_dir_open(const struct file_ops *files, const char *path, int *dir_fd, int *lock_fd,
                       struct reason *reason)
{
    *dir_fd = -1;
    *lock_fd = -1;
    enum err err = make_all(files, path, reason);
    if (err != ERR_NONE) {
        return err;
    }
    char *lock_path = mem_sprintf("%s/lock", path);
    *dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    free(lock_path);
    if (*dir_fd < 0 || *lock_fd < 0) {
        err = reason_errno(reason, "cannot use the data directory %s", path);
    } else {
        err = lock(path, *lock_fd, reason);
    }
    if (err != ERR_NONE) {
        close(*dir_fd);
        close(*lock_fd);
    }
    return err;
}
