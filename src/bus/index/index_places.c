#include "bus/index/index_places.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Fewer offsets without event than this cost less than a span of their own. */
enum { BRIDGE = 64, TOPIC_NAME_MAX = 65535, SPAN_BYTES = 4 + 4 + 8 + 4 };

void index_places_deinit(struct index_places *places)
{
    for (size_t i = 0; i < places->topics.count; i++) {
        free(places->topics.items[i].name);
    }
    vec_deinit(&places->topics);
    vec_deinit(&places->spans);
}

uint32_t index_places_count(const struct index_places *places)
{
    if (places->spans.count == 0) {
        return 0;
    }
    const struct index_span *last = &places->spans.items[places->spans.count - 1];
    return last->number + last->count;
}

static bool is_same_topic(const struct index_topic *topic, const char *name, const uint8_t id[16])
{
    return memcmp(topic->id, id, sizeof topic->id) == 0 && strcmp(topic->name, name) == 0;
}

uint32_t index_places_topic(struct index_places *places, const char *name, const uint8_t id[16])
{
    for (size_t i = places->topics.count; i-- > 0;) {
        if (is_same_topic(&places->topics.items[i], name, id)) {
            return (uint32_t)i;
        }
    }
    struct index_topic *topic = vec_add(&places->topics);
    topic->name = mem_strdup(name);
    memcpy(topic->id, id, sizeof topic->id);
    return (uint32_t)(places->topics.count - 1);
}

/* Whether an event at `offset` belongs into the span, or right behind it. */
static bool is_near(const struct index_span *span, uint32_t topic, int32_t partition,
                    int64_t offset)
{
    return span->topic == topic && span->partition == partition && offset >= span->offset &&
           offset - span->offset <= (int64_t)span->count + BRIDGE;
}

uint32_t index_places_add(struct index_places *places, uint32_t topic, int32_t partition,
                          int64_t offset)
{
    uint32_t count = index_places_count(places);
    assert(count < INDEX_NUMBERS_MAX - BRIDGE);
    struct index_span *last =
        places->spans.count == 0 ? NULL : &places->spans.items[places->spans.count - 1];
    if (last == NULL || !is_near(last, topic, partition, offset)) {
        last = vec_add(&places->spans);
        *last = (struct index_span){
            .topic = topic, .partition = partition, .offset = offset, .number = count};
    }
    uint32_t at = (uint32_t)(offset - last->offset);
    last->count = at < last->count ? last->count : at + 1;
    return last->number + at;
}

const struct index_span *index_places_span(const struct index_places *places, uint32_t number)
{
    size_t low = 0;
    size_t high = places->spans.count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (places->spans.items[middle].number <= number) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &places->spans.items[low];
}

struct index_place index_places_find(const struct index_places *places, uint32_t number)
{
    const struct index_span *span = index_places_span(places, number);
    const struct index_topic *topic = &places->topics.items[span->topic];
    return (struct index_place){
        .topic = topic->name,
        .topic_id = topic->id,
        .partition = span->partition,
        .offset = span->offset + (number - span->number),
    };
}

/* A span of one of those that are joined. */
struct piece {
    const struct index_topic *topic;
    const struct index_span *span;
    uint64_t *shift;
};

static int compare_pieces(const void *a, const void *b)
{
    const struct piece *left = a;
    const struct piece *right = b;
    int order = strcmp(left->topic->name, right->topic->name);
    if (order == 0) {
        order = memcmp(left->topic->id, right->topic->id, sizeof left->topic->id);
    }
    if (order == 0) {
        order = (left->span->partition > right->span->partition) -
                (left->span->partition < right->span->partition);
    }
    return order != 0 ? order
                      : (left->span->offset > right->span->offset) -
                            (left->span->offset < right->span->offset);
}

/* Puts the piece behind the others. */
static void join_piece(struct index_places *to, const struct piece *piece)
{
    const struct index_span *span = piece->span;
    uint32_t topic = index_places_topic(to, piece->topic->name, piece->topic->id);
    uint32_t number = index_places_add(to, topic, span->partition, span->offset);
    struct index_span *last = &to->spans.items[to->spans.count - 1];
    uint32_t count = number - last->number + span->count;
    last->count = last->count < count ? count : last->count;
    *piece->shift = (uint32_t)(number - span->number);
}

void index_places_join(struct index_places *to, const struct index_places *const *from,
                       size_t count, index_is_gone *is_gone, void *context, uint64_t **shifts)
{
    VEC(struct piece) pieces = {0};
    for (size_t i = 0; i < count; i++) {
        shifts[i] = mem_new_array(uint64_t, from[i]->spans.count);
        for (size_t j = 0; j < from[i]->spans.count; j++) {
            const struct index_span *span = &from[i]->spans.items[j];
            const struct index_topic *topic = &from[i]->topics.items[span->topic];
            shifts[i][j] = INDEX_GONE;
            if (is_gone == NULL ||
                !is_gone(context, topic, span->partition, span->offset + span->count)) {
                vec_push(&pieces, (struct piece){topic, span, &shifts[i][j]});
            }
        }
    }
    if (pieces.count > 0) {
        qsort(pieces.items, pieces.count, sizeof *pieces.items, compare_pieces);
    }
    for (size_t i = 0; i < pieces.count; i++) {
        join_piece(to, &pieces.items[i]);
    }
    vec_deinit(&pieces);
}

/* Numbers follow from the counts, so they are not written. */
void index_places_encode(const struct index_places *places, struct buf *to)
{
    buf_append_be32(to, (uint32_t)places->topics.count);
    buf_append_be32(to, (uint32_t)places->spans.count);
    for (size_t i = 0; i < places->topics.count; i++) {
        const struct index_topic *topic = &places->topics.items[i];
        size_t size = strlen(topic->name);
        assert(size <= TOPIC_NAME_MAX);
        buf_append_be16(to, (uint16_t)size);
        buf_append(to, topic->name, size);
        buf_append(to, topic->id, sizeof topic->id);
    }
    for (size_t i = 0; i < places->spans.count; i++) {
        const struct index_span *span = &places->spans.items[i];
        buf_append_be32(to, span->topic);
        buf_append_be32(to, (uint32_t)span->partition);
        buf_append_be64(to, (uint64_t)span->offset);
        buf_append_be32(to, span->count);
    }
}

/* Cuts the topic off the front. False: it is not whole. */
static bool decode_topic(struct index_places *places, struct slice *bytes)
{
    struct index_topic topic;
    size_t size = bytes->size < 2 ? 0 : load_be16(bytes->data);
    if (bytes->size < 2 + size + sizeof topic.id || memchr(bytes->data + 2, '\0', size) != NULL) {
        return false;
    }
    topic.name = mem_strndup((const char *)bytes->data + 2, size);
    memcpy(topic.id, bytes->data + 2 + size, sizeof topic.id);
    vec_push(&places->topics, topic);
    *bytes = slice_of(bytes->data + 2 + size + sizeof topic.id, bytes->size - 2 - size - 16);
    return true;
}

static bool decode_span(struct index_places *places, const uint8_t *at)
{
    struct index_span span = {
        .topic = load_be32(at),
        .partition = (int32_t)load_be32(at + 4),
        .offset = (int64_t)load_be64(at + 8),
        .number = index_places_count(places),
        .count = load_be32(at + 16),
    };
    if (span.topic >= places->topics.count || span.partition < 0 || span.offset < 0 ||
        span.count == 0 || span.count > INDEX_NUMBERS_MAX - span.number ||
        span.offset > INT64_MAX - span.count) {
        return false;
    }
    vec_push(&places->spans, span);
    return true;
}

enum err index_places_decode(struct index_places *places, struct slice bytes, struct reason *reason)
{
    *places = (struct index_places){0};
    uint32_t topics = bytes.size < 8 ? 0 : load_be32(bytes.data);
    uint32_t spans = bytes.size < 8 ? 0 : load_be32(bytes.data + 4);
    bool good = bytes.size >= 8;
    bytes = good ? slice_of(bytes.data + 8, bytes.size - 8) : bytes;
    for (uint32_t i = 0; good && i < topics; i++) {
        good = decode_topic(places, &bytes);
    }
    good = good && bytes.size % SPAN_BYTES == 0 && bytes.size / SPAN_BYTES == spans;
    for (uint32_t i = 0; good && i < spans; i++) {
        good = decode_span(places, bytes.data + (size_t)i * SPAN_BYTES);
    }
    if (!good) {
        index_places_deinit(places);
        return reason_fail(reason, ERR_CORRUPT, "the places of its events cannot be read");
    }
    return ERR_NONE;
}
