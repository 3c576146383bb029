#ifndef TIDINGS_NET_FRAME_POOL_H
#define TIDINGS_NET_FRAME_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Freed buffers of large frames, kept for the next ones: touching fresh memory costs more than the
 * kernel's copy into it. The last one given is the first taken, as its bytes are still in the
 * processor's cache. Zeroed is empty and valid. One thread at a time.
 */
enum {
    FRAME_POOL_BUFFERS = 16,
    FRAME_POOL_BYTES = 16 << 20,      /* kept at most */
    FRAME_POOL_BUFFER_BYTES = 8 << 20 /* a larger buffer is not kept */
};

struct frame_buffer {
    uint8_t *data;
    size_t capacity;
};

struct frame_pool {
    struct frame_buffer kept[FRAME_POOL_BUFFERS]; /* oldest first */
    unsigned count;
    size_t kept_bytes;
    size_t limit_bytes; /* of them; 0: FRAME_POOL_BYTES */
};

/* A buffer of at least size bytes, content unset. */
struct frame_buffer frame_pool_take(struct frame_pool *pool, size_t size);

/* Keeps the buffer or frees it. */
void frame_pool_give(struct frame_pool *pool, struct frame_buffer buffer);

/* Frees all that is kept. */
void frame_pool_clear(struct frame_pool *pool);

#endif
