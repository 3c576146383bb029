#include "bus/event/json_scan.h"

#include <string.h>

/* Behind the string that begins at `at`; the text's end when it is not closed. */
static size_t skip_string(struct slice text, size_t at)
{
    for (at++; at < text.size && text.data[at] != '"'; at++) {
        at += text.data[at] == '\\';
    }
    return at < text.size ? at + 1 : text.size;
}

bool json_scan_is_small(struct slice text, size_t most)
{
    size_t count = 1;
    for (size_t at = 0; at < text.size && count <= most;) {
        uint8_t byte = text.data[at];
        count += byte == '{' || byte == '[' ? 2 : byte == ',';
        at = byte == '"' ? skip_string(text, at) : at + 1;
    }
    return count <= most;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static size_t skip_blanks(struct slice text, size_t at)
{
    while (at < text.size && is_blank(text.data[at])) {
        at++;
    }
    return at;
}

static bool end_with(struct json_scan_array *array, const char *wrong)
{
    array->wrong = wrong;
    array->is_over = true;
    return false;
}

/* Nothing but blanks may stand behind the bracket that closes it. */
static bool end_behind(struct json_scan_array *array, size_t bracket)
{
    bool is_all = skip_blanks(array->text, bracket + 1) == array->text.size;
    return end_with(array, is_all ? NULL : "something stands behind its end");
}

/* The comma or bracket behind the element that begins at `at`; the text's end when there is none.
 */
static size_t find_end(struct slice text, size_t at)
{
    size_t depth = 0;
    while (at < text.size) {
        uint8_t byte = text.data[at];
        if (depth == 0 && (byte == ',' || byte == ']' || byte == '}')) {
            break;
        }
        depth += byte == '{' || byte == '[';
        depth -= byte == '}' || byte == ']';
        at = byte == '"' ? skip_string(text, at) : at + 1;
    }
    return at;
}

bool json_scan_next(struct json_scan_array *array, struct slice *element)
{
    struct slice text = array->text;
    bool is_first = !array->is_begun;
    if (array->is_over) {
        return false;
    }
    if (is_first) {
        array->is_begun = true;
        array->at = skip_blanks(text, 0);
        if (array->at == text.size || text.data[array->at++] != '[') {
            return end_with(array, "it does not begin with [");
        }
    }
    size_t from = skip_blanks(text, array->at), end = find_end(text, from);
    if (end == text.size) {
        return end_with(array, "it ends before its ]");
    }
    if (text.data[end] == '}') {
        return end_with(array, "a } closes what no { opened");
    }
    if (is_first && end == from && text.data[end] == ']') {
        return end_behind(array, end);
    }
    *element = slice_of(text.data + from, end - from);
    array->at = end + 1;
    if (text.data[end] == ']') {
        (void)end_behind(array, end);
        return array->wrong == NULL;
    }
    return true;
}
