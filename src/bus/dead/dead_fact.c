#include "bus/dead/dead_fact.h"

#include "base/random.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };

static const char *const kinds[] = {"redrive", "discard", "note", "plan", "task", "cancel"};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

const char *dead_outcome_name(enum dead_outcome outcome)
{
    static const char *const names[] = {"asked", "done", "failed", "refused", "republished"};
    return names[outcome];
}

static enum dead_outcome outcome_of(const char *name)
{
    enum dead_outcome outcome = DEAD_REPUBLISHED;
    while (outcome > DEAD_ASKED &&
           (name == NULL || strcmp(dead_outcome_name(outcome), name) != 0)) {
        outcome--;
    }
    return outcome;
}

struct dead_event dead_event_of(const struct dead_letter *letter, const char *dlq_topic)
{
    if (!slice_is_null(letter->topic)) {
        return (struct dead_event){letter->topic, letter->partition, letter->offset};
    }
    return (struct dead_event){slice_str(dlq_topic), letter->place.partition, letter->place.offset};
}

const char *dead_id_draw(char id[DEAD_ID_SIZE])
{
    uint64_t drawn;
    random_secure(&drawn, sizeof drawn);
    snprintf(id, DEAD_ID_SIZE, "%016" PRIx64, drawn);
    return id;
}

/* --- writing --- */

static void write_event(struct buf *key, const struct dead_event *event)
{
    buf_printf(key, " %.*s %d %" PRId64, SLICE_ARGS(event->topic), (int)event->partition,
               event->offset);
}

static void write_key(const struct dead_fact *fact, struct buf *key)
{
    buf_append_str(key, kinds[fact->kind]);
    switch (fact->kind) {
    case DEAD_FACT_REDRIVE:
        write_event(key, &fact->event);
        buf_printf(key, " %" PRId64, fact->number);
        break;
    case DEAD_FACT_DISCARD:
        write_event(key, &fact->event);
        break;
    case DEAD_FACT_NOTE:
        if (slice_is_null(fact->event.topic)) {
            buf_printf(key, " cause %s %s", fact->cause, fact->id);
        } else {
            write_event(key, &fact->event);
            buf_printf(key, " %s", fact->id);
        }
        break;
    case DEAD_FACT_PLAN:
        buf_printf(key, " %s %" PRId64, fact->id, fact->number);
        break;
    case DEAD_FACT_TASK:
    case DEAD_FACT_CANCEL:
        buf_printf(key, " %s", fact->id);
        break;
    }
}

static void set_text(json_t *object, const char *name, const char *text)
{
    if (text != NULL) {
        json_t *value = json_string(text);
        json_object_set_new(object, name, value != NULL ? value : json_string("(no UTF-8)"));
    }
}

static void set_number(json_t *object, const char *name, int64_t number)
{
    json_object_set_new(object, name, json_integer(number));
}

static void set_place(json_t *object, const char *name, struct dead_place place)
{
    char text[DEAD_PLACE_SIZE];
    if (place.partition >= 0) {
        set_text(object, name, dead_place_text(place, text));
    }
}

/* topic, partition, offset, number, place */
static json_t *choices_to_json(const struct dead_fact *fact)
{
    json_t *list = json_array();
    for (size_t i = 0; i < fact->choice_count; i++) {
        const struct dead_choice *choice = &fact->choices[i];
        char place[DEAD_PLACE_SIZE];
        json_array_append_new(
            list, json_pack("[s%,i,I,I,s]", (const char *)choice->event.topic.data,
                            choice->event.topic.size, (int)choice->event.partition,
                            (json_int_t)choice->event.offset, (json_int_t)choice->number,
                            dead_place_text(choice->letter, place)));
    }
    return list;
}

static void set_task(json_t *object, const struct dead_fact *fact)
{
    set_text(object, "plan", fact->plan);
    set_text(object, "state", fact->state);
    set_number(object, "total", fact->total);
    set_number(object, "sent", fact->sent);
    set_number(object, "done", fact->done);
    set_number(object, "failed", fact->failed);
    set_number(object, "refused", fact->refused);
    set_number(object, "rate", fact->rate);
    set_number(object, "changed", fact->changed_ms);
}

static json_t *value_to_json(const struct dead_fact *fact)
{
    json_t *object = json_object();
    set_number(object, "version", VERSION);
    set_number(object, "time", fact->time_ms);
    set_text(object, "who", fact->who);
    switch (fact->kind) {
    case DEAD_FACT_REDRIVE:
        set_text(object, "task", fact->id);
        set_place(object, "letter", fact->letter);
        set_text(object, "outcome", dead_outcome_name(fact->outcome));
        set_text(object, "text", fact->text);
        set_number(object, "answered", fact->answered_ms);
        break;
    case DEAD_FACT_DISCARD:
        set_text(object, "why", fact->text);
        set_text(object, "lane", fact->lane);
        break;
    case DEAD_FACT_NOTE:
        set_text(object, "text", fact->text);
        break;
    case DEAD_FACT_PLAN:
        set_number(object, "parts", fact->part_count);
        json_object_set_new(object, "letters", choices_to_json(fact));
        break;
    case DEAD_FACT_TASK:
        set_task(object, fact);
        break;
    case DEAD_FACT_CANCEL:
        break;
    }
    return object;
}

void dead_fact_write(const struct dead_fact *fact, struct buf *key, struct buf *value)
{
    write_key(fact, key);
    if (!fact->is_erased) {
        json_t *object = value_to_json(fact);
        char *text = json_dumps(object, JSON_COMPACT);
        buf_append_str(value, text != NULL ? text : "{}");
        free(text);
        json_decref(object);
    }
}

/* --- reading --- */

/* The next word of the key, with a NUL behind it; NULL: there is none. */
static char *take_word(struct slice *key, struct arena *arena)
{
    size_t size = 0;
    while (size < key->size && key->data[size] != ' ') {
        if (key->data[size] == '\0') {
            return NULL;
        }
        size++;
    }
    if (size == 0) {
        return NULL;
    }
    char *word = arena_cstr(arena, slice_of(key->data, size));
    size_t taken = size < key->size ? size + 1 : size;
    *key = slice_of(key->data + taken, key->size - taken);
    return word;
}

static bool take_number(struct slice *key, struct arena *arena, int64_t most, int64_t *number)
{
    char *end;
    const char *word = take_word(key, arena);
    if (word == NULL || strlen(word) > 19 || strspn(word, "0123456789") != strlen(word)) {
        return false;
    }
    *number = strtoll(word, &end, 10);
    return *number <= most;
}

static bool take_id(struct slice *key, struct arena *arena, char id[DEAD_ID_SIZE])
{
    const char *word = take_word(key, arena);
    if (word == NULL || strlen(word) >= DEAD_ID_SIZE) {
        return false;
    }
    strcpy(id, word);
    return true;
}

static bool take_event_behind(const char *topic, struct slice *key, struct arena *arena,
                              struct dead_event *event)
{
    int64_t partition;
    if (topic == NULL || strlen(topic) > 249 || !take_number(key, arena, INT32_MAX, &partition) ||
        !take_number(key, arena, INT64_MAX - 1, &event->offset)) {
        return false;
    }
    event->topic = slice_str(topic);
    event->partition = (int32_t)partition;
    return true;
}

static bool take_note(struct slice *key, struct arena *arena, struct dead_fact *fact)
{
    const char *topic = take_word(key, arena);
    struct slice rest = *key;
    if (topic != NULL && strcmp(topic, "cause") == 0) {
        const char *cause = take_word(&rest, arena);
        if (cause != NULL && strlen(cause) == sizeof fact->cause - 1 &&
            take_id(&rest, arena, fact->id)) {
            *key = rest;
            strcpy(fact->cause, cause);
            return true;
        }
    }
    return take_event_behind(topic, key, arena, &fact->event) && take_id(key, arena, fact->id);
}

static bool take_key(struct slice key, struct arena *arena, struct dead_fact *fact)
{
    const char *kind = take_word(&key, arena);
    size_t index = 0;
    while (index < KINDS && (kind == NULL || strcmp(kinds[index], kind) != 0)) {
        index++;
    }
    if (index == KINDS) {
        return false;
    }
    bool is_good = false;
    fact->kind = (enum dead_fact_kind)index;
    switch (fact->kind) {
    case DEAD_FACT_REDRIVE:
        is_good = take_event_behind(take_word(&key, arena), &key, arena, &fact->event) &&
                  take_number(&key, arena, INT64_MAX - 1, &fact->number) && fact->number > 0;
        break;
    case DEAD_FACT_DISCARD:
        is_good = take_event_behind(take_word(&key, arena), &key, arena, &fact->event);
        break;
    case DEAD_FACT_NOTE:
        is_good = take_note(&key, arena, fact);
        break;
    case DEAD_FACT_PLAN:
        is_good =
            take_id(&key, arena, fact->id) && take_number(&key, arena, INT32_MAX, &fact->number);
        break;
    case DEAD_FACT_TASK:
    case DEAD_FACT_CANCEL:
        is_good = take_id(&key, arena, fact->id);
        break;
    }
    return is_good && key.size == 0;
}

static const char *text_in(const json_t *object, const char *name, struct arena *arena)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? arena_cstr(arena, slice_str(text)) : NULL;
}

/* From 0 on; what is none is 0. */
static int64_t number_in(const json_t *object, const char *name)
{
    int64_t number = (int64_t)json_integer_value(json_object_get(object, name));
    return number > 0 ? number : 0;
}

static struct dead_place place_in(const json_t *value)
{
    struct dead_place place = {-1, -1};
    const char *text = json_string_value(value);
    if (text != NULL && !dead_place_parse(text, &place)) {
        place = (struct dead_place){-1, -1};
    }
    return place;
}

static bool read_choice(const json_t *row, struct arena *arena, struct dead_choice *choice)
{
    const char *topic = json_string_value(json_array_get(row, 0));
    json_int_t partition = json_integer_value(json_array_get(row, 1));
    choice->event.offset = (int64_t)json_integer_value(json_array_get(row, 2));
    choice->number = (int64_t)json_integer_value(json_array_get(row, 3));
    choice->letter = place_in(json_array_get(row, 4));
    if (topic == NULL || topic[0] == '\0' || strlen(topic) > 249 || partition < 0 ||
        partition > INT32_MAX || choice->event.offset < 0 || choice->number < 1 ||
        choice->letter.partition < 0) {
        return false;
    }
    choice->event.topic = slice_str(arena_cstr(arena, slice_str(topic)));
    choice->event.partition = (int32_t)partition;
    return true;
}

static bool read_plan(const json_t *object, struct arena *arena, struct dead_fact *fact)
{
    const json_t *list = json_object_get(object, "letters");
    size_t count = json_array_size(list);
    struct dead_choice *choices = arena_alloc_array(arena, count + 1, sizeof *choices);
    fact->part_count = number_in(object, "parts");
    fact->choices = choices;
    fact->choice_count = count;
    for (size_t i = 0; i < count; i++) {
        if (!read_choice(json_array_get(list, i), arena, &choices[i])) {
            return false;
        }
    }
    return fact->part_count > fact->number;
}

static bool read_id(const json_t *object, const char *name, char id[DEAD_ID_SIZE])
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text == NULL || strlen(text) >= DEAD_ID_SIZE) {
        return false;
    }
    strcpy(id, text);
    return true;
}

static bool read_task(const json_t *object, struct arena *arena, struct dead_fact *fact)
{
    fact->state = text_in(object, "state", arena);
    fact->total = number_in(object, "total");
    fact->sent = number_in(object, "sent");
    fact->done = number_in(object, "done");
    fact->failed = number_in(object, "failed");
    fact->refused = number_in(object, "refused");
    fact->rate = number_in(object, "rate");
    fact->changed_ms = number_in(object, "changed");
    return fact->state != NULL && read_id(object, "plan", fact->plan);
}

static bool read_value(const json_t *object, struct arena *arena, struct dead_fact *fact)
{
    if (json_integer_value(json_object_get(object, "version")) != VERSION) {
        return false;
    }
    fact->time_ms = number_in(object, "time");
    fact->who = text_in(object, "who", arena);
    switch (fact->kind) {
    case DEAD_FACT_REDRIVE:
        fact->letter = place_in(json_object_get(object, "letter"));
        fact->outcome = outcome_of(json_string_value(json_object_get(object, "outcome")));
        fact->text = text_in(object, "text", arena);
        fact->answered_ms = number_in(object, "answered");
        return read_id(object, "task", fact->id);
    case DEAD_FACT_DISCARD:
        fact->text = text_in(object, "why", arena);
        fact->lane = text_in(object, "lane", arena);
        return true;
    case DEAD_FACT_NOTE:
        fact->text = text_in(object, "text", arena);
        return fact->text != NULL;
    case DEAD_FACT_PLAN:
        return read_plan(object, arena, fact);
    case DEAD_FACT_TASK:
        return read_task(object, arena, fact);
    case DEAD_FACT_CANCEL:
        return true;
    }
    return false;
}

bool dead_fact_read(const struct event *record, struct arena *arena, struct dead_fact *fact)
{
    *fact = (struct dead_fact){.letter = {-1, -1}};
    if (slice_is_null(record->key) || !take_key(record->key, arena, fact)) {
        return false;
    }
    fact->is_erased = slice_is_null(record->value);
    if (fact->is_erased) {
        return true;
    }
    json_t *object = json_loadb((const char *)record->value.data, record->value.size,
                                JSON_REJECT_DUPLICATES, NULL);
    bool is_good = json_is_object(object) && read_value(object, arena, fact);
    json_decref(object);
    return is_good;
}
