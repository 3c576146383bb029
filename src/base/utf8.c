#include "base/utf8.h"

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t utf8_sequence(struct slice bytes)
{
    if (bytes.size == 0) {
        return 0;
    }
    uint8_t first = bytes.data[0];
    if (first < 0x80) {
        return 1;
    }
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes.size < size) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if (!is_continuation(bytes.data[i])) {
            return 0;
        }
    }
    /* Overlong forms, surrogates, and beyond U+10FFFF show in the second byte. */
    uint8_t second = bytes.data[1];
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
        return 0;
    }
    return size;
}

size_t utf8_length(const char *text)
{
    size_t length = 0;
    for (; *text != '\0'; text++) {
        length += !is_continuation((uint8_t)*text);
    }
    return length;
}

void utf8_escape(struct buf *to, struct slice bytes)
{
    for (size_t i = 0; i < bytes.size;) {
        uint8_t byte = bytes.data[i];
        size_t size = utf8_sequence(slice_of(bytes.data + i, bytes.size - i));
        bool is_c1 = size == 2 && byte == 0xc2 && bytes.data[i + 1] < 0xa0;
        if (size > 0 && byte >= 0x20 && byte != 0x7f && !is_c1) {
            buf_append(to, bytes.data + i, size);
            i += size;
            continue;
        }
        if (byte == '\n' || byte == '\t' || byte == '\r') {
            buf_append_str(to, byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : "\\r");
        } else {
            buf_printf(to, "\\x%02x", byte);
        }
        i++;
    }
}

void utf8_quote(struct buf *to, struct slice bytes)
{
    buf_append_str(to, "\"");
    while (bytes.size > 0) {
        size_t plain = 0;
        while (plain < bytes.size && bytes.data[plain] != '"' && bytes.data[plain] != '\\') {
            plain++;
        }
        utf8_escape(to, slice_of(bytes.data, plain));
        if (plain < bytes.size) {
            buf_append_str(to, bytes.data[plain] == '"' ? "\\\"" : "\\\\");
            plain++;
        }
        bytes = slice_of(bytes.data + plain, bytes.size - plain);
    }
    buf_append_str(to, "\"");
}
