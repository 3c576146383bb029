#include "bus/console/console_payload.h"

#include "base/base64.h"
#include "base/utf8.h"

#include <ctype.h>
#include <string.h>

enum { SHOWN_MAX = 64 * 1024, HEX_MAX = 16 * 1024, HEX_COLUMNS = 16, INDENT_MAX = 64 };

struct slice payload_bytes(struct page *page, const json_t *event, const char *name)
{
    const json_t *text = json_object_get(event, name);
    const char *encoding = json_text(event, page_printf(page, "%s_encoding", name));
    struct slice bytes = {0};
    if (!json_is_string(text)) {
        return bytes;
    }
    struct slice is = slice_of(json_string_value(text), json_string_length(text));
    if (encoding == NULL) {
        return is;
    }
    return base64_decode(&page->arena, is, &bytes) ? bytes : is;
}

static bool is_json(struct slice bytes)
{
    json_t *json = json_loadb((const char *)bytes.data, bytes.size,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    bool is_fine = json != NULL;
    json_decref(json);
    return is_fine;
}

static bool is_text(struct slice bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        size_t size = utf8_sequence(slice_of(bytes.data + at, bytes.size - at));
        bool is_control = bytes.data[at] < ' ' && !isspace(bytes.data[at]);
        if (size == 0 || is_control) {
            return false;
        }
        at += size;
    }
    return true;
}

enum payload_form payload_form_of(struct slice bytes, const char *wanted)
{
    static const char *const words[] = {"json", "text", "hex"};
    for (int form = PAYLOAD_JSON; form <= PAYLOAD_HEX; form++) {
        if (wanted != NULL && strcmp(wanted, words[form]) == 0) {
            return form == PAYLOAD_JSON && !is_json(bytes) ? PAYLOAD_TEXT : (enum payload_form)form;
        }
    }
    if (bytes.size > 0 && strchr("{[", bytes.data[0]) != NULL && is_json(bytes)) {
        return PAYLOAD_JSON;
    }
    return is_text(bytes) ? PAYLOAD_TEXT : PAYLOAD_HEX;
}

/* --- JSON, laid out anew without changing any of its words --- */

static void new_line(struct html *html, int depth)
{
    buf_append_u8(&html->out, '\n');
    for (int i = 0; i < depth && i < INDENT_MAX; i++) {
        buf_append_str(&html->out, "  ");
    }
}

/* Where the word that begins at `at` ends: a string with its quotes, a number, a name. */
static size_t word_end(struct slice text, size_t at)
{
    size_t end = at + 1;
    if (text.data[at] == '"') {
        while (end < text.size && text.data[end] != '"') {
            end += text.data[end] == '\\' ? 2 : 1;
        }
        return end < text.size ? end + 1 : text.size;
    }
    while (end < text.size && strchr("{}[],:\" \t\r\n", text.data[end]) == NULL) {
        end++;
    }
    return end;
}

static size_t skip_blanks(struct slice text, size_t at)
{
    while (at < text.size && isspace(text.data[at])) {
        at++;
    }
    return at;
}

static size_t put_word(struct html *html, struct slice text, size_t at)
{
    size_t end = word_end(text, at), next = skip_blanks(text, end);
    bool is_name = text.data[at] == '"' && next < text.size && text.data[next] == ':';
    html_begin(html, "span", "class", is_name ? "jk" : text.data[at] == '"' ? "js" : "jn", NULL);
    html_bytes(html, slice_of(text.data + at, end - at));
    html_end(html, "span");
    return end;
}

static void put_json(struct html *html, struct slice text)
{
    int depth = 0;
    for (size_t at = skip_blanks(text, 0); at < text.size; at = skip_blanks(text, at)) {
        char letter = (char)text.data[at];
        size_t next = skip_blanks(text, at + 1);
        if (strchr("{[", letter) != NULL) {
            bool is_empty = next < text.size && strchr("}]", text.data[next]) != NULL;
            buf_append_u8(&html->out, (uint8_t)letter);
            if (is_empty) {
                buf_append_u8(&html->out, text.data[next]);
                next++;
            } else {
                new_line(html, ++depth);
            }
            at = next;
        } else if (strchr("}]", letter) != NULL) {
            new_line(html, --depth);
            buf_append_u8(&html->out, (uint8_t)letter);
            at++;
        } else if (letter == ',' || letter == ':') {
            buf_append_str(&html->out, letter == ',' ? "," : ": ");
            at++;
            if (letter == ',') {
                new_line(html, depth);
            }
        } else {
            at = put_word(html, text, at);
        }
    }
}

/* --- bytes --- */

static void put_hex(struct html *html, struct slice bytes)
{
    for (size_t at = 0; at < bytes.size; at += HEX_COLUMNS) {
        size_t count = bytes.size - at < HEX_COLUMNS ? bytes.size - at : HEX_COLUMNS;
        char letters[HEX_COLUMNS + 1];
        html_textf(html, "%06zx ", at);
        for (size_t i = 0; i < HEX_COLUMNS; i++) {
            const char *gap = i == HEX_COLUMNS / 2 ? "  " : " ";
            if (i < count) {
                uint8_t byte = bytes.data[at + i];
                html_textf(html, "%s%02x", gap, byte);
                letters[i] = byte >= ' ' && byte < 0x7f ? (char)byte : '.';
            } else {
                html_textf(html, "%s  ", gap);
            }
        }
        letters[count] = '\0';
        html_textf(html, "  %s\n", letters);
    }
}

void payload_put(struct page *page, struct slice bytes, enum payload_form form)
{
    size_t most = form == PAYLOAD_HEX ? HEX_MAX : SHOWN_MAX;
    struct slice shown = bytes.size > most ? slice_of(bytes.data, most) : bytes;
    html_begin(&page->html, "pre", "class", "payload", "tabindex", "0", "aria-label", "Payload",
               NULL);
    if (form == PAYLOAD_HEX) {
        put_hex(&page->html, shown);
    } else if (form == PAYLOAD_JSON && shown.size == bytes.size) {
        put_json(&page->html, shown);
    } else {
        html_bytes(&page->html, shown);
    }
    html_end(&page->html, "pre");
    if (shown.size < bytes.size) {
        html_begin(&page->html, "p", "class", "note", NULL);
        html_textf(&page->html, "The first %zu of %zu bytes.", shown.size, bytes.size);
        html_end(&page->html, "p");
    }
}

void payload_preview(struct page *page, struct slice bytes, enum payload_form form)
{
    enum { LETTERS = 240, BYTES = 24 };
    if (form != PAYLOAD_HEX) {
        size_t size = bytes.size;
        if (size > LETTERS) {
            for (size = 0; size < LETTERS;) {
                size_t one = utf8_sequence(slice_of(bytes.data + size, bytes.size - size));
                size += one > 0 ? one : 1;
            }
        }
        html_bytes(&page->html, slice_of(bytes.data, size));
    } else {
        for (size_t i = 0; i < bytes.size && i < BYTES; i++) {
            html_textf(&page->html, "%s%02x", i > 0 ? " " : "", bytes.data[i]);
        }
    }
    if (bytes.size > (form == PAYLOAD_HEX ? BYTES : LETTERS)) {
        html_text(&page->html, "…");
    }
}
