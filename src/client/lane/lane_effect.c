#include "client/lane/lane_inside.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <assert.h>

struct lane_effect *lane_emit(struct lane_machine *machine, enum lane_effect_kind kind,
                              const struct lane_partition *partition)
{
    struct lane_effect *effect = vec_add(&machine->effects);
    effect->kind = kind;
    effect->partition = partition != NULL ? partition->id : -1;
    effect->epoch = partition != NULL ? partition->epoch : 0;
    return effect;
}

void lane_emit_event(struct lane_machine *machine, enum lane_effect_kind kind,
                     struct lane_event *event)
{
    struct lane *lane = event->lane;
    struct lane_effect *effect = lane_emit(machine, kind, lane->partition);
    assert(!event->is_busy);
    event->is_busy = true;
    lane->partition->busy++;
    effect->event = event;
    effect->lane = lane;
    effect->name = lane_name_of(lane);
    effect->offset = event->offset;
    effect->handler = event->handler;
    effect->closes_lane = kind == LANE_WRITE_DEAD && lane->gives_up_by == LANE_PARK;
}

struct lane_effect *lane_emit_lane(struct lane_machine *machine, enum lane_effect_kind kind,
                                   struct lane *lane)
{
    struct lane_effect *effect = lane_emit(machine, kind, lane->partition);
    lane->refs++;
    lane->partition->busy++;
    effect->lane = lane;
    effect->name = lane_name_of(lane);
    return effect;
}

void lane_release(struct lane_machine *machine, struct lane_event *event)
{
    struct lane_effect *effect = lane_emit(machine, LANE_RELEASE, NULL);
    assert(!event->is_busy);
    event->lane = NULL;
    effect->partition = event->partition;
    effect->epoch = event->epoch;
    effect->event = event;
    effect->offset = event->offset;
}

/* --- memory --- */

static void count_to(size_t *counted, size_t more, bool adds)
{
    *counted = adds ? *counted + more : *counted - more;
}

static void count(struct lane_counts *counts, bool is_waiting, size_t events, size_t bytes,
                  bool adds)
{
    count_to(is_waiting ? &counts->waiting_events : &counts->runnable_events, events, adds);
    count_to(is_waiting ? &counts->waiting_bytes : &counts->runnable_bytes, bytes, adds);
}

static void count_event(struct lane_machine *machine, const struct lane *lane,
                        const struct lane_event *event, bool adds)
{
    count(&machine->counts, lane->counts_waiting, 1, event->bytes, adds);
    if (event->keep == LANE_REDRIVEN) {
        count_to(&machine->counts.redriven_events, 1, adds);
        count_to(&machine->counts.redriven_bytes, event->bytes, adds);
    }
}

void lane_memory_add(struct lane_machine *machine, struct lane *lane,
                     const struct lane_event *event)
{
    lane->memory_events++;
    lane->memory_bytes += event->bytes;
    count_event(machine, lane, event, true);
}

void lane_memory_remove(struct lane_machine *machine, struct lane *lane,
                        const struct lane_event *event)
{
    lane->memory_events--;
    lane->memory_bytes -= event->bytes;
    count_event(machine, lane, event, false);
}

void lane_memory_move(struct lane_machine *machine, struct lane *lane)
{
    bool is_waiting = lane->is_parked || lane->is_held || lane->tries > 0;
    if (is_waiting != lane->counts_waiting) {
        count(&machine->counts, !is_waiting, lane->memory_events, lane->memory_bytes, false);
        count(&machine->counts, is_waiting, lane->memory_events, lane->memory_bytes, true);
        lane->counts_waiting = is_waiting;
    }
}

/* --- partitions and lanes by name --- */

struct lane_partition *lane_partition_find(struct lane_machine *machine, int32_t id)
{
    struct lane_partition *partition = machine->found;
    if (partition == NULL || partition->id != id) {
        HASH_FIND_INT(machine->partitions, &id, partition);
        machine->found = partition;
    }
    return partition;
}

enum { NAME_KEY = 'k', NAME_PARTITION = 'p', NAME_EVENT = 'e', NAME_EVENT_SIZE = 9 };

struct lane_name lane_name_for(const struct lane_machine *machine, struct slice key, int64_t offset)
{
    switch (machine->settings.order) {
    case LANE_BY_PARTITION:
        return (struct lane_name){.offset = -1};
    case LANE_BY_KEY:
        if (!slice_is_null(key)) {
            return (struct lane_name){.key = key, .offset = -1};
        }
        break;
    case LANE_FREE:
        break;
    }
    return (struct lane_name){.offset = offset};
}

struct lane_name lane_name_of(const struct lane *lane)
{
    switch (lane->name[0]) {
    case NAME_KEY:
        return (struct lane_name){.key = slice_of(lane->name + 1, lane->name_size - 1),
                                  .offset = -1};
    case NAME_EVENT:
        return (struct lane_name){.offset = (int64_t)load_be64(lane->name + 1)};
    default:
        return (struct lane_name){.offset = -1};
    }
}

static size_t name_size(struct lane_name name)
{
    return 1 + (!slice_is_null(name.key) ? name.key.size : name.offset >= 0 ? sizeof(int64_t) : 0);
}

static void name_encode(struct lane_name name, uint8_t *bytes)
{
    if (!slice_is_null(name.key)) {
        bytes[0] = NAME_KEY;
        slice_copy(bytes + 1, name.key);
    } else if (name.offset >= 0) {
        bytes[0] = NAME_EVENT;
        store_be64(bytes + 1, (uint64_t)name.offset);
    } else {
        bytes[0] = NAME_PARTITION;
    }
}

static struct lane *lane_new(struct lane_machine *machine, struct lane_partition *partition,
                             struct slice name, unsigned hash)
{
    struct lane *lane = machine->spare;
    if (lane != NULL) {
        LL_DELETE(machine->spare, lane);
        machine->spare_count--;
        memset(lane, 0, sizeof *lane);
    } else {
        lane = mem_new(struct lane);
    }
    lane->name = name.size <= sizeof lane->short_name
                     ? memcpy(lane->short_name, name.data, name.size)
                     : mem_dup(name.data, name.size);
    lane->name_size = name.size;
    lane->id = ++machine->last_lane_id;
    lane->partition = partition;
    lane->failing_handler = -1;
    lane->probes = -1;
    lane->parked_offset = lane->skip_offset = -1;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, partition->lanes, lane->name, lane->name_size, hash, lane);
    DL_APPEND2(machine->all, lane, all_prev, all_next);
    machine->counts.lanes++;
    return lane;
}

struct lane *lane_lookup(struct lane_machine *machine, struct lane_partition *partition,
                         struct lane_name name, bool create)
{
    uint8_t short_name[LANE_SHORT_NAME];
    struct lane *lane;
    unsigned hash;
    size_t size = name_size(name);
    uint8_t *bytes = size <= sizeof short_name ? short_name : mem_alloc(size);
    name_encode(name, bytes);
    HASH_VALUE(bytes, size, hash);
    HASH_FIND_BYHASHVALUE(hh, partition->lanes, bytes, size, hash, lane);
    if (lane == NULL && create) {
        lane = lane_new(machine, partition, slice_of(bytes, size), hash);
    }
    if (bytes != short_name) {
        free(bytes);
    }
    return lane;
}

void lane_free(struct lane_machine *machine, struct lane *lane)
{
    enum { SPARE_MOST = 4000 };
    DL_DELETE2(machine->all, lane, all_prev, all_next);
    machine->counts.lanes--;
    vec_deinit(&lane->rows);
    if (lane->name != lane->short_name) {
        free(lane->name);
    }
    if (machine->spare_count < SPARE_MOST) {
        LL_PREPEND(machine->spare, lane);
        machine->spare_count++;
    } else {
        free(lane);
    }
}

void lane_free_spare(struct lane_machine *machine)
{
    struct lane *lane, *next;
    LL_FOREACH_SAFE (machine->spare, lane, next) {
        free(lane);
    }
    machine->spare = NULL;
}

void lane_drop_if_empty(struct lane_machine *machine, struct lane *lane)
{
    if (lane->refs > 0 || lane->marks > 0 || lane->events != NULL || lane->redriven != NULL ||
        lane->hand != NULL || lane->lingering != NULL || lane->row < lane->rows.count ||
        lane->is_parked || lane->is_held || lane->is_noted || lane->is_wanting || lane->tries > 0) {
        return;
    }
    if (lane->partition != NULL) {
        /* what a restart left may still come again from the source */
        if (lane->finished_below > lane->partition->next) {
            return;
        }
        HASH_DELETE(hh, lane->partition->lanes, lane);
    }
    assert(lane->list == NULL && !heap_has(&lane->timer));
    lane_free(machine, lane);
}
