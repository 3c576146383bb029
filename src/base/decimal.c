#include "base/decimal.h"

#include <string.h>

char *decimal_write(char *to, int64_t number)
{
    char digits[DECIMAL_MOST];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        digits[--at] = '-';
    }
    memcpy(to, digits + at, sizeof digits - at);
    return to + (sizeof digits - at);
}

void decimal_append(struct buf *to, int64_t number)
{
    char digits[DECIMAL_MOST];
    buf_append(to, digits, (size_t)(decimal_write(digits, number) - digits));
}
