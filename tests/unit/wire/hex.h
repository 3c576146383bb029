#ifndef TIDINGS_UNIT_WIRE_HEX_H
#define TIDINGS_UNIT_WIRE_HEX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "wire/reader.h"
#include "wire/writer.h"

/* The bytes of hex digits; spaces between them are skipped. The buf is the caller's. */
static inline struct buf from_hex(const char *hex)
{
    struct buf bytes = {0};
    unsigned byte;
    int used;
    while (sscanf(hex, " %2x%n", &byte, &used) == 1) {
        buf_append_u8(&bytes, (uint8_t)byte);
        hex += used;
    }
    return bytes;
}

/* The buf holds just these bytes; it is emptied. */
static inline void assert_hex(struct buf *actual, const char *hex)
{
    struct buf expected = from_hex(hex);
    assert_int_equal(actual->size, expected.size);
    if (expected.size > 0) {
        assert_memory_equal(actual->data, expected.data, expected.size);
    }
    buf_deinit(&expected);
    buf_clear(actual);
}

#define assert_text(slice, text) assert_true(slice_equal_str((slice), (text)))

#endif
