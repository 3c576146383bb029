#ifndef TIDINGS_BASE_PATTERN_PARSE_H
#define TIDINGS_BASE_PATTERN_PARSE_H

#include "base/byte_set.h"
#include "base/err.h"

/* A regular expression (base/pattern.h) as a tree: what the parser makes and the compiler takes. */

enum { PATTERN_MAX_DEPTH = 64 /* of groups in groups */ };

enum pattern_node_kind {
    NODE_EMPTY,
    NODE_SET,
    NODE_BEGIN,
    NODE_END,
    NODE_WORD_EDGE,
    NODE_NO_WORD_EDGE,
    NODE_CAT,    /* left, then right */
    NODE_EITHER, /* left or right */
    NODE_REPEAT  /* left, least to most times; most -1: no limit */
};

struct pattern_node {
    enum pattern_node_kind kind;
    int32_t left; /* indexes of nodes */
    int32_t right;
    int32_t least;
    int32_t most;
    int32_t set; /* index of the byte set */
};

struct pattern_tree {
    struct pattern_node *nodes;
    int32_t node_count;
    int32_t node_capacity;
    struct byte_set *sets;
    int32_t set_count;
    int32_t set_capacity;
    int32_t root;
};

/*
 * The tree of the text, zeroed before. ERR_INVALID_REGEX: the reason says where and why; the tree
 * is to be freed in any case. Recurses PATTERN_MAX_DEPTH deep at most. Any thread.
 */
CHECKED enum err pattern_parse(struct slice text, struct pattern_tree *tree, struct reason *reason);

/* Frees what the tree owns. */
void pattern_tree_deinit(struct pattern_tree *tree);

#endif
