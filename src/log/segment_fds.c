#include "log/segment_fds.h"

#include "base/mem.h"
#include "log/segment.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    MOST_LOOKS = 128, /* segments that one eviction looks at: all others may be held */
    MOST_CLOSED = 8,  /* at once, when there are more than the limit */
    SHRINK_BY = 64,
};

struct segment_fds {
    const struct file_ops *files;
    size_t limit;

    pthread_mutex_t lock; /* guards: */
    struct segment *hand; /* the next to be looked at; a ring */
    size_t open;
    uint64_t opened;
    uint64_t evicted;
};

struct segment_fds *segment_fds_new(const struct file_ops *files, size_t limit)
{
    struct segment_fds *fds = mem_new(struct segment_fds);
    fds->files = files;
    fds->limit = limit;
    pthread_mutex_init(&fds->lock, NULL);
    return fds;
}

void segment_fds_free(struct segment_fds *fds)
{
    assert(fds->hand == NULL);
    pthread_mutex_destroy(&fds->lock);
    free(fds);
}

void segment_fds_stats(struct segment_fds *fds, struct segment_fds_stats *out)
{
    pthread_mutex_lock(&fds->lock);
    *out = (struct segment_fds_stats){
        .open = fds->open, .limit = fds->limit, .opened = fds->opened, .evicted = fds->evicted};
    pthread_mutex_unlock(&fds->lock);
}

/* Behind the hand: it is looked at last. lock. */
static void link_in(struct segment_fds *fds, struct segment *segment)
{
    if (fds->hand == NULL) {
        segment->ring_prev = segment;
        segment->ring_next = segment;
        fds->hand = segment;
    } else {
        segment->ring_next = fds->hand;
        segment->ring_prev = fds->hand->ring_prev;
        segment->ring_prev->ring_next = segment;
        fds->hand->ring_prev = segment;
    }
    fds->open++;
}

/* lock. */
static void link_out(struct segment_fds *fds, struct segment *segment)
{
    if (segment->ring_next == segment) {
        fds->hand = NULL;
    } else {
        segment->ring_prev->ring_next = segment->ring_next;
        segment->ring_next->ring_prev = segment->ring_prev;
        if (fds->hand == segment) {
            fds->hand = segment->ring_next;
        }
    }
    segment->ring_next = NULL;
    segment->ring_prev = NULL;
    fds->open--;
}

/* Takes up to `most` descriptors from segments that nobody holds, while more than `keep` are open.
 * lock. */
static size_t evict(struct segment_fds *fds, size_t keep, size_t most, int *closed)
{
    size_t count = 0;
    for (int looks = 0; looks < MOST_LOOKS && fds->open > keep && count < most; looks++) {
        struct segment *segment = fds->hand;
        int free_to_take = 0;
        if (atomic_exchange_explicit(&segment->used, false, memory_order_relaxed) ||
            !atomic_compare_exchange_strong(&segment->holders, &free_to_take, SEGMENT_CLOSED)) {
            fds->hand = segment->ring_next;
            continue;
        }
        closed[count++] = segment->fd;
        link_out(fds, segment);
        fds->evicted++;
    }
    return count;
}

static void close_all(struct segment_fds *fds, const int *closed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        file_close(fds->files, closed[i]);
    }
}

void segment_fds_add(struct segment_fds *fds, struct segment *segment, int fd)
{
    int closed[MOST_CLOSED + 1];
    size_t count = 0;
    pthread_mutex_lock(&fds->lock);
    if (atomic_load(&segment->holders) == SEGMENT_CLOSED) {
        segment->fd = fd;
        link_in(fds, segment);
        fds->opened++;
        atomic_store(&segment->holders, 1); /* whoever sees it sees the descriptor */
        count = evict(fds, fds->limit, MOST_CLOSED, closed);
    } else {
        atomic_fetch_add(&segment->holders, 1); /* only under the lock it becomes closed */
        closed[count++] = fd;
    }
    pthread_mutex_unlock(&fds->lock);
    close_all(fds, closed, count);
}

void segment_fds_remove(struct segment_fds *fds, struct segment *segment)
{
    int fd = -1;
    pthread_mutex_lock(&fds->lock);
    if (atomic_load(&segment->holders) != SEGMENT_CLOSED) {
        fd = segment->fd;
        link_out(fds, segment);
    }
    pthread_mutex_unlock(&fds->lock);
    if (fd >= 0) {
        file_close(fds->files, fd);
    }
}

void segment_fds_shrink(struct segment_fds *fds)
{
    int closed[SHRINK_BY];
    pthread_mutex_lock(&fds->lock);
    size_t count = evict(fds, 0, SHRINK_BY, closed);
    pthread_mutex_unlock(&fds->lock);
    close_all(fds, closed, count);
}
