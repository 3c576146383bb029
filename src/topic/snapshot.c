#include "topic/snapshot.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct snapshot_writer {
    const struct file_ops *files;
    char *dir;
    struct buf list;
};

static enum err make_dir(struct snapshot_writer *writer, const char *path, struct reason *reason)
{
    /* Not durable, as a snapshot need not outlive a crash: a sync for each of many logs is slow. */
    if (writer->files->mkdir(writer->files->context, path) != 0) {
        return reason_errno(reason, "cannot make directory %s", path);
    }
    return ERR_NONE;
}

enum err snapshot_writer_new(const struct file_ops *files, const char *dir,
                             struct snapshot_writer **out, struct reason *reason)
{
    struct snapshot_writer *writer = mem_new(struct snapshot_writer);
    writer->files = files;
    writer->dir = mem_strdup(dir);
    *out = writer;
    char *topics = mem_sprintf("%s/topics", dir);
    enum err err = make_dir(writer, topics, reason);
    free(topics);
    return err;
}

void snapshot_writer_free(struct snapshot_writer *writer)
{
    if (writer != NULL) {
        free(writer->dir);
        buf_deinit(&writer->list);
        free(writer);
    }
}

enum err snapshot_begin_log(struct snapshot_writer *writer, const char *log_name,
                            struct reason *reason)
{
    char *path = mem_sprintf("%s/topics/%s", writer->dir, log_name);
    enum err err = make_dir(writer, path, reason);
    free(path);
    return err;
}

enum err snapshot_link(struct snapshot_writer *writer, const char *from_dir, const char *log_name,
                       const char *name, int64_t size_bytes, struct reason *reason)
{
    char *from = mem_sprintf("%s/%s", from_dir, name);
    char *to = mem_sprintf("%s/topics/%s/%s", writer->dir, log_name, name);
    enum err err = ERR_NONE;
    struct stat status;
    if (link(from, to) != 0 || stat(to, &status) != 0) {
        err = reason_errno(reason, "cannot link %s to %s", from, to);
    } else {
        buf_printf(&writer->list, "%lld topics/%s/%s\n",
                   (long long)(size_bytes < 0 ? status.st_size : size_bytes), log_name, name);
    }
    free(from);
    free(to);
    return err;
}

/* Lists a file of the folder itself. */
static enum err list_file(struct snapshot_writer *writer, const char *name, struct reason *reason)
{
    struct stat status;
    char *path = mem_sprintf("%s/%s", writer->dir, name);
    enum err err = ERR_NONE;
    if (stat(path, &status) != 0) {
        err = reason_errno(reason, "cannot read %s", path);
    } else {
        buf_printf(&writer->list, "%lld %s\n", (long long)status.st_size, name);
    }
    free(path);
    return err;
}

enum err snapshot_add_checkpoint(struct snapshot_writer *writer, struct checkpoint *checkpoint,
                                 struct reason *reason)
{
    if (checkpoint->entries.count == 0) {
        return ERR_NONE;
    }
    char *path = mem_sprintf("%s/checkpoint", writer->dir);
    enum err err = checkpoint_save(checkpoint, writer->files, path, reason);
    free(path);
    return err == ERR_NONE ? list_file(writer, "checkpoint", reason) : err;
}

enum err snapshot_finish(struct snapshot_writer *writer, struct reason *reason)
{
    enum err err = list_file(writer, "tidings.db", reason);
    if (err == ERR_NONE) {
        char *path = mem_sprintf("%s/files", writer->dir);
        err = file_replace(writer->files, path, writer->list.data, writer->list.size, reason);
        free(path);
    }
    return err;
}

void snapshot_segment_name(int64_t base_offset, char name[32])
{
    snprintf(name, 32, "%020lld.log", (long long)base_offset);
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

bool snapshot_is_sidecar(const char *name)
{
    return ends_with(name, ".damage") || ends_with(name, ".cut");
}

struct log_state snapshot_state(int64_t start_offset, int64_t end_offset)
{
    return (struct log_state){
        .start_offset = start_offset,
        .end_offset = end_offset,
        .active_base = -1,
    };
}
