#include "client/lane/lane_dead.h"

#include "base/siphash.h"
#include "base/time_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
    enum { HEADERS = 16 };
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
    if (death->redrive > 0) {
        add_number(letter, arena, "tidings-dead-redrive", death->redrive);
    }
}

/* --- and back --- */

static const char *text_of(const struct event *letter, const char *name)
{
    const struct event_header *header = event_header_find(letter, name);
    return header != NULL && !slice_is_null(header->value) ? (const char *)header->value.data
                                                           : NULL;
}

static bool number_of(const struct event *letter, const char *name, int64_t most, int64_t *number)
{
    const char *text = text_of(letter, name);
    char *end;
    errno = 0;
    *number = text != NULL ? strtoll(text, &end, 10) : -1;
    return text != NULL && errno == 0 && isdigit((unsigned char)text[0]) && *end == '\0' &&
           *number <= most;
}

/* Where the headers begin that were added; count: they are not there. */
static size_t own_headers(const struct event *letter)
{
    for (size_t i = letter->header_count; i > 0; i--) {
        if (strcmp(letter->headers[i - 1].name, "__dlq.errors.topic") == 0) {
            return i - 1;
        }
    }
    return letter->header_count;
}

bool lane_dead_event(const struct event *letter, struct event *event, struct lane_dead_place *place)
{
    int64_t partition;
    const char *published = text_of(letter, "tidings-dead-published");
    const char *lane = text_of(letter, "tidings-dead-lane");
    size_t own = own_headers(letter);
    *event = *letter;
    *place = (struct lane_dead_place){.topic = text_of(letter, "__dlq.errors.topic"),
                                      .closes_lane = lane != NULL && strcmp(lane, "closed") == 0};
    if (own == letter->header_count || place->topic == NULL ||
        text_of(letter, "tidings-dead-version") == NULL ||
        !number_of(letter, "__dlq.errors.partition", INT32_MAX, &partition) ||
        !number_of(letter, "__dlq.errors.offset", INT64_MAX - 1, &place->offset)) {
        return false;
    }
    place->partition = (int32_t)partition;
    event->header_count = own;
    event->topic = place->topic;
    event->partition = place->partition;
    event->offset = place->offset;
    struct reason reason;
    if (published == NULL || time_parse(published, 0, &event->timestamp_ms, &reason) != ERR_NONE) {
        event->timestamp_ms = -1;
    }
    return true;
}
