#include "datadir/dump.h"

#include "base/mem.h"
#include "batch/compression.h"
#include "datadir/tree.h"
#include "log/segment.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *dump_codec(const struct batch *batch)
{
    return batch_compression(batch) > BATCH_COMPRESSION_ZSTD
               ? "unknown"
               : compression_name(batch_compression(batch));
}

struct dump {
    const struct dump_options *options;
    const struct dump_sink *sink;
    int64_t batches; /* whole ones that were met */
    bool ended;      /* the sink has enough */
};

/* A file to go through. */
struct dump_file {
    struct dump_place place;
    int64_t base_offset;
    int64_t end_offset;
    bool last;
};

static enum err dump_records(struct dump *dump, const struct dump_file *file,
                             const struct walk *walk)
{
    struct record_iterator iterator;
    struct record record;
    struct reason why;
    bool done = false;
    enum err err =
        record_iterator_init(&iterator, &walk->batch, BATCH_DECOMPRESSED_MAX_BYTES, &why);
    while (err == ERR_NONE && !done && !dump->ended) {
        err = record_iterator_next(&iterator, &record, &done, &why);
        if (err == ERR_NONE && !done && record.offset >= dump->options->from &&
            record.offset < dump->options->to) {
            dump->ended = !dump->sink->record(dump->sink->context, &file->place, walk->position,
                                              &walk->batch, &record);
        }
    }
    record_iterator_deinit(&iterator);
    if (err != ERR_NONE) {
        struct walk_damage damage = {.position = walk->position,
                                     .end = walk->next_position,
                                     .first_offset = walk->batch.base_offset,
                                     .next_offset = walk->next_offset,
                                     .why = why};
        dump->ended = !dump->sink->damage(dump->sink->context, &file->place, &damage, false);
    }
    return ERR_NONE;
}

static enum err dump_batch(struct dump *dump, const struct dump_file *file, const struct walk *walk)
{
    const struct batch *batch = &walk->batch;
    if (batch->base_offset >= dump->options->to) {
        dump->ended = true;
    }
    if (dump->ended || batch_last_offset(batch) < dump->options->from) {
        return ERR_NONE;
    }
    dump->ended = !dump->sink->batch(dump->sink->context, &file->place, walk->position, batch);
    return dump->ended || dump->sink->record == NULL ? ERR_NONE : dump_records(dump, file, walk);
}

static enum err dump_file(struct dump *dump, const struct dump_file *file, struct reason *reason)
{
    const struct file_ops *files = file_ops_system();
    struct walk walk;
    int fd;
    int64_t size;
    enum err err = file_open(files, file->place.file, O_RDONLY, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = file_size(fd, &size, reason);
    walk_init(&walk, files, fd, size, file->base_offset, file->end_offset, true);
    enum walk_item item = WALK_BATCH;
    while (err == ERR_NONE && item != WALK_END && !dump->ended) {
        err = walk_next(&walk, &item, reason);
        if (err == ERR_NONE && item == WALK_BATCH) {
            dump->batches++;
            err = dump_batch(dump, file, &walk);
        } else if (err == ERR_NONE && item == WALK_DAMAGE) {
            dump->ended = !dump->sink->damage(dump->sink->context, &file->place, &walk.damage,
                                              file->last && walk.damage.at_end);
        }
    }
    walk_deinit(&walk);
    file_close(files, fd);
    return err;
}

static enum err dump_partition(struct dump *dump, const struct tree_partition *partition,
                               struct reason *reason)
{
    struct tree_files files;
    enum err err = tree_list_files(partition->dir, &files, reason);
    dump->ended = false; /* the range is each partition's */
    for (size_t i = 0; i < files.count && err == ERR_NONE && !dump->ended; i++) {
        const struct tree_file *next = tree_next_segment(&files, i);
        if (files.items[i].kind != TREE_SEGMENT ||
            (next != NULL && next->offset <= dump->options->from)) {
            continue;
        }
        char *path = mem_sprintf("%s/%s", partition->dir, files.items[i].name);
        struct dump_file file = {
            .place = {partition->topic, partition->partition, path},
            .base_offset = files.items[i].offset,
            .end_offset = next != NULL ? next->offset : INT64_MAX,
            .last = next == NULL,
        };
        err = dump_file(dump, &file, reason);
        err = err == ERR_NOT_FOUND ? ERR_NONE : err;
        free(path);
    }
    tree_files_deinit(&files);
    return err;
}

static enum err dump_directory(struct dump *dump, struct reason *reason)
{
    const struct dump_options *options = dump->options;
    struct tree tree;
    bool any = false;
    enum err err = tree_list(options->path, &tree, reason);
    for (size_t i = 0; i < tree.partitions.count && err == ERR_NONE; i++) {
        const struct tree_partition *partition = &tree.partitions.items[i];
        if ((options->topic == NULL || strcmp(options->topic, partition->topic) == 0) &&
            (options->partition < 0 || options->partition == partition->partition)) {
            any = true;
            err = dump_partition(dump, partition, reason);
            err = err == ERR_NOT_FOUND ? ERR_NONE : err;
        }
    }
    if (err == ERR_NONE && !any && options->topic != NULL) {
        err = reason_fail(reason, ERR_NOT_FOUND, "%s has no such partition of topic '%s'",
                          options->path, options->topic);
    }
    tree_deinit(&tree);
    return err;
}

/* "00000000000000001234.log", also ".log.cut". */
static bool is_segment_name(const char *name)
{
    const char *dot = name + strspn(name, "0123456789");
    return dot - name == SEGMENT_NAME_DIGITS &&
           (strcmp(dot, ".log") == 0 || strcmp(dot, ".log.cut") == 0);
}

/* One file: its name tells the base offset, its folder the partition. */
static enum err dump_one_file(struct dump *dump, struct reason *reason)
{
    const char *path = dump->options->path;
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char *folder = slash == NULL ? mem_strdup("") : mem_strndup(path, (size_t)(slash - path));
    const char *parent = strrchr(folder, '/');
    char *topic = NULL;
    int32_t partition = -1;
    if (!tree_parse_partition(parent == NULL ? folder : parent + 1, &topic, &partition)) {
        topic = mem_strdup("");
    }
    bool named = is_segment_name(name);
    struct dump_file file = {
        .place = {topic, partition, path},
        .base_offset = named ? strtoll(name, NULL, 10) : 0,
        .end_offset = INT64_MAX,
        .last = named,
    };
    enum err err = dump_file(dump, &file, reason);
    if (err == ERR_NONE && dump->batches == 0 && !named) {
        err = reason_fail(reason, ERR_INVALID, "it is no segment: there is no batch in it");
    }
    free(topic);
    free(folder);
    return err;
}

enum err dump_run(const struct dump_options *options, const struct dump_sink *sink,
                  struct reason *reason)
{
    struct dump dump = {.options = options, .sink = sink};
    struct stat status;
    if (stat(options->path, &status) != 0) {
        return reason_fail(reason, ERR_NOT_FOUND, "there is no %s", options->path);
    }
    return S_ISDIR(status.st_mode) ? dump_directory(&dump, reason) : dump_one_file(&dump, reason);
}
