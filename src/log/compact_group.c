#include "base/logger.h"
#include "base/mem.h"
#include "log/compact_internal.h"
#include "log/txn_index.h"

#include <fcntl.h>
#include <stdlib.h>

/* Writing one new segment from a group of old ones. */

enum {
    /* So that no other sync has to wait for much of what a cleaning wrote. */
    COMPACT_SYNC_BYTES = 4 << 20,
};

struct compact_output {
    struct segment *segment; /* held: its path names nothing yet */
    struct buf buffer;
    int64_t written; /* bytes in the file */
    int64_t synced;
    bool changed;
};

static enum err open_output(struct compact_pass *pass, int64_t base, struct compact_output *output,
                            struct reason *reason)
{
    struct log *log = pass->log;
    int fd;
    char *path = compact_cleaned_path(log, base);
    enum err err = file_open(log->env.files, path, O_RDWR | O_CREAT | O_TRUNC, &fd, reason);
    free(path);
    if (err == ERR_NONE) {
        output->segment = segment_adopt(log->env.files, log->env.fds, log->dir, fd, base);
        segment_count(output->segment, log->env.budget);
    }
    return err;
}

static enum err sync_output(struct compact_output *output, struct reason *reason)
{
    enum err err = file_sync(output->segment->files, output->segment->fd, reason);
    output->synced = err == ERR_NONE ? output->written : output->synced;
    return err;
}

static enum err write_out(struct compact_pass *pass, struct compact_output *output,
                          struct reason *reason)
{
    struct iovec iov = {.iov_base = output->buffer.data, .iov_len = output->buffer.size};
    enum err err = ERR_NONE;
    if (iov.iov_len > 0) {
        err = file_write_at(output->segment->files, output->segment->fd, &iov, 1, output->written,
                            reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    int64_t bytes = (int64_t)output->buffer.size;
    output->written += bytes;
    buf_clear(&output->buffer);
    if (output->written - output->synced >= COMPACT_SYNC_BYTES) {
        err = sync_output(output, reason);
    }
    const struct compact_limits *limits = pass->limits;
    if (err == ERR_NONE && limits->step != NULL && !limits->step(limits->context, bytes)) {
        err = reason_fail(reason, ERR_AGAIN, "compaction was told to stop");
    }
    return err;
}

/* Notes the batches that stand in the buffer from `start` on (one, or none). */
static enum err take_output(struct compact_pass *pass, struct compact_output *output, size_t start,
                            const struct aborted_txn *aborted, struct reason *reason)
{
    struct batch batch;
    if (output->buffer.size == start) {
        return ERR_NONE;
    }
    enum err err = batch_parse(slice_of(output->buffer.data + start, output->buffer.size - start),
                               &batch, reason);
    if (err != ERR_NONE) {
        return err;
    }
    int64_t position = output->written + (int64_t)start;
    if (position > INT32_MAX - (int64_t)batch.bytes.size) {
        return reason_fail(reason, ERR_TOO_LARGE, "segment %lld would pass 2 GiB when compacted",
                           (long long)output->segment->base_offset);
    }
    segment_take_batch(output->segment, &batch, position, pass->index_interval_bytes);
    if (aborted->last_offset >= 0) {
        txn_index_add(&output->segment->aborts, aborted);
    }
    return (int64_t)output->buffer.size >= pass->limits->io_bytes ? write_out(pass, output, reason)
                                                                  : ERR_NONE;
}

static enum err copy_source(struct compact_pass *pass, const struct compact_source *source,
                            bool last_source, struct compact_output *output, struct reason *reason)
{
    struct compact_reader reader = {.held = false};
    enum err err = compact_txns_segment(&pass->txns, pass->log, source->segment->base_offset,
                                        source->end, reason);
    if (err == ERR_NONE) {
        err = compact_reader_init(&reader, pass->limits, source->segment, source->size, source->end,
                                  0, reason);
    }
    while (err == ERR_NONE) {
        struct batch batch;
        struct aborted_txn aborted;
        bool done;
        bool changed;
        size_t start = output->buffer.size;
        err = compact_reader_next(&reader, &batch, &done, reason);
        if (err == ERR_CORRUPT) {
            err = compact_note_damage(pass, &reader, reason);
        }
        if (err == ERR_NONE && done) {
            err = compact_check_reach(pass, &reader, reason);
        }
        if (err != ERR_NONE || done) {
            break;
        }
        bool last = last_source && reader.position == source->size;
        err = compact_filter(pass, &batch, last, &output->buffer, &changed, &aborted, reason);
        output->changed = output->changed || changed;
        if (err == ERR_NONE) {
            err = take_output(pass, output, start, &aborted, reason);
        }
    }
    compact_reader_deinit(&reader);
    return err;
}

static void drop_output(struct compact_pass *pass, struct compact_output *output)
{
    if (output->segment == NULL) {
        return;
    }
    struct reason why;
    char *path = compact_cleaned_path(pass->log, output->segment->base_offset);
    char *aborts = segment_path(pass->log->dir, output->segment->base_offset, ".txnindex.cleaned");
    if (file_unlink(pass->log->env.files, path, &why) != ERR_NONE ||
        file_unlink(pass->log->env.files, aborts, &why) != ERR_NONE) {
        LOG_WARN("log", "what a compaction left is deleted at the next start", "reason=\"%s\"",
                 why.text);
    }
    free(path);
    free(aborts);
    segment_let_go(output->segment);
    segment_unref(output->segment);
    output->segment = NULL;
}

static void count_result(struct compact_pass *pass, const struct compact_source *sources,
                         size_t count, int64_t size_after)
{
    struct compact_result *result = pass->result;
    for (size_t i = 0; i < count; i++) {
        result->bytes_after -= sources[i].size;
    }
    result->bytes_after += size_after;
    result->segments_after -= (int32_t)count - 1;
}

enum err compact_group(struct compact_pass *pass, const struct compact_source *sources,
                       size_t count, struct reason *reason)
{
    struct compact_output output = {.changed = count > 1};
    enum err err = open_output(pass, sources[0].segment->base_offset, &output, reason);
    for (size_t i = 0; i < count && err == ERR_NONE; i++) {
        err = copy_source(pass, &sources[i], i + 1 == count, &output, reason);
    }
    if (err == ERR_NONE && output.changed) {
        err = write_out(pass, &output, reason);
        if (err == ERR_NONE) {
            err = sync_output(&output, reason);
        }
    }
    int64_t size_after = output.segment == NULL ? 0 : output.segment->size_bytes;
    if (err == ERR_NONE && output.changed) {
        output.segment->synced_bytes = size_after;
        output.segment->first_written_ms = sources[count - 1].segment->first_written_ms;
        segment_close_times(output.segment);
        err =
            compact_swap(pass->log, output.segment, sources, count, sources[count - 1].end, reason);
        if (err == ERR_NONE) {
            output.segment = NULL;
        }
    }
    if (err == ERR_NONE && output.changed) {
        count_result(pass, sources, count, size_after);
    }
    drop_output(pass, &output);
    buf_deinit(&output.buffer);
    return err;
}
