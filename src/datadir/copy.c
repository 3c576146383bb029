#include "datadir/copy.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20, NS_PER_S = 1000000000 };

void copy_init(struct copy *copy, int64_t max_rate)
{
    *copy = (struct copy){
        .files = file_ops_system(),
        .buffer = mem_alloc(PIECE_BYTES),
        .max_rate = max_rate,
        .began_ns = clock_now_ns(),
    };
}

void copy_deinit(struct copy *copy)
{
    free(copy->buffer);
}

/* Sleeps for as long as the rate is ahead. */
static void keep_rate(struct copy *copy, int64_t bytes)
{
    copy->moved_bytes += bytes;
    if (copy->max_rate <= 0) {
        return;
    }
    double due_s = (double)copy->moved_bytes / (double)copy->max_rate;
    int64_t ahead_ns = (int64_t)(due_s * NS_PER_S) - (clock_now_ns() - copy->began_ns);
    if (ahead_ns > 0) {
        nanosleep(&(struct timespec){.tv_sec = ahead_ns / NS_PER_S, .tv_nsec = ahead_ns % NS_PER_S},
                  NULL);
    }
}

enum err copy_skip(struct copy *copy, int64_t bytes, struct reason *reason)
{
    copy->done_bytes += bytes;
    if (copy->progress != NULL &&
        !copy->progress(copy->context, copy->done_bytes, copy->total_bytes)) {
        return reason_fail(reason, ERR_CLOSED, "stopped; the same command goes on from here");
    }
    return ERR_NONE;
}

enum err copy_bytes(struct copy *copy, int from_fd, int to_fd, int64_t position, int64_t size,
                    uint32_t *crc, struct batch_check *check, struct reason *reason)
{
    enum err err = ERR_NONE;
    while (size > 0 && err == ERR_NONE) {
        size_t want = size < PIECE_BYTES ? (size_t)size : (size_t)PIECE_BYTES;
        size_t got;
        err = file_read_at(copy->files, from_fd, copy->buffer, want, position, &got, reason);
        if (err == ERR_NONE && got < want) {
            err = reason_fail(reason, ERR_TRUNCATED, "the file is shorter than it was");
        }
        if (err == ERR_NONE && to_fd >= 0) {
            struct iovec iov = {.iov_base = copy->buffer, .iov_len = got};
            err = file_write_at(copy->files, to_fd, &iov, 1, position, reason);
        }
        if (err != ERR_NONE) {
            break;
        }
        *crc = crc32c(*crc, copy->buffer, got);
        if (check != NULL) {
            batch_check_feed(check, slice_of(copy->buffer, got));
        }
        position += (int64_t)got;
        size -= (int64_t)got;
        keep_rate(copy, (int64_t)got);
        err = copy_skip(copy, (int64_t)got, reason);
    }
    return err;
}

enum err copy_sync(struct copy *copy, const char *dir, struct reason *reason)
{
    int fd;
    enum err err = file_open(copy->files, dir, O_RDONLY | O_DIRECTORY, &fd, reason);
    if (err == ERR_NONE) {
        if (copy->files->syncfs(copy->files->context, fd) != 0) {
            err = reason_errno(reason, "cannot sync %s", dir);
        }
        file_close(copy->files, fd);
    }
    return err;
}

enum err copy_make_parents(const char *path, struct reason *reason)
{
    char *copy = mem_strdup(path);
    enum err err = ERR_NONE;
    for (char *at = strchr(copy + 1, '/'); at != NULL && err == ERR_NONE;
         at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(copy, DIR_MODE) != 0 && errno != EEXIST) {
            err = reason_errno(reason, "cannot make directory %s", copy);
        }
        *at = '/';
    }
    free(copy);
    return err;
}

bool copy_is_segment(const char *path)
{
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".log") == 0;
}
