#include "fault_files.h"

#include "base/mem.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool chance(struct fault_files *files, int of_thousand)
{
    return of_thousand > 0 && (int)random_below(files->random, 1000) < of_thousand;
}

/* Whether the call fails because the files stopped working. */
static bool dies(struct fault_files *files)
{
    if (files->left == 0) {
        errno = EIO;
        return true;
    }
    files->left -= files->left > 0;
    return false;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static int find_name(const struct fault_name *names, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Applies a change to a table of names. */
static void set_name(struct fault_name *names, int *count, const char *name, int file)
{
    int at = find_name(names, *count, name);
    if (file < 0) {
        if (at >= 0) {
            names[at] = names[--*count];
        }
        return;
    }
    if (at < 0) {
        assert(*count < FAULT_FILES_MAX);
        at = (*count)++;
        snprintf(names[at].name, FAULT_NAME_BYTES, "%s", name);
    }
    names[at].file = file;
}

static void apply(struct fault_name *names, int *count, const struct fault_change *change)
{
    set_name(names, count, change->now.name, change->now.file);
    if (change->was[0] != '\0') {
        set_name(names, count, change->was, -1);
    }
}

/* was: the name before a rename, else "". */
static void change_name(struct fault_files *files, const char *name, int file, const char *was)
{
    assert(files->pending_count < FAULT_NAMES_MAX);
    struct fault_change *change = &files->pending[files->pending_count++];
    *change = (struct fault_change){.now.file = file};
    snprintf(change->now.name, FAULT_NAME_BYTES, "%s", name);
    snprintf(change->was, FAULT_NAME_BYTES, "%s", was);
    apply(files->names, &files->name_count, change);
}

static bool has_name(const struct fault_name *names, int count, int file)
{
    for (int i = 0; i < count; i++) {
        if (names[i].file == file) {
            return true;
        }
    }
    return false;
}

static bool is_pending(const struct fault_files *files, int file)
{
    for (int i = 0; i < files->pending_count; i++) {
        if (files->pending[i].now.file == file) {
            return true;
        }
    }
    return false;
}

/* A place for a file: of one that no name leads to and none can lead to after a crash, or a new
 * one. */
static int free_place(struct fault_files *files)
{
    for (int i = 0; i < files->file_count; i++) {
        if (!has_name(files->names, files->name_count, i) &&
            !has_name(files->durable, files->durable_count, i) && !is_pending(files, i)) {
            close(files->files[i].fd);
            free(files->files[i].durable);
            return i;
        }
    }
    assert(files->file_count < FAULT_FILES_MAX);
    return files->file_count++;
}

static int add_file(struct fault_files *files, int fd)
{
    int place = free_place(files);
    files->files[place] = (struct fault_file){.fd = dup(fd)};
    return place;
}

static uint8_t *content(int fd, size_t *size)
{
    struct stat status;
    int result = fstat(fd, &status);
    assert(result == 0);
    *size = (size_t)status.st_size;
    uint8_t *bytes = mem_alloc(*size + 1);
    ssize_t got = pread(fd, bytes, *size, 0);
    assert(got == (ssize_t)*size);
    return bytes;
}

static void make_durable(struct fault_file *file)
{
    free(file->durable);
    file->durable = content(file->fd, &file->durable_bytes);
}

static struct fault_file *file_of_fd(struct fault_files *files, int fd)
{
    struct stat wanted;
    struct stat status;
    if (fstat(fd, &wanted) == 0) {
        for (int i = 0; i < files->file_count; i++) {
            if (fstat(files->files[i].fd, &status) == 0 && status.st_ino == wanted.st_ino) {
                return &files->files[i];
            }
        }
    }
    return NULL;
}

static int fault_open(void *context, const char *path, int flags, int mode)
{
    struct fault_files *files = context;
    const char *name = base_name(path);
    bool is_new = find_name(files->names, files->name_count, name) < 0;
    if ((flags & O_CREAT) && dies(files)) {
        return -1;
    }
    if ((flags & O_CREAT) && is_new && chance(files, files->chances.create_error)) {
        errno = random_below(files->random, 2) ? EIO : ENOSPC;
        return -1;
    }
    int fd = open(
        path, flags == O_RDONLY ? flags | O_CLOEXEC : ((flags & ~O_WRONLY) | O_RDWR | O_CLOEXEC),
        mode);
    if (fd >= 0 && is_new) {
        change_name(files, name, add_file(files, fd), "");
    }
    return fd;
}

static int fault_close(void *context, int fd)
{
    (void)context;
    return close(fd);
}

static ssize_t fault_pread(void *context, int fd, void *to, size_t size, int64_t position)
{
    (void)context;
    return pread(fd, to, size, position);
}

static ssize_t write_part(int fd, const struct iovec *iov, int count, int64_t position, size_t most)
{
    size_t done = 0;
    for (int i = 0; i < count && done < most; i++) {
        size_t part = iov[i].iov_len < most - done ? iov[i].iov_len : most - done;
        ssize_t wrote = pwrite(fd, iov[i].iov_base, part, position + (int64_t)done);
        assert(wrote == (ssize_t)part);
        done += part;
    }
    return (ssize_t)done;
}

static ssize_t fault_pwritev(void *context, int fd, const struct iovec *iov, int count,
                             int64_t position)
{
    struct fault_files *files = context;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += iov[i].iov_len;
    }
    bool error = dies(files) || chance(files, files->chances.write_error);
    bool full = chance(files, files->chances.write_full);
    if (error || full) {
        (void)write_part(fd, iov, count, position, random_below(files->random, total + 1));
        errno = error ? EIO : ENOSPC;
        return -1;
    }
    if (total > 1 && chance(files, files->chances.short_write)) {
        return write_part(fd, iov, count, position, 1 + random_below(files->random, total - 1));
    }
    return write_part(fd, iov, count, position, total);
}

static int fault_fdatasync(void *context, int fd)
{
    struct fault_files *files = context;
    if (dies(files) || chance(files, files->chances.sync_error)) {
        errno = EIO;
        return -1;
    }
    struct fault_file *file = file_of_fd(files, fd);
    if (file != NULL) { /* else it is gone, and whoever has it open may go on with it */
        make_durable(file);
    }
    return 0;
}

static void sync_names(struct fault_files *files)
{
    memcpy(files->durable, files->names, sizeof files->names);
    files->durable_count = files->name_count;
    files->pending_count = 0;
}

static int fault_syncfs(void *context, int fd)
{
    struct fault_files *files = context;
    (void)fd;
    if (dies(files) || chance(files, files->chances.sync_error)) {
        errno = EIO;
        return -1;
    }
    for (int i = 0; i < files->file_count; i++) {
        make_durable(&files->files[i]);
    }
    sync_names(files);
    return 0;
}

static int fault_ftruncate(void *context, int fd, int64_t size)
{
    struct fault_files *files = context;
    if (dies(files) || chance(files, files->chances.truncate_error)) {
        errno = EIO;
        return -1;
    }
    return ftruncate(fd, size);
}

static int fault_rename(void *context, const char *from, const char *to)
{
    struct fault_files *files = context;
    if (dies(files) || chance(files, files->chances.rename_error)) {
        errno = EIO;
        return -1;
    }
    int result = rename(from, to);
    if (result == 0) {
        int at = find_name(files->names, files->name_count, base_name(from));
        assert(at >= 0);
        change_name(files, base_name(to), files->names[at].file, base_name(from));
    }
    return result;
}

static int fault_unlink(void *context, const char *path)
{
    struct fault_files *files = context;
    if (dies(files)) {
        return -1;
    }
    int result = unlink(path);
    if (result == 0) {
        change_name(files, base_name(path), -1, "");
    }
    return result;
}

static int fault_mkdir(void *context, const char *path)
{
    (void)context;
    return mkdir(path, 0755);
}

static int fault_rmdir(void *context, const char *path)
{
    (void)context;
    return rmdir(path);
}

static int fault_fsync_dir(void *context, const char *path)
{
    struct fault_files *files = context;
    if (dies(files) || chance(files, files->chances.dir_sync_error)) {
        errno = EIO;
        return -1;
    }
    if (strcmp(path, files->dir) == 0) {
        sync_names(files);
    }
    return 0;
}

void fault_files_init(struct fault_files *files, const char *dir, struct random *random)
{
    *files = (struct fault_files){.random = random, .left = -1};
    snprintf(files->dir, sizeof files->dir, "%s", dir);
    files->ops = (struct file_ops){
        .context = files,
        .open = fault_open,
        .close = fault_close,
        .pread = fault_pread,
        .pwritev = fault_pwritev,
        .fdatasync = fault_fdatasync,
        .syncfs = fault_syncfs,
        .ftruncate = fault_ftruncate,
        .rename = fault_rename,
        .unlink = fault_unlink,
        .mkdir = fault_mkdir,
        .rmdir = fault_rmdir,
        .fsync_dir = fault_fsync_dir,
        .fstatvfs = file_ops_system()->fstatvfs,
        .fallocate = file_ops_system()->fallocate,
    };
}

void fault_files_deinit(struct fault_files *files)
{
    for (int i = 0; i < files->file_count; i++) {
        close(files->files[i].fd);
        free(files->files[i].durable);
    }
}

enum { SMALL_PAGE_BYTES = 512, BLOCK_BYTES = 4096, BLOCK_LEAST_BYTES = 61 };

/* Makes zero some whole pages of what lies behind `from`. */
static void punch_holes(struct random *random, uint8_t *bytes, size_t from, size_t size)
{
    for (size_t at = (from + SMALL_PAGE_BYTES - 1) / SMALL_PAGE_BYTES * SMALL_PAGE_BYTES; at < size;
         at += SMALL_PAGE_BYTES) {
        size_t part = size - at < SMALL_PAGE_BYTES ? size - at : (size_t)SMALL_PAGE_BYTES;
        if (random_below(random, 4) == 0) {
            memset(bytes + at, 0, part);
        }
    }
}

/* Some blocks are as they were at the last sync: what was added since was never written. A few
 * bytes of a block at the end of a file prove nothing, and stay. */
static void leave_blocks_out(struct random *random, uint8_t *bytes, size_t from, size_t size)
{
    for (size_t at = from; at < size;) {
        size_t next = (at / BLOCK_BYTES + 1) * BLOCK_BYTES;
        size_t end = next < size ? next : size;
        bool tiny = end == size && end - at < BLOCK_LEAST_BYTES;
        if (!tiny && random_below(random, 3) == 0) {
            memset(bytes + at, 0, end - at);
        }
        at = end;
    }
}

/* The bytes of one file after the crash. */
static uint8_t *crashed_content(struct fault_files *files, const struct fault_file *file,
                                enum fault_crash how, size_t *size)
{
    struct random *random = files->random;
    uint8_t *bytes = content(file->fd, size);
    if (how == FAULT_CRASH_PROCESS || how == FAULT_CRASH_NAMES) {
        return bytes;
    }
    size_t kept = file->durable_bytes;
    if (how == FAULT_CRASH_LOSE || *size < kept || random_below(random, 4) == 0) {
        *size = kept;
    } else if (random_below(random, 4) != 0) {
        *size = kept + random_below(random, *size - kept + 1);
    }
    bytes = mem_realloc(bytes, *size + 1);
    if (kept > 0) {
        memcpy(bytes, file->durable, kept);
    }
    if (how == FAULT_CRASH_TEAR && *size > kept && random_below(random, 3) == 0) {
        size_t rubbish = 1 + random_below(random, *size - kept < 600 ? *size - kept : 600);
        for (size_t i = *size - rubbish; i < *size; i++) {
            bytes[i] = random_below(random, 2) ? 0 : (uint8_t)random_next(random);
        }
    }
    if (how == FAULT_CRASH_HOLES) {
        punch_holes(random, bytes, kept, *size);
    } else if (how == FAULT_CRASH_BLOCKS && *size > kept) {
        leave_blocks_out(random, bytes, kept, *size);
    }
    return bytes;
}

static void write_file(const char *dir, const char *name, const uint8_t *bytes, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    assert(fd >= 0);
    ssize_t wrote = pwrite(fd, bytes, size, 0);
    assert(wrote == (ssize_t)size);
    close(fd);
}

/* Whether a segment comes or goes by the change. */
static bool is_of_segment(const struct fault_change *change)
{
    const char *suffix = strrchr(change->now.name, '.');
    return change->was[0] == '\0' && suffix != NULL && strcmp(suffix, ".log") == 0;
}

/*
 * Leaves any of the changes. But new segments all stay, and old ones go from the first: without one
 * in their middle a log is another log.
 */
static void crash_any_names(struct fault_files *files)
{
    uint64_t removals = 0;
    for (int i = 0; i < files->pending_count; i++) {
        removals += is_of_segment(&files->pending[i]) && files->pending[i].now.file < 0;
    }
    removals = random_below(files->random, removals + 1);
    for (int i = 0; i < files->pending_count; i++) {
        const struct fault_change *change = &files->pending[i];
        bool stays = random_below(files->random, 2) == 0;
        if (is_of_segment(change)) {
            stays = change->now.file >= 0 || removals > 0;
            removals -= change->now.file < 0 && removals > 0;
        }
        if (stays) {
            apply(files->durable, &files->durable_count, change);
        }
    }
}

/* Which of the changes of names the crash leaves. */
static void crash_names(struct fault_files *files, enum fault_crash how)
{
    if (how == FAULT_CRASH_NAMES || (how > FAULT_CRASH_LOSE && random_below(files->random, 2))) {
        crash_any_names(files);
        return;
    }
    int count = how == FAULT_CRASH_PROCESS ? files->pending_count
                : how == FAULT_CRASH_LOSE
                    ? 0
                    : (int)random_below(files->random, (uint64_t)files->pending_count + 1);
    for (int i = 0; i < count; i++) {
        apply(files->durable, &files->durable_count, &files->pending[i]);
    }
}

void fault_files_crash(struct fault_files *files, enum fault_crash how, const char *new_dir)
{
    crash_names(files, how);
    for (int i = 0; i < files->durable_count; i++) {
        size_t size;
        uint8_t *bytes = crashed_content(files, &files->files[files->durable[i].file], how, &size);
        write_file(new_dir, files->durable[i].name, bytes, size);
        free(bytes);
    }
}

void fault_files_adopt(struct fault_files *files)
{
    struct dirent **entries;
    int count = scandir(files->dir, &entries, NULL, alphasort); /* in order: same seed, same run */
    assert(count >= 0);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            char path[512];
            snprintf(path, sizeof path, "%s/%s", files->dir, entries[i]->d_name);
            int fd = open(path, O_RDWR | O_CLOEXEC);
            assert(fd >= 0);
            int file = add_file(files, fd);
            close(fd);
            make_durable(&files->files[file]);
            set_name(files->names, &files->name_count, entries[i]->d_name, file);
        }
        free(entries[i]);
    }
    free(entries);
    sync_names(files);
}
