#include "bus/index/event_index_inside.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* One question. */
struct search {
    struct event_index *index;
    bool has_lock;
    struct event_places *places;
    const struct index_places *numbers; /* what the numbers stand for that are found now */
    size_t most;                        /* with one more than was asked for */
};

void event_places_deinit(struct event_places *places)
{
    vec_deinit(&places->items);
    arena_deinit(&places->arena);
}

static bool is_same_place(const struct index_place *a, const struct index_place *b)
{
    return a->offset == b->offset && a->partition == b->partition &&
           strcmp(a->topic, b->topic) == 0 && memcmp(a->topic_id, b->topic_id, 16) == 0;
}

/* Under the lock. */
static bool is_gone(const struct event_index *index, const struct index_place *place)
{
    const struct index_position *position =
        index_position_find(index, place->topic, place->topic_id, place->partition);
    return position != NULL && place->offset < position->start;
}

/* What is gone takes no place from what is there. */
static bool is_gone_now(struct search *search, const struct index_place *place)
{
    if (!search->has_lock) {
        pthread_mutex_lock(&search->index->lock);
    }
    bool is_so = is_gone(search->index, place);
    if (!search->has_lock) {
        pthread_mutex_unlock(&search->index->lock);
    }
    return is_so;
}

/* Names are copied, once for those that follow one another. */
static bool found(void *context, uint32_t number)
{
    struct search *search = context;
    struct event_places *places = search->places;
    struct index_place place = index_places_find(search->numbers, number);
    if (is_gone_now(search, &place)) {
        return true;
    }
    for (size_t i = places->items.count; i-- > 0;) {
        if (is_same_place(&places->items.items[i], &place)) {
            return true; /* it was added twice */
        }
    }
    const struct index_place *last =
        places->items.count == 0 ? NULL : &places->items.items[places->items.count - 1];
    if (last != NULL && strcmp(last->topic, place.topic) == 0 &&
        memcmp(last->topic_id, place.topic_id, 16) == 0) {
        place.topic = last->topic;
        place.topic_id = last->topic_id;
    } else {
        place.topic = arena_cstr(&places->arena, slice_str(place.topic));
        place.topic_id = arena_dup(&places->arena, place.topic_id, 16);
    }
    vec_push(&places->items, place);
    return places->items.count < search->most;
}

static bool search_memory(const struct event_index *index, uint64_t hash, struct search *search)
{
    bool more = true;
    search->numbers = &index->places;
    for (size_t i = index->memory.count; more && i-- > 0;) {
        if (index->memory.items[i].hash == hash) {
            more = found(search, index->memory.items[i].number);
        }
    }
    return more;
}

static enum err search_runs(const struct indexed_runs *runs, uint64_t hash, struct search *search,
                            struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = runs->count;
         err == ERR_NONE && search->places->items.count < search->most && i-- > 0;) {
        search->numbers = &runs->items[i]->run->places;
        err = index_run_find(runs->items[i]->run, hash, found, search, reason);
    }
    return err;
}

/* Takes out those that are gone from the log. Under the lock. */
static void drop_gone(const struct event_index *index, struct event_places *places)
{
    size_t kept = 0;
    for (size_t i = 0; i < places->items.count; i++) {
        if (!is_gone(index, &places->items.items[i])) {
            places->items.items[kept++] = places->items.items[i];
        }
    }
    places->items.count = kept;
}

/* The runs that there are, oldest first, until let_go. Under the lock. */
static void hold_runs(struct event_index *index, struct indexed_runs *runs)
{
    for (size_t i = 0; i < index->runs.count; i++) {
        index->runs.items[i]->references++;
        vec_push(runs, index->runs.items[i]);
    }
}

/* Under the lock. */
static void let_go(struct indexed_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        indexed_run_release(runs->items[i]);
    }
    vec_deinit(runs);
}

void event_index_ahead(struct event_index *index, const struct event_term *terms, size_t count)
{
    struct indexed_runs runs = {0};
    uint64_t *hashes = mem_new_array(uint64_t, count + 1);
    pthread_mutex_lock(&index->lock);
    hold_runs(index, &runs);
    for (size_t i = 0; i < count; i++) {
        hashes[i] = event_index_hash(index, &terms[i]);
    }
    pthread_mutex_unlock(&index->lock);
    for (enum index_ahead what = INDEX_AHEAD_FENCES; what <= INDEX_AHEAD_ENTRIES; what++) {
        for (size_t i = 0; i < runs.count * count; i++) {
            index_run_ahead(runs.items[i / count]->run, hashes[i % count], what);
        }
    }
    pthread_mutex_lock(&index->lock);
    let_go(&runs);
    pthread_mutex_unlock(&index->lock);
    free(hashes);
}

enum err event_index_find(struct event_index *index, const struct event_term *term, size_t most,
                          struct event_places *places, struct reason *reason)
{
    struct search search = {.index = index, .has_lock = true, .places = places, .most = most + 1};
    struct indexed_runs runs = {0};
    *places = (struct event_places){0};
    pthread_mutex_lock(&index->lock);
    uint64_t hash = event_index_hash(index, term);
    if (search_memory(index, hash, &search)) {
        hold_runs(index, &runs);
    }
    pthread_mutex_unlock(&index->lock);
    search.has_lock = false;
    enum err err = search_runs(&runs, hash, &search, reason);
    pthread_mutex_lock(&index->lock);
    let_go(&runs);
    places->is_cut = places->items.count > most;
    places->items.count = places->is_cut ? most : places->items.count;
    drop_gone(index, places);
    pthread_mutex_unlock(&index->lock);
    return err;
}

struct event_index_size event_index_size(struct event_index *index)
{
    struct event_index_size size = {0};
    pthread_mutex_lock(&index->lock);
    size.memory_entries = index->memory.count;
    size.entries = index->memory.count;
    size.runs = index->runs.count;
    for (size_t i = 0; i < index->runs.count; i++) {
        size.entries += index->runs.items[i]->run->entries;
        size.disk_bytes += index->runs.items[i]->run->size_bytes;
    }
    pthread_mutex_unlock(&index->lock);
    return size;
}
