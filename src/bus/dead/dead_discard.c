#include "bus/dead/dead_discard.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

void dead_discards_take(struct dead_discards *discards, const struct dead_seen *seen)
{
    bool is_discarded = seen->state == DEAD_DISCARDED;
    bool is_fixed =
        seen->state == DEAD_IS_DONE || seen->state == DEAD_RUNNING || seen->state == DEAD_REQUESTED;
    if (discards->is_undo ? !is_discarded : is_discarded || is_fixed) {
        discards->passed++;
        return;
    }
    discards->lanes += seen->closes_lane;
    size_t opening = discards->openings.count;
    if (seen->closes_lane) {
        dead_openings_add(&discards->openings, seen);
    }
    vec_push(&discards->list,
             (struct dead_discard){
                 mem_strndup((const char *)seen->event.topic.data, seen->event.topic.size),
                 seen->event.partition, seen->event.offset, seen->its->first, seen->closes_lane,
                 opening});
}

static const char *lane_text(const struct dead_discards *discards,
                             const struct dead_discard *discard)
{
    static const char *const texts[] = {"left", "asked", "opened"};
    return discard->closes_lane ? texts[discards->openings.items[discard->opening].opened] : NULL;
}

/* With what became of their lanes. */
static enum client_status write_all(const struct dead_discards *discards,
                                    struct dead_writer *writer, const char *who, const char *why,
                                    struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; status == CLIENT_OK && i < discards->list.count; i++) {
        const struct dead_discard *discard = &discards->list.items[i];
        const struct dead_fact fact = {
            .kind = DEAD_FACT_DISCARD,
            .is_erased = discards->is_undo,
            .event = {slice_str(discard->topic), discard->partition, discard->offset},
            .time_ms = clock_wall_ms(clock_system()),
            .who = who,
            .text = why,
            .lane = lane_text(discards, discard)};
        status = dead_writer_put(writer, &fact, error);
    }
    return status == CLIENT_OK ? dead_writer_flush(writer, error) : status;
}

/* Nobody redrives what is discarded before its lane is opened. */
enum client_status dead_discards_do(struct dead_discards *discards,
                                    const struct connection_settings *connection, const char *group,
                                    const char *who, const char *why, bool opens_lanes,
                                    struct client_error *error)
{
    struct dead_writer *writer = NULL;
    bool opens = opens_lanes && !discards->is_undo && discards->openings.count > 0;
    enum client_status status = dead_writer_open(connection, group, &writer, error);
    if (status == CLIENT_OK) {
        status = write_all(discards, writer, who, why, error);
    }
    if (status == CLIENT_OK && opens) {
        status = dead_lanes_open(connection, group, who, why, &discards->openings, error);
    }
    if (status == CLIENT_OK && opens) {
        status = write_all(discards, writer, who, why, error);
    }
    dead_writer_close(writer);
    return status;
}

int64_t dead_discards_opened(const struct dead_discards *discards, enum dead_opened opened)
{
    int64_t count = 0;
    for (size_t i = 0; i < discards->openings.count; i++) {
        count += discards->openings.items[i].opened == opened;
    }
    return count;
}

void dead_discards_deinit(struct dead_discards *discards)
{
    for (size_t i = 0; i < discards->list.count; i++) {
        free(discards->list.items[i].topic);
    }
    vec_deinit(&discards->list);
    dead_openings_deinit(&discards->openings);
}
