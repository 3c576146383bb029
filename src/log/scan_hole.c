#include "log/scan.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <string.h>

/* What stands where a good batch should: bytes that were never written, or a batch that was whole.
 */

enum {
    BATCH_LENGTH_END = 12,
    BATCH_MAGIC_AT = 16,
    BATCH_CRC_AT = 17,
    BATCH_CRC_FROM = 21, /* the CRC covers the bytes from here on */
    BATCH_DELTA_AT = 23,
    HOLE_LEAST_BYTES = BATCH_HEADER_BYTES, /* fewer zeros may be the end of any batch */
};

static enum err all_zero(struct scan *scan, int64_t from, int64_t to, bool *zero,
                         struct reason *reason)
{
    enum err err = ERR_NONE;
    *zero = true;
    while (from < to && *zero && err == ERR_NONE) {
        size_t want = to - from < SCAN_PIECE_BYTES ? (size_t)(to - from) : (size_t)SCAN_PIECE_BYTES;
        size_t got;
        const uint8_t *piece = scan_piece(scan);
        err = file_read_at(scan->files, scan->fd, scan_piece(scan), want, from, &got, reason);
        *zero = err == ERR_NONE && got == want && piece[0] == 0 &&
                memcmp(piece, piece + 1, got - 1) == 0;
        from += (int64_t)want;
    }
    return err;
}

/* Whether the first `size` bytes of a header show that offset; *zero: they would all be zero. */
static enum err shows_offset(struct scan *scan, int64_t position, int64_t size, int64_t offset,
                             bool *shows, bool *zero, struct reason *reason)
{
    static const uint8_t zeros[8];
    uint8_t wanted[8];
    uint8_t found[8];
    size_t count = size < 8 ? (size_t)size : 8;
    size_t got;
    store_be64(wanted, (uint64_t)offset);
    *zero = memcmp(wanted, zeros, count) == 0;
    enum err err = file_read_at(scan->files, scan->fd, found, count, position, &got, reason);
    *shows = err == ERR_NONE && got == count && memcmp(wanted, found, count) == 0;
    return err;
}

/* Whether a block that begins in [from, to) is zero. */
static enum err holds_zero_block(struct scan *scan, int64_t from, int64_t to, bool *hole,
                                 struct reason *reason)
{
    enum err err = ERR_NONE;
    *hole = false;
    for (int64_t at = from; at < to && !*hole && err == ERR_NONE; at += SCAN_BLOCK_BYTES) {
        int64_t left = scan->limit - at;
        if (left >= HOLE_LEAST_BYTES) {
            int64_t size = left < SCAN_BLOCK_BYTES ? left : SCAN_BLOCK_BYTES;
            err = all_zero(scan, at, at + size, hole, reason);
        }
    }
    return err;
}

enum err scan_is_hole(struct scan *scan, int64_t position, int64_t expected, int64_t bad_end,
                      bool *hole, struct reason *reason)
{
    int64_t block = (position / SCAN_BLOCK_BYTES + 1) * SCAN_BLOCK_BYTES;
    int64_t before = block - position; /* bytes in the block where the batch begins */
    int64_t size = bad_end < block ? bad_end - position : before;
    bool shows;
    bool natural; /* an untouched header has only zeros there */
    bool zero;
    *hole = false;
    enum err err = all_zero(scan, position, position + size, &zero, reason);
    if (err == ERR_NONE) {
        err = shows_offset(scan, position, size, expected, &shows, &natural, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    natural = natural && size < BATCH_LENGTH_END;
    if (zero && !natural && (size == before || size >= HOLE_LEAST_BYTES)) {
        *hole = true;
        return ERR_NONE;
    }
    struct batch header;
    err = scan_header(scan, position, &header, reason);
    int64_t end = bad_end;
    if (err == ERR_CORRUPT && before <= BATCH_MAGIC_AT) {
        end = block + 1; /* how long the batch is was lost with its magic */
        err = ERR_NONE;
    } else if (err == ERR_NONE && position + (int64_t)header.bytes.size < end) {
        end = position + (int64_t)header.bytes.size;
    }
    if (err != ERR_NONE || !shows) {
        return err == ERR_IO ? err : ERR_NONE;
    }
    return holds_zero_block(scan, block, end < bad_end ? end : bad_end, hole, reason);
}

/* A batch whose CRC is being computed from its front on. */
struct whole {
    uint32_t wanted; /* the CRC that it bears */
    uint32_t crc;    /* of what was passed so far */
    int64_t next_offset;
};

/* Passes the bytes of a piece one candidate after the other; *fits: how many of them, or -1. */
static void pass_piece(struct whole *whole, const uint8_t *piece, size_t size, bool is_last,
                       int64_t *fits)
{
    size_t passed = 0;
    *fits = -1;
    for (size_t i = 0; i + BATCH_CRC_AT <= size; i++) {
        if (piece[i + BATCH_MAGIC_AT] != BATCH_MAGIC_V2 ||
            (int64_t)load_be64(piece + i) != whole->next_offset) {
            continue;
        }
        whole->crc = crc32c(whole->crc, piece + passed, i - passed);
        passed = i;
        if (whole->crc == whole->wanted) {
            *fits = (int64_t)i;
            return;
        }
    }
    size_t end = is_last ? size : size - BATCH_MAGIC_AT; /* a candidate may begin in the rest */
    if (end > passed) {
        whole->crc = crc32c(whole->crc, piece + passed, end - passed);
    }
    if (is_last && whole->crc == whole->wanted) {
        *fits = (int64_t)size;
    }
}

/* Whether zeros at the beginning go on to the end of their block, where there should be others. */
static enum err begins_unwritten(struct scan *scan, int64_t position, int64_t expected,
                                 bool *unwritten, struct reason *reason)
{
    int64_t before = (position / SCAN_BLOCK_BYTES + 1) * SCAN_BLOCK_BYTES - position;
    bool shows;
    bool natural;
    *unwritten = false;
    if (before > BATCH_CRC_AT) {
        return ERR_NONE; /* the CRC's field would be zero as well, and what it covers */
    }
    enum err err = all_zero(scan, position, position + before, unwritten, reason);
    if (err == ERR_NONE && *unwritten) {
        err = shows_offset(scan, position, before, expected, &shows, &natural, reason);
        *unwritten = !natural || before >= BATCH_LENGTH_END;
    }
    return err;
}

enum err scan_find_whole(struct scan *scan, int64_t position, int64_t expected, int64_t bad_end,
                         int64_t *end, int64_t *next_offset, struct reason *reason)
{
    uint8_t head[BATCH_HEADER_BYTES];
    size_t got;
    bool unwritten = false;
    *end = -1;
    if (bad_end - position < BATCH_HEADER_BYTES) {
        return ERR_NONE;
    }
    enum err err = file_read_at(scan->files, scan->fd, head, sizeof head, position, &got, reason);
    if (err == ERR_NONE && got == sizeof head) {
        err = begins_unwritten(scan, position, expected, &unwritten, reason);
    }
    int32_t delta = (int32_t)load_be32(head + BATCH_DELTA_AT);
    if (err != ERR_NONE || got < sizeof head || unwritten || delta < 0) {
        return err;
    }
    struct whole whole = {
        .wanted = load_be32(head + BATCH_CRC_AT),
        .crc = crc32c(0, head + BATCH_CRC_FROM, sizeof head - BATCH_CRC_FROM),
        .next_offset = expected + delta + 1,
    };
    int64_t fits = -1;
    bool is_last = false;
    int64_t at = position + BATCH_HEADER_BYTES;
    for (; err == ERR_NONE && fits < 0 && !is_last; at += (int64_t)got - BATCH_MAGIC_AT) {
        is_last = bad_end - at <= SCAN_PIECE_BYTES;
        size_t want = is_last ? (size_t)(bad_end - at) : (size_t)SCAN_PIECE_BYTES;
        err = file_read_at(scan->files, scan->fd, scan_piece(scan), want, at, &got, reason);
        if (err != ERR_NONE || got < want) {
            return err;
        }
        pass_piece(&whole, scan->piece, got, is_last, &fits);
        *end = fits < 0 ? -1 : at + fits;
    }
    *next_offset = whole.next_offset;
    return err;
}

enum err scan_fits_with_last(struct scan *scan, int64_t position, int64_t end, int64_t last_offset,
                             bool *fits, struct reason *reason)
{
    uint8_t head[BATCH_HEADER_BYTES];
    size_t got;
    *fits = false;
    enum err err = file_read_at(scan->files, scan->fd, head, sizeof head, position, &got, reason);
    if (err != ERR_NONE || got < sizeof head) {
        return err;
    }
    store_be32(head + BATCH_DELTA_AT, (uint32_t)(last_offset - (int64_t)load_be64(head)));
    uint32_t crc = crc32c(0, head + BATCH_CRC_FROM, sizeof head - BATCH_CRC_FROM);
    for (int64_t at = position + BATCH_HEADER_BYTES; at < end; at += (int64_t)got) {
        size_t want = end - at < SCAN_PIECE_BYTES ? (size_t)(end - at) : (size_t)SCAN_PIECE_BYTES;
        err = file_read_at(scan->files, scan->fd, scan_piece(scan), want, at, &got, reason);
        if (err != ERR_NONE || got < want) {
            return err;
        }
        crc = crc32c(crc, scan->piece, got);
    }
    *fits = crc == load_be32(head + BATCH_CRC_AT);
    return ERR_NONE;
}
