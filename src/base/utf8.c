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

static bool is_printable_ascii(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

/* Of a well-formed sequence of this size. */
static uint32_t code_point(const uint8_t *bytes, size_t size)
{
    uint32_t code = size == 1 ? bytes[0] : bytes[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        code = code << 6 | (bytes[i] & 0x3fU);
    }
    return code;
}

static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) ||      /* C0, DEL, C1 */
           code == 0x61c || code == 0x200e || code == 0x200f || /* marks of direction */
           (code >= 0x2028 && code <= 0x202e) || /* line breaks, directions and overrides */
           (code >= 0x2066 && code <= 0x2069);
}

size_t utf8_printable(struct slice bytes)
{
    size_t size = utf8_sequence(bytes);
    return size > 0 && is_control(code_point(bytes.data, size)) ? 0 : size;
}

/* How many bytes from `from` on may go to a terminal as they are. */
static size_t printable_size(struct slice bytes, size_t from)
{
    size_t at = from;
    while (at < bytes.size) {
        if (is_printable_ascii(bytes.data[at])) { /* most are */
            at++;
            continue;
        }
        size_t size = utf8_printable(slice_of(bytes.data + at, bytes.size - at));
        if (size == 0) {
            break;
        }
        at += size;
    }
    return at - from;
}

static void append_escape(struct buf *to, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    if (byte == '\n' || byte == '\t' || byte == '\r') {
        buf_append_str(to, byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : "\\r");
    } else {
        char text[] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        buf_append(to, text, sizeof text);
    }
}

void utf8_escape_json(struct buf *to, struct slice text)
{
    for (size_t at = 0; at < text.size;) {
        size_t size = printable_size(text, at);
        buf_append(to, text.data + at, size);
        at += size;
        if (at == text.size) {
            break;
        }
        size = utf8_sequence(slice_of(text.data + at, text.size - at));
        if (size == 0 || text.data[at] < ' ') { /* a line break between values */
            buf_append_u8(to, text.data[at++]);
            continue;
        }
        buf_printf(to, "\\u%04X", (unsigned)code_point(text.data + at, size));
        at += size;
    }
}

void utf8_escape(struct buf *to, struct slice bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        size_t size = printable_size(bytes, at);
        buf_append(to, bytes.data + at, size);
        at += size;
        if (at < bytes.size) {
            append_escape(to, bytes.data[at++]);
        }
    }
}
