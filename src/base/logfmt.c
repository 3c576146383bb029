#include "base/logfmt.h"

#include "base/text_format.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool needs_quotes(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f || strchr("\"\\=", text.data[i]) != NULL) {
            return true;
        }
    }
    return text.size == 0;
}

static void append_escaped(struct buf *to, struct slice text)
{
    size_t most = text.size < LOGFMT_VALUE_BYTES ? text.size : (size_t)LOGFMT_VALUE_BYTES;
    for (size_t at = 0; at < text.size;) {
        size_t size = utf8_printable(slice_of(text.data + at, text.size - at));
        if (at + (size > 0 ? size : 1) > most) {
            buf_append_str(to, "...");
            return;
        }
        if (size == 0) {
            buf_printf(to, "\\x%02x", text.data[at++]);
            continue;
        }
        if (text.data[at] == '"' || text.data[at] == '\\') {
            buf_append_u8(to, '\\');
        }
        buf_append(to, text.data + at, size);
        at += size;
    }
}

void logfmt_pair(struct buf *to, const char *name, struct slice text)
{
    buf_printf(to, "%s%s=\"", to->size > 0 ? " " : "", name);
    append_escaped(to, text);
    buf_append_str(to, "\"");
}

/* Whether a text is all of a value, and not between quotes. */
static bool is_bare(const char *format, const char *from, const char *behind)
{
    bool quoted = false;
    for (const char *at = format; at < from; at++) {
        quoted = quoted != (*at == '"');
    }
    return !quoted && from > format && from[-1] == '=' && (*behind == '\0' || *behind == ' ');
}

static void append_text(struct buf *to, struct slice text, const char *format, const char *from,
                        const char *behind)
{
    bool quote = needs_quotes(text) && is_bare(format, from, behind);
    buf_append_str(to, quote ? "\"" : "");
    append_escaped(to, text);
    buf_append_str(to, quote ? "\"" : "");
}

void logfmt_append(struct buf *to, const char *format, va_list args)
{
    text_format(to, format, args, append_text);
}
