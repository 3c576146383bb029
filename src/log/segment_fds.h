#ifndef TIDINGS_LOG_SEGMENT_FDS_H
#define TIDINGS_LOG_SEGMENT_FDS_H

#include "base/file.h"

#include <stddef.h>

/*
 * The open descriptors of segments: at most about `limit` of them, whatever the number of logs.
 *
 * Who reads or writes a segment's bytes holds it (segment_hold) meanwhile; a held descriptor stays
 * open. A segment that nobody holds may lose its descriptor to another one that is opened (second
 * chance: the ones that were used lately go last) and is opened again by need. Holding a segment
 * that is open takes no lock, so warm logs pay two atomic operations. Segments with bytes that are
 * not synced yet are held by their log, so that a failed write-back is seen by their own sync. When
 * all are held, there are more than the limit.
 *
 * One lock, `lock`, guards the ring; files are opened and closed outside of it. Any thread.
 */
struct segment;
struct segment_fds;

/* Keeps up to limit segments open that nobody uses at the moment. */
struct segment_fds *segment_fds_new(const struct file_ops *files, size_t limit);

/* No segment is open any more. */
void segment_fds_free(struct segment_fds *fds);

struct segment_fds_stats {
    size_t open;
    size_t limit;
    uint64_t opened; /* in all */
    uint64_t evicted;
};

/* The numbers of this moment. Any thread. */
void segment_fds_stats(struct segment_fds *fds, struct segment_fds_stats *out);

/* For segment.c: puts a freshly opened descriptor into the ring, held once. When another thread was
 * faster the segment is held with its descriptor, and the one given is closed. */
void segment_fds_add(struct segment_fds *fds, struct segment *segment, int fd);

/* For segment.c: takes the segment, which nobody holds or refers to, out of the ring and closes its
 * descriptor. */
void segment_fds_remove(struct segment_fds *fds, struct segment *segment);

/* For segment.c: closes some that nobody holds, as the process has no descriptor left. */
void segment_fds_shrink(struct segment_fds *fds);

#endif
