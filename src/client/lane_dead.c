#include "client/lane_dead.h"

#include "base/siphash.h"
#include "base/time_text.h"

#include <ctype.h>
#include <stdio.h>

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* Ids, counts, times and addresses become '#', blanks one blank. */
static void append_normalised(struct buf *to, const char *text)
{
    while (*text != '\0') {
        size_t size = 0;
        bool has_digit = false;
        while (isalnum((unsigned char)text[size])) {
            has_digit |= isdigit((unsigned char)text[size]) != 0;
            size++;
        }
        if (size > 0) {
            buf_append(to, has_digit ? "#" : text, has_digit ? 1 : size);
            text += size;
            continue;
        }
        bool is_blank = isspace((unsigned char)*text) != 0;
        if (!is_blank || (to->size > 0 && to->data[to->size - 1] != ' ')) {
            buf_append_u8(to, is_blank ? ' ' : (uint8_t)*text);
        }
        text++;
    }
}

const char *lane_dead_fingerprint(const char *error_class, const char *message,
                                  char to[LANE_FINGERPRINT_SIZE])
{
    static const struct siphash_key key = {0};
    struct buf text = {0};
    buf_append_str(&text, or_empty(error_class));
    buf_append_u8(&text, '\0');
    append_normalised(&text, or_empty(message));
    struct siphash128 hash = siphash128(&key, text.data, text.size);
    buf_deinit(&text);
    snprintf(to, LANE_FINGERPRINT_SIZE, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
    return to;
}

static void add(struct event *letter, struct arena *arena, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        event_header_add(letter, name, slice_str(arena_cstr(arena, slice_str(text))));
    }
}

static void add_number(struct event *letter, struct arena *arena, const char *name, int64_t number)
{
    add(letter, arena, name, arena_sprintf(arena, "%lld", (long long)number));
}

static void add_time(struct event *letter, struct arena *arena, const char *name, int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    if (time_ms > 0) {
        add(letter, arena, name, time_format(time_ms, text));
    }
}

void lane_dead_letter(const struct event *event, const struct lane_death *death,
                      const char *dlq_topic, struct arena *arena, struct event *letter)
{
    enum { HEADERS = 15 };
    char fingerprint[LANE_FINGERPRINT_SIZE];
    *letter = *event;
    letter->topic = dlq_topic;
    letter->partition = -1;
    letter->offset = -1;
    letter->timestamp_ms = -1;
    event_header_room(letter, HEADERS, arena);
    add(letter, arena, "__dlq.errors.topic", event->topic);
    add_number(letter, arena, "__dlq.errors.partition", event->partition);
    add_number(letter, arena, "__dlq.errors.offset", event->offset);
    add(letter, arena, "__dlq.errors.group", death->group);
    if (death->attempts > 0) {
        add_number(letter, arena, "__dlq.errors.delivery.count", death->attempts);
        add_number(letter, arena, "tidings-dead-attempts", death->attempts);
    }
    add(letter, arena, "__dlq.errors.message", death->message);
    add(letter, arena, "tidings-dead-version", "1");
    add_time(letter, arena, "tidings-dead-first-failure", death->first_failure_ms);
    add_time(letter, arena, "tidings-dead-last-failure", death->last_failure_ms);
    add_time(letter, arena, "tidings-dead-published", event->timestamp_ms);
    add(letter, arena, "tidings-dead-handler", death->handler);
    add(letter, arena, "tidings-dead-error-class", death->error_class);
    add(letter, arena, "tidings-dead-fingerprint",
        lane_dead_fingerprint(death->error_class, death->message, fingerprint));
    add(letter, arena, "tidings-dead-lane", death->closes_lane ? "closed" : "open");
}
