#include "log/log.h"

#include "log/log_internal.h"
#include "log/scan.h"

#include <fcntl.h>

/*
 * Bytes that this process neither wrote nor scanned may have rotted on the disk since they were
 * written. Their CRCs are checked when they are read for the first time, and whenever they come
 * from the disk again.
 */
struct verification {
    struct log *log;
    struct segment *segment; /* the span's */
    bool listed;             /* it is still one of the log's */
    int64_t size;            /* of the segment */
    int64_t segment_end;     /* offset */
    struct scan scan;
    int64_t position; /* good up to here */
    int64_t expected; /* the offset that comes next; -1: not known yet */
};

static void find_segment(struct verification *check)
{
    struct log *log = check->log;
    pthread_mutex_lock(&log->segments_lock);
    size_t number = log_segment_number(log, check->segment->base_offset);
    check->listed = log->segments.items[number] == check->segment;
    check->size = check->segment->size_bytes;
    check->segment_end = check->listed ? log_segment_end(log, number) : INT64_MAX;
    pthread_mutex_unlock(&log->segments_lock);
}

static enum err check_batch(struct verification *check, struct batch *header, struct reason *reason)
{
    enum err err;
    if (check->expected < 0) { /* who gave the span walked to its beginning */
        err = scan_header_within(&check->scan, check->position, check->segment->base_offset,
                                 check->segment_end, header, reason);
        check->expected = err == ERR_NONE ? header->base_offset : -1;
    } else {
        err = scan_header_expected(&check->scan, check->position, check->expected,
                                   check->segment_end, header, reason);
    }
    if (err == ERR_NONE) {
        err = scan_check_crc(&check->scan, check->position, header, reason);
    }
    return err == ERR_TRUNCATED ? ERR_CORRUPT : err;
}

/* Goes on to `end`, or the first bad batch. */
static enum err check_to(struct verification *check, int64_t end, struct reason *reason)
{
    enum err err = ERR_NONE;
    while (err == ERR_NONE && check->position < end) {
        struct batch header;
        err = check_batch(check, &header, reason);
        if (err == ERR_NONE) {
            check->expected = batch_last_offset(&header) + 1;
            check->position += (int64_t)header.bytes.size;
        }
    }
    return err;
}

/* The bad batch at the place where the check stopped; offset: the one that was read from. */
static enum err note_bad(struct verification *check, int64_t offset, struct reason *reason)
{
    struct damage damage;
    int64_t first = check->expected < 0 ? offset : check->expected;
    enum err err = log_note_damage(check->log, check->segment, check->position, check->size, first,
                                   check->segment_end, &damage, reason);
    return err == ERR_NONE
               ? reason_fail(reason, ERR_CORRUPT, "offsets %lld to %lld are damaged",
                             (long long)damage.first_offset, (long long)damage.next_offset - 1)
               : err;
}

static void note_good(struct verification *check, int64_t from)
{
    pthread_mutex_lock(&check->log->segments_lock);
    segment_note_verified(check->segment, from, check->position);
    pthread_mutex_unlock(&check->log->segments_lock);
}

enum err log_verify_span(struct log *log, int64_t offset, struct file_span *span,
                         int64_t *end_offset, struct reason *reason)
{
    int64_t end = span->position + (int64_t)span->size;
    struct verification check = {
        .log = log, .segment = span->owner, .position = span->position, .expected = -1};
    find_segment(&check);
    posix_fadvise(span->fd, span->position, (off_t)span->size, POSIX_FADV_WILLNEED);
    scan_init(&check.scan, check.segment->files, span->fd, check.size);
    enum err err = check_to(&check, end, reason);
    scan_deinit(&check.scan);
    if (check.position > span->position) {
        note_good(&check, span->position);
    }
    if (err == ERR_CORRUPT) {
        err = check.listed ? note_bad(&check, offset, reason) : ERR_NONE;
    }
    if (check.position > span->position && check.position < end) {
        span->size = (size_t)(check.position - span->position);
        *end_offset = check.expected;
        return ERR_NONE; /* the next read begins at what is bad, and says so */
    }
    if (check.position < end) {
        file_span_release(span);
        *span = (struct file_span){.fd = -1};
    }
    return err;
}
