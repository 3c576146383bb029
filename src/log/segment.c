#include "log/segment.h"

#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

char *segment_path(const char *dir, int64_t base_offset, const char *suffix)
{
    return mem_sprintf("%s/%020lld%s", dir, (long long)base_offset, suffix);
}

struct segment *segment_adopt(const struct file_ops *files, int fd, int64_t base_offset)
{
    struct segment *segment = mem_new(struct segment);
    atomic_init(&segment->refs, 1);
    segment->files = files;
    segment->fd = fd;
    segment->base_offset = base_offset;
    segment->times_known = true;
    segment->first_timestamp = INT64_MIN;
    segment->max_timestamp = INT64_MIN;
    index_init(&segment->offsets, INDEX_OFFSETS);
    index_init(&segment->times, INDEX_TIMES);
    index_init(&segment->aborts, INDEX_ABORTS);
    return segment;
}

enum err segment_open(const struct file_ops *files, const char *dir, int64_t base_offset,
                      bool create, struct segment **out, struct reason *reason)
{
    char *path = segment_path(dir, base_offset, ".log");
    int fd;
    enum err err = file_open(files, path, create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, &fd, reason);
    free(path);
    if (err != ERR_NONE) {
        return err;
    }
    struct stat status = {.st_size = 0};
    if (!create && fstat(fd, &status) != 0) {
        err = reason_errno(reason, "fstat failed");
        file_close(files, fd);
        return err;
    }
    struct segment *segment = segment_adopt(files, fd, base_offset);
    segment->size_bytes = status.st_size;
    segment->synced_bytes = status.st_size;
    segment->first_written_ms = (int64_t)status.st_mtime * 1000;
    segment->times_known = create;
    *out = segment;
    return ERR_NONE;
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
    file_close(segment->files, segment->fd);
    index_deinit(&segment->offsets);
    index_deinit(&segment->times);
    index_deinit(&segment->aborts);
    buf_deinit(&segment->snapshot);
    free(segment->damages);
    free(segment);
}

void segment_release(void *segment)
{
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

void segment_add_damage(struct segment *segment, const struct damage *damage)
{
    for (size_t i = 0; i < segment->damage_count; i++) {
        if (segment->damages[i].position == damage->position) {
            return; /* two readers found it at once */
        }
    }
    size_t count = segment->damage_count + 1;
    segment->damages = mem_realloc(segment->damages, count * sizeof *segment->damages);
    size_t at = segment->damage_count;
    while (at > 0 && segment->damages[at - 1].position > damage->position) {
        segment->damages[at] = segment->damages[at - 1];
        at--;
    }
    segment->damages[at] = *damage;
    segment->damage_count = count;
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
