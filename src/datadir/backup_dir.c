#include "base/mem.h"
#include "datadir/backup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum err backup_load_manifest(const char *dir, struct manifest *manifest, struct reason *reason)
{
    char *data;
    size_t size;
    *manifest = (struct manifest){.cut_ms = 0};
    char *path = mem_sprintf("%s/manifest", dir);
    enum err err = file_load(file_ops_system(), path, MANIFEST_MAX_BYTES, &data, &size, reason);
    if (err == ERR_NONE) {
        struct reason why;
        err = manifest_decode(manifest, slice_of(data, size), &why);
        if (err != ERR_NONE) {
            reason_set(reason, "%s: %s", path, why.text);
        }
        free(data);
    }
    free(path);
    return err;
}

struct contents {
    bool ours;
    bool any;
};

static enum err look(void *context, const char *name)
{
    struct contents *contents = context;
    if (strcmp(name, "manifest") == 0 || strcmp(name, "progress") == 0 ||
        strcmp(name, "lock") == 0) {
        contents->ours = true;
    }
    contents->any = true;
    return ERR_NONE;
}

static enum err refuse_foreign(const char *dir, struct reason *reason)
{
    struct contents contents = {.ours = false};
    char *topics = mem_sprintf("%s/topics", dir);
    char *root = mem_sprintf("%s/", dir); /* it may be a link */
    enum err err = file_list_dir(root, look, &contents, reason);
    if (err == ERR_NONE && ((contents.any && !contents.ours) || file_exists(topics))) {
        err = reason_fail(reason, ERR_EXISTS, "%s is not empty and no backup: choose another", dir);
    }
    free(topics);
    free(root);
    return err;
}

enum err backup_open_dir(const char *dir, int *lock_fd, struct reason *reason)
{
    *lock_fd = -1;
    char *inside = mem_sprintf("%s/data/", dir);
    char *lock = mem_sprintf("%s/lock", dir);
    struct stat status;
    enum err err = stat(dir, &status) == 0 ? refuse_foreign(dir, reason) : ERR_NONE;
    if (err == ERR_NONE) {
        err = copy_make_parents(inside, reason);
    }
    if (err == ERR_NONE) {
        *lock_fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
        if (*lock_fd < 0) {
            err = reason_errno(reason, "cannot make %s", lock);
        } else if (flock(*lock_fd, LOCK_EX | LOCK_NB) != 0) {
            err = reason_fail(reason, ERR_LOCKED, "another backup into %s is under way", dir);
            close(*lock_fd);
            *lock_fd = -1;
        }
    }
    free(inside);
    free(lock);
    return err;
}

/* Keeps the last of those with one path: it names the newest version, or its longest state. */
static void drop_older(struct manifest *journal)
{
    size_t kept = 0;
    for (size_t i = 0; i < journal->files.count; i++) {
        struct manifest_file *file = &journal->files.items[i];
        if (kept > 0 && strcmp(journal->files.items[kept - 1].path, file->path) == 0) {
            struct manifest_file *before = &journal->files.items[kept - 1];
            bool newer = file->version > before->version ||
                         (file->version == before->version && file->size > before->size);
            free(newer ? before->path : file->path);
            if (newer) {
                *before = *file;
            }
        } else {
            journal->files.items[kept++] = *file;
        }
    }
    journal->files.count = kept;
}

enum err backup_load_journal(const char *dir, struct manifest *journal, struct reason *reason)
{
    char *data;
    size_t size;
    *journal = (struct manifest){.cut_ms = 0};
    char *path = mem_sprintf("%s/progress", dir);
    enum err err = file_load(file_ops_system(), path, MANIFEST_MAX_BYTES, &data, &size, reason);
    free(path);
    if (err != ERR_NONE) {
        return err == ERR_NOT_FOUND ? ERR_NONE : err;
    }
    struct slice text = slice_of(data, size);
    struct manifest_file file;
    while (manifest_decode_file(&text, &file)) { /* a crash may have torn the last line */
        manifest_add(journal, &file);
    }
    manifest_sort(journal);
    drop_older(journal);
    free(data);
    return ERR_NONE;
}

enum err backup_append_journal(const char *dir, struct slice lines, struct reason *reason)
{
    char *path = mem_sprintf("%s/progress", dir);
    int fd;
    int64_t size;
    const struct file_ops *files = file_ops_system();
    enum err err = file_open(files, path, O_RDWR | O_CREAT, &fd, reason);
    free(path);
    if (err != ERR_NONE) {
        return err;
    }
    err = file_size(fd, &size, reason);
    if (err == ERR_NONE) {
        struct iovec iov = {.iov_base = (void *)(uintptr_t)lines.data, .iov_len = lines.size};
        err = file_write_at(files, fd, &iov, 1, size, reason);
    }
    file_close(files, fd);
    return err;
}

char *backup_stored_path(const char *dir, const struct manifest_file *file)
{
    char *name = manifest_stored_name(file);
    char *path = mem_sprintf("%s/data/%s", dir, name);
    free(name);
    return path;
}

/* ---- what nobody names any more ---- */

struct sweep {
    const struct manifest *manifest;
    const char *root;   /* DIR/data */
    const char *folder; /* below it; "" at the top */
    struct reason *reason;
};

/* Whether a stored name, "<path>" or "<path>~<version>", is the one that the manifest means. */
static bool is_named(const struct manifest *manifest, const char *name)
{
    const char *tilde = strrchr(name, '~');
    char *path = tilde == NULL ? mem_strdup(name) : mem_strndup(name, (size_t)(tilde - name));
    const struct manifest_file *file = manifest_find(manifest, path);
    free(path);
    if (file == NULL) {
        return false;
    }
    char *stored = manifest_stored_name(file);
    bool same = strcmp(stored, name) == 0;
    free(stored);
    return same;
}

static enum err sweep_folder(const struct sweep *sweep);

static enum err sweep_entry(void *context, const char *name)
{
    const struct sweep *sweep = context;
    char *below =
        sweep->folder[0] == '\0' ? mem_strdup(name) : mem_sprintf("%s/%s", sweep->folder, name);
    char *path = mem_sprintf("%s/%s", sweep->root, below);
    struct stat status;
    enum err err = ERR_NONE;
    if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        struct sweep inner = {sweep->manifest, sweep->root, below, sweep->reason};
        err = sweep_folder(&inner);
        rmdir(path); /* when it is empty */
    } else if (!is_named(sweep->manifest, below)) {
        err = file_unlink(file_ops_system(), path, sweep->reason);
    }
    free(path);
    free(below);
    return err;
}

static enum err sweep_folder(const struct sweep *sweep)
{
    char *path = mem_sprintf("%s/%s", sweep->root, sweep->folder);
    struct sweep copy = *sweep;
    enum err err = file_list_dir(path, sweep_entry, &copy, sweep->reason);
    free(path);
    return err;
}

enum err backup_remove_unnamed(const char *dir, const struct manifest *manifest,
                               struct reason *reason)
{
    char *root = mem_sprintf("%s/data", dir);
    struct sweep sweep = {.manifest = manifest, .root = root, .folder = "", .reason = reason};
    enum err err = sweep_folder(&sweep);
    free(root);
    return err;
}
