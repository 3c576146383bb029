#include "cli/story/why_view.h"

#include "base/text_format.h"
#include "base/utf8.h"

#include <stdarg.h>

static const char *const codes[] = {
    [WHY_PLAIN] = "",        [WHY_DIM] = "\033[2m",  [WHY_BOLD] = "\033[1m",
    [WHY_GOOD] = "\033[32m", [WHY_BAD] = "\033[31m", [WHY_OPEN] = "\033[33m",
    [WHY_GUESS] = "\033[35m"};

/* How many bytes of the text fit into so many columns. */
static size_t bytes_of(struct slice text, int columns)
{
    size_t at = 0;
    for (int i = 0; i < columns && at < text.size; i++) {
        size_t size = utf8_sequence(slice_of(text.data + at, text.size - at));
        at += size > 0 ? size : 1;
    }
    return at;
}

static void put_text(struct why_line *line, enum why_colour colour, struct buf *text)
{
    int length = (int)utf8_length(buf_cstr(text));
    int left = line->look->columns > 0 ? line->look->columns - line->column : length;
    if (line->is_cut || length == 0) {
        return;
    }
    bool has_colour = line->look->has_colours && codes[colour][0] != '\0';
    buf_append_str(line->to, has_colour ? codes[colour] : "");
    if (length <= left) {
        buf_append_slice(line->to, buf_slice(text));
        line->column += length;
    } else {
        int kept = left > 2 ? left - 2 : 0;
        buf_append(line->to, text->data, bytes_of(buf_slice(text), kept));
        buf_append_str(line->to, left >= 2 ? ".." : "");
        line->column += left;
        line->is_cut = true;
    }
    buf_append_str(line->to, has_colour ? "\033[0m" : "");
}

void why_put(struct why_line *line, enum why_colour colour, const char *format, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    text_format_escaped(&text, format, args);
    va_end(args);
    put_text(line, colour, &text);
    buf_deinit(&text);
}

void why_put_right(struct why_line *line, enum why_colour colour, const char *text)
{
    enum { USUAL_COLUMNS = 80 };
    int columns = line->look->columns > 0 ? line->look->columns : USUAL_COLUMNS;
    int at = columns - (int)utf8_length(text);
    do {
        why_put(line, WHY_PLAIN, " ");
    } while (line->column < at && !line->is_cut);
    why_put(line, colour, "%s", text);
}

void why_end(struct why_line *line)
{
    while (line->to->size > 0 && line->to->data[line->to->size - 1] == ' ') {
        line->to->size--;
    }
    buf_append_u8(line->to, '\n');
    line->column = 0;
    line->is_cut = false;
}
