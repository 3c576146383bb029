#include "base/xml.h"

#include "base/utf8.h"

static const char *entity_of(uint8_t byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;"; /* HTML 4 knows no &apos; */
    default:
        return NULL;
    }
}

/* How many of the bytes can be written as they are. */
static size_t plain_size(struct slice text)
{
    static const uint8_t none[] = {0xEF, 0xBF, 0xBE}; /* U+FFFE, and one more for U+FFFF */
    bool is_none = text.size >= sizeof none && text.data[0] == none[0] && text.data[1] == none[1] &&
                   text.data[2] >= none[2];
    return text.data[0] == '\n' ? 1 : is_none ? 0 : utf8_printable(text);
}

void xml_escape(struct buf *to, struct slice text)
{
    while (text.size > 0) {
        const char *entity = entity_of(text.data[0]);
        size_t size = plain_size(text);
        if (entity != NULL) {
            buf_append_str(to, entity);
        } else if (size > 0) {
            buf_append(to, text.data, size);
        } else {
            buf_printf(to, "\\x%02x", text.data[0]);
        }
        size = size > 0 ? size : 1;
        text = slice_of(text.data + size, text.size - size);
    }
}
