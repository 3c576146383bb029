#include "datadir/manifest.h"

#include "base/crc32c.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 *   tidings-backup 1
 *   cluster <cluster id>
 *   cut <ms since 1970>
 *   file <crc> <size> <version> <inode> <mtime ns> <damaged> <path>      one for each, by path
 *   end <how many files> <crc of all lines before>
 */
enum { LINE_MAX_BYTES = MANIFEST_PATH_MAX + 128 };

void manifest_deinit(struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->files.count; i++) {
        free(manifest->files.items[i].path);
    }
    vec_deinit(&manifest->files);
    *manifest = (struct manifest){.cut_ms = 0};
}

void manifest_add(struct manifest *manifest, const struct manifest_file *file)
{
    vec_push(&manifest->files, *file);
}

static int compare(const void *a, const void *b)
{
    const struct manifest_file *left = a;
    const struct manifest_file *right = b;
    return strcmp(left->path, right->path);
}

void manifest_sort(struct manifest *manifest)
{
    if (manifest->files.count > 1) {
        qsort(manifest->files.items, manifest->files.count, sizeof *manifest->files.items, compare);
    }
}

const struct manifest_file *manifest_find(const struct manifest *manifest, const char *path)
{
    struct manifest_file wanted = {.path = (char *)(uintptr_t)path};
    return manifest->files.count == 0
               ? NULL
               : bsearch(&wanted, manifest->files.items, manifest->files.count,
                         sizeof *manifest->files.items, compare);
}

void manifest_encode_file(const struct manifest_file *file, struct buf *out)
{
    buf_printf(out, "file %08x %lld %d %llu %lld %d ", (unsigned)file->crc, (long long)file->size,
               (int)file->version, (unsigned long long)file->inode, (long long)file->mtime_ns,
               file->damaged ? 1 : 0);
    buf_append_str(out, file->path);
    buf_append_str(out, "\n");
}

void manifest_encode(const struct manifest *manifest, struct buf *out)
{
    size_t from = out->size;
    buf_printf(out, "tidings-backup %d\ncluster %s\ncut %lld\n", MANIFEST_FORMAT,
               manifest->cluster_id, (long long)manifest->cut_ms);
    for (size_t i = 0; i < manifest->files.count; i++) {
        manifest_encode_file(&manifest->files.items[i], out);
    }
    uint32_t crc = crc32c(0, out->data + from, out->size - from);
    buf_printf(out, "end %zu %08x\n", manifest->files.count, (unsigned)crc);
}

/* Topic names allow these characters, and so do our own files. No way up or to the root. */
static bool is_path(const char *path)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-/";
    size_t length = strlen(path);
    if (length == 0 || length > MANIFEST_PATH_MAX || strspn(path, allowed) != length) {
        return false;
    }
    for (const char *at = path;;) {
        size_t size = strcspn(at, "/");
        if (size == 0 || (size == 1 && at[0] == '.') || (size == 2 && memcmp(at, "..", 2) == 0)) {
            return false;
        }
        if (at[size] == '\0') {
            return true;
        }
        at += size + 1;
    }
}

/* The line at the front as text, and *text behind it. */
static bool take_line(struct slice *text, char line[LINE_MAX_BYTES])
{
    size_t look = text->size < LINE_MAX_BYTES ? text->size : (size_t)LINE_MAX_BYTES;
    const uint8_t *end = look == 0 ? NULL : memchr(text->data, '\n', look);
    size_t size = end == NULL ? 0 : (size_t)(end - text->data);
    if (end == NULL || memchr(text->data, '\0', size) != NULL) {
        return false;
    }
    memcpy(line, text->data, size);
    line[size] = '\0';
    *text = slice_of(end + 1, text->size - size - 1);
    return true;
}

static bool parse_file(const char *line, struct manifest_file *file)
{
    char path[LINE_MAX_BYTES];
    int damaged;
    struct manifest_file parsed = {.path = NULL};
    /* 639: what fits path. */
    if (sscanf(line, "file %8" SCNx32 " %" SCNd64 " %" SCNd32 " %" SCNu64 " %" SCNd64 " %d %639s",
               &parsed.crc, &parsed.size, &parsed.version, &parsed.inode, &parsed.mtime_ns,
               &damaged, path) != 7 ||
        parsed.size < 0 || parsed.version < 0 || parsed.version == INT32_MAX ||
        (damaged != 0 && damaged != 1) || !is_path(path)) {
        return false;
    }
    parsed.damaged = damaged != 0;
    parsed.path = path;
    /* Only the form that is written: nothing else hides in the line. */
    struct buf again = {0};
    manifest_encode_file(&parsed, &again);
    bool same = again.size == strlen(line) + 1 && memcmp(again.data, line, again.size - 1) == 0;
    buf_deinit(&again);
    if (same) {
        parsed.path = mem_strdup(path);
        *file = parsed;
    }
    return same;
}

bool manifest_decode_file(struct slice *text, struct manifest_file *file)
{
    char line[LINE_MAX_BYTES];
    struct slice left = *text;
    if (!take_line(&left, line) || !parse_file(line, file)) {
        return false;
    }
    *text = left;
    return true;
}

static enum err decode_head(struct manifest *manifest, struct slice *text, struct reason *reason)
{
    char line[LINE_MAX_BYTES];
    int format;
    int used = 0;
    if (!take_line(text, line) || sscanf(line, "tidings-backup %d%n", &format, &used) != 1 ||
        line[used] != '\0') {
        return reason_fail(reason, ERR_CORRUPT, "this is no manifest of a backup");
    }
    if (format != MANIFEST_FORMAT) {
        return reason_fail(reason, ERR_UNSUPPORTED,
                           "the backup has format %d, this program knows %d: use the newer tidings "
                           "that wrote it",
                           format, MANIFEST_FORMAT);
    }
    if (!take_line(text, line) || sscanf(line, "cluster %63s", manifest->cluster_id) != 1 ||
        !take_line(text, line) || sscanf(line, "cut %" SCNd64, &manifest->cut_ms) != 1) {
        return reason_fail(reason, ERR_CORRUPT, "the manifest's head is damaged");
    }
    return ERR_NONE;
}

static enum err decode_files(struct manifest *manifest, struct slice whole, struct slice *text,
                             struct reason *reason)
{
    struct manifest_file file;
    int64_t total_bytes = 0;
    while (manifest_decode_file(text, &file)) {
        bool in_order =
            manifest->files.count == 0 ||
            strcmp(manifest->files.items[manifest->files.count - 1].path, file.path) < 0;
        bool fits = !__builtin_add_overflow(total_bytes, file.size, &total_bytes);
        manifest_add(manifest, &file);
        if (!fits) {
            return reason_fail(reason, ERR_CORRUPT,
                               "the manifest's files are larger than any disk");
        }
        if (!in_order) {
            return reason_fail(reason, ERR_CORRUPT, "the manifest's files are out of order");
        }
    }
    char line[LINE_MAX_BYTES];
    size_t before = (size_t)(text->data - whole.data);
    size_t count;
    uint32_t crc;
    if (!take_line(text, line) || sscanf(line, "end %zu %8" SCNx32, &count, &crc) != 2 ||
        text->size != 0 || count != manifest->files.count || crc != crc32c(0, whole.data, before)) {
        return reason_fail(reason, ERR_CORRUPT,
                           "the manifest is damaged: its checksum does not fit what it says");
    }
    return ERR_NONE;
}

enum err manifest_decode(struct manifest *manifest, struct slice bytes, struct reason *reason)
{
    *manifest = (struct manifest){.cut_ms = 0};
    struct slice text = bytes;
    enum err err = decode_head(manifest, &text, reason);
    if (err == ERR_NONE) {
        err = decode_files(manifest, bytes, &text, reason);
    }
    if (err != ERR_NONE) {
        manifest_deinit(manifest);
    }
    return err;
}

char *manifest_stored_name(const struct manifest_file *file)
{
    return file->version == 0 ? mem_strdup(file->path)
                              : mem_sprintf("%s~%d", file->path, (int)file->version);
}
