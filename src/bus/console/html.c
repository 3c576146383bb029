#include "bus/console/html.h"

#include "base/utf8.h"
#include "base/xml.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void html_deinit(struct html *html)
{
    buf_deinit(&html->out);
    html->depth = 0;
}

/* --- texts --- */

/* One byte that is no printable ASCII, or the first of what is not printable. */
static void put_odd(struct buf *to, uint8_t byte)
{
    if (byte == '\n' || byte == '\t') {
        buf_append_u8(to, byte);
    } else if (byte < ' ') {
        buf_append(to, (const uint8_t[]){0xe2, 0x90, 0x80 + byte}, 3); /* U+2400 ... */
    } else if (byte == 0x7f) {
        buf_append_str(to, "␡");
    } else {
        buf_printf(to, "\\x%02x", byte);
    }
}

static void put_text(struct buf *to, struct slice text)
{
    for (size_t at = 0; at < text.size;) {
        struct slice rest = slice_of(text.data + at, text.size - at);
        size_t size = utf8_printable(rest);
        if (size > 0) {
            xml_escape(to, slice_of(rest.data, size));
        } else {
            put_odd(to, rest.data[0]);
            size = 1;
        }
        at += size;
    }
}

void html_bytes(struct html *html, struct slice bytes)
{
    put_text(&html->out, bytes);
}

void html_text(struct html *html, const char *text)
{
    if (text != NULL) {
        put_text(&html->out, slice_str(text));
    }
}

void html_textf(struct html *html, const char *format, ...)
{
    char small[256], *text = NULL;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (size < 0) {
        return;
    }
    if ((size_t)size < sizeof small) {
        html_text(html, small);
        return;
    }
    struct buf large = {0};
    text = (char *)buf_extend(&large, (size_t)size + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    html_text(html, text);
    buf_deinit(&large);
}

void html_append(struct html *html, struct slice markup)
{
    buf_append_slice(&html->out, markup);
}

/* --- elements --- */

static bool is_name(const char *name)
{
    return name[0] != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static bool is_harmless(const char *attribute)
{
    return is_name(attribute) && strncmp(attribute, "on", 2) != 0 &&
           strcmp(attribute, "style") != 0 && strcmp(attribute, "srcdoc") != 0;
}

static bool is_url(const char *attribute)
{
    return strcmp(attribute, "href") == 0 || strcmp(attribute, "src") == 0 ||
           strcmp(attribute, "action") == 0;
}

static void put_tag(struct html *html, const char *tag, va_list args)
{
    assert(is_name(tag) && strcmp(tag, "style") != 0);
    buf_append_u8(&html->out, '<');
    buf_append_str(&html->out, tag);
    const char *name;
    while ((name = va_arg(args, const char *)) != NULL) {
        const char *value = va_arg(args, const char *);
        assert(is_harmless(name));
        if (value == NULL || (is_url(name) && !html_is_own_url(value))) {
            continue;
        }
        buf_append_u8(&html->out, ' ');
        buf_append_str(&html->out, name);
        buf_append_str(&html->out, "=\"");
        put_text(&html->out, slice_str(value));
        buf_append_u8(&html->out, '"');
    }
    buf_append_u8(&html->out, '>');
}

static void push(struct html *html, const char *tag)
{
    assert(html->depth < HTML_DEPTH_MAX);
    html->open[html->depth++] = tag;
}

void html_begin(struct html *html, const char *tag, ...)
{
    va_list args;
    va_start(args, tag);
    put_tag(html, tag, args);
    va_end(args);
    push(html, tag);
}

void html_void(struct html *html, const char *tag, ...)
{
    va_list args;
    va_start(args, tag);
    put_tag(html, tag, args);
    va_end(args);
}

void html_end(struct html *html, const char *tag)
{
    assert(html->depth > 0 && strcmp(html->open[html->depth - 1], tag) == 0);
    html->depth--;
    buf_append_str(&html->out, "</");
    buf_append_str(&html->out, tag);
    buf_append_u8(&html->out, '>');
}

void html_element(struct html *html, const char *tag, const char *text, ...)
{
    va_list args;
    va_start(args, text);
    put_tag(html, tag, args);
    va_end(args);
    push(html, tag);
    html_text(html, text);
    html_end(html, tag);
}

/* --- URLs and command lines --- */

void html_url_encode(struct buf *to, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL) {
            buf_append_u8(to, (uint8_t)*text);
        } else {
            buf_printf(to, "%%%02X", (unsigned char)*text);
        }
    }
}

bool html_is_own_url(const char *url)
{
    if (url[0] == '/') {
        return url[1] != '/' && url[1] != '\\';
    }
    return url[0] == '#' || url[0] == '?';
}

void html_shell_word(struct buf *to, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:@%+=,";
    if (text[0] != '\0' && text[strspn(text, plain)] == '\0') {
        buf_append_str(to, text);
        return;
    }
    buf_append_u8(to, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            buf_append_str(to, "'\\''");
        } else {
            buf_append_u8(to, (uint8_t)*text);
        }
    }
    buf_append_u8(to, '\'');
}

static const char *fill(struct arena *arena, const char *format, va_list args,
                        void (*put)(struct buf *to, const char *text))
{
    struct buf out = {0};
    for (const char *hole; (hole = strstr(format, "{}")) != NULL; format = hole + 2) {
        buf_append(&out, format, (size_t)(hole - format));
        const char *word = va_arg(args, const char *);
        put(&out, word != NULL ? word : "");
    }
    buf_append_str(&out, format);
    const char *text = arena_cstr(arena, buf_slice(&out));
    buf_deinit(&out);
    return text;
}

const char *html_url(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *url = fill(arena, format, args, html_url_encode);
    va_end(args);
    return url;
}

const char *html_shell(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *line = fill(arena, format, args, html_shell_word);
    va_end(args);
    return line;
}
