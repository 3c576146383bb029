#ifndef TIDINGS_BASE_HEAP_H
#define TIDINGS_BASE_HEAP_H

#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A binary heap of nodes that are embedded in their owners, least key first: timers. Insert,
 * remove and change are O(log n). A zeroed node is not in a heap. One thread at a time.
 */
struct heap_node {
    int64_t key;
    size_t slot; /* place in the heap + 1; 0: in no heap */
};

struct heap {
    VEC(struct heap_node *) nodes;
};

/* Frees the heap's own memory; the nodes that are in it stay as they are. */
void heap_deinit(struct heap *heap);

/* Puts the node in with this key, or moves it when it is already in. */
void heap_set(struct heap *heap, struct heap_node *node, int64_t key);

/* Takes the node out; no effect when it is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node with the least key, or NULL. */
struct heap_node *heap_least(const struct heap *heap);

/* Whether the node is in a heap. */
static inline bool heap_has(const struct heap_node *node)
{
    return node->slot != 0;
}

#endif
