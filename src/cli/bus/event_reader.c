#include "cli/bus/event_reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool event_format_parse(const char *text, enum event_format *format)
{
    static const char *const names[] = {"lines", "nul", "json", "whole"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            *format = (enum event_format)i;
            return true;
        }
    }
    return false;
}

void event_reader_deinit(struct event_reader *reader)
{
    buf_deinit(&reader->bytes);
}

enum err event_reader_fill(struct event_reader *reader, int fd, struct reason *reason)
{
    enum { READ_BYTES = 256 * 1024 };
    if (reader->position > 0) {
        buf_consume(&reader->bytes, reader->position);
        reader->scanned -= reader->position;
        reader->position = 0;
    }
    buf_reserve(&reader->bytes, READ_BYTES);
    ssize_t got;
    do {
        got = read(fd, reader->bytes.data + reader->bytes.size, READ_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return reason_errno(reason, "cannot read the input");
    }
    reader->bytes.size += (size_t)got;
    reader->read_bytes += (uint64_t)got;
    reader->has_ended = got == 0;
    return ERR_NONE;
}

/* The next piece without its separator; ERR_AGAIN, ERR_NOT_FOUND, ERR_TOO_LARGE. */
static enum err take_piece(struct event_reader *reader, struct slice *piece, struct reason *reason)
{
    const uint8_t *data = reader->bytes.data;
    size_t end = reader->bytes.size;
    int separator = reader->format == EVENT_NUL ? '\0' : '\n';
    const uint8_t *found = NULL;
    if (reader->format != EVENT_WHOLE && reader->scanned < end) {
        found = memchr(data + reader->scanned, separator, end - reader->scanned);
    }
    if (found == NULL) {
        reader->scanned = end;
        if (end - reader->position > EVENT_MAX_BYTES) {
            return reason_fail(reason, ERR_TOO_LARGE, "event %llu is larger than %d bytes",
                               (unsigned long long)reader->piece_count + 1, EVENT_MAX_BYTES);
        }
        if (!reader->has_ended) {
            return ERR_AGAIN;
        }
        if (reader->position == end && (reader->format != EVENT_WHOLE || reader->piece_count > 0)) {
            return ERR_NOT_FOUND;
        }
        found = data + end;
    }
    size_t stop = data != NULL ? (size_t)(found - data) : 0;
    *piece = slice_of(data != NULL ? data + reader->position : (const uint8_t *)"",
                      stop - reader->position);
    reader->position = stop < end ? stop + 1 : end;
    reader->scanned = reader->position;
    reader->piece_count++;
    return ERR_NONE;
}

/* Cuts the key off at the separator. */
static enum err split_key(const struct event_reader *reader, struct event *event,
                          struct reason *reason)
{
    size_t size = strlen(reader->key_separator);
    const uint8_t *found =
        memmem(event->value.data, event->value.size, reader->key_separator, size);
    if (found == NULL) {
        return reason_fail(reason, ERR_INVALID, "line %llu has no key separator '%.20s'",
                           (unsigned long long)reader->piece_count, reader->key_separator);
    }
    size_t key_size = (size_t)(found - event->value.data);
    event->key = slice_of(event->value.data, key_size);
    event->value = slice_of(found + size, event->value.size - key_size - size);
    return ERR_NONE;
}

static bool is_blank(struct slice piece)
{
    for (size_t i = 0; i < piece.size; i++) {
        if (strchr(" \t\r", piece.data[i]) == NULL || piece.data[i] == '\0') {
            return false;
        }
    }
    return true;
}

enum err event_reader_next(struct event_reader *reader, struct arena *arena, struct event *event,
                           struct reason *reason)
{
    struct slice piece;
    enum err err;
    do {
        err = take_piece(reader, &piece, reason);
        if (err != ERR_NONE) {
            return err;
        }
    } while (reader->format == EVENT_JSON && is_blank(piece));
    if (reader->format == EVENT_JSON) {
        struct reason why;
        err = event_from_json(piece, arena, event, &why);
        return err == ERR_NONE ? err
                               : reason_fail(reason, err, "line %llu: %s",
                                             (unsigned long long)reader->piece_count, why.text);
    }
    *event = (struct event){.partition = -1, .offset = -1, .timestamp_ms = -1, .value = piece};
    if (reader->format == EVENT_LINES && piece.size > 0 && piece.data[piece.size - 1] == '\r') {
        event->value.size--; /* a line end from Windows */
    }
    return reader->key_separator != NULL ? split_key(reader, event, reason) : ERR_NONE;
}
