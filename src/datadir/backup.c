#include "datadir/backup.h"

#include "base/clock.h"
#include "base/mem.h"
#include "datadir/backup_internal.h"
#include "datadir/backup_source.h"
#include "datadir/control_client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So much is copied between two syncs; what was copied since the last one is copied again after a
 * stop. */
enum { SYNC_BYTES = 256 << 20, SYNC_FILES = 10000, SYNC_NS = 2000000000 };

struct backup {
    const struct backup_options *options;
    struct backup_totals *totals;
    struct backup_source source;
    struct copy copy;
    struct manifest before;  /* the backup that is there; empty */
    struct manifest journal; /* what a stopped one had copied */
    struct manifest after;
    struct buf lines; /* for the journal, once they are durable */
    int64_t unsynced_bytes;
    int64_t unsynced_files;
    int64_t synced_ns; /* when the last sync was */
};

/* One file at work. */
struct job {
    struct backup *backup;
    const struct backup_source_file *from;
    struct manifest_file file; /* what it becomes */
    const struct manifest_file *known;
    int from_fd;
    struct batch_check check;
};

/* What is there of this path: the newest state. */
static const struct manifest_file *find_known(const struct backup *backup, const char *path)
{
    const struct manifest_file *known = manifest_find(&backup->journal, path);
    return known != NULL ? known : manifest_find(&backup->before, path);
}

/* A version that neither the old backup nor the journal uses. */
static int32_t fresh_version(const struct backup *backup, const char *path)
{
    int32_t version = -1;
    const struct manifest_file *known = manifest_find(&backup->before, path);
    version = known != NULL ? known->version : version;
    known = manifest_find(&backup->journal, path);
    return (known != NULL && known->version > version ? known->version : version) + 1;
}

static bool is_stored(const struct backup *backup, const struct manifest_file *file)
{
    struct stat status;
    char *path = backup_stored_path(backup->options->dir, file);
    bool stored = stat(path, &status) == 0 && status.st_size >= file->size;
    free(path);
    return stored;
}

static enum err sync_now(struct backup *backup, struct reason *reason)
{
    if (backup->lines.size == 0) {
        return ERR_NONE;
    }
    enum err err = copy_sync(&backup->copy, backup->options->dir, reason);
    if (err == ERR_NONE) {
        err = backup_append_journal(backup->options->dir, buf_slice(&backup->lines), reason);
    }
    buf_clear(&backup->lines);
    backup->unsynced_bytes = 0;
    backup->unsynced_files = 0;
    backup->synced_ns = clock_now_ns();
    return err;
}

/* The copy is complete: it is in the manifest to be, and in the journal at the next sync. */
static enum err take_file(struct job *job, int64_t copied_bytes, struct reason *reason)
{
    struct backup *backup = job->backup;
    struct manifest_file file = job->file;
    if (copy_is_segment(file.path) && !batch_check_finish(&job->check)) {
        file.damaged = true;
        backup->options->damaged(backup->options->context, file.path, job->check.bad_position);
    }
    file.path = mem_strdup(file.path);
    manifest_add(&backup->after, &file);
    manifest_encode_file(&file, &backup->lines);
    backup->totals->damaged_files += file.damaged;
    backup->totals->copied_files++;
    backup->totals->copied_bytes += copied_bytes;
    backup->unsynced_bytes += copied_bytes;
    backup->unsynced_files++;
    bool due = backup->unsynced_bytes >= SYNC_BYTES || backup->unsynced_files >= SYNC_FILES ||
               clock_now_ns() - backup->synced_ns >= SYNC_NS;
    return due ? sync_now(backup, reason) : ERR_NONE;
}

/* Bytes from `from` on, into the stored file, which ends there. */
static enum err write_rest(struct job *job, int64_t from, struct reason *reason)
{
    struct backup *backup = job->backup;
    int fd;
    char *path = backup_stored_path(backup->options->dir, &job->file);
    enum err err = copy_make_parents(path, reason);
    if (err == ERR_NONE) {
        err = file_open(backup->copy.files, path, O_RDWR | O_CREAT, &fd, reason);
    }
    free(path);
    if (err != ERR_NONE) {
        return err;
    }
    err = copy_bytes(&backup->copy, job->from_fd, fd, from, job->file.size - from, &job->file.crc,
                     &job->check, reason);
    if (err == ERR_NONE) {
        err = file_truncate(backup->copy.files, fd, job->file.size, reason);
    }
    file_close(backup->copy.files, fd);
    return err == ERR_NONE ? take_file(job, job->file.size - from, reason) : err;
}

static enum err copy_whole(struct job *job, struct reason *reason)
{
    job->file.version = fresh_version(job->backup, job->from->path);
    job->file.crc = 0;
    job->check = (struct batch_check){.position = 0};
    return write_rest(job, 0, reason);
}

/*
 * The file changed, or cannot be told to be the same. When it begins with what is stored only the
 * rest is copied. That is looked at byte by byte: a log that lost its unsynced end to a crash may
 * have grown again with other events.
 */
static enum err copy_changed(struct job *job, struct reason *reason)
{
    const struct manifest_file *known = job->known;
    if (known->size > job->file.size) {
        return copy_whole(job, reason);
    }
    int64_t done_bytes = job->backup->copy.done_bytes;
    enum err err = copy_bytes(&job->backup->copy, job->from_fd, -1, 0, known->size, &job->file.crc,
                              &job->check, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (job->file.crc != known->crc) {
        job->backup->copy.done_bytes = done_bytes;
        return copy_whole(job, reason);
    }
    job->file.version = known->version;
    return write_rest(job, known->size, reason);
}

static enum err keep_file(struct job *job, struct reason *reason)
{
    struct backup *backup = job->backup;
    struct manifest_file file = *job->known;
    file.path = mem_strdup(file.path);
    manifest_add(&backup->after, &file);
    backup->totals->damaged_files += file.damaged;
    return copy_skip(&backup->copy, file.size, reason);
}

static bool is_same(const struct job *job)
{
    return job->known->size == job->file.size && job->known->inode == job->file.inode &&
           job->known->mtime_ns == job->file.mtime_ns;
}

static enum err run_job(struct job *job, struct reason *reason)
{
    struct stat status;
    if (fstat(job->from_fd, &status) != 0) {
        return reason_errno(reason, "cannot read it");
    }
    job->file = (struct manifest_file){
        .path = job->from->path,
        .size = job->from->size,
        .inode = status.st_ino,
        .mtime_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec,
    };
    job->known = find_known(job->backup, job->from->path);
    if (job->known == NULL || !is_stored(job->backup, job->known)) {
        return copy_whole(job, reason);
    }
    return is_same(job) ? keep_file(job, reason) : copy_changed(job, reason);
}

static enum err back_up_file(struct backup *backup, const struct backup_source_file *from,
                             struct reason *reason)
{
    struct job job = {.backup = backup, .from = from};
    struct reason why = {.text = ""};
    char *path = mem_sprintf("%s/%s", backup->source.root, from->path);
    enum err err = file_open(backup->copy.files, path, O_RDONLY, &job.from_fd, &why);
    if (err == ERR_NOT_FOUND) {
        err = ERR_IO;
        reason_set(&why, "the snapshot is gone: did the server stop? The same command goes on");
    }
    if (err == ERR_NONE) {
        err = run_job(&job, &why);
        file_close(backup->copy.files, job.from_fd);
    }
    if (err == ERR_CLOSED) {
        reason_set(reason, "%s", why.text);
    } else if (err != ERR_NONE) {
        reason_set(reason, "%s: %s", from->path, why.text);
    }
    free(path);
    return err;
}

static enum err write_manifest(struct backup *backup, struct reason *reason)
{
    struct buf text = {0};
    snprintf(backup->after.cluster_id, sizeof backup->after.cluster_id, "%s",
             backup->source.cluster_id);
    backup->after.cut_ms = backup->source.cut_ms;
    manifest_sort(&backup->after);
    manifest_encode(&backup->after, &text);
    char *path = mem_sprintf("%s/manifest", backup->options->dir);
    enum err err = copy_sync(&backup->copy, backup->options->dir, reason);
    if (err == ERR_NONE) {
        err = file_replace(backup->copy.files, path, text.data, text.size, reason);
    }
    free(path);
    buf_deinit(&text);
    return err;
}

/* From here on the new backup counts; what is left is to tidy up. */
static enum err tidy(struct backup *backup, struct reason *reason)
{
    char *journal = mem_sprintf("%s/progress", backup->options->dir);
    enum err err = file_unlink(backup->copy.files, journal, reason);
    free(journal);
    return err == ERR_NONE ? backup_remove_unnamed(backup->options->dir, &backup->after, reason)
                           : err;
}

static void fill_totals(struct backup *backup)
{
    struct backup_totals *totals = backup->totals;
    snprintf(totals->cluster_id, sizeof totals->cluster_id, "%s", backup->source.cluster_id);
    totals->cut_ms = backup->source.cut_ms;
    totals->waited_us = backup->source.waited_us;
    totals->files = (int64_t)backup->source.files.count;
    totals->bytes = backup->source.total_bytes;
    totals->stopped_source = backup->source.control_fd < 0;
}

/* A backup of another bus in the same place would keep nothing and lose the other. */
static enum err check_cluster(const struct backup *backup, struct reason *reason)
{
    if (backup->before.files.count == 0 ||
        strcmp(backup->before.cluster_id, backup->source.cluster_id) == 0) {
        return ERR_NONE;
    }
    return reason_fail(reason, ERR_EXISTS,
                       "%s is a backup of another bus (cluster id %s, not %s): choose another "
                       "directory",
                       backup->options->dir, backup->before.cluster_id, backup->source.cluster_id);
}

static enum err copy_all(struct backup *backup, struct reason *reason)
{
    enum err err = check_cluster(backup, reason);
    backup->copy.total_bytes = backup->source.total_bytes;
    for (size_t i = 0; i < backup->source.files.count && err == ERR_NONE; i++) {
        err = back_up_file(backup, &backup->source.files.items[i], reason);
    }
    if (err == ERR_NONE) {
        fill_totals(backup);
        err = write_manifest(backup, reason);
    } else {
        (void)!sync_now(backup, NULL); /* what was copied need not be copied again */
    }
    return err == ERR_NONE ? tidy(backup, reason) : err;
}

enum err backup_run(const struct backup_options *options, struct backup_totals *totals,
                    struct reason *reason)
{
    *totals = (struct backup_totals){.files = 0};
    struct backup backup = {.options = options, .totals = totals};
    int lock_fd = -1;
    backup.synced_ns = clock_now_ns();
    copy_init(&backup.copy, options->max_rate);
    backup.copy.progress = options->progress;
    backup.copy.context = options->context;
    struct control_wait wait = {.timeout_ms = options->timeout_ms,
                                .stopped = options->stopped,
                                .context = options->context};
    enum err err = backup_source_open(options->data_dir, &wait, &backup.source, reason);
    if (err == ERR_NONE) {
        err = backup_open_dir(options->dir, &lock_fd, reason);
    }
    if (err == ERR_NONE) {
        err = backup_load_manifest(options->dir, &backup.before, reason);
        err = err == ERR_NOT_FOUND ? ERR_NONE : err;
    }
    if (err == ERR_NONE) {
        err = backup_load_journal(options->dir, &backup.journal, reason);
    }
    if (err == ERR_NONE) {
        err = copy_all(&backup, reason);
    }
    backup_source_close(&backup.source);
    manifest_deinit(&backup.before);
    manifest_deinit(&backup.journal);
    manifest_deinit(&backup.after);
    buf_deinit(&backup.lines);
    copy_deinit(&backup.copy);
    if (lock_fd >= 0) {
        close(lock_fd);
    }
    return err;
}
