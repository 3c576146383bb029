#ifndef TIDINGS_BASE_BUF_H
#define TIDINGS_BASE_BUF_H

#include "base/bytes.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

/*
 * A buf owns growing bytes. Zero-initialised is empty and valid; buf_deinit frees.
 * Growth doubles; offsets stay valid, pointers into data do not survive an append.
 * One thread at a time.
 */
struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

/* Frees the bytes and leaves an empty buf. */
void buf_deinit(struct buf *buf);

/* Makes room for `more` bytes past size without changing size. */
void buf_reserve(struct buf *buf, size_t more);

/* Appends size bytes of unset content and returns where they begin (until the next append). */
uint8_t *buf_extend(struct buf *buf, size_t size);

/* Appends a copy of the bytes; of a C string without its NUL; of formatted text without its NUL. */
void buf_append(struct buf *buf, const void *data, size_t size);
void buf_append_slice(struct buf *buf, struct slice slice);
void buf_append_str(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first `size` bytes (size <= buf->size), moving the rest to the front. */
void buf_consume(struct buf *buf, size_t size);

/* Keeps the memory, forgets the content. */
static inline void buf_clear(struct buf *buf)
{
    buf->size = 0;
}

/* Borrows the content; valid until the next change. Never the null slice. */
struct slice buf_slice(const struct buf *buf);

/* Hands the bytes over: *from becomes empty. */
struct buf buf_take(struct buf *from);

/* NUL-terminates without counting the NUL, and returns the text (valid until the next change). */
char *buf_cstr(struct buf *buf);

/* Appends an integer, big-endian: */

static inline void buf_append_u8(struct buf *buf, uint8_t value)
{
    *buf_extend(buf, 1) = value;
}

static inline void buf_append_be16(struct buf *buf, uint16_t value)
{
    store_be16(buf_extend(buf, 2), value);
}

static inline void buf_append_be32(struct buf *buf, uint32_t value)
{
    store_be32(buf_extend(buf, 4), value);
}

static inline void buf_append_be64(struct buf *buf, uint64_t value)
{
    store_be64(buf_extend(buf, 8), value);
}

#endif
