#include "bus/event/json_word.h"

#include "base/time_text.h"
#include "base/utf8.h"

json_t *json_word(struct slice text)
{
    struct buf escaped = {0};
    if (slice_is_null(text)) {
        return json_null();
    }
    utf8_escape(&escaped, text);
    json_t *json = json_stringn(buf_cstr(&escaped), escaped.size);
    buf_deinit(&escaped);
    return json;
}

json_t *json_utf8(const char *text)
{
    json_t *json = text != NULL ? json_string(text) : json_null();
    return json != NULL ? json : json_word(slice_str(text));
}

json_t *json_moment(int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    return time_ms > 0 ? json_string(time_format(time_ms, text)) : json_null();
}
