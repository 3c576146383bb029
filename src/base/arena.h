#ifndef TIDINGS_BASE_ARENA_H
#define TIDINGS_BASE_ARENA_H

#include "base/err.h"
#include "base/slice.h"

#include <stddef.h>

/*
 * Memory of one request: many allocations, freed together. Zero-initialised is valid; the first
 * chunk is taken on first use. With a limit set, an allocation that would pass it returns NULL, so
 * that a decoder driven by hostile counts stays bounded. One thread at a time.
 */
struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;          /* handed out so far */
    size_t held_bytes;          /* taken for that from the heap */
    size_t limit_bytes;         /* 0: no limit */
};

/* Frees everything handed out. */
void arena_deinit(struct arena *arena);

/* Forgets everything handed out but keeps one chunk for the next request. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned for any type. NULL only when limit_bytes would be passed. */
void *arena_alloc(struct arena *arena, size_t size);

/* The same, not zeroed. */
void *arena_room(struct arena *arena, size_t size);

/* arena_alloc for count * size, NULL on overflow too. */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size);

/* A copy in the arena; NULL when the limit would be passed. */
void *arena_dup(struct arena *arena, const void *data, size_t size);

/* NUL-terminated copy of the slice's bytes; NULL when the limit would be passed. */
char *arena_cstr(struct arena *arena, struct slice text);

/* Formatted text in the arena (no more than 1 KiB); "" when the limit would be passed. */
const char *arena_sprintf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
