#include "bus/spec/spec_book.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/mem.h"
#include "bus/spec/spec_message.h"
#include "bus/spec/spec_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

enum { VERSION = 1, TOPIC_MOST = 255 };

struct type {
    UT_hash_handle hh;
    char *id;
    struct spec_message *message;
    int64_t second;
    int looks_left;
};

struct place {
    UT_hash_handle hh;
    char *key; /* "PARTITION TOPIC" */
    char topic_id[33];
    int64_t next;
};

struct spec_book {
    struct type *types;
    struct place *places;
    struct arena arena;
    int64_t second;
    int looks_left;
    int64_t bytes_left;
    bool is_dirty;
};

struct spec_book *spec_book_new(void)
{
    return mem_new(struct spec_book);
}

static void free_place(struct spec_book *book, struct place *place)
{
    HASH_DEL(book->places, place);
    free(place->key);
    free(place);
}

static void forget(struct spec_book *book)
{
    struct type *type, *next_type;
    struct place *place, *next_place;
    HASH_ITER (hh, book->types, type, next_type) {
        HASH_DEL(book->types, type);
        spec_message_free(type->message);
        free(type->id);
        free(type);
    }
    HASH_ITER (hh, book->places, place, next_place) {
        free_place(book, place);
    }
}

void spec_book_free(struct spec_book *book)
{
    if (book != NULL) {
        forget(book);
        arena_deinit(&book->arena);
        free(book);
    }
}

bool spec_book_is_dirty(const struct spec_book *book)
{
    return book->is_dirty;
}

/* --- places --- */

static void id_text(const uint8_t id[16], char text[33])
{
    for (int i = 0; i < 16; i++) {
        snprintf(text + 2 * i, 3, "%02x", (unsigned)id[i]);
    }
}

static struct place *find_place(const struct spec_book *book, const char *key)
{
    struct place *place;
    HASH_FIND_STR(book->places, key, place);
    return place;
}

/* NULL: there are too many. */
static struct place *reach_place(struct spec_book *book, const char *key)
{
    struct place *place = find_place(book, key);
    if (place == NULL && HASH_COUNT(book->places) < SPEC_PLACES_MAX) {
        place = mem_new(struct place);
        place->key = mem_strdup(key);
        HASH_ADD_KEYPTR(hh, book->places, place->key, strlen(place->key), place);
    }
    return place;
}

struct place_key {
    char text[16 + TOPIC_MOST];
};

static struct place_key key_of(const struct feed_source *source)
{
    struct place_key key;
    snprintf(key.text, sizeof key.text, "%d %s", (int)source->partition, source->topic);
    return key;
}

int64_t spec_book_next(const struct spec_book *book, const struct feed_source *source)
{
    char id[33];
    struct place_key key = key_of(source);
    const struct place *place = find_place(book, key.text);
    id_text(source->topic_id, id);
    return place != NULL && strcmp(place->topic_id, id) == 0 ? place->next : -1;
}

/* --- events --- */

/* NULL: there are too many types, or it was looked at often enough in this second. */
static struct type *due_type(struct spec_book *book, const struct event *event)
{
    struct type *type;
    char *id = spec_message_id(event, &book->arena);
    HASH_FIND_STR(book->types, id, type);
    if (type == NULL && HASH_COUNT(book->types) < SPEC_TYPES_MAX) {
        type = mem_new(struct type);
        type->id = mem_strdup(id);
        type->message = spec_message_new();
        HASH_ADD_KEYPTR(hh, book->types, type->id, strlen(type->id), type);
    }
    free(id);
    if (type != NULL && type->second != book->second) {
        type->second = book->second;
        type->looks_left = SPEC_LOOKS_A_TYPE;
    }
    return type != NULL && type->looks_left > 0 ? type : NULL;
}

static void look_at(struct spec_book *book, const struct event *event)
{
    book->looks_left--;
    struct type *type = due_type(book, event);
    if (type != NULL) {
        type->looks_left--;
        book->bytes_left -= event->value.size <= SPEC_PAYLOAD_MOST ? (int64_t)event->value.size : 0;
        spec_message_take(type->message, event, &book->arena);
    }
    arena_reset(&book->arena);
}

static void take_events(struct spec_book *book, const struct feed_piece *piece)
{
    size_t step = (piece->count + SPEC_LOOKS_A_PIECE - 1) / SPEC_LOOKS_A_PIECE;
    for (size_t i = 0; i < piece->count && book->looks_left > 0 && book->bytes_left > 0;
         i += step) {
        look_at(book, &piece->events[i].event);
    }
}

void spec_book_take(struct spec_book *book, const struct feed_piece *piece, int64_t now_ms)
{
    struct place_key key = key_of(&piece->source);
    if (piece->kind == FEED_NOTHING) {
        return;
    }
    book->is_dirty = true;
    if (piece->kind == FEED_GONE) {
        struct place *gone = find_place(book, key.text);
        if (gone != NULL) {
            free_place(book, gone);
        }
        return;
    }
    struct place *place = reach_place(book, key.text);
    if (place != NULL) {
        id_text(piece->source.topic_id, place->topic_id);
        place->next = piece->next_offset;
    }
    if (now_ms / 1000 + 1 != book->second) {
        book->second = now_ms / 1000 + 1; /* never 0, as that of a new type */
        book->looks_left = SPEC_LOOKS_A_SECOND;
        book->bytes_left = SPEC_BYTES_A_SECOND;
    }
    take_events(book, piece);
}

json_t *spec_book_messages(const struct spec_book *book)
{
    json_t *messages = json_object();
    for (const struct type *type = book->types; type != NULL; type = type->hh.next) {
        bool is_topic = strncmp(type->id, "topic:", 6) == 0;
        const char *name = strchr(type->id, ':') + 1;
        json_object_set_new(messages, type->id, spec_message_json(type->message, name, is_topic));
    }
    return messages;
}

/* --- the file --- */

static json_t *book_json(const struct spec_book *book)
{
    json_t *types = json_object(), *places = json_object();
    for (const struct type *type = book->types; type != NULL; type = type->hh.next) {
        json_object_set_new(types, type->id, spec_message_keep(type->message));
    }
    for (const struct place *place = book->places; place != NULL; place = place->hh.next) {
        json_object_set_new(places, place->key,
                            json_pack("[s, I]", place->topic_id, (json_int_t)place->next));
    }
    return json_pack("{s:i, s:o, s:o}", "version", (int)VERSION, "types", types, "places", places);
}

enum err spec_book_save(struct spec_book *book, const char *path, struct reason *reason)
{
    char *fresh = mem_sprintf("%s.new", path);
    json_t *json = book_json(book);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    bool is_written = fd >= 0 && json_dumpfd(json, fd, JSON_COMPACT) == 0;
    int failure = errno;
    if (fd >= 0 && close(fd) != 0 && is_written) {
        failure = errno;
        is_written = false;
    }
    if (is_written && rename(fresh, path) != 0) {
        failure = errno;
        is_written = false;
    }
    json_decref(json);
    free(fresh);
    book->is_dirty = book->is_dirty && !is_written;
    return is_written ? ERR_NONE : reason_fail(reason, ERR_IO, "%s: %s", path, strerror(failure));
}

static bool restore_types(struct spec_book *book, json_t *types)
{
    const char *id;
    json_t *kept;
    json_object_foreach(types, id, kept)
    {
        struct spec_message *message = spec_message_restore(kept);
        bool is_id = strncmp(id, "type:", 5) == 0 || strncmp(id, "topic:", 6) == 0;
        if (message == NULL || !is_id || HASH_COUNT(book->types) == SPEC_TYPES_MAX) {
            spec_message_free(message);
            return false;
        }
        struct type *type = mem_new(struct type);
        type->id = mem_strdup(id);
        type->message = message;
        HASH_ADD_KEYPTR(hh, book->types, type->id, strlen(type->id), type);
    }
    return true;
}

static bool restore_places(struct spec_book *book, json_t *places)
{
    const char *key;
    json_t *pair;
    json_object_foreach(places, key, pair)
    {
        const char *id = json_string_value(json_array_get(pair, 0));
        const json_t *next = json_array_get(pair, 1);
        struct place *place =
            id != NULL && strlen(id) == 32 && json_is_integer(next) && json_integer_value(next) >= 0
                ? reach_place(book, key)
                : NULL;
        if (place == NULL) {
            return false;
        }
        memcpy(place->topic_id, id, sizeof place->topic_id);
        place->next = json_integer_value(next);
    }
    return true;
}

enum err spec_book_load(struct spec_book *book, const char *path, struct reason *reason)
{
    struct stat status;
    json_error_t error;
    if (stat(path, &status) != 0) {
        return reason_fail(reason, ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    }
    json_t *json = json_load_file(path, 0, &error);
    json_t *types = json_object_get(json, "types"), *places = json_object_get(json, "places");
    bool is_fine = json_integer_value(json_object_get(json, "version")) == VERSION &&
                   json_is_object(types) && json_is_object(places) && restore_types(book, types) &&
                   restore_places(book, places);
    json_decref(json);
    if (!is_fine) {
        forget(book);
        return reason_fail(reason, ERR_CORRUPT, "%s is not what was written", path);
    }
    return ERR_NONE;
}
