#include "log/scan.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_CRC_FROM = 21 /* the CRC covers the bytes from here on */ };

void scan_init(struct scan *scan, const struct file_ops *files, int fd, int64_t limit)
{
    scan->files = files;
    scan->fd = fd;
    scan->limit = limit;
    scan->window_position = 0;
    scan->window_size = 0;
    scan->piece = NULL;
}

void scan_deinit(struct scan *scan)
{
    free(scan->piece);
    scan->piece = NULL;
}

uint8_t *scan_piece(struct scan *scan)
{
    if (scan->piece == NULL) {
        scan->piece = mem_alloc(SCAN_PIECE_BYTES);
    }
    return scan->piece;
}

/* Makes BATCH_HEADER_BYTES at position available in the window, or as many as limit allows. */
static enum err fill_window(struct scan *scan, int64_t position, const uint8_t **at, size_t *size,
                            struct reason *reason)
{
    int64_t left = scan->limit - position;
    size_t want = left < BATCH_HEADER_BYTES ? (size_t)(left < 0 ? 0 : left) : BATCH_HEADER_BYTES;
    int64_t into = position - scan->window_position;
    if (into < 0 || into + (int64_t)want > (int64_t)scan->window_size) {
        size_t read_bytes =
            left < SCAN_WINDOW_BYTES ? (size_t)(left < 0 ? 0 : left) : (size_t)SCAN_WINDOW_BYTES;
        enum err err = file_read_at(scan->files, scan->fd, scan->window, read_bytes, position,
                                    &scan->window_size, reason);
        if (err != ERR_NONE) {
            scan->window_size = 0;
            return err;
        }
        scan->window_position = position;
        into = 0;
        if (want > scan->window_size) {
            want = scan->window_size;
        }
    }
    *at = scan->window + into;
    *size = want;
    return ERR_NONE;
}

static void load_header(struct batch *header, const uint8_t *from)
{
    *header = (struct batch){
        .bytes.size = (size_t)load_be32(from + 8) + BATCH_LENGTH_OVERHEAD,
        .base_offset = (int64_t)load_be64(from),
        .leader_epoch = (int32_t)load_be32(from + 12),
        .crc = load_be32(from + 17),
        .attributes = (int16_t)load_be16(from + 21),
        .last_offset_delta = (int32_t)load_be32(from + 23),
        .base_timestamp = (int64_t)load_be64(from + 27),
        .max_timestamp = (int64_t)load_be64(from + 35),
        .producer_id = (int64_t)load_be64(from + 43),
        .producer_epoch = (int16_t)load_be16(from + 51),
        .base_sequence = (int32_t)load_be32(from + 53),
        .record_count = (int32_t)load_be32(from + 57),
    };
}

/* Whether the fields can be those of a batch; says nothing of where the file ends. */
static bool plausible(const uint8_t *from)
{
    int32_t length = (int32_t)load_be32(from + 8);
    int64_t base_offset = (int64_t)load_be64(from);
    int32_t delta = (int32_t)load_be32(from + 23);
    return from[16] == BATCH_MAGIC_V2 && length >= BATCH_HEADER_BYTES - BATCH_LENGTH_OVERHEAD &&
           base_offset >= 0 && base_offset < INT64_MAX - INT32_MAX && delta >= 0;
}

enum err scan_header(struct scan *scan, int64_t position, struct batch *header,
                     struct reason *reason)
{
    const uint8_t *at;
    size_t size;
    enum err err = fill_window(scan, position, &at, &size, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (size < BATCH_HEADER_BYTES) {
        return reason_fail(reason, ERR_TRUNCATED, "the file ends inside a batch header at %lld",
                           (long long)position);
    }
    if (!plausible(at)) {
        return reason_fail(reason, ERR_CORRUPT, "no record batch begins at position %lld",
                           (long long)position);
    }
    load_header(header, at);
    if ((int64_t)header->bytes.size > scan->limit - position) {
        return reason_fail(reason, ERR_TRUNCATED, "the file ends inside the batch at %lld",
                           (long long)position);
    }
    return ERR_NONE;
}

enum err scan_header_within(struct scan *scan, int64_t position, int64_t least_offset,
                            int64_t end_offset, struct batch *header, struct reason *reason)
{
    enum err err = scan_header(scan, position, header, reason);
    if (err == ERR_NONE &&
        (header->base_offset < least_offset || batch_last_offset(header) >= end_offset)) {
        err = reason_fail(reason, ERR_CORRUPT, "offset %lld at position %lld is out of order",
                          (long long)header->base_offset, (long long)position);
    }
    return err;
}

enum err scan_check_crc(struct scan *scan, int64_t position, const struct batch *header,
                        struct reason *reason)
{
    int64_t at = position + BATCH_CRC_FROM;
    int64_t end = position + (int64_t)header->bytes.size;
    uint32_t crc = 0;
    enum err err = ERR_NONE;
    if (end <= scan->window_position + (int64_t)scan->window_size &&
        position >= scan->window_position) { /* whole in the window */
        crc = crc32c(0, scan->window + (at - scan->window_position), (size_t)(end - at));
        at = end;
    }
    while (at < end) {
        size_t want = end - at < SCAN_PIECE_BYTES ? (size_t)(end - at) : (size_t)SCAN_PIECE_BYTES;
        size_t got;
        err = file_read_at(scan->files, scan->fd, scan_piece(scan), want, at, &got, reason);
        if (err == ERR_NONE && got < want) {
            err = reason_fail(reason, ERR_CORRUPT, "the file ends inside the batch at %lld",
                              (long long)position);
        }
        if (err != ERR_NONE) {
            break;
        }
        crc = crc32c(crc, scan->piece, got);
        at += (int64_t)got;
    }
    if (err == ERR_NONE && crc != header->crc) {
        err = reason_fail(reason, ERR_CORRUPT, "the CRC of the batch at position %lld does not fit",
                          (long long)position);
    }
    return err;
}

bool scan_is_suspect(struct scan *scan, int64_t position, const struct batch *header,
                     int64_t expected)
{
    struct batch after;
    int64_t end = position + (int64_t)header->bytes.size;
    if (end == scan->limit) {
        return false;
    }
    bool follows = scan_header(scan, end, &after, NULL) == ERR_NONE;
    if (follows && after.base_offset == batch_last_offset(header) + 1) {
        return false;
    }
    bool overlaps = follows && after.base_offset <= batch_last_offset(header);
    return (overlaps && header->base_offset != expected) ||
           scan_check_crc(scan, position, header, NULL) != ERR_NONE;
}

enum err scan_header_expected(struct scan *scan, int64_t position, int64_t expected,
                              int64_t end_offset, struct batch *header, struct reason *reason)
{
    enum err err = scan_header_within(scan, position, expected, end_offset, header, reason);
    if (err == ERR_NONE && scan_is_suspect(scan, position, header, expected)) {
        err = reason_fail(reason, ERR_CORRUPT,
                          "the batch at position %lld does not fit what is behind it",
                          (long long)position);
    }
    return err;
}

/* Whether a batch that fits begins at position. */
static enum err try_resync(struct scan *scan, int64_t position, int64_t least_offset,
                           int64_t most_offset, bool *fits, struct batch *header,
                           struct reason *reason)
{
    *fits = false;
    enum err err = scan_header(scan, position, header, NULL);
    if (err == ERR_NONE && header->base_offset >= least_offset &&
        header->base_offset <= most_offset) {
        err = scan_check_crc(scan, position, header, NULL);
        *fits = err == ERR_NONE;
    }
    if (err == ERR_IO) {
        return reason_fail(reason, ERR_IO, "read at %lld failed", (long long)position);
    }
    return ERR_NONE;
}

/* The places in a piece of the file where a batch may begin, tried one after the other. */
static enum err search_piece(struct scan *scan, const uint8_t *piece, size_t size, int64_t position,
                             int64_t least_offset, int64_t most_offset, int64_t *found,
                             struct batch *header, struct reason *reason)
{
    for (size_t i = 0; i + BATCH_HEADER_BYTES <= size; i++) {
        int64_t base_offset = (int64_t)load_be64(piece + i);
        if (!plausible(piece + i) || base_offset < least_offset || base_offset > most_offset) {
            continue;
        }
        bool fits;
        enum err err = try_resync(scan, position + (int64_t)i, least_offset, most_offset, &fits,
                                  header, reason);
        if (err != ERR_NONE) {
            return err;
        }
        if (fits) {
            *found = position + (int64_t)i;
            return ERR_NONE;
        }
    }
    return ERR_NONE;
}

enum err scan_resync(struct scan *scan, int64_t position, int64_t least_offset, int64_t most_offset,
                     int64_t *found, struct batch *header, struct reason *reason)
{
    *found = -1;
    enum err err = ERR_NONE;
    uint8_t *piece = mem_alloc(SCAN_PIECE_BYTES);
    int64_t at = position + 1;
    while (*found < 0 && scan->limit - at >= BATCH_HEADER_BYTES) {
        int64_t left = scan->limit - at;
        size_t want = left < SCAN_PIECE_BYTES ? (size_t)left : (size_t)SCAN_PIECE_BYTES;
        size_t got;
        err = file_read_at(scan->files, scan->fd, piece, want, at, &got, reason);
        if (err != ERR_NONE || got < BATCH_HEADER_BYTES) {
            break;
        }
        err = search_piece(scan, piece, got, at, least_offset, most_offset, found, header, reason);
        if (err != ERR_NONE) {
            break;
        }
        at += (int64_t)got - BATCH_HEADER_BYTES + 1;
    }
    free(piece);
    return err;
}

int64_t scan_count_good(struct scan *scan, int64_t position, int64_t least_offset)
{
    struct batch header;
    int64_t count = 0;
    while (position >= 0 && position < scan->limit) {
        if (scan_header(scan, position, &header, NULL) == ERR_NONE &&
            header.base_offset >= least_offset &&
            scan_check_crc(scan, position, &header, NULL) == ERR_NONE) {
            count++;
            position += (int64_t)header.bytes.size;
        } else if (scan_resync(scan, position, least_offset, INT64_MAX, &position, &header, NULL) !=
                   ERR_NONE) {
            break;
        }
    }
    return count;
}

enum err scan_load(struct scan *scan, int64_t position, const struct batch *header, struct buf *to,
                   struct batch *batch, struct reason *reason)
{
    buf_clear(to);
    uint8_t *bytes = buf_extend(to, header->bytes.size);
    size_t got;
    enum err err =
        file_read_at(scan->files, scan->fd, bytes, header->bytes.size, position, &got, reason);
    if (err != ERR_NONE) {
        return err;
    }
    return batch_parse(slice_of(bytes, got), batch, reason);
}
