#include "stream/log_piece.h"

#include "batch/batch.h"
#include "topic/topic.h"

#include <stdlib.h>
#include <string.h>

void log_piece_clear(struct log_piece *piece)
{
    for (size_t i = 0; i < piece->opened.count; i++) {
        buf_deinit(&piece->opened.items[i]);
    }
    piece->opened.count = 0;
    piece->opened_bytes = 0;
    piece->events.count = 0;
    buf_clear(&piece->bytes);
    if (piece->bytes.capacity > 4 * LOG_PIECE_BYTES) {
        buf_deinit(&piece->bytes); /* one large batch is no reason to keep so much */
    }
    if (piece->arena.held_bytes > 4 * LOG_PIECE_BYTES) {
        arena_deinit(&piece->arena);
    }
    arena_reset(&piece->arena);
}

void log_piece_deinit(struct log_piece *piece)
{
    log_piece_clear(piece);
    vec_deinit(&piece->events);
    vec_deinit(&piece->opened);
    buf_deinit(&piece->bytes);
    arena_deinit(&piece->arena);
}

/* --- taking apart --- */

/* The record's headers, names and values each followed by a NUL. */
static void copy_headers(struct log_piece *piece, const struct record *record, struct event *event)
{
    struct record_header header;
    size_t position = 0;
    size_t count = 0;
    if (record->header_count == 0) {
        return;
    }
    struct event_header *headers =
        arena_alloc_array(&piece->arena, (size_t)record->header_count, sizeof *headers);
    /* Of each header the two lengths take two bytes at least: that is room for the NULs. */
    uint8_t *to = arena_alloc(&piece->arena, record->headers.size);
    while (record_header_next(record->headers, &position, &header)) {
        slice_copy(to, header.key);
        headers[count].name = (const char *)to;
        to += header.key.size + 1;
        headers[count].value = header.value;
        if (!slice_is_null(header.value)) {
            slice_copy(to, header.value);
            headers[count].value.data = to;
            to += header.value.size + 1;
        }
        count++;
    }
    event->headers = headers;
    event->header_count = count;
}

static void add_event(struct log_piece *piece, const struct partition *partition,
                      const struct batch *batch, const struct record *record)
{
    struct feed_event *fed = vec_add(&piece->events);
    fed->producer_id = batch->producer_id;
    fed->event = (struct event){
        .topic = partition->topic->name,
        .partition = partition->index,
        .offset = record->offset,
        .timestamp_ms = event_time(record->timestamp),
        .key = record->key,
        .value = record->value,
    };
    copy_headers(piece, record, &fed->event);
}

/* Adds the batch's records from next_offset on. An error: it cannot be read. */
static enum err add_batch(struct log_piece *piece, const struct partition *partition,
                          const struct batch *batch)
{
    struct record_iterator iterator;
    struct record record;
    struct reason ignored;
    bool done = false;
    size_t count = piece->events.count;
    enum err err = record_iterator_init(&iterator, batch, BATCH_DECOMPRESSED_MAX_BYTES, &ignored);
    while (err == ERR_NONE && !done) {
        err = record_iterator_next(&iterator, &record, &done, &ignored);
        if (err == ERR_NONE && !done && record.offset >= piece->next_offset &&
            record.offset < piece->stop) {
            add_event(piece, partition, batch, &record);
        }
    }
    piece->events.count = err == ERR_NONE ? piece->events.count : count;
    piece->opened_bytes += iterator.decompressed.size;
    vec_push(&piece->opened, buf_take(&iterator.decompressed));
    record_iterator_deinit(&iterator);
    return err;
}

struct aborted_list {
    struct aborted_txn *items;
    size_t count;
};

static bool is_aborted(const struct aborted_list *aborted, const struct batch *batch)
{
    for (size_t i = 0; batch_is_transactional(batch) && i < aborted->count; i++) {
        const struct aborted_txn *txn = &aborted->items[i];
        if (txn->producer_id == batch->producer_id && txn->first_offset <= batch->base_offset &&
            batch->base_offset <= txn->last_offset) {
            return true;
        }
    }
    return false;
}

static void pass_damage(struct log_piece *piece, int64_t to)
{
    piece->damaged_from = piece->damaged_from < 0 ? piece->next_offset : piece->damaged_from;
    piece->next_offset = to;
}

/* Goes through what was read, which goes up to `behind`. Where an event does not fit what it should
 * be, the batch is passed over, and nothing behind it is taken: the piece tells of one stretch of
 * damage at most. */
static void take_apart(struct log_piece *piece, const struct partition *partition,
                       const struct aborted_list *aborted, int64_t behind)
{
    struct slice rest = buf_slice(&piece->bytes);
    struct batch batch;
    while (piece->opened_bytes < LOG_PIECE_OPENED_BYTES && piece->next_offset < piece->stop &&
           batch_parse(rest, &batch, NULL) == ERR_NONE) {
        int64_t next = batch_last_offset(&batch) + 1;
        bool is_data = !batch_is_control(&batch) && next > piece->next_offset;
        bool is_shown = is_data && !is_aborted(aborted, &batch);
        piece->has_aborted |= is_data && !is_shown && batch.base_offset < piece->stop;
        if (is_shown && add_batch(piece, partition, &batch) != ERR_NONE) {
            pass_damage(piece, next);
            return;
        }
        piece->next_offset = next > piece->next_offset ? next : piece->next_offset;
        rest = slice_of(rest.data + batch.bytes.size, rest.size - batch.bytes.size);
    }
    if (rest.size == 0 && piece->next_offset < behind) {
        piece->next_offset = behind;
    }
}

/* --- reading --- */

/* Whether a read at the offset gives a batch, or the end. */
static bool can_read(struct log *log, int64_t offset, int64_t limit)
{
    struct file_span span = {0};
    struct log_range range;
    struct reason ignored;
    enum err err =
        log_read_records(log, offset, limit, LOG_PIECE_BYTES, true, &span, &range, &ignored);
    file_span_release(&span);
    return err != ERR_CORRUPT;
}

/* The first offset behind `bad` that can be read: by steps that double, then halve. */
static int64_t behind_damage(struct log *log, int64_t bad, int64_t limit)
{
    int64_t step = 1;
    while (step < limit - bad && !can_read(log, bad + step, limit)) {
        step *= 2;
    }
    int64_t good = step < limit - bad ? bad + step : limit;
    int64_t low = bad + step / 2;
    while (good - low > 1) {
        int64_t middle = low + (good - low) / 2;
        if (can_read(log, middle, limit)) {
            good = middle;
        } else {
            low = middle;
        }
    }
    return good;
}

static enum err load_span(struct log_piece *piece, const struct file_span *span,
                          struct reason *reason)
{
    uint8_t *to = buf_extend(&piece->bytes, span->size);
    size_t got;
    return file_read_at(file_ops_system(), span->fd, to, span->size, span->position, &got,
                        reason) == ERR_NONE &&
                   got == span->size
               ? ERR_NONE
               : reason_fail(reason, ERR_IO, "a segment could not be read");
}

/* How much of the log: who wants a few events is given little more. */
static size_t bytes_of(const struct log_piece *piece)
{
    return piece->stop == INT64_MAX ? LOG_PIECE_BYTES : LOG_PIECE_FEW_BYTES;
}

/* Reads batches into piece->bytes. *behind: up to where they go. */
static enum err read_batches(struct log_piece *piece, struct partition *partition,
                             struct aborted_list *aborted, int64_t *behind, struct reason *reason)
{
    struct file_span span = {0};
    struct log_range range = {0};
    struct log *log = partition->log;
    enum err err = log_read_records(log, piece->next_offset, piece->end_offset, bytes_of(piece),
                                    true, &span, &range, reason);
    if (err == ERR_NONE && span.size > 0 && !span.verified) {
        err = log_verify_span(log, piece->next_offset, &span, &range.end_offset, reason);
    }
    if (err == ERR_NONE && span.size > 0) {
        err = log_aborted_txns(log, piece->next_offset, range.end_offset, &aborted->items,
                               &aborted->count, reason);
    }
    if (err == ERR_NONE && span.size > 0) {
        err = load_span(piece, &span, reason);
    }
    *behind = range.end_offset;
    file_span_release(&span);
    return err;
}

enum err log_piece_read_until(struct log_piece *piece, struct partition *partition, int64_t from,
                              int64_t stop, struct reason *reason)
{
    struct aborted_list aborted = {0};
    int64_t high_watermark;
    int64_t behind = 0;
    log_piece_clear(piece);
    piece->damaged_from = -1;
    piece->has_aborted = false;
    piece->stop = stop;
    partition_readable(partition, &high_watermark, &piece->end_offset);
    piece->start_offset = partition_log_start(partition);
    piece->next_offset = from < piece->start_offset ? piece->start_offset : from;
    if (piece->next_offset >= stop || piece->next_offset >= piece->end_offset) {
        return ERR_NONE;
    }
    enum err err = partition_load(partition, reason);
    if (err == ERR_NONE) {
        err = read_batches(piece, partition, &aborted, &behind, reason);
    }
    if (err == ERR_CORRUPT) {
        pass_damage(piece, behind_damage(partition->log, piece->next_offset, piece->end_offset));
        err = ERR_NONE;
    } else if (err == ERR_NONE) {
        take_apart(piece, partition, &aborted, behind);
    }
    free(aborted.items);
    return err == ERR_OUT_OF_RANGE ? ERR_NONE : err; /* retention was faster */
}

enum err log_piece_read(struct log_piece *piece, struct partition *partition, int64_t from,
                        struct reason *reason)
{
    return log_piece_read_until(piece, partition, from, INT64_MAX, reason);
}
