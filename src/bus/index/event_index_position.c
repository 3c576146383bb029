#include "bus/index/event_index_inside.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { NO_ID_BYTES = 12 /* zeros before the number of a life */ };

static bool has_id(const uint8_t life_id[16])
{
    static const uint8_t zeros[NO_ID_BYTES];
    return memcmp(life_id, zeros, sizeof zeros) != 0;
}

/* Topic id, partition, name. */
static void append_key(struct buf *key, const char *topic, const uint8_t topic_id[16],
                       int32_t partition)
{
    buf_append(key, topic_id, 16);
    buf_append_be32(key, (uint32_t)partition);
    buf_append_str(key, topic);
}

struct index_position *index_position_find(const struct event_index *index, const char *topic,
                                           const uint8_t topic_id[16], int32_t partition)
{
    struct buf key = {0};
    struct index_position *found;
    append_key(&key, topic, topic_id, partition);
    HASH_FIND(hh, index->positions, key.data, key.size, found);
    buf_deinit(&key);
    return found;
}

struct index_position *index_position_get(struct event_index *index,
                                          const struct event_source *source)
{
    struct index_position *position =
        index_position_find(index, source->topic, source->topic_id, source->partition);
    if (position != NULL) {
        return position;
    }
    struct buf key = {0};
    append_key(&key, source->topic, source->topic_id, source->partition);
    position = mem_new(struct index_position);
    position->key = key;
    position->topic = (const char *)buf_cstr(&position->key) + 20;
    memcpy(position->topic_id, source->topic_id, sizeof position->topic_id);
    position->partition = source->partition;
    position->last = position->last_kept = event_mark_none();
    pthread_mutex_lock(&index->lock);
    HASH_ADD_KEYPTR(hh, index->positions, position->key.data, position->key.size, position);
    pthread_mutex_unlock(&index->lock);
    return position;
}

static void free_position(struct index_position *position)
{
    buf_deinit(&position->key);
    free(position);
}

void index_positions_free(struct event_index *index)
{
    struct index_position *position, *next;
    HASH_ITER (hh, index->positions, position, next) {
        HASH_DEL(index->positions, position);
        free_position(position);
    }
}

int64_t event_index_next(const struct event_index *index, const struct event_source *source)
{
    const struct index_position *position =
        index_position_find(index, source->topic, source->topic_id, source->partition);
    return position == NULL ? 0 : position->next;
}

struct event_mark event_index_last(const struct event_index *index,
                                   const struct event_source *source)
{
    const struct index_position *position =
        index_position_find(index, source->topic, source->topic_id, source->partition);
    return position == NULL ? event_mark_none() : position->last;
}

void event_index_set_last(struct event_index *index, const struct event_source *source,
                          const struct event_mark *mark)
{
    index_position_get(index, source)->last = *mark;
}

void event_index_reached(struct event_index *index, const struct event_source *source,
                         int64_t next_offset)
{
    struct index_position *position = index_position_get(index, source);
    position->next = position->next < next_offset ? next_offset : position->next;
}

/* Whatever comes at its name now is another topic. Under the lock. */
static void end_life(struct index_position *position)
{
    position->life++;
    position->next = position->kept = position->start = 0;
    position->last = position->last_kept = event_mark_none();
}

void event_index_gone(struct event_index *index, const struct event_source *source,
                      int64_t start_offset)
{
    struct index_position *position = index_position_get(index, source);
    pthread_mutex_lock(&index->lock);
    if (start_offset == INT64_MAX && !has_id(position->topic_id)) {
        end_life(position);
    } else {
        position->start = position->start < start_offset ? start_offset : position->start;
    }
    pthread_mutex_unlock(&index->lock);
}

/* --- lives --- */

struct index_life index_life_of(const struct index_position *position)
{
    struct index_life life;
    memcpy(life.id, position->topic_id, sizeof life.id);
    if (!has_id(life.id)) {
        store_be32(life.id + NO_ID_BYTES, position->life);
    }
    return life;
}

const uint8_t *index_told_id(const uint8_t life_id[16])
{
    static const uint8_t none[16];
    return has_id(life_id) ? life_id : none;
}

bool index_is_gone_below(const struct event_index *index, const char *topic,
                         const uint8_t life_id[16], int32_t partition, int64_t end_offset)
{
    const struct index_position *position =
        index_position_find(index, topic, index_told_id(life_id), partition);
    if (position == NULL) {
        return false;
    }
    bool is_of_before = !has_id(life_id) && load_be32(life_id + NO_ID_BYTES) != position->life;
    return is_of_before || end_offset <= position->start;
}

bool index_is_gone_by_position(void *context, const struct index_topic *topic, int32_t partition,
                               int64_t end_offset)
{
    return index_is_gone_below(context, topic->name, topic->id, partition, end_offset);
}
