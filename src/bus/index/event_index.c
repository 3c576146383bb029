#include "bus/index/event_index_inside.h"

#include "base/mem.h"
#include "base/random.h"
#include "base/saturate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY_ENTRIES = 512 << 10,
    RUN_ENTRIES_MOST = 128 << 20,
    MERGE_FACTOR = 4, /* entries merged for each added: more than there are sizes of runs */
};

/* --- open and close --- */

static void forget_all(struct event_index *index)
{
    index_merge_give_up(index);
    for (size_t i = 0; i < index->runs.count; i++) {
        indexed_run_release(index->runs.items[i]);
    }
    vec_deinit(&index->runs);
    index_forget_memory(index);
    index_positions_free(index);
}

enum err event_index_clear(struct event_index *index, struct reason *reason)
{
    struct siphash_key secret;
    random_secure(&secret, sizeof secret);
    pthread_mutex_lock(&index->lock);
    forget_all(index);
    index->secret = secret;
    pthread_mutex_unlock(&index->lock);
    enum err err = index_manifest_save(index, true, reason);
    return err == ERR_NONE ? index_remove_others(index, reason) : err;
}

enum err event_index_open(const struct event_index_config *config, struct event_index **out,
                          bool *begun_anew, struct reason *reason)
{
    struct event_index *index = mem_new(struct event_index);
    index->config = *config;
    index->config.dir = mem_strdup(config->dir);
    index->config.memory_entries =
        config->memory_entries > 0 ? config->memory_entries : MEMORY_ENTRIES;
    index->config.run_entries_most =
        config->run_entries_most > 0 ? config->run_entries_most : RUN_ENTRIES_MOST;
    pthread_mutex_init(&index->lock, NULL);
    enum err err = file_make_dir(config->files, config->dir, reason);
    if (err == ERR_NONE) {
        err = index_manifest_load(index, reason);
        *begun_anew = err == ERR_CORRUPT;
        err = err == ERR_NONE                              ? index_remove_others(index, reason)
              : err == ERR_NOT_FOUND || err == ERR_CORRUPT ? event_index_clear(index, NULL)
                                                           : err;
    }
    if (err != ERR_NONE) {
        event_index_close(index);
        return err;
    }
    *out = index;
    return ERR_NONE;
}

void event_index_close(struct event_index *index)
{
    if (index != NULL) {
        forget_all(index);
        pthread_mutex_destroy(&index->lock);
        free((void *)(uintptr_t)index->config.dir);
        free(index);
    }
}

/* --- adding --- */

/* A kind of its own has a hash of its own: the id of one event is the cause of another. */
uint64_t event_index_hash(const struct event_index *index, const struct event_term *term)
{
    struct siphash_key key = {index->secret.k0, index->secret.k1 + (uint64_t)term->kind};
    return siphash128(&key, term->value.data, term->value.size).low;
}

static bool is_full(const struct event_index *index)
{
    return index->memory.count + EVENT_TERMS_MAX > index->config.memory_entries ||
           index_places_count(&index->places) > INDEX_NUMBERS_MAX / (2 * INDEX_MERGE_RUNS);
}

static void keep(struct event_index *index, const struct index_position *position, int64_t offset,
                 const struct event_term *terms, size_t count)
{
    if (count == 0) {
        return;
    }
    struct index_life life = index_life_of(position);
    uint32_t topic = index_places_topic(&index->places, position->topic, life.id);
    uint32_t number = index_places_add(&index->places, topic, position->partition, offset);
    for (size_t i = 0; i < count; i++) {
        vec_push(&index->memory, (struct index_entry){event_index_hash(index, &terms[i]), number});
    }
}

enum err event_index_add(struct event_index *index, const struct event_source *source,
                         int64_t offset, const struct event_term *terms, size_t count,
                         struct reason *reason)
{
    assert(count <= EVENT_TERMS_MAX);
    enum err err = is_full(index) ? event_index_flush(index, reason) : ERR_NONE;
    if (err != ERR_NONE) {
        return err;
    }
    struct index_position *position = index_position_get(index, source);
    int64_t next = add_saturated(offset, 1);
    pthread_mutex_lock(&index->lock);
    keep(index, position, offset, terms, count);
    pthread_mutex_unlock(&index->lock);
    position->next = position->next < next ? next : position->next;
    return index_merge_some(index, count * MERGE_FACTOR, reason);
}

/* What is in memory, as a run's places and entries in their order. Free the entries. */
static struct index_entry *sort_memory(const struct event_index *index, struct index_places *places)
{
    size_t count = index->memory.count;
    struct index_entry *entries = mem_new_array(struct index_entry, count);
    struct index_entry *scratch = mem_new_array(struct index_entry, count);
    const struct index_places *from = &index->places;
    uint64_t *shifts;
    index_places_join(places, &from, 1, NULL, NULL, &shifts);
    const struct index_span *span = index->places.spans.items;
    for (size_t i = 0; i < count; i++) {
        struct index_entry entry = index->memory.items[i];
        span += entry.number - span->number < span->count ? 0 : 1; /* they were added in order */
        entry.number += (uint32_t)shifts[span - index->places.spans.items];
        entries[i] = entry;
    }
    index_sort(entries, scratch, count);
    free(scratch);
    free(shifts);
    return entries;
}

/* Writes what is in memory as the run of this sequence. */
static enum err write_memory(struct event_index *index, uint64_t sequence, struct reason *reason)
{
    struct index_places places = {0};
    struct index_run_writer *writer = NULL;
    struct index_entry *entries = sort_memory(index, &places);
    char *path = index_run_path(index, sequence);
    enum err err = index_run_write_begin(index->config.files, path, &places, &writer, reason);
    for (size_t i = 0; err == ERR_NONE && i < index->memory.count; i++) {
        err = index_run_write_add(writer, entries[i], reason);
    }
    if (err == ERR_NONE) {
        err = index_run_write_end(writer, reason);
    } else {
        index_run_write_abandon(writer);
    }
    index_places_deinit(&places);
    free(entries);
    free(path);
    return err;
}

/* Whether there are events in the run that are in the log still. */
static bool is_of_use(struct event_index *index, const struct index_run *run)
{
    for (size_t i = 0; i < run->places.spans.count; i++) {
        const struct index_span *span = &run->places.spans.items[i];
        if (!index_is_gone_by_position(index, &run->places.topics.items[span->topic],
                                       span->partition, span->offset + span->count)) {
            return true;
        }
    }
    return false;
}

/* A run that a merge reads stays until that is over. */
static enum err drop_gone(struct event_index *index, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = index->runs.count; err == ERR_NONE && index->merge_count == 0 && i-- > 0;) {
        if (!is_of_use(index, index->runs.items[i]->run)) {
            err = index_replace_runs(index, i, 1, NULL, false, reason);
        }
    }
    return err;
}

enum err event_index_flush(struct event_index *index, struct reason *reason)
{
    struct indexed_run *run = NULL;
    uint64_t sequence = index->next_sequence;
    enum err err = ERR_NONE;
    if (index->memory.count > 0) {
        index->next_sequence++;
        err = write_memory(index, sequence, reason);
        err = err == ERR_NONE ? indexed_run_open(index, sequence, &run, reason) : err;
    }
    if (err == ERR_NONE) {
        err = index_replace_runs(index, index->runs.count, 0, run, true, reason);
    }
    return err == ERR_NONE ? drop_gone(index, reason) : err;
}

enum err event_index_merge(struct event_index *index, size_t entries, struct reason *reason)
{
    return index_merge_some(index, entries, reason);
}

enum err event_index_settle(struct event_index *index, struct reason *reason)
{
    enum err err;
    do {
        err = index_merge_some(index, SIZE_MAX, reason);
    } while (err == ERR_NONE && (!index->is_merged || index->merge_count > 0));
    return err == ERR_NONE ? drop_gone(index, reason) : err;
}
