#include "client/lane/lane_record.h"

#include "base/siphash.h"
#include "base/varint.h"

#include <ctype.h>
#include <stdio.h>

enum { VERSION = 1, IS_PARKED = 1, IS_HELD = 2 };

/* --- writing --- */

static void append_bytes(struct buf *to, struct slice bytes)
{
    buf_append_varlong(to, slice_is_null(bytes) ? -1 : (int64_t)bytes.size);
    if (bytes.size > 0) {
        buf_append_slice(to, bytes);
    }
}

void lane_record_key_write(const struct lane_record_key *key, struct buf *to)
{
    buf_append_u8(to, VERSION);
    buf_append_be64(to, key->id.writer);
    buf_append_varlong(to, key->id.serial);
    append_bytes(to, key->topic);
    buf_append_varlong(to, key->partition);
}

static void append_event(struct buf *to, const struct event *event)
{
    buf_append_varlong(to, event->timestamp_ms);
    append_bytes(to, event->key);
    append_bytes(to, event->value);
    buf_append_varlong(to, (int64_t)event->header_count);
    for (size_t i = 0; i < event->header_count; i++) {
        append_bytes(to, slice_str(event->headers[i].name));
        append_bytes(to, event->headers[i].value);
    }
}

static void append_name(struct buf *to, struct lane_name name)
{
    append_bytes(to, name.key);
    buf_append_varlong(to, name.offset);
}

static void append_letter(struct buf *to, struct lane_letter letter)
{
    buf_append_varlong(to, letter.partition);
    buf_append_varlong(to, letter.offset);
}

static void append_word(struct buf *to, const struct lane_word *word)
{
    buf_append_u8(to, (uint8_t)word->verb);
    append_name(to, word->name);
    buf_append_varlong(to, word->head);
    append_letter(to, word->letter);
    buf_append_varlong(to, word->number);
    append_bytes(to, word->who);
    append_bytes(to, word->why);
    buf_append_varlong(to, word->time_ms);
}

static void append_answer(struct buf *to, const struct lane_answer *answer)
{
    buf_append_be64(to, answer->word.writer);
    buf_append_varlong(to, answer->word.serial);
    buf_append_u8(to, (uint8_t)answer->outcome);
    append_letter(to, answer->letter);
    append_bytes(to, answer->text);
    buf_append_varlong(to, answer->time_ms);
}

static void append_reason(struct buf *to, const struct lane_reason *reason)
{
    buf_append_u8(to, (uint8_t)reason->kind);
    buf_append_varlong(to, reason->offset);
    append_bytes(to, reason->what);
    append_bytes(to, reason->text);
    buf_append_varlong(to, reason->time_ms);
}

void lane_record_write(const struct lane_record *record, struct buf *to)
{
    buf_append_u8(to, VERSION);
    buf_append_u8(to, (uint8_t)record->kind);
    buf_append_varlong(to, record->fence);
    switch (record->kind) {
    case LANE_RECORD_MARK:
        break;
    case LANE_RECORD_ASIDE:
        buf_append_varlong(to, record->offset);
        append_event(to, &record->event);
        break;
    case LANE_RECORD_NOTE:
        append_name(to, record->name);
        buf_append_varlong(to, record->note.offset);
        buf_append_varlong(to, record->note.attempts);
        buf_append_varlong(to, record->note.first_failed_ms);
        buf_append_u8(to, (uint8_t)((record->note.is_parked ? IS_PARKED : 0) |
                                    (record->note.is_held ? IS_HELD : 0)));
        break;
    case LANE_RECORD_CLOSE:
        append_name(to, record->name);
        break;
    case LANE_RECORD_FORGET:
        buf_append_varlong(to, record->offset);
        break;
    case LANE_RECORD_DONE:
        buf_append_varlong(to, record->offset);
        append_bytes(to, record->event.key);
        break;
    case LANE_RECORD_REDRIVEN:
        buf_append_varlong(to, record->offset);
        buf_append_u8(to, (uint8_t)record->redriven);
        buf_append_varlong(to, record->number);
        break;
    case LANE_RECORD_WORD:
        append_word(to, &record->word);
        break;
    case LANE_RECORD_ANSWER:
        append_answer(to, &record->answer);
        break;
    case LANE_RECORD_REASON:
        append_name(to, record->name);
        append_reason(to, &record->reason);
        break;
    }
}

/* --- reading: `bytes` is what is left --- */

static bool take_u8(struct slice *bytes, uint8_t *value)
{
    if (bytes->size == 0) {
        return false;
    }
    *value = bytes->data[0];
    *bytes = slice_of(bytes->data + 1, bytes->size - 1);
    return true;
}

static bool take_number(struct slice *bytes, int64_t least, int64_t most, int64_t *value)
{
    size_t position = 0;
    if (!varlong_read(*bytes, &position, value) || *value < least || *value > most) {
        return false;
    }
    *bytes = slice_of(bytes->data + position, bytes->size - position);
    return true;
}

/* Borrows from the bytes. */
static bool take_bytes(struct slice *bytes, struct slice *value)
{
    int64_t size;
    if (!take_number(bytes, -1, INT64_MAX, &size) || (size > 0 && (uint64_t)size > bytes->size)) {
        return false;
    }
    *value = size < 0 ? (struct slice){0} : slice_of(bytes->data, (size_t)size);
    if (size > 0) {
        *bytes = slice_of(bytes->data + size, bytes->size - (size_t)size);
    }
    return true;
}

/* Copies, with a NUL behind. */
static bool take_copy(struct slice *bytes, struct arena *arena, struct slice *value)
{
    if (!take_bytes(bytes, value)) {
        return false;
    }
    if (!slice_is_null(*value)) {
        const char *copy = arena_cstr(arena, *value);
        *value = slice_of(copy, value->size);
        return copy != NULL;
    }
    return true;
}

static bool take_headers(struct slice *bytes, struct arena *arena, struct event *event)
{
    int64_t count;
    /* each takes two bytes at least */
    if (!take_number(bytes, 0, (int64_t)(bytes->size / 2), &count)) {
        return false;
    }
    event->header_count = (size_t)count;
    event->headers = arena_alloc_array(arena, event->header_count + 1, sizeof *event->headers);
    for (size_t i = 0; event->headers != NULL && i < event->header_count; i++) {
        struct slice name;
        if (!take_copy(bytes, arena, &name) || slice_is_null(name) ||
            slice_find(name, '\0') != NULL || !take_copy(bytes, arena, &event->headers[i].value)) {
            return false;
        }
        event->headers[i].name = (const char *)name.data;
    }
    return event->headers != NULL;
}

static bool take_event(struct slice *bytes, struct arena *arena, struct lane_record *record)
{
    struct event *event = &record->event;
    *event = event_blank();
    event->offset = record->offset;
    if (!take_number(bytes, -1, INT64_MAX, &event->timestamp_ms)) {
        return false;
    }
    event->timestamp_ms = event_time(event->timestamp_ms);
    return take_copy(bytes, arena, &event->key) && take_copy(bytes, arena, &event->value) &&
           take_headers(bytes, arena, event);
}

static bool take_name(struct slice *bytes, struct arena *arena, struct lane_name *name)
{
    return take_copy(bytes, arena, &name->key) && take_number(bytes, -1, INT64_MAX, &name->offset);
}

static bool take_note(struct slice *bytes, struct lane_note *note)
{
    int64_t attempts;
    uint8_t flags;
    if (!take_number(bytes, -1, INT64_MAX, &note->offset) ||
        !take_number(bytes, 0, INT32_MAX, &attempts) ||
        !take_number(bytes, 0, INT64_MAX, &note->first_failed_ms) || !take_u8(bytes, &flags) ||
        flags > (IS_PARKED | IS_HELD)) {
        return false;
    }
    note->attempts = (int)attempts;
    note->is_parked = (flags & IS_PARKED) != 0;
    note->is_held = (flags & IS_HELD) != 0;
    return true;
}

static bool take_offset(struct slice *bytes, struct lane_record *record)
{
    return take_number(bytes, 0, INT64_MAX - 1, &record->offset);
}

/* One byte of an enum whose values go up without a gap. */
static bool take_choice(struct slice *bytes, uint8_t least, uint8_t most, uint8_t *choice)
{
    return take_u8(bytes, choice) && *choice >= least && *choice <= most;
}

static bool take_redriven(struct slice *bytes, struct lane_record *record)
{
    uint8_t how;
    if (!take_offset(bytes, record) || !take_choice(bytes, LANE_DEAD_AGAIN, LANE_LEFT_DEAD, &how) ||
        !take_number(bytes, 0, INT64_MAX, &record->number)) {
        return false;
    }
    record->redriven = (enum lane_redriven)how;
    return true;
}

static bool take_letter(struct slice *bytes, struct lane_letter *letter)
{
    int64_t partition;
    if (!take_number(bytes, -1, INT32_MAX, &partition) ||
        !take_number(bytes, -1, INT64_MAX - 1, &letter->offset)) {
        return false;
    }
    letter->partition = (int32_t)partition;
    return true;
}

static bool take_word(struct slice *bytes, struct arena *arena, struct lane_word *word)
{
    uint8_t verb;
    if (!take_choice(bytes, LANE_SAY_RETRY, LANE_SAY_REDRIVE, &verb) ||
        !take_name(bytes, arena, &word->name) ||
        !take_number(bytes, -1, INT64_MAX - 1, &word->head) || !take_letter(bytes, &word->letter) ||
        !take_number(bytes, 0, INT64_MAX, &word->number) || !take_copy(bytes, arena, &word->who) ||
        !take_copy(bytes, arena, &word->why) || !take_number(bytes, 0, INT64_MAX, &word->time_ms)) {
        return false;
    }
    word->verb = (enum lane_verb)verb;
    bool is_redrive = word->verb == LANE_SAY_REDRIVE;
    return (word->verb != LANE_SAY_SKIP || word->head >= 0) &&
           (!is_redrive || (word->head >= 0 && word->number > 0 && word->letter.partition >= 0 &&
                            word->letter.offset >= 0));
}

static bool take_id(struct slice *bytes, struct lane_record_id *id)
{
    if (bytes->size < sizeof(uint64_t)) {
        return false;
    }
    id->writer = load_be64(bytes->data);
    *bytes = slice_of(bytes->data + sizeof(uint64_t), bytes->size - sizeof(uint64_t));
    return take_number(bytes, 1, INT64_MAX, &id->serial);
}

static bool take_answer(struct slice *bytes, struct arena *arena, struct lane_answer *answer)
{
    uint8_t outcome;
    if (!take_id(bytes, &answer->word) ||
        !take_choice(bytes, LANE_CARRIED_OUT, LANE_FAILED_AGAIN, &outcome) ||
        !take_letter(bytes, &answer->letter) || !take_copy(bytes, arena, &answer->text) ||
        !take_number(bytes, 0, INT64_MAX, &answer->time_ms)) {
        return false;
    }
    answer->outcome = (enum lane_outcome)outcome;
    return true;
}

static bool take_reason(struct slice *bytes, struct arena *arena, struct lane_reason *reason)
{
    uint8_t kind;
    if (!take_choice(bytes, LANE_REASON_FAILED, LANE_REASON_HELD, &kind) ||
        !take_number(bytes, -1, INT64_MAX - 1, &reason->offset) ||
        !take_copy(bytes, arena, &reason->what) || !take_copy(bytes, arena, &reason->text) ||
        !take_number(bytes, 0, INT64_MAX, &reason->time_ms)) {
        return false;
    }
    reason->kind = (enum lane_reason_kind)kind;
    return true;
}

static bool take_body(struct slice *bytes, struct arena *arena, struct lane_record *record)
{
    switch (record->kind) {
    case LANE_RECORD_MARK:
        return true;
    case LANE_RECORD_ASIDE:
        return take_offset(bytes, record) && take_event(bytes, arena, record);
    case LANE_RECORD_NOTE:
        return take_name(bytes, arena, &record->name) && take_note(bytes, &record->note);
    case LANE_RECORD_CLOSE:
        return take_name(bytes, arena, &record->name);
    case LANE_RECORD_FORGET:
        return take_offset(bytes, record);
    case LANE_RECORD_DONE: /* the first ones had no key */
        return take_offset(bytes, record) &&
               (bytes->size == 0 || take_copy(bytes, arena, &record->event.key));
    case LANE_RECORD_REDRIVEN:
        return take_redriven(bytes, record);
    case LANE_RECORD_WORD:
        return take_word(bytes, arena, &record->word);
    case LANE_RECORD_ANSWER:
        return take_answer(bytes, arena, &record->answer);
    case LANE_RECORD_REASON:
        return take_name(bytes, arena, &record->name) && take_reason(bytes, arena, &record->reason);
    }
    return false;
}

enum err lane_record_read(struct slice bytes, struct arena *arena, struct lane_record *record)
{
    uint8_t version, kind;
    *record = (struct lane_record){0};
    if (!take_u8(&bytes, &version) || !take_u8(&bytes, &kind)) {
        return ERR_CORRUPT;
    }
    if (version != VERSION || kind < LANE_RECORD_MARK || kind > LANE_RECORD_REASON) {
        return ERR_UNSUPPORTED;
    }
    record->kind = (enum lane_record_kind)kind;
    bool has_fence = record->kind != LANE_RECORD_WORD;
    bool is_whole = take_number(&bytes, has_fence, has_fence ? INT64_MAX - 1 : 0, &record->fence) &&
                    take_body(&bytes, arena, record) && bytes.size == 0;
    return is_whole ? ERR_NONE : ERR_CORRUPT;
}

bool lane_record_key_read(struct slice bytes, struct lane_record_key *key)
{
    uint8_t version;
    int64_t partition;
    if (!take_u8(&bytes, &version) || version != VERSION || !take_id(&bytes, &key->id) ||
        !take_bytes(&bytes, &key->topic) || slice_is_null(key->topic) ||
        !take_number(&bytes, 0, INT32_MAX, &partition)) {
        return false;
    }
    key->partition = (int32_t)partition;
    return bytes.size == 0;
}

/* --- names --- */

static const char escape[] = "-x-";

static bool is_plain(char letter)
{
    return isalnum((unsigned char)letter) || letter == '.' || letter == '_' || letter == '-';
}

static bool fits(const char *prefix, const char *group)
{
    bool is_fine = group[0] != '\0' && strncmp(group, escape, sizeof escape - 1) != 0 &&
                   strlen(prefix) + strlen(group) < LANE_TOPIC_SIZE;
    for (const char *at = group; is_fine && *at != '\0'; at++) {
        is_fine = is_plain(*at);
    }
    return is_fine;
}

const char *lane_topic_name(const char *prefix, const char *group, char to[LANE_TOPIC_SIZE])
{
    enum { SHOWN = 200 };
    static const struct siphash_key key = {0};
    if (fits(prefix, group)) {
        memcpy(to, prefix, strlen(prefix));
        memcpy(to + strlen(prefix), group, strlen(group) + 1);
        return to;
    }
    char shown[SHOWN + 1];
    size_t size = 0;
    for (; size < SHOWN && group[size] != '\0'; size++) {
        shown[size] = (char)(is_plain(group[size]) ? group[size] : '-');
    }
    shown[size] = '\0';
    struct siphash128 hash = siphash128(&key, group, strlen(group));
    snprintf(to, LANE_TOPIC_SIZE, "%s%s%016llx%016llx-%s", prefix, escape,
             (unsigned long long)hash.high, (unsigned long long)hash.low, shown);
    return to;
}

const char *lane_verb_name(enum lane_verb verb)
{
    static const char *const names[] = {"", "retry", "skip", "hold", "release", "redrive"};
    return names[verb];
}

const char *lane_outcome_name(enum lane_outcome outcome)
{
    static const char *const names[] = {"", "carried out", "nothing to do", "refused",
                                        "failed again"};
    return names[outcome];
}
