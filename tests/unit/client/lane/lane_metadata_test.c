#include "../../unit.h"

#include "client/lane/lane_metadata.h"

static struct lane_ranges open_of(const struct lane_range *ranges, size_t count)
{
    struct lane_ranges open = {0};
    for (size_t i = 0; i < count; i++) {
        vec_push(&open, ranges[i]);
    }
    return open;
}

static void test_what_is_written_is_read(void **state)
{
    (void)state;
    const struct lane_range ranges[] = {{100, 101}, {105, 107}, {1000000, 1000001}};
    struct lane_ranges open = open_of(ranges, 3);
    struct lane_ranges done = {0};
    struct buf text = {0};
    assert_int_equal(lane_metadata_encode(7, 100, &open, 2000000, 4096, &text), 2000000);
    assert_int_equal(lane_metadata_decode(buf_cstr(&text), 100, &done), 7);
    assert_int_equal(done.count, 3);
    assert_int_equal(done.items[0].from, 101);
    assert_int_equal(done.items[0].to, 105);
    assert_int_equal(done.items[1].from, 107);
    assert_int_equal(done.items[1].to, 1000000);
    assert_int_equal(done.items[2].from, 1000001);
    assert_int_equal(done.items[2].to, 2000000);
    vec_deinit(&open);
    vec_deinit(&done);
    buf_deinit(&text);
}

static void test_what_does_not_fit_is_left_out_from_the_end(void **state)
{
    (void)state;
    struct lane_ranges open = {0};
    struct lane_ranges done = {0};
    struct buf text = {0};
    for (int64_t i = 0; i < 1000; i++) {
        vec_push(&open, (struct lane_range){i * 10, i * 10 + 1});
    }
    int64_t told = lane_metadata_encode(1, 0, &open, 10000, 100, &text);
    assert_true(text.size <= 100);
    assert_true(told > 0 && told < 10000);
    assert_int_equal(lane_metadata_decode(buf_cstr(&text), 0, &done), 1);
    assert_int_equal(done.items[done.count - 1].to, told);
    vec_deinit(&open);
    vec_deinit(&done);
    buf_deinit(&text);
}

/* Every second offset that is open now is done then. */
static void test_what_is_kept_is_told_by_later_texts_as_well(void **state)
{
    (void)state;
    struct lane_ranges open = {0}, later = {0};
    struct buf text = {0};
    for (int64_t i = 0; i < 20; i++) {
        vec_push(&open, (struct lane_range){i * 100, i * 100 + 20});
        for (int64_t j = 0; j < 20; j += 2) {
            vec_push(&later, (struct lane_range){i * 100 + j, i * 100 + j + 1});
        }
    }
    int64_t kept = lane_metadata_keeps(0, &open, 2000, 200);
    assert_true(kept > 100 && kept < lane_metadata_encode(9, 0, &open, 2000, 200, &text));
    assert_true(lane_metadata_encode(INT64_MAX, 0, &later, 1000000, 200, &text) >= kept);
    vec_deinit(&open);
    vec_deinit(&later);
    buf_deinit(&text);
}

static void test_nothing_open_leaves_the_fence(void **state)
{
    (void)state;
    struct lane_ranges open = {0};
    struct lane_ranges done = {0};
    struct buf text = {0};
    assert_int_equal(lane_metadata_encode(INT64_MAX, 5, &open, 5, 40, &text), 5);
    assert_int_equal(lane_metadata_decode(buf_cstr(&text), 5, &done), INT64_MAX);
    assert_int_equal(done.count, 0);
    buf_deinit(&text);
}

static void test_another_base_leaves_the_fence_only(void **state)
{
    (void)state;
    const struct lane_range ranges[] = {{3, 4}};
    struct lane_ranges open = open_of(ranges, 1);
    struct lane_ranges done = {0};
    struct buf text = {0};
    lane_metadata_encode(9, 3, &open, 8, 4096, &text);
    assert_int_equal(lane_metadata_decode(buf_cstr(&text), 4, &done), 9);
    assert_int_equal(done.count, 0);
    vec_deinit(&open);
    buf_deinit(&text);
}

static void test_a_foreign_text_says_nothing(void **state)
{
    (void)state;
    const char *const texts[] = {NULL, "", "by hand", "AAAA", "AQ==", "AQAAAAAA", "not base 64 !"};
    struct lane_ranges done = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(lane_metadata_decode(texts[i], 0, &done), 0);
        assert_int_equal(done.count, 0);
    }
}

static void test_a_changed_letter_says_nothing_else(void **state)
{
    (void)state;
    const struct lane_range ranges[] = {{3, 4}, {90, 91}};
    struct lane_ranges open = open_of(ranges, 2);
    struct lane_ranges done = {0};
    struct buf text = {0};
    int same = 0;
    lane_metadata_encode(9, 3, &open, 800, 4096, &text);
    char *letters = buf_cstr(&text);
    for (size_t i = 0; i < text.size; i++) {
        char was = letters[i];
        letters[i] = was == 'A' ? 'B' : 'A';
        if (lane_metadata_decode(letters, 3, &done) != 0) { /* bits that base 64 leaves over */
            assert_int_equal(done.count, 2);
            assert_int_equal(done.items[0].from, 4);
            assert_int_equal(done.items[1].to, 800);
            same++;
        }
        letters[i] = was;
    }
    assert_true(same <= 1);
    vec_deinit(&done);
    vec_deinit(&open);
    buf_deinit(&text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_what_does_not_fit_is_left_out_from_the_end),
        cmocka_unit_test(test_what_is_kept_is_told_by_later_texts_as_well),
        cmocka_unit_test(test_nothing_open_leaves_the_fence),
        cmocka_unit_test(test_another_base_leaves_the_fence_only),
        cmocka_unit_test(test_a_foreign_text_says_nothing),
        cmocka_unit_test(test_a_changed_letter_says_nothing_else),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
