#include "base/arena.h"

#include "base/mem.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The first chunk is of a size that malloc keeps at hand for each thread. */
enum { FIRST_CHUNK_BYTES = 960, CHUNK_BYTES = 4096, ALIGNMENT = alignof(max_align_t) };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    size_t used;
    alignas(max_align_t) uint8_t data[];
};

void arena_deinit(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena->chunks = NULL;
    arena->used_bytes = 0;
    arena->held_bytes = 0;
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *keep = arena->chunks;
    if (keep == NULL) {
        return;
    }
    struct arena rest = {.chunks = keep->next};
    arena_deinit(&rest);
    if (keep->size > CHUNK_BYTES) {
        free(keep);
        keep = NULL;
    } else {
        keep->next = NULL;
        keep->used = 0;
    }
    arena->chunks = keep;
    arena->used_bytes = 0;
    arena->held_bytes = keep != NULL ? sizeof *keep + keep->size : 0;
}

static struct arena_chunk *chunk_for(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    if (chunk != NULL && size <= chunk->size - chunk->used) {
        return chunk;
    }
    size_t usual = chunk == NULL ? FIRST_CHUNK_BYTES : CHUNK_BYTES;
    size_t room = size > usual ? size : usual;
    chunk = mem_alloc(sizeof *chunk + room);
    chunk->size = room;
    chunk->used = 0;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->held_bytes += sizeof *chunk + room;
    return chunk;
}

/* Not zeroed. */
static void *take(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (arena->limit_bytes != 0 && size > arena->limit_bytes - arena->used_bytes) {
        return NULL;
    }
    struct arena_chunk *chunk = chunk_for(arena, size);
    void *memory = chunk->data + chunk->used;
    chunk->used += size;
    arena->used_bytes += size;
    return memory;
}

void *arena_room(struct arena *arena, size_t size)
{
    return take(arena, size);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *memory = take(arena, size);
    return memory != NULL ? memset(memory, 0, size) : NULL;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    return arena_alloc(arena, count * size);
}

void *arena_dup(struct arena *arena, const void *data, size_t size)
{
    void *copy = take(arena, size);
    if (copy != NULL && size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

char *arena_cstr(struct arena *arena, struct slice text)
{
    char *copy = take(arena, text.size + 1);
    if (copy != NULL) {
        slice_copy(copy, text);
        copy[text.size] = '\0';
    }
    return copy;
}

const char *arena_sprintf(struct arena *arena, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = arena_dup(arena, text, strlen(text) + 1);
    return copy != NULL ? copy : "";
}
