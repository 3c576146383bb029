#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/varint.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Bytes, numbers and containers of base. */

static void test_unsigned_varints_have_the_bytes_of_the_protocol(void **state)
{
    static const struct {
        uint32_t value;
        const char *bytes;
        size_t size;
    } rows[] = {{0, "\x00", 1},
                {1, "\x01", 1},
                {127, "\x7f", 1},
                {128, "\x80\x01", 2},
                {300, "\xac\x02", 2},
                {16383, "\xff\x7f", 2},
                {16384, "\x80\x80\x01", 3},
                {UINT32_MAX, "\xff\xff\xff\xff\x0f", 5}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf buf = {0};
        buf_append_uvarint(&buf, rows[i].value);
        assert_int_equal(buf.size, rows[i].size);
        assert_int_equal(uvarint_size(rows[i].value), rows[i].size);
        assert_memory_equal(buf.data, rows[i].bytes, buf.size);
        size_t position = 0;
        uint32_t value = 77;
        assert_true(uvarint_read(buf_slice(&buf), &position, &value));
        assert_int_equal(value, rows[i].value);
        assert_int_equal(position, rows[i].size);
        for (size_t cut = 0; cut < buf.size; cut++) {
            position = 0;
            assert_false(uvarint_read(slice_of(buf.data, cut), &position, &value));
            assert_int_equal(position, 0);
        }
        buf_deinit(&buf);
    }
}

static void test_signed_varints_come_back_as_they_were(void **state)
{
    static const int64_t values[] = {
        0, -1, 1, -64, 64, 1000000, INT32_MIN, INT32_MAX, INT64_C(1) << 40, INT64_MIN, INT64_MAX};
    (void)state;
    assert_int_equal(zigzag_encode(0), 0);
    assert_int_equal(zigzag_encode(-1), 1);
    assert_int_equal(zigzag_encode(1), 2);
    assert_int_equal(zigzag_encode(-2), 3);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct buf buf = {0};
        buf_append_varlong(&buf, values[i]);
        assert_int_equal(buf.size, varlong_size(values[i]));
        size_t position = 0;
        int64_t wide;
        assert_true(varlong_read(buf_slice(&buf), &position, &wide));
        assert_true(wide == values[i]);
        position = 0;
        int32_t narrow;
        bool fits = values[i] >= INT32_MIN && values[i] <= INT32_MAX;
        assert_int_equal(varint_read(buf_slice(&buf), &position, &narrow), fits);
        assert_int_equal(position, fits ? buf.size : 0);
        if (fits) {
            assert_int_equal(narrow, values[i]);
        }
        buf_deinit(&buf);
    }
}

static void test_overlong_varints_are_refused(void **state)
{
    (void)state;
    static const uint8_t endless[16] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
    static const uint8_t too_wide[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    size_t position = 0;
    uint32_t value;
    int64_t wide;
    assert_false(uvarint_read(slice_of(endless, sizeof endless), &position, &value));
    assert_false(varlong_read(slice_of(endless, sizeof endless), &position, &wide));
    assert_false(uvarint_read(slice_of(too_wide, sizeof too_wide), &position, &value));
    assert_int_equal(position, 0);
}

static void test_a_buf_holds_what_was_appended(void **state)
{
    (void)state;
    struct buf buf = {0};
    assert_non_null(buf_slice(&buf).data); /* empty is not null */
    assert_string_equal(buf_cstr(&buf), "");
    buf_append_str(&buf, "ab");
    buf_append_u8(&buf, 'c');
    buf_append_be16(&buf, 0x4142);
    buf_append_be32(&buf, 0x43444546);
    buf_append_be64(&buf, UINT64_C(0x4748494a4b4c4d4e));
    buf_printf(&buf, "-%d-%s", 42, "text");
    buf_append_slice(&buf, slice_str(NULL));
    assert_string_equal(buf_cstr(&buf), "abcABCDEFGHIJKLMN-42-text");
    size_t size = buf.size;
    buf_reserve(&buf, 100000);
    assert_int_equal(buf.size, size);
    assert_true(buf.capacity - buf.size >= 100000);
    buf_consume(&buf, 17);
    assert_string_equal(buf_cstr(&buf), "-42-text");
    struct buf taken = buf_take(&buf);
    assert_int_equal(buf.size, 0);
    assert_null(buf.data);
    assert_int_equal(taken.size, 8);
    buf_consume(&taken, 8);
    assert_int_equal(taken.size, 0);
    buf_deinit(&taken);
    buf_deinit(&buf);
}

static void test_a_buf_grows_over_many_appends(void **state)
{
    (void)state;
    struct buf buf = {0};
    for (unsigned i = 0; i < 100000; i++) {
        buf_append_be32(&buf, i);
    }
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal(load_be32(buf.data + 4 * i), i);
    }
    buf_deinit(&buf);
}

static void test_slices_tell_null_from_empty(void **state)
{
    (void)state;
    assert_true(slice_is_null(slice_str(NULL)));
    assert_false(slice_is_null(slice_str("")));
    assert_true(slice_equal(slice_str(NULL), slice_str("")));
    assert_true(slice_equal_str(slice_of("abcd", 3), "abc"));
    assert_false(slice_equal_str(slice_of("abcd", 3), "abd"));
    assert_false(slice_equal_str(slice_of("abcd", 3), "abcd"));
}

static void test_slices_of_nothing_may_be_copied_and_searched(void **state)
{
    (void)state;
    char room[4] = "abc";
    slice_copy(room, slice_str(NULL));
    slice_copy(room, slice_str(""));
    slice_copy(NULL, slice_str(NULL));
    assert_string_equal(room, "abc");
    slice_copy(room + 1, slice_str("xy"));
    assert_string_equal(room, "axy");
    assert_null(slice_find(slice_str(NULL), 'x'));
    assert_null(slice_find(slice_str("ab"), 'x'));
    struct slice text = slice_str("axbx");
    assert_ptr_equal(slice_find(text, 'x'), text.data + 1);
    assert_true(slice_begins_with(slice_str(NULL), ""));
    assert_false(slice_begins_with(slice_str(NULL), "a"));
    assert_true(slice_begins_with(text, "ax"));
    assert_false(slice_begins_with(text, "axbxa"));
}

static void test_an_arena_gives_no_more_than_its_limit(void **state)
{
    (void)state;
    struct arena arena = {.limit_bytes = 1000};
    uint8_t *first = arena_alloc(&arena, 500);
    assert_non_null(first);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(first[i], 0);
    }
    assert_null(arena_alloc(&arena, 600));
    assert_non_null(arena_alloc(&arena, 300)); /* a refusal takes nothing */
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 5));
    assert_null(arena_alloc_array(&arena, SIZE_MAX / 2, 4));
    assert_null(arena_dup(&arena, "x", 1000));
    assert_null(arena_cstr(&arena, slice_of("x", 1000)));
    assert_true(arena.used_bytes <= 1000);
    while (arena_alloc(&arena, 1) != NULL) {
    }
    assert_string_equal(arena_sprintf(&arena, "no room"), "");
    arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_string_equal(arena_sprintf(&arena, "%s %d", "room", 1), "room 1");
    assert_string_equal(arena_cstr(&arena, slice_of("cut here", 3)), "cut");
    arena_deinit(&arena);
}

static void test_an_arena_is_aligned_and_keeps_content(void **state)
{
    enum { COUNT = 2000 };
    (void)state;
    struct arena arena = {0};
    uint8_t **kept = mem_new_array(uint8_t *, COUNT);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            size_t size = i % 100 == 99 ? 10000 : i % 37 + 1;
            kept[i] = arena_alloc(&arena, size);
            assert_int_equal((uintptr_t)kept[i] % _Alignof(max_align_t), 0);
            assert_int_equal(kept[i][0], 0);
            memset(kept[i], (int)(i % 251 + 1), size);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            assert_int_equal(kept[i][0], i % 251 + 1);
        }
        arena_reset(&arena);
    }
    free(kept);
    arena_deinit(&arena);
}

/* Against the plain way: the least of all that are in. */
static void test_a_heap_agrees_with_a_scan(void **state)
{
    enum { NODES = 200, STEPS = 20000 };
    (void)state;
    struct heap heap = {0};
    struct heap_node nodes[NODES] = {{0}};
    struct random random = {.state = 7};
    for (unsigned step = 0; step < STEPS; step++) {
        struct heap_node *node = &nodes[random_below(&random, NODES)];
        if (random_below(&random, 3) == 0) {
            heap_remove(&heap, node);
            assert_false(heap_has(node));
        } else {
            heap_set(&heap, node, (int64_t)random_below(&random, 1000) - 500);
            assert_true(heap_has(node));
        }
        size_t count = 0;
        int64_t least = INT64_MAX;
        for (unsigned i = 0; i < NODES; i++) {
            if (heap_has(&nodes[i])) {
                count++;
                least = nodes[i].key < least ? nodes[i].key : least;
            }
        }
        assert_int_equal(heap.nodes.count, count);
        for (size_t i = 1; i < heap.nodes.count; i++) {
            assert_true(heap.nodes.items[(i - 1) / 2]->key <= heap.nodes.items[i]->key);
        }
        if (count == 0) {
            assert_null(heap_least(&heap));
        } else {
            assert_true(heap_least(&heap)->key == least);
        }
    }
    heap_deinit(&heap);
}

/* RFC 3720, appendix B.4, and the check value of the catalogue of CRCs. */
static void test_crc32c_gives_the_known_sums(void **state)
{
    (void)state;
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(crc32c(0, bytes, 32), 0x113fdb5c);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    for (size_t cut = 0; cut <= 9; cut++) {
        const char *digits = "123456789";
        uint32_t crc = crc32c(0, digits, cut);
        assert_int_equal(crc32c(crc, digits + cut, 9 - cut), 0xe3069283);
    }
}

static void test_every_error_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_COUNT; i++) {
        assert_string_not_equal(err_name((enum err)i), "unknown"); /* each has one */
        for (int other = 0; other < i; other++) {
            assert_string_not_equal(err_name((enum err)i), err_name((enum err)other));
        }
    }
    assert_string_equal(err_name((enum err)ERR_COUNT), "unknown");
    assert_string_equal(err_name((enum err) - 1), "unknown");
}

static void test_reasons_keep_their_text(void **state)
{
    (void)state;
    struct reason reason;
    assert_int_equal(reason_fail(&reason, ERR_TOO_LARGE, "%d is over %d", 5, 4), ERR_TOO_LARGE);
    assert_string_equal(reason.text, "5 is over 4");
    errno = ENOSPC;
    assert_int_equal(reason_errno(&reason, "write of %s", "x"), ERR_NO_SPACE);
    assert_string_equal(reason.text, "write of x: No space left on device");
    errno = EDQUOT;
    assert_int_equal(reason_errno(&reason, "write"), ERR_NO_SPACE);
    errno = EIO;
    assert_int_equal(reason_errno(NULL, "write"), ERR_IO);
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    reason_set(&reason, "%s", text);
    assert_int_equal(strlen(reason.text), sizeof reason.text - 1);
    errno = EIO;
    assert_int_equal(reason_errno(&reason, "%s", text), ERR_IO);
    assert_int_equal(strlen(reason.text), sizeof reason.text - 1);
    reason_set(NULL, "nobody asks");
}

static void test_a_seed_gives_its_own_row(void **state)
{
    (void)state;
    struct random a = {.state = 1}, b = {.state = 1}, c = {.state = 2};
    unsigned same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t next = random_next(&a);
        assert_true(next == random_next(&b));
        same += next == random_next(&c);
        assert_true(random_below(&a, 10) < 10);
        (void)random_below(&b, 10);
    }
    assert_int_equal(same, 0);
    uint8_t first[16], second[16];
    random_uuid(first);
    random_uuid(second);
    assert_memory_not_equal(first, second, 16);
    assert_int_equal(first[6] >> 4, 4);
    assert_int_equal(first[8] >> 6, 2);
}

static void test_copies_are_terminated(void **state)
{
    (void)state;
    assert_null(mem_strdup(NULL));
    char *copy = mem_strndup("abcdef", 3);
    assert_string_equal(copy, "abc");
    free(copy);
    copy = mem_sprintf("%s-%d", "x", 7);
    assert_string_equal(copy, "x-7");
    free(copy);
    free(mem_alloc(0));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unsigned_varints_have_the_bytes_of_the_protocol),
        cmocka_unit_test(test_signed_varints_come_back_as_they_were),
        cmocka_unit_test(test_overlong_varints_are_refused),
        cmocka_unit_test(test_a_buf_holds_what_was_appended),
        cmocka_unit_test(test_a_buf_grows_over_many_appends),
        cmocka_unit_test(test_slices_tell_null_from_empty),
        cmocka_unit_test(test_slices_of_nothing_may_be_copied_and_searched),
        cmocka_unit_test(test_an_arena_gives_no_more_than_its_limit),
        cmocka_unit_test(test_an_arena_is_aligned_and_keeps_content),
        cmocka_unit_test(test_a_heap_agrees_with_a_scan),
        cmocka_unit_test(test_crc32c_gives_the_known_sums),
        cmocka_unit_test(test_every_error_has_a_name),
        cmocka_unit_test(test_reasons_keep_their_text),
        cmocka_unit_test(test_a_seed_gives_its_own_row),
        cmocka_unit_test(test_copies_are_terminated),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
