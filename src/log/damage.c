#include "log/log_internal.h"

#include "base/crc32c.h"
#include "base/logger.h"
#include "log/scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Damaged stretches of segments. They are kept in "<base offset>.damage" beside the segment (a
 * line with version and CRC-32C of the rest, then one line a stretch: position, end, first offset,
 * next offset), so that a later
 * start, which scans only what is new, still steps over them.
 */
enum { DAMAGE_FILE_MAX_BYTES = 1 << 20, HEAD_BYTES = 26 };

/* With 8 hexadecimal digits and the newline: HEAD_BYTES. */
static const char head_format[] = "tidings-damage 1 %08x\n";

static bool known_damage(struct log *log, const struct segment *segment, int64_t position,
                         struct damage *damage)
{
    bool found = false;
    pthread_mutex_lock(&log->segments_lock);
    for (size_t i = 0; i < segment->damages.count && !found; i++) {
        found = segment->damages.items[i].position == position;
        if (found) {
            *damage = segment->damages.items[i];
        }
    }
    pthread_mutex_unlock(&log->segments_lock);
    return found;
}

static void save_damages(struct log *log, struct segment *segment)
{
    struct buf text = {0};
    struct reason why;
    pthread_mutex_lock(&log->segments_lock);
    for (size_t i = 0; i < segment->damages.count; i++) {
        const struct damage *damage = &segment->damages.items[i];
        buf_printf(&text, "%lld %lld %lld %lld\n", (long long)damage->position,
                   (long long)damage->end, (long long)damage->first_offset,
                   (long long)damage->next_offset);
    }
    pthread_mutex_unlock(&log->segments_lock);
    struct buf file = {0};
    buf_printf(&file, head_format, crc32c(0, text.data, text.size));
    buf_append_slice(&file, buf_slice(&text));
    char *path = segment_path(log->dir, segment->base_offset, ".damage");
    if (file_replace(log->env.files, path, file.data, file.size, &why) != ERR_NONE) {
        LOG_WARN("log", "a damage could not be noted beside its segment", "reason=\"%s\"",
                 why.text);
    }
    free(path);
    buf_deinit(&file);
    buf_deinit(&text);
}

void log_add_damage(struct log *log, struct segment *segment, const struct damage *damage)
{
    pthread_mutex_lock(&log->segments_lock);
    segment_add_damage(segment, damage);
    pthread_mutex_unlock(&log->segments_lock);
    LOG_ERROR("log", "damaged bytes in the middle of a log; what follows stays readable",
              "file=\"%s/%020lld.log\" position=%lld bytes=%lld offsets=%lld-%lld", log->dir,
              (long long)segment->base_offset, (long long)damage->position,
              (long long)(damage->end - damage->position), (long long)damage->first_offset,
              (long long)(damage->next_offset - 1));
    if (!atomic_load(&segment->replaced)) {
        save_damages(log, segment);
    }
}

enum err log_note_damage(struct log *log, struct segment *segment, int64_t position, int64_t limit,
                         int64_t least_offset, int64_t segment_end, struct damage *damage,
                         struct reason *reason)
{
    if (known_damage(log, segment, position, damage)) {
        return ERR_NONE;
    }
    struct scan scan;
    struct batch header;
    int64_t found;
    scan_init(&scan, segment->files, segment->fd, limit);
    enum err err =
        scan_resync(&scan, position, least_offset, segment_end - 1, &found, &header, reason);
    scan_deinit(&scan);
    if (err != ERR_NONE) {
        return err;
    }
    *damage = (struct damage){
        .position = position,
        .end = found < 0 ? limit : found,
        .first_offset = least_offset,
        .next_offset = found < 0 ? segment_end : header.base_offset,
    };
    log_add_damage(log, segment, damage);
    return ERR_NONE;
}

/* The stretches that a text lists and that lie in the segment; false when one does not: it was cut
 * off since, and other bytes may stand there one day. */
static bool parse_damages(struct segment *segment, const char *text)
{
    bool all = true;
    struct damage damage;
    int used;
    while (sscanf(text, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 "%n", &damage.position,
                  &damage.end, &damage.first_offset, &damage.next_offset, &used) == 4) {
        if (damage.position >= 0 && damage.position < damage.end &&
            damage.end <= segment->size_bytes && damage.first_offset >= segment->base_offset &&
            damage.next_offset > damage.first_offset) {
            segment_add_damage(segment, &damage);
        } else {
            all = false;
        }
        text += used;
    }
    return all;
}

void log_cut_damages(struct log *log, struct segment *segment, int64_t position)
{
    size_t before = segment->damages.count;
    while (segment->damages.count > 0 &&
           segment->damages.items[segment->damages.count - 1].end > position) {
        segment->damages.count--;
    }
    if (segment->damages.count < before) {
        save_damages(log, segment);
    }
}

bool damage_file_is_good(struct slice bytes)
{
    char head[HEAD_BYTES + 1];
    if (bytes.size < HEAD_BYTES) {
        return false;
    }
    uint32_t crc = crc32c(0, bytes.data + HEAD_BYTES, bytes.size - HEAD_BYTES);
    snprintf(head, sizeof head, head_format, crc);
    return memcmp(bytes.data, head, HEAD_BYTES) == 0;
}

enum err log_load_damages(struct log *log, struct segment *segment, struct reason *reason)
{
    char *text;
    size_t size;
    char *path = segment_path(log->dir, segment->base_offset, ".damage");
    enum err err = file_load(log->env.files, path, DAMAGE_FILE_MAX_BYTES, &text, &size, reason);
    free(path);
    if (err != ERR_NONE) {
        return err == ERR_IO ? err : ERR_NONE;
    }
    if (!damage_file_is_good(slice_of(text, size))) {
        LOG_WARN("log", "a note of damaged bytes is damaged itself and is not believed",
                 "dir=\"%s\" segment=%lld", log->dir, (long long)segment->base_offset);
    } else if (!parse_damages(segment, text + HEAD_BYTES)) {
        save_damages(log, segment);
    }
    free(text);
    return ERR_NONE;
}
