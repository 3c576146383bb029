#include "bus/dead/dead_letter.h"

#include "base/time_text.h"
#include "client/lane/lane_dead.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct slice text_of(const struct event *event, const char *name)
{
    const struct event_header *header = event_header_find(event, name);
    return header != NULL ? header->value : (struct slice){0};
}

/* A number from 0 on; -1: there is none. */
static int64_t number_in(struct slice text)
{
    int64_t number = 0;
    if (text.size == 0 || text.size > 19) {
        return -1;
    }
    for (size_t i = 0; i < text.size; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || number > (INT64_MAX - digit) / 10) {
            return -1;
        }
        number = number * 10 + digit;
    }
    return number;
}

static int64_t number_of(const struct event *event, const char *name)
{
    return number_in(text_of(event, name));
}

/* A point of time that is written in full, else -1. */
static int64_t time_of(const struct event *event, const char *name)
{
    char copy[TIME_TEXT_SIZE];
    int64_t time_ms;
    struct slice text = text_of(event, name);
    if (text.size < 16 || text.size >= sizeof copy || slice_find(text, '\0') != NULL ||
        text.data[4] != '-' || text.data[10] != 'T') {
        return -1;
    }
    slice_copy(copy, text);
    copy[text.size] = '\0';
    return time_parse(copy, 0, &time_ms, NULL) == ERR_NONE ? time_ms : -1;
}

static bool place_in(struct slice text, struct dead_place *place)
{
    const uint8_t *colon = slice_find(text, ':');
    if (colon == NULL) {
        return false;
    }
    size_t before = (size_t)(colon - text.data);
    int64_t partition = number_in(slice_of(text.data, before));
    int64_t offset = number_in(slice_of(colon + 1, text.size - before - 1));
    if (partition < 0 || partition > INT32_MAX || offset < 0) {
        return false;
    }
    *place = (struct dead_place){(int32_t)partition, offset};
    return true;
}

bool dead_place_parse(const char *text, struct dead_place *place)
{
    return place_in(slice_str(text), place);
}

const char *dead_place_text(struct dead_place place, char text[DEAD_PLACE_SIZE])
{
    snprintf(text, DEAD_PLACE_SIZE, "%d:%" PRId64, (int)place.partition, place.offset);
    return text;
}

static bool is_topic_name(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t letter = text.data[i];
        if (!isalnum(letter) && letter != '.' && letter != '_' && letter != '-') {
            return false;
        }
    }
    return text.size > 0 && text.size <= 249;
}

static void read_source(struct dead_letter *letter)
{
    const struct event *event = letter->event;
    struct slice topic = text_of(event, "__dlq.errors.topic");
    int64_t partition = number_of(event, "__dlq.errors.partition");
    int64_t offset = number_of(event, "__dlq.errors.offset");
    if (is_topic_name(topic) && partition >= 0 && partition <= INT32_MAX && offset >= 0) {
        letter->topic = topic;
        letter->partition = (int32_t)partition;
        letter->offset = offset;
    }
}

static bool is_fingerprint(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t digit = text.data[i];
        if (!(digit >= '0' && digit <= '9') && !(digit >= 'a' && digit <= 'f')) {
            return false;
        }
    }
    return text.size == LANE_FINGERPRINT_SIZE - 1;
}

static void read_cause(struct dead_letter *letter, struct arena *arena)
{
    struct slice fingerprint = text_of(letter->event, "tidings-dead-fingerprint");
    if (is_fingerprint(fingerprint)) {
        slice_copy(letter->fingerprint, fingerprint);
        return;
    }
    const char *error_class =
        letter->error_class.size > 0 ? arena_cstr(arena, letter->error_class) : NULL;
    const char *message = letter->message.size > 0 ? arena_cstr(arena, letter->message) : NULL;
    lane_dead_fingerprint(error_class, message, letter->fingerprint);
}

static void read_cloud_event(struct dead_letter *letter, struct arena *arena)
{
    struct event binary = *letter->event;
    if (event_unwrap(&binary, arena, NULL) == ERR_NONE) {
        letter->type = text_of(&binary, "ce_type");
        letter->source = text_of(&binary, "ce_source");
        letter->id = text_of(&binary, "ce_id");
    }
}

void dead_letter_read(const struct event *record, struct arena *arena, struct dead_letter *letter)
{
    *letter = (struct dead_letter){
        .event = record,
        .place = {record->partition, record->offset},
        .died_ms = record->timestamp_ms,
        .partition = -1,
        .offset = -1,
        .group = text_of(record, "__dlq.errors.group"),
        .message = text_of(record, "__dlq.errors.message"),
        .handler = text_of(record, "tidings-dead-handler"),
        .error_class = text_of(record, "tidings-dead-error-class"),
        .attempts = number_of(record, "__dlq.errors.delivery.count"),
        .first_failure_ms = time_of(record, "tidings-dead-first-failure"),
        .last_failure_ms = time_of(record, "tidings-dead-last-failure"),
        .published_ms = time_of(record, "tidings-dead-published"),
        .edit_of = {-1, -1},
    };
    int64_t redrive = number_of(record, "tidings-dead-redrive");
    struct slice lane = text_of(record, "tidings-dead-lane");
    letter->redrive = redrive > 0 ? redrive : 0;
    letter->lane = slice_equal_str(lane, "closed") ? DEAD_LANE_CLOSED
                   : slice_equal_str(lane, "open") ? DEAD_LANE_OPEN
                                                   : DEAD_LANE_UNKNOWN;
    letter->kind = !slice_is_null(text_of(record, "tidings-dead-version")) ? DEAD_OURS
                   : !slice_is_null(text_of(record, "__dlq.errors.topic")) ? DEAD_KAFKA
                                                                           : DEAD_FOREIGN;
    if (!place_in(text_of(record, "tidings-dead-edit-of"), &letter->edit_of)) {
        letter->edit_of = (struct dead_place){-1, -1};
    }
    read_source(letter);
    read_cause(letter, arena);
    read_cloud_event(letter, arena);
}

bool dead_letter_adds(const char *header)
{
    static const char kafka[] = "__dlq.errors.", ours[] = "tidings-dead-";
    return strncmp(header, kafka, sizeof kafka - 1) == 0 ||
           strncmp(header, ours, sizeof ours - 1) == 0;
}

/* --- fields --- */

enum field {
    FIELD_STATE,
    FIELD_CAUSE,
    FIELD_CLASS,
    FIELD_MESSAGE,
    FIELD_TYPE,
    FIELD_SOURCE,
    FIELD_ID,
    FIELD_KEY,
    FIELD_HANDLER,
    FIELD_ATTEMPTS,
    FIELD_LANE,
    FIELD_TOPIC,
    FIELD_PARTITION,
    FIELD_OFFSET,
    FIELD_FIRST,
    FIELD_LAST,
    FIELD_PUBLISHED,
    FIELD_DIED,
    FIELD_FAILED_AGAIN,
    FIELD_KIND
};

const struct where_field *dead_fields(void)
{
    static const struct where_field fields[] = {
        {"state", WHERE_TEXT},
        {"cause", WHERE_TEXT},
        {"class", WHERE_TEXT},
        {"message", WHERE_TEXT},
        {"type", WHERE_TEXT},
        {"source", WHERE_TEXT},
        {"id", WHERE_TEXT},
        {"key", WHERE_TEXT},
        {"handler", WHERE_TEXT},
        {"attempts", WHERE_NUMBER},
        {"lane", WHERE_TEXT},
        {"topic", WHERE_TEXT},
        {"partition", WHERE_NUMBER},
        {"offset", WHERE_NUMBER},
        {"first", WHERE_TIME},
        {"last", WHERE_TIME},
        {"published", WHERE_TIME},
        {"died", WHERE_TIME},
        {"failed_again", WHERE_NUMBER},
        {"kind", WHERE_TEXT},
        {NULL, WHERE_TEXT},
    };
    return fields;
}

static struct where_value of_text(struct slice text)
{
    return (struct where_value){.is_there = !slice_is_null(text), .text = text};
}

static struct where_value of_number(int64_t number)
{
    return (struct where_value){.is_there = number >= 0, .number = number};
}

static struct where_value text_field(const struct dead_subject *subject, enum field field)
{
    static const char *const lanes[] = {NULL, "open", "closed"};
    static const char *const kinds[] = {"tidings", "kafka", "foreign"};
    const struct dead_letter *letter = subject->letter;
    switch (field) {
    case FIELD_STATE:
        return of_text(slice_str(subject->state));
    case FIELD_CAUSE:
        return of_text(slice_str(letter->fingerprint));
    case FIELD_CLASS:
        return of_text(letter->error_class);
    case FIELD_MESSAGE:
        return of_text(letter->message);
    case FIELD_TYPE:
        return of_text(letter->type);
    case FIELD_SOURCE:
        return of_text(letter->source);
    case FIELD_ID:
        return of_text(letter->id);
    case FIELD_KEY:
        return of_text(letter->event->key);
    case FIELD_HANDLER:
        return of_text(letter->handler);
    case FIELD_LANE:
        return of_text(slice_str(lanes[letter->lane]));
    case FIELD_TOPIC:
        return of_text(letter->topic);
    case FIELD_KIND:
        return of_text(slice_str(kinds[letter->kind]));
    default:
        return (struct where_value){0};
    }
}

struct where_value dead_field_get(const void *context, size_t field, const char *header)
{
    const struct dead_subject *subject = context;
    const struct dead_letter *letter = subject->letter;
    if (header != NULL) {
        const struct event_header *found = event_header_find(letter->event, header);
        return found == NULL ? (struct where_value){0}
                             : (struct where_value){.is_there = true, .text = found->value};
    }
    switch ((enum field)field) {
    case FIELD_ATTEMPTS:
        return of_number(letter->attempts);
    case FIELD_PARTITION:
        return of_number(letter->partition);
    case FIELD_OFFSET:
        return of_number(letter->offset);
    case FIELD_FIRST:
        return of_number(letter->first_failure_ms);
    case FIELD_LAST:
        return of_number(letter->last_failure_ms);
    case FIELD_PUBLISHED:
        return of_number(letter->published_ms);
    case FIELD_DIED:
        return of_number(letter->died_ms);
    case FIELD_FAILED_AGAIN:
        return of_number(subject->failed_again);
    default:
        return text_field(subject, (enum field)field);
    }
}
