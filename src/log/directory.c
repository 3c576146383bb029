#include "log/log_internal.h"

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What lies in a log's directory. */

struct listing {
    struct log *log;
    struct log_files *found;
    int strays;
    char first_stray[64];
};

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static void sort(struct offsets *offsets)
{
    if (offsets->count > 0) {
        qsort(offsets->items, offsets->count, sizeof *offsets->items, compare);
    }
}

/* "<20 digits><suffix>"; a segment's offsets are up to INT32_MAX above its base. */
static bool parse_name(const char *name, int64_t *offset, const char **suffix)
{
    int64_t value = 0;
    for (int i = 0; i < SEGMENT_NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || value > (INT64_MAX - 9) / 10) {
            return false;
        }
        value = value * 10 + (name[i] - '0');
    }
    *offset = value;
    *suffix = name + SEGMENT_NAME_DIGITS;
    return value <= INT64_MAX - INT32_MAX - 1;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

/* Names of Kafka's own that mean nothing to us. */
static bool is_ignored(const char *name)
{
    return strcmp(name, "partition.metadata") == 0 || strcmp(name, "leader-epoch-checkpoint") == 0;
}

static enum err take_name(void *context, const char *name)
{
    struct listing *listing = context;
    int64_t offset;
    const char *suffix;
    if (ends_with(name, ".tmp") || ends_with(name, ".deleted") || ends_with(name, ".cleaned")) {
        char *path = mem_sprintf("%s/%s", listing->log->dir, name);
        enum err err = file_unlink(listing->log->env.files, path, NULL);
        free(path);
        return err;
    }
    if (strcmp(name, LOG_CLEANED_NAME) == 0) {
        listing->found->compacted = true;
        return ERR_NONE;
    }
    if (parse_name(name, &offset, &suffix)) {
        if (strcmp(suffix, ".log") == 0) {
            vec_push(&listing->found->segments, offset);
            return ERR_NONE;
        }
        if (strcmp(suffix, ".snapshot") == 0) {
            vec_push(&listing->found->snapshots, offset);
            return ERR_NONE;
        }
        if (strcmp(suffix, ".damage") == 0) {
            vec_push(&listing->found->damages, offset);
            return ERR_NONE;
        }
        if (strcmp(suffix, ".txnindex") == 0) {
            vec_push(&listing->found->txn_indexes, offset);
            return ERR_NONE;
        }
        if (strcmp(suffix, ".index") == 0 || strcmp(suffix, ".timeindex") == 0) {
            return ERR_NONE;
        }
    }
    if (!is_ignored(name) && listing->strays++ == 0) {
        strncpy(listing->first_stray, name, sizeof listing->first_stray - 1);
    }
    return ERR_NONE;
}

enum err log_files_list(struct log *log, struct log_files *found, struct reason *reason)
{
    struct listing listing = {.log = log, .found = found};
    *found = (struct log_files){.compacted = false};
    enum err err = file_list_dir(log->dir, take_name, &listing, reason);
    if (err != ERR_NONE) {
        log_files_deinit(found);
        return err;
    }
    sort(&found->segments);
    sort(&found->snapshots);
    if (listing.strays > 0) {
        LOG_WARN("log", "files that are no part of a log are left alone",
                 "dir=\"%s\" count=%d first=\"%s\"", log->dir, listing.strays, listing.first_stray);
    }
    return ERR_NONE;
}

void log_files_deinit(struct log_files *found)
{
    vec_deinit(&found->segments);
    vec_deinit(&found->snapshots);
    vec_deinit(&found->damages);
    vec_deinit(&found->txn_indexes);
}

static enum err take_segment(void *context, const char *name)
{
    struct log_files *found = context;
    int64_t offset;
    const char *suffix;
    if (parse_name(name, &offset, &suffix) && strcmp(suffix, ".log") == 0) {
        vec_push(&found->segments, offset);
    }
    return ERR_NONE;
}

enum err log_segment_bases(struct log *log, int64_t **bases, size_t *count, struct reason *reason)
{
    struct log_files found = {.compacted = false};
    enum err err = file_list_dir(log->dir, take_segment, &found, reason);
    if (err != ERR_NONE) {
        log_files_deinit(&found);
        return err;
    }
    sort(&found.segments);
    *bases = found.segments.items;
    *count = found.segments.count;
    return ERR_NONE;
}

/* Whether the last row leads into the segment. */
static bool last_row_fits(struct log *log, const char *path, const struct segment *segment,
                          enum index_kind kind, int64_t rows, int64_t segment_end)
{
    struct index_row row;
    bool found;
    if (index_file_floor(log->env.files, path, kind, rows, INDEX_BY_KEY, INT64_MAX, &row, &found,
                         NULL) != ERR_NONE ||
        !found || row.key < 0 || row.value < 0) {
        return false;
    }
    int64_t offset = segment->base_offset + (kind == INDEX_OFFSETS ? row.key : row.value);
    return offset < segment_end && (kind == INDEX_TIMES || row.value < segment->size_bytes);
}

int64_t log_index_file_rows(struct log *log, const struct segment *segment, enum index_kind kind,
                            int64_t segment_end, bool deep)
{
    struct stat status;
    char *path = segment_path(log->dir, segment->base_offset, index_suffix(kind));
    int64_t row_bytes = (int64_t)index_row_bytes(kind);
    int64_t rows = -1;
    if (stat(path, &status) == 0 && status.st_size % row_bytes == 0) {
        rows = status.st_size / row_bytes;
        if (deep && rows > 0 && !last_row_fits(log, path, segment, kind, rows, segment_end)) {
            rows = -1;
        }
    }
    free(path);
    return rows;
}
