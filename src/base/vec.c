#include "base/vec.h"

#include <assert.h>
#include <stdint.h>

enum { FIRST_CAPACITY = 4 };

void *vec_grow_slowly(void *items, size_t count, size_t *capacity, size_t more, size_t size)
{
    size_t wanted = *capacity <= SIZE_MAX / 2 ? 2 * *capacity : SIZE_MAX;
    if (wanted < FIRST_CAPACITY) {
        wanted = FIRST_CAPACITY;
    }
    if (wanted - count < more) {
        wanted = more <= SIZE_MAX - count ? count + more : SIZE_MAX;
    }
    items = mem_realloc_array(items, wanted, size);
    *capacity = wanted;
    return items;
}

void vec_close_gap(void *items, size_t *count, size_t index, size_t size)
{
    assert(index < *count);
    char *at = (char *)items + index * size;
    (*count)--;
    memmove(at, at + size, (*count - index) * size);
}
