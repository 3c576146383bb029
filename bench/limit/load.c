#include "limit.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CHUNK_BYTES = 1 << 20, /* what is received, written or peer-read at once at most */
    FILE_BYTES = 1 << 30,
};

/* A loopback connection: our end, and the peer process that has the other. */
struct peer {
    int fd;
    pid_t pid;
};

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

/* What a peer does with its end; it must leave with _exit. */
typedef void (*peer_main)(int fd, const struct limit_options *options);

static void peer_send(int fd, const struct limit_options *options)
{
    uint8_t *bytes = mem_alloc(CHUNK_BYTES);
    for (size_t i = 0; i < CHUNK_BYTES; i++) {
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    int64_t deadline_ns = clock_now_ns() + options->run_max_ms * 1000000;
    for (uint64_t left = options->bytes; left > 0 && clock_now_ns() < deadline_ns;) {
        size_t at = (size_t)((options->bytes - left) % CHUNK_BYTES);
        size_t size = left < CHUNK_BYTES - at ? (size_t)left : CHUNK_BYTES - at;
        ssize_t sent = send(fd, bytes + at, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            _exit(1);
        }
        left -= (uint64_t)sent;
    }
    _exit(0);
}

static void peer_receive(int fd, const struct limit_options *options)
{
    (void)options;
    uint8_t *bytes = mem_alloc(CHUNK_BYTES);
    ssize_t got;
    do {
        got = recv(fd, bytes, CHUNK_BYTES, 0);
    } while (got > 0);
    _exit(got == 0 ? 0 : 1);
}

static enum err connect_pair(int *ours, int *theirs, struct reason *reason)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    struct sockaddr *any = (struct sockaddr *)&address;
    enum err err = ERR_NONE;
    *ours = -1;
    *theirs = -1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, any, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, any, &size) != 0) {
        err = reason_errno(reason, "cannot listen on 127.0.0.1");
        goto done;
    }
    *theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*theirs < 0 || connect(*theirs, any, size) != 0) {
        err = reason_errno(reason, "cannot connect to 127.0.0.1");
        goto done;
    }
    *ours = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (*ours < 0) {
        err = reason_errno(reason, "cannot accept on 127.0.0.1");
    }
done:
    if (listener >= 0) {
        close(listener);
    }
    if (err != ERR_NONE && *theirs >= 0) {
        close(*theirs);
    }
    return err;
}

static enum err peer_start(struct peer *peer, peer_main run, const struct limit_options *options,
                           struct reason *reason)
{
    int theirs;
    enum err err = connect_pair(&peer->fd, &theirs, reason);
    if (err != ERR_NONE) {
        return err;
    }
    peer->pid = fork();
    if (peer->pid == 0) {
        close(peer->fd);
        run(theirs, options);
        _exit(1);
    }
    close(theirs);
    if (peer->pid < 0) {
        close(peer->fd);
        return reason_errno(reason, "cannot start the peer process");
    }
    return ERR_NONE;
}

/* Closes our end and waits for the peer. err: what went wrong before, which then counts. */
static enum err peer_stop(struct peer *peer, enum err err, struct reason *reason)
{
    int status = 0;
    close(peer->fd);
    while (waitpid(peer->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (err == ERR_NONE && status != 0) {
        return reason_fail(reason, ERR_IO, "the peer process failed (status %d)", status);
    }
    return err;
}

enum err limit_file_open(const char *directory, int *fd, struct reason *reason)
{
    char *path = mem_sprintf("%s/limit-XXXXXX", directory);
    *fd = mkostemp(path, O_CLOEXEC);
    enum err err = ERR_NONE;
    if (*fd < 0) {
        err = reason_errno(reason, "cannot make a file in %s", directory);
    } else {
        unlink(path);
    }
    free(path);
    return err;
}

/* Writes at the end of the last file, after opening the first or the next one where needed. */
static enum err files_write(const char *directory, struct limit_files *files, const uint8_t *bytes,
                            size_t size, struct reason *reason)
{
    uint64_t at = files->bytes % FILE_BYTES;
    if (at == 0) { /* CHUNK_BYTES divides FILE_BYTES, and so do the messages */
        if (files->count == (int)(sizeof files->fds / sizeof files->fds[0])) {
            return reason_fail(reason, ERR_LIMIT, "more than %d files", files->count);
        }
        enum err err = limit_file_open(directory, &files->fds[files->count], reason);
        if (err != ERR_NONE) {
            return err;
        }
        files->count++;
    }
    if (size > FILE_BYTES - at) {
        size_t first = (size_t)(FILE_BYTES - at);
        enum err err = files_write(directory, files, bytes, first, reason);
        return err != ERR_NONE ? err
                               : files_write(directory, files, bytes + first, size - first, reason);
    }
    while (size > 0) {
        ssize_t written = pwrite(files->fds[files->count - 1], bytes, size, (off_t)at);
        if (written < 0) {
            return reason_errno(reason, "cannot write to a file in %s", directory);
        }
        bytes += written;
        size -= (size_t)written;
        at += (uint64_t)written;
        files->bytes += (uint64_t)written;
    }
    return ERR_NONE;
}

static enum err ingest_loop(const struct limit_options *options, int fd, size_t message_bytes,
                            size_t flush_bytes, struct limit_files *files, uint8_t *buffer,
                            struct reason *reason)
{
    size_t have = 0;
    uint64_t flushed_bytes = 0;
    uint32_t seen = 0;
    for (;;) {
        ssize_t got = recv(fd, buffer + have, CHUNK_BYTES - have, 0);
        if (got < 0) {
            return reason_errno(reason, "cannot receive");
        }
        if (got == 0) {
            break;
        }
        have += (size_t)got;
        size_t whole = have - have % message_bytes;
        if (whole == 0) {
            continue;
        }
        for (size_t at = 0; at < whole; at += message_bytes) {
            seen ^= crc32c(0, buffer + at, message_bytes);
        }
        enum err err = files_write(options->directory, files, buffer, whole, reason);
        if (err != ERR_NONE) {
            return err;
        }
        if (flush_bytes > 0 && files->bytes - flushed_bytes >= flush_bytes) {
            if (fdatasync(files->fds[files->count - 1]) != 0) {
                return reason_errno(reason, "cannot flush a file in %s", options->directory);
            }
            flushed_bytes = files->bytes;
        }
        have -= whole;
        memmove(buffer, buffer + whole, have);
    }
    __asm__ volatile("" : : "r"(seen)); /* the checksums are wanted */
    if (files->bytes == 0) {
        return reason_fail(reason, ERR_IO, "no message came");
    }
    return ERR_NONE;
}

enum err limit_ingest(const struct limit_options *options, size_t message_bytes, size_t flush_bytes,
                      struct limit_files *files, struct limit_load *load, struct reason *reason)
{
    struct peer peer;
    *files = (struct limit_files){0};
    enum err err = peer_start(&peer, peer_send, options, reason);
    if (err != ERR_NONE) {
        return err;
    }
    uint8_t *buffer = mem_zalloc(CHUNK_BYTES);
    double cpu = cpu_seconds();
    int64_t start_ns = clock_now_ns();
    err = ingest_loop(options, peer.fd, message_bytes, flush_bytes, files, buffer, reason);
    load->seconds = (double)(clock_now_ns() - start_ns) / 1e9;
    load->cpu_seconds = cpu_seconds() - cpu;
    load->bytes = (double)files->bytes;
    free(buffer);
    return peer_stop(&peer, err, reason);
}

static enum err egress_loop(const struct limit_files *files, int fd, size_t message_bytes,
                            int64_t deadline_ns, uint64_t *sent_bytes, struct reason *reason)
{
    *sent_bytes = 0;
    while (*sent_bytes < files->bytes && clock_now_ns() < deadline_ns) {
        off_t at = (off_t)(*sent_bytes % FILE_BYTES);
        size_t size = message_bytes;
        while (size > 0 && *sent_bytes < files->bytes) {
            ssize_t sent = sendfile(fd, files->fds[*sent_bytes / FILE_BYTES], &at, size);
            if (sent <= 0) {
                return reason_errno(reason, "sendfile");
            }
            size -= (size_t)sent;
            *sent_bytes += (uint64_t)sent;
        }
    }
    return ERR_NONE;
}

enum err limit_egress(const struct limit_options *options, size_t message_bytes,
                      const struct limit_files *files, struct limit_load *load,
                      struct reason *reason)
{
    struct peer peer;
    enum err err = peer_start(&peer, peer_receive, options, reason);
    if (err != ERR_NONE) {
        return err;
    }
    double cpu = cpu_seconds();
    int64_t start_ns = clock_now_ns();
    uint64_t sent_bytes;
    err = egress_loop(files, peer.fd, message_bytes, start_ns + options->run_max_ms * 1000000,
                      &sent_bytes, reason);
    load->cpu_seconds = cpu_seconds() - cpu;
    err = peer_stop(&peer, err, reason); /* what was sent has now been received */
    load->seconds = (double)(clock_now_ns() - start_ns) / 1e9;
    load->bytes = (double)sent_bytes;
    return err;
}

void limit_files_deinit(struct limit_files *files)
{
    for (int i = 0; i < files->count; i++) {
        close(files->fds[i]);
    }
    *files = (struct limit_files){0};
}
