#include "cli/lanes/deadletter.h"

#include "base/time_text.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

const char *dead_state_text(const struct dead_seen *seen, char text[32])
{
    if (seen->state == DEAD_AGAIN) {
        snprintf(text, 32, "failed again (%lld)", (long long)seen->subject.failed_again);
        return text;
    }
    return seen->subject.state;
}

void dead_cell(struct table *table, struct slice text, size_t most)
{
    struct buf escaped = {0};
    if (slice_is_null(text)) {
        table_cell(table, "-");
        return;
    }
    bool is_cut = text.size > most;
    utf8_escape(&escaped, slice_of(text.data, is_cut ? most : text.size));
    table_cell(table, "%s%s", buf_cstr(&escaped), is_cut ? "..." : "");
    buf_deinit(&escaped);
}

void dead_cell_time(struct table *table, int64_t time_ms)
{
    enum { TO_THE_SECOND = 19 };
    char text[TIME_TEXT_SIZE];
    if (time_ms < 0) {
        table_cell(table, "-");
    } else {
        table_cell(table, "%.*sZ", TO_THE_SECOND, time_format(time_ms, text));
    }
}
