#ifndef TIDINGS_GROUP_TOPIC_PATTERN_INTERNAL_H
#define TIDINGS_GROUP_TOPIC_PATTERN_INTERNAL_H

#include "group/topic_pattern.h"

/* For topic_pattern*.c only: what the parser makes and the compiler takes. */

struct byte_set {
    uint64_t bits[4];
};

static inline bool byte_set_has(const struct byte_set *set, uint8_t byte)
{
    return set->bits[byte >> 6] >> (byte & 63) & 1;
}

static inline void byte_set_add(struct byte_set *set, uint8_t byte)
{
    set->bits[byte >> 6] |= UINT64_C(1) << (byte & 63);
}

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

/* ERR_INVALID_REGEX; the tree is to be freed in any case. */
enum err pattern_parse(struct slice text, struct pattern_tree *tree, struct reason *reason);
void pattern_tree_deinit(struct pattern_tree *tree);

/* ---- topic_pattern_class.c ---- */

/* The set of \d, \w, \s (lower case letter); false for any other letter. */
bool pattern_class_letter(uint8_t letter, struct byte_set *set);
/* Adds the class of [:name:]; false when there is none. */
bool pattern_class_named(struct slice name, struct byte_set *set);
void pattern_set_invert(struct byte_set *set);
void pattern_set_fold_case(struct byte_set *set);
void pattern_set_add_range(struct byte_set *set, uint32_t first, uint32_t last);

#endif
