#include "log/recovery_internal.h"

#include "base/crc32c.h"
#include "base/logger.h"
#include "base/mem.h"
#include "log/scan.h"

#include <fcntl.h>
#include <stdlib.h>

/*
 * Cutting off a tail that was never synced as a whole. A cut throws nothing away that reads well:
 * should the bytes before it have been damaged on the disk, what was acknowledged behind them is
 * still there for whoever wants to mend the log by hand.
 */

enum { COPY_PIECE_BYTES = 256 * 1024 };

/* Good batches in what is cut, here and in the segments behind. */
static int64_t count_behind(const struct log *log, const struct cut *cut, int64_t least_offset)
{
    int64_t count = 0;
    for (size_t i = cut->segment; i < log->segments.count; i++) {
        struct segment *segment = log->segments.items[i];
        bool first = i == cut->segment;
        struct scan scan;
        if (segment_hold(segment, NULL) != ERR_NONE) {
            continue;
        }
        scan_init(&scan, segment->files, segment->fd, first ? cut->size : segment->size_bytes);
        count += scan_count_good(&scan, first ? cut->position : 0, least_offset);
        scan_deinit(&scan);
        segment_let_go(segment);
    }
    return count;
}

/* Copies [from, to) to the beginning of another file. */
static enum err copy_bytes(const struct file_ops *files, int from_fd, int64_t from, int64_t to,
                           int to_fd, uint32_t *crc, struct reason *reason)
{
    uint8_t *piece = mem_alloc(COPY_PIECE_BYTES);
    enum err err = ERR_NONE;
    int64_t at = from;
    *crc = 0;
    while (at < to && err == ERR_NONE) {
        size_t want = to - at < COPY_PIECE_BYTES ? (size_t)(to - at) : (size_t)COPY_PIECE_BYTES;
        size_t got;
        err = file_read_at(files, from_fd, piece, want, at, &got, reason);
        if (err == ERR_NONE && got < want) {
            err = reason_fail(reason, ERR_IO, "the file ends at %lld, not at %lld",
                              (long long)at + (long long)got, (long long)to);
        }
        if (err == ERR_NONE) {
            struct iovec iov = {.iov_base = piece, .iov_len = got};
            *crc = crc32c(*crc, piece, got);
            err = file_write_at(files, to_fd, &iov, 1, at - from, reason);
            at += (int64_t)got;
        }
    }
    free(piece);
    return err;
}

/*
 * Keeps the bytes that are cut, durably; *name is the file's (free it). The CRC in the name makes
 * a cut that is done again use the same file, and another cut at the same position another one.
 */
static enum err keep_bytes(const struct log *log, const struct cut *cut, char **name,
                           struct reason *reason)
{
    const struct file_ops *files = log->env.files;
    const struct segment *segment = log->segments.items[cut->segment];
    char *tmp = segment_path(log->dir, segment->base_offset, ".cut.tmp");
    char *path = NULL;
    int fd = -1;
    uint32_t crc;
    *name = NULL;
    enum err err = file_open(files, tmp, O_WRONLY | O_CREAT | O_TRUNC, &fd, reason);
    if (err == ERR_NONE) {
        err = copy_bytes(files, segment->fd, cut->position, cut->size, fd, &crc, reason);
    }
    if (err == ERR_NONE) {
        err = file_sync(files, fd, reason);
    }
    if (fd >= 0) {
        file_close(files, fd);
    }
    if (err == ERR_NONE) {
        *name = mem_sprintf("%020lld.%lld.%08x.cut", (long long)segment->base_offset,
                            (long long)cut->position, crc);
        path = mem_sprintf("%s/%s", log->dir, *name);
        err = file_rename(files, tmp, path, reason);
    }
    if (err == ERR_NONE) {
        err = file_sync_dir(files, log->dir, reason);
    }
    free(path);
    free(tmp);
    return err; /* the next opening deletes a *.tmp */
}

/* Puts segments from number i on aside, as <name>.log.cut: they are behind a cut. */
static enum err set_aside(struct recovery *recovery, size_t i, struct reason *reason)
{
    struct log *log = recovery->log;
    while (log->segments.count > i) {
        struct segment *segment = log->segments.items[log->segments.count - 1];
        char *from = segment_path(log->dir, segment->base_offset, ".log");
        char *to = segment_path(log->dir, segment->base_offset, ".log.cut");
        enum err err = segment->size_bytes > 0 ? file_rename(log->env.files, from, to, reason)
                                               : file_unlink(log->env.files, from, reason);
        free(from);
        free(to);
        if (err == ERR_NONE) {
            err = segment_unlink(log->env.files, log->dir, segment->base_offset, reason);
        }
        if (err != ERR_NONE) {
            return err;
        }
        recovery->report->truncated_bytes += segment->size_bytes;
        log->segments.count--;
        segment_unref(segment);
    }
    return file_sync_dir(log->env.files, log->dir, reason);
}

static void tell(const struct recovery *recovery, const struct cut *cut, int64_t behind,
                 const char *kept)
{
    const struct log *log = recovery->log;
    LOG_WARN("log",
             cut->hole ? "cut off a tail that a crash left with a hole at its beginning"
                       : "cut off a tail that a crash left unfinished",
             "file=\"%s/%020lld.log\" position=%lld bytes=%lld end_offset=%lld "
             "whole_batches_behind=%lld kept_in=\"%s\"",
             log->dir, (long long)log->segments.items[cut->segment]->base_offset,
             (long long)cut->position, (long long)recovery->report->truncated_bytes,
             (long long)recovery->next, (long long)behind, kept);
}

enum err recovery_cut(struct recovery *recovery, const struct cut *cut, struct reason *reason)
{
    struct log *log = recovery->log;
    struct segment *segment = log->segments.items[cut->segment];
    int64_t behind = count_behind(log, cut, recovery->next);
    char *kept = NULL;
    enum err err = ERR_NONE;
    /* Kept before anything goes: what is set aside is not counted a second time. */
    if (behind > 0 && cut->position < cut->size) {
        err = keep_bytes(log, cut, &kept, reason);
    }
    if (err == ERR_NONE) {
        err = set_aside(recovery, cut->segment + 1, reason);
    }
    if (err == ERR_NONE && cut->position < cut->size) {
        log_cut_damages(log, segment, cut->position);
        err = file_truncate(log->env.files, segment->fd, cut->position, reason);
        recovery->report->truncated_bytes += cut->size - cut->position;
    }
    recovery->report->truncated_at = recovery->next;
    if (err == ERR_NONE) {
        tell(recovery, cut, behind, kept != NULL ? kept : "");
    }
    free(kept);
    return err;
}
