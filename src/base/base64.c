#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(struct buf *to, struct slice bytes, const char letters[64], bool padded)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        char four[4] = {letters[group >> 18], letters[group >> 12 & 63],
                        left > 1 ? letters[group >> 6 & 63] : '=',
                        left > 2 ? letters[group & 63] : '='};
        buf_append(to, four, padded || left > 2 ? sizeof four : left + 1);
    }
}

void base64_encode(struct buf *to, struct slice bytes)
{
    encode(to, bytes, alphabet, true);
}

void base64url_encode(struct buf *to, struct slice bytes)
{
    encode(to, bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false);
}

static int digit(uint8_t c)
{
    const char *found = c != '\0' ? strchr(alphabet, c) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

bool base64_decode(struct arena *arena, struct slice text, struct slice *bytes)
{
    if (text.size % 4 != 0) {
        return false;
    }
    size_t padding = 0;
    while (padding < 2 && text.size > padding && text.data[text.size - 1 - padding] == '=') {
        padding++;
    }
    size_t size = text.size / 4 * 3 - padding;
    uint8_t *out = arena_alloc(arena, size + 3);
    if (out == NULL) {
        return false;
    }
    for (size_t i = 0, at = 0; i < text.size; i += 4, at += 3) {
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            bool is_padding = i + j >= text.size - padding;
            int value = is_padding ? 0 : digit(text.data[i + j]);
            if (value < 0) {
                return false;
            }
            group = group << 6 | (uint32_t)value;
        }
        out[at] = (uint8_t)(group >> 16);
        out[at + 1] = (uint8_t)(group >> 8);
        out[at + 2] = (uint8_t)group;
    }
    *bytes = slice_of(out, size);
    return true;
}
