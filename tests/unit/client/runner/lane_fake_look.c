#include "../../unit.h"

#include "lane_fake.h"

/* What tests look at. */

void fake_assert_effects(struct fake *fake, const char *expected)
{
    char *effects = fake_effects(fake);
    assert_string_equal(effects, expected);
    free(effects);
}

/* The effects of one key, as "1 2 3 ". */
void fake_assert_effects_of(struct fake *fake, const char *key, const char *expected)
{
    char *effects = fake_effects(fake);
    char *of_key = calloc(1, strlen(effects) + 1), *rest = effects, *word;
    while ((word = strsep(&rest, " ")) != NULL) {
        if (strncmp(word, key, strlen(key)) == 0) {
            strcat(strcat(of_key, word + strlen(key)), " ");
        }
    }
    assert_string_equal(of_key, expected);
    free(of_key);
    free(effects);
}

bool fake_all_committed(struct fake *fake)
{
    return fake->partitions[0].committed == (int64_t)fake->partitions[0].events.count;
}

bool fake_is_running(struct fake *fake)
{
    return fake->running > 0;
}
