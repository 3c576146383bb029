#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_deinit(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_reserve(struct buf *buf, size_t more)
{
    if (more <= buf->capacity - buf->size) {
        return;
    }
    size_t wanted = buf->capacity ? buf->capacity : 64;
    while (wanted - buf->size < more) {
        wanted *= 2;
    }
    buf->data = mem_realloc(buf->data, wanted);
    buf->capacity = wanted;
}

uint8_t *buf_extend(struct buf *buf, size_t size)
{
    buf_reserve(buf, size);
    uint8_t *start = buf->data + buf->size;
    buf->size += size;
    return start;
}

void buf_append(struct buf *buf, const void *data, size_t size)
{
    if (size != 0) {
        memcpy(buf_extend(buf, size), data, size);
    }
}

void buf_append_slice(struct buf *buf, struct slice slice)
{
    buf_append(buf, slice.data, slice.size);
}

void buf_append_str(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size > 0) {
        buf_reserve(buf, (size_t)size + 1);
        vsnprintf((char *)buf->data + buf->size, (size_t)size + 1, format, again);
        buf->size += (size_t)size;
    }
    va_end(again);
}

void buf_consume(struct buf *buf, size_t size)
{
    buf->size -= size;
    if (buf->size != 0 && size != 0) {
        memmove(buf->data, buf->data + size, buf->size);
    }
}

struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data ? buf->data : (const uint8_t *)"", buf->size);
}

struct buf buf_take(struct buf *from)
{
    struct buf taken = *from;
    *from = (struct buf){0};
    return taken;
}

char *buf_cstr(struct buf *buf)
{
    buf_reserve(buf, 1);
    buf->data[buf->size] = '\0';
    return (char *)buf->data;
}
