#include "log/log_internal.h"

#include "base/logger.h"
#include "base/mem.h"
#include "log/scan.h"

#include <stdlib.h>

enum { SNAPSHOT_MAX_BYTES = 1 << 30 };

static enum err load_one(struct log *log, int64_t offset, struct reason *reason)
{
    char *data;
    size_t size;
    char *path = segment_path(log->dir, offset, ".snapshot");
    enum err err = file_load(log->env.files, path, SNAPSHOT_MAX_BYTES, &data, &size, reason);
    free(path);
    if (err == ERR_NONE) {
        err = producer_snapshot_decode(&log->producers, slice_of(data, size),
                                       clock_wall_ms(log->env.clock), reason);
        free(data);
    }
    return err;
}

enum err log_load_producers(struct log *log, const struct log_files *found, int64_t offset,
                            int64_t *loaded, struct reason *reason)
{
    *loaded = -1;
    for (size_t i = found->snapshots.count; i > 0 && *loaded < 0; i--) {
        int64_t at = found->snapshots.items[i - 1];
        struct reason why;
        enum err err = at > offset ? ERR_NOT_FOUND : load_one(log, at, &why);
        if (err == ERR_NONE) {
            *loaded = at;
        } else if (err == ERR_IO) {
            return reason_fail(reason, err, "%s", why.text);
        } else if (at <= offset) {
            LOG_WARN("log", "a producer snapshot is not usable and is rebuilt",
                     "dir=\"%s\" offset=%lld reason=\"%s\"", log->dir, (long long)at, why.text);
        }
    }
    return ERR_NONE;
}

void log_adopt_snapshots(struct log *log, const struct log_files *found, int64_t end_offset)
{
    vec_reserve(&log->snapshots, found->snapshots.count);
    for (size_t i = 0; i < found->snapshots.count; i++) {
        int64_t at = found->snapshots.items[i];
        if (at <= end_offset) {
            vec_push(&log->snapshots, at);
            continue;
        }
        char *path = segment_path(log->dir, at, ".snapshot");
        if (file_unlink(log->env.files, path, NULL) != ERR_NONE) {
            LOG_WARN("log", "an old producer snapshot could not be deleted", "file=\"%s\"", path);
        }
        free(path);
    }
}

enum err log_apply_header(struct log *log, struct producer_state *producers, struct scan *scan,
                          int64_t position, const struct batch *header, struct segment *aborts,
                          struct reason *reason)
{
    int64_t now_ms = clock_wall_ms(log->env.clock);
    struct producer_txn ended;
    if (!batch_is_control(header)) {
        (void)producer_apply(producers, header, now_ms, &ended);
        return ERR_NONE;
    }
    struct buf bytes = {0};
    struct batch batch;
    enum err err = scan_load(scan, position, header, &bytes, &batch, reason);
    if (err == ERR_NONE && producer_apply(producers, &batch, now_ms, &ended) && aborts != NULL) {
        log_index_abort(log, aborts, &ended);
    }
    buf_deinit(&bytes);
    return err;
}

/* What a replay goes through, and for what. */
struct replay {
    struct producer_state *producers;
    int64_t from;
    int64_t to;
    bool index_aborts;
};

/* The segment is held. */
static enum err replay_held(struct log *log, struct segment *segment, int64_t end,
                            const struct replay *replay, struct reason *reason)
{
    int64_t from = replay->from;
    int64_t to = replay->to;
    struct segment *aborts = replay->index_aborts && segment->aborts_bad ? segment : NULL;
    struct scan scan;
    struct batch header;
    int64_t position;
    int64_t expected;
    int64_t limit = segment->written_from; /* what is behind is the scan's to judge */
    enum err err = log_walk_begin(log, segment, from, &position, &expected, reason);
    scan_init(&scan, segment->files, segment->fd, limit);
    while (err == ERR_NONE && position < limit && expected < to) {
        err = scan_header_expected(&scan, position, expected, end, &header, reason);
        if (err == ERR_CORRUPT || err == ERR_TRUNCATED) {
            struct damage damage;
            err = log_note_damage(log, segment, position, limit, expected, end, &damage, reason);
            position = damage.end;
            expected = damage.next_offset;
            continue;
        }
        if (err != ERR_NONE || header.base_offset >= to) {
            break;
        }
        if (header.base_offset >= from) {
            err =
                log_apply_header(log, replay->producers, &scan, position, &header, aborts, reason);
            err = err == ERR_IO ? err : ERR_NONE;
        }
        expected = batch_last_offset(&header) + 1;
        position += (int64_t)header.bytes.size;
    }
    scan_deinit(&scan);
    return err;
}

static enum err replay_segment(struct log *log, struct segment *segment, int64_t end,
                               const struct replay *replay, struct reason *reason)
{
    enum err err = segment_hold(segment, reason);
    if (err == ERR_NONE) {
        err = replay_held(log, segment, end, replay, reason);
        segment_let_go(segment);
    }
    return err;
}

enum err log_replay_producers(struct log *log, struct producer_state *producers, int64_t from,
                              int64_t to, bool index_aborts, struct reason *reason)
{
    struct replay replay = {
        .producers = producers, .from = from, .to = to, .index_aborts = index_aborts};
    enum err err = ERR_NONE;
    for (size_t i = 0; i < log->segments.count && err == ERR_NONE; i++) {
        int64_t end = i + 1 < log->segments.count ? log->segments.items[i + 1]->base_offset : to;
        if (end > from && log->segments.items[i]->base_offset < to) {
            err = replay_segment(log, log->segments.items[i], end, &replay, reason);
        }
    }
    return err;
}
