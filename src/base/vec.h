#ifndef TIDINGS_BASE_VEC_H
#define TIDINGS_BASE_VEC_H

#include "base/mem.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * An array that grows. `VEC(struct file) files;` is an array inside of a struct or a function;
 * `struct files { VEC_FIELDS(struct file); };` gives its type a name, for parameters. Readers use
 * `items[i]` for i below `count`; the capacity is the business of this file. All zero is an empty
 * one. It owns the items' memory, not what the items point to.
 *
 * It grows by doubling, so n pushes copy fewer than 2n items; it never shrinks before vec_deinit.
 * A push may move the items: a pointer to one is good until the next push. Out of memory, and a
 * size beyond SIZE_MAX, end the process as everywhere (base/mem.h): who pushes what a peer can
 * choose checks a limit before. One thread at a time.
 *
 * `vec` is a pointer to the array; these macros evaluate it more than once.
 */
#define VEC_FIELDS(type)                                                                           \
    type *items;                                                                                   \
    size_t count;                                                                                  \
    size_t capacity

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        VEC_FIELDS(type);                                                                          \
    }

/* Room for `more` items behind the last, without adding them. */
#define vec_reserve(vec, more)                                                                     \
    ((vec)->items =                                                                                \
         vec_grow((vec)->items, (vec)->count, &(vec)->capacity, (more), sizeof *(vec)->items))

/* Adds a copy of the value, which is evaluated once, behind the last item. */
#define vec_push(vec, ...)                                                                         \
    ((void)vec_reserve((vec), 1), (void)((vec)->items[(vec)->count++] = (__VA_ARGS__)))

/* Adds a zeroed item behind the last. Returns it. */
#define vec_add(vec)                                                                               \
    ((void)vec_reserve((vec), 1),                                                                  \
     (void)memset(&(vec)->items[(vec)->count], 0, sizeof *(vec)->items),                           \
     &(vec)->items[(vec)->count++])

/* Takes out the item at `index` (below the count); those behind it move up by one. */
#define vec_remove(vec, index)                                                                     \
    vec_close_gap((vec)->items, &(vec)->count, (index), sizeof *(vec)->items)

/* Frees the items' memory and leaves an empty array. */
#define vec_deinit(vec)                                                                            \
    (free((vec)->items), (vec)->items = NULL, (void)((vec)->count = (vec)->capacity = 0))

/* The functions behind the macros; not to be called otherwise. */

/* Room for `more` items in a fresh place; where they lie now, and the capacity to match. */
void *vec_grow_slowly(void *items, size_t count, size_t *capacity, size_t more, size_t size);
void vec_close_gap(void *items, size_t *count, size_t index, size_t size);

/* Where the items lie once there is room for `more` of them. */
static inline void *vec_grow(void *items, size_t count, size_t *capacity, size_t more, size_t size)
{
    return more <= *capacity - count ? items : vec_grow_slowly(items, count, capacity, more, size);
}

#endif
