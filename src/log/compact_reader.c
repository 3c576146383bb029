#include "log/compact_internal.h"

#include "base/mem.h"

#include <stdlib.h>

enum err compact_reader_init(struct compact_reader *reader, const struct compact_limits *limits,
                             struct segment *segment, int64_t size, int64_t end, int64_t position,
                             struct reason *reason)
{
    *reader = (struct compact_reader){
        .limits = limits,
        .segment = segment,
        .size = size,
        .end = end,
        .position = position,
        .expected = segment->base_offset,
        .buffer_position = position,
    };
    enum err err = segment_hold(segment, reason);
    reader->held = err == ERR_NONE;
    return err;
}

void compact_reader_deinit(struct compact_reader *reader)
{
    buf_deinit(&reader->buffer);
    if (reader->held) {
        segment_let_go(reader->segment);
    }
}

static enum err take_step(struct compact_reader *reader, struct reason *reason)
{
    const struct compact_limits *limits = reader->limits;
    if (limits->step != NULL && !limits->step(limits->context, reader->step_bytes)) {
        return reason_fail(reason, ERR_AGAIN, "compaction was told to stop");
    }
    reader->step_bytes = 0;
    return ERR_NONE;
}

/* Makes `need` bytes at the position available, or as many as the segment has. */
static enum err fill(struct compact_reader *reader, size_t need, struct slice *bytes,
                     struct reason *reason)
{
    int64_t left = reader->size - reader->position;
    need = (int64_t)need < left ? need : (size_t)left;
    size_t into = (size_t)(reader->position - reader->buffer_position);
    if (reader->buffer.size < into + need) {
        enum err err = take_step(reader, reason);
        size_t want = (size_t)reader->limits->io_bytes;
        want = want > need ? want : need;
        want = (int64_t)want < left ? want : (size_t)left;
        size_t got = 0;
        buf_clear(&reader->buffer);
        if (err == ERR_NONE) {
            uint8_t *to = buf_extend(&reader->buffer, want);
            err = file_read_at(reader->segment->files, reader->segment->fd, to, want,
                               reader->position, &got, reason);
        }
        if (err != ERR_NONE) {
            return err;
        }
        reader->buffer.size = got;
        reader->buffer_position = reader->position;
        reader->step_bytes = (int64_t)got;
        into = 0;
    }
    *bytes = slice_of(reader->buffer.data + into, reader->buffer.size - into);
    return ERR_NONE;
}

/* A batch may be larger than the buffer; a length that cannot be is no reason to make it larger. */
static enum err parse(struct compact_reader *reader, struct batch *batch, struct reason *reason)
{
    struct slice bytes;
    enum err err = fill(reader, BATCH_HEADER_BYTES, &bytes, reason);
    if (err == ERR_NONE) {
        err = batch_parse(bytes, batch, reason);
    }
    if (err != ERR_TRUNCATED || bytes.size < BATCH_HEADER_BYTES) {
        return err;
    }
    size_t size = (size_t)load_be32(bytes.data + 8) + BATCH_LENGTH_OVERHEAD;
    if ((int64_t)size > reader->size - reader->position) {
        return err;
    }
    err = fill(reader, size, &bytes, reason);
    return err == ERR_NONE ? batch_parse(bytes, batch, reason) : err;
}

enum err compact_reader_next(struct compact_reader *reader, struct batch *batch, bool *done,
                             struct reason *reason)
{
    *done = reader->position >= reader->size;
    if (*done) {
        return take_step(reader, reason);
    }
    enum err err = parse(reader, batch, reason);
    if (err == ERR_NONE) {
        err = batch_check_crc(batch, reason);
    }
    if (err == ERR_NONE && (batch->base_offset < reader->expected || batch->last_offset_delta < 0 ||
                            batch_last_offset(batch) >= reader->end)) {
        err = reason_fail(reason, ERR_CORRUPT, "offset %lld is out of order",
                          (long long)batch->base_offset);
    }
    if (err != ERR_NONE) {
        return err == ERR_TRUNCATED || err == ERR_UNSUPPORTED_MAGIC ? ERR_CORRUPT : err;
    }
    reader->position += (int64_t)batch->bytes.size;
    reader->expected = batch_last_offset(batch) + 1;
    return ERR_NONE;
}

enum err compact_check_reach(struct compact_pass *pass, const struct compact_reader *reader,
                             struct reason *reason)
{
    return reader->expected < reader->end && reader->end > log_start_offset(pass->log)
               ? compact_note_damage(pass, reader, reason)
               : ERR_NONE;
}

enum err compact_note_damage(struct compact_pass *pass, const struct compact_reader *reader,
                             struct reason *reason)
{
    struct damage damage;
    enum err err = log_note_damage(pass->log, reader->segment, reader->position, reader->size,
                                   reader->expected, reader->end, &damage, reason);
    return err == ERR_NONE
               ? reason_fail(reason, ERR_CORRUPT, "segment %lld is damaged at position %lld",
                             (long long)reader->segment->base_offset, (long long)reader->position)
               : err;
}
