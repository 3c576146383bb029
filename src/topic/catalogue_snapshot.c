#include "base/logger.h"
#include "base/mem.h"
#include "log/log_freeze.h"
#include "topic/catalogue_internal.h"
#include "topic/snapshot.h"

#include <stdlib.h>
#include <string.h>

/*
 * Why the copy is one state of the whole bus. From before the first log is frozen until after the
 * catalogue is copied, change_lock is held: no topic comes, grows, goes or has its start moved, and
 * no producer ids are given out. While all logs are frozen nothing is appended. So for any two
 * changes of which the second followed upon the first (a committed offset upon the event that was
 * read, a marker upon the transaction's events, an event upon its producer id) the copy that holds
 * the second holds the first. A bus that was killed at that instant, with all before it on disk,
 * would leave the same; transactions and group offsets recover from it as from any crash.
 */

enum { FREEZE_FIRST_MS = 50, FREEZE_LAST_MS = 1600 };

/* One log of the snapshot. */
struct part {
    struct partition *partition;
    struct log_instant instant;
};

struct making {
    struct catalogue *catalogue;
    const char *dir;
    struct topic_list *topics;
    struct part *parts;
    size_t part_count;
    struct snapshot_writer *list;
    struct catalogue_snapshot *out;
};

static void gather_parts(struct making *making)
{
    making->topics = catalogue_list(making->catalogue);
    size_t count = 0;
    for (size_t i = 0; i < making->topics->count; i++) {
        count += (size_t)topic_partition_count(making->topics->items[i]);
    }
    making->parts = mem_new_array(struct part, count);
    for (size_t i = 0; i < making->topics->count; i++) {
        const struct topic *topic = making->topics->items[i];
        for (int32_t p = 0; p < topic_partition_count(topic); p++) {
            making->parts[making->part_count++].partition = topic_partition(topic, p);
        }
    }
}

static void thaw(struct making *making, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        log_thaw(making->parts[i - 1].partition->log);
    }
}

/* Order: by topic name, then partition; nobody else holds two append locks. */
static bool freeze(struct making *making, int64_t until_ms)
{
    for (size_t i = 0; i < making->part_count; i++) {
        if (!log_freeze(making->parts[i].partition->log, until_ms)) {
            thaw(making, i);
            return false;
        }
    }
    return true;
}

/* One append that waits for the disk must not stop all the others for as long: give up, try again,
 * each time with more patience. Returns when the freezing that held began. */
static int64_t freeze_patiently(struct making *making)
{
    int64_t began_ns;
    int64_t patience_ms = FREEZE_FIRST_MS;
    bool frozen;
    do {
        began_ns = clock_now_ns();
        int64_t now_ms = clock_wall_ms(clock_system());
        frozen = freeze(making, patience_ms > FREEZE_LAST_MS ? 0 : now_ms + patience_ms);
        patience_ms *= 2;
    } while (!frozen);
    return began_ns;
}

static void note_instant(struct making *making)
{
    int64_t began_ns = freeze_patiently(making);
    making->out->cut_ms = clock_wall_ms(making->catalogue->env.clock);
    for (size_t i = 0; i < making->part_count; i++) {
        log_note_instant(making->parts[i].partition->log, &making->parts[i].instant);
    }
    thaw(making, making->part_count);
    making->out->frozen_us = (clock_now_ns() - began_ns) / 1000;
}

/* Damage notes and what recovery set aside belong to the log as well. */
struct sidecars {
    struct making *making;
    const char *from_dir;
    const char *name; /* of the log's directory */
    struct reason *reason;
};

static enum err link_sidecar(void *context, const char *name)
{
    struct sidecars *sidecars = context;
    return snapshot_is_sidecar(name) ? snapshot_link(sidecars->making->list, sidecars->from_dir,
                                                     sidecars->name, name, -1, sidecars->reason)
                                     : ERR_NONE;
}

static enum err link_part(struct making *making, struct part *part, struct reason *reason)
{
    const char *from_dir = log_dir(part->partition->log);
    const char *name = strrchr(from_dir, '/') + 1;
    enum err err = snapshot_begin_log(making->list, name, reason);
    for (size_t i = 0; i < part->instant.segment_count && err == ERR_NONE; i++) {
        char file[32];
        const struct log_instant_segment *segment = &part->instant.segments[i];
        snapshot_segment_name(segment->base_offset, file);
        err = snapshot_link(making->list, from_dir, name, file, segment->size_bytes, reason);
        making->out->segments++;
        making->out->bytes += segment->size_bytes;
    }
    struct sidecars sidecars = {making, from_dir, name, reason};
    return err == ERR_NONE ? file_list_dir(from_dir, link_sidecar, &sidecars, reason) : err;
}

static enum err link_all(struct making *making, struct reason *reason)
{
    struct checkpoint checkpoint = {.clean = false};
    enum err err = ERR_NONE;
    for (size_t i = 0; i < making->part_count && err == ERR_NONE; i++) {
        struct part *part = &making->parts[i];
        struct log_state state =
            snapshot_state(part->instant.start_offset, part->instant.end_offset);
        checkpoint_add(&checkpoint, &part->partition->topic->id, part->partition->index, &state);
        err = link_part(making, part, reason);
    }
    if (err == ERR_NONE) {
        err = snapshot_add_checkpoint(making->list, &checkpoint, reason);
    }
    checkpoint_deinit(&checkpoint);
    return err;
}

static enum err copy_catalogue(struct making *making, struct reason *reason)
{
    char *path = mem_sprintf("%s/tidings.db", making->dir);
    enum err err = catalogue_db_copy(making->catalogue->db, path, reason);
    free(path);
    return err;
}

static void making_deinit(struct making *making)
{
    for (size_t i = 0; i < making->part_count; i++) {
        log_instant_deinit(&making->parts[i].instant);
    }
    free(making->parts);
    topic_list_unref(making->topics);
}

/* Before the freeze: an idle log does not know its segments. */
static enum err load_parts(struct making *making, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < making->part_count && err == ERR_NONE; i++) {
        err = partition_load(making->parts[i].partition, reason);
    }
    return err;
}

enum err catalogue_snapshot(struct catalogue *catalogue, const char *dir,
                            struct catalogue_snapshot *out, struct reason *reason)
{
    *out = (struct catalogue_snapshot){0};
    struct making making = {.catalogue = catalogue, .dir = dir, .out = out};
    fair_lock_take(&catalogue->change_lock); /* before names_lock: deletions take both */
    pthread_rwlock_wrlock(&catalogue->names_lock);
    gather_parts(&making);
    enum err err = load_parts(&making, reason);
    if (err == ERR_NONE) {
        note_instant(&making);
        err = snapshot_writer_new(catalogue->env.files, dir, &making.list, reason);
    }
    if (err == ERR_NONE) {
        err = copy_catalogue(&making, reason);
    }
    fair_lock_give(&catalogue->change_lock);
    if (err == ERR_NONE) {
        err = link_all(&making, reason);
    }
    pthread_rwlock_unlock(&catalogue->names_lock);
    if (err == ERR_NONE) {
        err = snapshot_finish(making.list, reason);
    }
    snapshot_writer_free(making.list);
    out->topics = (int32_t)making.topics->count;
    out->partitions = (int32_t)making.part_count;
    making_deinit(&making);
    return err;
}
