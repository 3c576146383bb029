#ifndef TIDINGS_CLIENT_EVENT_LOG_ACCESS_H
#define TIDINGS_CLIENT_EVENT_LOG_ACCESS_H

#include "base/err.h"
#include "client/event/event.h"

/*
 * Reads a stretch of one partition where it stands: for a program that has the bus's log in its
 * process (stream/log_stretch.h), who asks for single events or for the end of a topic. Everybody
 * else reads by client/reader/reader.h, which makes connections and threads for each question.
 */

/* What was not given, of a stretch that was read; bits. */
enum log_hidden {
    LOG_HIDDEN_ABORTED = 1, /* events of aborted transactions */
    LOG_HIDDEN_DAMAGED = 2  /* what cannot be read */
};

/* A stretch of the log. Only committed events are given, in order of offset. */
struct log_stretch {
    /* in */
    const char *topic;
    int32_t partition;
    int64_t from, stop; /* offsets, without the last; from == stop: only the bounds are told */
    /* What it is given is borrowed; false: no more. Header values are followed by a NUL. */
    bool (*each)(void *context, const struct event *event);
    bool (*goes_on)(void *context); /* between pieces of the log, which may give nothing for long:
                                     * false: no more; NULL: always */
    void *context;

    /* out */
    int64_t start_offset;   /* of the log, now */
    int64_t end_offset;     /* up to where committed events can be read, now */
    int64_t high_watermark; /* what lies between the two is behind an open transaction */
    int64_t next_offset;    /* all in [from, next_offset) was given, or is not there, or hidden */
    unsigned hidden;        /* bits of log_hidden */
};

struct log_access {
    enum err (*read)(struct log_access *access, struct log_stretch *stretch, struct reason *reason);
    int32_t (*partition_count)(struct log_access *access, const char *topic);
    void (*unref)(struct log_access *access);
};

/*
 * Reads the stretch. Memory: a piece of the log (256 KiB of it, one batch at least, opened).
 * ERR_NOT_FOUND: there is no such topic or partition; ERR_CLOSED: the log is closed, or its topic
 * is deleted; ERR_IO. What was given before an error counts. Waits for the disk. Any thread, but
 * not within `each` or `goes_on`.
 */
CHECKED static inline enum err log_access_read(struct log_access *access,
                                               struct log_stretch *stretch, struct reason *reason)
{
    return access->read(access, stretch, reason);
}

/* How many partitions the topic has; 0: there is no such topic, or the log is closed. Any thread.
 */
static inline int32_t log_access_partition_count(struct log_access *access, const char *topic)
{
    return access->partition_count(access, topic);
}

/* Gives back a reference. NULL is fine. Any thread. */
static inline void log_access_unref(struct log_access *access)
{
    if (access != NULL) {
        access->unref(access);
    }
}

#endif
