#include "stream/read_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CHUNK_BYTES = 64 << 10 };

static bool is_warm_at(int fd, int64_t position)
{
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    return preadv2(fd, &iov, 1, position, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

bool read_ahead_is_warm(const struct file_span *span)
{
    return span->warm || (is_warm_at(span->fd, span->position) &&
                          is_warm_at(span->fd, span->position + (int64_t)span->size - 1));
}

void read_ahead(const struct file_span *span)
{
    char chunk[CHUNK_BYTES];
    int64_t end = span->position + (int64_t)span->size;
    int64_t at = span->position;
    posix_fadvise(span->fd, at, (off_t)span->size, POSIX_FADV_WILLNEED);
    while (at < end) {
        size_t wanted = end - at < CHUNK_BYTES ? (size_t)(end - at) : CHUNK_BYTES;
        ssize_t got = pread(span->fd, chunk, wanted, at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return;
        }
        at += got;
    }
}
