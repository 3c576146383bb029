#include "bus/index/event_index_inside.h"

#include <string.h>

/* Entries are sorted by 11 bits at a time from the lowest on: six rounds for the hash. Numbers need
 * none, but where hashes are equal, which is put right behind it. */
enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, ROUNDS = 6 };

static void sort_round(const struct index_entry *from, struct index_entry *to, size_t count,
                       unsigned shift)
{
    size_t starts[DIGITS] = {0};
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        starts[(from[i].hash >> shift) & (DIGITS - 1)]++;
    }
    for (size_t digit = 0; digit < DIGITS; digit++) {
        size_t of_digit = starts[digit];
        starts[digit] = sum;
        sum += of_digit;
    }
    for (size_t i = 0; i < count; i++) {
        to[starts[(from[i].hash >> shift) & (DIGITS - 1)]++] = from[i];
    }
}

static int compare_numbers(const void *a, const void *b)
{
    const struct index_entry *left = a;
    const struct index_entry *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

static bool numbers_rise(const struct index_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (entries[i].number < entries[i - 1].number) {
            return false;
        }
    }
    return true;
}

void index_sort(struct index_entry *entries, struct index_entry *scratch, size_t count)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool is_odd = round % 2 != 0;
        sort_round(is_odd ? scratch : entries, is_odd ? entries : scratch, count,
                   round * DIGIT_BITS);
    }
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && entries[end].hash == entries[first].hash; end++) {
        }
        if (!numbers_rise(entries + first, end - first)) {
            qsort(entries + first, end - first, sizeof *entries, compare_numbers);
        }
    }
}
