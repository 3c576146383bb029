#include "base/crc32c.h"
#include "base/mem.h"
#include "datadir/backup.h"
#include "datadir/backup_internal.h"
#include "topic/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- verify ---- */

/*
 * Reads a stored file; what it is not said to be is in *why (ERR_CORRUPT). to_fd: where a copy
 * goes; -1: nowhere.
 */
static enum err read_stored(struct copy *copy, const char *dir, const struct manifest_file *file,
                            int to_fd, struct reason *why)
{
    int fd;
    uint32_t crc = 0;
    struct batch_check check = {.position = 0};
    char *path = backup_stored_path(dir, file);
    enum err err = file_open(copy->files, path, O_RDONLY, &fd, why);
    if (err == ERR_NONE) {
        err = copy_bytes(copy, fd, to_fd, 0, file->size, &crc, &check, why);
        file_close(copy->files, fd);
    }
    if (err == ERR_NOT_FOUND || err == ERR_TRUNCATED) {
        err = reason_fail(why, ERR_CORRUPT, "%s is missing or too short", path);
    } else if (err == ERR_NONE && crc != file->crc) {
        err = reason_fail(why, ERR_CORRUPT, "%s is damaged: its checksum is %08x, not %08x", path,
                          (unsigned)crc, (unsigned)file->crc);
    } else if (err == ERR_NONE && copy_is_segment(file->path) && !file->damaged &&
               !batch_check_finish(&check)) {
        err = reason_fail(why, ERR_CORRUPT, "%s is damaged: the batch at position %lld is not good",
                          path, (long long)check.bad_position);
    }
    free(path);
    return err;
}

static int64_t total_bytes(const struct manifest *manifest)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < manifest->files.count; i++) {
        bytes += manifest->files.items[i].size;
    }
    return bytes;
}

static enum err load(const char *dir, struct manifest *manifest, struct reason *reason)
{
    enum err err = backup_load_manifest(dir, manifest, reason);
    return err == ERR_NOT_FOUND
               ? reason_fail(reason, err, "%s holds no whole backup: it has no manifest", dir)
               : err;
}

enum err backup_verify(const struct backup_options *options,
                       void (*bad)(void *context, const char *path, const char *why),
                       struct backup_check *check, struct reason *reason)
{
    *check = (struct backup_check){.files = 0};
    struct manifest manifest;
    enum err err = load(options->dir, &manifest, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct copy copy;
    copy_init(&copy, options->max_rate);
    copy.progress = options->progress;
    copy.context = options->context;
    copy.total_bytes = total_bytes(&manifest);
    for (size_t i = 0; i < manifest.files.count && err == ERR_NONE; i++) {
        struct reason why = {.text = ""};
        err = read_stored(&copy, options->dir, &manifest.files.items[i], -1, &why);
        if (err == ERR_CORRUPT) {
            bad(options->context, manifest.files.items[i].path, why.text);
            check->bad_files++;
            err = ERR_NONE;
        } else if (err != ERR_NONE) {
            reason_set(reason, "%s", why.text);
        }
        check->damaged_files += manifest.files.items[i].damaged;
        check->bytes += manifest.files.items[i].size;
        check->files++;
    }
    snprintf(check->cluster_id, sizeof check->cluster_id, "%s", manifest.cluster_id);
    check->cut_ms = manifest.cut_ms;
    copy_deinit(&copy);
    manifest_deinit(&manifest);
    return err;
}

/* ---- restore ---- */

static const char marker_name[] = "restoring";

struct restore {
    const struct restore_options *options;
    struct restore_totals *totals;
    struct manifest manifest;
    struct copy copy;
    char *data_dir; /* without slashes at its end */
    char *work_dir; /* "<data_dir>.restoring" */
    char marker[64];
};

static enum err find_any(void *context, const char *name)
{
    (void)name;
    *(bool *)context = true;
    return ERR_NONE;
}

static enum err check_target(const struct restore *restore, struct reason *reason)
{
    struct stat status;
    bool any = false;
    if (stat(restore->data_dir, &status) != 0) {
        return errno == ENOENT ? ERR_NONE
                               : reason_errno(reason, "cannot look at %s", restore->data_dir);
    }
    char *root = mem_sprintf("%s/", restore->data_dir); /* it may be a link */
    enum err err = file_list_dir(root, find_any, &any, reason);
    free(root);
    if (err == ERR_NONE && any) {
        err =
            reason_fail(reason, ERR_EXISTS, "%s is not empty: a restore makes a new data directory",
                        restore->data_dir);
    }
    return err;
}

/* The folder of an earlier try of the same backup is gone on with; one of another is removed. */
static enum err open_work_dir(struct restore *restore, struct reason *reason)
{
    const struct file_ops *files = restore->copy.files;
    char *marker = mem_sprintf("%s/%s", restore->work_dir, marker_name);
    char *found = NULL;
    size_t size;
    bool any = false;
    enum err err = ERR_NONE;
    if (file_exists(restore->work_dir)) {
        err = file_list_dir(restore->work_dir, find_any, &any, reason);
    }
    if (err == ERR_NONE && any) {
        err = file_load(files, marker, sizeof restore->marker, &found, &size, reason);
        if (err != ERR_NONE) {
            err = reason_fail(reason, ERR_EXISTS, "%s is in the way: remove it", restore->work_dir);
        } else if (strcmp(found, restore->marker) != 0) {
            err = file_remove_tree(files, restore->work_dir, reason);
            any = false;
        }
    }
    if (err == ERR_NONE && !any) {
        err = copy_make_parents(marker, reason);
        if (err == ERR_NONE) {
            err = file_replace(files, marker, restore->marker, strlen(restore->marker), reason);
        }
    }
    free(found);
    free(marker);
    return err;
}

/* Whether an earlier try has made this file whole. */
static enum err is_there(struct restore *restore, const struct manifest_file *file, int fd,
                         bool *there, struct reason *reason)
{
    int64_t size;
    uint32_t crc = 0;
    *there = false;
    int64_t done_bytes = restore->copy.done_bytes;
    enum err err = file_size(fd, &size, reason);
    if (err == ERR_NONE && size == file->size && size > 0) {
        err = copy_bytes(&restore->copy, fd, -1, 0, size, &crc, NULL, reason);
        *there = err == ERR_NONE && crc == file->crc;
        restore->copy.done_bytes = *there ? restore->copy.done_bytes : done_bytes;
    }
    return err;
}

static enum err restore_file(struct restore *restore, const struct manifest_file *file,
                             struct reason *reason)
{
    int fd;
    bool there = false;
    char *path = mem_sprintf("%s/%s", restore->work_dir, file->path);
    enum err err = copy_make_parents(path, reason);
    if (err == ERR_NONE) {
        err = file_open(restore->copy.files, path, O_RDWR | O_CREAT, &fd, reason);
    }
    free(path);
    if (err != ERR_NONE) {
        return err;
    }
    err = is_there(restore, file, fd, &there, reason);
    if (err == ERR_NONE && !there) {
        err = file_truncate(restore->copy.files, fd, 0, reason);
        if (err == ERR_NONE) {
            err = read_stored(&restore->copy, restore->options->dir, file, fd, reason);
        }
        restore->totals->copied_files++;
    }
    file_close(restore->copy.files, fd);
    return err;
}

/* The whole folder takes its name. */
static enum err publish(struct restore *restore, struct reason *reason)
{
    const struct file_ops *files = restore->copy.files;
    enum err err = copy_sync(&restore->copy, restore->work_dir, reason);
    if (err == ERR_NONE) { /* an empty directory of that name gives way */
        err = file_rename(files, restore->work_dir, restore->data_dir, reason);
    }
    if (err == ERR_NONE) {
        char *marker = mem_sprintf("%s/%s", restore->data_dir, marker_name);
        err = file_unlink(files, marker, reason);
        free(marker);
    }
    return err == ERR_NONE ? copy_sync(&restore->copy, restore->data_dir, reason) : err;
}

static enum err restore_all(struct restore *restore, struct reason *reason)
{
    const struct manifest *manifest = &restore->manifest;
    struct restore_totals *totals = restore->totals;
    struct buf text = {0};
    manifest_encode(manifest, &text);
    snprintf(restore->marker, sizeof restore->marker, "%08x %zu\n",
             (unsigned)crc32c(0, text.data, text.size), manifest->files.count);
    buf_deinit(&text);
    restore->copy.total_bytes = total_bytes(manifest);
    enum err err = check_target(restore, reason);
    if (err == ERR_NONE) {
        err = open_work_dir(restore, reason);
    }
    for (size_t i = 0; i < manifest->files.count && err == ERR_NONE; i++) {
        err = restore_file(restore, &manifest->files.items[i], reason);
        totals->bytes += manifest->files.items[i].size;
        totals->files++;
    }
    snprintf(totals->cluster_id, sizeof totals->cluster_id, "%s", manifest->cluster_id);
    totals->cut_ms = manifest->cut_ms;
    return err == ERR_NONE ? publish(restore, reason) : err;
}

enum err restore_run(const struct restore_options *options, struct restore_totals *totals,
                     struct reason *reason)
{
    *totals = (struct restore_totals){.files = 0};
    struct restore restore = {.options = options, .totals = totals};
    size_t length = strlen(options->data_dir);
    while (length > 1 && options->data_dir[length - 1] == '/') {
        length--;
    }
    restore.data_dir = mem_strndup(options->data_dir, length);
    restore.work_dir = mem_sprintf("%s.restoring", restore.data_dir);
    copy_init(&restore.copy, options->max_rate);
    restore.copy.progress = options->progress;
    restore.copy.context = options->context;
    enum err err = load(options->dir, &restore.manifest, reason);
    if (err == ERR_NONE) {
        err = restore_all(&restore, reason);
    }
    manifest_deinit(&restore.manifest);
    copy_deinit(&restore.copy);
    free(restore.data_dir);
    free(restore.work_dir);
    return err;
}
