#include "base/byte_set.h"

void byte_set_add_range(struct byte_set *set, uint32_t first, uint32_t last)
{
    for (uint32_t byte = first; byte <= last && byte < 0x80; byte++) {
        byte_set_add(set, (uint8_t)byte);
    }
}

void byte_set_invert(struct byte_set *set)
{
    set->bits[0] = ~set->bits[0];
    set->bits[1] = ~set->bits[1];
}

void byte_set_fold_case(struct byte_set *set)
{
    for (uint8_t upper = 'A'; upper <= 'Z'; upper++) {
        uint8_t lower = (uint8_t)(upper + ('a' - 'A'));
        if (byte_set_has(set, upper) || byte_set_has(set, lower)) {
            byte_set_add(set, upper);
            byte_set_add(set, lower);
        }
    }
}

/* Ranges as pairs of characters. */
static void add_pairs(struct byte_set *set, const char *pairs)
{
    for (; *pairs != '\0'; pairs += 2) {
        byte_set_add_range(set, (uint8_t)pairs[0], (uint8_t)pairs[1]);
    }
}

bool byte_set_add_letter(uint8_t letter, struct byte_set *set)
{
    switch (letter) {
    case 'd':
        add_pairs(set, "09");
        return true;
    case 'w':
        add_pairs(set, "09AZaz__");
        return true;
    case 's':
        add_pairs(set, "\t\n\f\r  ");
        return true;
    default:
        return false;
    }
}

bool byte_set_add_named(struct slice name, struct byte_set *set)
{
    static const struct {
        const char *name;
        const char *pairs;
    } classes[] = {
        {"alnum", "09AZaz"},   {"alpha", "AZaz"},
        {"ascii", "\001\177"}, {"blank", "\t\t  "},
        {"digit", "09"},       {"graph", "!~"},
        {"lower", "az"},       {"print", " ~"},
        {"punct", "!/:@[`{~"}, {"space", "\t\r  "},
        {"upper", "AZ"},       {"word", "09AZaz__"},
        {"xdigit", "09AFaf"},  {"cntrl", "\001\037\177\177"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (slice_equal_str(name, classes[i].name)) {
            add_pairs(set, classes[i].pairs);
            return true;
        }
    }
    return false;
}
