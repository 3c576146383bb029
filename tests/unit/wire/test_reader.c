#include "../unit.h"
#include "hex.h"

#include "base/varint.h"

/* A reader over hex bytes, with what it borrows. */
struct input {
    struct buf bytes;
    struct arena arena;
    struct wire_reader reader;
};

static struct wire_reader *open_input(struct input *input, const char *hex)
{
    *input = (struct input){.bytes = from_hex(hex)};
    wire_reader_init(&input->reader, buf_slice(&input->bytes), &input->arena);
    return &input->reader;
}

static void close_input(struct input *input)
{
    arena_deinit(&input->arena);
    buf_deinit(&input->bytes);
}

static void close_with(struct input *input, enum err err)
{
    assert_int_equal(input->reader.err, err);
    close_input(input);
}

static void numbers_are_big_endian(void **state)
{
    struct input input;
    struct wire_reader *reader =
        open_input(&input, "80 01 8000 ff00 80000001 ff000000 8000000000000002 3ff8000000000000");
    assert_int_equal(wire_read_int8(reader), -128);
    assert_true(wire_read_bool(reader));
    assert_int_equal(wire_read_int16(reader), -32768);
    assert_int_equal(wire_read_uint16(reader), 0xff00);
    assert_int_equal(wire_read_int32(reader), INT32_MIN + 1);
    assert_int_equal(wire_read_uint32(reader), 0xff000000);
    assert_int_equal(wire_read_int64(reader), INT64_MIN + 2);
    assert_true(wire_read_float64(reader) == 1.5);
    assert_true(wire_reader_at_end(reader));
    close_input(&input);
}

static void varints_end_within_five_bytes(void **state)
{
    struct input input;
    struct wire_reader *reader = open_input(&input, "00 7f 8001 ffffffff0f");
    assert_int_equal(wire_read_uvarint(reader), 0);
    assert_int_equal(wire_read_uvarint(reader), 127);
    assert_int_equal(wire_read_uvarint(reader), 128);
    assert_int_equal(wire_read_uvarint(reader), UINT32_MAX);
    assert_true(wire_reader_at_end(reader));
    close_input(&input);

    assert_int_equal(wire_read_uvarint(open_input(&input, "ffffffff1f")), 0); /* over 32 bits */
    close_with(&input, ERR_CORRUPT);
    wire_read_uvarint(open_input(&input, "808080808000"));
    close_with(&input, ERR_CORRUPT);
    wire_read_uvarint(open_input(&input, "8080"));
    close_with(&input, ERR_TRUNCATED);
}

static void strings_have_two_forms(void **state)
{
    struct input input;
    struct wire_reader *reader = open_input(&input, "0002 6869 03 6869 0000 01 ffff 00");
    assert_text(wire_read_string(reader, false, false), "hi");
    assert_text(wire_read_string(reader, true, false), "hi");
    struct slice empty = wire_read_string(reader, false, true);
    assert_false(slice_is_null(empty));
    assert_int_equal(empty.size, 0);
    assert_false(slice_is_null(wire_read_string(reader, true, true)));
    assert_true(slice_is_null(wire_read_string(reader, false, true)));
    assert_true(slice_is_null(wire_read_string(reader, true, true)));
    assert_true(wire_reader_at_end(reader));
    close_input(&input);
}

static void strings_borrow_the_input(void **state)
{
    struct input input;
    struct wire_reader *reader = open_input(&input, "0001 61");
    assert_ptr_equal(wire_read_string(reader, false, false).data, input.bytes.data + 2);
    close_input(&input);
}

static void bad_lengths_are_refused(void **state)
{
    struct input input;
    wire_read_string(open_input(&input, "ffff"), false, false); /* null where it may not be */
    close_with(&input, ERR_CORRUPT);
    wire_read_string(open_input(&input, "00"), true, false);
    close_with(&input, ERR_CORRUPT);
    wire_read_string(open_input(&input, "fffe"), false, true); /* -2 */
    close_with(&input, ERR_CORRUPT);
    wire_read_bytes(open_input(&input, "80000000"), false, true);
    close_with(&input, ERR_CORRUPT);
    wire_read_string(open_input(&input, "818002"), true, true); /* 32768 */
    close_with(&input, ERR_CORRUPT);
    wire_read_string(open_input(&input, "0003 6869"), false, true);
    close_with(&input, ERR_TRUNCATED);
    wire_read_bytes(open_input(&input, "7fffffff 00"), false, true);
    close_with(&input, ERR_TRUNCATED);
    wire_read_bytes(open_input(&input, "ffffffff0f 00"), true, true);
    close_with(&input, ERR_TRUNCATED);
}

static void counts_are_held_against_the_bytes_left(void **state)
{
    struct input input;
    int32_t count = 7;
    struct wire_reader *reader = open_input(&input, "00000002 0000000100000002");
    assert_non_null(wire_read_array(reader, false, false, 4, sizeof(int32_t), &count));
    assert_int_equal(count, 2);
    close_with(&input, ERR_NONE);

    reader = open_input(&input, "00000003 0000000100000002");
    assert_null(wire_read_array(reader, false, false, 4, sizeof(int32_t), &count));
    assert_int_equal(count, 0);
    assert_int_equal(input.arena.used_bytes, 0);
    close_with(&input, ERR_TRUNCATED);

    reader = open_input(&input, "7fffffff 00");
    assert_null(wire_read_array(reader, false, false, 1, 100, &count));
    close_with(&input, ERR_TRUNCATED);
    reader = open_input(&input, "fffffffe 00");
    assert_null(wire_read_array(reader, false, true, 1, 100, &count));
    close_with(&input, ERR_CORRUPT);
}

/* A million elements, and not one more, whatever they need. */
static void counts_have_a_bound_of_their_own(void **state)
{
    struct arena arena = {.chunks = NULL};
    for (int32_t count = WIRE_ARRAY_MOST; count <= WIRE_ARRAY_MOST + 1; count++) {
        struct wire_reader reader;
        struct buf bytes = {0};
        int32_t found;
        buf_append_be32(&bytes, (uint32_t)count);
        memset(buf_extend(&bytes, (size_t)count), 0, (size_t)count);
        wire_reader_init(&reader, buf_slice(&bytes), &arena);
        bool taken = wire_read_array(&reader, false, false, 1, 1, &found) != NULL;
        assert_int_equal(taken, count == WIRE_ARRAY_MOST);
        assert_int_equal(reader.err, taken ? ERR_NONE : ERR_TOO_LARGE);
        buf_deinit(&bytes);
    }
    arena_deinit(&arena);
}

static void tagged_fields_have_a_bound(void **state)
{
    for (uint32_t count = WIRE_TAGS_MOST; count <= WIRE_TAGS_MOST + 1; count++) {
        struct wire_reader reader;
        struct buf bytes = {0};
        buf_append_uvarint(&bytes, count);
        memset(buf_extend(&bytes, 2 * (size_t)count), 0, 2 * (size_t)count); /* tag 0, no bytes */
        wire_reader_init(&reader, buf_slice(&bytes), NULL);
        wire_read_unknown_tags(&reader);
        assert_int_equal(reader.err, count == WIRE_TAGS_MOST ? ERR_NONE : ERR_TOO_LARGE);
        buf_deinit(&bytes);
    }
}

static void null_and_empty_arrays_differ(void **state)
{
    struct input input;
    int32_t count = 7;
    struct wire_reader *reader = open_input(&input, "ffffffff 00000000 00 01");
    for (int i = 0; i < 4; i++) {
        assert_null(wire_read_array(reader, i >= 2, true, 1, 1, &count));
        assert_int_equal(count, i % 2 == 0 ? -1 : 0);
    }
    close_with(&input, ERR_NONE);
    wire_read_array(open_input(&input, "ffffffff"), false, false, 1, 1, &count);
    close_with(&input, ERR_CORRUPT);
}

static void the_arena_bounds_memory(void **state)
{
    struct input input;
    int32_t count;
    struct wire_reader *reader = open_input(&input, "00000004 01020304");
    input.arena.limit_bytes = 1000;
    assert_null(wire_read_array(reader, false, false, 1, 1000, &count));
    assert_int_equal(count, 0);
    close_with(&input, ERR_TOO_LARGE);
}

static void the_first_error_sticks(void **state)
{
    struct input input;
    struct wire_reader *reader = open_input(&input, "ffff 00000001");
    wire_read_string(reader, false, false);
    assert_int_equal(wire_read_int32(reader), 0);
    assert_int_equal(wire_reader_remaining(reader), 0);
    assert_false(wire_reader_at_end(reader));
    close_with(&input, ERR_CORRUPT);
}

static void unknown_tags_are_skipped_within_bounds(void **state)
{
    struct input input;
    struct wire_reader *reader = open_input(&input, "02 05 03 010203 8001 00 2a");
    wire_read_unknown_tags(reader);
    assert_int_equal(wire_read_int8(reader), 42);
    close_with(&input, ERR_NONE);

    wire_read_unknown_tags(open_input(&input, "01 05 04 010203"));
    close_with(&input, ERR_TRUNCATED);
    wire_read_unknown_tags(open_input(&input, "904e 0000")); /* as many as there may be */
    close_with(&input, ERR_TRUNCATED);
    wire_read_unknown_tags(open_input(&input, "ffffffff0f 0000"));
    close_with(&input, ERR_TOO_LARGE);
}

static void a_tag_value_fills_its_size(void **state)
{
    struct input input;
    uint32_t tag;
    struct wire_reader *reader = open_input(&input, "07 05 00000001 00 2a");
    size_t whole = wire_read_tag_begin(reader, &tag);
    assert_int_equal(tag, 7);
    assert_int_equal(wire_read_int32(reader), 1);
    wire_read_tag_end(reader, whole);
    close_with(&input, ERR_CORRUPT);

    reader = open_input(&input, "07 02 00000001 2a"); /* the value may not leave its size */
    whole = wire_read_tag_begin(reader, &tag);
    assert_int_equal(wire_read_int32(reader), 0);
    wire_read_tag_end(reader, whole);
    assert_int_equal(wire_reader_remaining(reader), 0);
    close_with(&input, ERR_TRUNCATED);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(varints_end_within_five_bytes),
        cmocka_unit_test(strings_have_two_forms),
        cmocka_unit_test(strings_borrow_the_input),
        cmocka_unit_test(bad_lengths_are_refused),
        cmocka_unit_test(counts_are_held_against_the_bytes_left),
        cmocka_unit_test(counts_have_a_bound_of_their_own),
        cmocka_unit_test(tagged_fields_have_a_bound),
        cmocka_unit_test(null_and_empty_arrays_differ),
        cmocka_unit_test(the_arena_bounds_memory),
        cmocka_unit_test(the_first_error_sticks),
        cmocka_unit_test(unknown_tags_are_skipped_within_bounds),
        cmocka_unit_test(a_tag_value_fills_its_size),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
