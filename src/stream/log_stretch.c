#include "stream/log_stretch.h"

#include "stream/log_piece.h"
#include "topic/topic.h"

/* False: it wants no more. */
static bool give(struct log_stretch *stretch, const struct log_piece *piece)
{
    for (size_t i = 0; i < piece->events.count; i++) {
        const struct event *event = &piece->events.items[i].event;
        if (!stretch->each(stretch->context, event)) {
            stretch->next_offset = event->offset + 1;
            return false;
        }
    }
    return true;
}

static void tell(struct log_stretch *stretch, const struct log_piece *piece)
{
    stretch->start_offset = piece->start_offset;
    stretch->end_offset = piece->end_offset;
    stretch->next_offset = piece->next_offset;
    stretch->hidden |= piece->has_aborted ? LOG_HIDDEN_ABORTED : 0;
    stretch->hidden |= piece->damaged_from >= 0 ? LOG_HIDDEN_DAMAGED : 0;
}

static enum err read_partition(struct partition *partition, struct log_stretch *stretch,
                               struct reason *reason)
{
    struct log_piece piece = {0};
    enum err err;
    int64_t before;
    bool goes_on = true;
    stretch->high_watermark = partition_high_watermark(partition);
    stretch->next_offset = stretch->from;
    stretch->hidden = 0;
    do {
        before = stretch->next_offset;
        err = log_piece_read_until(&piece, partition, before, stretch->stop, reason);
        if (err == ERR_NONE) {
            tell(stretch, &piece);
            goes_on = give(stretch, &piece);
        }
    } while (err == ERR_NONE && goes_on && stretch->next_offset > before &&
             stretch->next_offset < stretch->stop && stretch->next_offset < stretch->end_offset &&
             (stretch->goes_on == NULL || stretch->goes_on(stretch->context)));
    if (stretch->high_watermark < stretch->end_offset) {
        stretch->high_watermark = stretch->end_offset; /* it moved meanwhile */
    }
    log_piece_deinit(&piece);
    return err;
}

enum err log_stretch_read(struct catalogue *catalogue, struct log_stretch *stretch,
                          struct reason *reason)
{
    struct topic *topic = catalogue_find(catalogue, slice_str(stretch->topic));
    struct partition *partition = topic != NULL ? topic_partition(topic, stretch->partition) : NULL;
    enum err err =
        partition == NULL ? reason_fail(reason, ERR_NOT_FOUND, "there is no partition %d of it",
                                        (int)stretch->partition)
        : partition_gone(partition) ? reason_fail(reason, ERR_CLOSED, "its topic is deleted")
                                    : read_partition(partition, stretch, reason);
    if (topic != NULL) {
        topic_unref(topic);
    }
    return err;
}
