#include "bus/index/event_index_inside.h"

#include "base/mem.h"
#include "base/saturate.h"

#include <stdlib.h>
#include <string.h>

/* For one value. */
struct search {
    struct event_index *index;
    bool has_lock;
    struct event_places places;
    const struct index_places *numbers; /* what the numbers stand for that are found now */
    size_t most;                        /* with one more than was asked for */
    uint64_t hash;
};

/* A question: for all its values. */
struct question {
    struct event_index *index;
    struct search *searches;
    size_t count;
    struct indexed_runs runs;
    struct index_spot *spots; /* in each run that of each value */
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
    return index_is_gone_below(index, place->topic, place->topic_id, place->partition,
                               add_saturated(place->offset, 1));
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
    struct event_places *places = &search->places;
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

/* --- in memory --- */

static int compare_hashes(const void *a, const void *b)
{
    uint64_t left = (*(struct search *const *)a)->hash;
    uint64_t right = (*(struct search *const *)b)->hash;
    return (left > right) - (left < right);
}

static void take_from_memory(const struct event_index *index, struct search **by_hash, size_t count,
                             struct index_entry entry)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_hash[middle]->hash < entry.hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < count && by_hash[low]->hash == entry.hash; low++) {
        by_hash[low]->numbers = &index->places;
        if (by_hash[low]->places.items.count < by_hash[low]->most) {
            (void)found(by_hash[low], entry.number);
        }
    }
}

/* One walk for all values: what nobody asks for is passed over by the low bits of its hash. Under
 * the lock. */
static void search_memory(struct question *question)
{
    enum { BITS = 1 << 16 };
    uint64_t wanted[BITS / 64] = {0};
    const struct event_index *index = question->index;
    struct search **by_hash = mem_new_array(struct search *, question->count + 1);
    for (size_t i = 0; i < question->count; i++) {
        uint64_t hash = question->searches[i].hash;
        by_hash[i] = &question->searches[i];
        wanted[hash % BITS / 64] |= UINT64_C(1) << hash % 64;
    }
    qsort(by_hash, question->count, sizeof *by_hash, compare_hashes);
    for (size_t i = index->memory.count; i-- > 0;) {
        uint64_t hash = index->memory.items[i].hash;
        if ((wanted[hash % BITS / 64] >> hash % 64 & 1) != 0) {
            take_from_memory(index, by_hash, question->count, index->memory.items[i]);
        }
    }
    free(by_hash);
}

/* --- in runs --- */

static struct index_spot *spot_of(const struct question *question, size_t run, size_t value)
{
    return &question->spots[run * question->count + value];
}

/* Finds out which pages are needed, and has them read, all at once. */
static enum err seek(struct question *question, struct reason *reason)
{
    const struct indexed_runs *runs = &question->runs;
    enum err err = ERR_NONE;
    question->spots = mem_new_array(struct index_spot, runs->count * question->count + 1);
    for (size_t i = 0; i < runs->count; i++) {
        for (size_t k = 0; k < question->count; k++) {
            index_run_ahead(runs->items[i]->run, question->searches[k].hash);
        }
    }
    for (size_t i = 0; i < runs->count; i++) {
        for (size_t k = 0; err == ERR_NONE && k < question->count; k++) {
            err = index_run_seek(runs->items[i]->run, question->searches[k].hash,
                                 spot_of(question, i, k), reason);
        }
    }
    return err;
}

static enum err search_runs(struct question *question, size_t value, struct reason *reason)
{
    struct search *search = &question->searches[value];
    enum err err = ERR_NONE;
    for (size_t i = question->runs.count;
         err == ERR_NONE && search->places.items.count < search->most && i-- > 0;) {
        const struct index_run *run = question->runs.items[i]->run;
        search->numbers = &run->places;
        err = index_run_find(run, spot_of(question, i, value), found, search, reason);
    }
    return err;
}

/* Takes out those that are gone from the log; the others get the ids that the bus told. Under the
 * lock. */
static void drop_gone(const struct event_index *index, struct event_places *places)
{
    size_t kept = 0;
    for (size_t i = 0; i < places->items.count; i++) {
        struct index_place *place = &places->items.items[i];
        if (!is_gone(index, place)) {
            place->topic_id = index_told_id(place->topic_id);
            places->items.items[kept++] = *place;
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

/* --- the question --- */

/* What is in memory, and the runs that there are then. */
static void begin(struct question *question, const struct event_term *terms, size_t most)
{
    struct event_index *index = question->index;
    question->searches = mem_new_array(struct search, question->count + 1);
    pthread_mutex_lock(&index->lock);
    for (size_t i = 0; i < question->count; i++) {
        question->searches[i] = (struct search){.index = index,
                                                .has_lock = true,
                                                .most = most + 1,
                                                .hash = event_index_hash(index, &terms[i])};
    }
    search_memory(question);
    hold_runs(index, &question->runs);
    pthread_mutex_unlock(&index->lock);
}

static enum err complete(struct question *question, size_t value, size_t most,
                         struct reason *reason)
{
    struct search *search = &question->searches[value];
    struct event_places *places = &search->places;
    search->has_lock = false;
    enum err err = search_runs(question, value, reason);
    places->is_cut = places->items.count > most;
    places->items.count = places->is_cut ? most : places->items.count;
    pthread_mutex_lock(&question->index->lock);
    drop_gone(question->index, places);
    pthread_mutex_unlock(&question->index->lock);
    return err;
}

static void end(struct question *question)
{
    pthread_mutex_lock(&question->index->lock);
    let_go(&question->runs);
    pthread_mutex_unlock(&question->index->lock);
    for (size_t i = 0; i < question->count; i++) {
        event_places_deinit(&question->searches[i].places);
    }
    free(question->searches);
    free(question->spots);
}

enum err event_index_find_all(struct event_index *index, const struct event_term *terms,
                              size_t count, size_t most, event_index_each *each, void *context,
                              struct reason *reason)
{
    struct question question = {.index = index, .count = count};
    bool more = true;
    begin(&question, terms, most);
    enum err err = seek(&question, reason);
    for (size_t i = 0; err == ERR_NONE && more && i < count; i++) {
        err = complete(&question, i, most, reason);
        more = err == ERR_NONE && each(context, i, &question.searches[i].places);
    }
    end(&question);
    return err;
}

static bool take_places(void *context, size_t term, struct event_places *places)
{
    struct event_places *to = context;
    (void)term;
    *to = *places;
    *places = (struct event_places){0};
    return true;
}

enum err event_index_find(struct event_index *index, const struct event_term *term, size_t most,
                          struct event_places *places, struct reason *reason)
{
    *places = (struct event_places){0};
    return event_index_find_all(index, term, 1, most, take_places, places, reason);
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
