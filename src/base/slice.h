#ifndef TIDINGS_BASE_SLICE_H
#define TIDINGS_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A slice borrows bytes: it never frees them, and is valid as long as their owner is.
 * data == NULL is the protocol's null; an empty value has data != NULL and size 0.
 */
struct slice {
    const uint8_t *data;
    size_t size;
};

/* Borrows size bytes at data; NULL gives the null slice. */
static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){.data = data, .size = size};
}

/* The bytes of a C string without its NUL; NULL gives the null slice. */
static inline struct slice slice_str(const char *text)
{
    return (struct slice){.data = (const uint8_t *)text, .size = text ? strlen(text) : 0};
}

/* Whether it is the protocol's null; an empty value is not. */
static inline bool slice_is_null(struct slice slice)
{
    return slice.data == NULL;
}

/* Same bytes. Null and empty are equal. */
static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Below, at or above 0, in the order of bytes (that of strcmp). Null and empty are equal. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Whether it has the bytes of a C string; null equals "". */
static inline bool slice_equal_str(struct slice a, const char *text)
{
    return slice_equal(a, slice_str(text));
}

/* Whether its first bytes are those of the C string. */
static inline bool slice_begins_with(struct slice slice, const char *start)
{
    size_t size = strlen(start);
    return slice.size >= size && (size == 0 || memcmp(slice.data, start, size) == 0);
}

/* The first such byte; NULL: there is none. */
static inline const uint8_t *slice_find(struct slice slice, uint8_t byte)
{
    return slice.size > 0 ? memchr(slice.data, byte, slice.size) : NULL;
}

/* Copies its bytes to room that has space for them; of null or nothing, none. C17 lets memcpy take
 * no NULL, not even of size 0. */
static inline void slice_copy(void *to, struct slice from)
{
    if (from.size > 0) {
        memcpy(to, from.data, from.size);
    }
}

/* For printf's "%.*s": (int)size, data. */
#define SLICE_ARGS(slice)                                                                          \
    (int)(slice).size, (const char *)((slice).data ? (slice).data : (const uint8_t *)"")

#endif
