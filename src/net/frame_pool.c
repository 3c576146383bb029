#include "net/frame_pool.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Rounded up by at most a quarter, so that frames of about one size share buffers. */
static size_t rounded(size_t size)
{
    size_t step = 64 << 10;
    while (step < size / 8) {
        step *= 2;
    }
    return (size + step - 1) / step * step;
}

static struct frame_buffer remove_at(struct frame_pool *pool, unsigned at)
{
    struct frame_buffer buffer = pool->kept[at];
    pool->count--;
    pool->kept_bytes -= buffer.capacity;
    memmove(&pool->kept[at], &pool->kept[at + 1], (pool->count - at) * sizeof pool->kept[0]);
    return buffer;
}

struct frame_buffer frame_pool_take(struct frame_pool *pool, size_t size)
{
    size_t capacity = rounded(size);
    for (unsigned at = pool->count; at-- > 0;) {
        if (pool->kept[at].capacity >= size && pool->kept[at].capacity <= 2 * capacity) {
            return remove_at(pool, at);
        }
    }
    return (struct frame_buffer){.data = mem_alloc(capacity), .capacity = capacity};
}

void frame_pool_give(struct frame_pool *pool, struct frame_buffer buffer)
{
    size_t limit = pool->limit_bytes > 0 ? pool->limit_bytes : FRAME_POOL_BYTES;
    if (buffer.capacity > FRAME_POOL_BUFFER_BYTES || buffer.capacity > limit) {
        free(buffer.data);
        return;
    }
    while (pool->count == FRAME_POOL_BUFFERS || pool->kept_bytes + buffer.capacity > limit) {
        free(remove_at(pool, 0).data);
    }
    pool->kept[pool->count++] = buffer;
    pool->kept_bytes += buffer.capacity;
}

void frame_pool_clear(struct frame_pool *pool)
{
    while (pool->count > 0) {
        free(remove_at(pool, pool->count - 1).data);
    }
}
