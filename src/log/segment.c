#include "log/segment.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

char *segment_path(const char *dir, int64_t base_offset, const char *suffix)
{
    return mem_sprintf("%s/%020lld%s", dir, (long long)base_offset, suffix);
}

/* Frees some of the descriptors when there are none left, and tries again. */
static enum err open_file(const struct file_ops *files, struct segment_fds *fds, const char *dir,
                          int64_t base_offset, bool create, int *fd, struct reason *reason)
{
    char *path = segment_path(dir, base_offset, ".log");
    int flags = create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR;
    enum err err = file_open(files, path, flags, fd, reason);
    if (err != ERR_NONE && fds != NULL && (errno == EMFILE || errno == ENFILE)) {
        segment_fds_shrink(fds);
        err = file_open(files, path, flags, fd, reason);
    }
    free(path);
    return err;
}

static struct segment *segment_new(const struct file_ops *files, struct segment_fds *fds,
                                   const char *dir, int64_t base_offset)
{
    struct segment *segment = mem_new(struct segment);
    atomic_init(&segment->refs, 1);
    atomic_init(&segment->holders, SEGMENT_CLOSED);
    segment->fd = -1;
    segment->files = files;
    segment->fds = fds;
    segment->dir = dir;
    segment->base_offset = base_offset;
    segment->times_known = true;
    segment->first_timestamp = INT64_MIN;
    segment->max_timestamp = INT64_MIN;
    index_init(&segment->offsets, INDEX_OFFSETS);
    index_init(&segment->times, INDEX_TIMES);
    index_init(&segment->aborts, INDEX_ABORTS);
    return segment;
}

/* Takes over an opened descriptor, held once. */
static void take_fd(struct segment *segment, int fd)
{
    if (segment->fds != NULL) {
        segment_fds_add(segment->fds, segment, fd);
    } else {
        segment->fd = fd;
        atomic_store(&segment->holders, 1);
    }
}

struct segment *segment_adopt(const struct file_ops *files, struct segment_fds *fds,
                              const char *dir, int fd, int64_t base_offset)
{
    struct segment *segment = segment_new(files, fds, dir, base_offset);
    take_fd(segment, fd);
    return segment;
}

static enum err find_file(struct segment *segment, struct stat *status, struct reason *reason)
{
    char *path = segment_path(segment->dir, segment->base_offset, ".log");
    enum err err = ERR_NONE;
    if (stat(path, status) != 0) {
        err = errno == ENOENT ? reason_fail(reason, ERR_NOT_FOUND, "%s: no such file", path)
                              : reason_errno(reason, "cannot look at %s", path);
    }
    free(path);
    return err;
}

enum err segment_open(const struct file_ops *files, struct segment_fds *fds, const char *dir,
                      int64_t base_offset, bool create, struct segment **out, struct reason *reason)
{
    struct stat status = {.st_size = 0};
    struct segment *segment = segment_new(files, fds, dir, base_offset);
    enum err err = ERR_NONE;
    if (create || fds == NULL) {
        int fd;
        err = open_file(files, fds, dir, base_offset, create, &fd, reason);
        if (err == ERR_NONE) {
            take_fd(segment, fd);
            segment_let_go(segment);
        }
    }
    if (err == ERR_NONE && !create) {
        err = find_file(segment, &status, reason);
    }
    if (err != ERR_NONE) {
        segment_unref(segment);
        return err;
    }
    segment->size_bytes = status.st_size;
    segment->written_from = status.st_size;
    segment->synced_bytes = status.st_size;
    segment->first_written_ms = (int64_t)status.st_mtime * 1000;
    segment->times_known = create;
    *out = segment;
    return ERR_NONE;
}

void segment_count(struct segment *segment, struct budget *budget)
{
    if (budget != NULL && segment->budget == NULL) {
        segment->budget = budget;
        budget_add(budget, BUDGET_PARTITIONS, SEGMENT_COST);
    }
}

void segment_ref(struct segment *segment)
{
    atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
}

void segment_unref(struct segment *segment)
{
    if (atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (segment->fds != NULL) {
        segment_fds_remove(segment->fds, segment);
    } else if (segment->fd >= 0) {
        file_close(segment->files, segment->fd);
    }
    if (segment->budget != NULL) {
        budget_give(segment->budget, BUDGET_PARTITIONS, SEGMENT_COST);
    }
    index_deinit(&segment->offsets);
    index_deinit(&segment->times);
    index_deinit(&segment->aborts);
    buf_deinit(&segment->snapshot);
    free(segment->verified);
    vec_deinit(&segment->damages);
    free(segment);
}

/* Holds it when it is open. */
static bool try_hold(struct segment *segment)
{
    int holders = atomic_load_explicit(&segment->holders, memory_order_relaxed);
    while (holders != SEGMENT_CLOSED) {
        if (atomic_compare_exchange_weak_explicit(&segment->holders, &holders, holders + 1,
                                                  memory_order_acquire, memory_order_relaxed)) {
            if (!atomic_load_explicit(&segment->used, memory_order_relaxed)) {
                atomic_store_explicit(&segment->used, true, memory_order_relaxed);
            }
            return true;
        }
    }
    return false;
}

static enum err say_replaced(const struct segment *segment, struct reason *reason)
{
    return reason_fail(reason, ERR_CLOSED, "segment %020lld.log is deleted or replaced",
                       (long long)segment->base_offset);
}

enum err segment_hold(struct segment *segment, struct reason *reason)
{
    if (try_hold(segment)) {
        return ERR_NONE;
    }
    int fd;
    struct reason why;
    enum err err = open_file(segment->files, segment->fds, segment->dir, segment->base_offset,
                             false, &fd, &why);
    /* Who replaces a segment says so before its path names anything else: had the path named
     * another file when it was opened, this would be seen now. */
    if (atomic_load(&segment->replaced)) {
        if (err == ERR_NONE) {
            file_close(segment->files, fd);
        }
        return say_replaced(segment, reason);
    }
    if (err != ERR_NONE) {
        return reason_fail(reason, ERR_IO, "%s", why.text);
    }
    take_fd(segment, fd);
    return ERR_NONE;
}

void segment_hold_again(struct segment *segment)
{
    atomic_fetch_add_explicit(&segment->holders, 1, memory_order_relaxed);
}

void segment_let_go(struct segment *segment)
{
    atomic_fetch_sub_explicit(&segment->holders, 1, memory_order_release);
}

void segment_release(void *held)
{
    struct segment *segment = held;
    segment_let_go(segment);
    segment_unref(segment);
}

static int64_t relative(const struct segment *segment, int64_t offset)
{
    return offset - segment->base_offset;
}

static void add_time_row(struct segment *segment)
{
    if (segment->max_timestamp < 0) {
        return; /* no batch, or none with a timestamp */
    }
    if (!segment->times.last_known || segment->max_timestamp > segment->times.last.key) {
        index_add(&segment->times, segment->max_timestamp,
                  relative(segment, segment->max_timestamp_offset));
    }
}

void segment_take_batch(struct segment *segment, const struct batch *batch, int64_t position,
                        int64_t index_interval_bytes)
{
    bool empty = batch->record_count == 0; /* compaction took its records: its times are no one's */
    if (segment->first_timestamp == INT64_MIN && !empty) {
        segment->first_timestamp = batch->max_timestamp;
    }
    if (batch->max_timestamp > segment->max_timestamp && !empty) {
        segment->max_timestamp = batch->max_timestamp;
        segment->max_timestamp_offset = batch_last_offset(batch);
    }
    if (segment->unindexed_bytes > index_interval_bytes) {
        index_add(&segment->offsets, relative(segment, batch_last_offset(batch)), position);
        add_time_row(segment);
        segment->unindexed_bytes = 0;
    }
    segment->unindexed_bytes += (int64_t)batch->bytes.size;
    segment->size_bytes = position + (int64_t)batch->bytes.size;
}

void segment_close_times(struct segment *segment)
{
    add_time_row(segment);
}

static bool lies_in(const struct byte_range *range, int64_t from, int64_t to)
{
    return range->from <= from && to <= range->to;
}

bool segment_is_verified(const struct segment *segment, int64_t from, int64_t to)
{
    if (from >= segment->written_from) {
        return true;
    }
    int64_t unwritten_to = to < segment->written_from ? to : segment->written_from;
    for (int i = 0; segment->verified != NULL && i < SEGMENT_VERIFIED_RANGES; i++) {
        if (lies_in(&segment->verified[i], from, unwritten_to)) {
            return true;
        }
    }
    return false;
}

/* The range that [from, to) touches, or else the smallest. */
static struct byte_range *range_for(struct byte_range *ranges, int64_t from, int64_t to)
{
    struct byte_range *smallest = &ranges[0];
    for (int i = 0; i < SEGMENT_VERIFIED_RANGES; i++) {
        struct byte_range *range = &ranges[i];
        if (range->from < range->to && range->from <= to && from <= range->to) {
            return range;
        }
        if (range->to - range->from < smallest->to - smallest->from) {
            smallest = range;
        }
    }
    smallest->from = from;
    smallest->to = to;
    return smallest;
}

void segment_note_verified(struct segment *segment, int64_t from, int64_t to)
{
    if (segment->verified == NULL) {
        segment->verified = mem_new_array(struct byte_range, SEGMENT_VERIFIED_RANGES);
    }
    struct byte_range *range = range_for(segment->verified, from, to);
    range->from = from < range->from ? from : range->from;
    range->to = to > range->to ? to : range->to;
    for (int i = 0; i < SEGMENT_VERIFIED_RANGES; i++) { /* two that have met */
        struct byte_range *other = &segment->verified[i];
        if (other != range && other->from < other->to && other->from <= range->to &&
            range->from <= other->to) {
            range->from = other->from < range->from ? other->from : range->from;
            range->to = other->to > range->to ? other->to : range->to;
            *other = (struct byte_range){0};
        }
    }
}

void segment_add_damage(struct segment *segment, const struct damage *damage)
{
    for (size_t i = 0; i < segment->damages.count; i++) {
        if (segment->damages.items[i].position == damage->position) {
            return; /* two readers found it at once */
        }
    }
    size_t at = segment->damages.count;
    vec_add(&segment->damages);
    while (at > 0 && segment->damages.items[at - 1].position > damage->position) {
        segment->damages.items[at] = segment->damages.items[at - 1];
        at--;
    }
    segment->damages.items[at] = *damage;
}

enum err segment_unlink(const struct file_ops *files, const char *dir, int64_t base_offset,
                        struct reason *reason)
{
    /* The data last: a crash in between leaves a segment without indexes, which is whole, and not
     * indexes without a segment. */
    static const char *const suffixes[] = {".index", ".timeindex", ".txnindex", ".damage", ".log"};
    enum err err = ERR_NONE;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && err == ERR_NONE; i++) {
        char *path = segment_path(dir, base_offset, suffixes[i]);
        err = file_unlink(files, path, reason);
        free(path);
    }
    return err;
}
