#ifndef TIDINGS_DATADIR_BACKUP_SOURCE_H
#define TIDINGS_DATADIR_BACKUP_SOURCE_H

#include "base/err.h"
#include "base/vec.h"

#include <stddef.h>
#include <stdint.h>

/*
 * What a backup copies from: a snapshot folder (topic/snapshot.h), made by the running server over
 * its control socket, or here when none runs. It goes when the source is closed, or by the server
 * when this process ends in any way.
 */
struct backup_source_file {
    char *path; /* below root */
    int64_t size;
};

struct backup_source {
    char *root;
    VEC(struct backup_source_file) files;
    char cluster_id[64];
    int64_t cut_ms;
    int64_t waited_us; /* how long appends waited */
    int64_t total_bytes;
    int control_fd; /* -1: no server runs */
    int dir_fd;
    int lock_fd; /* -1: a server runs */
};

struct control_wait;

/* ERR_NOT_FOUND: no data directory. ERR_LOCKED: a server holds it that has no control socket.
 * ERR_IO, and ERR_INVALID with what the server answered; ERR_TIMEOUT, ERR_AGAIN (stopped) while
 * waiting for its snapshot. */
CHECKED enum err backup_source_open(const char *data_dir, const struct control_wait *wait,
                                    struct backup_source *source, struct reason *reason);

/* Also after backup_source_open failed. */
void backup_source_close(struct backup_source *source);

#endif
