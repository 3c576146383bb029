#ifndef TIDINGS_DATADIR_TREE_H
#define TIDINGS_DATADIR_TREE_H

#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What lies in a data directory, by its names alone: partitions and their files. For tools that
 * look at a directory from outside of the server. One thread.
 */
struct tree_partition {
    char *topic;
    int32_t partition;
    char *dir; /* DATA/topics/<topic>-<partition> */
};

struct tree {
    VEC(struct tree_partition) partitions; /* by topic, then partition */
};

/* ERR_NOT_FOUND when there is no DATA/topics. Deleted partitions ("-delete") are left out. */
CHECKED enum err tree_list(const char *data_dir, struct tree *tree, struct reason *reason);
void tree_deinit(struct tree *tree);

/* Splits "<topic>-<partition>"; the topic is a fresh text. False for another name. */
CHECKED bool tree_parse_partition(const char *name, char **topic, int32_t *partition);

/* What a file in a partition's directory is. */
enum tree_file_kind {
    TREE_SEGMENT,   /* <base offset>.log */
    TREE_INDEX,     /* .index */
    TREE_TIMEINDEX, /* .timeindex */
    TREE_TXNINDEX,  /* .txnindex */
    TREE_SNAPSHOT,  /* .snapshot */
    TREE_DAMAGE,    /* .damage */
    TREE_CUT,       /* .log.cut, .<position>.<crc>.cut */
    TREE_OTHER,     /* left half made, Kafka's own, or nobody's */
};

struct tree_file {
    enum tree_file_kind kind;
    int64_t offset; /* the number that the name begins with; -1: none */
    char *name;
};

/* By offset, then kind. */
struct tree_files {
    VEC_FIELDS(struct tree_file);
};

/* The files of one partition; tree_files_deinit also after an error. ERR_NOT_FOUND, ERR_IO. */
CHECKED enum err tree_list_files(const char *dir, struct tree_files *files, struct reason *reason);
void tree_files_deinit(struct tree_files *files);

/* The first segment, or NULL. */
const struct tree_file *tree_first_segment(const struct tree_files *files);

/* The segment that follows items[at], or NULL. */
const struct tree_file *tree_next_segment(const struct tree_files *files, size_t at);

#endif
