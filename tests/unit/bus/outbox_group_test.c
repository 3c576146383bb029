#include "../unit.h"

#include "bus/event/outbox_group.h"

#define ID "6ba46460-1c0e-4f5a-9d55-0d4f8a2f1190"

static void test_an_outbox_is_known_by_its_name(void **state)
{
    (void)state;
    assert_true(outbox_group_is(slice_str("inventory.outbox." ID)));
    assert_true(outbox_group_is(slice_str("a.outbox.b.outbox." ID)));
    assert_false(outbox_group_is(slice_str(".outbox." ID))); /* of nobody */
    assert_false(outbox_group_is(slice_str("inventory.outbox." ID "0")));
    assert_false(
        outbox_group_is(slice_str("inventory.outbox.6BA46460-1c0e-4f5a-9d55-0d4f8a2f1190")));
    assert_false(outbox_group_is(slice_str("inventory.inbox." ID)));
    assert_false(outbox_group_is(slice_str("inventory.outbox.")));
    assert_false(outbox_group_is(slice_str("")));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_an_outbox_is_known_by_its_name)};
    return unit_run(tests, NULL, NULL, argc, argv);
}
