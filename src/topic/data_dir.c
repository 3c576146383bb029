#include "topic/data_dir.h"

#include "base/logger.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err make_one(const struct file_ops *files, const char *path, int *made,
                         struct reason *reason)
{
    if (file_exists(path)) {
        return ERR_NONE;
    }
    enum err err = file_make_dir(files, path, reason);
    *made += err == ERR_NONE;
    return err;
}

/* mkdir -p; *made: how many were made, the last ones of the path. */
static enum err make_all(const struct file_ops *files, const char *path, int *made,
                         struct reason *reason)
{
    char *copy = mem_strdup(path);
    enum err err = ERR_NONE;
    for (char *at = copy + 1; err == ERR_NONE && *at != '\0'; at++) {
        if (*at == '/' && at[-1] != '/') {
            *at = '\0';
            err = make_one(files, copy, made, reason);
            *at = '/';
        }
    }
    if (err == ERR_NONE) {
        err = make_one(files, copy, made, reason);
    }
    free(copy);
    return err;
}

void data_dir_undo(const struct file_ops *files, const char *path, int made)
{
    if (made == 0) {
        return;
    }
    char *at = mem_sprintf("%s/lock", path);
    (void)!files->unlink(files->context, at);
    for (char *slash = strrchr(at, '/'); made > 0 && slash != NULL; slash = strrchr(at, '/')) {
        *slash = '\0';
        if (files->rmdir(files->context, at) == 0) {
            made--;
        } else if (errno != ENOENT && errno != ENOTDIR) {
            break; /* somebody put something there */
        }
    }
    free(at);
}

/* The lock is on the directory: nobody can remove it from below its holder. The file says who holds
 * it, and is locked as well, for programs that know only that. */
static enum err lock(const char *data_dir, int dir_fd, int fd, struct reason *reason)
{
    if (flock(dir_fd, LOCK_EX | LOCK_NB) != 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
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
    /* Over what was there: on a full disk a new byte may not be had. */
    if (pwrite(fd, text, (size_t)size, 0) != size || ftruncate(fd, size) != 0) {
        return reason_errno(reason, "cannot write the lock file in %s", data_dir);
    }
    return ERR_NONE;
}

static enum err count_others(void *context, const char *name)
{
    int *count = context;
    *count += strcmp(name, "lost+found") != 0;
    return ERR_NONE;
}

/* Whether it is for this program alone: it holds a catalogue, or nothing. */
static bool is_own(const char *path)
{
    char *catalogue = mem_sprintf("%s/" DATA_DIR_CATALOGUE, path);
    char *root = mem_sprintf("%s/", path); /* it may be a link */
    int others = 0;
    bool own = file_exists(catalogue) ||
               (file_list_dir(root, count_others, &others, NULL) == ERR_NONE && others == 0);
    free(catalogue);
    free(root);
    return own;
}

/* What is in these is removed by its name, which must not lead out of the data directory. */
static enum err refuse_links(const char *path, struct reason *reason)
{
    static const char *const folders[] = {"topics", "snapshots"};
    enum err err = ERR_NONE;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && err == ERR_NONE; i++) {
        char *folder = mem_sprintf("%s/%s", path, folders[i]);
        if (file_is_link(folder)) {
            err = reason_fail(reason, ERR_INVALID,
                              "%s is a symbolic link, which is not followed: put the folder itself "
                              "there, or make the whole data directory a link",
                              folder);
        }
        free(folder);
    }
    return err;
}

/* What is made in it is for its owner only (FILE_MODE, DIR_MODE); what an older program made is
 * not. A directory that has other uses, or is somebody else's, keeps its mode. */
static void close_to_others(const char *path, int dir_fd, bool own)
{
    struct stat status;
    if (fstat(dir_fd, &status) != 0 || (status.st_mode & 077) == 0) {
        return;
    }
    if (own && fchmod(dir_fd, DIR_MODE) == 0) {
        LOG_INFO("topic", "the data directory was closed to other users", "dir=\"%s\" was=%04o",
                 path, (unsigned)status.st_mode & 07777);
    } else {
        LOG_WARN("topic", "other users may list the data directory", "dir=\"%s\" mode=%04o", path,
                 (unsigned)status.st_mode & 07777);
    }
}

enum err data_dir_open(const struct file_ops *files, const char *path, int *dir_fd, int *lock_fd,
                       int *made, struct reason *reason)
{
    *dir_fd = -1;
    *lock_fd = -1;
    *made = 0;
    enum err err = make_all(files, path, made, reason);
    if (err != ERR_NONE) {
        data_dir_undo(files, path, *made);
        return err;
    }
    char *lock_path = mem_sprintf("%s/lock", path);
    bool own = *made > 0 || is_own(path);
    *dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *lock_fd = open(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    free(lock_path);
    if (*dir_fd < 0 || *lock_fd < 0) {
        err = reason_errno(reason, "cannot use the data directory %s", path);
    } else {
        err = lock(path, *dir_fd, *lock_fd, reason);
    }
    if (err == ERR_NONE) {
        err = refuse_links(path, reason);
    }
    if (err != ERR_NONE) {
        close(*dir_fd);
        close(*lock_fd);
        data_dir_undo(files, path, *made);
    } else {
        close_to_others(path, *dir_fd, own);
    }
    return err;
}
