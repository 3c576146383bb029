#include "base/siphash.h"

#include "../unit.h"

#include <string.h>

/* The first vectors, and one of a longer input, of the reference implementation's vectors_sip128:
 * key 00 01 .. 0f, input 00 01 .. */
static void test_siphash_gives_the_reference_vectors(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint8_t hash[16];
    } vectors[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
        {15,
         {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3,
          0xd9}},
    };
    struct siphash_key key = {.k0 = UINT64_C(0x0706050403020100),
                              .k1 = UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t input[16];
    for (size_t i = 0; i < sizeof input; i++) {
        input[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct siphash128 hash = siphash128(&key, input, vectors[i].size);
        for (int k = 0; k < 8; k++) {
            assert_int_equal((uint8_t)(hash.low >> (8 * k)), vectors[i].hash[k]);
            assert_int_equal((uint8_t)(hash.high >> (8 * k)), vectors[i].hash[8 + k]);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_siphash_gives_the_reference_vectors)};
    return unit_run(tests, NULL, NULL, argc, argv);
}
