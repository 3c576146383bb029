#include "bus/index/event_index_inside.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

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

/* All of it is gone, and it has no id: whatever comes is of another topic of that name. */
static bool may_come_again(const struct index_position *position)
{
    static const uint8_t no_id[16];
    return position->start == INT64_MAX && memcmp(position->topic_id, no_id, sizeof no_id) == 0;
}

void event_index_reached(struct event_index *index, const struct event_source *source,
                         int64_t next_offset)
{
    struct index_position *position = index_position_get(index, source);
    position->next = position->next < next_offset ? next_offset : position->next;
    if (may_come_again(position)) {
        pthread_mutex_lock(&index->lock);
        position->start = 0;
        pthread_mutex_unlock(&index->lock);
    }
}

void event_index_gone(struct event_index *index, const struct event_source *source,
                      int64_t start_offset)
{
    struct index_position *position = index_position_get(index, source);
    pthread_mutex_lock(&index->lock);
    position->start = position->start < start_offset ? start_offset : position->start;
    if (may_come_again(position)) {
        position->next = position->kept = 0;
    }
    pthread_mutex_unlock(&index->lock);
}

bool index_is_gone_by_position(void *context, const struct index_topic *topic, int32_t partition,
                               int64_t end_offset)
{
    const struct index_position *position =
        index_position_find(context, topic->name, topic->id, partition);
    return position != NULL && end_offset <= position->start;
}
