#include "base/decimal.h"

#include <string.h>

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

char *decimal_write(char *to, int64_t number)
{
    char digits[DECIMAL_MOST];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    for (; rest >= 100; rest /= 100) {
        at -= 2;
        memcpy(digits + at, &pairs[rest % 100 * 2], 2);
    }
    if (rest >= 10) {
        at -= 2;
        memcpy(digits + at, &pairs[rest * 2], 2);
    } else {
        digits[--at] = (char)('0' + rest);
    }
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
