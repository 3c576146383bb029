#include "cli/deadletter.h"

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

void dead_set_text(json_t *object, const char *name, struct slice text)
{
    char encoding[64];
    if (!slice_is_null(text)) {
        snprintf(encoding, sizeof encoding, "%s_encoding", name);
        event_set_bytes(object, name, encoding, text);
    }
}

void dead_set_time(json_t *object, const char *name, int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    json_object_set_new(object, name,
                        time_ms < 0 ? json_null() : json_string(time_format(time_ms, text)));
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

json_t *dead_seen_to_json(const struct dead_seen *seen)
{
    static const char *const lanes[] = {NULL, "open", "closed"};
    static const char *const kinds[] = {"tidings", "kafka", "foreign"};
    const struct dead_letter *letter = seen->subject.letter;
    char id[DEAD_PLACE_SIZE], newest[DEAD_PLACE_SIZE], edited[DEAD_PLACE_SIZE];
    json_t *json = json_pack(
        "{s:s,s:s,s:I,s:I,s:s,s:s,s:s}", "id", dead_place_text(seen->its->first, id), "state",
        seen->subject.state, "failed_again", (json_int_t)seen->subject.failed_again, "letters",
        (json_int_t)seen->its->letters, "newest", dead_place_text(seen->its->newest, newest),
        "cause", letter->fingerprint, "kind", kinds[letter->kind]);
    dead_set_text(json, "group", letter->group);
    dead_set_text(json, "class", letter->error_class);
    dead_set_text(json, "message", letter->message);
    dead_set_text(json, "handler", letter->handler);
    json_object_set_new(json, "attempts", output_number_or_null(letter->attempts));
    dead_set_time(json, "first_failure", letter->first_failure_ms);
    dead_set_time(json, "last_failure", letter->last_failure_ms);
    dead_set_time(json, "published", letter->published_ms);
    dead_set_time(json, "died", letter->died_ms);
    json_object_set_new(json, "lane", output_json_text(lanes[letter->lane]));
    json_object_set_new(json, "lane_is_closed", json_boolean(seen->closes_lane));
    json_object_set_new(json, "edited",
                        output_json_text(seen->its->edit.partition >= 0
                                             ? dead_place_text(seen->its->edit, edited)
                                             : NULL));
    dead_set_text(json, "topic", letter->topic);
    json_object_set_new(json, "partition", output_number_or_null(letter->partition));
    json_object_set_new(json, "offset", output_number_or_null(letter->offset));
    event_set_bytes(json, "key", "key_encoding", letter->event->key);
    dead_set_text(json, "type", letter->type);
    dead_set_text(json, "source", letter->source);
    dead_set_text(json, "event_id", letter->id);
    return json;
}
