#include "datadir/tree.h"

#include "base/file.h"
#include "base/mem.h"
#include "log/segment.h"

#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

bool tree_parse_partition(const char *name, char **topic, int32_t *partition)
{
    const char *dash = strrchr(name, '-');
    if (dash == NULL || dash == name || dash[1] == '\0' || strlen(dash + 1) > 9) {
        return false;
    }
    int32_t value = 0;
    for (const char *at = dash + 1; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        value = value * 10 + (*at - '0');
    }
    *topic = mem_strndup(name, (size_t)(dash - name));
    *partition = value;
    return true;
}

struct listing {
    struct tree *tree;
    const char *topics_dir;
};

static enum err take_partition(void *context, const char *name)
{
    struct listing *listing = context;
    struct tree *tree = listing->tree;
    char *topic;
    int32_t partition;
    if (ends_with(name, "-delete") || !tree_parse_partition(name, &topic, &partition)) {
        return ERR_NONE;
    }
    *vec_add(&tree->partitions) = (struct tree_partition){
        .topic = topic,
        .partition = partition,
        .dir = mem_sprintf("%s/%s", listing->topics_dir, name),
    };
    return ERR_NONE;
}

static int compare_partitions(const void *a, const void *b)
{
    const struct tree_partition *left = a;
    const struct tree_partition *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

enum err tree_list(const char *data_dir, struct tree *tree, struct reason *reason)
{
    *tree = (struct tree){0};
    char *topics_dir = mem_sprintf("%s/topics", data_dir);
    struct listing listing = {.tree = tree, .topics_dir = topics_dir};
    enum err err = ERR_NONE;
    if (!file_exists(topics_dir)) {
        err = reason_fail(reason, ERR_NOT_FOUND,
                          "%s is no data directory: it has no folder 'topics'", data_dir);
    }
    if (err == ERR_NONE) {
        err = file_list_dir(topics_dir, take_partition, &listing, reason);
    }
    if (tree->partitions.count > 1) {
        qsort(tree->partitions.items, tree->partitions.count, sizeof *tree->partitions.items,
              compare_partitions);
    }
    free(topics_dir);
    return err;
}

void tree_deinit(struct tree *tree)
{
    for (size_t i = 0; i < tree->partitions.count; i++) {
        free(tree->partitions.items[i].topic);
        free(tree->partitions.items[i].dir);
    }
    vec_deinit(&tree->partitions);
}

static const struct {
    const char *suffix;
    enum tree_file_kind kind;
} suffixes[] = {
    {".log", TREE_SEGMENT},       {".index", TREE_INDEX},       {".timeindex", TREE_TIMEINDEX},
    {".txnindex", TREE_TXNINDEX}, {".snapshot", TREE_SNAPSHOT}, {".damage", TREE_DAMAGE},
};

static struct tree_file parse_file(const char *name)
{
    struct tree_file file = {.kind = TREE_OTHER, .offset = -1};
    int64_t value = 0;
    for (int i = 0; i < SEGMENT_NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || value > (INT64_MAX - 9) / 10) {
            return file;
        }
        value = value * 10 + (name[i] - '0');
    }
    const char *suffix = name + SEGMENT_NAME_DIGITS;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcmp(suffix, suffixes[i].suffix) == 0) {
            file.kind = suffixes[i].kind;
        }
    }
    if (ends_with(suffix, ".cut")) {
        file.kind = TREE_CUT;
    }
    file.offset = value;
    return file;
}

static enum err take_file(void *context, const char *name)
{
    struct tree_files *files = context;
    struct tree_file file = parse_file(name);
    file.name = mem_strdup(name);
    vec_push(files, file);
    return ERR_NONE;
}

static int compare_files(const void *a, const void *b)
{
    const struct tree_file *left = a;
    const struct tree_file *right = b;
    if (left->offset != right->offset) {
        return left->offset < right->offset ? -1 : 1;
    }
    return left->kind != right->kind ? (left->kind < right->kind ? -1 : 1)
                                     : strcmp(left->name, right->name);
}

enum err tree_list_files(const char *dir, struct tree_files *files, struct reason *reason)
{
    *files = (struct tree_files){.count = 0};
    enum err err = file_list_dir(dir, take_file, files, reason);
    if (files->count > 1) {
        qsort(files->items, files->count, sizeof *files->items, compare_files);
    }
    return err;
}

void tree_files_deinit(struct tree_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->items[i].name);
    }
    vec_deinit(files);
    *files = (struct tree_files){.count = 0};
}

const struct tree_file *tree_first_segment(const struct tree_files *files)
{
    if (files->count > 0 && files->items[0].kind == TREE_SEGMENT) {
        return &files->items[0];
    }
    return tree_next_segment(files, 0);
}

const struct tree_file *tree_next_segment(const struct tree_files *files, size_t at)
{
    for (size_t i = at + 1; i < files->count; i++) {
        if (files->items[i].kind == TREE_SEGMENT) {
            return &files->items[i];
        }
    }
    return NULL;
}
