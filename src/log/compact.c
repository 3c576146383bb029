#include "log/compact.h"

#include "base/crc32c.h"
#include "base/logger.h"
#include "base/mem.h"
#include "log/compact_internal.h"
#include "log/space.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What to clean, and the passes over it (Kafka's LogCleanerManager and Cleaner). */

/* ---- up to where a log is clean ---- */

/*
 * LOG_CLEANED_NAME in the log's directory: version and CRC-32C of the rest, then the offset. When
 * it cannot be read the log is cleaned anew.
 */
enum { OFFSET_FILE_MAX_BYTES = 128, OFFSET_TEXT_BYTES = 32 };

static const char offset_format[] = "tidings-cleaned 1 %08x\n%s";

static int64_t parse_offset(const char *text)
{
    uint32_t crc;
    int64_t offset = -1;
    int at = 0;
    if (sscanf(text, "tidings-cleaned 1 %8" SCNx32 "\n%n", &crc, &at) != 1 || at == 0 ||
        crc32c(0, text + at, strlen(text + at)) != crc ||
        sscanf(text + at, "%" SCNd64, &offset) != 1 || offset < 0) {
        return -1;
    }
    return offset;
}

static int64_t load_offset(struct log *log)
{
    char *text;
    size_t size;
    int64_t offset = -1;
    char *path = mem_sprintf("%s/" LOG_CLEANED_NAME, log->dir);
    if (file_load(log->env.files, path, OFFSET_FILE_MAX_BYTES, &text, &size, NULL) == ERR_NONE) {
        offset = parse_offset(text);
        free(text);
    }
    free(path);
    return offset;
}

static enum err store_offset(struct log *log, int64_t offset, struct reason *reason)
{
    char number[OFFSET_TEXT_BYTES];
    struct buf text = {0};
    snprintf(number, sizeof number, "%lld\n", (long long)offset);
    buf_printf(&text, offset_format, crc32c(0, number, strlen(number)), number);
    char *path = mem_sprintf("%s/" LOG_CLEANED_NAME, log->dir);
    pthread_mutex_lock(&log->upkeep_lock);
    enum err err = log_check_not_deleted(log, reason);
    if (err == ERR_NONE) {
        err = file_replace(log->env.files, path, text.data, text.size, reason);
    }
    pthread_mutex_unlock(&log->upkeep_lock);
    free(path);
    buf_deinit(&text);
    return err;
}

int64_t log_cleaned_offset(struct log *log)
{
    if (log->cleaned_offset < 0) {
        log->cleaned_offset = load_offset(log);
    }
    int64_t start = log_start_offset(log);
    if (log->cleaned_offset < start || log->cleaned_offset > log_end_offset(log)) {
        log->cleaned_offset = start;
    }
    return log->cleaned_offset;
}

/* ---- what may be cleaned ---- */

/* The closed segments from the log's first one on that are whole on disk and end at or below
 * `limit`: referenced, in a fresh array. */
static struct compact_source *take_sources(struct log *log, int64_t limit, size_t *count)
{
    pthread_mutex_lock(&log->segments_lock);
    struct compact_source *sources = mem_new_array(struct compact_source, log->segments.count);
    *count = 0;
    for (size_t i = 0; i + 1 < log->segments.count && log_segment_end(log, i) <= limit; i++) {
        struct segment *segment = log->segments.items[i];
        if (!segment->finished || segment->synced_bytes < segment->size_bytes) {
            break;
        }
        segment_ref(segment);
        sources[(*count)++] = (struct compact_source){
            .segment = segment,
            .size = segment->size_bytes,
            .end = log_segment_end(log, i),
            .index_bytes = index_rows(&segment->offsets) * 8,
            .time_index_bytes = index_rows(&segment->times) * 12,
            .damaged = segment->damages.count > 0,
        };
    }
    pthread_mutex_unlock(&log->segments_lock);
    return sources;
}

static void free_sources(struct compact_source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        segment_unref(sources[i].segment);
    }
    free(sources);
}

/* The number of sources before the first dirty one that has a record of the last
 * min.compaction.lag.ms. */
static enum err leave_lag(struct log *log, const struct log_config *config, int64_t dirty_from,
                          const struct compact_source *sources, size_t *count,
                          struct reason *reason)
{
    int64_t newest = clock_wall_ms(log->env.clock) - config->min_compaction_lag_ms;
    for (size_t i = 0; i < *count && config->min_compaction_lag_ms > 0; i++) {
        if (sources[i].end <= dirty_from) {
            continue;
        }
        enum err err = log_load_times(log, sources[i].segment, reason);
        if (err != ERR_NONE) {
            return err;
        }
        pthread_mutex_lock(&log->segments_lock);
        bool young = sources[i].segment->max_timestamp > newest;
        pthread_mutex_unlock(&log->segments_lock);
        if (young) {
            *count = i;
        }
    }
    return ERR_NONE;
}

/* Whether a dirty source begins with a record older than max.compaction.lag.ms. */
static enum err is_overdue(struct log *log, const struct log_config *config, int64_t dirty_from,
                           const struct compact_source *sources, size_t count, bool *overdue,
                           struct reason *reason)
{
    *overdue = false;
    int64_t oldest = clock_wall_ms(log->env.clock) - config->max_compaction_lag_ms;
    for (size_t i = 0; i < count && !*overdue && config->max_compaction_lag_ms < INT64_MAX; i++) {
        if (sources[i].end <= dirty_from) {
            continue;
        }
        enum err err = log_load_times(log, sources[i].segment, reason);
        if (err != ERR_NONE) {
            return err;
        }
        pthread_mutex_lock(&log->segments_lock);
        int64_t first = sources[i].segment->first_timestamp;
        pthread_mutex_unlock(&log->segments_lock);
        *overdue = first > 0 && first < oldest;
    }
    return ERR_NONE;
}

static enum err check_cleanable(struct log *log, struct reason *reason)
{
    assert(log_is_loaded(log));
    if (log->compact_blocked) {
        return reason_fail(reason, ERR_CLOSED, "%s is compacted again after a restart", log->dir);
    }
    if (log_failed(log)) {
        return reason_fail(reason, ERR_CLOSED, "%s failed", log->dir);
    }
    return log_check_not_deleted(log, reason);
}

/* The sources that may be cleaned, all from the log's start on. */
static enum err find_sources(struct log *log, const struct log_config *config,
                             int64_t stable_offset, struct compact_source **sources, size_t *count,
                             struct reason *reason)
{
    *sources = NULL;
    *count = 0;
    enum err err = check_cleanable(log, reason);
    if (err != ERR_NONE) {
        return err;
    }
    int64_t flushed = log_flushed_offset(log);
    *sources = take_sources(log, stable_offset < flushed ? stable_offset : flushed, count);
    size_t all = *count;
    err = leave_lag(log, config, log_cleaned_offset(log), *sources, count, reason);
    for (size_t i = *count; i < all; i++) {
        segment_unref((*sources)[i].segment);
    }
    return err;
}

enum err log_compact_need(struct log *log, int64_t stable_offset, struct compact_need *need,
                          struct reason *reason)
{
    *need = (struct compact_need){.due = false};
    struct log_config config = log_config_copy(log);
    struct compact_source *sources;
    size_t count;
    enum err err = find_sources(log, &config, stable_offset, &sources, &count, reason);
    int64_t dirty_from = err == ERR_NONE ? log_cleaned_offset(log) : 0;
    for (size_t i = 0; i < count; i++) {
        *(sources[i].end > dirty_from ? &need->dirty_bytes : &need->clean_bytes) += sources[i].size;
    }
    bool overdue = false;
    if (err == ERR_NONE) {
        err = is_overdue(log, &config, dirty_from, sources, count, &overdue, reason);
    }
    if (need->dirty_bytes > 0) {
        need->dirty_ratio =
            (double)need->dirty_bytes / (double)(need->dirty_bytes + need->clean_bytes);
        need->due = overdue || need->dirty_ratio > config.min_cleanable_ratio;
    }
    free_sources(sources, count);
    return err;
}

/* ---- a pass ---- */

/* Under append_lock: no more than a copy. */
static void copy_producer(void *context, const struct producer_entry *entry)
{
    struct compact_producer producer = {
        .producer_id = entry->producer_id,
        .epoch = entry->epoch,
        .last_offset =
            entry->batch_count > 0 ? entry->batches[entry->batch_count - 1].last_offset : -1,
    };
    buf_append(context, &producer, sizeof producer);
}

/*
 * Waits until the batches that the producers were copied with are on disk: were the newest lost in
 * a crash, the ones before must not have been compacted away for them. The flusher does it, as it
 * also tells who waits for these offsets.
 */
static enum err flush_producers(struct log *log, struct reason *reason)
{
    struct flush_target target = {.log = log, .end_offset = log_end_offset(log)};
    if (log_flushed_offset(log) >= target.end_offset) {
        return ERR_NONE;
    }
    if (log->env.flusher == NULL) {
        return log_flush(log, reason);
    }
    flush_wait_blocking(log->env.flusher, &target, 1);
    return check_cleanable(log, reason);
}

static enum err take_producers(struct compact_pass *pass, struct reason *reason)
{
    struct buf copies = {0};
    log_each_producer(pass->log, copy_producer, &copies);
    for (size_t at = 0; at < copies.size; at += sizeof(struct compact_producer)) {
        struct compact_producer *producer =
            mem_dup(copies.data + at, sizeof(struct compact_producer));
        HASH_ADD(hh, pass->producers, producer_id, sizeof producer->producer_id, producer);
    }
    buf_deinit(&copies);
    pthread_mutex_lock(&pass->log->upkeep_lock);
    pass->oldest_snapshot =
        pass->log->snapshots.count > 0 ? pass->log->snapshots.items[0] : INT64_MAX;
    pthread_mutex_unlock(&pass->log->upkeep_lock);
    return flush_producers(pass->log, reason);
}

static void free_producers(struct compact_pass *pass)
{
    struct compact_producer *producer;
    struct compact_producer *next;
    HASH_ITER (hh, pass->producers, producer, next) {
        HASH_DEL(pass->producers, producer);
        free(producer);
    }
}

/*
 * How many sources from the first on make one new segment: none of its limits may be passed, and a
 * segment that is left as it is ends a group. (Kafka's groupSegmentsBySize)
 */
static size_t group_size(const struct compact_pass *pass, const struct compact_source *sources,
                         size_t count)
{
    int64_t bytes = sources[0].size;
    int64_t index_bytes = sources[0].index_bytes;
    int64_t time_index_bytes = sources[0].time_index_bytes;
    size_t i = 1;
    for (; i < count && !sources[i].damaged; i++) {
        bytes += sources[i].size;
        index_bytes += sources[i].index_bytes;
        time_index_bytes += sources[i].time_index_bytes;
        if (bytes > pass->segment_bytes || bytes > INT32_MAX ||
            index_bytes > pass->segment_index_bytes ||
            time_index_bytes > pass->segment_index_bytes ||
            sources[i].end - 1 - sources[0].segment->base_offset > INT32_MAX) {
            break;
        }
    }
    return i;
}

static enum err rewrite(struct compact_pass *pass, const struct compact_source *sources,
                        size_t count, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0;
         i < count && err == ERR_NONE && sources[i].segment->base_offset < pass->map_end;) {
        if (sources[i].damaged) {
            pass->txns.keep_markers = true;
            i++;
            continue;
        }
        size_t left = count;
        while (sources[left - 1].segment->base_offset >= pass->map_end) {
            left--;
        }
        size_t size = group_size(pass, sources + i, left - i);
        err = space_check(pass->log->env.space, SPACE_FOR_EVENTS, 0, reason);
        if (err == ERR_NONE) {
            err = compact_group(pass, sources + i, size, reason);
        }
        i += size;
    }
    return err;
}

/* Cleans from `from` to pass->map_end, which is `to` when all keys had room. */
static enum err run_pass(struct compact_pass *pass, int64_t stable_offset, int64_t from, int64_t to,
                         struct reason *reason)
{
    struct log *log = pass->log;
    struct compact_result *result = pass->result;
    size_t count;
    int64_t limit = to < stable_offset ? to : stable_offset;
    struct compact_source *sources = take_sources(log, limit, &count);
    compact_map_init(&pass->map, (size_t)pass->limits->map_bytes, pass->limits->load_factor,
                     (uint64_t)(to - from));
    enum err err = compact_build_map(pass, sources, count, from, to, reason);
    if (err == ERR_NONE) {
        result->passes++;
        err = take_producers(pass, reason);
    }
    if (err == ERR_NONE) {
        err = rewrite(pass, sources, count, reason);
    }
    int64_t keys = (int64_t)pass->map.count;
    int64_t bytes = (int64_t)(pass->map.slot_count * sizeof(struct compact_slot));
    result->map_keys = keys > result->map_keys ? keys : result->map_keys;
    result->map_bytes = bytes > result->map_bytes ? bytes : result->map_bytes;
    compact_map_deinit(&pass->map);
    compact_txns_deinit(&pass->txns);
    free_producers(pass);
    free_sources(sources, count);
    return err;
}

static void pass_init(struct compact_pass *pass, struct log *log, const struct log_config *config,
                      const struct compact_limits *limits, struct compact_result *result)
{
    *pass = (struct compact_pass){
        .log = log,
        .limits = limits,
        .result = result,
        .now_ms = clock_wall_ms(log->env.clock),
        .delete_retention_ms = config->delete_retention_ms,
        .segment_bytes = config->segment_bytes,
        .segment_index_bytes = config->segment_index_bytes,
        .index_interval_bytes = config->index_interval_bytes,
    };
}

enum err log_compact(struct log *log, int64_t stable_offset, const struct compact_limits *limits,
                     struct compact_result *result, struct reason *reason)
{
    *result = (struct compact_result){.passes = 0};
    struct log_config config = log_config_copy(log);
    struct compact_source *sources;
    size_t count;
    enum err err = find_sources(log, &config, stable_offset, &sources, &count, reason);
    int64_t from = err == ERR_NONE ? log_cleaned_offset(log) : 0;
    int64_t to = count > 0 ? sources[count - 1].end : from;
    for (size_t i = 0; i < count; i++) {
        result->bytes_before += sources[i].size;
        result->damaged_segments += sources[i].damaged;
    }
    result->bytes_after = result->bytes_before;
    result->segments_before = (int32_t)count;
    result->segments_after = (int32_t)count;
    free_sources(sources, count);
    struct compact_pass pass;
    pass_init(&pass, log, &config, limits, result);
    result->from = from;
    result->to = from;
    if (err == ERR_NONE && from < to) {
        err = store_offset(log, from, reason); /* before any segment changes: see recovery.c */
    }
    while (err == ERR_NONE && result->to < to) {
        err = run_pass(&pass, stable_offset, result->to, to, reason);
        if (err == ERR_NONE) {
            log->cleaned_offset = pass.map_end;
            result->to = pass.map_end;
            err = store_offset(log, result->to, reason);
        }
    }
    buf_deinit(&pass.keep);
    return err;
}
